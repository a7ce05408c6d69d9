"""The figures of a report for its page: counts of known types, shares, sizes, and nothing else.

The signer is free in what stands beside the figures that decide, so whatever is not of the expected
form counts as not measured, and a type that is none of ours is summed up as `other`: no text that a
signer chose gets into a table or a picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sealtune.deid.entities import EntityType
from sealtune.deid.report import DeidReport

TENTHS: Final = 10
_TYPES: Final = {entity.value: entity.value.replace("-", " ") for entity in EntityType}
# Lower ends of the classes of group sizes (`risk.combinations`).
_SIZES: Final = {
    "1": "1",
    "2": "2-4",
    "5": "5-9",
    "10": "10-19",
    "20": "20-49",
    "50": "50-99",
    "100": "100 or more",
}
_LINKAGE: Final = (
    ("linkage", "chance", "Text: drawn by chance"),
    ("linkage", "identifiers", "Text: knows the identifiers replaced"),
    ("linkage", "whole_text", "Text: has the original text"),
    ("quasi", "chance", "Fields: drawn by chance"),
    ("quasi", "linkage_before", "Fields: knows them, before"),
    ("quasi", "linkage", "Fields: knows them, after"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigures:
    """All that is drawn and listed; each empty where it was not measured.

    `residual` has per type what is sure, what is only possible, and what was replaced and found
    again in the same record; `linkage` has shares in 0 to 1.
    """

    found: tuple[tuple[str, int], ...]
    confidence: tuple[int, ...]
    residual: tuple[tuple[str, int, int, int], ...]
    looked_again: bool  # whether the output was read for `residual` at all
    group_sizes: tuple[tuple[str, int], ...]
    linkage: tuple[tuple[str, float], ...]


def page_figures(report: DeidReport) -> PageFigures:
    """Return the figures of `report`."""
    risk = report.to_dict()["predicate"]["risk"]
    return PageFigures(
        found=tuple(_by_size(_typed(report.predicate.found))),
        confidence=_confidence(report.predicate.confidence),
        residual=_residual(risk),
        looked_again=bool(_section(risk, "second")),
        group_sizes=_group_sizes(_section(risk, "quasi")),
        linkage=_linkage(risk),
    )


def _by_size(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _typed(counts: Mapping[str, Any]) -> dict[str, int]:
    typed: dict[str, int] = {}
    for name, count in counts.items():
        if _is_count(count) and count:
            shown = _TYPES.get(name, "other")
            typed[shown] = typed.get(shown, 0) + count
    return typed


def _confidence(histograms: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    whole = [bins for bins in histograms.values() if len(bins) == TENTHS]
    sums = tuple(sum(bins[tenth] for bins in whole) for tenth in range(TENTHS))
    return sums if any(sums) else ()


def _residual(risk: Mapping[str, Any]) -> tuple[tuple[str, int, int, int], ...]:
    second, leaks = _section(risk, "second"), _section(risk, "leaks")
    sure, possible = _typed(_section(second, "sure")), _typed(_section(second, "possible"))
    again = _typed(_section(leaks, "same_record"))
    names = sorted(
        sure.keys() | possible.keys() | again.keys(),
        key=lambda name: (-sure.get(name, 0) - again.get(name, 0), name),
    )
    return tuple(
        (name, sure.get(name, 0), possible.get(name, 0), again.get(name, 0)) for name in names
    )


def _group_sizes(quasi: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    sizes = _section(quasi, "sizes")
    found = [(shown, sizes.get(low, 0)) for low, shown in _SIZES.items()]
    if not all(_is_count(count) for _, count in found) or not any(count for _, count in found):
        return ()
    return tuple(found)


def _linkage(risk: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    found = [(shown, _section(risk, part).get(name)) for part, name, shown in _LINKAGE]
    return tuple(
        (shown, float(share))
        for shown, share in found
        if isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1
    )


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
