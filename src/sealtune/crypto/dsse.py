"""DSSE envelopes (Dead Simple Signing Envelope, v1.0.2) with Ed25519 signatures.

What is signed is the pre-authentication encoding of type and payload, so a payload never passes for
another type. Verification demands each required key and refuses signatures that it cannot attribute
to one of them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.limits import ENVELOPE_BYTES_MAX
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, FormatError, VerificationError

_SIGNATURES_MAX = 64


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of an envelope and the digest that names its key (a hint, never trusted)."""

    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Signed bytes that nobody has verified yet."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the envelope as DSSE's JSON object."""
        return {
            "payload": _encode(self.payload),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": item.key_id, "sig": _encode(item.signature)} for item in self.signatures
            ],
        }

    def to_json(self) -> bytes:
        """Return the envelope as canonical JSON."""
        return canonical_json(self.to_dict())


@dataclass(frozen=True, slots=True)
class VerifiedPayload:
    """Bytes that every one of `signers` has signed as `payload_type`."""

    payload_type: str
    payload: bytes
    signers: frozenset[VerifyingKey]


def parse_envelope(data: bytes, *, what: str = "envelope") -> Envelope:
    """Return the envelope in `data`, unverified; `what` names it in errors.

    Raises:
        FormatError: not a DSSE envelope.
    """
    return envelope_from_dict(parse_json(data, limit=ENVELOPE_BYTES_MAX, what=what), what=what)


def envelope_from_dict(value: Any, *, what: str = "envelope") -> Envelope:
    """Return the envelope that the JSON object `value` is, unverified.

    Raises:
        FormatError: not a DSSE envelope.
    """
    fields = _exact_object(value, {"payload", "payloadType", "signatures"}, what)
    if not isinstance(fields["payloadType"], str) or len(fields["payloadType"]) > 256:
        raise _malformed(what, "payloadType is not a short text")
    items = fields["signatures"]
    if not isinstance(items, list) or not 1 <= len(items) <= _SIGNATURES_MAX:
        raise _malformed(what, f"signatures is not a list of 1 to {_SIGNATURES_MAX}")
    signatures = []
    for item in items:
        entry = _exact_object(item, {"keyid", "sig"}, what)
        if not isinstance(entry["keyid"], str) or len(entry["keyid"]) > 128:
            raise _malformed(what, "keyid is not a short text")
        signatures.append(Signature(entry["keyid"], _decode(entry["sig"], what)))
    payload = _decode(fields["payload"], what)
    return Envelope(fields["payloadType"], payload, tuple(signatures))


def sign_envelope(payload: bytes, *, payload_type: str, keys: Sequence[SigningKey]) -> Envelope:
    """Return `payload` signed as `payload_type` by every key of `keys` (at least one)."""
    if not keys:
        raise ValueError("an envelope needs a signature")
    encoded = pre_authentication_encoding(payload_type, payload)
    signatures = tuple(Signature(key.public.key_id, key.sign(encoded)) for key in keys)
    return Envelope(payload_type, payload, signatures)


def add_signature(envelope: Envelope, key: SigningKey) -> Envelope:
    """Return `envelope` with `key`'s signature added, or put in the place of its former one."""
    encoded = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    kept = tuple(item for item in envelope.signatures if item.key_id != key.public.key_id)
    own = Signature(key.public.key_id, key.sign(encoded))
    return Envelope(envelope.payload_type, envelope.payload, (*kept, own))


def verify_envelope(
    envelope: Envelope, *, payload_type: str, required: Sequence[VerifyingKey]
) -> VerifiedPayload:
    """Return the payload once every key of `required` has a valid signature on it.

    Raises:
        VerificationError: another type, a required signature missing or invalid, or a signature
            that is not one of the required keys'.
    """
    if not required:
        raise ValueError("verification needs at least one required key")
    if envelope.payload_type != payload_type:
        raise VerificationError(Code.ENVELOPE_TYPE, f"signed as {envelope.payload_type[:80]!r}")
    encoded = pre_authentication_encoding(payload_type, envelope.payload)
    by_id: dict[str, bytes] = {}
    for item in envelope.signatures:
        if item.key_id in by_id:
            raise VerificationError(Code.SIGNATURE_INVALID, "one key signs twice")
        by_id[item.key_id] = item.signature
    for key in required:
        signature = by_id.pop(key.key_id, None)
        if signature is None:
            raise VerificationError(Code.SIGNATURE_MISSING, f"no signature by {key.text}")
        key.verify(signature, encoded)
    if by_id:
        message = f"a signature by a key that is not expected here: {next(iter(by_id))[:80]}"
        raise VerificationError(Code.SIGNATURE_INVALID, message)
    return VerifiedPayload(payload_type, envelope.payload, frozenset(required))


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's PAE(type, payload): the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: object, what: str) -> bytes:
    if isinstance(text, str):
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass
        else:
            # One spelling per value: unused bits set would make two texts of one payload.
            if _encode(data) == text:
                return data
    raise _malformed(what, "not base64")


def _exact_object(value: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != names:
        raise _malformed(what, f"not an object with exactly {', '.join(sorted(names))}")
    return value


def _malformed(what: str, reason: str) -> FormatError:
    return FormatError(Code.ENVELOPE_MALFORMED, f"{what}: {reason}")
