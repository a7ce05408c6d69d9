"""An owner's report on its de-identification, against whoever would rather have none or a better.

The contract asks for a threshold; the broker is a process of its own, and what it is given, or
holds since before it was restarted, decides whether the key goes out.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deid.deid_reports import make_report
from sealtune.bundle.reader import registration
from sealtune.bundle.records import iter_records, record_line
from sealtune.bundle.seal import DeidBinding, seal_data
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import Digest
from sealtune.crypto.identity import Identity
from sealtune.deid.agreed import DeidTerms
from sealtune.deid.report import sign_report, verify_report
from sealtune.errors import Code, SealtuneError
from sealtune.protocol.client import BrokerClient, Patience, fetch_keys
from sealtune.protocol.reports import open_registration_answer
from sealtune.protocol.session import WorkerSecrets
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import BrokerProcess, Scene, make_scene, new_run_id

BROKER = "hospital-broker"
TERMS = DeidTerms(profiles=("hipaa-safe-harbor",), max_residual_per_10000=5.0, min_k=3)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    now = datetime.now(UTC)
    folder = tmp_path_factory.mktemp("deid-report")
    return make_scene(folder, mock=MockAmd.generate(now=now), now=now)


@pytest.fixture(scope="module")
def broker(scene: Scene) -> Iterator[BrokerProcess]:
    with BrokerProcess(scene.broker_folder(BROKER)) as broker:
        yield broker


class Notes:
    """The hospital's notes, sealed with the report on them or without one."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.owner = scene.agreement.identities["hospital"]
        self.records = folder / "notes.jsonl"
        self.records.write_text('{"text": "one"}\n{"text": "two"}\n')
        self.sealed = folder / "notes.sealed"

    def report(self, *, signer: Identity | None = None, **facts) -> bytes:
        """Return a report on the notes that meets the contract's terms, but for `facts`."""
        state = hashlib.sha256()
        for place, record in iter_records(self.records):
            state.update(record_line(place, record))
        terms = {"k": 3, "residual": 5.0, "records": Digest(f"sha256:{state.hexdigest()}")}
        report = make_report(**(terms | facts))
        return sign_report(report, owner=(signer or self.owner).signing)

    def seal(self, report: bytes | None) -> Scene:
        """Return the scene with a contract about the sealed notes, which asks for `TERMS`."""
        binding = None
        if report is not None:
            stated = verify_report(report, owner=self.owner.public.signing).report
            binding = DeidBinding(report=stated.digest, records=stated.records_digest)
        sealed = seal_data(
            self.records,
            self.sealed,
            owner=self.owner,
            recipients=[self.scene.agreement.identities[BROKER].public],
            task=None,
            deidentification=binding,
        )
        inputs = self.scene.agreement.document()["inputs"]
        for entry in inputs:
            if entry["name"] == "notes":
                entry["digest"] = sealed.digest
                entry["deidentification"] = TERMS.model_dump(mode="json")
        return self.scene.agree(inputs=inputs)


@pytest.fixture
def notes(scene: Scene, tmp_path: Path) -> Notes:
    return Notes(scene, tmp_path)


def client_of(broker: BrokerProcess) -> BrokerClient:
    return BrokerClient(broker.address, patience=Patience(attempts=1))


def register(broker: BrokerProcess, scene: Scene, body: bytes) -> None:
    """Post the key, with nothing of what an honest owner's command would have refused to send."""
    client, own = client_of(broker), scene.agreement.identities[BROKER].signing.public
    answer = client.ask("/v1/keys", body)
    bundle = next(one.bundle for one in scene.contract.contract.inputs if one.name == "notes")
    open_registration_answer(answer, request=body, digest=bundle, broker=own)
    contract = scene.envelope.to_json()
    answer = client.ask("/v1/contracts", contract)
    open_registration_answer(answer, request=contract, digest=scene.contract.digest, broker=own)


def fetch(broker: BrokerProcess, scene: Scene) -> str:
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    return fetch_keys(client_of(broker), terms=terms, attest=scene.attest).run


def refused(action: Callable[[], object]) -> Code:
    with pytest.raises(SealtuneError) as caught:
        action()
    return caught.value.code


def test_notes_that_nobody_reported_on(notes: Notes, broker: BrokerProcess):
    """The hospital skips de-identification and seals the raw notes; the contract is signed before
    anybody looks."""
    scene = notes.seal(None)
    register(broker, scene, registration(notes.sealed))
    assert refused(lambda: fetch(broker, scene)) is Code.DENIED_DEIDENTIFICATION


def test_a_report_that_was_kept_back(notes: Notes, broker: BrokerProcess):
    """The sealed file names a report, and whoever registers it leaves the report out."""
    scene = notes.seal(notes.report())
    body = registration(notes.sealed)
    assert refused(lambda: register(broker, scene, body)) is Code.DEID_REPORT_MISSING
    assert refused(lambda: fetch(broker, scene)) is Code.CONTRACT_UNKNOWN


def test_a_report_on_another_dataset(notes: Notes, broker: BrokerProcess):
    """The same owner's good report on other notes is given in the place of this one's."""
    scene = notes.seal(notes.report(residual=900.0))
    other = notes.report(residual=0.0, records=Digest("sha256:" + "ab" * 32))
    body = registration(notes.sealed, report=other)
    assert refused(lambda: register(broker, scene, body)) is Code.DEID_OTHER_REPORT


@pytest.mark.parametrize("weaker", [{"residual": 5.5}, {"k": 2}, {"k": None}], ids=str)
def test_a_report_that_is_weaker_than_agreed(
    notes: Notes, broker: BrokerProcess, weaker: dict[str, float | None]
):
    """The report is genuine and says that more was left than the parties agreed to."""
    report = notes.report(**weaker)
    scene = notes.seal(report)
    register(broker, scene, registration(notes.sealed, report=report))
    assert refused(lambda: fetch(broker, scene)) is Code.DENIED_DEIDENTIFICATION


def test_a_report_with_better_figures_written_into_it(notes: Notes, broker: BrokerProcess):
    """The figures are edited and the signature is left; the sealed file names what was signed."""
    report = notes.report(residual=900.0)
    scene = notes.seal(report)
    value = json.loads(report)
    value["payload"] = json.loads(notes.report(residual=0.0))["payload"]
    body = registration(notes.sealed, report=canonical_json(value))
    assert refused(lambda: register(broker, scene, body)) is Code.DEID_OTHER_REPORT


def test_a_report_under_another_signature(notes: Notes, broker: BrokerProcess):
    """What the sealed file names, signed by somebody else, or by nobody who can be checked."""
    report = notes.report()
    scene = notes.seal(report)
    stranger = registration(notes.sealed, report=notes.report(signer=Identity.generate("mallory")))
    assert refused(lambda: register(broker, scene, stranger)) is Code.SIGNATURE_MISSING
    value = json.loads(report)
    signature = bytearray(base64.b64decode(value["signatures"][0]["sig"]))
    signature[0] ^= 1
    value["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    body = registration(notes.sealed, report=canonical_json(value))
    assert refused(lambda: register(broker, scene, body)) is Code.SIGNATURE_INVALID


def test_an_agreed_report_is_held_over_a_crash(tmp_path: Path):
    """The honest case, so that the refusals above are not of everything: the key goes out, and
    again from the broker that is started anew after it was killed."""
    now = datetime.now(UTC)
    scene = make_scene(tmp_path / "own", mock=MockAmd.generate(now=now), now=now)
    notes = Notes(scene, tmp_path)
    report = notes.report()
    agreed = notes.seal(report)
    folder = scene.broker_folder(BROKER)
    with BrokerProcess(folder) as broker:
        register(broker, agreed, registration(notes.sealed, report=report))
        assert fetch(broker, agreed) == "new"
        broker.kill()
    with BrokerProcess(folder) as broker:
        assert fetch(broker, agreed) == "new"
        assert broker.stop() == 0
