"""AMD's revocation lists, as far as they speak about an SNP report's chain (spec/attestation §6.6).

A list that is there is heeded; whether one must be there is appraisal.
"""

from __future__ import annotations

from datetime import datetime

from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.core.digest import Digest
from sealtune.crypto.crl import parse_crl, verify_crl
from sealtune.crypto.x509 import Certificate


def require_not_revoked(
    intermediate: Certificate, ark: Certificate, *, endorsements: Endorsements, now: datetime
) -> tuple[Digest, ...]:
    """Verify that no list of `ark` revokes `intermediate`; return the digests of those consulted.

    Both certificates are verified ones. The key that signs reports is not looked up: the ARK did
    not issue it, and every VCEK has serial number 0, so that an entry which named it by number
    would name all of AMD's processors. What AMD can revoke is the intermediate, with all below it.

    Raises:
        FormatError: a revocation list cannot be read.
        VerificationError: a list of `ark` revokes the chain, is not current, or is not signed by
            it.
    """
    consulted = []
    for data in endorsements.of(EndorsementType.X509_CRL):
        crl = parse_crl(data)
        # Lists of other product lines, and of other vendors, come in the same set.
        if crl.issuer != ark.subject:
            continue
        # AMD hands out one list beside the VCEKs and one beside the VLEKs, both the ARK's: each
        # that is there must hold, or leaving out the one that revokes would be enough.
        verified = verify_crl(crl, issuer=ark, now=now)
        for certificate in (intermediate, ark):
            verified.require_not_revoked(certificate)
        consulted.append(crl.digest)
    return tuple(consulted)
