"""A clock that stands still until it is told to move."""

from __future__ import annotations

from datetime import datetime, timedelta


class VirtualClock:
    """A `core.clock.Clock` under the test's hand."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the virtual present."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the virtual seconds since the start."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._elapsed += seconds
