"""What a process of the pool and its parent say to each other, beside shards and finished parts.

Not in `process` itself: run as a program, its classes are of another module than its parent's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Setup:
    """What a process is told first."""

    configuration: dict[str, Any]
    key: bytes = field(repr=False)
    folder: Path


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that a caller may handle, as it crosses to the parent."""

    kind: str
    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Defect:
    """Where an error of ours happened: no text of it, which could quote a record."""

    kind: str
    frames: str
