"""Second detector, structured part: what the shape, neighbours and check digits of a token say.

No table of patterns: text is cut at white space, tokens of digits that follow one another are read
as one run, and a run is judged by the lengths of its groups and by sums over its digits. So a
mistake in a pattern of the first detector is not repeated here. What is `sure` counts in the
report's figure; the rest is shown as possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sealtune.deid.entities import EntityType

_CHUNK = re.compile(r"\S{1,400}")
_RELEVANT = re.compile(r"[\d@]|://|www\.", re.IGNORECASE)
_EDGES: Final = ".,;:!?'\"()[]{}<>|*_`"
_JOINS: Final = frozenset("0123456789-./()+")
_RUN_DIGITS_MAX: Final = 24
_MONTHS_LISTED: Final = """
january february march april may june july august september october november december
jan feb mar apr jun jul aug sep sept oct nov dec
"""
_MONTHS: Final = frozenset(_MONTHS_LISTED.split())
_LETTERS: Final = {chr(65 + place): str(10 + place) for place in range(26)}
_VIN_VALUES: Final = dict(
    zip(
        "ABCDEFGHJKLMNPRSTUVWXYZ0123456789",
        map(int, "123456781234579234567890123456789"),
        strict=True,
    )
)
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


@dataclass(frozen=True, slots=True)
class Residual:
    """Something that looks like an identifier at `text[start:end]`."""

    entity: EntityType
    start: int
    end: int
    sure: bool


@dataclass(frozen=True, slots=True)
class Token:
    """What stands between white space, without punctuation at its edges, and its neighbours."""

    start: int
    end: int
    text: str
    before: str
    following: str

    @property
    def numeric(self) -> bool:
        """Whether it is digits, and marks that join digits."""
        return _JOINS.issuperset(self.text) and any(map(str.isdecimal, self.text))


def tokens(text: str) -> list[Token]:
    """Return the tokens of `text` that could be part of an identifier: with digits, or an address.

    Neighbours of words alone are not told apart, which makes reading prose cheap.
    """
    chunks = [(match.start(), match[0]) for match in _CHUNK.finditer(text)]
    last = len(chunks) - 1
    found = []
    for place, (start, chunk) in enumerate(chunks):
        if _RELEVANT.search(chunk) is None:
            continue
        core = chunk.strip(_EDGES)
        start += len(chunk) - len(chunk.lstrip(_EDGES))
        before = chunks[place - 1][1].strip(_EDGES) if place else ""
        following = chunks[place + 1][1].strip(_EDGES) if place < last else ""
        found.append(Token(start, start + len(core), core, before, following))
    return found


def sniff(text: str, found: Sequence[Token]) -> Iterator[Residual]:
    """Yield what looks like a structured identifier among the tokens `found` in `text`."""
    for token in found:
        kind = _addressed(token.text)
        if kind is None and any(map(str.isdecimal, token.text)):
            kind = _aged(token.text, token.following)
            kind = kind or _month_day(token.text, token.before, token.following)
            if kind is None and not token.numeric:
                kind = _mixed(token.text)
        if kind is not None:
            yield Residual(kind[0], token.start, token.end, kind[1])
    for run in _runs(text, found):
        yield from _judged(run)


def codes(text: str, found: Sequence[Token]) -> Iterator[tuple[str, str, int, int]]:
    """Yield what could be a number or a code: the token, its digits, start and end.

    Of a run of tokens of digits, each token and the run (`+1`, `555`, `0100`) is one.
    """
    for token in found:
        digits = "".join(filter(str.isdecimal, token.text))
        if digits or "@" in token.text:
            yield token.text, digits, token.start, token.end
    for run in _runs(text, found):
        if len(run) > 1:
            digits = "".join(filter(str.isdecimal, "".join(token.text for token in run)))
            yield "", digits, run[0].start, run[-1].end


_Kind = tuple[EntityType, bool]


def _addressed(text: str) -> _Kind | None:
    """Return what an address on a network is."""
    name, at, domain = text.partition("@")
    if at and name and "." in domain.strip("."):
        return EntityType.EMAIL, True
    if "://" in text or text[:4].lower() == "www.":
        return EntityType.URL, True
    parts = text.split(".")
    if len(parts) == 4 and all(part.isdecimal() and len(part) < 4 for part in parts):
        return (EntityType.IP_ADDRESS, True) if max(map(int, parts)) < 256 else None
    parts = text.split(":")
    if len(parts) >= 6 and all(len(part) <= 4 and _hexadecimal(part) for part in parts):
        device = len(parts) == 6 and all(len(part) == 2 for part in parts)
        return (EntityType.DEVICE if device else EntityType.IP_ADDRESS), True
    return None


def _aged(text: str, following: str) -> _Kind | None:
    head, _, tail = text.partition("-")
    unit = (tail or following).lower().replace("/", "")
    old = unit.startswith(("year", "yr", "yo", "jahr", "ans", "año"))
    if head.isdecimal() and len(head) <= 3 and 90 <= int(head) <= 120 and old:
        return EntityType.AGE, True
    return None


def _month_day(text: str, before: str, following: str) -> _Kind | None:
    digits = text[:-2] if text[-2:].lower() in {"st", "nd", "rd", "th"} else text
    if not digits.isdecimal() or not 1 <= len(digits) <= 2 or not 1 <= int(digits) <= 31:
        return None
    for word in (before, following):
        if word[:1].isupper() and word.lower() in _MONTHS:
            return EntityType.DATE, True
    return None


def _mixed(text: str) -> _Kind | None:
    """Return what a token of letters and digits is."""
    plain = "".join(filter(str.isalnum, text)).upper()
    digits = sum(map(str.isdecimal, plain))
    letters = len(plain) - digits
    if letters == 0:
        return None
    if len(plain) == 17 and _is_vin(plain):
        return EntityType.VEHICLE, True
    if 15 <= len(plain) <= 34 and _is_iban(plain):
        return EntityType.IBAN, True
    if len(plain) >= 20 and digits >= 3 and letters >= 8 and "/" not in text:
        return EntityType.SECRET, True
    if plain[0].isalpha() and plain[1:3].isdecimal() and text[3:4] == "." and len(plain) <= 8:
        return None  # a code of ICD-10
    head = text.lstrip("0123456789.,")
    if head.isalpha() or head.startswith(("mg", "ml", "mm", "x", "%", "/")):
        return None  # a measure with its unit
    return (EntityType.OTHER_ID, digits >= 6) if digits >= 5 else None


def _runs(text: str, found: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield tokens of digits that follow one another, a space apart."""
    run: list[Token] = []
    for token in found:
        near = run and token.start - run[-1].end <= 2
        joined = near and text[run[-1].end : token.start] in {" ", ") ", " ("}
        if token.numeric and joined and _length(run) < _RUN_DIGITS_MAX:
            run.append(token)
            continue
        if run:
            yield run
        run = [token] if token.numeric else []
    if run:
        yield run


def _length(run: list[Token]) -> int:
    return sum(map(str.isdecimal, "".join(token.text for token in run)))


def _judged(run: list[Token]) -> Iterator[Residual]:
    """Yield what is in `run`, the longest first: a number may stand beside others."""
    first = 0
    while first < len(run):
        for last in range(len(run), first, -1):
            kind = _run(run[first:last])
            if kind is not None:
                yield Residual(kind[0], run[first].start, run[last - 1].end, kind[1])
                first = last
                break
        else:
            first += 1


def _run(run: list[Token]) -> _Kind | None:
    """Return what a run of digits is."""
    written = " ".join(token.text for token in run)
    parts = re.split(r"\D+", written)
    groups = [part for part in parts if part]
    if len(run) == 1:
        if (found := _dated(written, groups)) is not None:
            return found
        if len(groups) == 2 and "." in written:
            return None  # a decimal number
    return _numbered(written, groups)


def _dated(written: str, groups: list[str]) -> _Kind | None:
    marks = {mark for mark in written if not mark.isdecimal()}
    if len(groups) != 3 or len(marks) != 1 or not marks <= set("/-."):
        return None
    lengths = [len(group) for group in groups]
    year_first = lengths[0] == 4 and max(lengths[1:]) <= 2
    if not year_first and (max(lengths[:2]) > 2 or lengths[2] not in {2, 4}):
        return None
    first, second = (int(group) for group in (groups[1:] if year_first else groups[:2]))
    low, high = sorted((first, second))
    if not (1 <= low <= 12 and 1 <= high <= 31):
        return None
    return EntityType.DATE, 4 in lengths


def _numbered(written: str, groups: list[str]) -> _Kind | None:
    digits = "".join(groups)
    lengths = tuple(len(group) for group in groups)
    even = len(groups) == 1 or set(lengths[:-1]) <= {4}
    if 13 <= len(digits) <= 19 and even and _luhn(digits):
        return EntityType.PAYMENT_CARD, True
    if lengths == (3, 2, 4) and groups[0] not in {"000", "666"}:
        return EntityType.SSN, True
    if (lengths in {(3, 3, 4), (1, 3, 3, 4)} and _is_dialled(written, groups)) or (
        written[0] == "+" and 8 <= len(digits) <= 15
    ):
        return EntityType.PHONE, True
    if len(groups) == 1:
        return (EntityType.OTHER_ID, len(digits) >= 8) if len(digits) >= 7 else None
    if digits[0] == "0" and 9 <= len(digits) <= 12 and min(lengths) >= 2:
        return EntityType.PHONE, False
    return (EntityType.PHONE, False) if lengths == (3, 4) and "-" in written else None


def _is_dialled(written: str, groups: list[str]) -> bool:
    """Return whether groups that only spaces part are an area and an exchange, not measurements."""
    marked = any(mark in written for mark in "-.()+")
    return marked or min(groups[-3][0], groups[-2][0]) >= "2"


def _hexadecimal(part: str) -> bool:
    return all(mark in "0123456789abcdefABCDEF" for mark in part)


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and len(set(digits)) > 1


def _is_iban(plain: str) -> bool:
    if not (plain[:2].isalpha() and plain[2:4].isdecimal() and plain.isascii()):
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(_LETTERS.get(mark, mark) for mark in turned)) % 97 == 1


def _is_vin(plain: str) -> bool:
    if not set(plain) <= set(_VIN_VALUES):
        return False
    values = (_VIN_VALUES[mark] for mark in plain)
    rest = sum(value * weight for value, weight in zip(values, _VIN_WEIGHTS, strict=True)) % 11
    return plain[8] == ("X" if rest == 10 else str(rest))
