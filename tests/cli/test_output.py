"""What commands print, to people and to programs, and how they end."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sealtune
from cli.said import Sealtune
from sealtune.cli import failures, output
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, SealtuneError, TransportError

_COLOUR = re.compile(rb"\x1b\[[0-9;]+m")


@pytest.mark.parametrize("secret", [ContentKey.generate(), Identity.generate("x"), b"raw"])
def test_secrets_are_not_printable_values(secret: object) -> None:
    with pytest.raises(TypeError):
        output.plain({"value": secret})


def test_a_usage_error_is_json_too(sealtune_: Sealtune) -> None:
    for arguments in (
        ("key", "create"),
        ("kye",),
        ("seal", "data", "x"),
        ("run", "c", "--input=x"),
    ):
        said = sealtune_(*arguments, "--json")
        assert (said.status, said.error["code"], said.error["family"]) == (2, "usage", "usage")
        assert "--help" in said.error["remedy"]


def test_a_near_miss_is_answered_with_the_right_name(sealtune_: Sealtune) -> None:
    assert "inspect" in sealtune_("inpsect").err
    assert "create" in sealtune_("key", "crate").err


def test_a_name_given_twice_is_refused(sealtune_: Sealtune) -> None:
    run = ("run", "c.json", "-o", "r", "--tee", "simulated", "--tee-files", "t", "--json")
    said = sealtune_(*run, "--input", "a=1", "--input", "a=2")
    assert said.error["code"] == "usage"


def test_people_read_message_remedy_and_code(tmp_path: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("inspect", tmp_path / "nothing")
    assert said.status == 9
    assert said.out == ""
    first, remedy, code = said.err.splitlines()
    assert first.startswith("error: ")
    assert remedy.split(maxsplit=1)[0] == "remedy"
    assert code.split() == ["code", "file-missing"]


def _raises(error: BaseException) -> object:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_interruption(monkeypatch: pytest.MonkeyPatch, sealtune_: Sealtune) -> None:
    monkeypatch.setattr(sealtune, "inspect_bundle", _raises(KeyboardInterrupt()))
    said = sealtune_("inspect", "x", "--json")
    assert (said.status, said.error["code"]) == (130, "interrupted")


def test_a_defect_shows_its_traceback_on_standard_error_only(
    monkeypatch: pytest.MonkeyPatch, sealtune_: Sealtune
) -> None:
    monkeypatch.setattr(sealtune, "inspect_bundle", _raises(ZeroDivisionError("x")))
    said = sealtune_("inspect", "x", "--json")
    assert (said.status, said.error["code"]) == (1, "internal")
    assert "Traceback" in said.err


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, sealtune_: Sealtune) -> None:
    missing = ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
    monkeypatch.setattr(sealtune, "inspect_bundle", _raises(missing))
    said = sealtune_("inspect", "x", "--json")
    assert (said.status, said.error["code"]) == (3, "dependency-missing")
    assert "sealtune[broker]" in said.error["remedy"]


def test_an_error_without_remedy_gets_its_codes(
    monkeypatch: pytest.MonkeyPatch, sealtune_: Sealtune
) -> None:
    error = TransportError(Code.RATE_LIMITED, "too many")
    monkeypatch.setattr(sealtune, "inspect_bundle", _raises(error))
    said = sealtune_("inspect", "x", "--json")
    assert (said.status, said.error["remedy"]) == (8, "wait a minute and try again")


@pytest.mark.parametrize("family", failures.FAMILIES.items())
def test_a_workers_own_exit_status_names_its_family(
    family: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    error = SealtuneError(Code.WORKER_FAILED, "x")
    error.exit_status = family[0]
    assert failures.fail(error, as_json=True) == family[0]
    assert json.loads(capsys.readouterr().out)["error"]["family"] == family[1]


def _in_terminal(arguments: list[str], environment: dict[str, str]) -> bytes:
    child, terminal = pty.fork()
    if child == 0:
        command = [sys.executable, "-m", "sealtune.cli.main", *arguments]
        os.execve(sys.executable, command, os.environ | environment)
    seen = b""
    try:
        while piece := os.read(terminal, 4096):
            seen += piece
    except OSError:  # how a terminal ends on Linux
        pass
    os.waitpid(child, 0)
    os.close(terminal)
    return seen


def test_colour_goes_to_terminals_that_want_it(tmp_path: Path) -> None:
    arguments = ["key", "create", "a", "--dir", str(tmp_path / "1")]
    assert _COLOUR.search(_in_terminal(arguments, {"NO_COLOR": ""}))
    arguments[-1] = str(tmp_path / "2")
    plain = _in_terminal(arguments, {"NO_COLOR": "1"})
    assert b"identity a" in plain
    assert not _COLOUR.search(plain)
    failed = _in_terminal(["inspect", str(tmp_path / "nothing")], {"NO_COLOR": "1"})
    assert b"file-missing" in failed
    assert not _COLOUR.search(failed)


def test_json_in_a_terminal_is_uncoloured(tmp_path: Path) -> None:
    seen = _in_terminal(["key", "create", "a", "--dir", str(tmp_path), "--json"], {})
    assert json.loads(seen)["name"] == "a"


def test_a_reader_that_goes_away_is_no_failure_to_shout_about() -> None:
    command = f"{sys.executable} -m sealtune.cli.main completion bash | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert b"Traceback" not in done.stderr


def test_icons_have_words_beside_them_and_ascii_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "INSECURE" in output.insecure("x")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    for line in (output.insecure("x"), output.done("x"), output.refused("x"), output.hint("x")):
        assert line.isascii()


@pytest.mark.parametrize(
    ("length", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**30, "5.0 GiB")]
)
def test_sizes(length: int, text: str) -> None:
    assert output.size(length) == text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(sealtune_: Sealtune, shell: str) -> None:
    said = sealtune_("completion", shell, "--json").json
    assert "_SEALTUNE_COMPLETE" in said["script"]
    assert sealtune_("completion", shell).out.strip() == said["script"].strip()


def test_completion_completes() -> None:
    environment = os.environ | {
        "_SEALTUNE_COMPLETE": "bash_complete",
        "COMP_WORDS": "sealtune contract s",
        "COMP_CWORD": "2",
    }
    command = [sys.executable, "-m", "sealtune.cli.main"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.split() == ["plain,show", "plain,sign"]
