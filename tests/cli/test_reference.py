"""Every command and every code is documented, and the documents are true."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path

import click
import pytest

import sealtune
from sealtune import errors
from sealtune.cli.failures import FAMILIES
from sealtune.cli.framework import Command
from sealtune.cli.guide import GUIDE
from sealtune.cli.main import cli
from sealtune.cli.reference import cli_reference, commands, error_classes, errors_reference
from sealtune.errors import Code

COMMANDS = {
    " ".join(path): command for path, command in commands() if not isinstance(command, click.Group)
}
DOCS = Path(__file__).resolve().parents[2] / "docs"
_RENEW = "run: python -m sealtune.cli.reference docs"


def test_the_command_reference_is_what_the_commands_say() -> None:
    assert (DOCS / "cli.md").read_text() == cli_reference(), _RENEW


def test_the_error_reference_is_what_the_codes_say() -> None:
    assert (DOCS / "errors.md").read_text() == errors_reference(), _RENEW


def test_every_code_is_explained() -> None:
    assert GUIDE.keys() == set(Code)
    for code, guide in GUIDE.items():
        assert guide.meaning.endswith("."), code
        assert guide.remedy, code
        assert not guide.remedy.endswith("."), code


def test_every_family_has_its_exit_status() -> None:
    statuses = {family.exit_status for family in error_classes()}
    assert statuses <= FAMILIES.keys()
    assert len(FAMILIES) == len(set(FAMILIES.values()))


def test_codes_are_raised_in_the_families_that_are_documented() -> None:
    for code, families in _raised().items():
        documented = set(GUIDE[code].families.split(", "))
        assert families <= documented, f"{code}: raised as {families}"
        assert documented <= set(FAMILIES.values()), code


def _raised() -> dict[Code, set[str]]:
    names = {kind.__name__: FAMILIES[kind.exit_status] for kind in error_classes()}
    found: dict[Code, set[str]] = {}
    for path in Path(sealtune.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and _name(node.func) in names:
                for code in _codes(node.args[0]):
                    found.setdefault(code, set()).add(names[_name(node.func)])
    return found


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _codes(node: ast.expr) -> list[Code]:
    attributes = [item for item in ast.walk(node) if isinstance(item, ast.Attribute)]
    return [errors.Code[item.attr] for item in attributes if _name(item.value) == "Code"]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_prints_json_and_shows_an_example(path: str) -> None:
    command = COMMANDS[path]
    assert isinstance(command, Command)
    assert any("--json" in parameter.opts for parameter in command.params)
    assert command.examples
    assert all(example.startswith(path) for example in command.examples)


@pytest.mark.parametrize("path", COMMANDS)
def test_examples_are_understood(path: str) -> None:
    for example in COMMANDS[path].examples:
        line = example.replace("\\\n", " ").split(" > ")[0].split(" >> ")[0]
        arguments = shlex.split(line)[1:]
        command: click.Command = cli
        context = click.Context(cli, info_name="sealtune")
        while isinstance(command, click.Group):
            found = command.get_command(context, arguments.pop(0))
            assert found is not None
            command = found
        command.make_context(path, arguments, parent=context)


@pytest.mark.parametrize("path", [" ".join(path) for path, _ in commands()])
def test_summaries_are_one_short_sentence(path: str) -> None:
    command = {" ".join(name): command for name, command in commands()}[path]
    summary = (command.help or "").strip().split("\n\n")[0]
    assert summary.endswith("."), summary
    assert path == "sealtune" or len(summary) <= 72, summary
