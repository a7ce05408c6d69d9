"""Whether a quote of SGX or TDX is authentic (spec/attestation §11.6).

What stands between a quote's bytes and claims that Intel vouches for. Azure's evidence may have a
TD quote inside, so this is no part of one verifier. Freshness and the terms of a contract are
decided elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from sealtune.attestation.anchors import Root, TrustAnchors
from sealtune.attestation.dcap_claims import DcapClaims
from sealtune.attestation.dcap_endorsements import DcapEndorsement, select_dcap
from sealtune.attestation.dcap_library import require_second_opinion
from sealtune.attestation.dcap_pck import VerifiedPck, verify_pck_chain
from sealtune.attestation.dcap_quote import Quote, SgxReport, TdReport, Tee, parse_quote
from sealtune.attestation.dcap_rules import inherent_rules
from sealtune.attestation.dcap_tcb import Judgement, TcbStatus, judge
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.event_log import read_event_log, require_rtmrs
from sealtune.attestation.steps import Steps
from sealtune.crypto.ecdsa import p256_spki, verify_ecdsa_p256
from sealtune.errors import AppraisalError, Code, FormatError, SealtuneError, VerificationError

_SCALAR_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticQuote:
    """A quote that Intel vouches for, and the root that says so."""

    root: Root
    claims: DcapClaims


def authenticate_quote(
    data: bytes,
    *,
    tee: Tee,
    event_log: bytes | None,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticQuote:
    """Return the claims of a quote for `tee` that a PCK under Intel's pinned root stands behind.

    Raises:
        AppraisalError: genuine, but debuggable, migratable or otherwise open; no terms accept that.
        FormatError: the quote, its event log or an endorsement cannot be read.
        VerificationError: a root that is not in `anchors`, a signature, chain or binding that does
            not hold, a certificate that is revoked or not valid at `now`, an endorsement that is
            missing, stale, mixed or forged, or an event log that replays to other registers.
    """
    quote = parse_quote(data)
    if quote.tee is not tee:
        raise FormatError(Code.EVIDENCE_KIND, f"a quote of {quote.tee}, not of {tee}")
    steps.passed("format", f"{tee} quote of version {quote.version}, {len(data)} bytes")
    pck = verify_pck_chain(quote.pck_chain, anchors=anchors, now=now)
    steps.passed("chain", f"PCK of the {pck.ca} CA up to the pinned root of {pck.root.vendor}")
    _verify_signatures(quote, pck)
    steps.passed("signature", "PCK over the quoting enclave, its key over the quote's bytes")
    endorsement = select_dcap(endorsements, tee=tee, pck=pck, now=now)
    steps.passed("endorsements", f"{endorsement}, current until {endorsement.until}")
    td = quote.body if isinstance(quote.body, TdReport) else None
    judgement = judge(
        endorsement.tcb_info, endorsement.qe_identity, pck=pck.facts, qe=quote.qe, td=td
    )
    steps.passed("tcb level", f"{judgement.status} since {judgement.platform.date.date()}")
    _require_inherent(quote.body, judgement)
    steps.passed("attributes", "production mode, nothing that lets the host look inside")
    require_second_opinion(data, endorsement=endorsement, pck=pck, judgement=judgement, now=now)
    steps.passed("second opinion", "dcap-qvl verifies the same and judges it the same")
    explained = _explain(td, event_log, steps)
    return AuthenticQuote(
        root=pck.root,
        claims=_claims(quote, pck, endorsement, judgement, explained=explained, now=now),
    )


def _verify_signatures(quote: Quote, pck: VerifiedPck) -> None:
    _verify(pck.leaf.spki, quote.qe_signature, quote.qe_report, what="the quoting enclave's report")
    # The attestation key is the quoting enclave's own: its report, which the PCK signs, says so.
    binding = hashlib.sha256(quote.attestation_key + quote.qe_auth_data).digest()
    if not hmac.compare_digest(quote.qe.report_data, binding.ljust(64, b"\0")):
        raise _forged("the quoting enclave does not vouch for the key that signed it")
    try:
        spki = p256_spki(quote.attestation_key)
    except FormatError as error:
        raise _forged("its attestation key is no key") from error
    _verify(spki, quote.signature, quote.signed, what="the body")


def _verify(spki: bytes, signature: bytes, message: bytes, *, what: str) -> None:
    r, s = signature[:_SCALAR_BYTES], signature[_SCALAR_BYTES:]
    try:
        verify_ecdsa_p256(
            spki, r=int.from_bytes(r, "big"), s=int.from_bytes(s, "big"), message=message
        )
    except SealtuneError as error:
        raise _forged(f"the signature over {what} does not hold") from error


def _forged(reason: str) -> VerificationError:
    return VerificationError(Code.EVIDENCE_SIGNATURE, f"quote: {reason}")


def _require_inherent(body: SgxReport | TdReport, judgement: Judgement) -> None:
    # The library refuses these too, without saying which. Here they have their own codes, and come
    # after everything that shows the quote to be genuine.
    for rule in inherent_rules(body):
        if rule.code is not None:
            raise AppraisalError(rule.code, f"{rule.rule}: {rule.reason}")
    if judgement.status is TcbStatus.REVOKED:
        raise AppraisalError(Code.APPRAISAL_TCB_STATUS, "tcb-status: Intel has revoked this TCB")


def _explain(td: TdReport | None, event_log: bytes | None, steps: Steps) -> tuple[int, ...] | None:
    if event_log is None:
        if td is not None:
            steps.skipped("event log", "none given; RTMRs are compared as values only")
        return None
    if td is None:
        raise FormatError(Code.EVIDENCE_MALFORMED, "an event log with an enclave, which has none")
    explained = require_rtmrs(read_event_log(event_log), td.rt_mr)
    names = ", ".join(f"RTMR{index}" for index in explained) or "no RTMR"
    steps.passed("event log", f"replays to {names}")
    return explained


def _claims(
    quote: Quote,
    pck: VerifiedPck,
    endorsement: DcapEndorsement,
    judgement: Judgement,
    *,
    explained: tuple[int, ...] | None,
    now: datetime,
) -> DcapClaims:
    return DcapClaims(
        quote=quote,
        pck=pck.facts,
        pck_ca=pck.ca,
        pck_not_before=pck.leaf.not_before,
        pck_not_after=pck.leaf.not_after,
        judgement=judgement,
        evaluation=endorsement.tcb_info.evaluation,
        qe_evaluation=endorsement.qe_identity.evaluation,
        endorsements_issued=endorsement.oldest_issue,
        endorsements_until=endorsement.until,
        endorsements_age=now - endorsement.oldest_issue,
        explained_rtmrs=explained,
    )
