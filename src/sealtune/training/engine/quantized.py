"""Frozen matrices in 8 bits: half of the memory, each block made wide again when it is opened.

Symmetric, one scale per output row, rounded to nearest: what LLM.int8() (Dettmers et al. 2022)
does to weights, without its outliers. Products are computed in the compute type, so that this saves
memory and no time. How far the loss moves is measured before a run begins, and too far is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence

import torch

from sealtune.training.engine.layout import BlockLayout, fill
from sealtune.training.engine.store import Views
from sealtune.training.sources import WeightSource

_LARGEST = 127
_ROWS = 1_024  # made narrow at a time, so that little is held in 32 bits

Narrow = tuple[torch.Tensor, torch.Tensor]  # int8 (rows, columns), scale (rows, 1)


class QuantizedStore:
    """Every block in memory in 8 bits; one at a time, made wide, in a buffer that all share."""

    def __init__(self, layouts: Sequence[BlockLayout], *, weights: WeightSource) -> None:
        self._layouts, self._weights = layouts, weights
        self._buffer = torch.empty(max(layout.nbytes for layout in layouts), dtype=torch.uint8)
        self._narrow: list[dict[str, Narrow]] = []
        self._kept: list[Views] = []
        for layout in layouts:
            views = layout.views(self._buffer)
            fill(views, layout.parts, weights=weights)
            matrices = {name: part for name, part in views.items() if part.dim() == 2}
            self._narrow.append({name: narrow(part) for name, part in matrices.items()})
            rest = {name: part.clone() for name, part in views.items() if part.dim() != 2}
            self._kept.append(rest)
        self._open: tuple[int, Views] | None = None
        self._exact = False

    def part(self, block: int, name: str) -> torch.Tensor:
        """As the protocol says.

        Raises:
            RuntimeError: the block is not open: its bytes may be another block's by now.
        """
        if self._open is None or self._open[0] != block:
            raise RuntimeError(f"block {block} is not open")
        return self._open[1][name]

    def visit(self, order: Sequence[int]) -> Generator[int, None, None]:
        """As the protocol says."""
        try:
            for block in order:
                if self._open is None or self._open[0] != block:
                    self._open = (block, self._load(block))
                yield block
        finally:
            self._open = None

    @contextlib.contextmanager
    def exact(self) -> Iterator[None]:
        """Inside the block, open blocks as they are stored: the yardstick for what 8 bits lose."""
        self._exact = True
        try:
            yield
        finally:
            self._exact = False

    def _load(self, block: int) -> Views:
        layout = self._layouts[block]
        views = layout.views(self._buffer)
        if self._exact:
            fill(views, layout.parts, weights=self._weights)
            return views
        for name, (values, scale) in self._narrow[block].items():
            views[name].copy_(values).mul_(scale)
        return {**views, **self._kept[block]}


def narrow(matrix: torch.Tensor) -> Narrow:
    """Return `matrix` (rows, columns) in 8 bits and the scale of each row, in the matrix's type."""
    values = torch.empty(matrix.shape, dtype=torch.int8)
    scale = torch.empty((matrix.shape[0], 1), dtype=matrix.dtype)
    for start in range(0, matrix.shape[0], _ROWS):
        part = matrix[start : start + _ROWS].float()
        # A step upwards, so that the largest value is within reach after the scale is rounded.
        step = part.abs().amax(1, keepdim=True) / _LARGEST * (1 + 2**-7)
        rounded = torch.where(step > 0, step, 1.0).to(matrix.dtype)
        scale[start : start + _ROWS] = rounded
        whole = (part / rounded.float()).round_().clamp_(-_LARGEST, _LARGEST)
        values[start : start + _ROWS] = whole.to(torch.int8)
    return values, scale
