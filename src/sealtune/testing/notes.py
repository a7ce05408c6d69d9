"""Clinical notes out of a seeded generator: text, a specialty, no patient.

Five specialties share complaints and mention each other's diseases in passing, and some notes never
say what decides, so a classifier gets most of them and never all. Placeholders such as `[NAME]`
stand where a de-identifier would have put them; `with_identifiers` puts invented ones there. Says
nothing about real notes: a model trained on these is good for trying sealtune out.

    python -m sealtune.testing.notes COUNT FILE

writes some, with invented identifiers, to a new file of JSON Lines.

A canary is a string that occurs nowhere else in the world; whoever finds one outside the enclave
has found plaintext.
"""

from __future__ import annotations

import random
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from sealtune.core.canonical import canonical_json
from sealtune.core.files import atomic_writer
from sealtune.testing.notes_words import (
    CLOSINGS,
    DECADES,
    DURATIONS,
    NEUTRAL,
    OPENINGS,
    PATIENTS,
    SHARED_COMPLAINTS,
    SPECIALTIES,
    Specialty,
)

LABELS = tuple(SPECIALTIES)
_CANARY_DIGITS = 30  # 99 bits: no accident makes one
_CANARY_SYLLABLES = 18  # 101 bits
_CONSONANTS, _VOWELS = "bdfgklmnpt", "aeiou"
# Invented, and of every kind that the templates have a placeholder for.
_IDENTIFIERS = {
    "[NAME]": (
        "Margaret Holloway",
        "Tomasz Nowicki",
        "Aisha Rahman",
        "Luis Carvalho",
        "Ingrid Solberg",
    ),
    "[DATE]": ("03/14/2024", "2 May 2024", "2024-06-17", "September 9, 2023", "11.01.2024"),
    "[HOSPITAL]": ("Riverside General Hospital", "St. Anne's Medical Center"),
    "[LOCATION]": ("Springfield", "Lyon", "Utrecht", "Porto"),
    "[ID]": ("MRN 4482913", "MRN 7719-204", "SSN 219-09-9999"),
    "[PHONE]": ("(217) 555-0142", "+44 20 7946 0958"),
    "[AGE] year old": ("91 year old", "93-year-old", "47 year old", "68-year-old"),
    "[AGE]": ("91 years old", "93-year-old", "47 years old", "68-year-old"),
    "[PROFESSION]": ("teacher", "welder"),
}

T = TypeVar("T")


def make_canary() -> str:
    """Return a fresh canary: decimal digits, which survive every encoding and most tokenizers."""
    return "".join(secrets.choice("0123456789") for _ in range(_CANARY_DIGITS))


def make_spoken_canary() -> str:
    """Return a fresh canary of lower-case syllables.

    They survive every encoding, most tokenizers and de-identification, since they name nobody.
    """
    return "".join(
        secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS) for _ in range(_CANARY_SYLLABLES)
    )


def make_notes(count: int, *, seed: int, canaries: Sequence[str] = ()) -> list[dict[str, str]]:
    """Return `count` records `{"text", "label"}`; the same seed gives the same notes everywhere.

    Each canary goes into the text of one note, at a place that the seed decides.

    Raises:
        ValueError: fewer notes than canaries.
    """
    if len(canaries) > count:
        raise ValueError("more canaries than notes")
    draw = _Draw(seed)
    notes = [_note(draw) for _ in range(count)]
    places = draw.order(count)
    for canary, place in zip(canaries, places, strict=False):
        # At the front, so that no cut at a number of tokens spares the enclave the sight of it.
        notes[place]["text"] = f"Case {canary}. {notes[place]['text']}"
    return notes


def with_identifiers(notes: Sequence[dict[str, str]], *, seed: int) -> list[dict[str, str]]:
    """Return `notes` with invented identifiers where the placeholders stand."""
    draw = _Draw(seed)
    filled = []
    for note in notes:
        text = note["text"]
        for mark, values in _IDENTIFIERS.items():
            while mark in text:
                text = text.replace(mark, draw.one(values), 1)
        filled.append({**note, "text": text})
    return filled


def write_notes(path: Path, notes: Sequence[dict[str, str]]) -> None:
    """Write `notes` to `path` as JSON Lines.

    Raises:
        StorageError: the disk is full or refuses.
    """
    with atomic_writer(path) as file:
        for note in notes:
            file.write(canonical_json(note) + b"\n")


class _Draw:
    """Choices from one seed, by `Random.random` alone: the only method that Python promises not to
    change between versions."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - synthetic text, no secret

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def below(self, limit: int) -> int:
        return int(self._random.random() * limit)

    def one(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def order(self, count: int) -> list[int]:
        keyed = [(self._random.random(), index) for index in range(count)]
        return [index for _, index in sorted(keyed)]

    def fill(self, template: str) -> str:
        return template.format(
            rate=60 + self.below(90),
            pressure=f"{100 + self.below(80)} over {60 + self.below(40)}",
            percent=25 + self.below(70),
            angle=20 + 5 * self.below(14),
            count=2 + self.below(9),
            decade=self.one(DECADES),
            complaint="{complaint}",
        )


def _note(draw: _Draw) -> dict[str, str]:
    label = draw.one(LABELS)
    own = SPECIALTIES[label]
    sentences = [draw.one(OPENINGS), _presentation(draw, label, own)]
    middle = _telling(draw, own) + _passing(draw, label) + _neutral(draw)
    sentences += [middle[index] for index in draw.order(len(middle))]
    if draw.chance(0.6):
        sentences.append(draw.fill(draw.one(CLOSINGS)))
    return {"label": label, "text": " ".join(sentences)}


def _presentation(draw: _Draw, label: str, own: Specialty) -> str:
    shared = [complaint for complaint, where in SHARED_COMPLAINTS if label in where]
    complaint = draw.one(shared) if draw.chance(0.55) else draw.one(own.complaints)
    opening = draw.fill(draw.one(PATIENTS)).format(complaint=complaint)
    return f"{opening} {draw.fill(draw.one(DURATIONS))}."


def _telling(draw: _Draw, own: Specialty) -> list[str]:
    # About one note in four says nothing of its own beyond the complaint.
    sentences = []
    for kinds, probability in ((own.findings, 0.42), (own.tests, 0.32), (own.plans, 0.38)):
        if draw.chance(probability):
            sentences.append(_sentence(draw.fill(draw.one(kinds))))
    return sentences


def _passing(draw: _Draw, label: str) -> list[str]:
    # Comorbidities and what other specialties found or did: the misleading part.
    others = [name for name in LABELS if name != label]
    sentences = []
    if draw.chance(0.65):
        sentences.append(f"Past history of {draw.one(SPECIALTIES[draw.one(others)].minor)}.")
    if draw.chance(0.15):
        sentences.append(f"Earlier this year: {draw.fill(draw.one(_foreign(draw, others)))}.")
    return sentences


def _foreign(draw: _Draw, others: Sequence[str]) -> tuple[str, ...]:
    other = SPECIALTIES[draw.one(others)]
    return draw.one((other.findings, other.tests, other.plans))


def _neutral(draw: _Draw) -> list[str]:
    return [draw.one(NEUTRAL) for _ in range(1 + draw.below(3))]


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


if __name__ == "__main__":
    notes = with_identifiers(make_notes(int(sys.argv[1]), seed=0), seed=0)
    write_notes(Path(sys.argv[2]), notes)
