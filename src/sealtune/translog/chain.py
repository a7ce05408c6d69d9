"""A hash-chained log and its signed heads (docs/spec/translog.md).

Each entry names the hash of the one before it, so that a head (size and hash, signed by the
keeper) commits to every entry up to it. Holders of heads detect an edited, dropped, inserted or
reordered entry, a log that was cut and two versions of one log. What this does not do: stop a
keeper who shows nobody the entries after the last head that anyone holds; nor prove inclusion
without the entries before (no Merkle tree here).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.clock import format_time, parse_time
from sealtune.core.digest import Digest, parse_digest, sha256_digest
from sealtune.core.limits import LOG_ENTRY_BYTES_MAX
from sealtune.crypto.dsse import Envelope, sign_envelope, verify_envelope
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, FormatError, VerificationError

HEAD_PAYLOAD_TYPE = "application/vnd.sealtune.log-head.v1+json"
HEAD_BYTES_MAX = 1024
_GENESIS_LABEL = b"sealtune/v1/log-genesis\0"
_ENTRY_LABEL = b"sealtune/v1/log-entry\0"
_ENTRY_FIELDS = {"index", "previous", "time", "kind", "body"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHead:
    """A log's state: how many entries it has and the hash that commits to them all."""

    size: int
    hash: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedHead:
    """A head whose signature by `log`, the key that names the log, has been verified."""

    log: VerifyingKey
    size: int
    hash: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry, as parsed; `data` are the bytes that its hash covers."""

    index: int
    time: datetime
    kind: str
    body: Mapping[str, Any]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLog:
    """Entries that form one unbroken chain of `log` and agree with every head that was given."""

    log: VerifyingKey
    head: LogHead
    entries: tuple[LogEntry, ...]


def empty_head(log: VerifyingKey) -> LogHead:
    """Return the head of the log of `log` before its first entry (spec/translog §2).

    It depends on the key, so that no entry can be moved from another keeper's log.
    """
    return LogHead(size=0, hash=sha256_digest(_GENESIS_LABEL + log.raw))


def append_entry(
    head: LogHead, *, kind: str, body: Mapping[str, Any], now: datetime
) -> tuple[bytes, LogHead]:
    """Return the bytes of the entry that follows `head` and the new head (spec/translog §2).

    Raises:
        ValueError: the entry would be larger than `LOG_ENTRY_BYTES_MAX`.
    """
    data = canonical_json(
        {
            "index": head.size,
            "previous": head.hash,
            "time": format_time(now),
            "kind": kind,
            "body": dict(body),
        }
    )
    if len(data) > LOG_ENTRY_BYTES_MAX:
        raise ValueError(f"a log entry of {len(data)} bytes; at most {LOG_ENTRY_BYTES_MAX}")
    return data, LogHead(size=head.size + 1, hash=entry_hash(data))


def entry_hash(data: bytes) -> Digest:
    """Return the hash of an entry's bytes; as they name the entry before, it covers all so far."""
    return Digest("sha256:" + hashlib.sha256(_ENTRY_LABEL + data).hexdigest())


def sign_head(head: LogHead, *, key: SigningKey) -> Envelope:
    """Return `head` signed by the log's keeper (spec/translog §3)."""
    payload = canonical_json({"log": key.public.text, "size": head.size, "hash": head.hash})
    return sign_envelope(payload, payload_type=HEAD_PAYLOAD_TYPE, keys=[key])


def verify_head(envelope: Envelope, *, log: VerifyingKey) -> VerifiedHead:
    """Verify that the keeper `log` signed this head of its own log (spec/translog §3).

    Raises:
        VerificationError: the signature is not by `log`, or the head is of another log.
        FormatError: the payload is no head.
    """
    verified = verify_envelope(envelope, payload_type=HEAD_PAYLOAD_TYPE, required=[log])
    fields = parse_json(verified.payload, limit=HEAD_BYTES_MAX, what="log head")
    if not isinstance(fields, dict) or set(fields) != {"log", "size", "hash"}:
        raise FormatError(Code.LOG_BROKEN, "a log head has exactly log, size and hash")
    if fields["log"] != log.text:
        raise VerificationError(Code.LOG_BROKEN, "the head is of another log")
    size = fields["size"]
    if type(size) is not int or size < 0:
        raise FormatError(Code.LOG_BROKEN, "a log head's size is a count")
    return VerifiedHead(log=log, size=size, hash=parse_digest(fields["hash"]))


class ChainVerifier:
    """Follows one log entry by entry, for logs that do not fit in memory (spec/translog §4).

    What `add` returns is provisional until `finish` has returned.
    """

    def __init__(self, *, log: VerifyingKey, heads: Sequence[VerifiedHead]) -> None:
        self._head = empty_head(log)
        if any(held.log != log for held in heads):
            raise VerificationError(Code.LOG_FORKED, "a head is of another log")
        self._held: dict[int, set[Digest]] = {}
        for held in heads:
            self._held.setdefault(held.size, set()).add(held.hash)
        self._compare()

    def add(self, data: bytes) -> LogEntry:
        """Return the next entry, once it continues the chain.

        Raises:
            VerificationError: LOG_BROKEN, or LOG_FORKED as `verify_chain`.
            FormatError: the entry is malformed.
        """
        entry, previous = _parse_entry(data)
        if entry.index != self._head.size or previous != self._head.hash:
            raise VerificationError(
                Code.LOG_BROKEN, f"log entry {self._head.size} does not continue the chain"
            )
        self._head = LogHead(size=self._head.size + 1, hash=entry_hash(data))
        self._compare()
        return entry

    def finish(self) -> LogHead:
        """Return the head of the whole log, once no head of a longer one is held.

        Raises:
            VerificationError: LOG_CUT.
        """
        longest = max(self._held, default=0)
        if longest > self._head.size:
            raise VerificationError(
                Code.LOG_CUT,
                f"the log has {self._head.size} entries; a signed head commits to {longest}",
            )
        return self._head

    def _compare(self) -> None:
        if self._held.get(self._head.size, {self._head.hash}) != {self._head.hash}:
            raise VerificationError(
                Code.LOG_FORKED, f"a signed head of size {self._head.size} is of other entries"
            )


def verify_chain(
    entries: Iterable[bytes], *, log: VerifyingKey, heads: Sequence[VerifiedHead]
) -> VerifiedLog:
    """Verify that `entries` are the whole log of `log` and agree with `heads` (spec/translog §4).

    Raises:
        VerificationError: LOG_BROKEN: an entry was edited, dropped, inserted or moved; LOG_CUT: a
            head is of a longer log than this; LOG_FORKED: a head of this size has another hash.
        FormatError: an entry is malformed.
    """
    verifier = ChainVerifier(log=log, heads=heads)
    parsed = tuple(verifier.add(data) for data in entries)
    return VerifiedLog(log=log, head=verifier.finish(), entries=parsed)


def _parse_entry(data: bytes) -> tuple[LogEntry, Digest]:
    fields = parse_json(data, limit=LOG_ENTRY_BYTES_MAX, what="log entry")
    if not isinstance(fields, dict) or set(fields) != _ENTRY_FIELDS:
        raise FormatError(Code.LOG_BROKEN, "a log entry has other fields")
    index, kind, body = fields["index"], fields["kind"], fields["body"]
    if type(index) is not int or not isinstance(kind, str) or not isinstance(body, dict):
        raise FormatError(Code.LOG_BROKEN, "a log entry's fields have other types")
    # One form only: else two byte strings would say the same and hash differently.
    if canonical_json(fields) != data:
        raise FormatError(Code.LOG_BROKEN, f"log entry {index} is not canonical JSON")
    try:
        moment = parse_time(fields["time"])
    except (TypeError, ValueError):
        raise FormatError(Code.LOG_BROKEN, f"log entry {index}: no time") from None
    entry = LogEntry(index=index, time=moment, kind=kind, body=MappingProxyType(body), data=data)
    return entry, parse_digest(fields["previous"])
