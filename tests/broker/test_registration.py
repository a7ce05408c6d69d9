"""Only what a broker's own owner has signed gets in."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sealtune.broker.audit import read_log
from sealtune.broker.desk import Desk
from sealtune.broker.registration import register_contract, register_key
from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import registration
from sealtune.bundle.writer import BundleWriter
from sealtune.contract.contract import contract_from_document
from sealtune.core.clock import format_time
from sealtune.crypto.dsse import Envelope, parse_envelope
from sealtune.crypto.hpke import RecipientPublicKey
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, ReleaseDenied, SealtuneError
from sealtune.protocol.messages import REGISTRATION_ANSWER_TYPE
from sealtune.protocol.reports import open_registration_answer
from sealtune.testing.agreement import SIGNERS
from sealtune.testing.clock import VirtualClock
from sealtune.testing.scene import Scene

OpenDesk = Callable[..., Desk]


@pytest.fixture
def desk(open_desk: OpenDesk) -> Desk:
    return open_desk()


def kinds(desk: Desk) -> list[str]:
    entries = desk.store.inspect(lambda connection: read_log(connection, log=desk.key))
    return [entry.kind for entry in entries]


def seal(path: Path, *, owner: Identity, recipient: RecipientPublicKey) -> bytes:
    with path.open("w+b") as file:
        writer = BundleWriter(
            file, kind=BundleKind.DATASET, owner=owner.signing, key=ContentKey.generate()
        )
        writer.add_entry("entry", b"content", media=Media.FILE)
        writer.finish(facts={}, recipients=[recipient])
    return registration(path)


def refused(action: Callable[[], object]) -> Code:
    with pytest.raises(SealtuneError) as caught:
        action()
    return caught.value.code


def test_the_owners_registration_is_kept_and_answered(desk: Desk, scene: Scene):
    notes = scene.inputs["notes"]
    answer = register_key(desk, notes.registration)
    head = open_registration_answer(
        answer, request=notes.registration, digest=notes.digest, broker=desk.key
    )
    assert head.size == 1
    assert parse_envelope(answer).payload_type == REGISTRATION_ANSWER_TYPE
    assert notes.key.reveal() not in answer
    key = desk.store.write(lambda transaction: transaction.content_key(notes.digest))
    assert key.reveal() == notes.key.reveal()


def test_a_strangers_bundle_is_refused(desk: Desk, tmp_path: Path):
    body = seal(
        tmp_path / "x", owner=Identity.generate("mallory"), recipient=desk.identity.recipient.public
    )
    assert refused(lambda: register_key(desk, body)) is Code.NOT_AUTHORIZED
    assert kinds(desk) == []


def test_the_other_owners_bundle_is_refused(desk: Desk, scene: Scene, tmp_path: Path):
    body = seal(
        tmp_path / "x",
        owner=scene.agreement.identities["modelworks"],
        recipient=desk.identity.recipient.public,
    )
    assert refused(lambda: register_key(desk, body)) is Code.NOT_AUTHORIZED


def test_a_bundle_that_is_not_sealed_to_this_broker_is_refused(
    desk: Desk, scene: Scene, tmp_path: Path
):
    body = seal(
        tmp_path / "x",
        owner=scene.agreement.identities["hospital"],
        recipient=scene.agreement.identities["modelworks-broker"].recipient.public,
    )
    assert refused(lambda: register_key(desk, body)) is Code.BUNDLE_NO_SLOT


def test_a_changed_registration_is_refused(desk: Desk, scene: Scene):
    document = json.loads(scene.inputs["notes"].registration)
    document["slots"]["signatures"][0]["sig"] = document["header"]["signatures"][0]["sig"]
    assert refused(lambda: register_key(desk, json.dumps(document).encode())) is (
        Code.SIGNATURE_INVALID
    )


def test_a_contract_is_kept_and_answered(desk: Desk, scene: Scene):
    body = scene.envelope.to_json()
    answer = register_contract(desk, body)
    head = open_registration_answer(
        answer, request=body, digest=scene.contract.digest, broker=desk.key
    )
    assert head.size == 1
    assert desk.contracts.find(scene.contract.digest).digest == scene.contract.digest


def test_a_contract_without_all_signatures_is_refused(desk: Desk, scene: Scene):
    envelope = scene.envelope
    stripped = Envelope(envelope.payload_type, envelope.payload, envelope.signatures[:-1])
    assert refused(lambda: register_contract(desk, stripped.to_json())) is Code.CONTRACT_UNSIGNED
    assert kinds(desk) == []


def test_a_contract_of_other_brokers_is_refused(open_desk: OpenDesk, scene: Scene):
    document = scene.agreement.document()
    other = Identity.generate("other-broker").public
    document["brokers"]["hospital-broker"] |= {
        "signing_key": other.signing.text,
        "recipient_key": other.recipient.text,
    }
    contract = contract_from_document(document, what="test")
    envelope = scene.agreement.sign(contract, signers=SIGNERS)
    desk = open_desk()
    assert refused(lambda: register_contract(desk, envelope.to_json())) is Code.DENIED_CONTRACT
    # To a worker it then reads like a contract that nobody has ever made.
    assert refused(lambda: desk.contracts.find(scene.contract.digest)) is Code.CONTRACT_UNKNOWN


def test_a_contract_that_gives_this_broker_to_somebody_else_is_refused(
    scene: Scene, open_desk: OpenDesk
):
    # Everybody who must has signed; but "hospital" in it is not the one who set up this broker.
    document = scene.agreement.document()
    impostor = Identity.generate("hospital")
    document["parties"]["hospital"] |= {
        "signing_key": impostor.public.signing.text,
        "recipient_key": impostor.public.recipient.text,
    }
    identities = {**scene.agreement.identities, "hospital": impostor}
    agreement = type(scene.agreement)(identities=identities, base=document)
    envelope = agreement.sign(contract_from_document(document, what="test"), signers=SIGNERS)
    assert refused(lambda: register_contract(open_desk(), envelope.to_json())) is (
        Code.NOT_AUTHORIZED
    )


def test_a_broker_without_the_switch_refuses_an_insecure_contract(
    scene: Scene, open_desk: OpenDesk
):
    secure = open_desk(accepts_insecure=False)
    with pytest.raises(ReleaseDenied) as caught:
        register_contract(secure, scene.envelope.to_json())
    assert caught.value.code is Code.DENIED_INSECURE
    assert "insecure-accept-simulated" in caught.value.remedy


def test_a_contract_may_come_before_its_time_but_not_after(
    desk: Desk, scene: Scene, clock: VirtualClock
):
    def validity(start: float, end: float) -> dict[str, str]:
        now = clock.now()
        return {
            "not_before": format_time(now + timedelta(hours=start)),
            "not_after": format_time(now + timedelta(hours=end)),
        }

    early = scene.agree(validity=validity(1, 2))
    register_contract(desk, early.envelope.to_json())
    late = scene.agree(validity=validity(-2, 0))
    assert refused(lambda: register_contract(desk, late.envelope.to_json())) is (
        Code.CONTRACT_EXPIRED
    )


def test_a_contract_changed_in_the_store_is_noticed(desk: Desk, open_desk: OpenDesk, scene: Scene):
    register_contract(desk, scene.envelope.to_json())
    other = scene.agree(max_runs=1000).envelope.to_json()

    def replace(connection):
        connection.execute("UPDATE contract SET envelope = ?", (other,))

    desk.store._database.write(replace)
    again = open_desk()
    assert refused(lambda: again.contracts.find(scene.contract.digest)) is Code.STORE_DAMAGED
    again.store._database.write(
        lambda connection: connection.execute("UPDATE contract SET envelope = x'7b7d'").rowcount
    )
    assert refused(lambda: open_desk().contracts.find(scene.contract.digest)) is (
        Code.STORE_DAMAGED
    )
