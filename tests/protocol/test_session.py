"""The worker's side: it believes a broker's signed answer to its own request and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sealtune.broker.desk import Desk
from sealtune.broker.release import issue_challenge, release_keys
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.dsse import Envelope, envelope_from_dict, parse_envelope, sign_envelope
from sealtune.crypto.encoding import b64encode
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, FormatError, ReleaseDenied, VerificationError
from sealtune.protocol.answers import sign_answer
from sealtune.protocol.messages import (
    ANCHOR_ANSWER_TYPE,
    CHALLENGE_TYPE,
    KEY_RELEASE_TYPE,
    RECEIPT_ANSWER_TYPE,
    REFUSAL_TYPE,
    REGISTRATION_ANSWER_TYPE,
    AnchorAnswer,
    AnchorState,
    ReceiptAnswer,
    Refusal,
    RegistrationAnswer,
)
from sealtune.protocol.reports import (
    anchor_request,
    open_anchor_answer,
    open_receipt_answer,
    open_registration_answer,
)
from sealtune.protocol.session import (
    Anchor,
    BrokerSession,
    SessionTerms,
    WorkerSecrets,
    wrapped_key_info,
)
from sealtune.testing.scene import Scene, new_run_id
from sealtune.translog.chain import empty_head, sign_head

BROKER = "hospital-broker"
DUMMY = {"keys": [{"wrapped": ""}], "run_share": ""}


@pytest.fixture
def terms(scene: Scene) -> SessionTerms:
    return scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())


@pytest.fixture
def key(scene: Scene) -> SigningKey:
    return scene.agreement.identities[BROKER].signing


def payload_of(answer: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(parse_envelope(answer).payload)
    return fields


def signed(fields: dict[str, Any], *, payload_type: str, key: SigningKey) -> bytes:
    payload = json.dumps(fields).encode()
    return sign_envelope(payload, payload_type=payload_type, keys=[key]).to_json()


def challenged(desk: Desk, terms: SessionTerms) -> BrokerSession:
    session = BrokerSession(terms)
    session.on_challenge(issue_challenge(desk, session.start()))
    return session


def requested(desk: Desk, scene: Scene, terms: SessionTerms) -> tuple[BrokerSession, bytes]:
    """A session whose request the broker has answered."""
    session = BrokerSession(terms)
    challenge = session.on_challenge(issue_challenge(desk, session.start()))
    return session, release_keys(desk, session.request(scene.attest(challenge)))


def test_a_whole_session_brings_the_keys(desk: Desk, scene: Scene, terms: SessionTerms):
    session, answer = requested(desk, scene, terms)
    released = session.on_release(answer)
    expected = scene.inputs["notes"]
    assert {digest: key.reveal() for digest, key in released.keys.items()} == {
        expected.digest: expected.key.reveal()
    }
    assert len(released.run_share) == 32
    assert released.anchor is None
    assert released.run == "new"
    assert released.insecure
    assert released.log_head.size == 3
    assert all(rule.passed for rule in released.rules)


def test_secrets_do_not_show(desk: Desk, scene: Scene, terms: SessionTerms):
    session, answer = requested(desk, scene, terms)
    released = session.on_release(answer)
    shown = repr(released)
    assert "run_share" not in shown
    assert repr(released.run_share) not in shown
    assert "hidden" in shown


def test_steps_come_once_and_in_order(desk: Desk, scene: Scene, terms: SessionTerms):
    evidence = scene.mock.evidence()
    for wrong in (
        lambda session: session.on_challenge(b""),
        lambda session: session.request(evidence),
        lambda session: session.on_release(b""),
    ):
        with pytest.raises(RuntimeError):
            wrong(BrokerSession(terms))
    session = challenged(desk, terms)
    with pytest.raises(RuntimeError):
        session.start()
    session.request(evidence)
    with pytest.raises(RuntimeError):
        session.request(evidence)


def test_a_failed_answer_ends_the_session(desk: Desk, scene: Scene, terms: SessionTerms):
    session, answer = requested(desk, scene, terms)
    with pytest.raises(FormatError):
        session.on_release(b"{}")
    with pytest.raises(RuntimeError):
        session.on_release(answer)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}", b"[" * 2000, b'{"code":"x"}'])
def test_what_is_no_answer_is_a_format_error(terms: SessionTerms, answer: bytes):
    session = BrokerSession(terms)
    session.start()
    with pytest.raises(FormatError) as caught:
        session.on_challenge(answer)
    assert caught.value.code is Code.BROKER_ANSWER


def test_an_answer_by_another_key_is_refused(desk: Desk, terms: SessionTerms):
    session = BrokerSession(terms)
    genuine = parse_envelope(issue_challenge(desk, session.start()))
    forged = sign_envelope(
        genuine.payload, payload_type=CHALLENGE_TYPE, keys=[SigningKey.generate()]
    )
    with pytest.raises(VerificationError) as caught:
        session.on_challenge(forged.to_json())
    assert caught.value.code is Code.BROKER_IDENTITY


def test_an_answer_of_another_type_is_refused(desk: Desk, scene: Scene, terms: SessionTerms):
    session = challenged(desk, terms)
    session.request(scene.mock.evidence())
    other = BrokerSession(terms)
    challenge = issue_challenge(desk, other.start())
    with pytest.raises(VerificationError) as caught:
        session.on_release(challenge)
    assert caught.value.code is Code.BROKER_IDENTITY


def test_an_answer_to_another_request_is_refused(desk: Desk, scene: Scene, terms: SessionTerms):
    other, answer = requested(desk, scene, terms)
    session = challenged(desk, terms)
    session.request(scene.mock.evidence())
    with pytest.raises(VerificationError) as caught:
        session.on_release(answer)
    assert caught.value.code is Code.BROKER_IDENTITY
    assert other.on_release(answer).run == "new"


@pytest.mark.parametrize("field", ["contract", "run_id"])
def test_a_challenge_for_another_contract_or_run_is_refused(
    desk: Desk, terms: SessionTerms, key: SigningKey, field: str
):
    session = BrokerSession(terms)
    fields = payload_of(issue_challenge(desk, session.start()))
    fields[field] = {"contract": sha256_digest(b"other"), "run_id": "00" * 16}[field]
    with pytest.raises(VerificationError) as caught:
        session.on_challenge(signed(fields, payload_type=CHALLENGE_TYPE, key=key))
    assert caught.value.code is Code.BROKER_IDENTITY


def test_a_signed_refusal_is_the_brokers_no(terms: SessionTerms, key: SigningKey):
    session = BrokerSession(terms)
    refusal = Refusal(
        request=sha256_digest(session.start()),
        code="denied-runs",
        rule="run.quota",
        message="all 2 runs are used",
    )
    with pytest.raises(ReleaseDenied) as caught:
        session.on_challenge(sign_answer(refusal, payload_type=REFUSAL_TYPE, key=key))
    assert caught.value.code is Code.DENIED_RUNS
    assert "run.quota" in caught.value.message


def test_a_refusal_with_an_unknown_code_is_still_a_no(terms: SessionTerms, key: SigningKey):
    session = BrokerSession(terms)
    request = sha256_digest(session.start())
    refusal = Refusal(request=request, code="from-the-future", rule="", message="no")
    with pytest.raises(ReleaseDenied) as caught:
        session.on_challenge(sign_answer(refusal, payload_type=REFUSAL_TYPE, key=key))
    assert caught.value.code is Code.BROKER_ANSWER


def test_the_operator_cannot_refuse_in_the_brokers_name(terms: SessionTerms, key: SigningKey):
    session = BrokerSession(terms)
    request = sha256_digest(session.start())
    refusal = Refusal(request=request, code="denied-runs", rule="", message="go away")
    with pytest.raises(VerificationError) as caught:
        session.on_challenge(
            sign_answer(refusal, payload_type=REFUSAL_TYPE, key=SigningKey.generate())
        )
    assert caught.value.code is Code.BROKER_IDENTITY


def test_an_old_refusal_is_not_the_answer_to_this_request(terms: SessionTerms, key: SigningKey):
    session = BrokerSession(terms)
    session.start()
    old = Refusal(request=sha256_digest(b"earlier"), code="denied-runs", rule="", message="no")
    with pytest.raises(VerificationError) as caught:
        session.on_challenge(sign_answer(old, payload_type=REFUSAL_TYPE, key=key))
    assert caught.value.code is Code.BROKER_IDENTITY


def changed_releases(
    fields: dict[str, Any], recipient: RecipientKey
) -> dict[str, tuple[dict[str, Any], type[Exception], Code]]:
    first = fields["keys"][0]
    other = b64encode(RecipientKey.generate().public.seal(bytes(32), info=b"other"))
    to_worker = b64encode(recipient.public.seal(bytes(32), info=b"for another purpose"))
    bundle = sha256_digest(b"other")
    return {
        "sealed to another": (
            {"keys": [first | {"wrapped": other}]},
            VerificationError,
            Code.HPKE_OPEN_FAILED,
        ),
        "sealed for another purpose": (
            {"keys": [first | {"wrapped": to_worker}]},
            VerificationError,
            Code.HPKE_OPEN_FAILED,
        ),
        "said to be of another bundle": (
            {"keys": [first | {"bundle": bundle}]},
            VerificationError,
            Code.HPKE_OPEN_FAILED,
        ),
        "one key twice": ({"keys": [first, first]}, FormatError, Code.BROKER_ANSWER),
        "no key": ({"keys": []}, FormatError, Code.BROKER_ANSWER),
        "share in the place of a key": (
            {"keys": [first | {"wrapped": fields["run_share"]}]},
            VerificationError,
            Code.HPKE_OPEN_FAILED,
        ),
        "key in the place of the share": (
            {"run_share": first["wrapped"]},
            VerificationError,
            Code.HPKE_OPEN_FAILED,
        ),
        "another contract": (
            {"contract": bundle},
            VerificationError,
            Code.BROKER_IDENTITY,
        ),
        "another run": ({"run_id": "00" * 16}, VerificationError, Code.BROKER_IDENTITY),
        "an unsigned log head": (
            {"log_head": {"size": 3}},
            FormatError,
            Code.ENVELOPE_MALFORMED,
        ),
    }


@pytest.mark.parametrize("what", sorted(changed_releases(DUMMY, RecipientKey.generate())))
def test_even_a_signed_release_is_taken_for_what_it_is(
    desk: Desk, scene: Scene, terms: SessionTerms, key: SigningKey, what: str
):
    session, answer = requested(desk, scene, terms)
    fields = payload_of(answer)
    change, family, code = changed_releases(fields, terms.worker.recipient)[what]
    with pytest.raises(family) as caught:
        session.on_release(signed(fields | change, payload_type=KEY_RELEASE_TYPE, key=key))
    assert caught.value.code is code


def test_a_key_more_than_asked_for_is_refused(
    desk: Desk, scene: Scene, terms: SessionTerms, key: SigningKey
):
    session = BrokerSession(terms)
    challenge = session.on_challenge(issue_challenge(desk, session.start()))
    fields = payload_of(release_keys(desk, session.request(scene.attest(challenge))))
    bundle = sha256_digest(b"nobody asked for it")
    info = wrapped_key_info(challenge.challenge, contract=terms.contract, bundle=bundle)
    wrapped = b64encode(terms.worker.recipient.public.seal(bytes(32), info=info))
    fields["keys"].append({"bundle": bundle, "wrapped": wrapped})
    with pytest.raises(FormatError) as caught:
        session.on_release(signed(fields, payload_type=KEY_RELEASE_TYPE, key=key))
    assert caught.value.code is Code.BROKER_ANSWER


def test_a_key_of_another_length_is_refused(
    desk: Desk, scene: Scene, terms: SessionTerms, key: SigningKey
):
    session = BrokerSession(terms)
    challenge = session.on_challenge(issue_challenge(desk, session.start()))
    fields = payload_of(release_keys(desk, session.request(scene.attest(challenge))))
    info = wrapped_key_info(challenge.challenge, contract=terms.contract, bundle=terms.bundles[0])
    wrapped = b64encode(terms.worker.recipient.public.seal(bytes(31), info=info))
    fields["keys"][0]["wrapped"] = wrapped
    with pytest.raises(FormatError) as caught:
        session.on_release(signed(fields, payload_type=KEY_RELEASE_TYPE, key=key))
    assert caught.value.code is Code.BROKER_ANSWER


def test_a_log_head_of_another_log_is_refused(
    desk: Desk, scene: Scene, terms: SessionTerms, key: SigningKey
):
    session, answer = requested(desk, scene, terms)
    stranger = SigningKey.generate()
    head = sign_head(empty_head(stranger.public), key=stranger)
    fields = payload_of(answer) | {"log_head": head.to_dict()}
    with pytest.raises(VerificationError):
        session.on_release(signed(fields, payload_type=KEY_RELEASE_TYPE, key=key))


def test_an_anchor_answer_speaks_of_the_request(scene: Scene, key: SigningKey):
    signing = SigningKey.generate()
    anchor = Anchor(step=7, digest=sha256_digest(b"checkpoint"))
    request = anchor_request(
        anchor, contract=scene.contract.digest, run_id="00" * 16, signing=signing
    )
    answer = AnchorAnswer(
        request=sha256_digest(request),
        contract=scene.contract.digest,
        run_id="00" * 16,
        anchor=AnchorState(step=7, digest=anchor.digest),
    )
    data = sign_answer(answer, payload_type=ANCHOR_ANSWER_TYPE, key=key)
    assert open_anchor_answer(data, request=request, broker=key.public) == anchor
    with pytest.raises(VerificationError) as caught:
        open_anchor_answer(data, request=request + b" ", broker=key.public)
    assert caught.value.code is Code.BROKER_IDENTITY


def head_of(key: SigningKey) -> Envelope:
    return sign_head(empty_head(key.public), key=key)


def test_a_receipt_answer_names_the_receipt(scene: Scene, key: SigningKey):
    receipt = sha256_digest(b"receipt")
    answer = ReceiptAnswer(
        request=sha256_digest(b"report"),
        contract=scene.contract.digest,
        run_id="00" * 16,
        receipt=receipt,
        log_head=head_of(key).to_dict(),
    )
    data = sign_answer(answer, payload_type=RECEIPT_ANSWER_TYPE, key=key)
    head = open_receipt_answer(data, request=b"report", receipt=receipt, broker=key.public)
    assert head.size == 0
    other = Digest(sha256_digest(b"another"))
    with pytest.raises(VerificationError) as caught:
        open_receipt_answer(data, request=b"report", receipt=other, broker=key.public)
    assert caught.value.code is Code.BROKER_IDENTITY


def test_a_registration_answer_names_what_was_registered(key: SigningKey):
    digest = sha256_digest(b"bundle")
    answer = RegistrationAnswer(
        request=sha256_digest(b"body"),
        kind="bundle",
        digest=digest,
        log_head=head_of(key).to_dict(),
    )
    data = sign_answer(answer, payload_type=REGISTRATION_ANSWER_TYPE, key=key)
    head = open_registration_answer(data, request=b"body", digest=digest, broker=key.public)
    assert head.log == key.public
    with pytest.raises(VerificationError) as caught:
        open_registration_answer(
            data, request=b"body", digest=sha256_digest(b"x"), broker=key.public
        )
    assert caught.value.code is Code.BROKER_IDENTITY
    assert envelope_from_dict(head_of(key).to_dict())
