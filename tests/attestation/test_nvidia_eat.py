"""Tokens about devices are recognized in every form, and refused with the reason that fits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.attestation.nvidia_eat import eat_tokens, refuse_tokens
from sealtune.core.limits import DEVICES_MAX
from sealtune.crypto.encoding import b64encode
from sealtune.crypto.jwt import TOKEN_BYTES_MAX
from sealtune.errors import Code, SealtuneError


def token(header: Any, signature: str = "AAAA") -> str:
    return f"{b64encode(json.dumps(header).encode())}.{b64encode(b'{}')}.{signature}"


SIGNED = token({"alg": "ES384"})


def refused(*tokens: str) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        refuse_tokens(tokens)
    return refusal.value.code


def test_both_forms_are_recognized() -> None:
    detached = [["JWT", "a"], {"GPU-0": "b", "GPU-1": "c"}]
    assert eat_tokens(detached) == ("a", "b", "c")
    assert eat_tokens({"detached_eat": detached, "claims": []}) == ("a", "b", "c")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "a.b.c",
        [],
        {},
        {"detached_eat": None},
        [["JWT", "a"]],
        [["JWT"], {}],
        [None, {}],
        ["JW", {}],
        [{"0": "JWT", "1": "a"}, {}],
        [["CWT", "a"], {}],
        [["JWT", "a"], []],
        [{"arch": "HOPPER"}, {"arch": "HOPPER"}],
    ],
)
def test_anything_else_is_none(value: Any) -> None:
    assert eat_tokens(value) == ()


def test_more_tokens_than_devices_are_refused() -> None:
    devices = {str(number): "a" for number in range(DEVICES_MAX)}
    assert len(eat_tokens([["JWT", "a"], devices])) == DEVICES_MAX + 1
    with pytest.raises(SealtuneError) as refusal:
        eat_tokens([["JWT", "a"], {**devices, "more": "a"}])
    assert refusal.value.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "unsigned",
    [
        token({"alg": "none"}, ""),
        token({"alg": "none"}),
        token({"alg": "None"}),
        token({"alg": "nOnE"}),
        token({"alg": None}),
        token({"typ": "JWT"}),
        token({"alg": "ES384"}, ""),
    ],
)
def test_an_unsigned_token_is_refused_as_such(unsigned: str) -> None:
    assert refused(unsigned) is Code.EVIDENCE_UNSIGNED
    assert refused(SIGNED, unsigned) is Code.EVIDENCE_UNSIGNED


def test_a_signed_token_is_an_opinion_and_no_evidence() -> None:
    assert refused(SIGNED) is Code.EVIDENCE_KIND
    assert refused(SIGNED, token({"alg": "RS256"})) is Code.EVIDENCE_KIND


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.TOKEN_MALFORMED),
        ("a.b", Code.TOKEN_MALFORMED),
        ("!.b.c", Code.TOKEN_MALFORMED),
        (f"{b64encode(b'[]')}.b.c", Code.TOKEN_MALFORMED),
        (f"{b64encode(b'{')}.b.c", Code.JSON_MALFORMED),
        ("a" * (TOKEN_BYTES_MAX + 1), Code.LIMIT_EXCEEDED),
    ],
    ids=["empty", "two-parts", "not-base64", "list", "not-json", "too-large"],
)
def test_a_token_that_is_none_is_refused(text: str, code: Code) -> None:
    assert refused(text) is code


@given(st.text(max_size=200))
def test_any_text_is_refused_with_our_errors(text: str) -> None:
    with pytest.raises(SealtuneError):
        refuse_tokens((text,))
