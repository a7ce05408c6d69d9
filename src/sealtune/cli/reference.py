"""Writes docs/cli.md and docs/errors.md from the commands and codes themselves.

`python -m sealtune.cli.reference docs` renews both; a test refuses them when they differ.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from sealtune import errors
from sealtune.cli.failures import FAMILIES
from sealtune.cli.guide import GUIDE
from sealtune.cli.main import cli
from sealtune.core.files import write_atomic
from sealtune.errors import Code, SealtuneError

_WIDTH = 96
_CLI_INTRO = """\
# Command reference

Written by `python -m sealtune.cli.reference docs` from the commands themselves.

Every command takes `--json`: it then prints exactly one JSON object on standard output and nothing
else there. A failed command prints `{"error": {"code", "family", "message", "remedy"}}`. The exit
status says which family an error is of; [errors.md](errors.md) lists families and codes.

Progress goes to standard error, and only when that is a terminal. `NO_COLOR` is respected. Colour
never carries meaning alone. Passphrases are asked for on the terminal or read from a file; they are
never taken from the command line or the environment.
"""
_ERRORS_INTRO = """\
# Errors

Written by `python -m sealtune.cli.reference docs` from `sealtune.errors` and
`sealtune.cli.guide`.

Codes are stable: scripts may rely on them, and texts may change. Every error says what is wrong,
where, and what to do about it.

## Families and exit statuses
"""
_PASSED_ON = """\
A worker's error keeps its code and exit status on its way to `run`. What a broker refuses is of the
family `release` at the one who asked, whatever its code: `appraisal-measurement`, for instance.
"""
_STATUS_MEANING = {
    0: ("", "", "The command did what it says."),
    1: ("failure", "`SealtuneError`", "Something else failed, or a defect of sealtune."),
    2: ("usage", "", "The command line cannot be understood."),
    130: ("interrupted", "", "Ctrl-C; nothing half-written was kept."),
}


def commands(
    command: click.Command = cli, path: tuple[str, ...] = ("sealtune",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command and group with its path, in the order of the overview."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from commands(child, (*path, name))


def command_help(path: tuple[str, ...], command: click.Command) -> str:
    """Return what `PATH --help` prints, at a fixed width."""
    context = click.Context(
        command, info_name=" ".join(path), terminal_width=_WIDTH, **command.context_settings
    )
    return command.get_help(context)


def cli_reference() -> str:
    """Return the whole of docs/cli.md."""
    parts = [_CLI_INTRO]
    for path, command in commands():
        parts.append(f"## {' '.join(path)}\n\n```text\n{command_help(path, command)}\n```\n")
    return "\n".join(parts)


def errors_reference() -> str:
    """Return the whole of docs/errors.md."""
    lines = [_ERRORS_INTRO, "| status | family | class | meaning |", "|---|---|---|---|"]
    meanings = dict(_STATUS_MEANING)
    for family in error_classes():
        name = FAMILIES[family.exit_status]
        summary = (family.__doc__ or "").strip().splitlines()[0]
        meanings.setdefault(family.exit_status, (name, f"`{family.__name__}`", summary))
    for status, (name, kind, meaning) in sorted(meanings.items()):
        lines.append(f"| {status} | {name} | {kind} | {meaning} |")
    lines += [
        "",
        _PASSED_ON,
        "## Codes",
        "",
        "| code | family | meaning | what to do |",
        "|---|---|---|---|",
    ]
    for code in Code:
        guide = GUIDE[code]
        lines.append(f"| `{code}` | {guide.families} | {guide.meaning} | {guide.remedy} |")
    return "\n".join(lines) + "\n"


def error_classes() -> list[type[SealtuneError]]:
    """Return the families of `sealtune.errors`."""
    found = vars(errors).values()
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, SealtuneError)]


def main(folder: Path) -> None:
    """Write both documents into `folder`."""
    write_atomic(folder / "cli.md", cli_reference().encode())
    write_atomic(folder / "errors.md", errors_reference().encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
