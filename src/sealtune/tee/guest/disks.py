"""The disks that a measured VM is given, and what the job disk says (spec/vm §4).

Each disk is found by its serial number, never by its place. All of it is the operator's word: the
job disk is read strictly, and nothing in it decides more than where things are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.files import storage_errors
from sealtune.core.limits import (
    CONTRACT_BROKERS_MAX,
    CONTRACT_INPUTS_MAX,
    ENVELOPE_BYTES_MAX,
    KIB,
)
from sealtune.crypto.dsse import envelope_from_dict
from sealtune.crypto.identity import NAME_PATTERN
from sealtune.errors import Code, ConfigError, FormatError

BLOCKS = Path("/sys/block")
DEVICES = Path("/dev")
JOB_SERIAL, OUTPUT_SERIAL = "job", "out"
JOB_FORMAT = "sealtune-job/1"
JOB_MAGIC = b"SEALJOB1"
JOB_BYTES_MAX = ENVELOPE_BYTES_MAX + 64 * KIB  # the contract, and 64 inputs and brokers
SECTOR = 512
_HEAD_BYTES = len(JOB_MAGIC) + 8
_DISKS_MAX = CONTRACT_INPUTS_MAX + 16
_TEXT_BYTES_MAX = 64
_DEVICE = re.compile(r"vd[a-z]{1,2}")
_SERIAL = re.compile(r"in(?:0|[1-9][0-9]?)")
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_FIELDS = {"format", "run_id", "tee", "inputs", "brokers", "output", "contract"}
TEES = ("vm", "sev-snp", "tdx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One disk of this machine."""

    path: Path
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The disk with number `serial`, of which `bytes` count: the rest fills the last sector."""

    serial: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestJob:
    """What the job disk says; `contract` is the signed contract's file."""

    run_id: str
    tee: str
    inputs: Mapping[str, Extent]
    brokers: tuple[str, ...]
    output: Extent
    contract: bytes


def find_disks(*, blocks: Path = BLOCKS, devices: Path = DEVICES) -> dict[str, Disk]:
    """Return this machine's virtio disks by serial number; those without one are left out.

    Raises:
        ConfigError: two have one number, or there are too many.
    """
    found: dict[str, Disk] = {}
    names = sorted(entry.name for entry in blocks.iterdir() if _DEVICE.fullmatch(entry.name))
    if len(names) > _DISKS_MAX:
        raise _no_disk(f"{len(names)} disks, at most {_DISKS_MAX} expected")
    for name in names:
        serial = _text(blocks / name / "serial")
        if serial in found:
            raise _no_disk(f"two disks with the serial number {serial[:32]!r}")
        sectors = _text(blocks / name / "size")
        if serial and sectors.isascii() and sectors.isdecimal():
            found[serial] = Disk(path=devices / name, bytes=int(sectors) * SECTOR)
    return found


def the_disk(disks: Mapping[str, Disk], extent: Extent) -> Disk:
    """Return the disk that `extent` names.

    Raises:
        ConfigError: it is not there, or shorter.
    """
    disk = disks.get(extent.serial)
    if disk is None or disk.bytes < extent.bytes:
        raise _no_disk(f"no disk {extent.serial!r} of {extent.bytes} bytes")
    return disk


def read_job(disk: Disk) -> GuestJob:
    """Return what the job disk says.

    Raises:
        FormatError: not a job disk of this version.
        StorageError: it cannot be read.
    """
    with storage_errors(disk.path), disk.path.open("rb", buffering=0) as file:
        head = _exactly(file.fileno(), _HEAD_BYTES, offset=0)
        length = int.from_bytes(head[len(JOB_MAGIC) :], "little")
        if not head.startswith(JOB_MAGIC) or not 0 < length <= JOB_BYTES_MAX:
            raise _malformed("not a job disk")
        data = _exactly(file.fileno(), length, offset=_HEAD_BYTES)
    value = parse_json(data, limit=JOB_BYTES_MAX, what="job disk")
    if not isinstance(value, dict) or value.keys() != _FIELDS or value["format"] != JOB_FORMAT:
        raise _malformed("another format")
    if canonical_json(value) != data:
        raise _malformed("not in canonical form")
    return _job(value)


def _job(value: dict[str, Any]) -> GuestJob:
    run_id, tee = value["run_id"], value["tee"]
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise _malformed("no run id")
    if tee not in TEES:
        raise _malformed(f"the TEE is none of {', '.join(TEES)}")
    inputs, brokers = value["inputs"], value["brokers"]
    if not isinstance(inputs, dict) or len(inputs) > CONTRACT_INPUTS_MAX:
        raise _malformed("no inputs, or too many")
    if not isinstance(brokers, list) or len(brokers) > CONTRACT_BROKERS_MAX:
        raise _malformed("no brokers, or too many")
    if len(set(map(str, brokers))) != len(brokers):
        raise _malformed("a broker twice")
    output = _extent(value["output"])
    if output.serial != OUTPUT_SERIAL:
        raise _malformed("no output disk")
    return GuestJob(
        run_id=run_id,
        tee=tee,
        inputs={_name(name): _input(extent) for name, extent in inputs.items()},
        brokers=tuple(_name(name) for name in brokers),
        output=output,
        contract=envelope_from_dict(value["contract"], what="contract").to_json(),
    )


def _name(value: Any) -> str:
    # It becomes a file's name, so no slash and no leading dot.
    if not isinstance(value, str) or not NAME_PATTERN.fullmatch(value):
        raise _malformed("a name that no contract has")
    return value


def _input(value: Any) -> Extent:
    extent = _extent(value)
    if not _SERIAL.fullmatch(extent.serial):
        raise _malformed("an input without a disk of its own")
    return extent


def _extent(value: Any) -> Extent:
    if not isinstance(value, dict) or value.keys() != {"serial", "bytes"}:
        raise _malformed("a disk that is not described")
    serial, size = value["serial"], value["bytes"]
    if not isinstance(serial, str) or type(size) is not int or size < 1:
        raise _malformed("a disk that is not described")
    return Extent(serial=serial, bytes=size)


def _exactly(descriptor: int, length: int, *, offset: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = os.pread(descriptor, length - len(data), offset + len(data))
        if not piece:
            raise _malformed("it ends too early")
        data += piece
    return bytes(data)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_TEXT_BYTES_MAX).decode("latin-1").strip()
    except OSError:
        return ""


def _malformed(how: str) -> FormatError:
    remedy = "start the VM with the `sealtune run` of the version that built its image"
    return FormatError(Code.CONFIG_INVALID, f"the job disk: {how}", remedy=remedy)


def _no_disk(how: str) -> ConfigError:
    return ConfigError(
        Code.CONFIG_INVALID, f"this VM has {how}", remedy="start it with sealtune run"
    )
