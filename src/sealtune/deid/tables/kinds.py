"""Tells ZIP codes and whole days among the values of a column, as files have them."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Final

_ZIP_NAME: Final = re.compile(r"zip|postal|postcode|plz", re.IGNORECASE)
_ZIP: Final = re.compile(r"\d{5}(?:-?\d{4})?")
_ISO_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ].{0,40})?")
_US_DATE: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")


def is_zip_name(name: str) -> bool:
    """Return whether a column of this name holds postal codes."""
    return _ZIP_NAME.search(name) is not None


def as_zip(value: Any) -> str | None:
    """Return the five digits of a ZIP code, or None; numbers get back the zeros they lost."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 99_999:
        return f"{value:05d}"
    return value[:5] if isinstance(value, str) and _ZIP.fullmatch(value) else None


def as_day(value: Any) -> date | None:
    """Return the day that `value` is as a whole, or None."""
    if not isinstance(value, str):
        return None
    try:
        if found := _ISO_DATE.fullmatch(value):
            return date(*(int(part) for part in found.groups()))
        if found := _US_DATE.fullmatch(value):
            month, day, year = (int(part) for part in found.groups())
            return date(year, month, day)
    except ValueError:
        return None
    return None
