"""A release in one process: what goes out, what is counted, what the log keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from sealtune.broker.audit import audit_store, read_log
from sealtune.broker.desk import Desk
from sealtune.broker.registration import register_contract
from sealtune.broker.release import RequestRefused, issue_challenge, release_keys
from sealtune.broker.store import log_entries
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import KEY_REQUEST_BYTES_MAX
from sealtune.errors import AppraisalError, Code, FormatError, ReleaseDenied, SealtuneError
from sealtune.protocol.session import BrokerSession, SessionTerms, WorkerSecrets
from sealtune.testing.clock import VirtualClock
from sealtune.testing.scene import Scene, new_run_id, register_all, release
from sealtune.translog.chain import LogEntry, verify_chain

BROKER = "hospital-broker"
OpenDesk = Callable[..., Desk]


def terms_of(scene: Scene, *, run_id: str = "", worker: WorkerSecrets | None = None):
    return scene.terms(
        BROKER, run_id=run_id or new_run_id(), worker=worker or WorkerSecrets.generate()
    )


def log_of(desk: Desk) -> tuple[LogEntry, ...]:
    return desk.store.inspect(lambda connection: read_log(connection, log=desk.key))


def last(desk: Desk) -> LogEntry:
    return log_of(desk)[-1]


def denied(desk: Desk, scene: Scene, terms: SessionTerms, **changes: object) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        release(desk, scene, terms, **changes)
    return caught.value


def test_the_registered_key_goes_to_the_attested_worker(desk: Desk, scene: Scene):
    terms = terms_of(scene)
    released = release(desk, scene, terms)
    notes = scene.inputs["notes"]
    assert released.keys[notes.digest].reveal() == notes.key.reveal()
    assert released.run == "new"
    assert released.insecure


def test_the_log_says_what_went_to_whom_and_why(desk: Desk, scene: Scene):
    terms = terms_of(scene)
    released = release(desk, scene, terms)
    entry = last(desk)
    assert entry.kind == "release"
    assert entry.body["granted"] is True
    assert entry.body["run"] == "new"
    assert entry.body["insecure"] is True
    assert entry.body["contract"] == scene.contract.digest
    assert entry.body["run_id"] == terms.run_id
    assert entry.body["bundles"] == [scene.inputs["notes"].digest]
    assert entry.body["worker"] == {
        "recipient": terms.worker.recipient.public.key_id,
        "signing": terms.worker.signing.public.key_id,
    }
    assert entry.body["evidence"]["measurement"] == "5e" * 48
    assert entry.body["evidence"]["identity"]["chip_id"]
    assert all(rule["passed"] and rule["reason"] for rule in entry.body["rules"])
    assert released.log_head.size == entry.index + 1
    entries = desk.store.inspect(lambda connection: list(log_entries(connection)))
    verify_chain(entries, log=desk.key, heads=[released.log_head])


def test_no_secret_is_in_the_log_or_in_clear_in_the_store(desk: Desk, scene: Scene):
    terms = terms_of(scene)
    released = release(desk, scene, terms)
    secrets = [scene.inputs["notes"].key.reveal(), released.run_share]
    folder = scene.broker_folder(BROKER)
    for path in folder.iterdir():
        data = path.read_bytes()
        for secret in secrets:
            assert secret not in data
            assert secret.hex().encode() not in data


def test_each_run_has_its_own_share_and_keeps_it(desk: Desk, scene: Scene):
    first, second = terms_of(scene), terms_of(scene)
    share = release(desk, scene, first).run_share
    assert release(desk, scene, second).run_share != share
    again = dataclasses.replace(first, worker=WorkerSecrets.generate())
    assert release(desk, scene, again).run_share == share


def test_the_same_worker_may_ask_again_without_using_anything_up(desk: Desk, scene: Scene):
    terms = terms_of(scene)
    assert release(desk, scene, terms).run == "new"
    for _ in range(5):
        assert release(desk, scene, terms).run == "repeated"
    other = dataclasses.replace(terms, worker=WorkerSecrets.generate())
    for _ in range(3):
        other = dataclasses.replace(other, worker=WorkerSecrets.generate())
        assert release(desk, scene, other).run == "resumed"
    late = dataclasses.replace(terms, worker=WorkerSecrets.generate())
    assert denied(desk, scene, late).code is Code.DENIED_RESUMES
    assert release(desk, scene, other).run == "repeated"


def test_resuming_uses_no_run_and_runs_are_counted(desk: Desk, scene: Scene):
    first = terms_of(scene)
    release(desk, scene, first)
    release(desk, scene, dataclasses.replace(first, worker=WorkerSecrets.generate()))
    release(desk, scene, terms_of(scene))
    refusal = denied(desk, scene, terms_of(scene))
    assert refusal.code is Code.DENIED_RUNS
    assert refusal.rule == "run.quota"


def test_a_run_id_of_another_contract_is_another_run(desk: Desk, scene: Scene):
    other = scene.agree(name="another-job", max_runs=1)
    register_contract(desk, other.envelope.to_json())
    run_id = new_run_id()
    release(desk, scene, terms_of(scene, run_id=run_id))
    assert release(desk, other, terms_of(other, run_id=run_id)).run == "new"
    assert denied(desk, other, terms_of(other)).code is Code.DENIED_RUNS
    assert release(desk, scene, terms_of(scene)).run == "new"


def test_of_many_concurrent_requests_for_the_last_run_one_wins(desk: Desk, scene: Scene):
    release(desk, scene, terms_of(scene))
    requests = []
    for _ in range(16):
        session = BrokerSession(terms_of(scene))
        challenge = session.on_challenge(issue_challenge(desk, session.start()))
        requests.append(session.request(scene.attest(challenge)))

    def attempt(request: bytes) -> Code | None:
        try:
            release_keys(desk, request)
        except ReleaseDenied as error:
            return error.code
        return None

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, requests))
    assert outcomes.count(None) == 1
    assert outcomes.count(Code.DENIED_RUNS) == 15


def test_refusals_are_logged_with_the_rule_and_its_reason(desk: Desk, scene: Scene):
    refusal = denied(desk, scene, terms_of(scene), measurement=bytes(48))
    assert refusal.code is Code.APPRAISAL_MEASUREMENT
    entry = last(desk)
    assert entry.body["granted"] is False
    assert entry.body["run"] is None
    failed = [rule for rule in entry.body["rules"] if not rule["passed"]]
    assert [rule["code"] for rule in failed] == ["appraisal-measurement"]
    assert failed[0]["reason"]
    assert entry.body["suppressed"] == 0


def test_evidence_that_does_not_verify_is_logged_too(desk: Desk, scene: Scene):
    refusal = denied(desk, scene, terms_of(scene), report_data=bytes(64))
    assert refusal.code is Code.FRESHNESS
    assert [rule["rule"] for rule in last(desk).body["rules"]] == ["evidence.verified"]


def test_a_flood_of_refusals_does_not_fill_the_log(desk: Desk, scene: Scene, clock: VirtualClock):
    while desk.refusals.admit() is not None:
        pass
    size = len(log_of(desk))
    for _ in range(3):
        denied(desk, scene, terms_of(scene), measurement=bytes(48))
        denied(desk, scene, terms_of(scene), report_data=bytes(64))
    assert len(log_of(desk)) == size
    clock.advance(2)
    denied(desk, scene, terms_of(scene), measurement=bytes(48))
    assert last(desk).body["suppressed"] == 7


def test_a_denied_request_consumes_no_run(desk: Desk, scene: Scene):
    for _ in range(3):
        denied(desk, scene, terms_of(scene), measurement=bytes(48))
    assert release(desk, scene, terms_of(scene)).run == "new"
    assert release(desk, scene, terms_of(scene)).run == "new"


def test_an_unknown_contract_gets_no_challenge(desk: Desk, scene: Scene):
    other = scene.agree(name="never-registered")
    session = BrokerSession(terms_of(other))
    with pytest.raises(ReleaseDenied) as caught:
        issue_challenge(desk, session.start())
    assert caught.value.code is Code.CONTRACT_UNKNOWN


def test_a_contract_is_refused_before_and_after_its_time(
    desk: Desk, scene: Scene, clock: VirtualClock
):
    clock.advance(timedelta(days=40).total_seconds())
    assert denied(desk, scene, terms_of(scene)).code is Code.DENIED_VALIDITY


def test_a_key_that_is_not_registered_is_named_by_its_rule(open_desk: OpenDesk, scene: Scene):
    desk = open_desk()
    register_contract(desk, scene.envelope.to_json())
    assert denied(desk, scene, terms_of(scene)).code is Code.KEY_UNKNOWN


def test_a_broker_without_the_switch_knows_no_mock_root(
    desk: Desk, open_desk: OpenDesk, scene: Scene
):
    secure = open_desk(accepts_insecure=False)
    refusal = denied(secure, scene, terms_of(scene))
    assert refusal.code is Code.EVIDENCE_ROOT


def test_after_a_restart_the_counts_are_there_and_the_challenges_are_not(
    desk: Desk, open_desk: OpenDesk, scene: Scene
):
    first = terms_of(scene)
    share = release(desk, scene, first).run_share
    release(desk, scene, terms_of(scene))
    session = BrokerSession(terms_of(scene))
    challenge = session.on_challenge(issue_challenge(desk, session.start()))
    request = session.request(scene.attest(challenge))
    desk.store.close()
    again = open_desk()
    with pytest.raises(SealtuneError) as caught:
        release_keys(again, request)
    assert caught.value.code is Code.CHALLENGE_UNKNOWN
    assert denied(again, scene, terms_of(scene)).code is Code.DENIED_RUNS
    resumed = dataclasses.replace(first, worker=WorkerSecrets.generate())
    assert release(again, scene, resumed).run_share == share


def test_bytes_that_are_no_request_are_not_logged(desk: Desk):
    size = len(log_of(desk))
    for body in (b"", b"{}", b"[" * 10_000, b"x" * 300_000):
        with pytest.raises(FormatError):
            release_keys(desk, body)
    assert len(log_of(desk)) == size


def test_a_request_is_measured_before_it_is_parsed(desk: Desk):
    with pytest.raises(FormatError) as caught:
        release_keys(desk, b"[" * (KEY_REQUEST_BYTES_MAX + 1))
    assert caught.value.code is Code.LIMIT_EXCEEDED


def test_a_refusal_names_nothing_of_other_contracts(desk: Desk, scene: Scene):
    other = scene.agree(name="a-secret-project", purpose="Nobody may know.")
    register_contract(desk, other.envelope.to_json())
    terms = dataclasses.replace(
        terms_of(scene), bundles=(scene.inputs["notes"].digest, scene.inputs["encoder"].digest)
    )
    refusal = denied(desk, scene, terms)
    assert other.contract.digest not in refusal.message
    assert "secret" not in refusal.message
    unknown = dataclasses.replace(terms, bundles=(sha256_digest(b"no such bundle"),))
    # Held elsewhere or nowhere: the same words.
    assert denied(desk, scene, unknown).message == refusal.message


def test_the_audit_agrees_with_what_releases_did(desk: Desk, scene: Scene):
    first = terms_of(scene)
    release(desk, scene, first)
    release(desk, scene, dataclasses.replace(first, worker=WorkerSecrets.generate()))
    denied(desk, scene, terms_of(scene), vmpl=3)
    release(desk, scene, terms_of(scene))
    head = desk.store.inspect(lambda connection: audit_store(connection, log=desk.key))
    assert head.size == 6


def test_a_store_that_refuses_grants_nothing(desk: Desk, scene: Scene, open_desk: OpenDesk):
    def read_only(connection):
        connection.execute("PRAGMA query_only = ON")

    session = BrokerSession(terms_of(scene))
    challenge = session.on_challenge(issue_challenge(desk, session.start()))
    request = session.request(scene.attest(challenge))
    desk.store._database.write(read_only)
    with pytest.raises(SealtuneError) as caught:
        release_keys(desk, request)
    assert caught.value.code is Code.IO_FAILED
    desk.store.close()
    again = open_desk()
    assert [entry.kind for entry in log_of(again)] == ["key", "contract"]


def test_registering_twice_changes_nothing(desk: Desk, scene: Scene):
    size = len(log_of(desk))
    register_all(desk, scene, BROKER)
    assert len(log_of(desk)) == size


def test_appraisal_errors_have_their_own_rule(desk: Desk, scene: Scene, monkeypatch):
    # An appraisal that raises without naming rules still ends as a logged refusal.
    def appraise(*_: object, **__: object):
        raise AppraisalError(Code.APPRAISAL_KIND, "nothing fits")

    monkeypatch.setattr("sealtune.broker.release.appraise", appraise)
    assert denied(desk, scene, terms_of(scene)).rule == "evidence.appraised"
