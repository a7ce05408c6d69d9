"""Messages have one form; whatever else comes in is a FormatError that echoes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.core.digest import sha256_digest
from sealtune.errors import Code, FormatError
from sealtune.protocol.messages import (
    ChallengeRequest,
    KeyRequest,
    Message,
    Refusal,
    Rule,
    message_from,
    parse_message,
)

DIGEST = sha256_digest(b"x")
CHALLENGE_REQUEST = {"contract": DIGEST, "run_id": "0f" * 16}
KEY_REQUEST = {
    "challenge": "A" * 43,
    "contract": DIGEST,
    "run_id": "0f" * 16,
    "bundles": [DIGEST],
    "worker": {
        "recipient_key": "mlkem768x25519:" + "A" * 1622,
        "signing_key": "ed25519:" + "A" * 43,
    },
    "evidence": {},
}


def parse(model: type[Message], value: Any) -> Message:
    return parse_message(model, json.dumps(value).encode(), limit=20_000, what="test")


def test_a_message_survives_its_encoding():
    message = parse(KeyRequest, KEY_REQUEST)
    assert parse_message(KeyRequest, message.encode(), limit=20_000, what="test") == message


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "0F" * 16},
        {"run_id": "0f" * 15},
        {"run_id": 5},
        {"run_id": "0f" * 16 + "\n"},
        {"contract": "sha256:" + "0" * 63},
        {"contract": None},
        {"extra": 1},
    ],
)
def test_a_challenge_request_has_one_form(change: dict[str, Any]):
    with pytest.raises(FormatError) as caught:
        parse(ChallengeRequest, CHALLENGE_REQUEST | change)
    assert caught.value.code is Code.MESSAGE_MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        {"bundles": []},
        {"bundles": [DIGEST] * 65},
        {"bundles": DIGEST},
        {"challenge": "A" * 42},
        {"challenge": "A" * 42 + "="},
        {"worker": {"recipient_key": "x", "signing_key": "ed25519:" + "A" * 43}},
        {"worker": None},
        {"evidence": "text"},
    ],
)
def test_a_key_request_has_one_form(change: dict[str, Any]):
    with pytest.raises(FormatError) as caught:
        parse(KeyRequest, KEY_REQUEST | change)
    assert caught.value.code is Code.MESSAGE_MALFORMED


def test_missing_fields_are_refused():
    for name in KEY_REQUEST:
        with pytest.raises(FormatError):
            parse(KeyRequest, {key: value for key, value in KEY_REQUEST.items() if key != name})


def test_a_peer_cannot_write_control_characters_to_a_terminal():
    fields = {"request": DIGEST, "code": "x", "rule": "y", "message": "\x1b[2Jgone"}
    with pytest.raises(FormatError):
        message_from(Refusal, fields, what="test")
    with pytest.raises(FormatError):
        message_from(
            Rule, {"rule": "x", "passed": True, "reason": "a\nb", "code": None}, what="test"
        )


def test_an_error_names_the_place_and_echoes_no_value():
    secret = "hunter2" * 3
    with pytest.raises(FormatError) as caught:
        parse(KeyRequest, KEY_REQUEST | {"challenge": secret})
    assert "challenge" in caught.value.message
    assert secret not in caught.value.message


def test_the_name_of_an_unknown_field_is_made_harmless():
    with pytest.raises(FormatError) as caught:
        parse(ChallengeRequest, CHALLENGE_REQUEST | {"\x1b[2J" + "a" * 500: 1})
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 400


def test_size_is_checked_before_anything_else():
    with pytest.raises(FormatError) as caught:
        parse_message(ChallengeRequest, b"[" * 1000, limit=999, what="test")
    assert caught.value.code is Code.LIMIT_EXCEEDED


def test_deep_nesting_is_refused():
    deep = KEY_REQUEST | {"evidence": {}}
    text = json.dumps(deep).replace(
        '"evidence": {}', '"evidence": ' + '{"a":' * 40 + "1" + "}" * 40
    )
    with pytest.raises(FormatError) as caught:
        parse_message(KeyRequest, text.encode(), limit=20_000, what="test")
    assert caught.value.code is Code.JSON_MALFORMED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(KEY_REQUEST)), JSON)
def test_no_value_in_any_field_raises_anything_else(name: str, value: Any):
    try:
        parse(KeyRequest, KEY_REQUEST | {name: value})
    except FormatError:
        pass


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes):
    with pytest.raises(FormatError):
        parse_message(KeyRequest, data, limit=150, what="test")
