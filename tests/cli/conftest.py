"""Runs commands in this process, as `main` does, and keeps what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.said import Said, Sealtune
from sealtune.cli.main import run


@pytest.fixture
def sealtune_(capsys: pytest.CaptureFixture[str]) -> Sealtune:
    """Return the command line as a function of its arguments."""

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return call


@pytest.fixture
def keys(tmp_path: Path, sealtune_: Sealtune) -> Path:
    """A folder with the identities `owner`, `broker` and `clinic`; the test stands in it."""
    for name in ("owner", "broker", "clinic"):
        assert sealtune_("key", "create", name, "--dir", tmp_path).status == 0
    return tmp_path


@pytest.fixture
def sealed(keys: Path, sealtune_: Sealtune) -> Path:
    """A sealed dataset of two records beside the keys."""
    (keys / "notes.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    said = sealtune_(
        "seal",
        "data",
        keys / "notes.jsonl",
        "-o",
        keys / "notes.sealed",
        "--owner",
        keys / "owner.key",
        "--to",
        keys / "broker.pub",
    )
    assert said.status == 0, said.err
    return keys / "notes.sealed"
