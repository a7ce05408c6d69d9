"""How many records share a combination of quasi-identifiers, or a sensitive value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sealtune.deid.risk.residual import QuasiFigures, SmallClasses
from sealtune.deid.risk.sketch import KeyedHash, Sketch
from sealtune.deid.tables.columns import plain_value

COMBINATIONS_MAX: Final = 1 << 17  # about 25 MB
SENSITIVE_VALUES_MAX: Final = 1 << 13  # per field; a field with more is not one of classes
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100)  # lower ends of the classes of class sizes


class QuasiMeter:
    """Counts combinations of `fields` in the input and in the output."""

    def __init__(self, hashed: KeyedHash, fields: Sequence[str]) -> None:
        self._hashed = hashed
        self._fields = tuple(fields)
        self._before = Sketch(width=1, limit=COMBINATIONS_MAX)
        self._after = Sketch(width=1, limit=COMBINATIONS_MAX)

    def add(
        self, before: Mapping[str, object], after: Mapping[str, object], *, record: int
    ) -> None:
        """Count one record."""
        if self._fields:
            self._before.add(self._key(before), 0, record=record)
            self._after.add(self._key(after), 0, record=record)

    def merge(self, other: QuasiMeter, *, offset: int) -> None:
        """Add what `other` counted."""
        self._before.merge(other._before, offset=offset)
        self._after.merge(other._after, offset=offset)

    def result(self, records: int) -> QuasiFigures | None:
        """Return the figures; None without fields or records."""
        before, after = _sizes(self._before), _sizes(self._after)
        if not self._fields or not before or not after:
            return None
        histogram = dict.fromkeys(map(str, _SIZES), 0)
        for size in after:
            low = max(end for end in _SIZES if end <= size)
            histogram[str(low)] += round(size / self._after.share)
        return QuasiFigures(
            fields=self._fields,
            unique_before=before.count(1) / sum(before),
            unique_after=after.count(1) / sum(after),
            k=min(after),
            k_exact=self._after.level == 0,
            sizes=histogram,
            linkage_before=len(before) / sum(before),
            linkage=len(after) / sum(after),
            chance=1 / records,
        )

    def _key(self, record: Mapping[str, object]) -> int:
        values = [plain_value(record.get(name)) for name in self._fields]
        return self._hashed.of("\x1f".join(map(_spelled, values)))


class ClassMeter:
    """Counts the values of sensitive fields."""

    def __init__(self, hashed: KeyedHash, fields: Sequence[str], *, below: int) -> None:
        self._hashed = hashed
        self._below = below
        self._counts = {name: Sketch(width=1, limit=SENSITIVE_VALUES_MAX) for name in fields}

    def add(self, after: Mapping[str, object], *, record: int) -> None:
        """Count one record of the output."""
        for name, counts in self._counts.items():
            value = plain_value(after.get(name))
            if value is not None:
                counts.add(self._hashed.of(_spelled(value)), 0, record=record)

    def merge(self, other: ClassMeter, *, offset: int) -> None:
        """Add what `other` counted."""
        for name, counts in self._counts.items():
            counts.merge(other._counts[name], offset=offset)

    def result(self) -> tuple[SmallClasses, ...]:
        """Return how many values of each field are in fewer than `below` records."""
        return tuple(self._small(name, counts) for name, counts in self._counts.items())

    def _small(self, name: str, counts: Sketch) -> SmallClasses:
        sizes = _sizes(counts)
        small = [size for size in sizes if size < self._below]
        scale = 1 / counts.share
        return SmallClasses(
            field=name,
            below=self._below,
            values=round(len(sizes) * scale),
            small=round(len(small) * scale),
            records=round(sum(small) * scale),
        )


def _sizes(counts: Sketch) -> list[int]:
    return [found[0] for _, found, _ in counts.items()]


def _spelled(value: object) -> str:
    """Return `value` so that a number is equal to itself however it is stored."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
