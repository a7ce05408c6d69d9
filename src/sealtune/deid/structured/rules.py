"""What a rule is, and the one detector that runs all of them.

Most text has neither digits nor labels, so rules wait: one pass lists the tokens with a digit, one
the words; a rule runs only where a token begins as it does or one of its words occurs. Patterns
repeat within bounds, so that hostile text costs no more than its length.
"""

from __future__ import annotations

import re
import string
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sealtune.deid.entities import EntityType, Finding, new_finding
from sealtune.deid.following import Beginning, of_digits
from sealtune.deid.patterns import (
    SHAPES_MAX,
    LedPatterns,
    Remembered,
    Words,
    begins_with,
    iter_led,
    iter_near,
    words_of,
)

WINDOW: Final = 60  # characters before a value in which its context words count
BESIDE: Final = 30  # of a context that ends at the value
_PIECE: Final = re.compile(r"[\W\d_]?[^\W\d_]+[\W\d_]?")
_MARKS_FEW: Final = 20  # as quickly looked for one by one
_LETTERS: Final = string.ascii_letters
_GLUED: Final = _LETTERS + "+("
_HEAD: Final = re.compile(r"(?<![A-Za-z0-9])([+(]{0,2})([A-Za-z]{0,8})\Z")
_HEAD_MAX: Final = 10
_APART: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,3} \Z")  # `AB 12 34 56 C`, `DE 123 456 789`
PREFIXED: Final = -1  # the token begins with + or (
LETTERS: Final = 0  # with letters; otherwise the number of its first digits
_LENGTH_MAX: Final = 31
# Characters that are looked at before a rule is tried: behind a number, of a token with letters.
_BEHIND_NUMBER: Final = 2
_FIRST_LETTERS: Final = 4
_OFTEN: Final = 16

DIGITS_MAX: Final = 99  # of one value

Check = Callable[[str], bool]
Beside = Callable[[str, int, int], bool]  # of a text, where a word in it begins, where it ends


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
    window: int = WINDOW
    leads: bool = False  # one of `words` is where the pattern begins: it is tried only there
    gate: re.Pattern[str] | None = None  # cheaper than the pattern; looked for before it
    cased: bool = False  # the gate is for the text as written, not in lower case
    # Where a word has one of these parts, a blank being its edge, `beside` has to be true somewhere.
    near: tuple[str, ...] = ()
    beside: Beside | None = None
    # A match begins at most so far before its anchor: what the gate finds in the text as written,
    # or where `beside` is true. It is searched for there only.
    reach: int | None = None
    unbroken: bool = False  # no blank is in a match
    group: str | int = field(init=False)  # which holds the value

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", "v" if "v" in self.pattern.groupindex else 0)

    def finding(self, text: str, start: int, end: int, detector: str) -> Finding | None:
        """Return what a value in `text` is, or None where check or context speak against it."""
        confidence = self.confidence
        if start >= end:
            return None
        if self.check is not None and not self.check(text[start:end]):
            confidence = self.weak
            if not confidence:
                return None
        if self.context is not None:
            before = text[max(0, start - self.window) : start]
            if not self.context.search(before):
                return None
        return new_finding((start, end, self.entity, confidence, detector, self.kind))


class RuleDetector:
    """All rules in one pass over tokens and one over words."""

    def __init__(self, rules: Iterable[Rule], *, name: str = "rules") -> None:
        """Take the rules; which are tried where is decided once."""
        self._name = name
        self._rules = tuple(rules)
        anchored: dict[int, list[Rule]] = defaultdict(list)
        self._led: LedPatterns[int] = LedPatterns()
        self._searches: dict[str, set[int]] = defaultdict(set)  # rules to search for, by word
        self._near: dict[int, frozenset[str] | Remembered] = {}
        self._leading: dict[int, frozenset[str] | None] = {}
        self._gate_leading: dict[int, frozenset[str] | None] = {}
        for number, rule in enumerate(self._rules):
            for start in rule.starts:
                anchored[start].append(rule)
            # What a pattern begins with need not be said twice, where it can be read from it.
            begins = begins_with(rule.pattern) if rule.leads else None
            said = rule.words | (begins or frozenset())
            if rule.leads:
                self._led.add(number, rule.pattern, said)
            else:
                for word in said:
                    self._searches[word].add(number)
            if rule.near:
                self._near[number] = _near(rule.near)
            if rule.gate:
                self._gate_leading[number] = begins_with(rule.gate)
            if rule.words and not rule.leads:
                self._leading[number] = begins_with(rule.pattern)
        self._anchored = {
            start: _Anchored(of_start, digits=start if 0 < start < _LENGTH_MAX else 0)
            for start, of_start in anchored.items()
        }
        self._search_words = frozenset(self._searches)
        self._marks = _Marks(self._rules)

    @property
    def name(self) -> str:
        """How reports name it."""
        return self._name

    def find(self, text: str) -> Iterable[Finding]:
        """Return what the rules find in `text`."""
        values = self._at_tokens(text) if self._anchored else []
        for _, number, match in self._led.hits(text, words_of(text)):
            rule = self._rules[number]
            values.append((rule, *match.span(rule.group)))
        lower = text.lower()
        for number in self._searched_for(text, lower):
            rule = self._rules[number]
            group = rule.group
            values += [(rule, *m.span(group)) for m in self._matches(number, text, lower)]
        found = [rule.finding(text, start, end, self._name) for rule, start, end in values]
        return [finding for finding in found if finding is not None]

    def _matches(self, number: int, text: str, lower: str) -> Iterable[re.Match[str]]:
        """Return what a search for the pattern of a rule finds."""
        rule = self._rules[number]
        if rule.reach is not None:
            anchors = self._anchors(number, text)
            return iter_near(rule.pattern, text, anchors, rule.reach, unbroken=rule.unbroken)
        if not self._may_match(number, text, lower):
            return ()
        leading = self._leading.get(number)
        if leading is None:
            return rule.pattern.finditer(text)
        return iter_led(rule.pattern, text, words_of(text).starts(leading))

    def _at_tokens(self, text: str) -> list[_Value]:
        values: list[_Value] = []
        shaped = words_of(text).shape
        for at, start in _tokens(text):
            anchored = self._anchored.get(start)
            if anchored:
                values += anchored.values(text, shaped, at)
        return values

    def _searched_for(self, text: str, lower: str) -> list[int]:
        """Return which rules are searched for, in their own order."""
        said = words_of(text)
        numbers = self._marks.found(said, lower)
        for word in said.known & self._search_words:
            numbers |= self._searches[word]
        return sorted(numbers)

    def _may_match(self, number: int, text: str, lower: str) -> bool:
        rule = self._rules[number]
        if rule.gate is None:
            return rule.beside is None or any(self._anchors(number, text))
        if rule.cased:
            return rule.gate.search(text) is not None
        leading = self._gate_leading[number] if len(lower) == len(text) else None
        if leading is None:
            return rule.gate.search(lower) is not None
        return any(rule.gate.match(lower, at) for at in words_of(text).starts(leading))

    def _anchors(self, number: int, text: str) -> Iterable[tuple[int, int]]:
        """Return the spans, in order, of which one is in each match."""
        rule, said = self._rules[number], words_of(text)
        if rule.gate is not None:
            return map(re.Match.span, rule.gate.finditer(text))
        beside, near = rule.beside, self._near[number]
        if beside is None:
            raise ValueError(f"{rule.kind}: nothing says where it is searched for")
        if isinstance(near, frozenset):
            words: Iterable[str] = said.known & near
        else:
            words = (word for word, _ in near.answers(said.known))
        return (span for span in said.spans(words) if beside(text, *span))


class _Marks:
    """The marks of all rules, looked for at once.

    A mark is in a text only where its letters are in a word, and of words that is remembered.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        marks = [(mark, number) for number, rule in enumerate(rules) for mark in rule.marks]
        many = len(marks) > _MARKS_FEW
        self._by_piece: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for mark, number in marks:
            self._by_piece[_piece(mark) if many else ""].append((mark, number))
        self._pieces = Remembered(partial(_within, sorted({*self._by_piece} - {""})))
        self._many = many

    def found(self, said: Words, lower: str) -> set[int]:
        """Return the rules of which a mark is in `lower`, whose words are `said`."""
        pieces = {""}
        if self._many:
            for _, inside in self._pieces.answers(said.known):
                pieces.update(inside)
        of_pieces = (self._by_piece.get(piece, ()) for piece in pieces)
        return {number for marks in of_pieces for mark, number in marks if mark in lower}


def _near(parts: tuple[str, ...]) -> frozenset[str] | Remembered:
    """Return the words that `parts` are, or what tells the words that have one."""
    if all(part[0] == part[-1] == " " for part in parts):
        return frozenset(part.strip() for part in parts)
    return Remembered(partial(_within, parts))


def _piece(mark: str) -> str:
    """Return the most letters that follow one another in `mark`, a blank where a word ends."""
    runs = [run for run in _PIECE.findall(mark) if len(run) > len("ac")]
    return re.sub(r"[\W\d_]", " ", max(runs, key=len, default=""))


def _within(pieces: Iterable[str], word: str) -> tuple[str, ...]:
    written = f" {word.lower()} "
    return tuple(piece for piece in pieces if piece in written)


_Value = tuple[Rule, int, int]  # with start and end


class _Anchored:
    """The rules that are tried at one kind of token, asked all at once which of them match.

    Of a token with so many `digits`, only rules are asked that may go on as it does.
    """

    def __init__(self, rules: list[Rule], *, digits: int) -> None:
        self._rules = rules
        self._digits = digits
        self._seen = digits + (_BEHIND_NUMBER if digits else _FIRST_LETTERS)
        self._begun: list[Beginning] = []
        self._by_shape: dict[str, _Asked] = {}
        self._by_rules: dict[tuple[int, ...], _Asked] = {}

    def values(self, text: str, shaped: str, at: int) -> list[_Value]:
        """Return what the rules that match at the place `at` take for a value."""
        key = shaped[at + self._digits : at + self._seen]
        asked = self._by_shape.get(key) or self._asked(key)
        if asked.probe is None:
            return asked.one_by_one(text, at)
        said = asked.probe.match(text, at)
        if said is None or said.lastindex is None:
            return []
        spans = said.regs
        return [(rule, *spans[group]) for rule, group in asked.groups if spans[group][0] >= 0]

    def _asked(self, key: str) -> _Asked:
        """Return the rules to ask where the text goes on like `key`."""
        if not self._begun:
            digits = of_digits(self._digits)
            self._begun = [Beginning(rule.pattern, digits) for rule in self._rules]
        chosen = tuple(n for n, begun in enumerate(self._begun) if begun.may_go_on(key))
        asked = self._by_rules.get(chosen)
        if asked is None:
            asked = self._by_rules[chosen] = _Asked([self._rules[n] for n in chosen])
        if len(self._by_shape) < SHAPES_MAX:
            self._by_shape[key] = asked
        return asked


class _Asked:
    """Some rules, as one pattern where they are asked often: to compile it takes milliseconds."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._times = 0
        self.probe: re.Pattern[str] | None = None
        self.groups: list[tuple[Rule, int]] = []

    def one_by_one(self, text: str, at: int) -> list[_Value]:
        """Return the values of the rules that match at the place `at`."""
        values = []
        for rule in self._rules:
            match = rule.pattern.match(text, at)
            if match:
                values.append((rule, *match.span(rule.group)))
        self._times += 1
        if self._times > _OFTEN and len(self._rules) > 1:
            self.probe = _probe(self._rules)
            named = self.probe.groupindex
            self.groups = [(rule, named[f"value{n}"]) for n, rule in enumerate(self._rules)]
        return values


def _probe(rules: list[Rule]) -> re.Pattern[str]:
    """Return a pattern that matches everywhere, with a group for the value of each rule."""
    parts = []
    for number, rule in enumerate(rules):
        pattern = rule.pattern
        if pattern.flags != re.UNICODE or pattern.groups != len(pattern.groupindex):
            raise ValueError(f"{rule.kind}: has flags, or a group without a name")
        # Names must not occur twice, and only those that a pattern refers back to matter.
        written = pattern.pattern.replace("(?P<v>", f"(?P<value{number}>")
        written = written if rule.group else f"(?P<value{number}>{written})"
        written = written.replace("(?P<sep>", f"(?P<sep{number}>")
        written = written.replace("(?P=sep)", f"(?P=sep{number})")
        parts.append(f"(?:(?={written})|)")
    return re.compile("".join(parts))


def _tokens(text: str) -> Iterator[tuple[int, int]]:
    """Yield where tokens with a digit begin, and as which kind of start."""
    for at, end in words_of(text).numbers:
        before = text[at - 1 : at]
        if before in _GLUED and before:
            head = _HEAD.search(text, max(0, at - _HEAD_MAX), at)
            if head is None:  # behind more letters than a number has, or behind another token
                continue
            prefix, letters = head.groups()
            for place in range(len(prefix)):  # a bracket may stand around one that begins with one
                yield head.start() + place, PREFIXED
            if letters:
                yield head.start(2), LETTERS
                continue
        elif before == " " and at > 1 and text[at - 2] in _LETTERS:
            word = text[at - 5 : at - 1] if at > 4 else ""
            if word.isalpha() and word.isascii():  # longer than what may stand apart
                yield at, min(end - at, _LENGTH_MAX)
                continue
            apart = _APART.search(text, max(0, at - 5), at)
            if apart:
                yield apart.start(), LETTERS
        yield at, min(end - at, _LENGTH_MAX)


def compact(text: str) -> str:
    """Return the letters and digits of `text`, upper case."""
    return "".join(filter(str.isalnum, text)).upper()


def checked(check: Check) -> Check:
    """Return `check` on the value without its separators."""
    return lambda text: check(compact(text))


def digits(least: int, most: int = DIGITS_MAX) -> Check:
    """Return a check that a value holds `least` to `most` digits."""
    return lambda text: least <= sum(map(str.isdigit, text)) <= most


def words(text: str) -> frozenset[str]:
    """Return the words of a list that blanks separate."""
    return frozenset(text.split())
