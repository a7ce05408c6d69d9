"""Somebody answers in a broker's place: the worker must not believe a word.

The operator owns the network between worker and brokers. It would like the worker to train on its
own data or weights (so that the result tells something about the rest), or to give up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealtune.broker.desk import Desk
from sealtune.broker.refusals import refuse_request
from sealtune.broker.registration import register_contract
from sealtune.broker.release import issue_challenge, release_keys
from sealtune.core.digest import sha256_digest
from sealtune.crypto.dsse import parse_envelope, sign_envelope
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, ReleaseDenied, SealtuneError
from sealtune.protocol.messages import CHALLENGE_TYPE, KEY_RELEASE_TYPE
from sealtune.protocol.session import BrokerSession, WorkerSecrets
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import Scene, make_scene, new_run_id, register_all

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BROKER = "hospital-broker"
IMPOSTOR = Identity.generate("hospital-broker")


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


@pytest.fixture
def session(scene: Scene) -> BrokerSession:
    return BrokerSession(scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate()))


def resigned(answer: bytes, payload_type: str) -> bytes:
    payload = parse_envelope(answer).payload
    return sign_envelope(payload, payload_type=payload_type, keys=[IMPOSTOR.signing]).to_json()


def disbelieved(action) -> Code:
    with pytest.raises(SealtuneError) as caught:
        action()
    return caught.value.code


def test_a_challenge_in_the_brokers_name(desk: Desk, session: BrokerSession):
    """A name is free; the key that the contract names is not."""
    genuine = issue_challenge(desk, session.start())
    forged = resigned(genuine, CHALLENGE_TYPE)
    assert disbelieved(lambda: session.on_challenge(forged)) is Code.BROKER_IDENTITY


def test_keys_of_the_operators_own(desk: Desk, scene: Scene, session: BrokerSession):
    """The real broker's challenge, then keys to data of the operator's under a forged answer."""
    challenge = session.on_challenge(issue_challenge(desk, session.start()))
    genuine = release_keys(desk, session.request(scene.attest(challenge)))
    forged = resigned(genuine, KEY_RELEASE_TYPE)
    assert disbelieved(lambda: session.on_release(forged)) is Code.BROKER_IDENTITY


def test_the_other_owners_broker_answers(scene: Scene, session: BrokerSession):
    """A genuine broker of the same contract, but not the one that was asked."""
    other = scene.open_desk("modelworks-broker", VirtualClock(NOW))
    try:
        register_all(other, scene, "modelworks-broker")
        answer = issue_challenge(other, session.start())
    finally:
        other.store.close()
    assert disbelieved(lambda: session.on_challenge(answer)) is Code.BROKER_IDENTITY


def test_an_answer_of_yesterday(desk: Desk, scene: Scene, session: BrokerSession):
    """A genuine release to the same worker, kept and played again."""
    challenge = session.on_challenge(issue_challenge(desk, session.start()))
    old = release_keys(desk, session.request(scene.attest(challenge)))
    again = BrokerSession(session._terms)
    challenge = again.on_challenge(issue_challenge(desk, again.start()))
    again.request(scene.attest(challenge))
    assert disbelieved(lambda: again.on_release(old)) is Code.BROKER_IDENTITY


def test_a_refusal_to_make_the_worker_give_up(session: BrokerSession):
    """Only the broker can refuse for good; the operator can at most be silent."""
    body = session.start()
    refusal = refuse_request(
        ReleaseDenied(Code.DENIED_RUNS, "all runs are used"), body=body, key=IMPOSTOR.signing
    )
    assert disbelieved(lambda: session.on_challenge(refusal.body)) is Code.BROKER_IDENTITY


def test_a_refusal_of_another_request(desk: Desk, session: BrokerSession):
    """A genuine refusal that the broker once gave to somebody else."""
    session.start()
    genuine = refuse_request(
        ReleaseDenied(Code.DENIED_RUNS, "all runs are used"),
        body=b"somebody else's request",
        key=desk.identity.signing,
    )
    assert disbelieved(lambda: session.on_challenge(genuine.body)) is Code.BROKER_IDENTITY


def test_a_stripped_signature(desk: Desk, session: BrokerSession):
    """The answer as it is, without anybody's signature or with an empty one."""
    genuine = parse_envelope(issue_challenge(desk, session.start()))
    empty = dataclasses.replace(
        genuine, signatures=(dataclasses.replace(genuine.signatures[0], signature=b""),)
    )
    assert disbelieved(lambda: session.on_challenge(empty.to_json())) is Code.BROKER_IDENTITY


def test_a_worker_with_another_contract_in_mind(desk: Desk, scene: Scene):
    """The operator rewrites the request to another contract that the broker knows; the answer is
    genuine, but not to what the worker asked."""
    lax = scene.agree(name="lax", max_runs=1000)
    register_contract(desk, lax.envelope.to_json())
    run_id = new_run_id()
    worker = WorkerSecrets.generate()
    session = BrokerSession(scene.terms(BROKER, run_id=run_id, worker=worker))
    session.start()
    rewritten = BrokerSession(lax.terms(BROKER, run_id=run_id, worker=worker)).start()
    answer = issue_challenge(desk, rewritten)
    assert sha256_digest(rewritten) in parse_envelope(answer).payload.decode()
    assert disbelieved(lambda: session.on_challenge(answer)) is Code.BROKER_IDENTITY
