"""What a new version of a contract would change, in plain words (docs/spec/contract.md §8).

Every difference yields a Change. One that has no words of its own is shown with both values and
counted as permitting more: an owner's doubt is never resolved in favour of the change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sealtune.contract.fields import json_document
from sealtune.contract.phrases import Verdict, added, changed, removed, shown
from sealtune.contract.schema import Contract
from sealtune.core.canonical import canonical_json

# Lists of objects that are compared by name, not by position.
_NAMED_LISTS: Final = frozenset({"inputs", "enclaves"})
# Tables whose entries carry names that people chose.
_NAMED: Final = frozenset({"parties", "brokers", *_NAMED_LISTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference: its place, both values (None: not there), what it means.

    `permits_more` says whether the new version allows something that the old one did not.
    """

    path: str
    old: Any
    new: Any
    words: str
    permits_more: bool


def diff_contracts(old: Contract, new: Contract) -> list[Change]:
    """Return every difference from `old` to `new`, those that permit more first."""
    return diff_documents(json_document(old), json_document(new))


def diff_documents(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return every difference between two contracts' JSON objects, those that permit more first."""
    changes: list[Change] = []
    _walk((), old, new, changes)
    return sorted(changes, key=lambda change: (not change.permits_more, change.path))


def _walk(path: tuple[str, ...], old: Any, new: Any, changes: list[Change]) -> None:
    if canonical_json(old) == canonical_json(new):
        return
    named = len(path) == 1 and path[0] in _NAMED_LISTS
    if named and _by_name(old) is not None and _by_name(new) is not None:
        _walk_named(path, old, new, changes)
    elif isinstance(old, dict) and isinstance(new, dict):
        _walk_object(path, old, new, changes)
    else:
        _note(path, old, new, changes, changed)


def _walk_object(
    path: tuple[str, ...], old: dict[str, Any], new: dict[str, Any], changes: list[Change]
) -> None:
    for name in sorted(old.keys() | new.keys()):
        place = (*path, name)
        if name not in old:
            _note(place, None, new[name], changes, added)
        elif name not in new:
            _note(place, old[name], None, changes, removed)
        else:
            _walk(place, old[name], new[name], changes)


def _walk_named(path: tuple[str, ...], old: Any, new: Any, changes: list[Change]) -> None:
    before, after = _by_name(old) or {}, _by_name(new) or {}
    _walk_object(path, before, after, changes)
    if before.keys() == after.keys() and list(before) != list(after):
        _note(path, list(before), list(after), changes, changed)


def _by_name(items: Any) -> dict[str, Any] | None:
    """Return a list of named objects as a mapping, or None if it is none."""
    if not isinstance(items, list):
        return None
    named = {
        item["name"]: item
        for item in items
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    }
    return named if len(named) == len(items) else None


def _note(
    path: tuple[str, ...],
    old: Any,
    new: Any,
    changes: list[Change],
    describe: Callable[[str, str, Any, Any], Verdict | None],
) -> None:
    pattern, name = _pattern(path)
    place = ".".join(path)
    verdict = describe(pattern, name, old, new)
    if verdict is None:
        verdict = Verdict(f"{shown(place)}: {shown(old)} becomes {shown(new)}", permits_more=True)
    changes.append(
        Change(path=place, old=old, new=new, words=verdict.words, permits_more=verdict.permits_more)
    )


def _pattern(path: tuple[str, ...]) -> tuple[str, str]:
    """Return the path with a chosen name replaced by `*`, and that name."""
    if len(path) > 1 and path[0] in _NAMED:
        return ".".join((path[0], "*", *path[2:])), shown(path[1])
    return ".".join(path), ""
