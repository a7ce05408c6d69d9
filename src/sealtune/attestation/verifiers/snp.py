"""The verifier of AMD SEV-SNP evidence (spec/attestation §5, §6). Does no I/O.

Decides whether a report is authentic and fresh. Whether the guest is acceptable (debug, VMPL, TCB
floors, measurement) is `appraisal`. Does not consult revocation lists.
"""

from __future__ import annotations

import hmac
from datetime import datetime

from sealtune.attestation.anchors import Product, TrustAnchors
from sealtune.attestation.binding import REPORT_DATA_BYTES
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.snp_endorsement import Endorsement, verify_endorsement
from sealtune.attestation.snp_report import (
    Signer,
    SnpReport,
    decode_tcb,
    generation_of,
    parse_snp_report,
)
from sealtune.attestation.verified import SnpClaims, VerifiedEvidence
from sealtune.crypto.ecdsa import verify_ecdsa_p384
from sealtune.errors import Code, FormatError, FreshnessError, VerificationError


def verify_snp_report(
    evidence: Evidence, *, report_data: bytes, anchors: TrustAnchors, now: datetime
) -> VerifiedEvidence:
    """Verify that `evidence` is an authentic SNP report which binds all 64 bytes of `report_data`.

    Raises:
        FormatError: the report or a certificate cannot be read.
        FreshnessError: the report binds something else than `report_data`.
        VerificationError: a root that is not in `anchors`, a chain, signature or binding that does
            not hold, or a certificate that is not valid at `now`.
        ValueError: `report_data` is not 64 bytes, or `now` has no time zone.
    """
    if len(report_data) != REPORT_DATA_BYTES:
        raise ValueError(f"report_data has {REPORT_DATA_BYTES} bytes")
    if now.tzinfo is None:
        raise ValueError("a time without zone is ambiguous")
    if evidence.kind is not EvidenceKind.SEV_SNP:
        raise FormatError(Code.EVIDENCE_KIND, f"{evidence.kind} is not SEV-SNP evidence")
    report = parse_snp_report(evidence.report)
    endorsement = verify_endorsement(
        evidence.certificates, signer=report.signer, anchors=anchors, now=now
    )
    _verify_signature(report, endorsement)
    claims = _claims(report, endorsement)
    # spec/attestation §5.5: last, so that this failure means "genuine, but not the answer to us".
    if not hmac.compare_digest(report.report_data, report_data):
        raise FreshnessError(
            Code.FRESHNESS, "SNP report: report_data does not bind this challenge, key and contract"
        )
    return VerifiedEvidence(kind=EvidenceKind.SEV_SNP, root=endorsement.root, claims=claims)


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


def _claims(report: SnpReport, endorsement: Endorsement) -> SnpClaims:
    product = endorsement.root.product
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
    )


def _require_chip(report: SnpReport, *, hwid: bytes, product: Product) -> None:
    # Turin's identity is 8 bytes long and the rest of the field is zero.
    if report.chip_id != hwid.ljust(len(report.chip_id), b"\0"):
        raise VerificationError(
            Code.EVIDENCE_CHIP_BINDING,
            f"SNP report: CHIP_ID is not the {product} chip that the VCEK is for",
        )
