"""Days of the week beside a date: moved with it, or they would tell by how much it was moved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.structured.dates import WEEKDAY

_REACH: Final = 16  # characters of the longest name and what stands beside it
_BEFORE: Final = re.compile(rf"(?<![^\W_])(?P<v>{WEEKDAY})\b\.?[,(:]?\s{{0,2}}\Z")
_AFTER: Final = re.compile(
    rf"(?: ?\(|,? (?:(?:is|was) )?an? )(?P<v>{WEEKDAY})\b|,? (?P<last>{WEEKDAY})(?=\s?[.,;)\n]|\Z)"
)
_CONFIDENCE: Final = 0.9


def iter_weekdays(text: str, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the names of days right before and behind the dates in `findings`."""
    for finding in findings:
        if finding.entity is not EntityType.DATE:
            continue
        start, end = finding.start, finding.end
        for match in (
            _BEFORE.search(text, max(0, start - _REACH), start),
            _AFTER.match(text, end, end + _REACH),
        ):
            if match:
                start, end = match.span(match.lastgroup or 0)
                yield Finding(start, end, EntityType.DATE, _CONFIDENCE, "rules", "weekday")
