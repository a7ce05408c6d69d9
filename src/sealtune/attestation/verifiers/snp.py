"""The verifier of AMD SEV-SNP evidence (spec/attestation §5, §6). Does no I/O.

Decides whether a report is authentic. Whether the guest is acceptable (debug, VMPL, TCB floors,
measurement) is `appraisal`.
"""

from __future__ import annotations

from datetime import datetime

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.snp_authentic import authenticate_snp, snp_common_claims
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.errors import Code, FormatError


def verify_snp(
    evidence: Evidence,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    """Verify that `evidence` is an authentic SNP report.

    Raises:
        FormatError: the report or a certificate cannot be read.
        VerificationError: a root that is not in `anchors`, a chain, signature or binding that does
            not hold, or a certificate that is not valid at `now`.
    """
    if evidence.parts:
        raise FormatError(
            Code.EVIDENCE_MALFORMED, f"SNP evidence has no part {sorted(evidence.parts)[0]}"
        )
    authentic = authenticate_snp(
        evidence.report,
        evidence.certificates,
        anchors=anchors,
        endorsements=endorsements,
        now=now,
        steps=steps,
    )
    return AuthenticEvidence(
        kind=EvidenceKind.SEV_SNP,
        root=authentic.root,
        claims=snp_common_claims(authentic),
        detail=authentic.claims,
        freshness=authentic.claims.report.report_data,
        devices=(),
    )
