"""What keeps many patterns cheap: alternatives as a tree, and patterns tried only at their words.

A text is split into words once; a pattern that begins with a word is tried where that word stands
and nowhere else. Finds what a search through all of the text would.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

from sealtune.deid.following import Beginning, of_word, shape
from sealtune.deid.regex_tree import codes, parser

_Name = TypeVar("_Name", int, str)
_Tried = Callable[[str, int], re.Match[str] | None]

_WORD: Final = re.compile(r"[^\W\d_]+")
_NUMBER: Final = re.compile(r"\d+")
# The same in ASCII text, which `re` goes through faster.
_ASCII_WORD: Final = re.compile("[a-z]+")
_ASCII_NUMBER: Final = re.compile("[0-9]+")
_SIGMA: Final = "\u03a3"  # in lower case another letter where a word ends
_REMEMBERED_MAX: Final = 50_000  # words
SHAPES_MAX: Final = 2_000  # that are remembered of what stands behind a word or a number
_BEHIND: Final = 3  # characters behind a word that are looked at before a pattern is tried
_PLACE_AND_NAME: Final = itemgetter(0, 1)
_LETTERS_MAX: Final = 8  # of a class that a word may have in a place: `organi[sz]ation`


class Words:
    """The words of a text in lower case, each with the places where it stands; numbers; shape."""

    __slots__ = ("known", "numbers", "places", "shape")

    def __init__(self, text: str) -> None:
        """Split `text`."""
        self.places: dict[str, list[int]] = defaultdict(list)
        places = self.places
        ascii_only = text.isascii()
        lower = text.lower()
        if ascii_only:
            for match in _ASCII_WORD.finditer(lower):
                places[match[0]].append(match.start())
        elif len(lower) == len(text) and _SIGMA not in text:
            for match in _WORD.finditer(lower):
                places[match[0]].append(match.start())
        else:
            for match in _WORD.finditer(text):
                places[lowered(match[0])].append(match.start())
        self.known = set(places)
        self.shape = shape(text)
        numbers = _ASCII_NUMBER if ascii_only else _NUMBER
        self.numbers = [match.span() for match in numbers.finditer(text)]

    def starts(self, words: frozenset[str]) -> list[int]:
        """Return where one of `words` stands."""
        return sorted(start for word in self.known & words for start in self.places[word])

    def spans(self, words: Iterable[str]) -> list[tuple[int, int]]:
        """Return where `words`, all of which are in the text, stand, in order."""
        spans = [(start, start + len(word)) for word in words for start in self.places[word]]
        spans.sort()
        return spans


def lowered(word: str) -> str:
    """Return `word` in lower case, or as it is where that has more letters."""
    lower = word.lower()
    return lower if len(lower) == len(word) else word


@lru_cache(maxsize=1)
def words_of(text: str) -> Words:
    """Return the words of `text`; every detector asks for those of the same text in turn."""
    return Words(text)


class Remembered:
    """What a slow question about words answers, asked once of each: most answers are nothing."""

    def __init__(self, ask: Callable[[str], tuple[str, ...]]) -> None:
        """Take the question."""
        self._ask = ask
        self._nothing: set[str] = set()
        self._something: dict[str, tuple[str, ...]] = {}

    def answers(self, words: set[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield those of `words` of which there is an answer, with it."""
        if len(self._nothing) + len(self._something) > _REMEMBERED_MAX:
            self._nothing.clear()
            self._something.clear()
        for word in words - self._nothing:
            answer = self._something.get(word) or self._ask(word)
            if answer:
                self._something[word] = answer
                yield word, answer
            else:
                self._nothing.add(word)


class LedPatterns(Generic[_Name]):
    """Patterns that begin with a word, by a name each."""

    def __init__(self, patterns: Mapping[_Name, re.Pattern[str]] | None = None) -> None:
        """Take patterns of which the words are read.

        Raises:
            ValueError: one can begin with any word, or with none.
        """
        self._led: dict[str, _Led[_Name]] = {}
        for name, pattern in (patterns or {}).items():
            self.add(name, pattern, leading_words(pattern))

    def add(self, name: _Name, pattern: re.Pattern[str], words: Iterable[str]) -> None:
        """Take one more, which is tried where one of `words` stands."""
        for word in words:
            self._led.setdefault(word, _Led(word)).add(name, pattern)

    def hits(self, text: str, said: Words) -> list[tuple[int, _Name, re.Match[str]]]:
        """Return every match in `text`, whose words are `said`: its place and name; in order."""
        led, shaped = self._led, said.shape
        hits = [
            (place, name, match)
            for word in said.known & led.keys()
            for patterns in (led[word],)
            for length in (patterns.length,)
            for place in said.places[word]
            for name, tried in patterns[shaped[place + length : place + length + _BEHIND]]
            if (match := tried(text, place)) is not None
        ]
        hits.sort(key=_PLACE_AND_NAME)
        return hits

    def matches(self, text: str, said: Words) -> dict[_Name, list[re.Match[str]]]:
        """Return by name what a search for each pattern finds in `text`, whose words are `said`."""
        found: dict[_Name, list[re.Match[str]]] = {}
        for place, name, match in self.hits(text, said):
            of_name = found.setdefault(name, [])
            if not of_name or of_name[-1].end() <= place:
                of_name.append(match)
        return found


class _Led(dict[str, list[tuple[_Name, _Tried]]]):
    """By the shape of what stands behind one word: which of the patterns it leads may match."""

    def __init__(self, word: str) -> None:
        self.length = len(word)
        self._word = word
        self._patterns: list[tuple[_Name, re.Pattern[str]]] = []
        self._begun: list[Beginning] = []

    def add(self, name: _Name, pattern: re.Pattern[str]) -> None:
        self._patterns.append((name, pattern))

    def __missing__(self, behind: str) -> list[tuple[_Name, _Tried]]:
        if not self._begun:
            word = of_word(self._word)
            self._begun = [Beginning(pattern, word) for _, pattern in self._patterns]
        found: list[tuple[_Name, _Tried]] = [
            (name, pattern.match)
            for (name, pattern), begun in zip(self._patterns, self._begun, strict=True)
            if begun.may_go_on(behind)
        ]
        if len(self) < SHAPES_MAX:
            self[behind] = found
        return found


def iter_led(
    pattern: re.Pattern[str], text: str, starts: Iterable[int], end: int = sys.maxsize
) -> Iterator[re.Match[str]]:
    """Yield what a search up to `end` for `pattern` finds that can begin only at `starts`."""
    done = 0
    for start in starts:
        match = pattern.match(text, start, end) if start >= done else None
        if match:
            done = match.end()
            yield match


def iter_near(
    pattern: re.Pattern[str],
    text: str,
    anchors: Iterable[tuple[int, int]],
    reach: int,
    *,
    unbroken: bool = False,
) -> Iterator[re.Match[str]]:
    """Yield what a search for `pattern` finds, given the spans of what is in each match, in order.

    A match begins at most `reach` characters before its anchor. In one that is `unbroken` is no
    blank, and a blank behind it is to the pattern as the end of the text.
    """
    done, last = 0, len(text)
    for start, end in anchors:
        if not reach:
            match = pattern.match(text, start) if start >= done else None
        elif end <= done:
            continue
        else:
            first, stop = max(done, start - reach), last
            if unbroken:
                first = max(first, text.rfind(" ", first, start) + 1)
                stop = text.find(" ", end)
                stop = last if stop < 0 else stop
            match = pattern.search(text, first, stop)
            if match is None:
                if stop == last:
                    return
                done = stop
        if match:
            done = match.end()
            yield match


def line_starts(text: str) -> list[int]:
    """Return where lines of `text` begin."""
    starts = [0]
    at = text.find("\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts


def any_of(words: str) -> str:
    """Return a pattern for one of `words`, which `|` separates: the longest, a letter at a time.

    `re` would try one word after the other. In a word, `x?` is an `x` that may be absent.
    """
    return f"(?:{_tree(word for part in words.split('|') for word in _spelled(part))})"


def _spelled(word: str) -> list[str]:
    head, mark, tail = word.partition("?")
    if not mark:
        return [word]
    return [start + end for start in (head, head[:-1]) for end in _spelled(tail)]


def _tree(words: Iterable[str]) -> str:
    tails: dict[str, list[str]] = defaultdict(list)
    for word in words:
        tails[word[:1]].append(word[1:])
    ends = bool(tails.pop("", None))
    branches = [re.escape(first) + _tree(rest) for first, rest in sorted(tails.items())]
    if ends:
        branches.append("")
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def begins_with(pattern: re.Pattern[str]) -> frozenset[str] | None:
    """Return the words of which one stands where `pattern` begins, None if it may be any."""
    try:
        return leading_words(pattern)
    except ValueError:
        return None


def leading_words(pattern: re.Pattern[str]) -> frozenset[str]:
    """Return the words in lower case of which one stands where `pattern` begins.

    Raises:
        ValueError: it can begin with any word, or with none.
    """
    whole, begun = _grow(parser.parse(pattern.pattern, pattern.flags), {""})
    if "" in whole | begun:
        raise ValueError(f"begins with no word: {pattern.pattern}")
    return frozenset(whole | begun)


def _grow(items: Any, begun: set[str]) -> tuple[set[str], set[str]]:
    """Return which words end within `items`, and which may go on, of those `begun` before."""
    whole: set[str] = set()
    for code, value in items:
        if not begun:
            break
        ended, begun = _step(code, value, begun)
        whole |= ended
    return whole, begun


def _step(code: Any, value: Any, begun: set[str]) -> tuple[set[str], set[str]]:
    if code is codes.AT and value is codes.AT_BOUNDARY:  # ends the words that have letters
        return begun - {""}, begun & {""}
    if code in (codes.AT, codes.ASSERT, codes.ASSERT_NOT):
        return set(), begun
    if code is codes.LITERAL:
        return _added(begun, {chr(value)})
    if code is codes.IN:
        return _added(begun, set(_letters(value)))
    if code is codes.SUBPATTERN:
        return _grow(value[-1], begun)
    if code is codes.BRANCH:
        branches = [_grow(branch, begun) for branch in value[1]]
        return {w for b in branches for w in b[0]}, {w for b in branches for w in b[1]}
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        least, most, inner = value
        whole, grown = _grow(inner, begun)
        if most > 1 and grown:
            raise ValueError("repeats a word's letters")
        return whole, grown | begun if least == 0 else grown
    raise ValueError(f"may be any letter: {code}")


def _added(begun: set[str], letters: set[str]) -> tuple[set[str], set[str]]:
    others = {letter for letter in letters if not _WORD.fullmatch(letter)}
    ended = begun if others else set()
    grown = {word + letter.lower() for word in begun for letter in letters - others}
    return ended, grown


def _letters(items: Any) -> Iterator[str]:
    for code, value in items:
        if code is codes.LITERAL:
            yield chr(value)
        elif code is codes.RANGE and value[1] - value[0] < _LETTERS_MAX:
            yield from map(chr, range(value[0], value[1] + 1))
        elif code is codes.CATEGORY and value in (codes.CATEGORY_SPACE, codes.CATEGORY_DIGIT):
            yield " "  # no letter: the word ends before it
        else:
            raise ValueError("may be any letter")
