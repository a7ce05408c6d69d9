"""How well identifiers are found: recall, precision, F2 per type, and documents that leak.

What matters is that nothing remains: an identifier counts as found if every letter and digit of it
is covered by findings of whatever types; typed recall asks for its own type as well. A finding
counts as right if it overlaps an identifier; one that lies in neutral text counts neither way. A
document leaks if one identifier in it was not found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sealtune.deid.entities import EntityType, Finding
from sealtune.testing.deid.generator import Note, Span

Find = Callable[[str], Iterable[Finding]]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def f2(precision: float | None, recall: float | None) -> float | None:
    """Return the harmonic mean that weighs recall twice, or None where neither is known."""
    if precision is None or recall is None:
        return None
    return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


@dataclass(slots=True)
class Score:
    """Counts over documents; per type where a type is what was there or what was found."""

    there: Counter[EntityType] = field(default_factory=Counter)
    covered: Counter[EntityType] = field(default_factory=Counter)
    typed: Counter[EntityType] = field(default_factory=Counter)
    found: Counter[EntityType] = field(default_factory=Counter)
    right: Counter[EntityType] = field(default_factory=Counter)
    documents: int = 0
    leaking: int = 0
    missed: list[tuple[EntityType, str, str]] = field(default_factory=list)
    wrong: list[tuple[EntityType, str, str]] = field(default_factory=list)

    def add(self, note: Note, findings: Sequence[Finding]) -> None:
        """Count one document."""
        removed = _covered(findings)
        missed = 0
        for span in note.spans:
            places = _places(note.text, span)
            self.there[span.entity] += 1
            if places <= removed:
                self.covered[span.entity] += 1
            else:
                missed += 1
                self.missed.append((span.entity, *_shown(note, span.start, span.end)))
            own = _covered(item for item in findings if item.entity is span.entity)
            self.typed[span.entity] += places <= own
        self.documents += 1
        self.leaking += missed > 0
        self._precision(note, findings)

    def _precision(self, note: Note, findings: Sequence[Finding]) -> None:
        for item in findings:
            hits = any(_overlap(item, span.start, span.end) for span in note.spans)
            if not hits and any(_overlap(item, *place) for place in note.neutral):
                continue
            self.found[item.entity] += 1
            self.right[item.entity] += hits
            if not hits:
                self.wrong.append((item.entity, *_shown(note, item.start, item.end)))

    def recall(self, *types: EntityType) -> float | None:
        """Return the share that was found of the types named, or of all."""
        wanted = types or tuple(self.there)
        there = sum(self.there[one] for one in wanted)
        return _share(sum(self.covered[one] for one in wanted), there)

    def precision(self, *types: EntityType) -> float | None:
        """Return the share of findings of the types named, or of all, that are right."""
        wanted = types or tuple(self.found)
        return _share(
            sum(self.right[one] for one in wanted), sum(self.found[one] for one in wanted)
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each type that occurs, and one for all together."""
        kinds = [(one.value, (one,)) for one in EntityType if self.there[one]]
        return [self._row(name, types) for name, types in [*kinds, ("all", tuple(EntityType))]]

    def _row(self, name: str, types: tuple[EntityType, ...]) -> dict[str, Any]:
        precision, recall = self.precision(*types), self.recall(*types)
        there = sum(self.there[one] for one in types)
        typed = _share(sum(self.typed[one] for one in types), there)
        return {
            "type": name,
            "count": there,
            "recall": recall,
            "typed_recall": typed,
            "precision": precision,
            "f2": f2(precision, recall),
        }

    @property
    def leak_rate(self) -> float:
        """The share of documents with an identifier left."""
        return self.leaking / self.documents if self.documents else 0.0


def score(notes: Iterable[Note], find: Find) -> Score:
    """Return how `find` does on `notes`."""
    result = Score()
    for note in notes:
        result.add(note, list(find(note.text)))
    return result


def _covered(findings: Iterable[Finding]) -> set[int]:
    return {place for item in findings for place in range(item.start, item.end)}


def _places(text: str, span: Span) -> set[int]:
    return {place for place in range(span.start, span.end) if text[place].isalnum()}


def _overlap(item: Finding, start: int, end: int) -> bool:
    return item.start < end and start < item.end


def _shown(note: Note, start: int, end: int) -> tuple[str, str]:
    # The notes are synthetic: their text may be shown.
    return note.text[start:end], note.text[max(0, start - 30) : end + 20].replace("\n", "\\n")
