"""How a rule looks at a text: a pattern, a check, words nearby, only where a cheap trigger fires.

Most of a text has no digit, no at-sign and no telling word. Patterns that need one run over windows
around it, which makes their number cheap. Every repetition in a pattern is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sealtune.deid.entities import EntityType, Finding

_MARGIN: Final = 80  # characters around a trigger: the longest label and what it labels
_SEPARATORS: Final = str.maketrans("", "", " .-/()\n\t\u00a0_")
Windows = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Rule:
    """Finds group `group` of `pattern`; `check` gets it without separators, in upper case.

    Where the check fails, or no `context` is within reach, `weak` is the confidence; 0 drops it.
    """

    pattern: re.Pattern[str]
    entity: EntityType
    kind: str
    confidence: float = 0.9
    check: Callable[[str], bool] | None = None
    context: re.Pattern[str] | None = None
    weak: float = 0.0
    group: int = 0
    reach: int = 48  # how far before it context may be

    def find(self, text: str, start: int, end: int) -> Iterator[Finding]:
        """Yield what is found in `text[start:end]`."""
        for match in self.pattern.finditer(text, start, end):
            confidence = self._confidence(text, match)
            if confidence:
                first, last = match.span(self.group)
                yield Finding(first, last, self.entity, confidence, "rules", self.kind)

    def _confidence(self, text: str, match: re.Match[str]) -> float:
        if self.check is not None:
            value = match.group(self.group).translate(_SEPARATORS).upper()
            if not self.check(value):
                return self.weak if self.context is None or self._near(text, match) else 0.0
        if self.context is not None and not self._near(text, match):
            return 0.0 if self.check is not None and not self.weak else self.weak
        return self.confidence

    def _near(self, text: str, match: re.Match[str]) -> bool:
        start = match.start(self.group)
        before = text[max(0, start - self.reach) : start]
        return self.context is not None and self.context.search(before) is not None


@dataclass(frozen=True, slots=True)
class RuleDetector:
    """Rules behind one trigger; a Detector."""

    name: str
    rules: Sequence[Rule]
    trigger: Callable[[str], Windows]

    def find(self, text: str) -> Iterator[Finding]:
        """Yield what the rules find around the trigger's places."""
        for start, end in self.trigger(text):
            for rule in self.rules:
                yield from rule.find(text, start, end)


def around(pattern: re.Pattern[str]) -> Callable[[str], Windows]:
    """Return a trigger: windows around whatever `pattern` matches, joined where they touch."""

    def windows(text: str) -> Windows:
        return joined(text, ((m.start(), m.end()) for m in pattern.finditer(text)))

    return windows


def with_words(words: Sequence[str]) -> Callable[[str], Windows]:
    """Return a trigger: windows around each of `words` (lower case), in whatever case."""

    def windows(text: str) -> Windows:
        lower = text.lower()
        if len(lower) != len(text):  # a letter whose lower case is two: places would shift
            lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
        places = []
        for word in words:
            at = lower.find(word)
            while at >= 0:
                places.append((at, at + len(word)))
                at = lower.find(word, at + len(word))
        return joined(text, iter(sorted(places)))

    return windows


def joined(text: str, places: Iterator[tuple[int, int]]) -> Windows:
    """Return windows around `places`, which are in order, ending between words."""
    result: Windows = []
    for first, last in places:
        start, end = max(0, first - _MARGIN), min(len(text), last + _MARGIN)
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return [(_open(text, start), _close(text, end)) for start, end in result]


def _open(text: str, start: int) -> int:
    # At most one token's length back: a text without spaces must not make windows grow.
    floor = max(0, start - _MARGIN)
    while start > floor and not text[start - 1].isspace():
        start -= 1
    return start


def _close(text: str, end: int) -> int:
    ceiling = min(len(text), end + _MARGIN)
    while end < ceiling and not text[end].isspace():
        end += 1
    return end


def words(*alternatives: str) -> str:
    """Return a pattern of any of `alternatives`, the longest first."""
    return "(?:" + "|".join(sorted(alternatives, key=len, reverse=True)) + ")"


def compiled(pattern: str) -> re.Pattern[str]:
    """Return `pattern` compiled without regard to case."""
    return re.compile(pattern, re.IGNORECASE)


DIGITS: Final = around(re.compile(r"\d"))
