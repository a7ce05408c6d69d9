"""What the measures see of a record: its texts, without what was just written into them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from sealtune.deid.entities import EntityType

MASK: Final = "\x1f"  # white space that no writer uses
NESTING_MAX: Final = 64
NUMBER_DIGITS_MIN: Final = 5  # shorter numbers in fields of their own are measurements
_WORD = re.compile(r"[^\W\d_]{1,40}")
_CLOSERS: Final = frozenset(".!?:\n\r")


class Replacement(Protocol):
    """What a transform changed (`transforms.Change`)."""

    @property
    def start(self) -> int:
        """Where the replacement begins in the output text."""

    @property
    def end(self) -> int:
        """Where it ends."""

    @property
    def original(self) -> str:
        """What stood there."""

    @property
    def replacement(self) -> str:
        """What stands there now."""

    @property
    def entity(self) -> EntityType:
        """Of which type it is."""


class Word(NamedTuple):
    """A run of letters; `opens` where it begins a sentence or line."""

    start: int
    end: int
    text: str
    opens: bool

    @property
    def capitalized(self) -> bool:
        """Whether it is written like a name: one capital, then small letters."""
        return len(self.text) > 1 and self.text[0].isupper() and self.text[1:].islower()


def texts(value: object, depth: int = 0) -> Iterator[str]:
    """Yield every string in `value`, and numbers that are long enough to be identifiers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10 ** (NUMBER_DIGITS_MIN - 1):
            yield str(value)
    elif depth < NESTING_MAX and isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from texts(item, depth + 1)
    elif depth < NESTING_MAX and isinstance(value, list | tuple):
        for item in value:
            yield from texts(item, depth + 1)


def masked(text: str, changes: Sequence[Replacement]) -> str:
    """Return `text` with `MASK` where `changes` put something, as long as it was.

    A change is of this text if its replacement stands where it says; in another text of the record
    the same words at the same place are what the transform wrote there as well.
    """
    pieces, at = [], 0
    for change in sorted(changes, key=lambda change: change.start):
        start, end = change.start, change.end
        if at <= start < end <= len(text) and text[start:end] == change.replacement:
            pieces += [text[at:start], MASK * (end - start)]
            at = end
    return "".join([*pieces, text[at:]]) if pieces else text


def spelled(text: str) -> list[str]:
    """Return the words of `text` as they are written."""
    return _WORD.findall(text)


def words(text: str) -> list[Word]:
    """Return the words of `text`."""
    found, at = [], 0
    for match in _WORD.finditer(text):
        start, end = match.span()
        gap = text[at:start]
        opens = not gap.strip() if at == 0 else gap != " " and not _CLOSERS.isdisjoint(gap)
        found.append(Word(start, end, match[0], opens))
        at = end
    return found
