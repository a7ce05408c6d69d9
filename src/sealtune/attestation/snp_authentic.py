"""Whether an SNP report is authentic: its signature, chain and bindings (spec/attestation §5, §6).

What stands between a report's bytes and claims that AMD vouches for. Azure's evidence has such a
report inside, so this is no part of one verifier. Freshness and acceptance are decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealtune.attestation.anchors import Product, Root, TrustAnchors
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.snp_chain import complete_chain
from sealtune.attestation.snp_endorsement import Endorsement, verify_endorsement
from sealtune.attestation.snp_fields import snp_fields, tcb_fields
from sealtune.attestation.snp_report import (
    Signer,
    SnpReport,
    decode_tcb,
    generation_of,
    parse_snp_report,
)
from sealtune.attestation.snp_revocation import require_not_revoked
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import Claims, SnpClaims
from sealtune.core.digest import Digest
from sealtune.crypto.ecdsa import verify_ecdsa_p384
from sealtune.errors import Code, VerificationError

_POLICY_DEBUG = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticSnp:
    """A report that AMD vouches for, and the root that says so."""

    root: Root
    claims: SnpClaims


def authenticate_snp(
    report_bytes: bytes,
    certificates: tuple[bytes, ...],
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticSnp:
    """Return the claims of an SNP report that a VCEK or VLEK under a pinned ARK signed.

    Raises:
        FormatError: the report or a certificate cannot be read.
        VerificationError: a root that is not in `anchors`, a chain, signature or binding that does
            not hold, a certificate that is missing, revoked or not valid at `now`, or a revocation
            list that is not.
    """
    report = parse_snp_report(report_bytes)
    steps.passed("format", f"SNP report of version {report.version}, {len(report_bytes)} bytes")
    chain = complete_chain(certificates, report=report, anchors=anchors, endorsements=endorsements)
    endorsement = verify_endorsement(chain, signer=report.signer, anchors=anchors, now=now)
    steps.passed("chain", f"{report.signer} up to the pinned root of {endorsement.root.vendor}")
    crls = require_not_revoked(
        endorsement.intermediate, endorsement.ark, endorsements=endorsements, now=now
    )
    if crls:
        steps.passed("revocation", f"{endorsement.intermediate.subject_cn} is in no list of AMD's")
    else:
        steps.skipped("revocation", "no revocation list of this root is among the endorsements")
    _verify_signature(report, endorsement)
    steps.passed("signature", f"ECDSA P-384 over the report's bytes by this {report.signer}")
    claims = _claims(report, endorsement, crls)
    steps.passed("tcb binding", f"the {report.signer} is for {claims.reported_tcb}")
    return AuthenticSnp(root=endorsement.root, claims=claims)


def snp_common_claims(authentic: AuthenticSnp) -> Claims:
    """Return what an SNP report says in the words that all kinds share."""
    claims = authentic.claims
    report = claims.report
    identity = {"chip_id": report.chip_id.hex()}
    if claims.signer is Signer.VLEK:
        identity["csp_id"] = claims.csp_id
    return Claims(
        vendor=authentic.root.vendor,
        platform="AMD SEV-SNP",
        generation=str(claims.generation),
        signer=str(claims.signer),
        tcb={
            "reported": tcb_fields(claims.reported_tcb),
            "committed": tcb_fields(claims.committed_tcb),
            "current": tcb_fields(claims.current_tcb),
            "launch": tcb_fields(claims.launch_tcb),
            "firmware": ".".join(map(str, report.current_version)),
            "revocation_lists": list(claims.crls),
        },
        debug=bool(report.policy >> _POLICY_DEBUG & 1),
        memory_protected=True,
        measurement=report.measurement.hex(),
        registers={},
        host_data=report.host_data,
        identity=identity,
        fields=snp_fields(claims),
    )


def _verify_signature(report: SnpReport, endorsement: Endorsement) -> None:
    # spec/attestation §5.2: over the bytes as they came. Serializing the parsed fields again would
    # drop bits that we do not know.
    try:
        verify_ecdsa_p384(
            endorsement.spki, r=report.signature_r, s=report.signature_s, message=report.signed
        )
    except VerificationError as error:
        raise VerificationError(
            Code.EVIDENCE_SIGNATURE, f"SNP report: not signed by this {endorsement.signer}"
        ) from error


def _claims(report: SnpReport, endorsement: Endorsement, crls: tuple[Digest, ...]) -> SnpClaims:
    product = endorsement.product
    generation = generation_of(report, product=product)
    reported = decode_tcb(report.reported_tcb, product=product)
    # spec/attestation §6.4: AMD derives the key from chip and TCB, so the certificate's values are
    # the truth; the report's are what later rules read.
    if reported != endorsement.tcb:
        raise VerificationError(
            Code.EVIDENCE_TCB_BINDING,
            f"SNP report: reported TCB {reported}, its {endorsement.signer} is for "
            f"{endorsement.tcb}",
        )
    if endorsement.signer is Signer.VCEK:
        _require_chip(report, hwid=endorsement.hwid, product=product)
    return SnpClaims(
        report=report,
        generation=generation,
        signer=endorsement.signer,
        csp_id=endorsement.csp_id,
        reported_tcb=reported,
        committed_tcb=decode_tcb(report.committed_tcb, product=product),
        current_tcb=decode_tcb(report.current_tcb, product=product),
        launch_tcb=decode_tcb(report.launch_tcb, product=product),
        crls=crls,
    )


def _require_chip(report: SnpReport, *, hwid: bytes, product: Product) -> None:
    # Turin's identity is 8 bytes long and the rest of the field is zero.
    if report.chip_id != hwid.ljust(len(report.chip_id), b"\0"):
        raise VerificationError(
            Code.EVIDENCE_CHIP_BINDING,
            f"SNP report: CHIP_ID is not the {product} chip that the VCEK is for",
        )
