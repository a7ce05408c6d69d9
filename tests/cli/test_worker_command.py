"""`sealtune worker run`: it takes the machine's own TEE, and nothing simulated."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

import sealtune
from sealtune.cli.main import cli, run


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the launcher was asked for; the run finishes at once."""
    asked: list[Any] = []

    def run_contract(spec: Any, *, clock: object, on_event: object) -> object:
        asked.append(spec)
        return SimpleNamespace(
            result=spec.output / "result.sealed",
            receipt=spec.output / "receipt.json",
            contract="sha256:" + "0" * 64,
            run_id="0" * 32,
            reported=False,
            insecure=False,
            seconds_by_phase={"train": 1.25},
        )

    monkeypatch.setattr(sealtune, "run_contract", run_contract, raising=False)
    return asked


def arguments(*more: str) -> list[str]:
    given = ["worker", "run", "contract.json", "--input", "notes=notes.sealed", "-o", "run"]
    return [*given, "--broker", "hospital-broker=http://127.0.0.1:8701", *more]


def test_it_attests_the_machine_itself(launched: list[Any]) -> None:
    done = CliRunner().invoke(cli, arguments("--timeout", "60"), catch_exceptions=False)
    assert done.exit_code == 0
    spec = launched[0]
    assert (spec.tee, spec.attester, spec.sandbox) == ("here", "auto", "off")
    assert spec.tee_files is None
    assert spec.inputs == {"notes": Path("notes.sealed")}
    assert spec.timeout_seconds == 60
    assert "run/result.sealed" in done.output
    assert "NOT every broker has it yet" in done.output


def test_a_tee_may_be_named(launched: list[Any]) -> None:
    CliRunner().invoke(cli, arguments("--tee", "azure"), catch_exceptions=False)
    assert launched[0].attester == "azure"


def test_a_missing_contract_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = tmp_path / "none.json"
    assert run(["worker", "run", str(missing), "-o", str(tmp_path / "run")]) == 9
    assert "file-missing" in capsys.readouterr().err
