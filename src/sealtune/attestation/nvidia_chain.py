"""A chain of certificates up to one of NVIDIA's pinned roots (spec/attestation §16.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealtune.attestation.anchors import Root, RootUse, TrustAnchors
from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.core.limits import CHAIN_CERTIFICATES_MAX
from sealtune.crypto.x509 import (
    Certificate,
    VerifiedChain,
    parse_certificate,
    require_may_sign,
    verify_chain,
)
from sealtune.errors import Code, FormatError, VerificationError


@dataclass(frozen=True, slots=True, kw_only=True)
class RootedChain:
    """A verified chain, leaf first, and the pinned root that it ends at."""

    root: Root
    chain: VerifiedChain


def verify_rooted_chain(
    certificates: tuple[bytes, ...],
    *,
    use: RootUse,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
) -> RootedChain:
    """Verify `certificates`, leaf first, up to a root that is pinned for `use`.

    Authorities that are left out at the end are looked up in the endorsements.

    Raises:
        FormatError: no certificates, or one that cannot be read.
        VerificationError: an authority that is nowhere to be found, a root that is not trusted, a
            link that does not hold, a leaf that may not sign, or a certificate that is not valid
            at `now`.
    """
    if not certificates:
        raise FormatError(Code.EVIDENCE_MALFORMED, "NVIDIA: no certificates")
    chain = list(map(parse_certificate, certificates))
    while chain[-1].issuer != chain[-1].subject and len(chain) < CHAIN_CERTIFICATES_MAX:
        chain.append(_issuer_of(chain[-1], endorsements))
    root = anchors.find(chain[-1].digest, use=use)
    verified = verify_chain(chain, now=now)
    require_may_sign(verified.leaf)
    return RootedChain(root=root, chain=verified)


def _issuer_of(certificate: Certificate, endorsements: Endorsements) -> Certificate:
    for data in endorsements.of(EndorsementType.X509_CERTIFICATE):
        candidate = parse_certificate(data)
        if candidate.subject == certificate.issuer:
            return candidate
    raise VerificationError(
        Code.ENDORSEMENT_MISSING,
        f"the certificate of {certificate.issuer_cn!r}, who issued that of "
        f"{certificate.subject_cn!r}",
    )
