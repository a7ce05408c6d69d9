"""Finds names, places and organizations among capitalized words, and after words that announce one.

One pass over capitalized words in runs (`shapes`), one over announcements in any case (`context`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sealtune.deid.entities import EntityType, Finding, new_finding
from sealtune.deid.names import words
from sealtune.deid.names.context import ContextRules
from sealtune.deid.names.lists import (
    AMBIGUOUS,
    COMMON,
    FIRST,
    LAST,
    MEDICAL,
    NAME,
    PLACE,
    PLACE_PART,
    PLAIN,
    Lexicon,
    plain,
    read_lexicon,
)
from sealtune.deid.names.organizations import BesideRules
from sealtune.deid.names.shapes import Token, capitals, iter_runs
from sealtune.deid.patterns import words_of

_SEEN_MAX: Final = 50_000  # words whose flags are remembered
_BEFORE_CHARACTERS: Final = 24
_WORD_CHARACTERS_MAX: Final = 20
_LAST_WORD: Final = re.compile(r"[^\W\d_]{1,20}\Z")
_AFTER: Final = re.compile(r"(?:['\u2019]s)?[ ]([^\W\d_]{1,20})")
_ABBREVIATED: Final = words.TITLES | words.ROLES  # what may have a full stop before a name
_PLACE_WORDS: Final = frozenset(
    ["in", "from", "near", "to", "at", "toward", "towards", "visited", "around", "outside", "of"]
)
_SENTENCE_ENDS: Final = frozenset(".!?:;\n\r\t\"'([{-*•>|")
_PERSON, _PLACE, _ORG = EntityType.PERSON, EntityType.LOCATION, EntityType.ORGANIZATION
_INNER: Final = re.compile(
    r"(?:Mc|Mac|De|Di|La|Le|Van|Fitz|[A-Za-z]{1,2}['\u2019-])[^\W\d_]{2}|.*['\u2019]"
)
_VAGUE_VERBS: Final = frozenset({"is", "was", "may", "can", "will", "would", "could", "has"})
_MONTHS: Final = frozenset({"may", "april", "june", "august"})
# Behind a score or a stage: "Forrest IIa", "Morse fall scale"; "Braden 18", but no age.
_GRADE: Final = re.compile(
    r"(?i: fall| bowel| ankle| knee)?(?: (?i:risk|balance|scale|scores?|rules?|prep)\b"
    r"| [IV]{1,3}[a-d]?\b)"
)
_POINTS: Final = re.compile(r"[ :=]{1,2}\d{1,2}\b(?![.-]\d|[ -]?(?:y|yo|years?|[mMfF])\b)")
_BY_CAPITAL: Final = frozenset({"unknown-word", "unknown-words", "place"})
_GERMAN_SIGNS_MIN: Final = 3
_GERMAN_SHARE: Final = 5  # one word in five of a short text
_CITIZENS: Final = re.compile(r"(?:ese|ish|ian|ans|ic)$")


class NameDetector:
    """Names, places and organizations by rules and lists."""

    name = "names"

    def __init__(self) -> None:
        """Read the lists, which takes a second the first time.

        Raises:
            ConfigError: `faker` is not installed.
        """
        self._lexicon: Lexicon = read_lexicon()
        self._contexts = ContextRules(self._lexicon)
        self._beside = BesideRules(self._lexicon)
        self._seen: dict[str, tuple[str, int]] = {}

    def find(self, text: str) -> Iterator[Finding]:
        """Yield what the rules find in `text`; overlaps are left to the caller."""
        for start, end, entity, confidence, kind in self._of_all(text):
            yield new_finding((start, end, entity, confidence, self.name, kind))

    def _of_all(self, text: str) -> Iterator[_Found]:
        german = _is_german(text)
        for run in iter_runs(text, self._tokens(text)):
            if len(run) == 1 and _is_ordinary(run[0]):  # most of them
                continue
            for found in self._of_run(text, run):
                if not (german and _is_by_capital(found)):
                    yield found
        yield from self._contexts.find(text)
        yield from self._beside.find(text)

    def _tokens(self, text: str) -> Iterator[Token]:
        seen = self._seen
        for start, end in capitals(text):
            written = text[start:end]
            known = seen.get(written)
            if known is None:
                if len(seen) >= _SEEN_MAX:
                    seen.clear()
                known = seen[written] = self._looked_up(written)
            yield Token(start, end, *known)

    def _looked_up(self, written: str) -> tuple[str, int]:
        """Return a word as lists have it, and its flags."""
        flags = self._lexicon.flags
        word = plain(written)
        known = flags.get(word)
        if known is None:
            known = flags.get(word.replace("'", ""), 0) or _by_ending(word)
        if not known & MEDICAL and _is_code(written, known):
            known = COMMON
        return word, known

    def _of_run(self, text: str, run: list[Token]) -> Iterator[_Found]:
        if all(map(_is_ordinary, run)) and (
            len(run) == 1 or not any(t.word in words.ORGANIZATION_WORDS for t in run)
        ):
            if len(run) > 1 and _word_before(text, run[0].start) == "at":
                yield from _after_at(text, run)
            return
        organization = _organization(text, run)
        if organization:
            yield organization
            return
        at, count = 0, len(run)
        while at < count:
            length = self._place_length(text, run, at) if run[at].flags & PLACE_PART else 0
            if length:
                yield run[at].start, run[at + length - 1].end, _PLACE, 0.8, "place"
                at += length
                continue
            end = at
            while end < count and _may_name(run, end, start=at):
                end += 1
            found = self._of_segment(text, run, at, end) if end > at else None
            if found:
                yield found
            at = end if end > at else at + 1

    def _place_length(self, text: str, run: list[Token], at: int) -> int:
        """Return how many tokens from `at` are a place of several words."""
        following = text[run[at].start : run[-1].end]
        written = plain(following).replace("-", " ").replace(".", "").split()
        for parts in self._lexicon.places.get(run[at].word, ()):
            if tuple(written[: len(parts)]) == parts:
                end = run[at].start + _offset(following, len(parts))
                return sum(1 for token in run[at:] if token.end <= end)
        return 0

    def _of_segment(self, text: str, run: list[Token], at: int, end: int) -> _Found | None:
        first, last = run[at], run[end - 1]
        before = run[at - 1].word if at else _word_before(text, first.start)
        if before in words.TITLES or before in words.ROLES:
            return first.start, last.end, _PERSON, 0.95, "after-title"
        if first is last:
            return _of_one(text, first, before, mid=at > 0)
        return _of_several(text, run[at:end], before)


def _of_one(text: str, token: Token, before: str, *, mid: bool) -> _Found | None:
    flags, start, end = token.flags, token.start, token.end
    if end - start < 2 or (flags & MEDICAL and not flags & FIRST):
        return None
    if mid and _is_eponym(text, start, end, before):
        return None
    after = _word_after(text, end)
    if after in words.EPONYM_NOUNS or (token.word in words.SCORES and _is_graded(text, token)):
        return None
    if before in _PLACE_WORDS and not flags & (MEDICAL | COMMON):
        if end - start > (2 if flags & PLACE else 3):
            return start, end, _PLACE, 0.7 if flags & PLACE else 0.4, "place"
        return None
    if flags & PLACE and end - start > 3 and not flags & (COMMON | FIRST):
        return start, end, _PLACE, 0.6, "place"
    starts = not mid and _starts_sentence(text, start)
    if flags:
        confidence = _of_known(token, after, starts=starts)
        return (start, end, _PERSON, confidence, "one-name") if confidence else None
    if end - start > 3 and (
        not starts or text.startswith(", ", end) or after in words.PERSON_VERBS
    ):
        return start, end, _PERSON, 0.35, "unknown-word"
    return None


def _of_known(token: Token, after: str, *, starts: bool) -> float:
    """Return how sure it is that one word with flags is a name."""
    if token.flags & COMMON:
        if not (token.flags & AMBIGUOUS and token.flags & NAME) or token.word in _MONTHS:
            return 0
        verb = after in words.PERSON_VERBS and after not in _VAGUE_VERBS
        return 0.4 if verb or not starts else 0
    if token.end - token.start < 3:  # `Na`, `Li`: a symbol as often as a name
        return 0
    return 0.6 if token.flags & FIRST else 0.5 if token.flags & LAST else 0


_Found = tuple[int, int, EntityType, float, str]


def _is_graded(text: str, token: Token) -> bool:
    """Return whether a grade follows; behind a town, points may be a district or a postal code."""
    if _GRADE.match(text, token.end):
        return True
    return not token.flags & PLACE and _POINTS.match(text, token.end) is not None


def _is_eponym(text: str, start: int, end: int, before: str) -> bool:
    """Return whether several words are an eponym together, or a person's before what it is of."""
    phrase = plain(text[start:end])
    if phrase in words.NAMED_PHRASES:
        return _word_after(text, end) in words.EPONYM_NOUNS
    # An ordinary word may be its first: "Child-Pugh".
    return phrase in words.EPONYM_PHRASES or f"{before} {phrase}" in words.EPONYM_PHRASES


def _is_german(text: str) -> bool:
    """Return whether `text` is German, where nouns have capitals, by its words without order."""
    known = words_of(text).known
    signs = len(known & words.GERMAN_SIGNS)
    if signs < _GERMAN_SIGNS_MIN or signs <= len(known & words.ENGLISH_SIGNS):
        return False
    # A name has signs, too ("von und zu der Tann"); a sentence that is short has few others.
    return signs > _GERMAN_SIGNS_MIN or signs * _GERMAN_SHARE >= len(known)


def _is_by_capital(found: _Found) -> bool:
    """Return whether nothing but a capital speaks for a name, or for a place behind `in`."""
    return found[3] < 0.5 and found[4] in _BY_CAPITAL


def _of_several(text: str, tokens: list[Token], before: str) -> _Found | None:
    start, end = tokens[0].start, tokens[-1].end
    flags = [token.flags for token in tokens]
    if _is_eponym(text, start, end, before):
        return None
    if before in _PLACE_WORDS and not any(f & FIRST for f in flags):
        return start, end, _PLACE, 0.6, "place"
    if any(f & FIRST and not f & COMMON for f in flags):
        return start, end, _PERSON, 0.9, "full-name"
    if all(f & MEDICAL for f in flags) or _word_after(text, end) in words.EPONYM_NOUNS:
        return None
    if any(f & NAME for f in flags) and not all(f & COMMON for f in flags):
        return start, end, _PERSON, 0.7, "full-name"
    if all(f & AMBIGUOUS and f & NAME for f in flags):
        return start, end, _PERSON, 0.5, "full-name"
    if not any(flags) and not text[start:end].isupper():
        return start, end, _PERSON, 0.45, "unknown-words"
    return None


def _after_at(text: str, run: list[Token]) -> Iterator[_Found]:
    """Yield ordinary words with capitals after `at`, as in "spent a year at Weight Watchers"."""
    start, end = run[0].start, run[-1].end
    if not text[start:end].isupper() and all(t.end - t.start > 2 for t in run):
        yield start, end, _ORG, 0.4, "after-at"


def _may_name(run: list[Token], at: int, *, start: int) -> bool:
    token = run[at]
    if token.word in words.TITLES:
        return False
    if not token.flags & COMMON:
        return True
    if token.end - token.start == 1:  # an initial within a name
        return at > start or (at + 1 < len(run) and not run[at + 1].flags & COMMON)
    if not token.flags & AMBIGUOUS:
        # A family name that is a word, too, right behind a given one ("Frank Power").
        before = run[at - 1]
        given = before.flags & FIRST or before.end - before.start == 1
        return at > start and bool(token.flags & LAST and given)
    if at == start and len(run) == 1:
        return True
    titled = at > 0 and run[at - 1].word in words.TITLES
    beside = (at > start and run[at - 1].flags & NAME) or (
        at + 1 < len(run) and run[at + 1].flags & NAME
    )
    return titled or bool(beside)


def _organization(text: str, run: list[Token]) -> _Found | None:
    """Return the run as an organization if a word of it says so."""
    for at in range(len(run) - 1, -1, -1):
        token = run[at]
        if token.word not in words.ORGANIZATION_WORDS:
            continue
        first = 0
        while first < at and _is_opening(run[first]):
            first += 1
        names = [t for t in run[first:at] if not t.flags & COMMON or t.flags & AMBIGUOUS]
        if names:
            return run[first].start, token.end, _ORG, 0.75, "organization"
        following = re.match(r" (?:of|de|di|für) ", text[token.end : token.end + 6])
        if following is None and at + 1 < len(run) and not run[at + 1].flags & COMMON:
            return token.start, run[-1].end, _ORG, 0.6, "organization"
    return None


def _is_ordinary(token: Token) -> bool:
    return bool(token.flags & COMMON) and not token.flags & (AMBIGUOUS | PLACE_PART)


def _is_opening(token: Token) -> bool:
    return bool(token.flags & COMMON) and not token.flags & (NAME | AMBIGUOUS)


def _is_code(written: str, flags: int) -> bool:
    """Return whether a word looks like an abbreviation, a numeral, a symbol: `EEGs`, `Ca`, `II`."""
    if written.isupper():
        return len(written) < 6 and not flags & PLAIN and not (flags & NAME and len(written) > 3)
    if len(written) == 2:
        return not flags & NAME
    inner = written[1:]
    return not inner.islower() and not _INNER.match(written)


def _by_ending(word: str) -> int:
    """Return that an unknown word is a term rather than a name, if it ends like one."""
    if len(word) > 5 and (word.endswith(words.MEDICAL_ENDINGS) or _CITIZENS.search(word)):
        return COMMON
    return COMMON if len(word) == 1 else 0


def _offset(text: str, count: int) -> int:
    found = list(re.finditer(r"[^\s-]{1,64}", text))
    return found[min(count, len(found)) - 1].end()


def _word_before(text: str, start: int) -> str:
    before = text[max(0, start - _BEFORE_CHARACTERS) : start].removesuffix("\n")
    parted = before.rstrip(" ")
    if not 1 <= len(before) - len(parted) <= 2:
        return ""
    last = parted.removesuffix(".")
    word = last.rpartition(" ")[2]
    if not word.isalpha():  # seldom: something else than a blank stands before it
        match = _LAST_WORD.search(last)
        word = match[0] if match else ""
    word = plain(word[-_WORD_CHARACTERS_MAX:])
    return "" if last != parted and word not in _ABBREVIATED else word


def _word_after(text: str, end: int) -> str:
    match = _AFTER.match(text, end, end + 26)
    return plain(match.group(1)) if match else ""


def _starts_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 4) : start].rstrip(" ")
    return start == 0 or not before or before[-1] in _SENTENCE_ENDS
