"""A genuine enclave, or somebody with one, asks for more than the contract gives.

Another recipe, a bundle of another job, one run more than agreed, a debug guest, a downgraded
policy: each is refused by the rule that it is about, and the log says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealtune.broker.audit import read_log
from sealtune.broker.desk import Desk
from sealtune.broker.registration import register_contract, register_key
from sealtune.broker.release import RequestRefused, issue_challenge, release_keys
from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import registration
from sealtune.bundle.writer import BundleWriter
from sealtune.core.digest import digest_bytes, parse_digest
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, ReleaseDenied, SealtuneError
from sealtune.protocol.session import BrokerSession, WorkerSecrets
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


def terms_of(scene: Scene, **changes: Any):
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    return dataclasses.replace(terms, **changes)


def denied(desk: Desk, scene: Scene, terms: Any, **changes: Any) -> Code:
    with pytest.raises(RequestRefused) as caught:
        release(desk, scene, terms, **changes)
    entries = desk.store.inspect(lambda connection: read_log(connection, log=desk.key))
    failed = [rule["code"] for rule in entries[-1].body["rules"] if not rule["passed"]]
    assert failed[0] == caught.value.code
    return caught.value.code


def test_another_recipe(desk: Desk, scene: Scene):
    """The operator edits the recipe (more epochs, to memorize the notes). The changed contract has
    no signatures, so no broker takes it; and the enclave that runs it binds its digest, which is
    not the agreed one's."""
    recipe = scene.agreement.document()["recipe"] | {"epochs": 500}
    other = scene.agree(recipe=recipe)
    unsigned = dataclasses.replace(other.envelope, signatures=scene.envelope.signatures)
    with pytest.raises(SealtuneError) as caught:
        register_contract(desk, unsigned.to_json())
    assert caught.value.code is Code.SIGNATURE_INVALID
    session = BrokerSession(terms_of(other))
    with pytest.raises(ReleaseDenied) as refused:
        issue_challenge(desk, session.start())
    assert refused.value.code is Code.CONTRACT_UNKNOWN
    host_data = digest_bytes(other.contract.digest)
    assert denied(desk, scene, terms_of(scene), host_data=host_data) is Code.APPRAISAL_HOST_DATA


def test_a_bundle_that_the_contract_does_not_name(desk: Desk, scene: Scene, tmp_path: Path):
    """The hospital's broker also holds last year's notes, for another job. An enclave of this job
    asks for both."""
    owner = scene.agreement.identities["hospital"]
    path = tmp_path / "last-year.sealed"
    with path.open("w+b") as file:
        writer = BundleWriter(
            file, kind=BundleKind.DATASET, owner=owner.signing, key=ContentKey.generate()
        )
        writer.add_entry("entry", b"last year's notes", media=Media.FILE)
        header = writer.finish(facts={}, recipients=[desk.identity.recipient.public])
    register_key(desk, registration(path))
    notes = scene.inputs["notes"].digest
    assert denied(desk, scene, terms_of(scene, bundles=(notes, header.digest))) is (
        Code.DENIED_BUNDLE
    )
    assert denied(desk, scene, terms_of(scene, bundles=(header.digest,))) is Code.DENIED_BUNDLE
    # Nothing of it is counted.
    assert release(desk, scene, terms_of(scene)).run == "new"


def test_the_model_is_asked_of_the_data_owners_broker(desk: Desk, scene: Scene):
    """The contract names the bundle, but as the other broker's."""
    encoder = scene.inputs["encoder"].digest
    assert denied(desk, scene, terms_of(scene, bundles=(encoder,))) is Code.DENIED_BUNDLE


def test_one_run_more_than_agreed(desk: Desk, scene: Scene):
    """Two runs are agreed; the operator wants to try a third with other luck."""
    for _ in range(2):
        release(desk, scene, terms_of(scene))
    assert denied(desk, scene, terms_of(scene)) is Code.DENIED_RUNS


def test_two_enclaves_race_for_the_last_run(desk: Desk, scene: Scene):
    """The operator prepares many requests and sends them in the same instant."""
    release(desk, scene, terms_of(scene))
    requests = []
    for _ in range(12):
        session = BrokerSession(terms_of(scene))
        challenge = session.on_challenge(issue_challenge(desk, session.start()))
        requests.append(session.request(scene.attest(challenge)))

    def attempt(request: bytes) -> bool:
        try:
            release_keys(desk, request)
        except RequestRefused as error:
            assert error.code is Code.DENIED_RUNS
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(attempt, requests)) == 1


def test_resuming_without_end(desk: Desk, scene: Scene):
    """Starting a run again and again would be another way to run more often."""
    terms = terms_of(scene)
    release(desk, scene, terms)
    for _ in range(3):
        fresh = dataclasses.replace(terms, worker=WorkerSecrets.generate())
        assert release(desk, scene, fresh).run == "resumed"
    fresh = dataclasses.replace(terms, worker=WorkerSecrets.generate())
    assert denied(desk, scene, fresh) is Code.DENIED_RESUMES


@pytest.mark.parametrize(
    ("story", "change", "code"),
    [
        ("a guest that the host may debug", {"policy": 0x30000 | 1 << 19}, Code.APPRAISAL_DEBUG),
        ("a program of the operator's", {"measurement": b"\1" * 48}, Code.APPRAISAL_MEASUREMENT),
        ("a report asked for from outside the enclave's level", {"vmpl": 3}, Code.APPRAISAL_VMPL),
    ],
)
def test_another_guest(desk: Desk, scene: Scene, story: str, change: dict[str, Any], code: Code):
    """A genuine report on the same chip, of a guest that the parties do not accept."""
    assert denied(desk, scene, terms_of(scene), **change) is code, story


def test_simulated_evidence_where_hardware_was_agreed(scene: Scene, mock: MockAmd):
    """The operator has no TEE and brings a mock; the broker runs as in production."""
    enclaves = scene.agreement.document()["enclaves"]
    enclaves[0] |= {"insecure_accept_simulated": False, "simulated_root": None}
    strict = scene.agree(enclaves=enclaves)
    desk = strict.open_desk(BROKER, VirtualClock(NOW), accepts_insecure=False)
    try:
        register_all(desk, strict, BROKER)
        assert denied(desk, strict, terms_of(strict)) is Code.EVIDENCE_ROOT
    finally:
        desk.store.close()


def test_simulated_evidence_under_a_broker_that_was_left_insecure(scene: Scene):
    """The broker was started for a trial and still runs so; the strict contract holds anyway."""
    enclaves = scene.agreement.document()["enclaves"]
    enclaves[0] |= {"insecure_accept_simulated": False, "simulated_root": None}
    strict = scene.agree(enclaves=enclaves)
    desk = strict.open_desk(BROKER, VirtualClock(NOW), accepts_insecure=True)
    try:
        register_all(desk, strict, BROKER)
        assert denied(desk, strict, terms_of(strict)) is Code.EVIDENCE_ROOT
    finally:
        desk.store.close()


def test_the_mock_root_of_another_trial(desk: Desk, scene: Scene):
    """Anybody can make a mock hierarchy; only the one that the contract names counts."""
    other = dataclasses.replace(scene, mock=MockAmd.generate(now=NOW))
    assert denied(desk, other, terms_of(other)) is Code.EVIDENCE_ROOT


def test_a_key_that_somebody_else_registered(scene: Scene):
    """The model owner hands the hospital's broker a bundle of its own, hoping that a contract will
    name it as the hospital's."""
    desk = scene.open_desk(BROKER, VirtualClock(NOW))
    try:
        with pytest.raises(ReleaseDenied) as caught:
            register_key(desk, scene.inputs["encoder"].registration)
        assert caught.value.code is Code.NOT_AUTHORIZED
        digest = parse_digest(scene.inputs["encoder"].digest)
        assert desk.store.write(lambda transaction: transaction.held((digest,))) == {}
    finally:
        desk.store.close()
