"""`sealtune tee`: what an operator sets up on a machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.output import done, emit, hint, insecure, rows
from sealtune.cli.parameters import PATH
from sealtune.core.clock import SystemClock
from sealtune.errors import Code, StorageError


@click.group("tee", cls=Group)
def tee() -> None:
    """Set up where the worker runs."""


@tee.command("simulate", examples=["sealtune tee simulate --dir tee"])
@click.option("--dir", "folder", type=PATH, required=True, help="The new folder for its keys.")
def simulate(folder: Path) -> None:
    """Make an INSECURE simulated TEE: a mock of AMD's keys.

    Whoever can read the folder can forge its evidence. Only a contract that says
    insecure_accept_simulated and names the root accepts it.
    """
    if folder.exists():
        remedy = "give the name of a folder that does not exist yet"
        raise StorageError(Code.FILE_EXISTS, f"{folder} exists already", remedy=remedy)
    mock = sealtune.make_mock_amd(folder, now=SystemClock().now())
    made = {
        "folder": folder,
        "insecure": True,
        "simulated_root": mock.root,
        "measurement": sealtune.measure_enclave_code(),
    }
    emit(made, _lines)


def _lines(made: dict[str, Any]) -> Iterable[str]:
    yield insecure("simulated TEE: it protects nothing, it is for trying things out")
    yield done(f"wrote {made['folder']}")
    yield from rows([(name, made[name]) for name in ("simulated_root", "measurement")])
    yield hint("name both in the contract draft, with insecure_accept_simulated = true")
