"""Finds the certificates that an SNP report needs and came without (spec/attestation §6.7).

Looks for names, and tries signatures; what it finds is verified like a chain that came with the
evidence, by `snp_endorsement`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sealtune.attestation.anchors import Product, RootUse, TrustAnchors
from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.attestation.snp_endorsement import HWID_BYTES, VekIdentity, read_vek_identity
from sealtune.attestation.snp_report import Signer, SnpReport, decode_tcb, product_of
from sealtune.crypto.x509 import Certificate, parse_certificate, verify_issued
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

CHAIN_LENGTH: Final = 3
_KDS: Final = "https://kdsintf.amd.com"
# In the order of AMD's documentation; fmc exists from Turin on.
_LEVELS: Final = ("fmc", "bl", "tee", "snp", "ucode")


def complete_chain(
    certificates: tuple[bytes, ...],
    *,
    report: SnpReport,
    anchors: TrustAnchors,
    endorsements: Endorsements,
) -> tuple[bytes, ...]:
    """Return the key's certificate, the intermediate's and the root's for `report`.

    What `certificates`, those that came with the report, lack is taken from `endorsements`. A chain
    that came whole is returned as it is.

    Raises:
        FormatError: a certificate that came with the report cannot be read.
        VerificationError: a certificate is missing; the remedy says where AMD has it.
    """
    if len(certificates) >= CHAIN_LENGTH:
        return certificates
    given = tuple(map(parse_certificate, certificates))
    pool = (*given[1:], *_readable(endorsements.of(EndorsementType.X509_CERTIFICATE)))
    vek = given[0] if given else _find_vek(pool, report)
    intermediate = _find_issuer(
        vek, pool, lambda _: True, remedy=_chain_remedy(report.signer, vek.issuer_cn)
    )
    ark = _find_issuer(
        intermediate,
        pool,
        lambda candidate: _is_anchor(candidate, anchors),
        remedy=_chain_remedy(report.signer, vek.issuer_cn),
    )
    chain = (vek.raw, intermediate.raw, ark.raw)
    if not set(certificates) <= set(chain):
        # Bytes that nobody reads are a second spelling of the same evidence, or a place to smuggle.
        raise FormatError(
            Code.EVIDENCE_MALFORMED, "SNP evidence: a certificate that is not of its chain"
        )
    return chain


def _readable(items: tuple[bytes, ...]) -> Iterator[Certificate]:
    for item in items:
        try:
            yield parse_certificate(item)
        except SealtuneError:
            # Other kinds of evidence have certificates of other forms in the same set; one that
            # cannot be read is none of those that are looked for.
            continue


def _find_vek(pool: tuple[Certificate, ...], report: SnpReport) -> Certificate:
    for candidate in pool:
        if _matches(candidate, report):
            return candidate
    raise VerificationError(
        Code.ENDORSEMENT_MISSING,
        f"SNP report: the {report.signer} that signed it is neither with it nor an endorsement",
        remedy=_vek_remedy(report),
    )


def _matches(candidate: Certificate, report: SnpReport) -> bool:
    try:
        identity: VekIdentity = read_vek_identity(candidate, signer=report.signer)
    except SealtuneError:
        return False
    if product_of(report) not in (None, identity.product):
        return False
    # Below one root there are keys for every chip and TCB; only one has signed this.
    return identity.tcb == decode_tcb(report.reported_tcb, product=identity.product) and (
        report.signer is Signer.VLEK
        or report.chip_id == identity.hwid.ljust(len(report.chip_id), b"\0")
    )


def _find_issuer(
    certificate: Certificate,
    pool: tuple[Certificate, ...],
    accepts: Callable[[Certificate], bool],
    *,
    remedy: str,
) -> Certificate:
    for candidate in pool:
        if not accepts(candidate):
            continue
        try:
            # Compares names first. Two authorities may have one: a renewed one, and the one that it
            # renews.
            verify_issued(certificate, issuer=candidate)
        except VerificationError:
            continue
        return candidate
    raise VerificationError(
        Code.ENDORSEMENT_MISSING,
        f"SNP report: the certificate of {certificate.issuer_cn!r} is neither with it nor an "
        "endorsement",
        remedy=remedy,
    )


def _is_anchor(candidate: Certificate, anchors: TrustAnchors) -> bool:
    root = anchors.roots.get(candidate.digest)
    return root is not None and root.use is RootUse.AMD_ARK


def _chain_remedy(signer: Signer, issuer: str) -> str:
    product = issuer.rpartition("-")[2]
    if product not in set(Product):
        return f"give the chain of {issuer!r} as endorsements"
    return f"give what {_KDS}/{signer.lower()}/v1/{product}/cert_chain has as endorsements"


def _vek_remedy(report: SnpReport) -> str:
    if report.signer is Signer.VLEK:
        return "give the VLEK that the provider's host attaches to an extended report"
    if not any(report.chip_id):
        return "this platform masks its chip's identity: only its host can give the VCEK"
    product = product_of(report)
    if product is None:
        return "give the chip's VCEK as an endorsement"
    tcb = decode_tcb(report.reported_tcb, product=product)
    levels = "&".join(
        f"{name}SPL={level:02}" for name in _LEVELS if (level := getattr(tcb, name)) is not None
    )
    chip = report.chip_id[: HWID_BYTES[product]].hex()
    return f"give what {_KDS}/vcek/v1/{product}/{chip}?{levels} has as an endorsement"
