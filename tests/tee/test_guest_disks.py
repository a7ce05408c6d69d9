"""The disks of a VM are found by number, and the job disk is believed in nothing but places."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sealtune.core.canonical import canonical_json
from sealtune.core.limits import CONTRACT_BROKERS_MAX, CONTRACT_INPUTS_MAX
from sealtune.crypto.dsse import Envelope, Signature
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError
from sealtune.tee.guest.disks import (
    JOB_BYTES_MAX,
    Disk,
    Extent,
    find_disks,
    read_job,
    the_disk,
)

ENVELOPE = Envelope("application/json", b"{}", (Signature("key", bytes(64)),))
JOB: dict[str, Any] = {
    "format": "sealtune-job/1",
    "run_id": "0123456789abcdef" * 2,
    "tee": "vm",
    "inputs": {
        "notes": {"serial": "in0", "bytes": 700},
        "encoder": {"serial": "in1", "bytes": 512},
    },
    "brokers": ["hospital-broker", "modelworks-broker"],
    "output": {"serial": "out", "bytes": 4096},
    "contract": ENVELOPE.to_dict(),
}


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Returns a maker of a machine's disks: name, serial number (None: no such file), size."""

    def make(*disks: tuple[str, str | None, str]) -> Path:
        (tmp_path / "block").mkdir(exist_ok=True)
        for name, serial, size in disks:
            folder = tmp_path / "block" / name
            folder.mkdir()
            if serial is not None:
                (folder / "serial").write_text(serial)
            (folder / "size").write_text(size)
        return tmp_path

    return make


def disks_of(root: Path) -> dict[str, Disk]:
    return find_disks(blocks=root / "block", devices=root / "dev")


def test_disks_are_found_by_their_serial_numbers(tree) -> None:
    root = tree(("vda", "root\n", "80\n"), ("vdb", "job", "16\n"), ("vdaa", "in0", "2"))
    assert disks_of(root) == {
        "root": Disk(path=root / "dev/vda", bytes=80 * 512),
        "job": Disk(path=root / "dev/vdb", bytes=16 * 512),
        "in0": Disk(path=root / "dev/vdaa", bytes=2 * 512),
    }


@pytest.mark.parametrize(
    ("name", "serial", "size"),
    [
        ("sda", "job", "16"),
        ("loop0", "job", "16"),
        ("vda1", "job", "16"),
        ("vdaaa", "job", "16"),
        ("vda", None, "16"),
        ("vda", "", "16"),
        ("vda", "job", "many"),
        ("vda", "job", ""),
        ("vda", "job", "-1"),
    ],
)
def test_what_is_no_virtio_disk_with_a_number_is_left_out(
    name: str, serial: str | None, size: str, tree
) -> None:
    assert disks_of(tree((name, serial, size))) == {}


def test_two_disks_with_one_number_are_refused(tree) -> None:
    with pytest.raises(ConfigError) as error:
        disks_of(tree(("vda", "job", "16"), ("vdb", "job", "16")))
    assert error.value.code is Code.CONFIG_INVALID


def test_the_number_of_disks_is_bounded(tree) -> None:
    names = [f"vd{first}{second}" for first in "abcd" for second in "abcdefghijklmnopqrstuvwxyz"]
    with pytest.raises(ConfigError):
        disks_of(tree(*((name, name, "1") for name in names)))


def test_a_disk_must_hold_what_the_job_says() -> None:
    disks = {"in0": Disk(path=Path("/dev/vda"), bytes=1024)}
    assert the_disk(disks, Extent(serial="in0", bytes=1024)) == disks["in0"]
    for serial, size in (("in0", 1025), ("in1", 1)):
        with pytest.raises(ConfigError):
            the_disk(disks, Extent(serial=serial, bytes=size))


def job_disk(path: Path, data: bytes, *, magic: bytes = b"SEALJOB1", length: int = -1) -> Disk:
    size = len(data) if length < 0 else length
    content = magic + size.to_bytes(8, "little") + data
    path.write_bytes(content.ljust(-(-len(content) // 512) * 512, b"\0"))
    return Disk(path=path, bytes=path.stat().st_size)


def test_the_job_disk_says_where_things_are(tmp_path: Path) -> None:
    job = read_job(job_disk(tmp_path / "job", canonical_json(JOB)))
    assert job.run_id == JOB["run_id"]
    assert job.tee == "vm"
    assert job.inputs == {
        "notes": Extent(serial="in0", bytes=700),
        "encoder": Extent(serial="in1", bytes=512),
    }
    assert job.brokers == ("hospital-broker", "modelworks-broker")
    assert job.output == Extent(serial="out", bytes=4096)
    assert job.contract == ENVELOPE.to_json()


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda job: job.pop(name)


def having(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda job: job.update({name: value})


def nested(name: str, **changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda job: job[name].update(changes)


REFUSED: dict[str, Callable[[dict[str, Any]], object]] = {
    **{f"no-{name}": without(name) for name in JOB},
    "more": having("environment", {}),
    "another-format": having("format", "sealtune-job/2"),
    "run-id-short": having("run_id", "0" * 31),
    "run-id-upper-case": having("run_id", "A" * 32),
    "run-id-no-text": having("run_id", 0),
    "tee-simulated": having("tee", "simulated"),
    "tee-unknown": having("tee", "sgx"),
    "tee-a-list": having("tee", ["vm"]),
    "inputs-a-list": having("inputs", []),
    "inputs-many": having(
        "inputs", {f"n{i}": {"serial": "in0", "bytes": 1} for i in range(CONTRACT_INPUTS_MAX + 1)}
    ),
    "input-on-the-root-disk": nested("inputs", notes={"serial": "root", "bytes": 1}),
    "input-on-the-output-disk": nested("inputs", notes={"serial": "out", "bytes": 1}),
    "input-without-length": nested("inputs", notes={"serial": "in0"}),
    "input-of-no-bytes": nested("inputs", notes={"serial": "in0", "bytes": 0}),
    "input-of-less": nested("inputs", notes={"serial": "in0", "bytes": -1}),
    "input-of-true-bytes": nested("inputs", notes={"serial": "in0", "bytes": True}),
    "input-name-a-path": nested("inputs", **{"../x": {"serial": "in0", "bytes": 1}}),
    "brokers-an-object": having("brokers", {}),
    "brokers-many": having("brokers", [f"b{i}" for i in range(CONTRACT_BROKERS_MAX + 1)]),
    "broker-twice": having("brokers", ["b", "b"]),
    "broker-a-path": having("brokers", ["../../dev/vda"]),
    "broker-hidden": having("brokers", [".b"]),
    "broker-no-text": having("brokers", [1]),
    "output-on-another-disk": nested("output", serial="in0"),
    "output-of-no-bytes": nested("output", bytes=0),
    "contract-no-envelope": having("contract", {"payload": ""}),
    "contract-text": having("contract", "{}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_job_that_says_anything_else_is_refused(name: str, tmp_path: Path) -> None:
    job = copy.deepcopy(JOB)
    REFUSED[name](job)
    with pytest.raises(FormatError):
        read_job(job_disk(tmp_path / "job", canonical_json(job)))


DATA = canonical_json(JOB)
BYTES: dict[str, Callable[[Path], Disk]] = {
    "another-magic": lambda path: job_disk(path, DATA, magic=b"SEALJOB2"),
    "no-length": lambda path: job_disk(path, DATA, length=0),
    "too-long": lambda path: job_disk(path, DATA, length=JOB_BYTES_MAX + 1),
    "longer-than-the-disk": lambda path: job_disk(path, DATA, length=len(DATA) + 100_000),
    "cut": lambda path: job_disk(path, DATA, length=len(DATA) - 1),
    "with-a-space": lambda path: job_disk(path, DATA.replace(b",", b", ")),
    "with-padding-inside": lambda path: job_disk(path, DATA + b"\n"),
    "a-list": lambda path: job_disk(path, b"[]"),
    "a-name-twice": lambda path: job_disk(
        path, DATA.replace(b'{"brokers', b'{"tee":"vm","brokers')
    ),
}


@pytest.mark.parametrize("name", BYTES)
def test_a_disk_that_is_no_job_disk_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        read_job(BYTES[name](tmp_path / "job"))


def test_a_length_beyond_the_limit_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "job"
    path.write_bytes(b"SEALJOB1" + (2**30).to_bytes(8, "little"))
    os.truncate(path, 2**30 + 512)
    asked: list[int] = []
    pread = os.pread

    def counting(descriptor: int, length: int, offset: int) -> bytes:
        asked.append(length)
        return pread(descriptor, min(length, 512), offset)

    monkeypatch.setattr(os, "pread", counting)
    with pytest.raises(FormatError):
        read_job(Disk(path=path, bytes=2**30 + 512))
    assert asked == [16]


def test_an_empty_disk_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job").write_bytes(b"")
    with pytest.raises(FormatError):
        read_job(Disk(path=tmp_path / "job", bytes=0))


def test_a_missing_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(SealtuneError) as error:
        read_job(Disk(path=tmp_path / "none", bytes=512))
    assert error.value.code is Code.FILE_MISSING
