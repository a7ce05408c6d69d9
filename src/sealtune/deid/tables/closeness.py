"""What is asked of each equivalence class: k subjects, l sensitive values, t from the whole.

t is the earth mover's distance of t-closeness (Li, Li and Venkatasubramanian 2007): ordered for
numbers, equal distance for categories. Missing sensitive values count as one value for t and as
none for l, so that a class is never diverse by what nobody wrote down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealtune.deid.config import TableTerms
from sealtune.deid.tables.hierarchies import Ranks

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitive:
    """A sensitive column: ranks by row (0 is missing), and whether they are ordered."""

    name: str
    ranks: Ranks
    ordered: bool

    def distinct(self, rows: Rows) -> int:
        """Return how many different values `rows` hold."""
        values = np.unique(self.ranks[rows])
        return int(np.count_nonzero(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A sensitive column with its distribution in the table that is compared with."""

    column: Sensitive
    places: NDArray[np.int32]  # by rank: its place among the values that occur
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, column: Sensitive, rows: Rows) -> Whole:
        """Return the distribution of `column` in `rows`."""
        counts = np.bincount(column.ranks[rows], minlength=int(column.ranks.max(initial=0)) + 1)
        occurs = counts > 0
        places = (np.cumsum(occurs) - 1).astype(np.int32)
        return cls(column=column, places=places, shares=counts[occurs] / max(1, len(rows)))

    def distance(self, rows: Rows) -> float:
        """Return the earth mover's distance from `rows` to the whole."""
        values = len(self.shares)
        if values < 2:
            return 0.0
        counts = np.bincount(self.places[self.column.ranks[rows]], minlength=values)
        excess = counts / len(rows) - self.shares
        if self.column.ordered:
            return float(np.abs(np.cumsum(excess)).sum() / (values - 1))
        return float(np.abs(excess).sum() / 2)


class Terms:
    """Whether a class of rows may exist."""

    def __init__(
        self,
        terms: TableTerms,
        *,
        subjects: NDArray[np.int32] | None,
        sensitive: Sequence[Sensitive],
        rows: Rows,
    ) -> None:
        self._terms = terms
        self._subjects = subjects
        self._sensitive = sensitive
        self._wholes = [Whole.of(column, rows) for column in sensitive]

    def size(self, rows: Rows) -> int:
        """Return how many subjects `rows` are of; records of one person do not hide each other."""
        if self._subjects is None:
            return len(rows)
        return len(np.unique(self._subjects[rows]))

    def diversity(self, rows: Rows) -> int:
        """Return the least number of values that a sensitive column has in `rows`."""
        return min((column.distinct(rows) for column in self._sensitive), default=0)

    def distance(self, rows: Rows) -> float:
        """Return the largest distance of a sensitive column in `rows` from the whole."""
        return max((whole.distance(rows) for whole in self._wholes), default=0.0)

    def hold(self, rows: Rows) -> bool:
        """Return whether `rows` satisfy all that is asked."""
        asked = self._terms
        if len(rows) < asked.k or self.size(rows) < asked.k:
            return False
        if asked.l > 1 and self.diversity(rows) < asked.l:
            return False
        return asked.t >= 1 or self.distance(rows) <= asked.t
