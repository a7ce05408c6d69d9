"""What a detector is: a name and a function from text to findings.

A detector gets folded text (`folding`): Unicode look-alikes, zero-width characters, markup and
escapes already taken back, so that it is written for plain text. It never does I/O when it looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sealtune.deid.entities import Finding


class Detector(Protocol):
    """One way to find identifiers."""

    @property
    def name(self) -> str:
        """How reports name it (`rules`, `names`, `spacy`, `roster:staff`)."""

    def find(self, text: str) -> Iterable[Finding]:
        """Return what it finds in `text`, in any order, overlaps allowed; offsets are `text`'s."""
