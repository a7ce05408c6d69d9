"""What may stand behind the beginning of a pattern's match, so that few patterns are asked.

Read from the pattern. The answer may be yes where nothing matches, and is never no where it does.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from sealtune.deid.regex_tree import codes, parser

_STEPS_MAX: Final = 20_000  # of one question; of a pattern that needs more the answer is yes
_RANGE_MAX: Final = 1_000  # characters
# Letters that `re` takes for these in another case.
_ALIKE: Final = {"s": "\u017f", "k": "\u212a", "i": "\u0130\u0131"}
_SPACES: Final = frozenset(chr(n) for n in range(0x3001) if chr(n).isspace())
_DIGITS: Final = frozenset(string.digits)
_CHARACTERS: Final = (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY)
_WIDTHLESS: Final = (codes.AT, codes.ASSERT, codes.ASSERT_NOT)
# An item of a pattern, whether in either case, and what stands behind it.
_Rest = tuple[Any, Any, bool, "_Rest"] | None
_Letters = frozenset[str] | None  # of which one stands in a place; None: any

# How `shape` writes characters: one for all of a kind, other ones as they are.
_KINDS: Final = {
    "0": _DIGITS,
    "A": frozenset(string.ascii_uppercase),
    "a": frozenset(string.ascii_lowercase),
}
_SHAPE: Final = str.maketrans({one: kind for kind, all_ in _KINDS.items() for one in all_})


def shape(text: str) -> str:
    """Return `text` with one letter for all small ones, one for capitals, one digit for all."""
    return text.translate(_SHAPE)


class Beginning:
    """Matches of a pattern that begin with certain characters."""

    def __init__(self, pattern: re.Pattern[str], begun: Sequence[frozenset[str]]) -> None:
        """Take the pattern and the characters of which one stands in each place."""
        self._rests: list[_Rest] | None = []
        try:
            _Walk(begun, self._rests.append).go(_parsed(pattern), 0)
        except _Anything:
            self._rests = None

    def may_go_on(self, shaped: str) -> bool:
        """Return whether what has this `shape` may stand behind the beginning."""
        if self._rests is None:
            return True
        letters = [_of_shape(letter) for letter in shaped]
        found: list[_Rest] = []
        walk = _Walk(letters, found.append)
        try:
            for rest in self._rests:
                walk.go(rest, 0)
                if found:
                    return True
        except _Anything:
            return True
        return False


def of_word(word: str) -> tuple[frozenset[str], ...]:
    """Return the letters of `word`, each in either case."""
    return tuple(_cases(letter) for letter in word)


def of_digits(count: int) -> tuple[frozenset[str], ...]:
    """Return `count` digits."""
    return (_DIGITS,) * count


class _Anything(Exception):
    """The pattern may match whatever follows, or is too long a question."""


class _Walk:
    """Goes through a pattern along given characters, and says what is left where they end."""

    def __init__(self, letters: Sequence[_Letters], found: Callable[[_Rest], None]) -> None:
        self._letters = letters
        self._found = found
        self._steps = 0

    def go(self, rest: _Rest, at: int) -> None:
        while at < len(self._letters):
            self._steps += 1
            if rest is None or self._steps > _STEPS_MAX:
                raise _Anything
            code, value, either, rest = rest
            if code in _CHARACTERS:
                if not _may_be(code, value, self._letters[at], either):
                    return
                at += 1
            elif code not in _WIDTHLESS:  # those allow no more than without them
                if code is codes.SUBPATTERN:
                    either = _either(value[1], value[2], either)
                for items in _ways(code, value, len(self._letters) - at):
                    # Most of many alternatives begin with another letter.
                    if not items or self._may_begin(items[0], at, either):
                        self.go(_joined(items, either, rest), at)
                return
        self._found(rest)

    def _may_begin(self, item: tuple[Any, Any], at: int, either: bool) -> bool:
        code, value = item
        return code not in _CHARACTERS or _may_be(code, value, self._letters[at], either)


@lru_cache(maxsize=1_024)
def _parsed(pattern: re.Pattern[str]) -> _Rest:
    items = parser.parse(pattern.pattern, pattern.flags).data
    return _joined(items, _either(pattern.flags, 0, False), None)


def _either(added: int, taken: int, before: bool) -> bool:
    """Return whether letters match in either case where flags are added and taken."""
    return bool(added & re.IGNORECASE) or (before and not taken & re.IGNORECASE)


def _of_shape(letter: str) -> _Letters:
    return _KINDS.get(letter, frozenset(letter)) if letter.isascii() else None


def _ways(code: Any, value: Any, left: int) -> Iterator[list[Any]]:
    """Yield what may stand for a part of a pattern of which `left` characters are to match."""
    if code is codes.SUBPATTERN:
        yield value[-1].data
    elif code is codes.BRANCH:
        for branch in value[1]:
            yield branch.data
    elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        least, most, inner = value
        for count in range(least, min(most, max(least, left + 1)) + 1):
            yield inner.data * count
    else:
        raise _Anything


def _joined(items: list[Any], either: bool, rest: _Rest) -> _Rest:
    for code, value in reversed(items):
        rest = (code, value, either, rest)
    return rest


def _may_be(code: Any, value: Any, letters: _Letters, either: bool) -> bool:
    """Return whether an item of one character may match one of `letters`."""
    if letters is None:
        return True
    if code is codes.LITERAL:
        return not letters.isdisjoint(_range(value, value, either))
    if code is not codes.IN or value[0][0] is codes.NEGATE:
        return True
    return any(_item_may_be(kind, inner, letters, either) for kind, inner in value)


def _item_may_be(code: Any, value: Any, letters: frozenset[str], either: bool) -> bool:
    if code is codes.LITERAL:
        return not letters.isdisjoint(_range(value, value, either))
    if code is codes.RANGE and value[1] - value[0] < _RANGE_MAX:
        return not letters.isdisjoint(_range(*value, either))
    if code is codes.CATEGORY and value is codes.CATEGORY_SPACE:
        return not letters.isdisjoint(_SPACES)
    if code is codes.CATEGORY and value is codes.CATEGORY_DIGIT:
        return not letters.isdisjoint(_DIGITS)
    return True


@lru_cache(maxsize=4_096)
def _range(first: int, last: int, either: bool) -> frozenset[str]:
    letters = map(chr, range(first, last + 1))
    return frozenset(one for letter in letters for one in (_cases(letter) if either else letter))


@lru_cache(maxsize=4_096)
def _cases(letter: str) -> frozenset[str]:
    return frozenset({letter, letter.lower(), letter.upper(), *_ALIKE.get(letter.lower(), "")})
