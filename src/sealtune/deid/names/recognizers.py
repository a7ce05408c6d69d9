"""Patterns of the owner's own, kept from running away: no repetition within a repetition."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from sealtune.deid.config import Recognizer
from sealtune.deid.entities import Finding
from sealtune.deid.regex_tree import codes, parser
from sealtune.errors import Code, ConfigError

CONTEXT_CHARACTERS: Final = 60
_REPEATS: Final = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_BOUND_MAX: Final = 64  # a repetition of more is as good as unbounded


class RecognizerDetector:
    """Finds one pattern; where context words are given, only near one of them."""

    def __init__(self, item: Recognizer) -> None:
        """Take a recognizer whose pattern is known to be safe."""
        self.name = f"recognizer:{item.name}"
        self._item = item
        self._pattern = re.compile(item.pattern, re.IGNORECASE if item.ignore_case else 0)
        self._context = tuple(word.lower() for word in item.context)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield each match in `text` that is not empty."""
        item = self._item
        for match in self._pattern.finditer(text):
            start, end = match.span()
            if end > start and self._is_near(text, start, end):
                yield Finding(start, end, item.entity, item.confidence, self.name, item.name)

    def _is_near(self, text: str, start: int, end: int) -> bool:
        if not self._context:
            return True
        around = text[max(0, start - CONTEXT_CHARACTERS) : end + CONTEXT_CHARACTERS].lower()
        return any(word in around for word in self._context)


def recognizer_detector(item: Recognizer) -> RecognizerDetector:
    """Return the detector of `item`.

    Raises:
        ConfigError: the pattern repeats what repeats already, refers back, or begins unboundedly,
            and so could take time that grows faster than the text.
    """
    # The standard library's matcher knows no time limit, so what could need one is refused.
    unbounded = _count(parser.parse(item.pattern), inside=False, name=item.name)
    if unbounded > 2:
        raise _refused(item.name, "more than two unbounded repetitions")
    return RecognizerDetector(item)


def _count(pattern: Any, *, inside: bool, name: str) -> int:
    """Return how many repetitions without a bound `pattern` has, none in another."""
    total = 0
    for code, value in pattern:
        if code in (codes.GROUPREF, codes.GROUPREF_EXISTS):
            raise _refused(name, "refers back to a group")
        if str(code) in _REPEATS:
            wide = value[1] > _BOUND_MAX
            if inside:
                raise _refused(name, "repeats what repeats already")
            varies = value[1] > 1 and value[0] != value[1]
            total += wide + _count(value[2], inside=varies, name=name)
        else:
            for part in _parts(value):
                total += _count(part, inside=inside, name=name)
    return total


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, parser.SubPattern):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _parts(part)


def _refused(name: str, why: str) -> ConfigError:
    remedy = "write out each repetition with a bound, such as [0-9]{6,10}"
    return ConfigError(Code.CONFIG_INVALID, f"recognizers.{name}: pattern: {why}", remedy=remedy)
