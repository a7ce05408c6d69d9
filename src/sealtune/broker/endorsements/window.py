"""From when until when an endorsement is valid, and when to ask for the next one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# A week's notice where there is one, and never more than the last quarter: a document of a day is
# asked for again after 18 hours, not at once.
REFRESH_BEFORE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Window:
    """A time of validity, both ends included."""

    begins: datetime
    ends: datetime

    def holds(self, now: datetime) -> bool:
        """Return whether `now` is inside."""
        return self.begins <= now <= self.ends

    def ends_soon(self, now: datetime) -> bool:
        """Return whether the next document should be asked for at `now`."""
        return now >= self.ends - min(REFRESH_BEFORE, (self.ends - self.begins) / 4)

    def within(self, other: Window) -> Window:
        """Return the time that is in both; it may be empty (`begins` after `ends`)."""
        return Window(max(self.begins, other.begins), min(self.ends, other.ends))


def half_open(this_update: datetime, next_update: datetime) -> Window:
    """Return the time of a list or status, at whose next update it is one too old."""
    return Window(this_update, next_update - timedelta(seconds=1))
