"""Where the records of a packed micro-batch lie, and what blocks need of it: positions and masks.

Records lie end to end without padding; attention never crosses a border. What is computed from the
borders alone is computed once per micro-batch and used by every block.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from sealtune.training.engine.cohorts import Cohort, cohorts_of
from sealtune.training.packing import PackedBatch

TILE = (
    256  # queries at a time: larger computes more of what causal masks discard, smaller calls more
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which keys a query sees: not later ones if `causal`; at most `window` away if that is set.

    A causal window counts the query itself, as Mistral's does; one to both sides does not, as
    ModernBERT's: |q - k| <= window.
    """

    causal: bool
    window: int = 0


@dataclass(frozen=True, slots=True)
class Tile:
    """Queries `first` to `last` of a segment and the keys `start` to `end` that they may see."""

    first: int
    last: int
    start: int
    end: int


@dataclass(slots=True, kw_only=True)
class Segments:
    """The borders of a micro-batch's records: `bounds` are their offsets, with the end.

    `borders` are the same on the accelerator, None where there is none.
    """

    bounds: tuple[int, ...]
    positions: torch.Tensor
    borders: torch.Tensor | None = None
    _masks: dict[tuple[object, ...], torch.Tensor | None] = field(default_factory=dict)
    _cohorts: list[Cohort] | None = None

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each record."""
        return [b - a for a, b in zip(self.bounds, self.bounds[1:], strict=False)]

    @property
    def cohorts(self) -> list[Cohort]:
        """The records in groups whose attention is computed together."""
        if self._cohorts is None:
            # The places of filling would have to be copied to an accelerator.
            self._cohorts = cohorts_of(self.bounds, filled=self.borders is None)
        return self._cohorts

    def tiles(self, length: int, reach: Reach, *, queries: int = 0) -> list[Tile]:
        """Return the tiles that cover a segment of `length` tokens, the one with most keys first.

        With `queries` they cover its first so many.
        """
        tiles = []
        rows = min(queries or length, length)
        for first in range(0, rows, TILE):
            last = min(first + TILE, rows)
            start, end = 0, length
            if reach.causal:
                end = last
            elif reach.window:
                end = min(length, last + reach.window)
            if reach.window:
                start = max(0, first - reach.window + (1 if reach.causal else 0))
            tiles.append(Tile(first, last, start, end))
        return sorted(tiles, key=lambda tile: tile.start - tile.end)

    def mask(
        self, tile: Tile, reach: Reach, *, groups: int, like: torch.Tensor
    ) -> torch.Tensor | None:
        """Return what is added to the scores of `tile` (0 or minus infinity), or None for nothing.

        Rows are (query, group): each query stands for `groups` heads. Where it has fewer columns
        than there are keys, they are the last ones': the others are seen by all.
        """
        if not reach.causal and not reach.window:
            return None
        if reach.causal and not 0 < reach.window < tile.end - tile.start:
            # Keys before the tile's first query hide from none: without them one mask serves all
            # tiles, and as many as there are would be as much as activations.
            rows = tile.last - tile.first
            tile, reach = Tile(0, rows, 0, rows), Reach(causal=True)
        rows, offset = tile.last - tile.first, tile.first - tile.start
        key = (rows, offset, tile.end - tile.start, reach, groups, like.dtype)
        if key not in self._masks:
            self._masks[key] = _mask(tile, reach, groups=groups, like=like)
        return self._masks[key]

    def hidden(
        self, cohort: Cohort, tile: Tile, reach: Reach, *, heads: int, like: torch.Tensor
    ) -> torch.Tensor | None:
        """Return what is added to the scores of `tile` so that no query sees filling, or None."""
        # Filling stands behind its segment: who looks only back never sees it.
        if cohort.filling is None or reach.causal:
            return None
        key = (cohort.start, heads, like.dtype)
        if key not in self._masks:
            self._masks[key] = cohort.hidden(like, heads=heads)
        whole = self._masks[key]
        return None if whole is None else whole[:, :, tile.start : tile.end]


def segments_of(batch: PackedBatch) -> Segments:
    """Return the segments of `batch`."""
    borders = None if batch.indices is None else batch.indices.borders
    return Segments(bounds=batch.bounds, positions=batch.positions, borders=borders)


def _hides(tile: Tile, reach: Reach) -> bool:
    """Return whether some query of `tile` may not see some key of it."""
    # How far behind its query a key can be here, and how far in front of it.
    behind, ahead = tile.last - 1 - tile.start, tile.end - 1 - tile.first
    if reach.causal:
        return ahead > 0 or bool(reach.window and behind >= reach.window)
    return max(behind, ahead) > reach.window


def _mask(tile: Tile, reach: Reach, *, groups: int, like: torch.Tensor) -> torch.Tensor | None:
    if not _hides(tile, reach):
        return None
    queries = torch.arange(tile.first, tile.last, device=like.device).unsqueeze(1)
    keys = torch.arange(tile.start, tile.end, device=like.device)
    distance = queries - keys
    if reach.causal:
        hidden = distance < 0
        if reach.window:
            hidden |= distance >= reach.window
    else:
        hidden = distance.abs() > reach.window
    values = torch.zeros(hidden.shape, dtype=like.dtype, device=like.device)
    values.masked_fill_(hidden, float("-inf"))
    return values.repeat_interleave(groups, dim=0)
