"""Makes one list of findings of many: sorted, without overlaps, no part left uncovered."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from sealtune.deid.entities import EntityType, Finding

_SURE: Final = 0.95  # what a check digit or the owner's own list says
_LIKELY: Final = 0.6  # below it even an address of the web may be the middle of something else
_SPECIFIC: Final = frozenset({EntityType.EMAIL, EntityType.URL, EntityType.SECRET})
_MERGED: Final = frozenset({EntityType.PERSON})
_MERGE_GAPS: Final = frozenset({" ", "  ", "-", ". ", ", "})


def resolve_overlaps(text: str, findings: Iterable[Finding]) -> list[Finding]:
    """Return `findings` without overlaps: specific and sure ones win, then longer ones.

    What a loser covers outside a winner stays found, under the loser's type.
    """
    waiting = [(_rank(finding), index, finding) for index, finding in enumerate(findings)]
    heapq.heapify(waiting)
    taken: list[Finding] = []
    covered = _Covered(len(text))
    count = len(waiting)
    while waiting:
        _, _, finding = heapq.heappop(waiting)
        if covered.is_free(finding.start, finding.end):
            covered.add(finding.start, finding.end)
            taken.append(finding)
            continue
        for start, end in list(covered.rest(finding.start, finding.end)):
            start, end = _trimmed(text, start, end)
            if start < end:
                part = finding.at(start, end)
                count += 1
                heapq.heappush(waiting, (_rank(part), count, part))
    taken.sort(key=lambda finding: finding.start)
    return _merged(text, taken)


def _rank(finding: Finding) -> tuple[int, int, float]:
    specific = (finding.entity in _SPECIFIC and finding.confidence >= _LIKELY) or (
        finding.confidence >= _SURE and finding.entity not in _MERGED
    )
    return 0 if specific else 1, finding.start - finding.end, -finding.confidence


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return start, end


def _merged(text: str, findings: list[Finding]) -> list[Finding]:
    """Return the findings with names that follow one another made one."""
    merged: list[Finding] = []
    for finding in findings:
        last = merged[-1] if merged else None
        if (
            last is not None
            and finding.entity in _MERGED
            and last.entity is finding.entity
            and _joins(text, last, finding)
        ):
            confidence = max(last.confidence, finding.confidence)
            merged[-1] = replace(last, end=finding.end, confidence=confidence)
        else:
            merged.append(finding)
    return merged


def _joins(text: str, last: Finding, finding: Finding) -> bool:
    gap = text[last.end : finding.start]
    if gap not in _MERGE_GAPS:
        return False
    if gap == ", ":  # `SMITH, JOHN`, not a list of two people
        return text[last.start : last.end].isupper() and text[finding.start : finding.end].isupper()
    if gap == ". ":
        return last.end - last.start == 1 or text[last.end - 2] in " ."
    return True


class _Covered:
    """Which places of a text are taken: a byte for each."""

    def __init__(self, length: int) -> None:
        self._taken = bytearray(length)

    def add(self, start: int, end: int) -> None:
        self._taken[start:end] = b"\x01" * (end - start)

    def is_free(self, start: int, end: int) -> bool:
        return self._taken.find(1, start, end) < 0

    def rest(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of `start` to `end` that nobody took."""
        while start < end:
            first = self._taken.find(1, start, end)
            if first != start:
                yield start, first if first >= 0 else end
            start = self._taken.find(0, first, end) if first >= 0 else end
            if start < 0:
                return
