"""DSSE: every required key must have signed, nobody else may."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.crypto.dsse import (
    Envelope,
    add_signature,
    envelope_from_dict,
    parse_envelope,
    pre_authentication_encoding,
    sign_envelope,
    verify_envelope,
)
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

ALICE, BOB, EVE = (SigningKey.from_bytes(bytes([n]) * 32) for n in (1, 2, 3))
TYPE = "application/test"


def signed(*keys: SigningKey) -> Envelope:
    return sign_envelope(b"payload", payload_type=TYPE, keys=keys)


def refused(envelope: Envelope, *required: SigningKey, payload_type: str = TYPE) -> Code:
    with pytest.raises(VerificationError) as caught:
        verify_envelope(envelope, payload_type=payload_type, required=[k.public for k in required])
    return caught.value.code


def test_round_trip() -> None:
    envelope = parse_envelope(add_signature(signed(ALICE), BOB).to_json())
    keys = [ALICE.public, BOB.public]
    verified = verify_envelope(envelope, payload_type=TYPE, required=keys)
    assert verified.payload == b"payload"
    assert verified.signers == frozenset(keys)


def test_encoding_is_the_one_of_the_dsse_specification() -> None:
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_refusals() -> None:
    envelope = signed(ALICE, BOB)
    assert refused(signed(ALICE), ALICE, BOB) is Code.SIGNATURE_MISSING
    assert refused(envelope, ALICE) is Code.SIGNATURE_INVALID
    assert refused(replace(envelope, payload=b"Payload"), ALICE, BOB) is Code.SIGNATURE_INVALID
    assert refused(envelope, ALICE, BOB, payload_type="other") is Code.ENVELOPE_TYPE
    retyped = replace(envelope, payload_type="other")
    assert refused(retyped, ALICE, BOB, payload_type="other") is Code.SIGNATURE_INVALID
    twice = replace(envelope, signatures=envelope.signatures + envelope.signatures[:1])
    assert refused(twice, ALICE, BOB) is Code.SIGNATURE_INVALID
    renamed = replace(signed(EVE).signatures[0], key_id=ALICE.public.key_id)
    assert refused(replace(envelope, signatures=(renamed,)), ALICE) is Code.SIGNATURE_INVALID
    with pytest.raises(ValueError, match="required"):
        verify_envelope(envelope, payload_type=TYPE, required=[])


def test_signing_again_replaces() -> None:
    assert len(add_signature(signed(ALICE), ALICE).signatures) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "a"},
        {"payload": "YQ=="[:-1]},
        {"payload": "YR=="},
        {"payload": 1},
        {"payloadType": 1},
        {"signatures": []},
        {"signatures": {}},
        {"signatures": [{"keyid": "a"}]},
        {"signatures": [{"keyid": 1, "sig": ""}]},
        {"extra": 1},
    ],
)
def test_malformed(change: dict[str, object]) -> None:
    with pytest.raises(FormatError) as caught:
        envelope_from_dict(signed(ALICE).to_dict() | change)
    assert caught.value.code is Code.ENVELOPE_MALFORMED


@given(st.binary(max_size=100))
def test_parser_raises_only_our_errors(data: bytes) -> None:
    try:
        parse_envelope(data)
    except SealtuneError:
        pass
