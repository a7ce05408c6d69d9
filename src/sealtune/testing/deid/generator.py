"""Clinical notes out of a seed, with every identifier in them annotated by place and type.

All 18 classes of 45 CFR 164.514(b)(2)(i) that text can carry, secrets, and national numbers of
seventeen countries. The same seed gives the same notes everywhere. Says nothing about real notes:
real ones have what nobody thought of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.testing.deid import harmless, layouts, numbers, people, places, values
from sealtune.testing.deid.draw import Draw
from sealtune.testing.deid.layouts import Layout
from sealtune.testing.deid.values import LABELLED, NEUTRAL, Mark, Piece

_SLOT: Final = re.compile(r"\{([a-z]+)(?:[.:]([a-z]+))?\}")
_TITLES: Final = ("Mr.", "Mrs.", "Ms.", "Mr", "Mrs", "Miss")


@dataclass(frozen=True, slots=True)
class Span:
    """An identifier of the type `entity` at `text[start:end]`."""

    start: int
    end: int
    entity: EntityType


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A document, what in it is an identifier, and what may be removed though it is none."""

    text: str
    spans: tuple[Span, ...]
    neutral: tuple[tuple[int, int], ...]
    layout: str
    language: str

    def texts(self, entity: EntityType) -> list[str]:
        """Return the identifiers of the type `entity` as they stand in the text."""
        return [self.text[span.start : span.end] for span in self.spans if span.entity is entity]


def make_annotated_notes(count: int, *, seed: int) -> list[Note]:
    """Return `count` notes; each depends on `seed` and on its place alone."""
    return [_note(Draw(seed * 1_000_003 + number)) for number in range(count)]


def _note(draw: Draw) -> Note:
    layout = draw.one(layouts.OTHERS if draw.chance(0.12) else layouts.ENGLISH)
    page = _Page(draw, layout)
    lines = [wordings for probability, wordings in layout.lines if draw.chance(probability)]
    for number, wordings in enumerate(lines):
        page.plain(layout.joint if number else "")
        page.fill(draw.one(wordings))
    return _in_another_case(page.note(), draw)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    given: str
    middle: str
    family: str
    title: str


def _person(draw: Draw) -> _Person:
    given = draw.one(people.ACCENTED_GIVEN if draw.chance(0.06) else people.GIVEN)
    family = draw.one(people.ACCENTED_FAMILY if draw.chance(0.06) else people.FAMILY)
    if draw.chance(0.06):
        family = draw.one(people.PARTICLED)
    if draw.chance(0.03):
        family = f"{family}-{draw.one(people.FAMILY)}"
    middle = draw.one((f"{draw.form('@')}.", draw.form("@"), draw.one(people.GIVEN)))
    return _Person(given=given, middle=middle, family=family, title=draw.one(_TITLES))


class _Page:
    """Text in the making; the persons of one document are the same all through it."""

    def __init__(self, draw: Draw, layout: Layout) -> None:
        self._draw, self._layout = draw, layout
        self._pieces: list[str] = []
        self._length = 0
        self._marks: list[tuple[int, int, EntityType | Mark]] = []
        self._cast: dict[str, _Person] = {}

    def plain(self, text: str, mark: EntityType | Mark | None = None) -> None:
        """Add `text`; `mark` is what it is."""
        if self._layout.name == "json" and mark is not None:
            text = json.dumps(text, ensure_ascii=False)[1:-1]
        if mark is not None and text:
            self._marks.append((self._length, self._length + len(text), mark))
        self._pieces.append(text)
        self._length += len(text)

    def fill(self, template: str) -> None:
        """Add `template` with a value in each of its slots."""
        place = 0
        for slot in _SLOT.finditer(template):
            self._constant(template[place : slot.start()])
            name, part = slot.group(1), slot.group(2)
            for text, mark in self._value(name, part):
                self.plain(text, mark)
            place = slot.end()
        self._constant(template[place:])

    def note(self) -> Note:
        """Return what has been written."""
        spans = [Span(start, end, m) for start, end, m in self._marks if isinstance(m, EntityType)]
        neutral = [(start, end) for start, end, mark in self._marks if mark is NEUTRAL]
        return Note(
            text="".join(self._pieces),
            spans=tuple(spans),
            neutral=tuple(neutral),
            layout=self._layout.name,
            language=self._layout.language,
        )

    def _constant(self, text: str) -> None:
        self.plain(text.replace("{{", "{").replace("}}", "}"))

    def _value(self, name: str, part: str | None) -> list[Piece]:
        if name in _ROLES:
            return self._named(name, part)
        if name == "id" and part is not None:
            return self._labelled(part)
        if name in LABELLED:
            return [(LABELLED[name].make(self._draw), LABELLED[name].entity)]
        if name.startswith("keep"):
            return [(self._harmless(name), None)]
        if name == "org":
            return [(self._organization(), EntityType.ORGANIZATION)]
        if name == "date":
            return [(values.date(self._draw, self._layout.language), EntityType.DATE)]
        return _OTHERS[name](self._draw)

    def _named(self, role: str, part: str | None) -> list[Piece]:
        person = self._cast.setdefault(role, _person(self._draw))
        if part == "title":
            return [(person.title, NEUTRAL)]
        if part is not None:
            return [(person.given if part == "first" else person.family, EntityType.PERSON)]
        return [(self._whole(person), EntityType.PERSON)]

    def _whole(self, person: _Person) -> str:
        draw = self._draw
        if draw.chance(0.03):
            return draw.one(people.ASIAN)
        forms = (
            f"{person.given} {person.family}",
            f"{person.given} {person.family}",
            f"{person.given} {person.middle} {person.family}",
            f"{person.family}, {person.given}",
            f"{person.family}, {person.given} {person.middle}",
            f"{person.given[0]}. {person.family}",
        )
        return draw.one(forms)

    def _labelled(self, part: str) -> list[Piece]:
        kind = LABELLED[part]
        label = self._draw.one(kind.labels)
        if self._draw.chance(0.15):
            label = label.upper() if self._draw.chance(0.5) else label.lower()
        separator = self._draw.one(values.SEPARATORS)
        return [(label + separator, None), (kind.make(self._draw), kind.entity)]

    def _harmless(self, name: str) -> str:
        if name == "keepage":
            return self._draw.form("5#-year-old", "6# y/o", "4#yo", "2# year old", "7# years old")
        return self._draw.digits(self._draw.one(harmless.KEEP[name.removeprefix("keep") or "en"]))

    def _organization(self) -> str:
        own = places.FOREIGN_ORGANIZATIONS.get(self._layout.language)
        return self._draw.one(own or places.ORGANIZATIONS)


_ROLES: Final = ("patient", "doctor", "relative", "nurse", "other")


def _tax(draw: Draw) -> list[Piece]:
    label, number = numbers.tax_id(draw)
    return [(label + draw.one((": ", " ")), None), (number, EntityType.TAX_ID)]


def _national(draw: Draw) -> list[Piece]:
    label, number = values.national(draw)
    return [(label + draw.one((": ", " ")), None), (number, EntityType.NATIONAL_ID)]


def _one(make: Callable[[Draw], str], mark: EntityType | Mark | None) -> _Maker:
    return lambda draw: [(make(draw), mark)]


_Maker = Callable[[Draw], list[Piece]]
_OTHERS: Final[dict[str, _Maker]] = {
    "address": values.address,
    "foreign": values.foreign_address,
    "street": _one(values.street, EntityType.ADDRESS),
    "zip": _one(values.zip_code, EntityType.POSTAL_CODE),
    "city": _one(lambda draw: draw.one(places.CITIES), EntityType.LOCATION),
    "county": _one(lambda draw: draw.one(places.COUNTIES), EntityType.LOCATION),
    "age": values.old_age,
    "agevalue": _one(lambda draw: str(draw.between(90, 106)), EntityType.AGE),
    "national": _national,
    "tax": _tax,
    "kvnr": _one(lambda draw: draw.form("@#########"), EntityType.HEALTH_PLAN),
    "iban": _one(numbers.iban, EntityType.IBAN),
    "secret": values.secret,
    "year": _one(lambda draw: str(draw.between(1950, 2025)), NEUTRAL),
    "time": _one(lambda draw: f"{draw.below(24):02d}:{draw.below(60):02d}", NEUTRAL),
    "cardexp": _one(lambda draw: f"{draw.between(1, 12):02d}/{draw.between(27, 31)}", NEUTRAL),
    "amount": _one(lambda draw: draw.form("%##.##", "%#.##"), None),
    "code": _one(lambda draw: draw.one(harmless.CODES), None),
    "ward": _one(lambda draw: draw.one(harmless.WARDS), NEUTRAL),
    "imaging": _one(lambda draw: draw.digits(draw.one(harmless.IMAGING)), None),
}
# Their letters' case is part of the value: nobody types a whole note in capitals around them.
_CASED: Final = (EntityType.SECRET, EntityType.URL, EntityType.EMAIL, EntityType.USERNAME)


def _in_another_case(note: Note, draw: Draw) -> Note:
    """Return `note`, at times wholly in capitals or in small letters as hurried people type."""
    if any(span.entity in _CASED for span in note.spans) or not draw.chance(0.16):
        return note
    change = str.upper if draw.chance(0.5) else str.lower
    letters = [change(letter) for letter in note.text]
    same = [new if len(new) == 1 else old for new, old in zip(letters, note.text, strict=True)]
    return replace(note, text="".join(same))
