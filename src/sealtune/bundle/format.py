"""The clear parts of a SealedBundle: magic, footer, header, key slots (spec/bundle §2 to §5).

Parses and serializes; verifies no signature (`registration` does), reads no file (`reader` does).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import Digest, digest_bytes, parse_digest, sha256_digest
from sealtune.core.limits import (
    BUNDLE_HEADER_BYTES_MAX,
    BUNDLE_MANIFEST_BYTES_MAX,
    BUNDLE_SLOTS_BYTES_MAX,
    BUNDLE_SLOTS_MAX,
)
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.crypto.signing import VerifyingKey
from sealtune.errors import Code, FormatError

FORMAT: Final = "sealtune-bundle/1"
MAGIC: Final = b"SEALTUN1"
END_MAGIC: Final = b"1NUTLAES"
HEADER_TYPE: Final = "application/vnd.sealtune.bundle-header+json"
SLOTS_TYPE: Final = "application/vnd.sealtune.bundle-slots+json"
BUNDLE_ID_BYTES: Final = 16

_FOOTER = struct.Struct(">II8s")
FOOTER_BYTES: Final = _FOOTER.size
_BLAKE3 = re.compile(r"blake3:[0-9a-f]{64}")
_BUNDLE_ID = re.compile(r"[0-9a-f]{32}")
_LENGTH_MAX = 2**53 - 1
_STREAM_LABEL = b"sealtune/v1/bundle\0"
_SLOT_LABEL = b"sealtune/v1/content-key\0"


class BundleKind(StrEnum):
    """What a SealedBundle holds; visible to everybody."""

    DATASET = "dataset"
    MODEL = "model"
    TRAINING_CHECKPOINT = "training_checkpoint"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """The lengths of the two signed blocks, at the very end of the file (spec/bundle §2.2)."""

    header_length: int
    slots_length: int

    def to_bytes(self) -> bytes:
        """Return the 16 bytes that end a bundle."""
        return _FOOTER.pack(self.header_length, self.slots_length, END_MAGIC)


def parse_footer(data: bytes) -> Footer:
    """Return the footer in the last bytes of a bundle.

    Raises:
        FormatError: the end of the file is missing or a block is larger than allowed.
    """
    if len(data) != FOOTER_BYTES:
        raise truncated("too short to be a bundle")
    header_length, slots_length, magic = _FOOTER.unpack(data)
    if magic != END_MAGIC:
        raise truncated("the end of the file is missing or something follows it")
    if header_length > BUNDLE_HEADER_BYTES_MAX or slots_length > BUNDLE_SLOTS_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "bundle: header or slots larger than allowed")
    return Footer(header_length=header_length, slots_length=slots_length)


def parse_magic(data: bytes) -> None:
    """Return if `data`, the first 8 bytes of a file, begin a bundle of this version.

    Raises:
        FormatError: they do not.
    """
    if data[:-1] != MAGIC[:-1]:
        raise FormatError(Code.BUNDLE_MALFORMED, "not a SealedBundle: it begins otherwise")
    if data != MAGIC:
        remedy = "use the version of sealtune that made it, or a newer one"
        raise FormatError(Code.BUNDLE_VERSION, "a SealedBundle of another version", remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """All that a bundle shows to everybody (spec/bundle §4); its owner signs it."""

    kind: BundleKind
    bundle_id: bytes
    owner: VerifyingKey
    body_length: int
    body_digest: str
    manifest_length: int
    manifest_digest: Digest
    deidentification: Digest | None = None  # of the report's signed payload (spec/bundle §4.4)

    def to_payload(self) -> bytes:
        """Return the canonical JSON that the owner signs."""
        fields = {
            "body_digest": self.body_digest,
            "body_length": self.body_length,
            "bundle_id": self.bundle_id.hex(),
            "format": FORMAT,
            "kind": self.kind.value,
            "manifest_digest": self.manifest_digest,
            "manifest_length": self.manifest_length,
            "owner": self.owner.text,
        }
        if self.deidentification is not None:
            fields["deidentification"] = self.deidentification
        return canonical_json(fields)

    @property
    def digest(self) -> Digest:
        """The bundle's digest: commits to all of it but the key slots; contracts name it."""
        return sha256_digest(self.to_payload())


_HEADER_FIELDS = {
    "body_digest",
    "body_length",
    "bundle_id",
    "format",
    "kind",
    "manifest_digest",
    "manifest_length",
    "owner",
}


def parse_header(payload: bytes) -> Header:
    """Return the header that the canonical JSON `payload` is.

    Raises:
        FormatError: another version, a field too many or too few or of another form, a length
            beyond its limit, or not canonical.
    """
    value = parse_json(payload, limit=BUNDLE_HEADER_BYTES_MAX, what="bundle header")
    if not isinstance(value, dict):
        raise malformed("header", "not an object")
    if value.get("format") != FORMAT:
        remedy = "use the version of sealtune that made it, or a newer one"
        raise FormatError(Code.BUNDLE_VERSION, "a SealedBundle of another version", remedy=remedy)
    named = value.keys() & {"deidentification"}
    exact_fields(value, _HEADER_FIELDS | named, what="header")
    kind = _kind(value["kind"])
    if named and kind is not BundleKind.DATASET:
        raise malformed("header", "a de-identification report is of a dataset only")
    header = Header(
        kind=kind,
        bundle_id=bytes.fromhex(_matched(value["bundle_id"], _BUNDLE_ID, "bundle_id")),
        owner=VerifyingKey.parse(value["owner"]),
        body_length=bounded_int(value["body_length"], limit=_LENGTH_MAX, what="body_length"),
        body_digest=_matched(value["body_digest"], _BLAKE3, "body_digest"),
        manifest_length=bounded_int(
            value["manifest_length"], limit=BUNDLE_MANIFEST_BYTES_MAX, what="manifest_length"
        ),
        manifest_digest=parse_digest(value["manifest_digest"]),
        deidentification=parse_digest(value["deidentification"]) if named else None,
    )
    # spec/bundle §4.2: one spelling per header. `Header.digest` is computed from the fields, so a
    # second spelling would be signed bytes that the digest does not commit to.
    if header.to_payload() != payload:
        raise malformed("header", "not in canonical form")
    return header


@dataclass(frozen=True, slots=True)
class Slot:
    """The bundle's ContentKey, sealed to one recipient (spec/bundle §5)."""

    recipient: Digest
    wrapped: bytes


def slots_payload(digest: Digest, slots: tuple[Slot, ...]) -> bytes:
    """Return the canonical JSON of `slots` of the bundle `digest`, to be signed by its owner."""
    rows = [{"recipient": slot.recipient, "wrapped": b64encode(slot.wrapped)} for slot in slots]
    return canonical_json({"bundle": digest, "slots": rows})


def parse_slots(payload: bytes) -> tuple[Digest, tuple[Slot, ...]]:
    """Return the bundle digest that a slots payload names, and its slots.

    Raises:
        FormatError: another form, no slot, too many, or one recipient twice.
    """
    value = parse_json(payload, limit=BUNDLE_SLOTS_BYTES_MAX, what="bundle slots")
    rows = exact_fields(value, {"bundle", "slots"}, what="slots")["slots"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= BUNDLE_SLOTS_MAX:
        raise malformed("slots", f"not a list of 1 to {BUNDLE_SLOTS_MAX}")
    slots = tuple(_slot(row) for row in rows)
    if len({slot.recipient for slot in slots}) != len(slots):
        raise malformed("slots", "one recipient twice")
    return parse_digest(value["bundle"]), slots


def _slot(row: Any) -> Slot:
    fields = exact_fields(row, {"recipient", "wrapped"}, what="slot")
    wrapped = b64decode(fields["wrapped"], what="slot", code=Code.BUNDLE_MALFORMED)
    return Slot(parse_digest(fields["recipient"]), wrapped)


def entry_context(*, bundle_id: bytes, kind: BundleKind, index: int) -> bytes:
    """Return what binds entry `index`'s stream to its bundle and place (spec/bundle §3.2)."""
    return _stream_context(bundle_id, kind) + b"entry" + struct.pack(">I", index)


def manifest_context(*, bundle_id: bytes, kind: BundleKind) -> bytes:
    """Return what binds the manifest's stream to its bundle (spec/bundle §3.2)."""
    return _stream_context(bundle_id, kind) + b"manifest"


def slot_info(digest: Digest) -> bytes:
    """Return what binds a wrapped ContentKey to the bundle `digest` (spec/bundle §5.2)."""
    return _SLOT_LABEL + digest_bytes(digest)


def _stream_context(bundle_id: bytes, kind: BundleKind) -> bytes:
    return _STREAM_LABEL + bundle_id + kind.value.encode() + b"\0"


def exact_fields(value: Any, names: set[str], *, what: str) -> dict[str, Any]:
    """Return `value` if it is an object with exactly the fields `names`.

    Raises:
        FormatError: it is not; `what` names it.
    """
    if not isinstance(value, dict) or value.keys() != names:
        raise malformed(what, f"not an object with exactly {', '.join(sorted(names))}")
    return value


def bounded_int(value: Any, *, limit: int, what: str) -> int:
    """Return `value` if it is an integer from 0 to `limit`.

    Raises:
        FormatError: it is not; `what` names it.
    """
    if type(value) is not int or not 0 <= value <= limit:
        raise malformed(what, f"not an integer from 0 to {limit}")
    return value


def malformed(what: str, reason: str) -> FormatError:
    """Return the error for a part of a bundle that has another form."""
    return FormatError(Code.BUNDLE_MALFORMED, f"bundle {what}: {reason}")


def truncated(reason: str) -> FormatError:
    """Return the error for a file that is cut or grown."""
    remedy = "copy the file again from its owner and compare the digest"
    return FormatError(Code.BUNDLE_TRUNCATED, f"bundle: {reason}", remedy=remedy)


def _kind(value: Any) -> BundleKind:
    # An enum of strings compares by value; a list or a number must not reach its constructor.
    if not isinstance(value, str) or value not in set(BundleKind):
        raise malformed("header", "unknown kind")
    return BundleKind(value)


def _matched(value: Any, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise malformed("header", f"{what} has another form")
    return value
