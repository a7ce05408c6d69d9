"""Postal codes cut down to areas in which many people live.

ZIP codes keep three digits where more than 20,000 people share them, 45 CFR 164.514(b)(2)(i)(B).
Codes of other countries keep what names a region at least as large.
"""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.transforms.replaced import Seen

# With 20,000 people or fewer by the census of 2000: HHS, "Guidance Regarding Methods for
# De-identification of Protected Health Information" (2012), the list of 17. Then those that public
# lists by the census of 2010 add: 205 and 369, and areas of offices and firms alone, where it
# counted hardly anybody. Areas that have grown since stay on the list: it costs little.
_SMALL_2000: Final = "036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893"
_SMALL_2010: Final = "202 204 205 369 753 772"
RESTRICTED_ZIP3: Final = frozenset(f"{_SMALL_2000} {_SMALL_2010}".split())
US_LOCALES: Final = frozenset({"en_US", "es_US"})
_ZIP: Final = re.compile(r"(\d{5})(?:[- ]?\d{4})?")
_BRITISH: Final = re.compile(r"([A-Z]{1,2})\d[A-Z\d]?\s{0,2}\d[A-Z]{2}", re.IGNORECASE)
_CANADIAN: Final = re.compile(r"([A-Z])\d[A-Z][ -]?\d[A-Z]\d", re.IGNORECASE)
_DUTCH: Final = re.compile(r"(\d{2})\d{2}\s?[A-Z]{2}", re.IGNORECASE)
_PREFIXED: Final = re.compile(r"(?:[A-Z]{1,2}[- ])?(\d{4,7}|\d{2,5}[- ]\d{2,4})", re.IGNORECASE)
_KEPT_DIGITS: Final = {4: 1, 5: 2, 6: 2, 7: 2}  # of which a country has 9 or 90 at most


def region(seen: Seen, *, locale: str) -> str | None:
    """Return the area of a postal code, stars for the rest, or None if it has no known form."""
    value = seen.value.strip()
    zip_code = _ZIP.fullmatch(value)
    if zip_code and (locale in US_LOCALES or "-" in value or "zip" in seen.kind):
        first = zip_code[1][:3]
        return ("000" if first in RESTRICTED_ZIP3 else first) + "**"
    for pattern in (_BRITISH, _CANADIAN, _DUTCH):
        found = pattern.fullmatch(value)
        if found:
            return f"{found[1].upper()}**"
    numeric = _PREFIXED.fullmatch(value)
    if numeric is None:
        return None
    digits = [letter for letter in numeric[1] if letter.isdecimal()]
    kept = _KEPT_DIGITS.get(len(digits), 1)
    return "".join(digits[:kept]) + "*" * (len(digits) - kept)
