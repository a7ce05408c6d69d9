"""What may stand behind the number that a pattern begins with, so that few patterns are asked.

Read from the pattern. The answer may hold characters that never follow, and never lacks one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

_STEPS_MAX: Final = 20_000  # of one question; a pattern that needs more may be followed by anything
_RANGE_MAX: Final = 1_000  # characters
# Letters that `re` takes for these in another case.
_ALIKE: Final = {"s": "\u017f", "k": "\u212a", "i": "\u0130\u0131"}
_SPACES: Final = frozenset(chr(n) for n in range(0x3001) if chr(n).isspace())
_CHARACTERS: Final = (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY)
_WIDTHLESS: Final = (codes.AT, codes.ASSERT, codes.ASSERT_NOT)
_Rest = tuple[Any, Any] | None  # an item of a pattern, and what stands behind it


class _Anything(Exception):
    """Any character may follow."""


def follows_number(pattern: re.Pattern[str], digits: int) -> frozenset[str] | None:
    """Return the characters that may stand behind `digits` digits where `pattern` begins with them.

    The number has no more digits than these. None: any character, or the end of the text.
    """
    question = _Question()
    try:
        question.ask(_joined(parser.parse(pattern.pattern, pattern.flags), None), digits)
    except _Anything:
        return None
    return frozenset(question.found)


class _Question:
    def __init__(self) -> None:
        self.found: set[str] = set()
        self._steps = 0

    def ask(self, rest: _Rest, left: int) -> None:
        """Collect what may stand behind `left` more digits that `rest` begins with."""
        while True:
            self._steps += 1
            if rest is None or self._steps > _STEPS_MAX:
                raise _Anything
            (code, value), rest = rest
            if code in _CHARACTERS:
                if left == 0:
                    self.found |= _characters(code, value)
                    return
                if not _may_be_digit(code, value):
                    return
                left -= 1
            elif code not in _WIDTHLESS:  # those allow no more than without them
                for items in _ways(code, value, left):
                    self.ask(_joined(items, rest), left)
                return


def _ways(code: Any, value: Any, left: int) -> Iterable[list[Any]]:
    """Return what may stand for a part of a pattern, of which `left` digits are to be matched."""
    if code is codes.SUBPATTERN:
        return [list(value[-1])]
    if code is codes.BRANCH:
        return [list(branch) for branch in value[1]]
    if code not in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        raise _Anything
    least, most, inner = value
    counts = range(least, min(most, max(least, left + 1)) + 1)
    return [list(inner) * count for count in counts]


def _joined(items: Iterable[Any], rest: _Rest) -> _Rest:
    for item in reversed(list(items)):
        rest = (item, rest)
    return rest


def _may_be_digit(code: Any, value: Any) -> bool:
    if code is codes.LITERAL:
        return chr(value).isdigit()
    if code is codes.IN and value[0][0] is not codes.NEGATE:
        return any(_item_may_be_digit(*item) for item in value)
    return True


def _item_may_be_digit(code: Any, value: Any) -> bool:
    if code is codes.LITERAL:
        return chr(value).isdigit()
    if code is codes.RANGE:
        if value[1] - value[0] >= _RANGE_MAX:
            return True
        return any(chr(n).isdigit() for n in range(value[0], value[1] + 1))
    return value is not codes.CATEGORY_SPACE


def _characters(code: Any, value: Any) -> set[str]:
    """Return what an item of one character matches, digits left out, in either case."""
    if code is codes.LITERAL:
        return _cases(chr(value))
    if code is not codes.IN or value[0][0] is codes.NEGATE:
        raise _Anything
    found: set[str] = set()
    for kind, inner in value:
        if kind is codes.LITERAL:
            found |= _cases(chr(inner))
        elif kind is codes.RANGE and inner[1] - inner[0] < _RANGE_MAX:
            for number in range(inner[0], inner[1] + 1):
                found |= _cases(chr(number))
        elif kind is codes.CATEGORY and inner is codes.CATEGORY_SPACE:
            found |= _SPACES
        elif not (kind is codes.CATEGORY and inner is codes.CATEGORY_DIGIT):
            raise _Anything
    return found


def _cases(letter: str) -> set[str]:
    return {letter, letter.lower(), letter.upper(), *_ALIKE.get(letter.lower(), "")}
