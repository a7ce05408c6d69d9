"""The relying party's decision, rule by rule: each rule is the only one that fails somewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sealtune.attestation.binding import WorkerKeys
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.result import AttestationResult, RuleResult
from sealtune.attestation.verified import Claims
from sealtune.contract.contract import (
    SignedContract,
    contract_from_document,
    verify_contract_signatures_ignoring_validity,
)
from sealtune.core.digest import sha256_digest
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, VerificationError
from sealtune.release.decide import (
    BrokerState,
    HeldBundle,
    ReleaseDecision,
    ReleaseRequest,
    RunKind,
    RunUsage,
    Usage,
    decide,
    refuse,
)
from sealtune.testing.agreement import SIGNERS, make_agreement

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 1, 30, tzinfo=UTC)
AGREEMENT = make_agreement()
BROKER = AGREEMENT.identities["hospital-broker"].signing.public
OWNER = AGREEMENT.identities["hospital"].signing.public
STRANGER = SigningKey.generate().public


def signed(**terms: object) -> SignedContract:
    document = {**AGREEMENT.document(), **terms}
    contract = contract_from_document(document, what="test")
    return verify_contract_signatures_ignoring_validity(AGREEMENT.sign(contract, signers=SIGNERS))


def worker() -> WorkerKeys:
    return WorkerKeys(
        recipient=RecipientKey.generate().public, signing=SigningKey.generate().public
    )


CONTRACT = signed()
NOTES = CONTRACT.contract.find_input("notes").bundle
ENCODER = CONTRACT.contract.find_input("encoder").bundle
WORKER = worker()
RESULT = AttestationResult(
    kind=EvidenceKind.SEV_SNP,
    insecure=False,
    enclave="simulated",
    root=sha256_digest(b"root"),
    claims=Claims(
        vendor="AMD",
        platform="AMD SEV-SNP",
        generation="genoa",
        signer="VCEK",
        tcb={},
        debug=False,
        memory_protected=True,
        measurement="5e" * 48,
        registers={},
        host_data=bytes(32),
        identity={},
        fields={},
    ),
    devices=(),
    rules=(RuleResult(rule="kind", passed=True, reason="as accepted", code=None),),
)
REQUEST = ReleaseRequest(
    contract=CONTRACT.digest, run_id="00" * 16, bundles=(NOTES,), worker=WORKER
)
STATE = BrokerState(
    broker=BROKER,
    accepts_insecure=False,
    held={NOTES: HeldBundle(owner=OWNER, kind="dataset")},
    usage=Usage(runs=0, run=None),
)


def ask(
    *,
    result: AttestationResult = RESULT,
    request: ReleaseRequest = REQUEST,
    contract: SignedContract = CONTRACT,
    state: BrokerState = STATE,
    now: datetime = NOW,
) -> ReleaseDecision:
    return decide(result, request=request, contract=contract, state=state, now=now)


def open_run(**changes: object) -> Usage:
    run = RunUsage(resumes=0, closed=False, worker=worker())
    return Usage(runs=1, run=replace(run, **changes))


def test_what_the_contract_allows_is_granted_with_a_reason_for_each_rule():
    decision = ask()
    assert decision.granted
    assert decision.failed is None
    assert decision.run is RunKind.NEW
    assert not decision.insecure
    assert [rule.rule for rule in decision.rules] == [
        "kind",
        "contract.digest",
        "contract.broker",
        "contract.validity",
        "evidence.secure",
        "bundle.named",
        "bundle.registered",
        "bundle.owner",
        "bundle.deidentified",
        "run.open",
        "run.quota",
    ]
    assert all(rule.reason and rule.code is None for rule in decision.rules)


def refused():
    other_owner = {NOTES: HeldBundle(owner=STRANGER, kind="dataset")}
    other_kind = {NOTES: HeldBundle(owner=OWNER, kind="model")}
    extra = sha256_digest(b"a bundle of another job")
    all_held = {**STATE.held, extra: HeldBundle(owner=OWNER, kind="dataset")}
    failed = RuleResult(rule="tcb", passed=False, reason="too low", code=Code.APPRAISAL_TCB)
    model_held = {ENCODER: HeldBundle(owner=OWNER, kind="model")}
    return {
        "a failed appraisal rule": (
            {"result": replace(RESULT, rules=(failed,))},
            {"tcb": Code.APPRAISAL_TCB},
        ),
        "another contract": (
            {"request": replace(REQUEST, contract=sha256_digest(b"another"))},
            {"contract.digest": Code.DENIED_CONTRACT},
        ),
        "a broker that the contract does not name": (
            {"state": replace(STATE, broker=STRANGER)},
            {"contract.broker": Code.DENIED_CONTRACT, "bundle.named": Code.DENIED_BUNDLE},
        ),
        "before the first moment": (
            {"now": START - timedelta(seconds=1)},
            {"contract.validity": Code.DENIED_VALIDITY},
        ),
        "at the last moment": ({"now": END}, {"contract.validity": Code.DENIED_VALIDITY}),
        "a bundle of another job": (
            {
                "request": replace(REQUEST, bundles=(NOTES, extra)),
                "state": replace(STATE, held=all_held),
            },
            {"bundle.named": Code.DENIED_BUNDLE, "bundle.owner": Code.DENIED_OWNER},
        ),
        "the other broker's bundle": (
            {
                "request": replace(REQUEST, bundles=(ENCODER,)),
                "state": replace(STATE, held=model_held),
            },
            {"bundle.named": Code.DENIED_BUNDLE, "bundle.owner": Code.DENIED_OWNER},
        ),
        "one bundle twice": (
            {"request": replace(REQUEST, bundles=(NOTES, NOTES))},
            {"bundle.named": Code.DENIED_BUNDLE},
        ),
        "no bundle": (
            {"request": replace(REQUEST, bundles=())},
            {"bundle.named": Code.DENIED_BUNDLE},
        ),
        "a key that nobody registered": (
            {"state": replace(STATE, held={})},
            {"bundle.registered": Code.KEY_UNKNOWN},
        ),
        "a bundle that a stranger registered": (
            {"state": replace(STATE, held=other_owner)},
            {"bundle.owner": Code.DENIED_OWNER},
        ),
        "a model where a dataset was agreed": (
            {"state": replace(STATE, held=other_kind)},
            {"bundle.owner": Code.DENIED_OWNER},
        ),
        "one run too many": (
            {"state": replace(STATE, usage=Usage(runs=2, run=None))},
            {"run.quota": Code.DENIED_RUNS},
        ),
        "one resume too many": (
            {"state": replace(STATE, usage=open_run(resumes=3))},
            {"run.quota": Code.DENIED_RESUMES},
        ),
        "a run that has ended": (
            {"state": replace(STATE, usage=open_run(closed=True))},
            {"run.open": Code.DENIED_RUN_CLOSED},
        ),
        "a run that has ended, asked by its own worker": (
            {"state": replace(STATE, usage=open_run(closed=True, worker=WORKER))},
            {"run.open": Code.DENIED_RUN_CLOSED},
        ),
    }


@pytest.mark.parametrize("what", sorted(refused()))
def test_refused_by_the_rule_that_it_is_about(what: str):
    changes, expected = refused()[what]
    decision = ask(**changes)
    assert not decision.granted
    assert {rule.rule: rule.code for rule in decision.rules if not rule.passed} == expected
    assert decision.failed is not None
    assert decision.failed.rule == next(iter(expected))


@pytest.mark.parametrize("now", [START, END - timedelta(seconds=1)])
def test_a_contract_is_valid_from_its_start_to_before_its_end(now: datetime):
    assert ask(now=now).granted


@pytest.mark.parametrize("agreed", [True, False])
@pytest.mark.parametrize("accepted", [True, False])
def test_simulated_evidence_needs_contract_and_broker(agreed: bool, accepted: bool):
    enclaves = AGREEMENT.document()["enclaves"]
    if not agreed:
        enclaves[0] |= {"insecure_accept_simulated": False, "simulated_root": None}
    contract = signed(enclaves=enclaves)
    decision = ask(
        result=replace(RESULT, insecure=True),
        request=replace(REQUEST, contract=contract.digest),
        contract=contract,
        state=replace(STATE, accepts_insecure=accepted),
    )
    assert decision.granted is (agreed and accepted)
    assert decision.insecure
    if not decision.granted:
        assert decision.failed.code is Code.DENIED_INSECURE


def test_hardware_evidence_needs_no_switch():
    enclaves = AGREEMENT.document()["enclaves"]
    enclaves[0] |= {"insecure_accept_simulated": False, "simulated_root": None}
    contract = signed(enclaves=enclaves)
    request = replace(REQUEST, contract=contract.digest)
    assert ask(contract=contract, request=request).granted


def test_another_worker_resumes_an_open_run_without_a_new_one():
    usage = Usage(runs=2, run=RunUsage(resumes=2, closed=False, worker=worker()))
    decision = ask(state=replace(STATE, usage=usage))
    assert decision.granted
    assert decision.run is RunKind.RESUMED


def test_the_same_worker_asks_again_without_a_resume():
    usage = Usage(runs=2, run=RunUsage(resumes=3, closed=False, worker=WORKER))
    decision = ask(state=replace(STATE, usage=usage))
    assert decision.granted
    assert decision.run is RunKind.REPEATED


def test_half_of_the_keys_is_another_worker():
    half = WorkerKeys(recipient=WORKER.recipient, signing=STRANGER)
    usage = Usage(runs=1, run=RunUsage(resumes=3, closed=False, worker=half))
    assert ask(state=replace(STATE, usage=usage)).failed.code is Code.DENIED_RESUMES


def test_a_request_that_fails_before_the_rules_is_a_decision_too():
    decision = refuse("evidence.verified", VerificationError(Code.EVIDENCE_CHAIN, "no chain"))
    assert not decision.granted
    assert decision.failed.rule == "evidence.verified"
    assert decision.failed.code is Code.EVIDENCE_CHAIN


def test_no_rules_grant_nothing():
    assert not ReleaseDecision(rules=(), run=RunKind.NEW, insecure=False).granted
