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


@tee.command("tpm", examples=["sealtune tee tpm --dir tpm"])
@click.option("--dir", "folder", type=PATH, required=True, help="Its folder, made if it is new.")
def tpm(folder: Path) -> None:
    """Make the software TPM of VMs on this host.

    For `sealtune run --tee vm --tpm DIR`. What it prints is what a contract's entry lists in
    ak_digests; of a TPM that is there already it prints the same again.
    Whoever can read the folder can forge its evidence: such a VM is protected from nobody here.
    """
    digest = sealtune.attestation_key_digest(sealtune.make_tpm(folder))
    emit({"folder": folder, "memory_protected": False, "ak_digest": digest}, _tpm_lines)


def _tpm_lines(made: dict[str, Any]) -> Iterable[str]:
    yield insecure(
        "a TPM in software: who operates this host can read its keys and the memory of the VM"
    )
    yield done(f"the TPM is in {made['folder']}")
    yield from rows([("ak_digest", made["ak_digest"])])
    yield hint(f'name it in the contract\'s entry: ak_digests = ["{made["ak_digest"]}"]')


def _lines(made: dict[str, Any]) -> Iterable[str]:
    yield insecure("simulated TEE: it protects nothing, it is for trying things out")
    yield done(f"wrote {made['folder']}")
    yield from rows([(name, made[name]) for name in ("simulated_root", "measurement")])
    yield hint("name both in the contract draft, with insecure_accept_simulated = true")
