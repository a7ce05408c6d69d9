"""Divides rows into classes that satisfy the terms, losing little information (greedy Mondrian).

Multidimensional partitioning after LeFevre, DeWitt and Ramakrishnan (2006). A part is cut where the
fall of the normalized certainty penalty per bit of the cut is largest, so that a column of two
values is not passed over for a wide one. What fits nowhere keeps its parent's name (small
categories become `*`), or is left out where that costs less and the budget allows. Deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sealtune.deid.tables.closeness import Rows, Terms
from sealtune.deid.tables.hierarchies import Column, Cut, Ranks


@dataclass(frozen=True, slots=True)
class _Division:
    """One way to divide a part: the parts of it, what is left out, and how good that is."""

    parts: list[Rows]
    left_out: Rows
    score: float


@dataclass(slots=True)
class Partitioner:
    """Divides; `budget` is how many rows may still be left out."""

    columns: Sequence[Column]
    terms: Terms
    budget: int

    def classes(self, rows: Rows) -> Iterator[Rows]:
        """Yield the classes that `rows`, which satisfy the terms, are divided into."""
        stack = [rows]
        while stack:
            part = stack.pop()
            best = self._best(part)
            if best is None:
                yield part
                continue
            self.budget -= len(best.left_out)
            stack.extend(reversed(best.parts))

    def _best(self, part: Rows) -> _Division | None:
        best: _Division | None = None
        for column in self.columns:
            found = self._divided(column, part)
            if found is not None and (best is None or found.score > best.score):
                best = found
        return best

    def _divided(self, column: Column, part: Rows) -> _Division | None:
        ranks = column.ranks[part]
        if ranks.min() == ranks.max():
            return None
        for cut in column.cuts(ranks):
            parts, left_out = self._allowed(column, part, cut)
            if len(parts) > 1 or (parts and len(left_out)):
                return _Division(parts, left_out, self._score(column, part, parts))
        return None

    def _allowed(self, column: Column, part: Rows, cut: Cut) -> tuple[list[Rows], Rows]:
        groups, collects = cut
        none = part[:0]
        parts = [part[group] for group in groups]
        if not collects:
            return (parts, none) if all(map(self.terms.hold, parts)) else ([], none)
        holding = [self.terms.hold(rows) for rows in parts]
        good = [rows for rows, holds in zip(parts, holding, strict=True) if holds]
        rest = [rows for rows, holds in zip(parts, holding, strict=True) if not holds]
        if not rest:
            return good, none
        return self._with_rest(column, good, np.concatenate(rest))

    def _with_rest(self, column: Column, good: list[Rows], rest: Rows) -> tuple[list[Rows], Rows]:
        """Place what is too small alone: together, left out, or joined by the smallest others."""
        none = rest[:0]
        if not good or self.terms.hold(rest):
            return ([*good, rest] if good else []), none
        good = sorted(good, key=len, reverse=True)
        smallest = good[-1]
        joined = column.ranks[np.concatenate([smallest, rest])]
        price = column.loss(int(joined.min()), int(joined.max())) * len(smallest)
        if len(rest) <= self.budget and len(rest) * len(self.columns) < price:
            return good, rest
        while good and not self.terms.hold(rest):
            rest = np.concatenate([rest, good.pop()])
        return ([*good, rest] if good else []), none

    def _score(self, column: Column, part: Rows, parts: list[Rows]) -> float:
        whole = _loss(column, column.ranks[part])
        sizes = np.array([len(rows) for rows in parts])
        losses = np.array([_loss(column, column.ranks[rows]) for rows in parts])
        fall = len(part) * whole - float((sizes * losses).sum())
        shares = sizes / sizes.sum()
        bits = max(float(-(shares * np.log2(shares)).sum()), 1e-3)
        return fall / bits


def _loss(column: Column, ranks: Ranks) -> float:
    return column.loss(int(ranks.min()), int(ranks.max()))
