"""Makes one list of findings of many: sorted, without overlaps, no part left uncovered."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from typing import Final

from sealtune.deid.entities import EntityType, Finding

_SURE: Final = 0.95  # what a check digit or the owner's own list says
_LIKELY: Final = 0.6  # below it even an address of the web may be the middle of something else
_STREET: Final = 0.85  # a number and a street's word: `12 Oak Street, Boston` ends in no name
_MERGED: Final = frozenset({EntityType.PERSON})
# How sure a finding of each type has to be to win over longer ones.
_SPECIFIC_FROM: Final = (
    dict.fromkeys(EntityType, _SURE)
    | dict.fromkeys((EntityType.EMAIL, EntityType.URL, EntityType.SECRET), _LIKELY)
    | {EntityType.ADDRESS: _STREET, EntityType.PERSON: math.inf}
)
_MERGE_GAPS: Final = frozenset({" ", "  ", "-", ". ", ", "})


def resolve_overlaps(text: str, findings: Iterable[Finding]) -> list[Finding]:
    """Return `findings` without overlaps: specific and sure ones win, then longer ones.

    What a loser covers outside a winner stays found, under the loser's type.
    """
    waiting = _ranked(findings)
    waiting.sort(reverse=True)
    parts: list[_Ranked] = []  # a heap; seldom are there any
    taken: list[Finding] = []
    covered = bytearray(len(text))  # 1 where a finding is taken
    count = len(waiting)
    while waiting or parts:
        first_part = parts and (not waiting or parts[0] < waiting[-1])
        finding = (heapq.heappop(parts) if first_part else waiting.pop())[4]
        start, end = finding[:2]
        if covered.find(1, start, end) < 0:
            covered[start:end] = b"\x01" * (end - start)
            taken.append(finding)
            continue
        if covered.find(0, start, end) < 0:  # most of them
            continue
        for first, last in _free(covered, start, end):
            first, last = _trimmed(text, first, last)
            if first < last:
                count += 1
                heapq.heappush(parts, *_ranked([finding.at(first, last)], count))
    taken.sort()  # by their starts, all of which differ
    return _merged(text, taken)


# How it is ranked: specific ones first, longer ones, surer ones, in their order.
_Ranked = tuple[int, int, float, int, Finding]


def _ranked(findings: Iterable[Finding], first: int = 0) -> list[_Ranked]:
    return [
        (confidence < _SPECIFIC_FROM[entity], start - end, -confidence, index, finding)
        for index, finding in enumerate(findings, first)
        for start, end, entity, confidence, _, _ in (finding,)
    ]


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
            and last.entity is finding.entity
            and finding.entity in _MERGED
            and _joins(text, last, finding)
        ):
            confidence = max(last.confidence, finding.confidence)
            merged[-1] = last._replace(end=finding.end, confidence=confidence)
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


def _free(taken: bytearray, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of `start` to `end` that nobody took."""
    while True:
        start = taken.find(0, start, end)
        if start < 0:
            return
        stop = taken.find(1, start, end)
        if stop < 0:
            yield start, end
            return
        yield start, stop
        start = stop
