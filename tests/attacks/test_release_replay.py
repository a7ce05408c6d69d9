"""The operator replays and relays: old evidence, another's challenge, another worker's evidence.

The operator sees every byte between worker and broker, runs enclaves of its own and owns a broker
in other jobs. What it wants is a key that opens without the enclave.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealtune.attestation.binding import receipt_report_data, release_report_data
from sealtune.broker.desk import Desk
from sealtune.broker.registration import register_contract
from sealtune.broker.release import issue_challenge, release_keys
from sealtune.core.digest import digest_bytes, sha256_digest
from sealtune.crypto.dsse import parse_envelope, sign_envelope
from sealtune.errors import Code, SealtuneError
from sealtune.protocol.messages import KEY_REQUEST_TYPE
from sealtune.protocol.session import BrokerSession, VerifiedChallenge, WorkerSecrets
from sealtune.testing.agreement import MEASUREMENT
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import Scene, make_scene, new_run_id, register_all, release

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BROKER = "hospital-broker"


@pytest.fixture(scope="module")
def mock() -> MockAmd:
    return MockAmd.generate(now=NOW)


@pytest.fixture
def scene(tmp_path: Path, mock: MockAmd) -> Scene:
    return make_scene(tmp_path, mock=mock, now=NOW)


@pytest.fixture
def desk(scene: Scene) -> Iterator[Desk]:
    desk = scene.open_desk(BROKER, VirtualClock(NOW))
    register_all(desk, scene, BROKER)
    yield desk
    desk.store.close()


def session_of(scene: Scene, worker: WorkerSecrets | None = None) -> BrokerSession:
    return BrokerSession(
        scene.terms(BROKER, run_id=new_run_id(), worker=worker or WorkerSecrets.generate())
    )


def challenged(desk: Desk, session: BrokerSession) -> VerifiedChallenge:
    return session.on_challenge(issue_challenge(desk, session.start()))


def refused(desk: Desk, request: bytes) -> Code:
    with pytest.raises(SealtuneError) as caught:
        release_keys(desk, request)
    return caught.value.code


def test_a_request_that_was_granted_is_sent_again(desk: Desk, scene: Scene):
    """The operator keeps a request that worked and sends it a second time."""
    session = session_of(scene)
    request = session.request(scene.attest(challenged(desk, session)))
    release_keys(desk, request)
    assert refused(desk, request) is Code.CHALLENGE_UNKNOWN


def test_old_evidence_in_a_new_session(desk: Desk, scene: Scene):
    """The worker is gone; the operator answers a fresh challenge with its old evidence."""
    worker = WorkerSecrets.generate()
    old = session_of(scene, worker)
    evidence = scene.attest(challenged(desk, old))
    release_keys(desk, old.request(evidence))
    new = session_of(scene, worker)
    challenged(desk, new)
    assert refused(desk, new.request(evidence)) is Code.FRESHNESS


def test_a_challenge_is_used_up_by_a_failed_try(desk: Desk, scene: Scene):
    """The operator tries evidence after evidence on one challenge."""
    session = session_of(scene)
    challenge = challenged(desk, session)
    assert refused(desk, session.request(scene.attest(challenge, report_data=bytes(64)))) is (
        Code.FRESHNESS
    )
    session._state = type(session._state).CHALLENGED
    assert refused(desk, session.request(scene.attest(challenge))) is Code.CHALLENGE_UNKNOWN


def test_a_challenge_of_another_broker_is_relayed(desk: Desk, scene: Scene):
    """The other owner's broker hands the hospital's challenge to the worker as its own, and sends
    the evidence that it gets to the hospital, to collect the hospital's key too."""
    worker = WorkerSecrets.generate()
    honest = session_of(scene, worker)
    challenge = challenged(desk, honest)
    other = scene.agreement.identities["modelworks-broker"].signing.public
    for_the_other = release_report_data(
        challenge=challenge.challenge,
        broker=other,
        worker=worker.public,
        contract=scene.contract.digest,
    )
    evidence = scene.attest(challenge, report_data=for_the_other)
    assert refused(desk, honest.request(evidence)) is Code.FRESHNESS


def test_evidence_of_another_workers_key(desk: Desk, scene: Scene):
    """The operator takes genuine fresh evidence of a worker and asks for the keys under its own."""
    honest, operator = WorkerSecrets.generate(), WorkerSecrets.generate()
    session = session_of(scene, operator)
    challenge = challenged(desk, session)
    bound = release_report_data(
        challenge=challenge.challenge,
        broker=desk.key,
        worker=honest.public,
        contract=scene.contract.digest,
    )
    evidence = scene.attest(challenge, report_data=bound)
    assert refused(desk, session.request(evidence)) is Code.FRESHNESS


@pytest.mark.parametrize("field", ["recipient_key", "signing_key"])
def test_half_of_the_workers_keys_is_exchanged(desk: Desk, scene: Scene, field: str):
    """The operator keeps one attested key and puts its own in the place of the other."""
    honest, operator = WorkerSecrets.generate(), WorkerSecrets.generate()
    session = session_of(scene, honest)
    genuine = parse_envelope(session.request(scene.attest(challenged(desk, session))))
    fields = json.loads(genuine.payload)
    own = {
        "recipient_key": operator.recipient.public.text,
        "signing_key": operator.signing.public.text,
    }
    fields["worker"][field] = own[field]
    # To exchange the recipient key the operator would need the worker's signature; it has its own.
    key = honest.signing if field == "recipient_key" else operator.signing
    forged = sign_envelope(json.dumps(fields).encode(), payload_type=KEY_REQUEST_TYPE, keys=[key])
    assert refused(desk, forged.to_json()) is Code.FRESHNESS


def test_the_recipient_key_is_exchanged_under_the_workers_signature(desk: Desk, scene: Scene):
    """As above, but without the worker's signing key: the signature no longer holds."""
    session = session_of(scene)
    genuine = parse_envelope(session.request(scene.attest(challenged(desk, session))))
    fields = json.loads(genuine.payload)
    fields["worker"]["recipient_key"] = WorkerSecrets.generate().recipient.public.text
    forged = dataclasses.replace(genuine, payload=json.dumps(fields).encode())
    assert refused(desk, forged.to_json()) is Code.SIGNATURE_INVALID


def test_another_contract_in_the_request(desk: Desk, scene: Scene):
    """An enclave runs a lax contract of the same parties; its evidence asks for the strict one."""
    lax = scene.agree(name="lax", max_runs=1000)
    register_contract(desk, lax.envelope.to_json())
    session = session_of(scene)
    challenge = challenged(desk, session)
    evidence = scene.attest(challenge, host_data=digest_bytes(lax.contract.digest))
    assert refused(desk, session.request(evidence)) is Code.APPRAISAL_HOST_DATA


def test_a_challenge_for_one_contract_is_used_for_another(desk: Desk, scene: Scene):
    """The operator gets a challenge for a contract with runs left and spends it on another."""
    lax = scene.agree(name="lax", max_runs=1000)
    register_contract(desk, lax.envelope.to_json())
    session = session_of(scene)
    request = parse_envelope(session_request_for(desk, scene, session))
    fields = json.loads(request.payload) | {"contract": lax.contract.digest}
    worker = session._terms.worker
    forged = sign_envelope(
        json.dumps(fields).encode(), payload_type=KEY_REQUEST_TYPE, keys=[worker.signing]
    )
    assert refused(desk, forged.to_json()) is Code.CHALLENGE_UNKNOWN


def session_request_for(desk: Desk, scene: Scene, session: BrokerSession) -> bytes:
    return session.request(scene.attest(challenged(desk, session)))


def test_evidence_for_a_receipt_is_no_evidence_for_a_release(desk: Desk, scene: Scene):
    """Report data of another step of the protocol, over the same keys and contract."""
    worker = WorkerSecrets.generate()
    session = session_of(scene, worker)
    challenge = challenged(desk, session)
    bound = receipt_report_data(
        statement=sha256_digest(challenge.challenge),
        worker=worker.public,
        contract=scene.contract.digest,
    )
    evidence = scene.attest(challenge, report_data=bound)
    assert refused(desk, session.request(evidence)) is Code.FRESHNESS


def test_the_honest_worker_still_gets_its_key(desk: Desk, scene: Scene):
    """None of this is refused for being refused anyway."""
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    released = release(desk, scene, terms, measurement=bytes.fromhex(MEASUREMENT))
    assert released.run == "new"
