"""The verifiers of Intel TDX and SGX evidence (spec/attestation §11). Do no I/O.

They decide whether a quote is authentic. Whether the enclave is acceptable (TCB status, platform,
measurement) is `appraisal`; only what no terms can accept, as debug mode, is refused here.
"""

from __future__ import annotations

from datetime import datetime

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.dcap_authentic import authenticate_quote
from sealtune.attestation.dcap_claims import dcap_common_claims
from sealtune.attestation.dcap_quote import Tee
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.errors import Code, FormatError

EVENT_LOG_PART = "event_log"


def verify_tdx(
    evidence: Evidence,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    """Verify that `evidence` is an authentic quote of a trust domain, and its event log if given.

    Raises:
        SealtuneError: as `authenticate_quote`.
    """
    return _verify(
        evidence, Tee.TDX, anchors=anchors, endorsements=endorsements, now=now, steps=steps
    )


def verify_sgx(
    evidence: Evidence,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    """Verify that `evidence` is an authentic quote of an SGX enclave.

    Raises:
        SealtuneError: as `authenticate_quote`.
    """
    return _verify(
        evidence, Tee.SGX, anchors=anchors, endorsements=endorsements, now=now, steps=steps
    )


def _verify(
    evidence: Evidence,
    tee: Tee,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    # A quote brings its own chain. What nobody reads must not travel as if it were verified.
    if evidence.certificates or evidence.parts.keys() - {EVENT_LOG_PART}:
        raise FormatError(Code.EVIDENCE_MALFORMED, f"{evidence.kind} evidence: more than belongs")
    authentic = authenticate_quote(
        evidence.report,
        tee=tee,
        event_log=evidence.parts.get(EVENT_LOG_PART),
        anchors=anchors,
        endorsements=endorsements,
        now=now,
        steps=steps,
    )
    return AuthenticEvidence(
        kind=EvidenceKind.TDX if tee is Tee.TDX else EvidenceKind.SGX,
        root=authentic.root,
        claims=dcap_common_claims(authentic.claims, authentic.root),
        detail=authentic.claims,
        freshness=authentic.claims.quote.body.report_data,
        devices=(),
    )
