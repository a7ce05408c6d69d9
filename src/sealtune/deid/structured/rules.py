"""What a rule is, and the one detector that runs all of them.

Most text has neither digits nor labels, so rules wait: one pass lists the tokens with a digit, one
the words; a rule runs only where a token begins as it does or one of its words occurs. Patterns
repeat within bounds, so that hostile text costs no more than its length.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sealtune.deid.entities import EntityType, Finding

WINDOW: Final = 60  # characters before a value in which its context words count
_TOKEN: Final = re.compile(r"(?<![A-Za-z0-9])([+(]{0,2})([A-Za-z]{0,8})(\d+)")
_APART: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,3} $")  # `AB 12 34 56 C`, `DE 123 456 789`
_WORDS: Final = re.compile(r"[^\W\d_]+")
PREFIXED: Final = -1  # the token begins with + or (
LETTERS: Final = 0  # with letters; otherwise the number of its first digits
_LENGTH_MAX: Final = 31

Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One pattern; the value is its group `v`, or all of it.

    `starts` are the kinds of tokens with a digit at which it is tried; without, it is searched for
    where one of `words` occurs as a word or one of `marks` as a piece of the text, lower case.
    Where `check` says no, the finding keeps `weak` confidence, 0 being no finding.
    """

    kind: str
    entity: EntityType
    pattern: re.Pattern[str]
    confidence: float
    starts: tuple[int, ...] = ()
    words: frozenset[str] = frozenset()
    marks: tuple[str, ...] = ()
    check: Check | None = None
    weak: float = 0.0
    context: re.Pattern[str] | None = None
    leads: bool = False  # one of `words` is where the pattern begins: it is tried only there
    gate: re.Pattern[str] | None = None  # cheaper than the pattern; looked for before it

    def finding(self, match: re.Match[str], detector: str) -> Finding | None:
        """Return what `match` is, or None where check or context speak against it."""
        group: str | int = "v" if "v" in self.pattern.groupindex else 0
        start, end = match.span(group)
        confidence = self.confidence
        if self.check is not None and not self.check(match.group(group)):
            confidence = self.weak
        if confidence and self.context is not None:
            before = match.string[max(0, start - WINDOW) : start]
            confidence = confidence if self.context.search(before) else 0.0
        if not confidence or start >= end:
            return None
        return Finding(start, end, self.entity, confidence, detector, self.kind)


class RuleDetector:
    """All rules in one pass over tokens and one over words."""

    def __init__(self, rules: Iterable[Rule], *, name: str = "rules") -> None:
        """Take the rules; which are tried where is decided once."""
        self._name = name
        self._anchored: dict[int, list[Rule]] = defaultdict(list)
        self._worded: dict[str, list[Rule]] = defaultdict(list)
        self._marked: list[Rule] = []
        for rule in rules:
            for start in rule.starts:
                self._anchored[start].append(rule)
            for word in rule.words:
                self._worded[word].append(rule)
            if rule.marks:
                self._marked.append(rule)

    @property
    def name(self) -> str:
        """How reports name it."""
        return self._name

    def find(self, text: str) -> Iterable[Finding]:
        """Return what the rules find in `text`."""
        yield from self._at_tokens(text)
        led, chosen = self._triggered(text)
        for rule, at in led:
            found = rule.pattern.match(text, at)
            finding = rule.finding(found, self._name) if found else None
            if finding is not None:
                yield finding
        for rule in chosen:
            for match in rule.pattern.finditer(text):
                finding = rule.finding(match, self._name)
                if finding is not None:
                    yield finding

    def _at_tokens(self, text: str) -> Iterator[Finding]:
        for token in _TOKEN.finditer(text):
            prefix, letters, digits = token.groups()
            at = token.start()
            if prefix:
                yield from self._tried(text, at, PREFIXED)
                if len(prefix) > 1:  # a bracket around a number that begins with one
                    yield from self._tried(text, at + 1, PREFIXED)
                at += len(prefix)
            apart = None if letters or prefix else _APART.search(text[max(0, at - 5) : at])
            if apart:
                yield from self._tried(text, at - len(apart.group()), LETTERS)
            length = LETTERS if letters else min(len(digits), _LENGTH_MAX)
            yield from self._tried(text, at, length)

    def _tried(self, text: str, at: int, start: int) -> Iterator[Finding]:
        for rule in self._anchored.get(start, ()):
            match = rule.pattern.match(text, at)
            finding = rule.finding(match, self._name) if match else None
            if finding is not None:
                yield finding

    def _triggered(self, text: str) -> tuple[list[tuple[Rule, int]], list[Rule]]:
        """Return which rules are tried where, and which are searched for."""
        led: list[tuple[Rule, int]] = []
        # A dict keeps the order: equal text gives equal findings in equal order.
        chosen: dict[int, Rule] = {}
        for word in _WORDS.finditer(text):
            for rule in self._worded.get(word.group().lower(), ()):
                if rule.leads:
                    led.append((rule, word.start()))
                else:
                    chosen[id(rule)] = rule
        lower = text.lower()
        for rule in self._marked:
            if any(mark in lower for mark in rule.marks):
                chosen[id(rule)] = rule
        rules = chosen.values()
        return led, [rule for rule in rules if rule.gate is None or rule.gate.search(lower)]


def compact(text: str) -> str:
    """Return the letters and digits of `text`, upper case."""
    return re.sub(r"[\W_]", "", text).upper()


def checked(check: Check) -> Check:
    """Return `check` on the value without its separators."""
    return lambda text: check(compact(text))


def digits(least: int, most: int = 99) -> Check:
    """Return a check that a value holds `least` to `most` digits."""
    return lambda text: least <= sum(letter.isdigit() for letter in text) <= most


def words(text: str) -> frozenset[str]:
    """Return the words of a list that blanks separate."""
    return frozenset(text.split())
