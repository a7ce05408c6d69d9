"""The door to verification: one function for every kind of evidence (spec/attestation §1)."""

from __future__ import annotations

from datetime import datetime

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.verified import VerifiedEvidence
from sealtune.attestation.verifiers.snp import verify_snp_report
from sealtune.errors import Code, FormatError

_VERIFIERS = {EvidenceKind.SEV_SNP: verify_snp_report}


def verify_evidence(
    evidence: Evidence, *, report_data: bytes, anchors: TrustAnchors, now: datetime
) -> VerifiedEvidence:
    """Verify that `evidence` is authentic at `now` and binds all 64 bytes of `report_data`.

    Does no I/O.

    Raises:
        FormatError: malformed, or of a kind that nobody here verifies.
        FreshnessError: it binds something else than `report_data`.
        VerificationError: a signature, chain, binding or validity does not hold.
    """
    verifier = _VERIFIERS.get(evidence.kind)
    if verifier is None:
        raise FormatError(Code.EVIDENCE_KIND, "evidence of a kind that nobody here verifies")
    return verifier(evidence, report_data=report_data, anchors=anchors, now=now)
