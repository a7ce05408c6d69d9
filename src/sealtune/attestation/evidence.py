"""Evidence as it travels: raw bytes and the certificates that endorse them (spec/attestation §2).

Bounded and strict about form; says nothing about truth. That is `verify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sealtune.core.limits import (
    CERTIFICATE_BYTES_MAX,
    CHAIN_CERTIFICATES_MAX,
    EVIDENCE_BYTES_MAX,
)
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.errors import Code, FormatError


class EvidenceKind(StrEnum):
    """The formats of evidence that a verifier exists for."""

    SEV_SNP = "sev-snp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an Attester produced, unverified.

    `certificates` are DER, the key that signed the report first, the vendor's root last.

    Raises:
        FormatError: more bytes or certificates than any honest evidence has.
    """

    kind: EvidenceKind
    report: bytes
    certificates: tuple[bytes, ...]

    def __post_init__(self) -> None:
        # spec/attestation §2.2: bounds come before any parsing.
        if len(self.certificates) > CHAIN_CERTIFICATES_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, "evidence: too many certificates")
        if any(len(certificate) > CERTIFICATE_BYTES_MAX for certificate in self.certificates):
            raise FormatError(Code.LIMIT_EXCEEDED, "evidence: a certificate is too large")
        if len(self.report) + sum(map(len, self.certificates)) > EVIDENCE_BYTES_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, "evidence: too many bytes")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of spec/attestation §2.1."""
        return {
            "kind": str(self.kind),
            "report": b64encode(self.report),
            "certificates": [b64encode(certificate) for certificate in self.certificates],
        }


def evidence_from_dict(value: object) -> Evidence:
    """Return the Evidence that the JSON object `value` holds.

    Raises:
        FormatError: missing or unknown fields, an unknown kind, text that is not base64url, or
            more bytes than allowed.
    """
    if not isinstance(value, dict) or value.keys() != {"kind", "report", "certificates"}:
        raise _malformed("an object of kind, report and certificates belongs here")
    listing = value["certificates"]
    if not isinstance(listing, list) or len(listing) > CHAIN_CERTIFICATES_MAX:
        raise _malformed("certificates are a list of at most 8 texts")
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in set(EvidenceKind):
        raise FormatError(Code.EVIDENCE_KIND, "evidence: of a kind that nobody here verifies")
    return Evidence(
        kind=EvidenceKind(kind),
        report=_bytes(value["report"], limit=EVIDENCE_BYTES_MAX),
        certificates=tuple(_bytes(text, limit=CERTIFICATE_BYTES_MAX) for text in listing),
    )


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.EVIDENCE_MALFORMED, f"evidence: {reason}")


def _bytes(text: object, *, limit: int) -> bytes:
    # Four characters carry three bytes: refuse before decoding.
    if isinstance(text, str) and len(text) > limit // 3 * 4 + 4:
        raise FormatError(Code.LIMIT_EXCEEDED, f"evidence: a part is larger than {limit} bytes")
    return b64decode(text, what="evidence", code=Code.EVIDENCE_MALFORMED)
