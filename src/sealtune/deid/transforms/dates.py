"""Reads a date in the form that people write it, and writes another one in the same form.

Numeric forms in the order that a locale has, unless only the other is possible; months and days of
the week in seven languages; a time stays as it is. What is not understood as a whole is not a date:
the caller redacts it rather than guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum, auto
from typing import Final

from sealtune.deid.transforms.calendar_words import FILLERS, ORDINALS, CalendarWord, calendar_words

DATE_CHARACTERS_MAX: Final = 80  # twice "Wednesday, the 30th of September 2026 at 11:59:59 pm UTC"
_LEAP_YEAR: Final = 2000  # stands in where a day and a month have no year: 29 February exists
_TIME: Final = re.compile(
    r"(?<![\d:])\d{1,2}[:h]\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s?[AaPp]\.?\s?[Mm]\b\.?)?"
    r"(?:\s?(?:Z|UTC|GMT|EST|EDT|CET|CEST|Uhr)\b|[+-]\d{2}:?\d{2}\b)?(?![\d:/-])"
    r"|(?<![\d:./-])\d{1,2}(?:\s?[AaPp]\.?[Mm]\b\.?|(?:\.\d{2})?\s?(?:Uhr|h)\b)"
    r"|(?<=\d{8}T)\d{4}(?:\d{2})?Z?(?!\d)"
)
_CLOCK: Final = re.compile(r"(\d{1,2})[:.h]?(\d{2})?")
_TOKEN: Final = re.compile(r"\d{1,14}|[^\W\d_]{1,20}|.", re.DOTALL)
_COMPACT: Final = re.compile(r"\d{8}")


class Part(Enum):
    """What a piece of a written date is."""

    LITERAL = auto()
    YEAR = auto()
    MONTH = auto()
    DAY = auto()
    WORD = auto()  # a month or a day of the week, by name
    ORDINAL = auto()  # the ending of the day before it


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece as it was written."""

    part: Part
    text: str
    word: CalendarWord | None = None


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A date and how it was written; what was not written has a stand-in, and `has_...` is false.

    `weekday` (0 is Monday) is all there is where only a day of the week was written.
    """

    pieces: tuple[Piece, ...]
    day: date
    has_year: bool
    has_month: bool
    has_day: bool
    weekday: int | None = None

    def moved(self, days: int) -> str:
        """Return the date `days` later, written the same way (OverflowError: no such date)."""
        if not self.has_month:
            # A year alone is no element of a date that is moved; a day of the week alone is.
            return self._written(self.day, ((self.weekday or 0) + days) % 7)
        to = self.day + timedelta(days=days)
        return self._written(to, to.weekday())

    def _written(self, to: date, weekday: int) -> str:
        return "".join(self._piece(piece, to, weekday) for piece in self.pieces)

    def _piece(self, piece: Piece, to: date, weekday: int) -> str:
        if piece.word is not None:
            made = piece.word.other(to.month - 1 if piece.word.is_month else weekday)
            return _cased(made, like=piece.text)
        if piece.part is Part.YEAR:
            return f"{to.year:04}" if len(piece.text) == 4 else f"{to.year % 100:02}"
        if piece.part in (Part.MONTH, Part.DAY):
            number = to.month if piece.part is Part.MONTH else to.day
            return f"{number:02}" if self._pads(piece) else str(number)
        if piece.part is Part.ORDINAL:
            return _ordinal(to.day, like=piece.text)
        return piece.text

    def _pads(self, piece: Piece) -> bool:
        """Whether a single digit gets a zero before it: as the other numbers of the date have it.

        Of `12/10/2020` nobody can tell; a form, which pads, is the likelier source.
        """
        if len(piece.text) == 1 or piece.text.startswith("0"):
            return len(piece.text) == 2
        numbers = [item.text for item in self.pieces if item.part in (Part.MONTH, Part.DAY)]
        at = self.pieces.index(piece)
        beside = {item.text for item in self.pieces[max(at - 1, 0) : at + 2]}
        # The dot of "4. Dezember" says that it is the fourth, and joins nothing.
        joined = bool(beside & ({"-", "/", "."} if len(numbers) > 1 else {"-", "/"}))
        joined = joined or len(set(filter(str.isdecimal, beside))) > 1
        return joined and all(len(number) == 2 for number in numbers)


def read_date(text: str, *, locale: str, latest_year: int) -> WrittenDate | None:
    """Return the date that the whole of `text` spells, or None.

    Two digits of a year mean the last such year up to `latest_year` + 1.
    """
    if len(text) > DATE_CHARACTERS_MAX:
        return None
    pieces = _named(_pieces(text), locale)
    if pieces is None:
        return None
    numbers = [at for at, piece in enumerate(pieces) if piece.text.isdecimal() and _open(piece)]
    roles = _roles([pieces[at].text for at in numbers], pieces, locale)
    if roles is None:
        return None
    for at, part in zip(numbers, roles, strict=True):
        pieces[at] = replace(pieces[at], part=part)
    return _assembled(pieces, latest_year)


def month_first(locale: str) -> bool:
    """Whether 03/04 is the fourth of March where `locale` is spoken."""
    return locale in {"en_US", "en_PH", "fil_PH", "tl_PH"}


def _open(piece: Piece) -> bool:
    return piece.part is Part.LITERAL


def _pieces(text: str) -> list[Piece]:
    """Cut `text` at its parts; a time is one literal that starts with a space or a `T`."""
    time = _time(text)
    start, end = time or (len(text), len(text))
    pieces = [Piece(Part.LITERAL, part) for part in _tokens(text[:start])]
    if time:
        pieces.append(Piece(Part.WORD, text[start:end]))
    pieces += [Piece(Part.LITERAL, part) for part in _tokens(text[end:])]
    return pieces


def _time(text: str) -> tuple[int, int] | None:
    for match in _TIME.finditer(text):
        clock = _CLOCK.match(match.group())
        if clock and int(clock[1]) < 25 and int(clock[2] or 0) < 60:
            return match.span()
    return None


def _tokens(text: str) -> list[str]:
    parts: list[str] = []
    for token in _TOKEN.findall(text):
        if _COMPACT.fullmatch(token):
            # 20260314 and 03142026: the year's place is where it is a year of our time.
            cut = (4, 6) if token[:2] in ("18", "19", "20") else (2, 4)
            parts += [token[: cut[0]], token[cut[0] : cut[1]], token[cut[1] :]]
        else:
            parts.append(token)
    return parts


def _named(pieces: list[Piece], locale: str) -> list[Piece] | None:
    """Mark names of months and days, and endings of numbers; None if a word is neither."""
    words = [at for at, piece in enumerate(pieces) if _open(piece) and piece.text.isalpha()]
    texts = [pieces[at].text for at in words]
    for at, word in zip(words, calendar_words(texts, language=locale[:2]), strict=True):
        text = pieces[at].text
        if at and pieces[at - 1].text.isdecimal() and text.casefold() in ORDINALS:
            pieces[at] = Piece(Part.ORDINAL, text)
        elif word is not None:
            pieces[at] = Piece(Part.WORD, text, word)
        elif text.casefold() not in FILLERS and not _iso_mark(pieces, at):
            return None
    return pieces


def _iso_mark(pieces: list[Piece], at: int) -> bool:
    return pieces[at].text in "Tt" and 0 < at < len(pieces) - 1


def _roles(numbers: list[str], pieces: list[Piece], locale: str) -> list[Part] | None:
    """Return what each number is, or None if that cannot be told."""
    months = sum(piece.word is not None and piece.word.is_month for piece in pieces)
    if months > 1 or len(numbers) > 3:
        return None
    if months:
        return _roles_beside_month(numbers)
    sizes = [len(number) for number in numbers]
    if len(numbers) == 3:
        return _roles_of_three(numbers, locale)
    if len(numbers) == 2:
        if 4 in sizes:
            return [Part.YEAR, Part.MONTH] if sizes[0] == 4 else [Part.MONTH, Part.YEAR]
        return _day_and_month(numbers, locale)
    if len(numbers) == 1:
        return [Part.YEAR] if sizes == [4] else None
    return []


def _roles_beside_month(numbers: list[str]) -> list[Part] | None:
    roles = [Part.YEAR if len(number) == 4 else Part.DAY for number in numbers]
    if roles == [Part.DAY] and int(numbers[0]) > 31:
        return [Part.YEAR]
    if roles == [Part.DAY, Part.DAY]:
        # "14 March 85" and "Mar 14, 85": the year comes last, unless it is no possible day.
        return [Part.YEAR, Part.DAY] if int(numbers[0]) > 31 else [Part.DAY, Part.YEAR]
    return roles if len(set(roles)) == len(roles) else None


def _roles_of_three(numbers: list[str], locale: str) -> list[Part] | None:
    if len(numbers[0]) == 4 or int(numbers[0]) > 31:
        return [Part.YEAR, Part.MONTH, Part.DAY]
    if len(numbers[1]) > 2 or len(numbers[2]) not in (2, 4):
        return None
    return [*_day_and_month(numbers[:2], locale), Part.YEAR]


def _day_and_month(numbers: list[str], locale: str) -> list[Part]:
    first, second = int(numbers[0]), int(numbers[1])
    is_month_first = second > 12 or (month_first(locale) and first <= 12)
    return [Part.MONTH, Part.DAY] if is_month_first else [Part.DAY, Part.MONTH]


def _assembled(pieces: list[Piece], latest_year: int) -> WrittenDate | None:
    values: dict[Part, int] = {}
    weekday = None
    for piece in pieces:
        if piece.part in (Part.YEAR, Part.MONTH, Part.DAY):
            values[piece.part] = int(piece.text)
            if piece.part is Part.YEAR and len(piece.text) == 2:
                values[Part.YEAR] = _full_year(int(piece.text), latest_year)
            elif len(piece.text) > (4 if piece.part is Part.YEAR else 2):
                return None
        elif piece.word is not None and piece.word.is_month:
            values[Part.MONTH] = piece.word.index + 1
        elif piece.word is not None:
            weekday = piece.word.index
    if not values and weekday is None:
        return None
    if Part.DAY in values and Part.MONTH not in values:
        return None
    try:
        # The middle of a month stands for a month without a day, so that few moves change it.
        found = date(
            values.get(Part.YEAR, _LEAP_YEAR), values.get(Part.MONTH, 1), values.get(Part.DAY, 15)
        )
    except ValueError:
        return None
    has = [part in values for part in (Part.YEAR, Part.MONTH, Part.DAY)]
    return WrittenDate(tuple(pieces), found, has[0], has[1], has[2], weekday)


def _full_year(short: int, latest_year: int) -> int:
    year = latest_year + 1
    return year - (year - short) % 100


def _ordinal(day: int, *, like: str) -> str:
    plain = like.casefold()
    if plain in {"st", "nd", "rd", "th"}:
        ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
        return ending.upper() if like.isupper() else ending
    # French and Italian have an ending for the first day of a month alone.
    return like if day == 1 or plain in {"o", "e"} else ""


def _cased(word: str, *, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    if like.islower():
        return word.lower()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word
