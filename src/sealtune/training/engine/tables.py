"""Embeddings: a table whose rows are looked up, and which serves as output matrix piece by piece.

A table that memory has no room for is read, authenticated and decrypted in pieces, each time that
it is needed: twice in an optimizer step, whatever the number of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from sealtune.core.limits import MIB
from sealtune.training.engine.cross_entropy import Piece, pieces_of
from sealtune.training.engine.layout import bytes_of, stored_dtype
from sealtune.training.engine.store import prefetched
from sealtune.training.sources import WeightSource

_PIECE_BYTES = 16 * MIB
_SLACK_BYTES = 32 * 1024  # what `read_pieces` wants beyond a piece
# Of one table: a buffer, two in the ring, and a piece in the compute type.
STREAMED_TABLE_BYTES = 4 * (_PIECE_BYTES + _SLACK_BYTES)


class Table(Protocol):
    """A matrix (words, width); `gradient` is where its gradient adds up, None if it is frozen."""

    @property
    def gradient(self) -> torch.Tensor | None:
        """As the class says."""
        ...

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the rows `ids`."""
        ...

    def pieces(self) -> Iterable[Piece]:
        """Yield consecutive rows with the index of the first; each is good until the next."""
        ...


@dataclass(frozen=True, slots=True)
class ResidentTable:
    """A table in memory."""

    value: torch.Tensor
    gradient: torch.Tensor | None = None

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        """As the protocol says."""
        return self.value.index_select(0, ids)

    def pieces(self) -> Iterable[Piece]:
        """As the protocol says."""
        return pieces_of(self.value)


class StreamedTable:
    """A table on disk: the stored tensor `name`, frozen."""

    gradient: torch.Tensor | None = None

    def __init__(self, name: str, *, weights: WeightSource, dtype: torch.dtype) -> None:
        info = weights.tensors[name]
        self._name, self._weights, self._dtype = name, weights, dtype
        self._stored = stored_dtype(name, info)
        self._words, self._width = info.shape
        self._row_bytes = self._width * self._stored.itemsize
        size = max(_PIECE_BYTES, self._row_bytes) + _SLACK_BYTES
        self._buffer = torch.empty(size, dtype=torch.uint8)
        # A piece is copied out of the one buffer that is decrypted into, so that the next can come.
        self._ring = [torch.empty(size, dtype=torch.uint8) for _ in range(2)]

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        """As the protocol says: one pass over the table for all of `ids`."""
        found = torch.empty(len(ids), self._width, dtype=self._dtype)
        for first, piece in self.pieces():
            inside = ((ids >= first) & (ids < first + piece.shape[0])).nonzero().squeeze(1)
            found[inside] = piece[ids[inside] - first]
        return found

    def pieces(self) -> Iterator[Piece]:
        """As the protocol says."""
        source = self._weights.read_pieces(
            self._name, bytes_of(self._buffer), multiple=self._row_bytes
        )
        first = 0

        def load(_: int, buffer: torch.Tensor) -> Piece | None:
            nonlocal first
            piece = next(source, None)
            if piece is None:
                return None
            begin, first = first, first + len(piece) // self._row_bytes
            bytes_of(buffer)[: len(piece)] = piece
            rows = buffer[: len(piece)].view(self._stored).view(-1, self._width)
            return begin, rows.to(self._dtype)

        # A piece is a row at least, and then one turn finds none: only that shows the table whole.
        loaded = prefetched(range(self._words + 1), load, self._ring)
        try:
            for piece in loaded:
                if piece is None:
                    break
                yield piece
        finally:
            loaded.close()
