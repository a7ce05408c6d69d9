"""Event logs of measured boot, and what they replay to (spec/attestation §12).

Source: TCG PC Client Platform Firmware Profile 1.06, §10 (crypto-agile logs), which UEFI 2.10 §38
takes over for confidential guests (CCEL): there "PCR" n is RTMR n-1. The log comes from whoever
runs the machine; only a replay that gives the signed registers makes it worth reading.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from sealtune.core.canonical import parse_json
from sealtune.core.limits import EVENT_LOG_BYTES_MAX
from sealtune.errors import Code, FormatError, VerificationError

EVENTS_MAX: Final = 4096  # 30x the longest real log that we know
EV_NO_ACTION: Final = 3  # informs, extends nothing
RTMRS: Final = 4
_PCRS = 24
_SPEC_ID = b"Spec ID Event03\0"
_STARTUP_LOCALITY = b"StartupLocality\0"
_LOCALITY_MAX = 4
_LEGACY_DIGEST_BYTES = 20
_ALGORITHMS_MAX = 8
_DIGEST_BYTES_MAX = 64
# An authenticated launch (DRTM) starts these at all ones instead of zero.
_DYNAMIC_PCRS = range(17, 23)
# The type with which dstack extends RTMR3 itself, over type, name and payload.
_DSTACK_RUNTIME_EVENT = 0x08000001
_NAME_MAX = 1024


class Bank(StrEnum):
    """Digest algorithms whose registers can be replayed, as `hashlib` names them."""

    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"

    @property
    def digest_bytes(self) -> int:
        """The length of its digests."""
        return _BANK_BYTES[self]


_BANK_BYTES = {Bank.SHA1: 20, Bank.SHA256: 32, Bank.SHA384: 48, Bank.SHA512: 64}
_BANK_IDS = {0x0004: Bank.SHA1, 0x000B: Bank.SHA256, 0x000C: Bank.SHA384, 0x000D: Bank.SHA512}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event: the register that it extends, its type, a digest for each bank, its data."""

    register: int
    type: int
    digests: Mapping[Bank, bytes]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """A parsed log; nothing about it is verified."""

    banks: tuple[Bank, ...]
    events: tuple[Event, ...]


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.EVENT_LOG_MALFORMED, f"event log: {reason}")


class _Cursor:
    """Reads fields of a log; refuses to read past its end, whatever a length field says."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.offset = 0

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self.offset:
            raise _malformed(f"{size} bytes are said to follow, fewer do")
        piece = self._data[self.offset : self.offset + size]
        self.offset += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")


def read_event_log(data: bytes) -> EventLog:
    """Return the log that `data` holds, be it TCG's binary form or dstack's JSON.

    Raises:
        FormatError: too large, or neither.
    """
    # A binary log begins with a register number, and none is 0x5B, the bracket.
    return event_log_from_json(data) if data.lstrip()[:1] == b"[" else parse_event_log(data)


def parse_event_log(data: bytes) -> EventLog:
    """Return the log that `data`, in TCG's crypto-agile form, holds.

    Firmware reserves a fixed area for it: what follows the last event must be all zeros or all
    ones.

    Raises:
        FormatError: larger than 256 KiB, more than 4096 events, no "Spec ID Event03" in front, a
            length that leads out of it, or other digests than the header announces.
    """
    if len(data) > EVENT_LOG_BYTES_MAX:
        raise FormatError(
            Code.LIMIT_EXCEEDED, f"event log: larger than {EVENT_LOG_BYTES_MAX} bytes"
        )
    cursor = _Cursor(data)
    sizes = _header(cursor)
    # Where the uniform tail begins, for zeros and for ones, found once and not at every event.
    end = min(len(data.rstrip(b"\0")), len(data.rstrip(b"\xff")))
    events: list[Event] = []
    while cursor.offset < end:
        if len(events) == EVENTS_MAX:
            raise _malformed(f"more than {EVENTS_MAX} events")
        events.append(_event(cursor, sizes))
    return EventLog(banks=tuple(filter(None, map(_BANK_IDS.get, sizes))), events=tuple(events))


def _header(cursor: _Cursor) -> Mapping[int, int]:
    """Return the digest size of each algorithm that the log carries, by TCG's number."""
    _register, kind = cursor.number(4), cursor.number(4)
    cursor.take(_LEGACY_DIGEST_BYTES)
    inner = _Cursor(cursor.take(cursor.number(4)))
    if kind != EV_NO_ACTION or inner.take(len(_SPEC_ID)) != _SPEC_ID:
        raise _malformed("does not begin with a Spec ID event; older logs are not read")
    inner.take(8)  # platform class, versions, size of an integer
    count = inner.number(4)
    if not 1 <= count <= _ALGORITHMS_MAX:
        raise _malformed(f"{count} digest algorithms")
    sizes: dict[int, int] = {}
    for _ in range(count):
        algorithm, size = inner.number(2), inner.number(2)
        bank = _BANK_IDS.get(algorithm)
        if algorithm in sizes or not 1 <= size <= _DIGEST_BYTES_MAX:
            raise _malformed("a digest algorithm twice, or of an impossible size")
        if bank is not None and size != bank.digest_bytes:
            raise _malformed(f"{bank} digests of {size} bytes")
        sizes[algorithm] = size
    return sizes


def _event(cursor: _Cursor, sizes: Mapping[int, int]) -> Event:
    register, kind, count = cursor.number(4), cursor.number(4), cursor.number(4)
    if count != len(sizes):
        raise _malformed(f"an event with {count} digests where {len(sizes)} belong")
    digests: dict[int, bytes] = {}
    for _ in range(count):
        algorithm = cursor.number(2)
        if algorithm not in sizes or algorithm in digests:
            raise _malformed(f"an event with a digest of algorithm {algorithm:#x}")
        digests[algorithm] = cursor.take(sizes[algorithm])
    data = cursor.take(cursor.number(4))
    if kind != EV_NO_ACTION and register >= _PCRS:
        raise _malformed(f"an event for register {register}")
    known = {_BANK_IDS[number]: value for number, value in digests.items() if number in _BANK_IDS}
    return Event(register=register, type=kind, digests=MappingProxyType(known), data=data)


def event_log_from_json(data: bytes) -> EventLog:
    """Return the log that `data`, the JSON list of dstack's guest agent, holds.

    Each item has `imr` (the RTMR), `event_type`, `digest`, `event` (a name) and `event_payload`.
    dstack leaves the digest of its own runtime events out or not, and it is always a digest of
    name and payload: those are checked against it, so that a replay vouches for them.

    Raises:
        FormatError: larger than 256 KiB, or not such a list.
        VerificationError: a runtime event's digest is not that of its name and payload.
    """
    listing = parse_json(data, limit=EVENT_LOG_BYTES_MAX, what="event log")
    if not isinstance(listing, list):
        raise _malformed("a list of events belongs here")
    return EventLog(banks=(Bank.SHA384,), events=tuple(map(_event_from_json, listing)))


def _event_from_json(item: object) -> Event:
    if not isinstance(item, dict):
        raise _malformed("an event that is no object")
    imr = _integer(item, "imr", limit=RTMRS - 1)
    kind = _integer(item, "event_type", limit=2**32 - 1)
    digest, payload = _hexadecimal(item, "digest"), _hexadecimal(item, "event_payload")
    name = item.get("event")
    if not isinstance(name, str) or len(name) > _NAME_MAX:
        raise _malformed("an event without a name")
    if kind == _DSTACK_RUNTIME_EVENT:
        digest = _runtime_digest(kind, name, payload, given=digest)
    if len(digest) != Bank.SHA384.digest_bytes:
        raise _malformed(f"a digest of {len(digest)} bytes where 48 belong")
    digests = MappingProxyType({Bank.SHA384: digest})
    return Event(register=imr + 1, type=kind, digests=digests, data=payload)


def _runtime_digest(kind: int, name: str, payload: bytes, *, given: bytes) -> bytes:
    try:
        named = name.encode()
    except UnicodeEncodeError:
        raise _malformed("an event whose name is no text") from None
    digest = hashlib.sha384(b":".join((kind.to_bytes(4, "little"), named, payload))).digest()
    if given and not hmac.compare_digest(given, digest):
        raise VerificationError(
            Code.EVENT_LOG_MISMATCH,
            f"event log: {name[:64]!r} has another payload than was measured",
        )
    return digest


def _integer(item: dict[str, Any], name: str, *, limit: int) -> int:
    value = item.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise _malformed(f"{name} is no number from 0 to {limit}")
    return value


def _hexadecimal(item: dict[str, Any], name: str) -> bytes:
    value = item.get(name)
    if not isinstance(value, str):
        raise _malformed(f"{name} is no text")
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise _malformed(f"{name} is not hexadecimal") from None


def replay(log: EventLog, *, bank: Bank) -> Mapping[int, bytes]:
    """Return the value that each register which `log` extends has in `bank` at its end.

    A register is named by its number in the log: PCR n, or RTMR n-1 of a confidential guest.

    Raises:
        FormatError: the log has no digests of that bank, or sets PCR 0's locality too late.
    """
    if bank not in log.banks:
        raise _malformed(f"no {bank} digests")
    registers: dict[int, bytes] = {}
    start = _start_values(bank)
    for event in log.events:
        if event.type == EV_NO_ACTION:
            # §10.4.5.3 of the profile: the locality that the TPM was started from is PCR 0's first
            # value, and the log is where it is told.
            if event.register == 0 and event.data.startswith(_STARTUP_LOCALITY):
                registers[0] = _locality(event, bank, started=0 in registers)
            continue
        value = registers.get(event.register)
        value = start(event.register) if value is None else value
        registers[event.register] = hashlib.new(bank, value + event.digests[bank]).digest()
    return MappingProxyType(registers)


def _start_values(bank: Bank) -> Callable[[int], bytes]:
    zeros, ones = bytes(bank.digest_bytes), b"\xff" * bank.digest_bytes
    return lambda register: ones if register in _DYNAMIC_PCRS else zeros


def _locality(event: Event, bank: Bank, *, started: bool) -> bytes:
    locality = event.data[len(_STARTUP_LOCALITY) :]
    if started or len(locality) != 1 or locality[0] > _LOCALITY_MAX:
        raise _malformed("a startup locality that is impossible or comes too late")
    return locality.rjust(bank.digest_bytes, b"\0")


def require_rtmrs(log: EventLog, rt_mr: tuple[bytes, ...]) -> tuple[int, ...]:
    """Return the numbers of the RTMRs that `log` explains: replayed, each has its value in `rt_mr`.

    A register that the log does not extend is not among them; its value is then unexplained.

    Raises:
        FormatError: the log has no SHA-384 digests, or extends a register that is no RTMR.
        VerificationError: a register that the log extends has another value.
    """
    registers = replay(log, bank=Bank.SHA384)
    foreign = [register for register in registers if not 1 <= register <= RTMRS]
    if foreign:
        raise _malformed(f"extends register {foreign[0]}, which is no RTMR")
    wrong = [
        register - 1
        for register, value in sorted(registers.items())
        if not hmac.compare_digest(value, rt_mr[register - 1])
    ]
    if wrong:
        names = ", ".join(f"RTMR{number}" for number in wrong)
        raise VerificationError(
            Code.EVENT_LOG_MISMATCH, f"event log: replays to other values of {names}"
        )
    return tuple(sorted(register - 1 for register in registers))
