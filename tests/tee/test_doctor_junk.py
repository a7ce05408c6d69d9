"""Whatever a machine shows, the doctor says something printable and raises nothing."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sealtune.tee.doctor.diagnose import Diagnosis, diagnose
from sealtune.tee.doctor.machine import COMMANDS
from sealtune.tee.doctor.recorded import RecordedMachine
from tee.machines import MACHINES

_ESCAPE = "\x1b]0;owned\x07\x1b[2J"
JUNK: dict[str, Callable[[random.Random], bytes]] = {
    "empty": lambda _: b"",
    "binary": lambda draw: draw.randbytes(512),
    "huge": lambda _: b"A" * (3 << 20),
    "lines": lambda _: b"\n" * 100_000,
    "colons": lambda _: b": : :\n" * 1000,
    "escapes": lambda _: f"model name : {_ESCAPE}\nvendor_id : {_ESCAPE}\n".encode(),
    "numbers": lambda _: b"9" * 5000,
    "negative": lambda _: b"-1\n",
    "superscripts": lambda _: "MemTotal: ²³ kB\nMemAvailable: ²³ kB\n²³\n".encode(),
    "words": lambda draw: b" ".join(draw.choices(_WORDS, k=200)),
}
_WORDS = [b"0x", b"Y", b":", b"\t", b"\n", b"flags", b"sgx", b"sev_snp", b"/dev", b"configfs", b"["]


def _check(diagnosis: Diagnosis) -> None:
    for item in diagnosis.findings:
        assert len(item.detail) <= 300
        assert (item.detail + item.fix).isprintable(), item
    for verdict in diagnosis.verdicts:
        assert verdict.reason.isprintable()
    assert diagnosis.kind.isprintable()


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("name", MACHINES)
def test_every_file_is_junk(name: str, junk: str, tmp_path: Path) -> None:
    draw = random.Random(f"{name} {junk}")
    tree = MACHINES[name](tmp_path)
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file():
            path.write_bytes(JUNK[junk](draw))
    for line in COMMANDS:
        tree.command(line, JUNK[junk](draw).decode("latin-1")[:2000], draw.choice([0, 1, 127]))
    _check(diagnose(RecordedMachine.load(tree.write())))


@pytest.mark.parametrize("name", MACHINES)
def test_any_one_file_is_junk_a_folder_or_a_dangling_link(name: str, tmp_path: Path) -> None:
    draw = random.Random(name)
    tree = MACHINES[name](tmp_path)
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    tree.write()
    for path in files:
        content = path.read_bytes()
        for make in draw.sample(sorted(JUNK), 2):
            path.write_bytes(JUNK[make](draw))
            _check(diagnose(RecordedMachine.load(tmp_path)))
        path.unlink()
        path.mkdir()
        _check(diagnose(RecordedMachine.load(tmp_path)))
        path.rmdir()
        path.symlink_to(path)
        _check(diagnose(RecordedMachine.load(tmp_path)))
        path.unlink()
        path.write_bytes(content)


@pytest.mark.parametrize("access", ["denied", "failed"])
@pytest.mark.parametrize("name", MACHINES)
def test_nothing_can_be_read(name: str, access: str, tmp_path: Path) -> None:
    tree = MACHINES[name](tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        place = f"/{path.relative_to(tmp_path)}"
        tree.unreadable[place] = {"access": access, "why": _ESCAPE}
    for place in tree.nodes:
        tree.unreadable[place] = {"access": access, "why": ""}
    tree.nodes.clear()
    tree.commands.clear()
    _check(diagnose(RecordedMachine.load(tree.write())))


def test_nothing_is_there_at_all(tmp_path: Path) -> None:
    machine = {"format": "sealtune-machine/1", "root_user": False}
    machine |= {"nodes": {}, "unreadable": {}, "cpuid": {}, "bindings": None}
    (tmp_path / "machine.json").write_text(json.dumps(machine))
    (tmp_path / "commands.json").write_text('{"commands": {}}')
    diagnosis = diagnose(RecordedMachine.load(tmp_path))
    _check(diagnosis)
    assert diagnosis.finding("cpu").detail == "/proc/cpuinfo: absent"


def test_names_in_a_record_do_not_command_a_terminal(tmp_path: Path) -> None:
    tree = MACHINES["laptop-amd"](tmp_path)
    tree.node("/dev/kvm", 0o660, _ESCAPE, _ESCAPE)
    tree.command("swtpm --version", _ESCAPE, 0)
    _check(diagnose(RecordedMachine.load(tree.write())))


def test_random_cpuid_leaves(tmp_path: Path) -> None:
    draw = random.Random(0)
    for number in range(20):
        tree = MACHINES[draw.choice(sorted(MACHINES))](tmp_path / str(number))
        for leaf in (0x8000_001F, 0x4000_000C):
            tree.leaf(leaf, 0, *(draw.getrandbits(32) for _ in range(4)))
        for section in range(2, 40):
            tree.leaf(0x12, section, *(draw.getrandbits(32) | (_ == 0) for _ in range(4)))
        _check(diagnose(RecordedMachine.load(tree.write())))


def test_a_configuration_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    tree = MACHINES["laptop-amd"](tmp_path)
    bomb = gzip.compress(b"CONFIG_X86_64=y\n" + b"\0" * (64 << 20))
    assert len(bomb) < 1 << 20
    tree.file("/proc/config.gz", bomb)
    diagnosis = diagnose(RecordedMachine.load(tree.write()))
    assert diagnosis.finding("kernel-options").detail == "/proc/config.gz"


def test_a_folder_with_very_many_names_is_read_in_part(tmp_path: Path) -> None:
    tree = MACHINES["plain-vm"](tmp_path)
    for number in range(5000):
        (tmp_path / f"sys/bus/pci/devices/{number}").mkdir(parents=True)
    machine = RecordedMachine.load(tree.write())
    assert len(machine.children("/sys/bus/pci/devices")) == 4096
