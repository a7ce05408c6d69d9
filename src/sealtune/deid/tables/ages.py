"""Ages in columns of quasi-identifiers: those over 89 are one class, whatever is asked for."""

from __future__ import annotations

import re
from typing import Any, Final

AGE_TOP: Final = 90  # 45 CFR 164.514(b)(2)(i)(C)
OLDEST: Final = f"{AGE_TOP}+"
_NAME: Final = re.compile(r"(?<![a-z])(?:age|alter|edad|leeftijd)(?![a-z])")
_NUMBER: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3})?(?!\d)")
_AGE_MAX: Final = 200  # a larger number is none: a year, a code


def top_coded(value: Any) -> Any:
    """Return `90+` for a number of 90 or more, or a text with one (`91 years`), else `value`."""
    if isinstance(value, str):
        found = map(float, _NUMBER.findall(value))
        return OLDEST if any(AGE_TOP <= number < _AGE_MAX for number in found) else value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return OLDEST if number and value >= AGE_TOP else value


def is_age(name: str) -> bool:
    """Return whether a column of this name holds ages."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return bool(_NAME.search(spaced))
