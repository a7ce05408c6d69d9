"""An operator, a stranger or one of the parties bends a contract; each attempt is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sealtune.contract.contract import (
    CONTRACT_PAYLOAD_TYPE,
    canonical_contract,
    contract_from_document,
    parse_contract,
    sign_contract,
    verify_contract,
)
from sealtune.core.canonical import canonical_json
from sealtune.crypto.dsse import Envelope, Signature, add_signature, sign_envelope
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, SealtuneError
from sealtune.testing.agreement import SIGNERS, Agreement, make_agreement

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def agreement() -> Agreement:
    return make_agreement()


def refused(envelope: Envelope) -> Code:
    with pytest.raises(SealtuneError) as caught:
        verify_contract(envelope, now=NOW)
    return caught.value.code


def resigned(agreement: Agreement, document: dict[str, Any], *names: str) -> Envelope:
    """Any document, signed by whom the attacker could get to sign."""
    keys = [agreement.identities[name].signing for name in names]
    return sign_envelope(canonical_json(document), payload_type=CONTRACT_PAYLOAD_TYPE, keys=keys)


def test_forged_signature_under_the_owners_key_id(agreement: Agreement) -> None:
    """The operator signs in the hospital's name with a key of its own and writes the hospital's
    key id beside it, in the hope that key ids are believed."""
    envelope = agreement.envelope()
    forger = Identity.generate("forger").signing
    forged = sign_envelope(envelope.payload, payload_type=CONTRACT_PAYLOAD_TYPE, keys=[forger])
    hospital = agreement.identities["hospital"].signing.public.key_id
    signatures = tuple(
        Signature(item.key_id, forged.signatures[0].signature) if item.key_id == hospital else item
        for item in envelope.signatures
    )
    assert refused(Envelope(CONTRACT_PAYLOAD_TYPE, envelope.payload, signatures)) is (
        Code.SIGNATURE_INVALID
    )


@pytest.mark.parametrize("name", SIGNERS)
def test_stripped_signature(agreement: Agreement, name: str) -> None:
    """One party has second thoughts and does not sign; the operator presents the contract with the
    signatures that it has."""
    envelope = agreement.envelope()
    key_id = agreement.identities[name].signing.public.key_id
    kept = tuple(item for item in envelope.signatures if item.key_id != key_id)
    assert refused(Envelope(CONTRACT_PAYLOAD_TYPE, envelope.payload, kept)) is (
        Code.CONTRACT_UNSIGNED
    )


def test_all_signatures_stripped(agreement: Agreement) -> None:
    """The operator presents the bare contract."""
    envelope = Envelope(CONTRACT_PAYLOAD_TYPE, agreement.envelope().payload, ())
    assert refused(envelope) is Code.CONTRACT_UNSIGNED


def test_one_signature_counted_twice(agreement: Agreement) -> None:
    """The clinic's signature is repeated to make up for the hospital's."""
    clinic = agreement.sign(agreement.contract(), signers=["clinic"]).signatures[0]
    payload = agreement.envelope().payload
    envelope = Envelope(CONTRACT_PAYLOAD_TYPE, payload, (clinic, clinic, clinic))
    assert refused(envelope) is Code.CONTRACT_UNSIGNED


def test_repeated_signature_beside_all_others(agreement: Agreement) -> None:
    """A second, different signature under a key id that is there already: which one counts?
    Neither."""
    envelope = agreement.envelope()
    first = envelope.signatures[0]
    repeated = (*envelope.signatures, Signature(first.key_id, bytes(64)))
    assert refused(Envelope(CONTRACT_PAYLOAD_TYPE, envelope.payload, repeated)) is (
        Code.SIGNATURE_INVALID
    )


@pytest.mark.parametrize("name", ["datacentre", "hospital-broker", "stranger"])
def test_signed_by_somebody_who_is_no_party_to_it(agreement: Agreement, name: str) -> None:
    """The operator, a broker or a stranger adds a signature, so that the contract seems to have a
    consent that nobody asked for."""
    identity = agreement.identities.get(name) or Identity.generate(name)
    envelope = add_signature(agreement.envelope(), identity.signing)
    assert refused(envelope) is Code.CONTRACT_WRONG_SIGNER


def test_signed_by_the_operator_instead_of_the_owner(agreement: Agreement) -> None:
    """The operator signs in the place of the hospital, openly, with its own key."""
    envelope = resigned(agreement, agreement.document(), "datacentre", "modelworks", "clinic")
    assert refused(envelope) is Code.CONTRACT_UNSIGNED


def test_owner_signs_with_the_key_of_another_contract(agreement: Agreement) -> None:
    """The signatures of one contract are moved to another one between the same parties."""
    envelope = agreement.envelope()
    document = agreement.document()
    document["max_runs"] = 1_000
    other = canonical_json(document)
    assert refused(Envelope(CONTRACT_PAYLOAD_TYPE, other, envelope.signatures)) is (
        Code.SIGNATURE_INVALID
    )


def test_owner_replaced_by_the_operator_within_the_contract(agreement: Agreement) -> None:
    """The operator writes its own key where the hospital's was and signs as the hospital. The
    contract is whole in itself, which is why a broker compares the key with its own owner's: the
    digest differs, and the hospital's key is not in it (spec/contract 5.3)."""
    operator = Identity.generate("hospital")
    document = agreement.document()
    document["parties"]["hospital"]["signing_key"] = operator.public.signing.text
    contract = contract_from_document(document, what="forged")
    envelope = sign_contract(contract, operator)
    for name in ("modelworks", "clinic"):
        envelope = sign_contract(envelope, agreement.identities[name])
    forged = verify_contract(envelope, now=NOW)
    genuine = verify_contract(agreement.envelope(), now=NOW)
    assert forged.digest != genuine.digest
    hospital = agreement.identities["hospital"].signing.public
    assert hospital not in forged.contract.signers.values()


@pytest.mark.parametrize("place", [0, 100, -2, -1])
def test_changed_by_one_byte(agreement: Agreement, place: int) -> None:
    """The operator changes a single byte and leaves all signatures as they are."""
    envelope = agreement.envelope()
    payload = bytearray(envelope.payload)
    payload[place] ^= 1
    changed = Envelope(CONTRACT_PAYLOAD_TYPE, bytes(payload), envelope.signatures)
    assert refused(changed) in {
        Code.SIGNATURE_INVALID,
        Code.JSON_MALFORMED,
        Code.CONTRACT_FIELD,
        Code.CONTRACT_MALFORMED,
    }


def test_readable_field_changed_by_one_byte(agreement: Agreement) -> None:
    """The one byte turns 2 runs into 3, which is a contract as good as the other: only the
    signature tells them apart."""
    envelope = agreement.envelope()
    payload = envelope.payload.replace(b'"max_runs":2', b'"max_runs":3')
    parse_contract(payload)
    assert refused(Envelope(CONTRACT_PAYLOAD_TYPE, payload, envelope.signatures)) is (
        Code.SIGNATURE_INVALID
    )


def _lower_tcb(document: dict[str, Any]) -> None:
    document["enclaves"][0]["minimum_tcb"]["genoa"]["snp"] = 0


def _add_measurement(document: dict[str, Any]) -> None:
    document["enclaves"][0]["measurements"].append("aa" * 48)


def _add_insecure(document: dict[str, Any]) -> None:
    document["enclaves"].append({**document["enclaves"][0], "name": "mine"})


def _add_telemetry(document: dict[str, Any]) -> None:
    document["telemetry"]["allowed"] = ["loss"]


def _extend(document: dict[str, Any]) -> None:
    document["validity"]["not_after"] = "2027-06-01T00:00:00Z"


@pytest.mark.parametrize(
    "downgrade", [_lower_tcb, _add_measurement, _add_insecure, _add_telemetry, _extend]
)
def test_downgraded_policy(
    agreement: Agreement, downgrade: Callable[[dict[str, Any]], None]
) -> None:
    """The operator loosens what the parties signed (older firmware, its own code, a simulator, the
    loss curve, a later end) and gets a greedy recipient to sign again; the owners did not."""
    document = agreement.document()
    downgrade(document)
    envelope = resigned(agreement, document, "clinic")
    genuine = {item.key_id: item for item in agreement.envelope().signatures}
    clinic = agreement.identities["clinic"].signing.public.key_id
    signatures = (envelope.signatures[0], *(s for k, s in genuine.items() if k != clinic))
    assert refused(Envelope(CONTRACT_PAYLOAD_TYPE, envelope.payload, signatures)) is (
        Code.SIGNATURE_INVALID
    )


def test_insecure_root_hidden_behind_a_switch_that_is_off(agreement: Agreement) -> None:
    """A party slips a simulator's root into the contract with the switch off, so that the contract
    does not say insecure, and hopes that somebody looks at the root alone. All sign it."""
    document = agreement.document()
    document["enclaves"][0]["insecure_accept_simulated"] = False
    assert refused(resigned(agreement, document, *SIGNERS)) is Code.CONTRACT_FIELD


def test_field_that_older_software_would_ignore(agreement: Agreement) -> None:
    """A field is added that this version does not know, but another may obey. All sign it."""
    document = agreement.document()
    document["insecure_skip_attestation"] = True
    assert refused(resigned(agreement, document, *SIGNERS)) is Code.CONTRACT_FIELD


def test_field_said_twice(agreement: Agreement) -> None:
    """The contract says max_runs twice; a reader that takes the first and one that takes the last
    would disagree about what was signed. All sign the bytes."""
    payload = canonical_contract(agreement.contract())[:-1] + b',"max_runs":900}'
    keys = [agreement.identities[name].signing for name in SIGNERS]
    envelope = sign_envelope(payload, payload_type=CONTRACT_PAYLOAD_TYPE, keys=keys)
    assert refused(envelope) is Code.JSON_MALFORMED


def test_signature_made_for_another_document(agreement: Agreement) -> None:
    """The parties signed these very bytes, but as another kind of document."""
    payload = agreement.envelope().payload
    keys = [agreement.identities[name].signing for name in SIGNERS]
    elsewhere = sign_envelope(payload, payload_type="text/plain", keys=keys)
    assert refused(elsewhere) is Code.ENVELOPE_TYPE
    renamed = Envelope(CONTRACT_PAYLOAD_TYPE, payload, elsewhere.signatures)
    assert refused(renamed) is Code.SIGNATURE_INVALID


def test_expired_contract(agreement: Agreement) -> None:
    """The operator keeps the signed contract and tries to run it once more after its end."""
    end = agreement.contract().validity.end
    with pytest.raises(SealtuneError) as caught:
        verify_contract(agreement.envelope(), now=end + timedelta(days=1))
    assert caught.value.code is Code.CONTRACT_EXPIRED


def test_contract_not_yet_valid(agreement: Agreement) -> None:
    """The operator runs it before the day on which it begins."""
    start = agreement.contract().validity.start
    with pytest.raises(SealtuneError) as caught:
        verify_contract(agreement.envelope(), now=start - timedelta(days=1))
    assert caught.value.code is Code.CONTRACT_NOT_YET_VALID


def test_one_key_for_two_parties(agreement: Agreement) -> None:
    """The clinic poses as the hospital too, by giving its own key for both: one signature would
    count for two."""
    document = agreement.document()
    document["parties"]["hospital"]["signing_key"] = document["parties"]["clinic"]["signing_key"]
    assert refused(resigned(agreement, document, "modelworks", "clinic")) is Code.CONTRACT_FIELD
