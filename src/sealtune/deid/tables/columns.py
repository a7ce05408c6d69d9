"""Reads the columns of a table that matter into compact arrays, and says what kind each one is.

Rows pass once and are not kept: four bytes per row and column, and each distinct value once.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import numpy as np

from sealtune.core.canonical import canonical_json
from sealtune.deid.entities import EntityType
from sealtune.deid.tables.ages import AGE_TOP, OLDEST
from sealtune.deid.tables.coarse import Coarse
from sealtune.deid.tables.hierarchies import (
    Column,
    Ranks,
    category_path,
    date_path,
    number_column,
    tree_column,
    zip_path,
)
from sealtune.deid.tables.kinds import as_day, as_zip, is_zip_name
from sealtune.deid.transforms.moving import EARLIER
from sealtune.errors import Code, ConfigError

DISTINCT_MAX: Final = 2_000_000  # about 300 MB of values; more distinct ones are identifiers
HIERARCHY_DEPTH_MAX: Final = 8
NUMBER_CHARACTERS_MAX: Final = 40
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?")
Value = str | int | float | bool | None


class ColumnReader:
    """Collects one column, value by value, each made `coarse` first where that is given."""

    def __init__(self, name: str, *, coarse: Coarse | None = None) -> None:
        self.name = name
        self._coarse = coarse
        self._codes = array("i")
        self._known: dict[tuple[str, Value], int] = {}
        self._values: list[Value] = []

    def add(self, value: object) -> None:
        """Take the value of the next row.

        Raises:
            ConfigError: the column has more distinct values than a quasi-identifier can have.
        """
        plain = plain_value(self._coarse.of(value) if self._coarse else value)
        key = (type(plain).__name__, plain)
        code = self._known.get(key)
        if code is None:
            code = self._known[key] = len(self._values)
            self._values.append(plain)
            if code >= DISTINCT_MAX:
                message = f"column {self.name!r}: over {DISTINCT_MAX} distinct values"
                remedy = "an identifier, not a quasi-identifier: give it the role direct"
                raise ConfigError(Code.LIMIT_EXCEEDED, message, remedy=remedy)
        self._codes.append(code)

    @property
    def codes(self) -> Ranks:
        """Which distinct value each row has."""
        return np.array(self._codes, dtype=np.int32)

    def ordered(self) -> tuple[Ranks, bool]:
        """Return ranks from 0, and whether they are of numbers; a missing value is rank 0."""
        numbers = as_numbers(self._values)
        if numbers is not None:
            return number_column(self.name, self.codes, numbers).ranks, True
        paths = [None if value is None else (value,) for value in self._values]
        return tree_column(self.name, self.codes, paths).ranks, False

    def column(self, hierarchy: Mapping[str, Sequence[str]]) -> Column:
        """Return the column as partitioning needs it; `hierarchy` is parent to children."""
        if hierarchy:
            return self._categories(hierarchy)
        if is_zip_name(self.name):
            codes = [None if value is None else as_zip(value) for value in self._values]
            if _agree(self._values, codes):
                paths = [None if code is None else zip_path(code) for code in codes]
                return tree_column(self.name, self.codes, paths)
        days = as_dates(self._values)
        if days is not None:
            paths = [None if day is None else date_path(day) for day in days]
            return tree_column(self.name, self.codes, paths)
        numbers = as_numbers([self._number(value) for value in self._values])
        if numbers is None:
            return self._categories({})
        top = OLDEST if self._is_of(EntityType.AGE) and OLDEST in self._values else ""
        bottom = EARLIER if any(map(self._is_earlier, self._values)) else ""
        return number_column(self.name, self.codes, numbers, top=top, bottom=bottom)

    def _is_of(self, entity: EntityType) -> bool:
        return self._coarse is not None and self._coarse.entity is entity

    def _number(self, value: Value) -> Value:
        """Return the number of a class with an open end: `90+`, `1936 or earlier`."""
        if value == OLDEST and self._is_of(EntityType.AGE):
            return AGE_TOP
        return str(value).removesuffix(EARLIER) if self._is_earlier(value) else value

    def _is_earlier(self, value: Value) -> bool:
        dated = self._is_of(EntityType.DATE) and isinstance(value, str)
        return dated and str(value).endswith(EARLIER)

    def _categories(self, hierarchy: Mapping[str, Sequence[str]]) -> Column:
        parents = {child: parent for parent, under in hierarchy.items() for child in under}
        depth = HIERARCHY_DEPTH_MAX if hierarchy else 1
        paths = [
            None if value is None else category_path(value, parents, depth=depth)
            for value in self._values
        ]
        return tree_column(self.name, self.codes, paths)


def plain_value(value: object) -> Value:
    """Return `value` as something to compare; missing ones are None, nested ones their JSON."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        return canonical_json(value).decode()
    return str(value)


def as_numbers(values: Sequence[Value]) -> list[float | None] | None:
    """Return `values` as numbers, or None where one that is not missing is none."""
    numbers = [None if value is None else _float(value) for value in values]
    return numbers if _agree(values, numbers) else None


def as_dates(values: Sequence[Value]) -> list[date | None] | None:
    """Return `values` as days, or None where one that is not missing is none."""
    days = [None if value is None else as_day(value) for value in values]
    return days if _agree(values, days) else None


def _agree(values: Sequence[Value], parsed: Sequence[object]) -> bool:
    pairs = zip(values, parsed, strict=True)
    return all(done is not None for value, done in pairs if value is not None) and any(
        done is not None for done in parsed
    )


def _float(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and (
        len(value) > NUMBER_CHARACTERS_MAX or not _NUMBER.fullmatch(value)
    ):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
