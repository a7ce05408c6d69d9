"""Identifiers that were replaced in one place and stayed in another, whole or nearly.

Within a record the originals are at hand and are compared with what is not masked. In the whole
dataset their keyed hashes are compared, so that no list of identifiers is kept. Numbers compare by
their digits however they are grouped, names by their words in any order. Ages and short words are
compared nowhere: they stand in any text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.risk.marks import KINDS, Mark, Output, Similar, Span, candidates, is_wide, marks
from sealtune.deid.risk.residual import PLACES_MAX, LeakFigures
from sealtune.deid.risk.sketch import KeyedHash, Sketch
from sealtune.deid.risk.words import Replacement

ORIGINALS_MAX: Final = 1 << 16  # about 16 MB
OUTPUTS_MAX: Final = 1 << 16
CHANGES_MAX: Final = 2_000  # of one record that are compared; more is a table in one text


class LeakMeter:
    """Compares one record after the other; merges with what others saw."""

    def __init__(self, hashed: KeyedHash) -> None:
        self._hashed = hashed
        self._originals = Sketch(width=len(KINDS), limit=ORIGINALS_MAX)
        self._outputs = Sketch(width=len(KINDS), limit=OUTPUTS_MAX)
        self._same: Counter[EntityType] = Counter()
        self._near: Counter[EntityType] = Counter()
        self._places: list[int] = []

    def add(
        self,
        outputs: Sequence[Output],
        changes: Sequence[Replacement],
        *,
        record: int,
    ) -> list[list[Span]]:
        """Count leaks of `changes` in masked texts; return where verbatim ones are, per text."""
        known: dict[Mark, EntityType] = {}
        for change in changes[:CHANGES_MAX]:
            for mark in marks(change.original, change.entity):
                known.setdefault(mark, change.entity)
        for mark, entity in known.items():
            # A day is also somebody else's; where one stayed the second detector sees it.
            if is_wide(mark) and entity is not EntityType.DATE:
                self._originals.add(self._key(mark), KINDS.index(mark.kind), record=record)
        similar = Similar(known)
        return [self._text(output, known, similar, record=record) for output in outputs]

    def _text(
        self,
        output: Output,
        known: dict[Mark, EntityType],
        similar: Similar,
        *,
        record: int,
    ) -> list[Span]:
        leaks: dict[Span, EntityType] = {}
        for mark, span in candidates(output):
            entity = known.get(mark)
            if entity is not None:
                leaks.setdefault(span, entity)
                continue
            if is_wide(mark):
                self._outputs.add(self._key(mark), KINDS.index(mark.kind), record=record)
            nearly = similar.find(mark)
            if nearly is not None:
                self._near[nearly] += 1
                self._place(record)
        whole = [span for span in leaks if not any(_within(span, other) for other in leaks)]
        self._same.update(leaks[span] for span in whole)
        if whole:
            self._place(record)
        return whole

    def merge(self, other: LeakMeter, *, offset: int) -> None:
        """Add what `other` saw in records that come `offset` later."""
        self._originals.merge(other._originals, offset=offset)
        self._outputs.merge(other._outputs, offset=offset)
        self._same += other._same
        self._near += other._near
        for place in other._places:
            self._place(place + offset)

    def result(self, *, written_small: Callable[[int], bool]) -> LeakFigures:
        """Return what was found; words for which `written_small` holds are no names."""
        share = min(self._originals.share, self._outputs.share)
        elsewhere: Counter[str] = Counter()
        places = set(self._places)
        for key, counts, first in self._outputs.items():
            if not any(self._originals.counts(key)) or written_small(key):
                continue
            for kind, count in zip(KINDS, counts, strict=True):
                elsewhere[kind] += count
            places.add(first)
        return LeakFigures(
            same_record=_by_name(self._same),
            near=_by_name(self._near),
            elsewhere={kind: round(n / share) for kind, n in sorted(elsewhere.items()) if n},
            places=tuple(sorted(places)[:PLACES_MAX]),
            compared=share,
        )

    def _key(self, mark: Mark) -> int:
        # A single word hashes as the second detector's words do: `written_small` looks it up there.
        text = mark.text if mark.kind == "words" else f"{mark.kind} {mark.text}"
        return self._hashed.of(text)

    def _place(self, record: int) -> None:
        if len(self._places) < PLACES_MAX and (not self._places or self._places[-1] < record):
            self._places.append(record)


def _within(span: Span, other: Span) -> bool:
    return span != other and other[0] <= span[0] and span[1] <= other[1]


def _by_name(counts: Counter[EntityType]) -> dict[str, int]:
    return {entity.value: count for entity, count in sorted(counts.items()) if count}
