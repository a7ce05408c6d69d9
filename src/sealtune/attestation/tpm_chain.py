"""The certificate chain of a TPM's key, up to a pinned root and past revocation (§13.2).

A TPM holds the certificate of its key only; what is missing above it comes from the endorsements,
and so do revocation lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sealtune.attestation.anchors import Root, RootUse, TrustAnchors
from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.core.limits import CHAIN_CERTIFICATES_MAX
from sealtune.crypto.crl import parse_crl, verify_crl
from sealtune.crypto.x509 import Certificate, parse_certificate, verify_chain
from sealtune.errors import Code, SealtuneError, VerificationError


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmKeyChain:
    """A verified chain: the key's certificate, its root, and how many revocation lists spoke."""

    leaf: Certificate
    root: Root
    lists: int


def verify_tpm_chain(
    certificates: tuple[bytes, ...],
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
) -> TpmKeyChain:
    """Verify the chain of `certificates`, leaf first, completed from `endorsements`.

    Raises:
        FormatError: a certificate or a revocation list cannot be read.
        VerificationError: a certificate is missing, revoked, not valid at `now` or not issued by
            the next, the root is not in `anchors`, or a list of one of the issuers does not hold.
    """
    chain = _complete(tuple(map(parse_certificate, certificates)), endorsements)
    root = anchors.find(chain[-1].digest, use=RootUse.TPM)
    verify_chain(chain, now=now)
    lists = _require_not_revoked(chain, endorsements, now)
    return TpmKeyChain(leaf=chain[0], root=root, lists=lists)


def _complete(
    given: tuple[Certificate, ...], endorsements: Endorsements
) -> tuple[Certificate, ...]:
    chain = list(given)
    while chain[-1].issuer != chain[-1].subject and len(chain) < CHAIN_CERTIFICATES_MAX:
        last = chain[-1]
        found = next(
            (issuer for issuer in _readable(endorsements) if issuer.subject == last.issuer), None
        )
        if found is None:
            raise VerificationError(
                Code.ENDORSEMENT_MISSING,
                f"the certificate of {last.issuer_cn!r}, who issued that of {last.subject_cn!r}",
            )
        chain.append(found)
    return tuple(chain)


def _readable(endorsements: Endorsements) -> Iterator[Certificate]:
    for data in endorsements.of(EndorsementType.X509_CERTIFICATE):
        try:
            yield parse_certificate(data)
        except SealtuneError:
            # Other kinds of evidence have certificates of other forms in the same set.
            continue


def _require_not_revoked(
    chain: tuple[Certificate, ...], endorsements: Endorsements, now: datetime
) -> int:
    consulted = 0
    for data in endorsements.of(EndorsementType.X509_CRL):
        crl = parse_crl(data)
        for certificate, issuer in zip(chain, (*chain[1:], chain[-1]), strict=True):
            # Lists of other vendors come in the same set.
            if crl.issuer == issuer.subject:
                verify_crl(crl, issuer=issuer, now=now).require_not_revoked(certificate)
                consulted += 1
    return consulted
