"""What OCSP responses say about the authorities of a device or RIM (spec/attestation §16.6).

A response that is given must be good. Whether there must be one is appraisal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.crypto.ocsp import OcspResponse, parse_ocsp, verify_ocsp
from sealtune.crypto.x509 import Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Common names: of certificates that a current response calls good, and those without one."""

    good: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every certificate that was asked about is known to be good."""
        return bool(self.good) and not self.unknown


def require_not_revoked(
    certificates: Sequence[Certificate], *, endorsements: Endorsements, now: datetime
) -> Revocation:
    """Verify each response about `certificates`; the last one is the root and only issues.

    Raises:
        FormatError: a response that cannot be read.
        VerificationError: a certificate that is revoked or on hold, or a response that is not its
            issuer's, not current, or in two minds.
    """
    responses = [(data, parse_ocsp(data)) for data in endorsements.of(EndorsementType.OCSP)]
    good: list[str] = []
    unknown: list[str] = []
    for certificate, issuer in pairwise(certificates):
        about = [data for data, parsed in responses if _is_about(parsed, certificate)]
        for data in about:
            verify_ocsp(data, certificate=certificate, issuer=issuer, now=now)
        (good if about else unknown).append(certificate.subject_cn)
    return Revocation(good=tuple(good), unknown=tuple(unknown))


def _is_about(response: OcspResponse, certificate: Certificate) -> bool:
    # By number, which NVIDIA's authorities do not share: whose it is, `verify_ocsp` finds out.
    return any(answer.about.serial == certificate.serial for answer in response.answers)
