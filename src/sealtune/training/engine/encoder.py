"""Encoders: words from a table, the rest of the embedding by the stock module, then the blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from sealtune.training.engine.blocks import Context
from sealtune.training.engine.outside import Entrance
from sealtune.training.engine.pooling import Wanted, borders_of
from sealtune.training.engine.rotary import Rotary
from sealtune.training.engine.run import Outcome
from sealtune.training.engine.segments import segments_of
from sealtune.training.engine.tables import Table
from sealtune.training.packing import PackedBatch


class EncoderEnds:
    """Embedding and head of an encoder.

    `embeddings` is the stock module that takes words and adds what it knows of their places;
    `projection`, if any, follows it. Both are among `entrance`'s modules. The rows `wanted` are
    among the first `queries` of each record, 0 for any.
    """

    def __init__(
        self,
        *,
        words: Table,
        embeddings: Any,
        projection: Any,
        entrance: Entrance,
        rotary: Rotary,
        wanted: Wanted,
        queries: int,
        head_of: Callable[..., list[Outcome]],
        width: int,
    ) -> None:
        self.width = width
        self._words, self._embeddings, self._projection = words, embeddings, projection
        self._entrance, self._rotary = entrance, rotary
        self._wanted, self._queries, self._head_of = wanted, queries, head_of
        self._leaves: list[torch.Tensor] = []

    @property
    def trained(self) -> bool:
        """As the protocol says."""
        return self._entrance.trained

    def length(self, batch: PackedBatch) -> int:
        """As the protocol says."""
        return len(batch.ids)

    def context(self, batch: PackedBatch) -> Context:
        """As the protocol says."""
        segments = segments_of(batch)
        rotations = self._rotary.tables(batch.positions)
        return Context(
            segments=segments,
            rotations=rotations,
            wanted=self._wanted(batch),
            queries=self._queries,
        )

    def embed(self, batches: Sequence[PackedBatch]) -> list[torch.Tensor]:
        """As the protocol says."""
        ids = torch.cat([batch.ids for batch in batches])
        rows = self._words.rows(ids).float().split([len(batch.ids) for batch in batches])
        trained = self._words.gradient is not None
        self._leaves = [part.detach().requires_grad_(trained) for part in rows]
        pairs = zip(batches, self._leaves, strict=True)
        return self._entrance.run([partial(self._embed, batch, leaf) for batch, leaf in pairs])

    def embed_backward(self, batches: Sequence[PackedBatch], gradients: list[torch.Tensor]) -> None:
        """As the protocol says."""
        self._entrance.backward(gradients)
        into, leaves, self._leaves = self._words.gradient, self._leaves, []
        if into is not None:
            for batch, leaf in zip(batches, leaves, strict=True):
                into.index_add_(0, batch.ids, leaf.grad)

    def head(
        self, hidden: list[torch.Tensor], batches: Sequence[PackedBatch], *, scale: float | None
    ) -> list[Outcome]:
        """As the protocol says."""
        return self._head_of(hidden, batches, scale=scale)

    def _embed(self, batch: PackedBatch, words: torch.Tensor) -> torch.Tensor:
        # What is rotated in attention has no embedding of positions.
        places = {} if self._rotary.stock is not None else {"position_ids": self._places(batch)}
        out = self._embeddings(input_ids=None, inputs_embeds=words.unsqueeze(0), **places)
        if self._projection is not None:
            out = self._projection(out)
        result: torch.Tensor = out.squeeze(0)
        return result

    def _places(self, batch: PackedBatch) -> torch.Tensor:
        padding = getattr(self._embeddings, "padding_idx", None)
        if padding is None:
            return batch.positions.unsqueeze(0)
        return counted_positions(batch, padding=padding).unsqueeze(0)


def counted_positions(batch: PackedBatch, *, padding: int) -> torch.Tensor:
    """Return positions as RoBERTa counts them: from `padding` + 1 on, over ids other than it."""
    real = (batch.ids != padding).long()
    running = real.cumsum(0)
    borders = borders_of(batch)
    starts = (running - real).index_select(0, borders[:-1])
    before = starts.repeat_interleave(borders.diff(), output_size=len(real))
    return (running - before) * real + padding
