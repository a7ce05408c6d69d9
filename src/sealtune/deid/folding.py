"""Takes back what hides identifiers from plain patterns, and knows where everything came from.

Zero-width characters, look-alikes from other scripts, digits of other scripts, wide and styled
letters, HTML entities and inline tags, JSON escapes. Genuine text in another script stays as it is.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import Final

# Marks that a plain-text detector would stumble over. Attributes may hold identifiers, so only tags
# without any are taken away.
_SPECIAL: Final = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,15});"
    r"|</?(?:b|i|u|em|strong|span|font|small|big|sup|sub|mark|code|tt|wbr|p|br|div|td|tr|th|li|ul|ol"
    r"|table|pre|hr|h[1-6])\s{0,8}/?>"
    # A JSON key is a label of several words: license_plate, postalCode.
    r"|_(?=[A-Za-z_]{1,40}\"\s?:)|(?<=[a-z])[A-Z](?=[A-Za-z]{0,40}\"\s?:)"
    r"|\\u[0-9A-Fa-f]{4}(?:\\u[dD][c-fC-F][0-9A-Fa-f]{2})?|\\[nrt/\"]|%40"
    r"|[A-Za-z][\u0300-\u036f]{1,8}"
    r"|[^\x00-\x7f]{1,64}"
)
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]{1,64}")
_PLAIN_MARKS: Final = ("&", "<", "\\", "%40", '":', '" :')
_INLINE: Final = re.compile(
    r"</?(?:b|i|u|em|strong|span|font|small|big|sup|sub|mark|code|tt|wbr)\b"
)
_ESCAPES: Final = {"n": "\n", "r": "\n", "t": "\t", "/": "/", '"': '"'}
_WORD: Final = re.compile(r"[^\W_]+", re.UNICODE)
# Letters of Cyrillic, Greek, Armenian and others that look like a Latin one.
_LOOK_ALIKES: Final = dict(
    zip(
        "АВЕЅІЈКМНОРСТХУҮԁԛԜаеіјѕоорсухһӏԝкмтвнΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχօսհոԱՏ",
        "ABESIJKMHOPCTXYYdqWaeijsoopcyxhlwkmtbhABEZHIKMNOPTYXaeiKvoptuxouhnUS",
        strict=True,
    )
)
_LOOKS_ALIKE: Final = re.compile(f"[{''.join(_LOOK_ALIKES)}]")
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u00ad"
_SAME: Final = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u00b4\u2032\uff07", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys(_DASHES[:-1], "-"),
    **dict.fromkeys("\u2044\u2215\uff0f", "/"),
    **dict.fromkeys("\u2024\u3002\uff0e\uff61\u00b7\u2022", "."),
    "\u2028": "\n",
    "\u2029": "\n",
    "\u0085": "\n",
}


class Folded:
    """A text as detectors see it; `origin` gives the place in the original."""

    __slots__ = ("_folded", "_length", "_original", "_pieces", "text")

    def __init__(self, text: str, pieces: list[tuple[int, int, int, int]], length: int) -> None:
        """Take pieces (start and end folded, start and end in the original) in order."""
        self.text = text
        self._length = length
        self._pieces = pieces
        self._folded = [piece[0] for piece in pieces]
        self._original = length

    @property
    def is_plain(self) -> bool:
        """Whether nothing was folded: all places are those of the original."""
        return not self._pieces

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original that `text[start:end]` came from."""
        if not self._pieces:
            return start, end
        return self._place(start, last=False), self._place(end - 1, last=True)

    def _place(self, position: int, *, last: bool) -> int:
        folded, folded_end, original, original_end = self._pieces[
            max(bisect_right(self._folded, position) - 1, 0)
        ]
        if folded_end - folded == original_end - original:
            return original + position - folded + (1 if last else 0)
        return original_end if last else original


def fold(text: str) -> Folded:
    """Return `text` folded; plain ASCII without markup is returned as it is."""
    if not any(mark in text for mark in _PLAIN_MARKS):
        same = text if text.isascii() else _letter_for_letter(text)
        if same is not None:
            return Folded(same, [], len(text))
    parts: list[str] = []
    pieces: list[tuple[int, int, int, int]] = []
    at = done = 0

    def add(value: str, start: int, end: int) -> None:
        nonlocal at
        if value:
            pieces.append((at, at + len(value), start, end))
            parts.append(value)
            at += len(value)

    for match in _SPECIAL.finditer(text):
        start, end = match.span()
        add(text[done:start], done, start)
        for value, first, last in _replacements(text, start, end):
            add(value, first, last)
        done = end
    add(text[done:], done, len(text))
    folded = "".join(parts)
    return Folded(_unmasked(folded), pieces, len(text))


def _letter_for_letter(text: str) -> str | None:
    """Return `text` folded, None where a letter becomes none or several: few texts have such."""
    parts: list[str] = []
    done = 0
    for match in _NOT_ASCII.finditer(text):
        values = [_folded_letter(letter) for letter in match[0]]
        # A mark first in a run may belong to the letter before it.
        if "\u0300" <= values[0] <= "\u036f" or any(len(value) != 1 for value in values):
            return None
        parts += (text[done : match.start()], *values)
        done = match.end()
    return _unmasked("".join((*parts, text[done:])))


def _replacements(text: str, start: int, end: int) -> list[tuple[str, int, int]]:
    first = text[start]
    found = text[start:end]
    if first == "&":
        value = html.unescape(found)
        return [("".join(map(_folded_letter, value)) if value != found else found, start, end)]
    if first == "<":
        return [("" if _INLINE.match(found) else " ", start, end)]
    if first == "\\":
        return [(_escaped(found), start, end)]
    if first == "%":
        return [("@", start, end)]
    if first == "_":
        return [(" ", start, end)]
    if first.isascii() and len(found) == 1:
        return [(f" {found}", start, end)]
    if first.isascii():
        # A letter with combining marks is one letter, as lists of names have it.
        return [(unicodedata.normalize("NFC", found)[:1], start, end)]
    if found.isalpha():
        # The common case, a word with accents or in another script: nothing changes its length.
        values = "".join(map(_folded_letter, found))
        if len(values) == len(found):
            return [(values, start, end)]
    return [(_folded_letter(letter), start + i, start + i + 1) for i, letter in enumerate(found)]


def _escaped(found: str) -> str:
    if found[1] != "u":
        return _ESCAPES[found[1]]
    code = int(found[2:6], 16)
    if len(found) == 12 and 0xD800 <= code < 0xDC00:
        code = 0x10000 + ((code - 0xD800) << 10) + (int(found[8:], 16) - 0xDC00)
    elif len(found) == 12 or 0xD800 <= code < 0xE000:
        return found
    letter = chr(code)
    return letter if letter.isascii() else _folded_letter(letter)


@lru_cache(maxsize=65_536)
def _folded_letter(letter: str) -> str:
    if letter.isascii():
        return letter
    if letter in _SAME:
        return _SAME[letter]
    category = unicodedata.category(letter)
    # Format characters (zero-width, bidirectional, soft hyphens) and variation selectors say
    # nothing; neither do marks without a letter before them.
    if category == "Cf" or "\ufe00" <= letter <= "\ufe0f" or letter in "\u115f\u3164\u034f":
        return ""
    if category == "Nd":
        return str(unicodedata.digit(letter))
    if category == "Zs":
        return " "
    plain = unicodedata.normalize("NFKC", letter)
    return plain if plain.isascii() else letter


def _unmasked(text: str) -> str:
    """Fold letters that look like Latin ones in words that are Latin otherwise, or hold digits."""
    if text.isascii() or not _LOOKS_ALIKE.search(text):
        return text
    return _WORD.sub(_unmasked_word, text)


def _unmasked_word(match: re.Match[str]) -> str:
    word = match.group()
    if word.isascii():
        return word
    masked = [letter for letter in word if letter in _LOOK_ALIKES]
    if not masked or not any(letter.isascii() for letter in word):
        return word
    rest = [letter for letter in word if not letter.isascii() and letter not in _LOOK_ALIKES]
    # A word of Russian with a digit behind it stays Russian: some of its letters look like nothing.
    return word if rest else "".join(_LOOK_ALIKES.get(letter, letter) for letter in word)
