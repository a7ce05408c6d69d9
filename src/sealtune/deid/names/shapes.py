"""What a written name looks like: tokens that begin with a capital, and how they hang together."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

_NAME_TOKENS_MAX: Final = 12  # of one run; longer ones are headings, cut here
# What may stand between two tokens of one run.
_PLAIN_GAPS: Final = frozenset({" ", "  ", "\u00a0", ". ", ".", "-", " & "})
_PARTICLE_GAP: Final = re.compile(
    r"[ ](?:v[ao]n(?: (?:de[rn]?|het|'t))?|de(?: l[ao]s?|l| la)?|d[aioe]s?|dal|della|du|des|la|le"
    r"|el|al|bin|ibn|ben|bint|abu|te[rn]|zu[mr]?|vom|af|av|von und zu|i|y|e)[ -]$"
)
_GAP_MAX: Final = 20
_WORD: Final = r"[^\W\d_]"


@cache
def _capitals() -> str:
    """Return the capital letters of all scripts that have them, as a class of a pattern."""
    found = [n for n in range(sys.maxunicode // 16) if unicodedata.category(chr(n)) in ("Lu", "Lt")]
    ranges: list[list[int]] = []
    for number in found:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return "".join(f"\\u{a:04x}-\\u{b:04x}" for a, b in ranges if b < 0x10000)


_ELIDED: Final = r"(?<![^\W_])(?:d|al|el|l)['\u2019-]"  # `d'Arc`, `al-Rashid`
_ELIDED_BEFORE: Final = re.compile(rf"{_ELIDED}\Z")
_ELIDED_CHARACTERS: Final = 3


def capitals(text: str) -> list[tuple[int, int]]:
    """Return where a word that begins with a capital stands: `O'Brien`, `McDonald`, `SMITH`."""
    if not text.isascii():
        return [match.span() for match in _capital_word().finditer(text)]
    found: list[tuple[int, int]] = []
    done = 0
    for match in _ascii_capital_word().finditer(text):
        start, end = match.span()
        if start and text[start - 1] in "'-":
            elided = _ELIDED_BEFORE.search(text, max(done, start - _ELIDED_CHARACTERS), start)
            start = elided.start() if elided else start
        found.append((start, end))
        done = end
    return found


@cache
def _capital_word() -> re.Pattern[str]:
    capital = f"[{_capitals()}]"
    return re.compile(rf"(?:{_ELIDED})?(?<![^\W_]){capital}{_rest(capital)}")


@cache
def _ascii_capital_word() -> re.Pattern[str]:
    # A search leaps to the next capital where a pattern begins with one.
    return re.compile(rf"[A-Z](?<![^\W_][A-Z]){_rest('[A-Z]')}")


def _rest(capital: str) -> str:
    inside = rf"['\u2019]{_WORD}{{2,40}}|['\u2019](?={capital}){_WORD}{{1,40}}"
    return rf"{_WORD}{{0,40}}(?:{inside}){{0,2}}"


@dataclass(slots=True)
class Token:
    """A word of a run: where it is, as lists have it, and its flags."""

    start: int
    end: int
    word: str
    flags: int


def is_joined(gap: str, *, initial: bool) -> bool:
    """Return whether `gap` lets two tokens belong to one name; a full stop only after initials."""
    if gap in _PLAIN_GAPS:
        return "." not in gap or initial
    return gap[0:1] == " " and 3 < len(gap) < 16 and _PARTICLE_GAP.match(gap) is not None


def iter_runs(text: str, tokens: Iterator[Token]) -> Iterator[list[Token]]:
    """Yield the tokens that stand together, in order."""
    run: list[Token] = []
    last: Token | None = None
    for token in tokens:
        if last is not None:
            end = last.end
            gap = text[end : token.start] if token.start - end < _GAP_MAX else "\n"
            # Most stand behind one blank, or behind other words.
            if gap != " " or len(run) >= _NAME_TOKENS_MAX:
                short = end - last.start == 1 or last.word in _DOTTED
                if len(run) >= _NAME_TOKENS_MAX or not is_joined(gap, initial=short):
                    yield run
                    run = []
        run.append(token)
        last = token
    if run:
        yield run


_DOTTED: Final = frozenset(
    """
    mr mrs ms dr drs prof st sr sra dott rev capt lt sgt jr wm chas geo thos jos mme
    """.split()  # noqa: SIM905 - a table of words
)
