"""The whole way from a text to its findings: fold, detect, resolve, recur, back to the original.

Long texts are looked at in windows, so that time and memory stay proportional to their length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Self

from sealtune.core.limits import KIB
from sealtune.deid.config import Configuration
from sealtune.deid.detector import Detector
from sealtune.deid.entities import Finding
from sealtune.deid.folding import Folded, fold
from sealtune.deid.names import name_detectors
from sealtune.deid.names.lists import plain
from sealtune.deid.names.recurrence import iter_recurrences
from sealtune.deid.names.small_letters import SmallLetters
from sealtune.deid.ner import ner_detectors
from sealtune.deid.overlaps import resolve_overlaps
from sealtune.deid.structured.all import structured_detectors
from sealtune.deid.structured.tails import iter_tails
from sealtune.deid.structured.weekdays import iter_weekdays

WINDOW_CHARACTERS: Final = 64 * KIB
OVERLAP_CHARACTERS: Final = 1 * KIB  # longer than any identifier but a key, which is in one line
_BOUNDARY_SEARCH: Final = 512


class Pipeline:
    """All detectors of a configuration, as one."""

    def __init__(self, detectors: tuple[Detector, ...], configuration: Configuration) -> None:
        """Take detectors in any order."""
        self._detectors = detectors
        self._small = SmallLetters()
        self._minimum = configuration.minimum_confidence
        self._allowed = frozenset(plain(word.strip()) for word in configuration.allow)

    @classmethod
    def of(cls, configuration: Configuration) -> Self:
        """Return the detectors that `configuration` asks for, lists and models read.

        Raises:
            ConfigError: a package is missing, or a pattern, roster or model cannot be used.
            StorageError: a file of the configuration cannot be read.
        """
        rules = (*structured_detectors(), *name_detectors(configuration))
        return cls((*rules, *ner_detectors(configuration)), configuration)

    @property
    def modes(self) -> tuple[str, ...]:
        """What runs, as reports name it."""
        return tuple(dict.fromkeys(detector.name for detector in self._detectors))

    def find(self, text: str) -> list[Finding]:
        """Return what is found in `text`: offsets of `text`, sorted, not overlapping."""
        folded = fold(text)
        shown = self._small.restored(folded.text)
        findings = self._resolved(shown, self._windows(shown))
        again = [
            *iter_recurrences(shown, findings),
            *iter_tails(shown, findings),
            *iter_weekdays(shown, findings),
        ]
        if _adds(again, findings):
            findings = self._resolved(shown, [*findings, *again])
        return _at_origin(findings, folded)

    def _windows(self, text: str) -> list[Finding]:
        findings: list[Finding] = []
        for start, end in iter_windows(text):
            part = text if end - start == len(text) else text[start:end]
            found = [item for detector in self._detectors for item in detector.find(part)]
            found = [f for f in found if f.confidence >= self._minimum and f.end > f.start]
            findings += [f.at(f.start + start, f.end + start) for f in found] if start else found
        return findings

    def _resolved(self, text: str, findings: list[Finding]) -> list[Finding]:
        resolved = resolve_overlaps(text, findings)
        if not self._allowed:
            return resolved
        return [f for f in resolved if plain(text[f.start : f.end].strip()) not in self._allowed]


def iter_windows(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans that cover `text` and overlap, cut at white space where there is some near."""
    start = 0
    while True:
        end = min(start + WINDOW_CHARACTERS, len(text))
        if end < len(text):
            end = _boundary(text, end)
        yield start, end
        if end >= len(text):
            return
        start = max(_boundary(text, end - OVERLAP_CHARACTERS), start + 1)


def _boundary(text: str, at: int) -> int:
    for place in range(at, max(at - _BOUNDARY_SEARCH, 0), -1):
        if text[place - 1].isspace():
            return place
    return at


def _adds(again: list[Finding], findings: list[Finding]) -> bool:
    """Return whether `again`, in any order, may change the sorted `findings`.

    Most that recurs is where it was found first, under a finding that wins over it.
    """
    at = 0
    for item in again:
        while at < len(findings) and findings[at].end <= item.start:
            at += 1
        if at == len(findings):
            return True
        over = findings[at]
        if over.start > item.start or over.end < item.end:
            return True
        if over.end - over.start == item.end - item.start and over.confidence < item.confidence:
            return True
    return False


def _at_origin(findings: list[Finding], folded: Folded) -> list[Finding]:
    if folded.is_plain:
        return findings
    placed: list[Finding] = []
    done = 0
    for finding in findings:
        start, end = folded.origin(finding.start, finding.end)
        start = max(start, done)  # a character that was folded to several may be shared
        if end > start:
            placed.append(finding.at(start, end))
            done = end
    return placed
