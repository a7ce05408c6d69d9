"""Canonical form, signing and verifying of contracts (spec/contract §1, §5, §6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.contract.contract import (
    CONTRACT_PAYLOAD_TYPE,
    canonical_contract,
    contract_digest,
    contract_from_document,
    missing_signers,
    parse_contract,
    sign_contract,
    verify_contract,
    verify_contract_signatures_ignoring_validity,
)
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import CONTRACT_BYTES_MAX
from sealtune.crypto.dsse import Envelope, parse_envelope, sign_envelope
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError
from sealtune.testing.agreement import SIGNERS, Agreement

START = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2027, 1, 30, tzinfo=UTC)


def payload_of(agreement: Agreement, document: dict[str, Any]) -> Envelope:
    """An envelope over any document at all, signed by all who must."""
    keys = [agreement.identities[name].signing for name in SIGNERS]
    return sign_envelope(canonical_json(document), payload_type=CONTRACT_PAYLOAD_TYPE, keys=keys)


def refused(envelope: Envelope, now: datetime = START) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        verify_contract(envelope, now=now)
    return caught.value


def test_signed_contract_survives_the_trip_and_verifies(
    agreement: Agreement, now: datetime
) -> None:
    envelope = parse_envelope(agreement.envelope().to_json())
    verified = verify_contract(envelope, now=now)
    assert verified.contract == agreement.contract()
    assert verified.digest == contract_digest(agreement.contract())
    assert verified.signed == verify_contract_signatures_ignoring_validity(envelope)


def test_digest_is_of_the_payload_and_not_of_signatures(agreement: Agreement) -> None:
    contract = agreement.contract()
    one = agreement.sign(contract, signers=["clinic"])
    assert sha256_digest(one.payload) == contract_digest(contract)
    assert agreement.envelope().payload == one.payload


@pytest.mark.parametrize("moment", [START, END - timedelta(seconds=1)])
def test_valid_from_the_first_to_the_last_second(agreement: Agreement, moment: datetime) -> None:
    verify_contract(agreement.envelope(), now=moment)


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (START - timedelta(seconds=1), Code.CONTRACT_NOT_YET_VALID),
        (END, Code.CONTRACT_EXPIRED),
    ],
)
def test_outside_its_time_only_the_signatures_verify(
    agreement: Agreement, moment: datetime, code: Code
) -> None:
    envelope = agreement.envelope()
    error = refused(envelope, now=moment)
    assert isinstance(error, VerificationError)
    assert error.code is code
    verify_contract_signatures_ignoring_validity(envelope)


def test_missing_signatures_are_named(agreement: Agreement) -> None:
    contract = agreement.contract()
    envelope = agreement.sign(contract, signers=["modelworks"])
    assert missing_signers(envelope, contract) == ["clinic", "hospital"]
    error = refused(envelope)
    assert error.code is Code.CONTRACT_UNSIGNED
    assert "clinic, hospital" in error.message


def test_signing_twice_changes_nothing(agreement: Agreement) -> None:
    envelope = agreement.envelope()
    again = sign_contract(envelope, agreement.identities["clinic"])
    assert {item.key_id for item in again.signatures} == {
        item.key_id for item in envelope.signatures
    }
    verify_contract(again, now=START)


@pytest.mark.parametrize("name", ["datacentre", "hospital-broker", "stranger"])
def test_who_has_no_say_cannot_sign(agreement: Agreement, name: str) -> None:
    identity = agreement.identities.get(name) or Identity.generate(name)
    for unsigned in (agreement.contract(), agreement.envelope()):
        with pytest.raises(VerificationError) as caught:
            sign_contract(unsigned, identity)
        assert caught.value.code is Code.CONTRACT_WRONG_SIGNER


def test_nobody_signs_beside_a_bad_or_strange_signature(agreement: Agreement) -> None:
    contract = agreement.contract()
    envelope = agreement.sign(contract, signers=["modelworks"])
    payload = envelope.payload
    (good,) = envelope.signatures
    bad = Envelope(CONTRACT_PAYLOAD_TYPE, payload, (type(good)(good.key_id, bytes(64)),))
    with pytest.raises(VerificationError) as caught:
        sign_contract(bad, agreement.identities["clinic"])
    assert caught.value.code is Code.SIGNATURE_INVALID
    operator = agreement.identities["datacentre"].signing
    strange = sign_envelope(payload, payload_type=CONTRACT_PAYLOAD_TYPE, keys=[operator])
    with pytest.raises(VerificationError) as caught:
        sign_contract(strange, agreement.identities["clinic"])
    assert caught.value.code is Code.CONTRACT_WRONG_SIGNER


def test_only_contracts_are_signed_and_verified_as_such(agreement: Agreement) -> None:
    payload = canonical_contract(agreement.contract())
    keys = [agreement.identities[name].signing for name in SIGNERS]
    envelope = sign_envelope(payload, payload_type="application/vnd.in-toto+json", keys=keys)
    assert refused(envelope).code is Code.ENVELOPE_TYPE
    with pytest.raises(VerificationError) as caught:
        sign_contract(envelope, agreement.identities["clinic"])
    assert caught.value.code is Code.ENVELOPE_TYPE


def test_another_document_is_called_so_before_it_is_read(agreement: Agreement) -> None:
    keys = [agreement.identities["clinic"].signing]
    other = sign_envelope(b"a letter", payload_type="text/plain", keys=keys)
    assert refused(other).code is Code.ENVELOPE_TYPE
    with pytest.raises(VerificationError) as caught:
        sign_contract(other, agreement.identities["clinic"])
    assert caught.value.code is Code.ENVELOPE_TYPE


def test_second_spelling_is_refused(agreement: Agreement) -> None:
    canonical = canonical_contract(agreement.contract())
    for other in (
        canonical.replace(b'":', b'": ', 1),
        canonical + b"\n",
        canonical.replace(b'"weight_decay":0', b'"weight_decay":0.0'),
        canonical.replace(b'"name":"triage-notes"', b'"name":"\\u0074riage-notes"'),
    ):
        assert other != canonical
        with pytest.raises(FormatError) as caught:
            parse_contract(other)
        assert caught.value.code is Code.CONTRACT_MALFORMED


@pytest.mark.parametrize("field", ["format", "telemetry", "receipt", "max_resumes"])
def test_default_that_is_not_written_out_is_refused(agreement: Agreement, field: str) -> None:
    document = agreement.document()
    del document[field]
    error = refused(payload_of(agreement, document))
    assert error.code is Code.CONTRACT_MALFORMED


def test_recipe_default_that_is_not_written_out_is_refused(agreement: Agreement) -> None:
    document = agreement.document()
    del document["recipe"]["learning_rate"]
    assert refused(payload_of(agreement, document)).code is Code.CONTRACT_MALFORMED


def test_disagreement_is_refused_though_all_have_signed(agreement: Agreement) -> None:
    document = agreement.document()
    document["enclaves"][0]["simulated_root"] = None
    assert refused(payload_of(agreement, document)).code is Code.CONTRACT_FIELD


def test_limits_come_before_parsing() -> None:
    with pytest.raises(FormatError) as caught:
        parse_contract(b"[" * (CONTRACT_BYTES_MAX + 1))
    assert caught.value.code is Code.LIMIT_EXCEEDED
    with pytest.raises(FormatError) as caught:
        parse_contract(b"[" * 1000)
    assert caught.value.code is Code.JSON_MALFORMED


def test_name_twice_is_refused(agreement: Agreement) -> None:
    canonical = canonical_contract(agreement.contract())
    twice = canonical[:-1] + b',"max_runs":900}'
    with pytest.raises(FormatError) as caught:
        parse_contract(twice)
    assert caught.value.code is Code.JSON_MALFORMED


@given(data=st.data())
def test_any_changed_byte_is_refused(agreement: Agreement, data: st.DataObject) -> None:
    envelope = agreement.envelope()
    place = data.draw(st.integers(0, len(envelope.payload) - 1))
    bit = data.draw(st.integers(0, 7))
    payload = bytearray(envelope.payload)
    payload[place] ^= 1 << bit
    changed = Envelope(envelope.payload_type, bytes(payload), envelope.signatures)
    refused(changed)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists) | st.binary())
def test_parser_raises_nothing_but_its_own_errors(value: Any) -> None:
    with pytest.raises(SealtuneError):
        parse_contract(value if isinstance(value, bytes) else repr(value).encode())


@given(data=st.data())
def test_any_misplaced_value_is_refused_or_understood(
    agreement: Agreement, data: st.DataObject
) -> None:
    document = agreement.document()
    target: Any = document
    while True:
        steps = list(target) if isinstance(target, dict) else list(range(len(target)))
        step = data.draw(st.sampled_from(steps))
        if (
            not isinstance(target[step], dict | list)
            or not target[step]
            or data.draw(st.booleans())
        ):
            break
        target = target[step]
    target[step] = data.draw(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text() | st.just([]) | st.just({})
    )
    try:
        contract = contract_from_document(document, what="x")
    except SealtuneError:
        return
    # Understood with its defaults, and then the same for ever.
    assert parse_contract(canonical_contract(contract)) == contract
