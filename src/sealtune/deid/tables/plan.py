"""Plans the generalization of a table in one pass over its rows, and applies it in another.

Only columns that the configuration gives the role quasi change. `plan_table` keeps compact arrays,
not rows, so that a table larger than memory can be planned; what is reached is measured on the
labels that the output carries, not on the partition behind them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sealtune.deid.config import Configuration, Role, TableTerms
from sealtune.deid.tables.closeness import Rows, Sensitive, Terms
from sealtune.deid.tables.coarse import coarse_fields
from sealtune.deid.tables.columns import ColumnReader
from sealtune.deid.tables.hierarchies import Column
from sealtune.deid.tables.mondrian import Partitioner
from sealtune.errors import Code, ConfigError

ROWS_MAX: Final = 2**31 - 1  # what the arrays can number
LEFT_OUT: Final = -1
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100)  # lower ends of the classes of class sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class TableResult:
    """What was reached: None where no column makes it mean something.

    `k` counts subjects where a field says whose record it is; `loss` is the mean normalized
    certainty penalty over quasi-identifiers and input records, 1 for a record that is left out;
    `sizes` counts records by the size of their class (the key is the lower end).
    """

    records: int
    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]
    k: int | None
    l: int | None  # noqa: E741 - its name in the literature
    t: float | None
    suppressed: int
    classes: int
    loss: float
    sizes: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self) | {"quasi": list(self.quasi), "sensitive": list(self.sensitive)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """Which class each row is in, and what stands in its columns there."""

    result: TableResult
    _class_of: NDArray[np.int32] = field(repr=False)
    _labels: Mapping[str, Sequence[object]] = field(repr=False)  # by column and class

    def apply(self, index: int, record: dict[str, Any]) -> dict[str, Any] | None:
        """Return `record`, row `index` from 0, generalized; None where it is left out.

        Raises:
            ValueError: there was no such row when the table was planned.
        """
        if not 0 <= index < self.result.records:
            raise ValueError(f"row {index}: the plan was made for {self.result.records} rows")
        number = int(self._class_of[index])
        if number == LEFT_OUT:
            return None
        return record | {name: labels[number] for name, labels in self._labels.items()}


def plan_table(rows: Iterable[Mapping[str, object]], configuration: Configuration) -> TablePlan:
    """Return how to generalize `rows` so that they satisfy the table terms of `configuration`.

    Raises:
        ConfigError: k, l or t cannot be reached, or is asked for without columns that give it a
            meaning; a column has too many distinct values.
    """
    asked = configuration.table
    table = _read(rows, configuration)
    _require_columns(asked, table)
    everything = np.arange(table.rows, dtype=np.intp)
    _require_reachable(asked, table, everything)
    if table.rows == 0 or not table.columns or not asked.asks:
        return _as_it_is(table, asked)
    for share in (asked.max_suppressed, 0.0):
        # Leaving rows out moves the whole that t compares with: then none may be left out.
        plan = _partitioned(table, asked, int(share * table.rows))
        if plan.result.t is None or asked.t >= 1 or plan.result.t <= asked.t:
            break
    return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    rows: int
    columns: Sequence[Column]
    sensitive: Sequence[Sensitive]
    subjects: NDArray[np.int32] | None

    def terms(self, asked: TableTerms, rows: Rows) -> Terms:
        return Terms(asked, subjects=self.subjects, sensitive=self.sensitive, rows=rows)


def _read(rows: Iterable[Mapping[str, object]], configuration: Configuration) -> _Table:
    named = configuration.fields.items()
    coarse = coarse_fields(configuration)
    quasi = {
        name: ColumnReader(name, coarse=coarse.get(name))
        for name, rule in named
        if rule.role is Role.QUASI
    }
    sensitive = {name: ColumnReader(name) for name, rule in named if rule.role is Role.SENSITIVE}
    whose = _Subjects(configuration.subject_field)
    count = 0
    for count, row in enumerate(rows, start=1):
        if count > ROWS_MAX:
            raise ConfigError(Code.LIMIT_EXCEEDED, f"a table has at most {ROWS_MAX} rows")
        for reader in (*quasi.values(), *sensitive.values()):
            reader.add(row.get(reader.name))
        whose.add(row)
    return _Table(
        rows=count,
        columns=[
            reader.column(configuration.fields[name].hierarchy) for name, reader in quasi.items()
        ],
        sensitive=[_sensitive(reader) for reader in sensitive.values()],
        subjects=whose.numbers(),
    )


class _Subjects:
    """Numbers the subjects of the rows; a row that names none is of somebody of its own."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._reader = ColumnReader(name) if name is not None else None

    def add(self, row: Mapping[str, object]) -> None:
        if self._reader is not None:
            self._reader.add(row.get(self._name or ""))

    def numbers(self) -> NDArray[np.int32] | None:
        if self._reader is None:
            return None
        ranks, _ = self._reader.ordered()
        missing = np.flatnonzero(ranks == 0)
        ranks[missing] = -1 - np.arange(len(missing), dtype=np.int32)
        return ranks


def _sensitive(reader: ColumnReader) -> Sensitive:
    ranks, ordered = reader.ordered()
    return Sensitive(name=reader.name, ranks=ranks, ordered=ordered)


def _require_columns(asked: TableTerms, table: _Table) -> None:
    if asked.asks and not table.columns:
        message = "table: k, l or t is asked for, but no field has the role quasi"
        raise ConfigError(Code.CONFIG_INVALID, message)
    if (asked.l > 1 or asked.t < 1) and not table.sensitive:
        message = "table: l or t is asked for, but no field has the role sensitive"
        raise ConfigError(Code.CONFIG_INVALID, message)


def _require_reachable(asked: TableTerms, table: _Table, rows: Rows) -> None:
    if not asked.asks:
        return
    terms = table.terms(asked, rows)
    subjects = terms.size(rows)
    if subjects < asked.k:
        what = "subjects" if table.subjects is not None else "records"
        message = f"table: k = {asked.k} cannot be reached: {subjects} {what} in all"
        raise ConfigError(Code.TABLE_UNREACHABLE, message)
    for column in table.sensitive if asked.l > 1 else ():
        if (values := column.distinct(rows)) < asked.l:
            message = f"table: l = {asked.l} cannot be reached: {column.name!r} has {values} values"
            raise ConfigError(Code.TABLE_UNREACHABLE, message)


def _as_it_is(table: _Table, asked: TableTerms) -> TablePlan:
    """Return the plan that changes nothing, with what the table has of itself."""
    class_of = np.zeros(table.rows, dtype=np.int32)
    if table.columns and table.rows:
        class_of = _same(np.stack([column.ranks for column in table.columns]))
    result = _measured(table, asked, class_of, loss=0.0)
    return TablePlan(result=result, _class_of=class_of, _labels={})


def _partitioned(table: _Table, asked: TableTerms, budget: int) -> TablePlan:
    everything = np.arange(table.rows, dtype=np.intp)
    partitioner = Partitioner(table.columns, table.terms(asked, everything), budget)
    class_of = np.full(table.rows, LEFT_OUT, dtype=np.int32)
    bounds: list[list[tuple[int, int]]] = [[] for _ in table.columns]
    loss = 0.0
    for number, part in enumerate(partitioner.classes(everything)):
        class_of[part] = number
        for place, column in enumerate(table.columns):
            ranks = column.ranks[part]
            low, high = int(ranks.min()), int(ranks.max())
            bounds[place].append((low, high))
            loss += column.loss(low, high) * len(part)
    suppressed = int(np.count_nonzero(class_of == LEFT_OUT))
    loss = (loss + suppressed * len(table.columns)) / (table.rows * len(table.columns))
    labels = {
        column.name: _labels(column, bounds[place]) for place, column in enumerate(table.columns)
    }
    result = _measured(table, asked, _merged(class_of, labels), loss=loss)
    return TablePlan(result=result, _class_of=class_of, _labels=labels)


def _labels(column: Column, bounds: Sequence[tuple[int, int]]) -> list[object]:
    """Return the label of each class; one type for the column, whose writers need that."""
    labels = [column.label(low, high) for low, high in bounds]
    if all(low == high for low, high in bounds):
        return labels
    return [None if label is None else str(label) for label in labels]


def _merged(
    class_of: NDArray[np.int32], labels: Mapping[str, Sequence[object]]
) -> NDArray[np.int32]:
    """Number classes anew by their labels: classes that read the same are one to a reader."""
    numbers: dict[tuple[object, ...], int] = {}
    rows = zip(*labels.values(), strict=True)
    anew = np.array([numbers.setdefault(row, len(numbers)) for row in rows], dtype=np.int32)
    return np.where(class_of == LEFT_OUT, LEFT_OUT, anew[class_of]).astype(np.int32)


def _same(ranks: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the number of each column of `ranks`, equal where all of it is."""
    _, inverse = np.unique(ranks, axis=1, return_inverse=True)
    return inverse.reshape(-1).astype(np.int32)


def _measured(
    table: _Table, asked: TableTerms, class_of: NDArray[np.int32], *, loss: float
) -> TableResult:
    order = np.argsort(class_of, kind="stable").astype(np.intp)
    suppressed = int(np.count_nonzero(class_of == LEFT_OUT))
    kept = order[suppressed:]
    edges = np.flatnonzero(np.diff(class_of[kept])) + 1
    classes = np.split(kept, edges) if len(kept) else []
    terms = table.terms(asked, kept)
    sizes = [terms.size(rows) for rows in classes]
    quasi, sensitive = bool(table.columns and classes), bool(table.sensitive and classes)
    return TableResult(
        records=table.rows,
        quasi=tuple(column.name for column in table.columns),
        sensitive=tuple(column.name for column in table.sensitive),
        k=min(sizes) if quasi else None,
        l=min(map(terms.diversity, classes)) if quasi and sensitive else None,
        t=max(map(terms.distance, classes)) if quasi and sensitive else None,
        suppressed=suppressed,
        classes=len(classes) if quasi else 0,
        loss=loss,
        sizes=_histogram(sizes, classes) if quasi else {},
    )


def _histogram(sizes: Sequence[int], classes: Sequence[Rows]) -> dict[str, int]:
    counts = dict.fromkeys((str(size) for size in _SIZES), 0)
    for size, rows in zip(sizes, classes, strict=True):
        low = max(end for end in _SIZES if end <= size)
        counts[str(low)] += len(rows)
    return counts
