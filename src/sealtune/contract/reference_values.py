"""ReferenceValues: what an image measures to, signed (docs/spec/reference-values.md §2, §5).

Says whose word the values are, nothing more: whoever doubts the signer measures the image anew. A
contract's draft copies an entry; what is signed there is the values themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sealtune.attestation.evidence import EvidenceKind
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import Digest, parse_digest
from sealtune.core.limits import CONTRACT_MEASUREMENTS_MAX, KIB
from sealtune.crypto.dsse import parse_envelope, sign_envelope, verify_envelope
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, FormatError

PAYLOAD_TYPE: Final = "application/vnd.sealtune.reference-values+json"
FORMAT: Final = "sealtune-reference-values/1"
REFERENCE_VALUES_BYTES_MAX: Final = 256 * KIB  # 4x 64 launches and all else that an image has
ENTRIES_MAX: Final = 256
ENTRY_NAME_MAX: Final = 64
NOTE_MAX: Final = 400
REGISTERS_MAX: Final = 32

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
_REGISTER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_HEX = frozenset("0123456789abcdef")
_PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))
_MEASUREMENT_DIGITS = {
    EvidenceKind.SEV_SNP: 96,
    EvidenceKind.TDX: 96,
    EvidenceKind.SGX: 64,
}
_KINDS = (*_MEASUREMENT_DIGITS, EvidenceKind.TPM_VM)
_REGISTER_DIGITS = frozenset({64, 96})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceEntry:
    """What evidence of one kind shows for an image; `note` says how far to believe it.

    Raises:
        FormatError: values that no evidence of `kind` has, none at all, or too many.
    """

    kind: EvidenceKind
    measurements: tuple[str, ...]
    registers: Mapping[str, tuple[str, ...]]
    note: str

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise _malformed(f"kind {self.kind} has no values that an image determines")
        if not self.measurements and not self.registers:
            raise _malformed("an entry without a value")
        _check_values(self.measurements, digits=_measurement_digits(self.kind))
        if len(self.registers) > REGISTERS_MAX:
            raise _malformed(f"more than {REGISTERS_MAX} registers")
        for name, values in self.registers.items():
            if not 2 <= len(name) <= ENTRY_NAME_MAX or not _REGISTER.issuperset(name):
                raise _malformed("a register without a name")
            if not values:
                raise _malformed(f"no value for {name}")
            _check_values(values, digits=_REGISTER_DIGITS)
        if len(self.note) > NOTE_MAX or not _PRINTABLE.issuperset(self.note):
            raise _malformed(f"a note is at most {NOTE_MAX} printable ASCII characters")

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as its JSON object."""
        return {
            "kind": str(self.kind),
            "measurements": list(self.measurements),
            "registers": {name: list(values) for name, values in self.registers.items()},
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceValues:
    """The entries of one image by name; nobody has verified who says so.

    `image` is the digest of its `image.json`, which names every file.

    Raises:
        FormatError: no entry, too many, or a name that is none.
    """

    image: Digest
    entries: Mapping[str, ReferenceEntry]

    def __post_init__(self) -> None:
        if not 1 <= len(self.entries) <= ENTRIES_MAX:
            raise _malformed(f"not 1 to {ENTRIES_MAX} entries")
        for name in self.entries:
            if not 1 <= len(name) <= ENTRY_NAME_MAX or not _NAME.issuperset(name):
                raise _malformed("an entry whose name is not letters, digits, dots and dashes")

    def to_dict(self) -> dict[str, Any]:
        """Return the payload as its JSON object."""
        return {
            "format": FORMAT,
            "image": self.image,
            "entries": {name: entry.to_dict() for name, entry in self.entries.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReferenceValues:
    """Reference values that `signer` signed; only `verify_reference_values` makes it."""

    values: ReferenceValues
    signer: VerifyingKey


def sign_reference_values(values: ReferenceValues, *, key: SigningKey) -> bytes:
    """Return `values` in an envelope signed by `key`, as canonical JSON.

    Raises:
        FormatError: they are more than a reader takes.
    """
    payload = canonical_json(values.to_dict())
    envelope = sign_envelope(payload, payload_type=PAYLOAD_TYPE, keys=(key,)).to_json()
    if len(envelope) > REFERENCE_VALUES_BYTES_MAX:
        raise _malformed(f"more than {REFERENCE_VALUES_BYTES_MAX} bytes")
    return envelope


def verify_reference_values(data: bytes, *, key: VerifyingKey) -> VerifiedReferenceValues:
    """Return the reference values in the envelope `data` once `key`, and nobody else, signed them.

    Raises:
        FormatError: not an envelope, or its payload is not what §2 says.
        VerificationError: another document, another signer, or changed.
    """
    envelope = parse_envelope(_bounded(data), what="reference values")
    verified = verify_envelope(envelope, payload_type=PAYLOAD_TYPE, required=(key,))
    return VerifiedReferenceValues(values=parse_reference_values(verified.payload), signer=key)


def read_reference_values(data: bytes) -> ReferenceValues:
    """Return the reference values in the envelope `data` with its signatures unchecked.

    Raises:
        FormatError: not an envelope of reference values.
    """
    envelope = parse_envelope(_bounded(data), what="reference values")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise _malformed(f"an envelope of {envelope.payload_type[:80]!r}")
    return parse_reference_values(envelope.payload)


def parse_reference_values(payload: bytes) -> ReferenceValues:
    """Return the reference values that the canonical JSON `payload` spells.

    Raises:
        FormatError: too large, not canonical, a member missing, unknown or wrong.
    """
    value = parse_json(payload, limit=REFERENCE_VALUES_BYTES_MAX, what="reference values")
    fields = _exact(value, "format", "image", "entries")
    if fields["format"] != FORMAT:
        raise _malformed(f"the format is not {FORMAT}")
    entries = fields["entries"]
    if not isinstance(entries, dict) or len(entries) > ENTRIES_MAX:
        raise _malformed(f"entries are an object of at most {ENTRIES_MAX}")
    values = ReferenceValues(
        image=parse_digest(fields["image"]),
        entries=MappingProxyType({name: _entry(item) for name, item in entries.items()}),
    )
    # One spelling, so that two readers never see two documents in what was signed.
    if canonical_json(values.to_dict()) != payload:
        raise _malformed("not in canonical form")
    return values


def _bounded(data: bytes) -> bytes:
    if len(data) > REFERENCE_VALUES_BYTES_MAX:
        message = f"reference values: larger than {REFERENCE_VALUES_BYTES_MAX} bytes"
        raise FormatError(Code.LIMIT_EXCEEDED, message)
    return data


def _entry(value: object) -> ReferenceEntry:
    fields = _exact(value, "kind", "measurements", "registers", "note")
    registers = fields["registers"]
    if not isinstance(registers, dict) or not isinstance(fields["note"], str):
        raise _malformed("registers are an object, a note is text")
    try:
        kind = EvidenceKind(fields["kind"])
    except ValueError:
        raise _malformed("an entry of an unknown kind") from None
    return ReferenceEntry(
        kind=kind,
        measurements=_texts(fields["measurements"]),
        registers=MappingProxyType({name: _texts(values) for name, values in registers.items()}),
        note=fields["note"],
    )


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _malformed("values are a list of texts")
    return tuple(value)


def _measurement_digits(kind: EvidenceKind) -> frozenset[int]:
    digits = _MEASUREMENT_DIGITS.get(kind)
    return frozenset() if digits is None else frozenset({digits})


def _check_values(values: tuple[str, ...], *, digits: frozenset[int]) -> None:
    if len(values) > CONTRACT_MEASUREMENTS_MAX or len(set(values)) != len(values):
        raise _malformed(f"more than {CONTRACT_MEASUREMENTS_MAX} values, or one twice")
    if any(len(value) not in digits or not _HEX.issuperset(value) for value in values):
        raise _malformed("a value that is not a digest in hexadecimal, or none of this kind")


def _exact(value: object, *names: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise _malformed(f"not an object with exactly {', '.join(names)}")
    return value


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.IMAGE_MALFORMED, f"reference values: {reason}")
