"""The measured risk as data: what reports and contracts read. No content of any record is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

PLACES_MAX: Final = 20  # records to look at first; more would be a list of the leaks


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityFigures:
    """Findings of one type in the input: how many, how sure, how many were changed.

    `confidence` counts findings by tenths of confidence, from below 0.1 up to 1.
    """

    found: int
    changed: int
    confidence_mean: float | None
    confidence: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFigures:
    """What the second detector found in the output.

    `sure` counts in the figure per 10,000 records, `possible` does not: half of it may be words.
    `places` are numbers of records, from 1, per type.
    """

    sure: Mapping[str, int]
    possible: Mapping[str, int]
    places: Mapping[str, tuple[int, ...]]
    words_examined: float  # the share of distinct words whose counts were kept


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakFigures:
    """Identifiers that were replaced in one place and stayed in another.

    `same_record` and `near` (one letter or two neighbours differ) are within the record that they
    were found in, by type; `elsewhere` is in any other, by what was compared. Of that, single
    `words` are shown and not counted: one may be another person's name, or a word.
    """

    same_record: Mapping[str, int]
    near: Mapping[str, int]
    elsewhere: Mapping[str, int]
    places: tuple[int, ...]
    compared: float  # the share of identifiers that were compared with the whole dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class QuasiFigures:
    """Combinations of quasi-identifiers: in the input and in the output.

    `linkage` is how often an attacker who knows a person's combination, and draws one of the
    records that share it, draws the right one; `chance` is the same without knowing anything.
    """

    fields: tuple[str, ...]
    unique_before: float
    unique_after: float
    k: int
    k_exact: bool
    sizes: Mapping[str, int]
    linkage_before: float
    linkage: float
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkageFigures:
    """How often records of a sample are matched with their originals by words in common.

    `whole_text` by an attacker who has the original text, `identifiers` by one who has only the
    identifiers that were replaced in it.
    """

    sample: int
    chance: float
    whole_text: float
    identifiers: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallClasses:
    """Values of a sensitive field that few records have."""

    field: str
    below: int
    values: int
    small: int
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualRisk:
    """All that was measured on the output."""

    records: int
    entities: Mapping[str, EntityFigures] = field(default_factory=dict)
    second: SecondFigures
    leaks: LeakFigures
    unseen_leaks: int  # leaks in the same record that the second detector did not see as well
    quasi: QuasiFigures | None
    linkage: LinkageFigures | None
    small_classes: Sequence[SmallClasses] = ()

    @property
    def residual_findings(self) -> int:
        """How many identifiers are held to be left: what contracts limit per 10,000 records."""
        elsewhere = sum(n for kind, n in self.leaks.elsewhere.items() if kind != "words")
        return sum(self.second.sure.values()) + self.unseen_leaks + elsewhere

    @property
    def residual_per_10000(self) -> float:
        """That number per 10,000 records."""
        return round(10_000 * self.residual_findings / self.records, 2) if self.records else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        figures: dict[str, Any] = _json(asdict(self))
        figures["residual_findings"] = self.residual_findings
        figures["residual_per_10000"] = self.residual_per_10000
        return figures


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value
