"""What OCSP responses say about the authorities of a device or RIM (spec/attestation §16.6).

A response that is given must be good. Whether there must be one is appraisal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType

from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.crypto.ocsp import OcspResponse, parse_ocsp, public_key_bits, verify_ocsp
from sealtune.crypto.x509 import Certificate

# A response names an issuer by hashes of its name and key (RFC 6960 §4.1.1); these by their length.
_HASHES = {20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Common names: of certificates that a current response calls good, and those without one."""

    good: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every certificate that was asked about is known to be good."""
        return not self.unknown


def require_not_revoked(
    certificates: Sequence[Certificate], *, endorsements: Endorsements, now: datetime
) -> Revocation:
    """Verify each response about `certificates`; the last one is the root and only issues.

    Raises:
        FormatError: a response that cannot be read.
        VerificationError: a certificate that is revoked or on hold, or a response that is not its
            issuer's, not current, or in two minds.
    """
    responses = _by_serial(endorsements.of(EndorsementType.OCSP))
    good: list[str] = []
    unknown: list[str] = []
    for certificate, issuer in pairwise(certificates):
        about = [
            data
            for data, parsed in responses.get(certificate.serial, {}).items()
            if _is_about(parsed, certificate, issuer)
        ]
        for data in about:
            verify_ocsp(data, certificate=certificate, issuer=issuer, now=now)
        (good if about else unknown).append(certificate.subject_cn)
    return Revocation(good=tuple(good), unknown=tuple(unknown))


# Pure: the devices of a machine are verified with one set, of which each needs a few.
@lru_cache(maxsize=4)
def _by_serial(documents: tuple[bytes, ...]) -> Mapping[int, Mapping[bytes, OcspResponse]]:
    """Return the responses by the serial numbers of the certificates that they are about."""
    listed: dict[int, dict[bytes, OcspResponse]] = {}
    for data in documents:
        parsed = parse_ocsp(data)
        for answer in parsed.answers:
            listed.setdefault(answer.about.serial, {})[data] = parsed
    return MappingProxyType(listed)


def _is_about(response: OcspResponse, certificate: Certificate, issuer: Certificate) -> bool:
    # Only to leave out what concerns other devices. What a response that is taken says, and
    # whether it may, `verify_ocsp` finds out.
    key = public_key_bits(issuer)
    return any(
        about.serial == certificate.serial
        and about.issuer_name == _hash(issuer.subject, size=len(about.issuer_name))
        and about.issuer_key == _hash(key, size=len(about.issuer_key))
        for about in (answer.about for answer in response.answers)
    )


def _hash(data: bytes, *, size: int) -> bytes:
    # Of another length than any that is known, nothing is equal to it.
    return hashlib.new(_HASHES.get(size, "sha256"), data, usedforsecurity=False).digest()
