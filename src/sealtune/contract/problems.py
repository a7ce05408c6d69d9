"""Turns what pydantic found wrong into errors that name file, place and remedy.

Used wherever the bytes of a contract or a receipt enter. It shows values of no field: only places,
expectations and names of fields.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable
from types import UnionType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sealtune.errors import Code, FormatError

_SHOWN_MAX = 5
_UNKNOWN = frozenset({"extra_forbidden", "unexpected_keyword_argument"})


def field_problems(
    error: ValidationError, *, model: type[BaseModel], what: str, code: Code
) -> FormatError:
    """Return the FormatError that says what `error`, from validating `model`, found in `what`."""
    items = error.errors(include_url=False)
    inside = {item["loc"][:depth] for item in items for depth in range(len(item["loc"]))}
    # A list whose elements are wrong is counted as too short as well: that would only mislead.
    told = [item for item in items if item["type"] != "too_short" or item["loc"] not in inside]
    found = [_describe(item, model) for item in told]
    shown = "; ".join(found[:_SHOWN_MAX])
    more = f"; and {len(found) - _SHOWN_MAX} more" if len(found) > _SHOWN_MAX else ""
    return FormatError(code, f"{what}: {shown}{more}")


def dotted(place: Iterable[str | int]) -> str:
    """Return a place in a document as people write it: `inputs[0].owner`."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{_shown(step)}" if text else _shown(step)
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name that `name` is probably a slip of, or nothing."""
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f'; did you mean "{matches[0]}"?' if matches else ""


def _describe(item: ErrorDetails, model: type[BaseModel]) -> str:
    # pydantic's own mark for a key that is wrong.
    place = tuple(step for step in item["loc"] if step != "[key]")
    if item["type"] in _UNKNOWN:
        known = _fields(_type_at(model, place[:-1]))
        return f"{dotted(place)}: unknown field{nearest(str(place[-1]), known)}"
    if item["type"] == "missing":
        return f"{dotted(place)}: missing"
    reason = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        # The recipe's own checks begin with the name of the field that they are about.
        first = reason.split(" ", 1)[0]
        if first in _fields(_type_at(model, place)):
            return f"{dotted((*place, first))}: {reason.removeprefix(first).lstrip()}"
    return f"{dotted(place) or 'document'}: {reason[:1].lower()}{reason[1:]}"


def _type_at(model: type[BaseModel], place: Iterable[str | int]) -> Any:
    """Return the type of the value at `place`, or None where the place leads out of the schema."""
    current: Any = model
    for step in place:
        if isinstance(current, type) and _fields(current):
            current = _plain(typing.get_type_hints(current).get(str(step)))
        else:
            # A mapping's or a sequence's element type comes last but for the ellipsis.
            types = [item for item in typing.get_args(current) if item is not ...]
            current = _plain(types[-1]) if types else None
    return current


def _plain(kind: Any) -> Any:
    """Return `kind` without the None of an optional."""
    if typing.get_origin(kind) in (typing.Union, UnionType):
        return next(item for item in typing.get_args(kind) if item is not type(None))
    return kind


def _fields(kind: Any) -> frozenset[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return frozenset(kind.model_fields)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return frozenset(field.name for field in dataclasses.fields(kind))
    return frozenset()


def _shown(step: str) -> str:
    # A name in foreign input may hold anything, a terminal's escape sequences too.
    return step[:80] if step.isprintable() else ascii(step[:80])
