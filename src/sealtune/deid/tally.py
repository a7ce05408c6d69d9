"""What was found and done, counted; the counts of shards add up to those of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sealtune.deid.entities import EntityType, Finding

BINS: Final = 10  # of the histogram of confidence, each a tenth wide
FIELDS_MAX: Final = 1_000  # different unnamed fields that are told apart


@dataclass(slots=True)
class Tally:
    """Counts: findings by type and confidence, actions, records, fields that nobody named.

    `unnamed` counts in how many records an unnamed field occurs, `named` does it for the others.
    `coarse` counts values of fields that the profile makes coarse, `conversions` those that changed
    their type.
    """

    records: int = 0
    changed_records: int = 0
    left_out: int = 0
    characters: int = 0
    confidence: dict[str, list[int]] = field(default_factory=dict)
    actions: Counter[str] = field(default_factory=Counter)
    detectors: Counter[str] = field(default_factory=Counter)
    unnamed: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    coarse: Counter[str] = field(default_factory=Counter)
    conversions: Counter[str] = field(default_factory=Counter)

    def find(self, finding: Finding) -> None:
        """Count a finding."""
        self._bins(finding.entity)[min(BINS - 1, int(finding.confidence * BINS))] += 1
        self.detectors[finding.detector] += 1

    def whole(self, entity: EntityType) -> None:
        """Count a field that was replaced as a whole: nothing is surer than its owner's word."""
        self._bins(entity)[BINS - 1] += 1
        self.detectors["field-role"] += 1

    def see_field(self, name: str, *, named: bool) -> None:
        """Count that a record has a field."""
        counter = self.named if named else self.unnamed
        if name in counter or len(counter) < FIELDS_MAX:
            counter[name] += 1

    def counts(self) -> dict[str, int]:
        """Return how many identifiers of each type were found."""
        return {entity: sum(bins) for entity, bins in sorted(self.confidence.items())}

    def add(self, other: Tally) -> None:
        """Add what `other` counted."""
        self.records += other.records
        self.changed_records += other.changed_records
        self.left_out += other.left_out
        self.characters += other.characters
        for entity, bins in other.confidence.items():
            mine = self._bins(EntityType(entity))
            for at, number in enumerate(bins):
                mine[at] += number
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        plain = {name: dict(getattr(self, name)) for name in _COUNTERS}
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {**numbers, "confidence": self.confidence, **plain}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Tally:
        """Return the counts that `to_dict` gave."""
        made = cls(**{name: value[name] for name in _NUMBERS}, confidence=value["confidence"])
        for name in _COUNTERS:
            getattr(made, name).update(value[name])
        return made

    def _bins(self, entity: EntityType) -> list[int]:
        return self.confidence.setdefault(entity.value, [0] * BINS)


_NUMBERS: Final = ("records", "changed_records", "left_out", "characters")
_COUNTERS: Final = ("actions", "detectors", "unnamed", "named", "coarse", "conversions")
