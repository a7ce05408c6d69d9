"""Canonical JSON out, strict JSON in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.errors import Code, FormatError, SealtuneError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def parse(data: bytes) -> object:
    return parse_json(data, limit=1000, what="test")


@given(VALUES)
def test_round_trip(value: object) -> None:
    assert parse_json(canonical_json(value), limit=1 << 20, what="test") == value


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"a":1,"a":2}', Code.JSON_MALFORMED),
        (b"NaN", Code.JSON_MALFORMED),
        (b"[-Infinity]", Code.JSON_MALFORMED),
        (b"1e999", Code.JSON_MALFORMED),
        (b"9007199254740993", Code.JSON_MALFORMED),
        (b"9" * 500, Code.JSON_MALFORMED),
        (b"\xff", Code.JSON_MALFORMED),
        (b"{", Code.JSON_MALFORMED),
        (b"", Code.JSON_MALFORMED),
        (b"[" * 40 + b"]" * 40, Code.JSON_MALFORMED),
        (b'{"a":' * 40 + b"1" + b"}" * 40, Code.JSON_MALFORMED),
        (b" " * 1001, Code.LIMIT_EXCEEDED),
    ],
)
def test_refused(data: bytes, code: Code) -> None:
    with pytest.raises(FormatError) as caught:
        parse(data)
    assert caught.value.code is code


def test_brackets_inside_strings_are_not_nesting() -> None:
    assert parse(b'"' + b"[" * 100 + b'"') == "[" * 100


@pytest.mark.parametrize("unit", [b'\\"', b'"', b'"\\', b"\\", b'"a', b'["', b'{"\\"'])
def test_a_hostile_text_costs_one_pass(unit: bytes) -> None:
    # Quadratic behaviour would take hours here, not a tenth of a second.
    data = unit * ((4 << 20) // len(unit))
    with pytest.raises(FormatError):
        parse_json(data, limit=8 << 20, what="test")
    with pytest.raises(FormatError):
        parse_json(b'"' + data, limit=8 << 20, what="test")


def test_a_hundred_thousand_brackets_are_cheap() -> None:
    with pytest.raises(FormatError):
        parse_json(b"[" * 100_000, limit=1 << 20, what="test")


@given(st.binary(max_size=200))
def test_only_our_errors(data: bytes) -> None:
    try:
        parse(data)
    except SealtuneError:
        pass


def test_what_json_cannot_say_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="canonical"):
        canonical_json({"x": float("nan")})
