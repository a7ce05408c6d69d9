"""The columns of quasi-identifiers: in which order their values stand and how ranges are named.

Each distinct value has a rank, and each rank range a name and a loss of information, so that
partitioning needs ranks only. Rank 0 stands for a missing value. The loss is the normalized
certainty penalty: 0 for a value, 1 for `*`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

MISSING: Final = 0
ANY: Final = "*"
Ranks = NDArray[np.int32]
# Groups of positions in a part of the rows, and whether the last one holds what fits nowhere else.
Cut = tuple[list[NDArray[np.intp]], bool]


class Column(Protocol):
    """One column of quasi-identifiers."""

    name: str
    ranks: Ranks

    def label(self, low: int, high: int) -> object:
        """Return what stands for the ranks `low` to `high`; one rank alone gives its value."""

    def loss(self, low: int, high: int) -> float:
        """Return how much of a value that label hides, from 0 to 1."""

    def cuts(self, ranks: Ranks) -> list[Cut]:
        """Return ways to divide rows with these `ranks`, the best first."""


@dataclass(slots=True, kw_only=True)
class NumberColumn:
    """Numbers, generalized to bands that end at values which occur."""

    name: str
    ranks: Ranks
    values: Sequence[float]  # by rank; the first is no number
    top: str = ""  # what the largest value is called, where it stands for all above it too
    bottom: str = ""  # what stands behind the smallest, where it stands for all below it too

    def label(self, low: int, high: int) -> object:
        """Return the number, or `low-high`, or `*` where numbers and missing values meet."""
        if low == high:
            return None if low == MISSING else self._written(low)
        if low == MISSING:
            return ANY
        first, last = _number(self.values[low]), self._written(high)
        if self.bottom and low == 1:
            return f"{last}{self.bottom}"
        return f"{first}-{last}" if first >= 0 else f"{first}..{last}"

    def _written(self, rank: int) -> int | float | str:
        if self.top and rank == len(self.values) - 1:
            return self.top
        number = _number(self.values[rank])
        return f"{number}{self.bottom}" if self.bottom and rank == 1 else number

    def loss(self, low: int, high: int) -> float:
        """Return the width of the band as a share of the column's."""
        if low == high:
            return 0.0
        if low == MISSING:
            return 1.0
        width = self.values[-1] - self.values[1]
        return float((self.values[high] - self.values[low]) / width)

    def cuts(self, ranks: Ranks) -> list[Cut]:
        """Return the two cuts beside the median; missing values stay on the lower side."""
        middle = np.partition(ranks, len(ranks) // 2)[len(ranks) // 2]
        found: list[Cut] = []
        for lower in (ranks < middle, ranks <= middle):
            if 0 < np.count_nonzero(lower) < len(ranks):
                found.append(([np.flatnonzero(lower), np.flatnonzero(~lower)], False))
        found.sort(key=lambda cut: abs(len(cut[0][0]) - len(cut[0][1])))
        return found


@dataclass(slots=True, kw_only=True)
class TreeColumn:
    """Values under a tree: dates, ZIP codes, categories.

    `nodes[level, rank]` numbers the ancestor of a value at that level; level 0 is the root and the
    last one the value. Ranks are such that what is under a node is a range.
    """

    name: str
    ranks: Ranks
    nodes: NDArray[np.int32]
    labels: Sequence[Sequence[object]]  # by level and node
    sizes: Sequence[NDArray[np.intp]]  # how many values are under a node, by level and node

    def _level(self, low: int, high: int) -> int:
        same = self.nodes[:, low] == self.nodes[:, high]
        return int(np.flatnonzero(same)[-1])

    def label(self, low: int, high: int) -> object:
        """Return the name of the lowest node that covers both."""
        level = self._level(low, high)
        return self.labels[level][self.nodes[level, low]]

    def loss(self, low: int, high: int) -> float:
        """Return how many of the other values are under that node."""
        if low == high:
            return 0.0
        level = self._level(low, high)
        under = int(self.sizes[level][self.nodes[level, low]])
        others = int(self.nodes.shape[1]) - 1
        return (under - 1) / max(1, others)

    def cuts(self, ranks: Ranks) -> list[Cut]:
        """Return the cut into the children of the lowest node that covers all."""
        level = self._level(int(ranks.min()), int(ranks.max())) + 1
        if level == len(self.nodes):
            return []
        children = self.nodes[level][ranks]
        order = np.argsort(children, kind="stable")
        edges = np.flatnonzero(np.diff(children[order])) + 1
        return [(list(np.split(order, edges)), True)]


def number_column(
    name: str,
    codes: Ranks,
    values: Sequence[float | None],
    *,
    top: str = "",
    bottom: str = "",
) -> NumberColumn:
    """Return the column of numbers in which code c stands for `values[c]`; None is missing."""
    ordered = sorted({value for value in values if value is not None})
    rank = {value: place for place, value in enumerate(ordered, start=1)}
    ranks = _translated(codes, [MISSING if value is None else rank[value] for value in values])
    numbers = [float("nan"), *ordered]
    return NumberColumn(name=name, ranks=ranks, values=numbers, top=top, bottom=bottom)


def tree_column(name: str, codes: Ranks, paths: Sequence[tuple[Any, ...] | None]) -> TreeColumn:
    """Return the column in which code c stands for the last of `paths[c]`, below the others.

    All paths are equally long, from the node below the root down to the value; None is missing.
    """
    distinct = sorted({path for path in paths if path is not None}, key=_path_order)
    depth = len(distinct[0]) if distinct else 1
    rank = {path: place for place, path in enumerate(distinct, start=1)}
    nodes = np.zeros((depth + 1, len(distinct) + 1), dtype=np.int32)
    labels: list[list[object]] = [[ANY]]
    for level in range(1, depth + 1):
        numbers: dict[tuple[Any, ...], int] = {}
        for place, path in enumerate(distinct, start=1):
            nodes[level, place] = numbers.setdefault(path[:level], len(numbers) + 1)
        labels.append([None, *(prefix[-1] for prefix in numbers)])
    ranks = _translated(codes, [MISSING if path is None else rank[path] for path in paths])
    sizes = [np.bincount(level) for level in nodes]
    return TreeColumn(name=name, ranks=ranks, nodes=nodes, labels=labels, sizes=sizes)


def date_path(day: date) -> tuple[str, ...]:
    """Return decade, year, quarter, month and day."""
    year, month = day.year, f"{day.year:04d}-{day.month:02d}"
    quarter = f"{year:04d}-Q{(day.month + 2) // 3}"
    return (f"{year // 10 * 10}s", f"{year:04d}", quarter, month, day.isoformat())


def zip_path(code: str) -> tuple[str, ...]:
    """Return the first three digits, the first four, and the five of a ZIP code."""
    return (f"{code[:3]}**", f"{code[:4]}*", code[:5])


def category_path(value: Any, parents: Mapping[str, str], *, depth: int) -> tuple[Any, ...]:
    """Return what is above `value` under `parents`, and it, repeated up to `depth`."""
    path = [value]
    seen = {str(value)}
    while (parent := parents.get(str(path[0]))) is not None and len(path) < depth:
        if parent in seen:
            break
        seen.add(parent)
        path.insert(0, parent)
    return (*path, *[value] * (depth - len(path)))


def _path_order(path: tuple[Any, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((type(part).__name__, str(part)) for part in path)


def _translated(codes: Ranks, ranks: Sequence[int]) -> Ranks:
    return np.asarray(ranks, dtype=np.int32)[codes]


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value
