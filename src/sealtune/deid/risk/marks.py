"""What of an identifier is compared with the output, and what of the output with identifiers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from sealtune.deid.entities import EntityType
from sealtune.deid.risk.digits import Token, codes
from sealtune.deid.risk.surnames import name_likeness
from sealtune.deid.risk.words import Word, spelled

KINDS: Final = ("names", "words", "numbers", "codes")
_NAME_WORDS_MAX: Final = 4
_WORD_LETTERS_MIN: Final = 5
_NAME_LETTERS_MIN: Final = 7  # of all words of a name
_DIGITS_MIN: Final = 6
_CODE_CHARACTERS_MIN: Final = 6
_CODE_DIGITS_MIN: Final = 2
_WIDE_DIGITS_MIN: Final = 7  # in the whole dataset: 6 digits are also somebody else's date or count
_JOINS: Final = frozenset({" ", ", ", ". ", "-", "\n"})
_NAMED: Final = frozenset({EntityType.PERSON, EntityType.ORGANIZATION, EntityType.LOCATION})
Span = tuple[int, int]


class Mark(NamedTuple):
    """Something that is compared: of one of `KINDS`, in a form that spelling does not change."""

    kind: str
    text: str


def marks(original: str, entity: EntityType) -> Iterator[Mark]:
    """Yield what of the identifier `original` would give it away."""
    token = original.strip()
    code = _code(token, "".join(filter(str.isdecimal, original)))
    if code is not None:
        yield code
    if entity not in _NAMED:
        return
    parts = [word.casefold() for word in spelled(original) if len(word) > 1]
    name = _name(parts)
    if name is not None:
        yield name
    if entity is EntityType.PERSON:
        yield from (Mark("words", part) for part in parts if _telling(part))


def is_wide(mark: Mark) -> bool:
    """Return whether `mark` tells enough to be compared with every record."""
    return mark.kind != "numbers" or len(mark.text) >= _WIDE_DIGITS_MIN


@dataclass(frozen=True, slots=True)
class Output:
    """A text of the output, masked, with what it consists of."""

    text: str
    words: Sequence[Word]
    tokens: Sequence[Token]


def candidates(output: Output) -> Iterator[tuple[Mark, Span]]:
    """Yield what in `output` could be an identifier that stayed."""
    for token, digits, start, end in codes(output.text, output.tokens):
        code = _code(token, digits)
        if code is not None:
            yield code, (start, end)
    for run in _capitalized(output.text, output.words):
        for first in range(len(run)):
            for last in range(first + 2, min(first + _NAME_WORDS_MAX, len(run)) + 1):
                name = _name([word.text.casefold() for word in run[first:last]])
                if name is not None:
                    yield name, (run[first].start, run[last - 1].end)
        for word in run:
            if not word.opens and _telling(word.text.casefold()):
                yield Mark("words", word.text.casefold()), (word.start, word.end)


_LENGTHS: Final = (0, -1, 1)  # by which a mark may be longer, the likeliest first


class Similar:
    """Finds which mark of a record a candidate differs from by one letter or one swap.

    Two such texts are the same once a letter is taken from either or both, so that marks are looked
    up by what is left of them: a record can have thousands of marks and of candidates.
    """

    def __init__(self, known: Mapping[Mark, EntityType]) -> None:
        # Two days of one month differ by a digit and are no spelling of one another.
        self._known = [
            (mark, entity)
            for mark, entity in known.items()
            if mark.kind in {"words", "numbers"} and entity is not EntityType.DATE
        ]
        self._by_rest: dict[tuple[str, str], list[int]] | None = None

    def find(self, mark: Mark) -> EntityType | None:
        """Return the type of a mark that `mark` nearly is: of the same length rather, the first."""
        if self._by_rest is None:
            self._by_rest = defaultdict(list)
            for at, (known, _) in enumerate(self._known):
                for rest in _rests(known.text):
                    self._by_rest[known.kind, rest].append(at)
        places = {
            at for rest in _rests(mark.text) for at in self._by_rest.get((mark.kind, rest), ())
        }
        near = [at for at in places if _nearly(self._known[at][0].text, mark.text)]
        if not near:
            return None
        size = len(mark.text)
        best = min(near, key=lambda at: (_LENGTHS.index(len(self._known[at][0].text) - size), at))
        return self._known[best][1]


def _rests(text: str) -> set[str]:
    """Return `text` and what is left of it without one letter."""
    return {text, *(text[:at] + text[at + 1 :] for at in range(len(text)))}


def _name(parts: Sequence[str]) -> Mark | None:
    """Return the words of a name in an order of their own: `Smith, John` is `John Smith`."""
    if not 2 <= len(parts) <= _NAME_WORDS_MAX or sum(map(len, parts)) < _NAME_LETTERS_MIN:
        return None
    return Mark("names", " ".join(sorted(parts)))


def _telling(word: str) -> bool:
    return len(word) >= _WORD_LETTERS_MIN and name_likeness().score(word) > -1


def _code(token: str, digits: str) -> Mark | None:
    """Return the digits of `token` where they alone would tell, else the token if it is a code."""
    if len(digits) >= _DIGITS_MIN:
        return Mark("numbers", digits)
    if len(token) < _CODE_CHARACTERS_MIN or any(map(str.isspace, token)):
        return None
    written = ("@" in token or len(digits) >= _CODE_DIGITS_MIN) and any(map(str.isalpha, token))
    return Mark("codes", token.casefold()) if written else None


def _capitalized(text: str, found: Sequence[Word]) -> Iterator[list[Word]]:
    """Yield runs of neighbouring words with capitals; initials between them are passed over."""
    run: list[Word] = []
    large = [word for word in found if word.text[0].isupper()]
    for before, word in pairwise([None, *large]):
        if word is None:
            continue
        if before is not None and text[before.end : word.start] not in _JOINS and run:
            yield run
            run = []
        if len(word.text) > 1:
            run.append(word)
    if run:
        yield run


def _nearly(one: str, other: str) -> bool:
    """Return whether one letter, or two neighbours that changed places, make the difference."""
    if one == other:
        return False
    short, long = sorted((one, other), key=len)
    same = next(
        (n for n, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short)
    )
    rest, tail = short[same:], long[same:]
    if len(short) < len(long):
        return rest == tail[1:]
    return rest[1:] == tail[1:] or (rest[:2] == tail[1::-1] and rest[2:] == tail[2:])
