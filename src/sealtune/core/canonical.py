"""Canonical JSON (RFC 8785) out, strict JSON in.

What is signed is always the canonical form; what is read is refused on duplicate names, non-finite
numbers, too many bytes or values or too deep nesting, each before the value reaches anyone.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import rfc8785

from sealtune.core.limits import JSON_DEPTH_MAX, JSON_MARKS_MAX
from sealtune.errors import Code, FormatError

# RFC 8785 numbers are IEEE doubles: a larger integer would not survive the round trip.
_INTEGER_MAX = 2**53 - 1
# Possessive, and an unterminated string runs to the end: a hostile text costs one pass, not one for
# every quotation mark in it.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def canonical_json(value: Any) -> bytes:
    """Return `value` as RFC 8785 canonical JSON.

    Raises:
        ValueError: `value` holds something that JSON cannot (a caller's mistake).
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"not representable in canonical JSON: {error}") from error


def parse_json(data: bytes, *, limit: int, what: str, marks: int = JSON_MARKS_MAX) -> Any:
    """Return the JSON value in `data`, read strictly; `what` names it in errors.

    `marks` bounds what its values cost to read: a comma counts 1, a quotation mark 2, an opening
    bracket 3, in strings as well.

    Raises:
        FormatError: more than `limit` bytes or `marks`, not UTF-8, not JSON, nested more than
            `JSON_DEPTH_MAX` levels, a name twice in an object, a number that is not finite or an
            integer beyond 2**53.
    """
    _check_size(data, limit=limit, marks=marks, what=what)
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_names,
            parse_constant=_no_constant,
            parse_int=_bounded_int,
            parse_float=_finite_float,
        )
    except UnicodeDecodeError:
        raise FormatError(Code.JSON_MALFORMED, f"{what}: not UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise FormatError(
            Code.JSON_MALFORMED, f"{what}: not JSON at {place}: {error.msg}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise FormatError(Code.JSON_MALFORMED, f"{what}: {error}") from None


def parse_foreign_json(data: bytes, *, limit: int, what: str, marks: int = JSON_MARKS_MAX) -> Any:
    """Return the JSON value in `data` that other programs wrote, for reading only; never signed.

    Bounded like `parse_json`, but it takes what such files hold: the integer 10**30 that stands for
    "no limit" in tokenizer configurations, for one.

    Raises:
        FormatError: more than `limit` bytes or `marks`, not UTF-8, not JSON, or nested too deep.
    """
    _check_size(data, limit=limit, marks=marks, what=what)
    try:
        # Given bytes, the library would guess UTF-16 and UTF-32, where brackets and quotation marks
        # stand at other places than they were counted at.
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "not readable"
        raise FormatError(Code.JSON_MALFORMED, f"{what}: not JSON: {reason}") from None


def _check_size(data: bytes, *, limit: int, marks: int, what: str) -> None:
    if len(data) > limit:
        raise FormatError(
            Code.LIMIT_EXCEEDED, f"{what}: {len(data)} bytes, at most {limit} allowed"
        )
    # A million empty lists are 3 MiB and cost 100 MiB and half a second.
    if _marks(data) > marks:
        raise FormatError(Code.LIMIT_EXCEEDED, f"{what}: more values than allowed")
    if _depth(data) > JSON_DEPTH_MAX:
        raise FormatError(
            Code.JSON_MALFORMED, f"{what}: nested deeper than {JSON_DEPTH_MAX} levels"
        )


def _marks(data: bytes) -> int:
    brackets = data.count(b"[") + data.count(b"{")
    return data.count(b",") + 2 * data.count(b'"') + 3 * brackets


def _depth(data: bytes) -> int:
    # Strings are blanked first, so that brackets inside them do not count.
    deepest = depth = 0
    for byte in _STRINGS.sub(b"", data).translate(None, _NO_BRACKETS):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > JSON_DEPTH_MAX:
                break
        else:
            depth -= 1
    return deepest


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _bounded_int(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > _INTEGER_MAX:
        raise ValueError("an integer is beyond 2**53")
    return int(digits)


def _finite_float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number is not finite")
    return value
