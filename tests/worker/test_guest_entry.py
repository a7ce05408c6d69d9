"""The guest's entry: which Attester a job gets, what the cage leaves, and that nothing is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sealtune.attestation.evidence import EvidenceKind
from sealtune.tee.guest.disks import TEES
from sealtune.worker import guest


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the two makers of Attesters were asked for."""
    calls: list[object] = []
    monkeypatch.setattr(guest, "vm_attester", lambda folder: calls.append(("vm", folder)))
    monkeypatch.setattr(
        guest, "confidential_attester", lambda kind, folder: calls.append((kind, folder))
    )
    return calls


@pytest.mark.parametrize("tee", TEES)
def test_a_job_gets_the_attester_of_its_tee(tee: str, asked: list[object], tmp_path: Path) -> None:
    guest.attester_for(tee, tmp_path)
    expected = "vm" if tee == "vm" else EvidenceKind(tee)
    assert asked == [(expected, tmp_path)]


@pytest.mark.parametrize("tee", ["simulated", "", "auto", "azure/../vm"])
def test_no_other_name_gets_one(tee: str, asked: list[object], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="EvidenceKind"):
        guest.attester_for(tee, tmp_path)
    assert asked == []


def test_the_image_runs_it_as_its_own_user() -> None:
    machine = guest.Machine()
    assert machine.user == guest.WORKER_USER != 0
    assert machine.attester is guest.attester_for


def test_the_cage_leaves_no_folder_of_accounts_or_devices() -> None:
    left = {str(path) for path in guest._code()}
    assert left.isdisjoint({"/", "/etc", "/dev", "/proc", "/sys", "/run", "/home", "/root"})


def test_outside_a_vm_it_ends_in_silence() -> None:
    # No port of the channel: there is nobody to tell, and nothing is printed.
    command = [sys.executable, "-I", "-B", "-m", "sealtune.worker.guest"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
