"""From a worker's request to its keys: challenge, verify, appraise, decide, log, release.

The order is that of docs/security-policy-flow.md; each step takes only what the step before has
made. The decision, its count and its log entry are one transaction, and keys are sealed only after
that is on the disk: a crash can lose an answer, never a count.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sealtune.attestation.appraisal import AppraisalRefused, appraise
from sealtune.attestation.binding import WorkerKeys, release_report_data
from sealtune.attestation.evidence import Evidence, evidence_from_dict
from sealtune.attestation.result import AttestationResult, RuleResult
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.broker.desk import Desk
from sealtune.broker.events import log_event
from sealtune.broker.store import RunState, SignedHead, Transaction, count_grant
from sealtune.contract.contract import SignedContract
from sealtune.core.clock import format_time
from sealtune.core.digest import Digest, digest_bytes, parse_digest, sha256_digest
from sealtune.core.limits import KEY_REQUEST_BYTES_MAX, SMALL_MESSAGE_BYTES_MAX
from sealtune.crypto.dsse import parse_envelope, verify_envelope
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.crypto.hpke import RecipientPublicKey
from sealtune.crypto.secret import CONTENT_KEY_BYTES, ContentKey
from sealtune.crypto.signing import VerifyingKey
from sealtune.errors import (
    AppraisalError,
    Code,
    FormatError,
    ReleaseDenied,
    SealtuneError,
    VerificationError,
)
from sealtune.protocol.answers import sign_answer
from sealtune.protocol.messages import (
    CHALLENGE_TYPE,
    KEY_RELEASE_TYPE,
    KEY_REQUEST_TYPE,
    AnchorState,
    ChallengeAnswer,
    ChallengeRequest,
    KeyRelease,
    KeyRequest,
    ReleasedKey,
    Rule,
    parse_message,
)
from sealtune.protocol.session import run_share_info, wrapped_key_info
from sealtune.release.decide import (
    BrokerState,
    ReleaseDecision,
    ReleaseRequest,
    RunKind,
    decide,
    refuse,
)

_REASON_CHARACTERS_MAX = 300


class RequestRefused(ReleaseDenied):
    """A decision that is no; `rule` is the first that said so."""

    def __init__(self, decision: ReleaseDecision) -> None:
        failed = decision.failed
        code = failed.code if failed else None
        super().__init__(code or Code.INTERNAL, failed.reason if failed else "no rule was asked")
        self.rule = failed.rule if failed else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A KeyRequest that its own signing key has signed, parsed."""

    challenge: bytes
    asked: ReleaseRequest
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """A decision that is on the disk; `run` and `keys` are there if it granted."""

    decision: ReleaseDecision
    head: SignedHead | None
    run: RunState | None
    keys: dict[Digest, ContentKey]


def issue_challenge(desk: Desk, body: bytes) -> bytes:
    """Answer a ChallengeRequest (spec/protocol §5.1).

    Raises:
        FormatError: no such message.
        ReleaseDenied: a contract that this broker does not know.
        TransportError: too many challenges are out.
    """
    message = parse_message(
        ChallengeRequest, body, limit=SMALL_MESSAGE_BYTES_MAX, what="challenge request"
    )
    contract = desk.contracts.find(parse_digest(message.contract))
    issued = desk.challenges.issue(contract=contract.digest, run_id=message.run_id)
    answer = ChallengeAnswer(
        request=sha256_digest(body),
        challenge=b64encode(issued.challenge),
        contract=contract.digest,
        run_id=message.run_id,
        expires=format_time(issued.expires),
    )
    return sign_answer(answer, payload_type=CHALLENGE_TYPE, key=desk.identity.signing)


def release_keys(desk: Desk, body: bytes) -> bytes:
    """Answer a KeyRequest (spec/protocol §5.3, §9).

    Raises:
        FormatError, VerificationError: no signed KeyRequest, or its challenge is not out.
        ReleaseDenied: a contract that this broker does not know.
        RequestRefused: a rule said no; the decision log has it.
        StorageError: the decision could not be written, so there is none.
    """
    request = _open_request(body)
    asked = request.asked
    desk.challenges.consume(request.challenge, contract=asked.contract, run_id=asked.run_id)
    contract = desk.contracts.find(asked.contract)
    try:
        result = _attest(desk, request, contract)
    except (FormatError, VerificationError, AppraisalError) as error:
        decision = _refusal(error)
        outcome = _log_refusal(desk, asked, decision)
    else:
        outcome = desk.store.write(
            lambda transaction: _decide(desk, transaction, asked, contract, result)
        )
    _log_outcome(asked, outcome)
    if not outcome.decision.granted:
        raise RequestRefused(outcome.decision)
    return _answer(desk, request, outcome, digest=sha256_digest(body))


def _open_request(body: bytes) -> _Request:
    if len(body) > KEY_REQUEST_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "key request: too large")
    envelope = parse_envelope(body, what="key request")
    message = parse_message(
        KeyRequest, envelope.payload, limit=KEY_REQUEST_BYTES_MAX, what="key request"
    )
    # The key is the sender's own word until the Evidence binds it; what this proves is that
    # whoever sends these keys holds the signing one.
    signing = VerifyingKey.parse(message.worker.signing_key)
    verify_envelope(envelope, payload_type=KEY_REQUEST_TYPE, required=[signing])
    recipient = RecipientPublicKey.parse(message.worker.recipient_key)
    asked = ReleaseRequest(
        contract=parse_digest(message.contract),
        run_id=message.run_id,
        bundles=tuple(parse_digest(text) for text in message.bundles),
        worker=WorkerKeys(recipient=recipient, signing=signing),
    )
    challenge = b64decode(message.challenge, what="challenge")
    return _Request(challenge=challenge, asked=asked, evidence=message.evidence)


def _attest(desk: Desk, request: _Request, contract: SignedContract) -> AttestationResult:
    evidence: Evidence = evidence_from_dict(request.evidence)
    report_data = release_report_data(
        challenge=request.challenge,
        broker=desk.key,
        worker=request.asked.worker,
        contract=contract.digest,
    )
    now = desk.clock.now()
    verified = verify_evidence(
        evidence,
        report_data=report_data,
        anchors=desk.anchors(contract),
        endorsements=desk.endorsements(),
        now=now,
        steps=Steps(),
    )
    # The launcher fixes host_data when it starts the guest: an enclave that was started for one
    # contract cannot be talked into asking for another's keys.
    return appraise(
        verified,
        accepted=contract.contract.accepted_enclaves,
        host_data=digest_bytes(contract.digest),
    )


def _decide(
    desk: Desk,
    transaction: Transaction,
    asked: ReleaseRequest,
    contract: SignedContract,
    result: AttestationResult,
) -> _Outcome:
    state = BrokerState(
        broker=desk.key,
        accepts_insecure=desk.accepts_insecure,
        held=transaction.held(asked.bundles),
        usage=transaction.usage(asked.contract, asked.run_id),
    )
    decision = decide(result, request=asked, contract=contract, state=state, now=desk.clock.now())
    body = _entry(asked, decision) | {"evidence": _evidence_facts(result)}
    if not decision.granted:
        suppressed = desk.refusals.admit()
        head = None
        if suppressed is not None:
            head = transaction.append("release", body | {"suppressed": suppressed})
        return _Outcome(decision=decision, head=head, run=None, keys={})
    run = _count(transaction, asked, decision.run)
    head = transaction.append("release", body)
    keys = {bundle: transaction.content_key(bundle) for bundle in asked.bundles}
    return _Outcome(decision=decision, head=head, run=run, keys=keys)


def _count(transaction: Transaction, asked: ReleaseRequest, kind: RunKind) -> RunState:
    run = transaction.run(asked.contract, asked.run_id) or RunState(
        contract=asked.contract,
        run_id=asked.run_id,
        share=secrets.token_bytes(CONTENT_KEY_BYTES),
        resumes=0,
        worker=asked.worker,
        anchor=None,
        receipt=None,
    )
    count_grant(transaction, run, kind=kind, worker=asked.worker)
    return run


def _refusal(error: SealtuneError) -> ReleaseDecision:
    if isinstance(error, AppraisalRefused):
        return ReleaseDecision(rules=error.rules, run=RunKind.NEW, insecure=False)
    rule = "evidence.appraised" if isinstance(error, AppraisalError) else "evidence.verified"
    return refuse(rule, error)


def _log_refusal(desk: Desk, asked: ReleaseRequest, decision: ReleaseDecision) -> _Outcome:
    suppressed = desk.refusals.admit()
    head = None
    if suppressed is not None:
        body = _entry(asked, decision) | {"evidence": None, "suppressed": suppressed}
        head = desk.store.write(lambda transaction: transaction.append("release", body))
    return _Outcome(decision=decision, head=head, run=None, keys={})


def _entry(asked: ReleaseRequest, decision: ReleaseDecision) -> dict[str, Any]:
    """The decision as the log keeps it (spec/protocol §10): names and reasons, no secret."""
    return {
        "contract": asked.contract,
        "run_id": asked.run_id,
        "granted": decision.granted,
        "run": str(decision.run) if decision.granted else None,
        "insecure": decision.insecure,
        "bundles": list(asked.bundles),
        "worker": {
            "recipient": asked.worker.recipient.key_id,
            "signing": asked.worker.signing.key_id,
        },
        "rules": [_bounded(rule).to_dict() for rule in decision.rules],
    }


def _evidence_facts(result: AttestationResult) -> dict[str, Any]:
    return {
        "kind": str(result.kind),
        "enclave": result.enclave,
        "measurement": result.measurement,
        "identity": dict(result.claims.identity),
        "tcb": dict(result.claims.tcb),
        "root": result.root,
        "devices": [dict(device.identity) for device in result.devices],
    }


def _bounded(rule: RuleResult) -> RuleResult:
    # A reason may quote the request; what ends up in logs and on terminals is short and plain.
    reason = "".join(mark if mark.isprintable() else "?" for mark in rule.reason)
    return RuleResult(
        rule=rule.rule,
        passed=rule.passed,
        reason=reason[:_REASON_CHARACTERS_MAX],
        code=rule.code,
    )


def _answer(desk: Desk, request: _Request, outcome: _Outcome, *, digest: Digest) -> bytes:
    asked, run, head = request.asked, outcome.run, outcome.head
    if run is None or head is None:
        raise RuntimeError("a grant without run or log entry")
    recipient = asked.worker.recipient
    challenge, contract = request.challenge, asked.contract
    share_info = run_share_info(challenge, contract=contract, run_id=asked.run_id)
    answer = KeyRelease(
        request=digest,
        contract=contract,
        run_id=asked.run_id,
        run=outcome.decision.run.value,
        insecure=outcome.decision.insecure,
        keys=[
            ReleasedKey(
                bundle=bundle,
                wrapped=b64encode(
                    recipient.seal(
                        key.reveal(),
                        info=wrapped_key_info(challenge, contract=contract, bundle=bundle),
                    )
                ),
            )
            for bundle, key in outcome.keys.items()
        ],
        run_share=b64encode(recipient.seal(run.share, info=share_info)),
        anchor=_anchor_state(run),
        rules=[Rule(**_bounded(rule).to_dict()) for rule in outcome.decision.rules],
        log_head=head.envelope.to_dict(),
    )
    return sign_answer(answer, payload_type=KEY_RELEASE_TYPE, key=desk.identity.signing)


def _anchor_state(run: RunState) -> AnchorState | None:
    if run.anchor is None:
        return None
    return AnchorState(step=run.anchor.step, digest=run.anchor.digest)


def _log_outcome(asked: ReleaseRequest, outcome: _Outcome) -> None:
    decision = outcome.decision
    failed = decision.failed
    log_event(
        "release",
        granted=decision.granted,
        insecure=decision.insecure,
        contract=asked.contract,
        run_id=asked.run_id,
        run=str(decision.run) if decision.granted else None,
        rule=failed.rule if failed else None,
        code=str(failed.code) if failed else None,
        log_size=outcome.head.head.size if outcome.head else None,
    )
