"""What becomes of dates and ages: each subject's dates move together, or only the year stays.

The number of days depends on the key and the subject, so that intervals within one subject hold
exactly and those between subjects say nothing. An event in the text whose date is known (an
earthquake, a holiday by its date) gives away how far its own subject's dates were moved.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from sealtune.deid.config import Configuration
from sealtune.deid.transforms.choice import Chooser
from sealtune.deid.transforms.dates import WrittenDate, read_date
from sealtune.deid.transforms.replaced import Seen

SHIFT_DAYS_MAX: Final = 183  # half a year both ways: the season is hidden, too
_AGE_TOP: Final = 90  # 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one class
EARLIER: Final = " or earlier"
_NUMBER: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,2})?(?![\d.])")
_DIGITS: Final = re.compile(r"\d{1,4}")
_TENS: Final = re.compile(
    r"\b(?:ninety|nonagenarian|centenarian|(?:one |a )?hundred(?: and)?)"
    r"(?:[- ](?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve))?",
    re.IGNORECASE,
)


class Years:
    """Reads dates and takes all but the year from them."""

    def __init__(self, configuration: Configuration) -> None:
        self._locale = configuration.locale
        self._keep_years = configuration.keep_years
        self._year = configuration.reference_year or datetime.now(UTC).year

    def read(self, text: str) -> WrittenDate | None:
        """Return the date that the whole of `text` spells, or None."""
        return read_date(text, locale=self._locale, latest_year=self._year)

    def of(self, read: WrittenDate) -> str | None:
        """Return the year of a date, or None if there is none to keep.

        A year more than 89 before the configuration's reference year is "1936 or earlier": if it is
        one of birth, it says that somebody is 90 or older, and what it is nobody can be sure of.
        """
        if not read.has_year or not self._keep_years:
            return None
        last = self._year - _AGE_TOP
        return f"{last}{EARLIER}" if read.day.year <= last else str(read.day.year)


class Moving:
    """Moves dates, or takes all but the year from them."""

    def __init__(self, configuration: Configuration, chooser: Chooser) -> None:
        self._chooser = chooser
        self._years = Years(configuration)

    def shift(self, seen: Seen) -> str | None:
        """Return the date moved by its subject's days, or None if it is none that is understood."""
        read = self._years.read(seen.value)
        try:
            return read.moved(self.days(seen.scope)) if read else None
        except OverflowError:
            return None

    def shift_back(self, moved: str, scope: str) -> str | None:
        """Return the date of which `shift` makes `moved` for `scope`, or None if there is none."""
        days = self.days(scope)
        read = self._years.read(moved)
        try:
            made = read.moved(-days) if read else ""
        except OverflowError:
            return None
        again = self._years.read(made)
        return made if again and again.moved(days) == moved else None

    def days(self, scope: str) -> int:
        """Return by how many days the dates of `scope` move: never 0."""
        number = self._chooser.number(
            "date-shift", scope.strip().casefold(), 2 * SHIFT_DAYS_MAX - 1
        )
        days = number - SHIFT_DAYS_MAX
        return days if days < 0 else days + 1

    def year(self, seen: Seen) -> str | None:
        """Return the year of the date, or None if there is none to keep (`Years.of`)."""
        read = self._years.read(seen.value)
        return self._years.of(read) if read else None

    def age(self, seen: Seen) -> str | None:
        """Return the age with 90 and more in one class; a younger one stays; None if there is none.

        Only ages over 89 are identifiers; one that a detector found beside them is no more.
        """
        value = seen.value
        found = _NUMBER.search(value)
        if found and float(found.group()) < _AGE_TOP:
            return value
        pattern = _NUMBER if found else _TENS
        made, count = pattern.subn(f"{_AGE_TOP}+", value, count=1)
        # A second number ("91 years and 3 months") would tell more than the class.
        return made if count and len(_DIGITS.findall(made)) == 1 else None
