"""The machine that runs the tests: nothing is recorded, nothing raises, commands are bounded."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from sealtune.tee.doctor import machine as machine_module
from sealtune.tee.doctor.diagnose import diagnose
from sealtune.tee.doctor.machine import Access, CpuidLeaf, LiveMachine
from sealtune.tee.doctor.verdicts import TARGETS
from sealtune.tee.measure import enclave_modules


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_this_machine_is_examined() -> None:
    diagnosis = diagnose(LiveMachine())
    assert diagnosis.root is (os.geteuid() == 0)
    assert {verdict.target for verdict in diagnosis.verdicts} == set(TARGETS)
    assert diagnosis.finding("kernel").detail.endswith(os.uname().release)


def test_the_doctor_is_outside_the_enclave() -> None:
    assert not [m.name for m in enclave_modules() if m.name.startswith("sealtune.tee.doctor")]


def test_only_listed_commands_are_run() -> None:
    with pytest.raises(ValueError, match="not one of the commands"):
        LiveMachine().run("cat /etc/shadow")


def test_a_command_answers(programs: Path) -> None:
    _program(programs, "swtpm", 'printf "TPM \\033[2J$1"; echo oops >&2; exit 3')
    outcome = LiveMachine().run("swtpm --version")
    assert (outcome.status, outcome.output) == (3, "TPM ?[2J--versionoops")


def test_a_command_is_not_there_or_no_program(programs: Path) -> None:
    assert LiveMachine().run("swtpm --version").why == "not installed"
    (programs / "swtpm").write_bytes(b"\0\1\2\3")
    (programs / "swtpm").chmod(0o755)
    outcome = LiveMachine().run("swtpm --version")
    assert outcome.status is None
    assert outcome.why


def test_a_command_that_says_too_much_is_ended(programs: Path) -> None:
    _program(programs, "swtpm", "while :; do echo yes; done")
    outcome = LiveMachine().run("swtpm --version")
    assert len(outcome.output) <= machine_module.OUTPUT_BYTES_MAX
    assert outcome.status != 0


def test_a_command_that_takes_too_long_is_ended(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_module, "COMMAND_SECONDS", 0.2)
    # The child holds the pipe open: ending the parent alone would not end the wait.
    _program(programs, "swtpm", "/bin/sleep 60 & wait")
    since = time.monotonic()
    outcome = LiveMachine().run("swtpm --version")
    assert outcome.status is None
    assert outcome.why.startswith("gave no answer")
    assert time.monotonic() - since < 30


def test_reading_is_bounded_and_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("x" * 100)
    machine = LiveMachine()
    reading = machine.read(str(tmp_path / "long"), limit=10)
    assert (reading.text, reading.cut) == ("x" * 10, True)
    assert not machine.read(str(tmp_path / "long"), limit=100).cut
    assert machine.read(str(tmp_path / "none")).access is Access.ABSENT
    assert machine.read(str(tmp_path)).access is Access.FAILED
    assert machine.read_bytes(str(tmp_path / "long"), limit=3) == (Access.OK, b"xxx")
    assert machine.read_bytes(str(tmp_path / "none"), limit=3) == (Access.ABSENT, b"")
    os.mkfifo(tmp_path / "pipe")
    assert machine.read(str(tmp_path / "pipe")).why == "not a regular file"
    assert machine.present(str(tmp_path / "pipe")) is Access.OK
    assert machine.present(str(tmp_path / "none")) is Access.ABSENT
    assert machine.children(str(tmp_path)) == ("long", "pipe")
    assert machine.children(str(tmp_path / "none")) == ()


def test_a_node_says_who_may_use_it(tmp_path: Path) -> None:
    (tmp_path / "device").write_bytes(b"")
    (tmp_path / "device").chmod(0o640)
    if os.geteuid() == 0:
        os.chown(tmp_path / "device", 54321, 54321)
    node = LiveMachine().node(str(tmp_path / "device"))
    assert stat.S_IMODE(node.mode) == 0o640
    assert node.usable
    if os.geteuid() == 0:
        assert node.permissions == "0640 54321:54321"
    assert LiveMachine().node(str(tmp_path / "none")).access is Access.ABSENT


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_others_may_not_read_is_denied(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)
    machine = LiveMachine()
    assert machine.read(str(tmp_path / "secret")).access is Access.DENIED
    assert not machine.node(str(tmp_path / "secret")).usable


def test_cpuid_is_shown_or_it_is_not() -> None:
    leaf = LiveMachine().cpuid(0)
    if leaf is None:
        assert os.geteuid() != 0 or not Path("/dev/cpu/0/cpuid").exists()
        return
    vendor = b"".join(word.to_bytes(4, "little") for word in (leaf.ebx, leaf.edx, leaf.ecx))
    assert isinstance(leaf, CpuidLeaf)
    assert vendor.decode() in Path("/proc/cpuinfo").read_text()
