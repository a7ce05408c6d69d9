"""Decoders: token embeddings with rotary positions before the blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sealtune.training.engine.blocks import Context
from sealtune.training.engine.pooling import Wanted
from sealtune.training.engine.rotary import Rotary
from sealtune.training.engine.run import Outcome
from sealtune.training.engine.segments import segments_of
from sealtune.training.engine.tables import Table
from sealtune.training.packing import PackedBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderEnds:
    """Embedding and head of a decoder."""

    embedding: Table
    embedding_scale: float
    rotary: Rotary
    wanted: Wanted
    head_of: Callable[..., list[Outcome]]
    width: int

    @property
    def trained(self) -> bool:
        """As the protocol says."""
        return self.embedding.gradient is not None

    def length(self, batch: PackedBatch) -> int:
        """As the protocol says."""
        return len(batch.ids)

    def context(self, batch: PackedBatch) -> Context:
        """As the protocol says."""
        segments = segments_of(batch)
        rotations = self.rotary.tables(batch.positions)
        return Context(segments=segments, rotations=rotations, wanted=self.wanted(batch))

    def embed(self, batches: Sequence[PackedBatch]) -> list[torch.Tensor]:
        """As the protocol says."""
        ids = torch.cat([batch.ids for batch in batches])
        rows = self.embedding.rows(ids)
        if self.embedding_scale != 1.0:
            rows = rows * torch.tensor(self.embedding_scale, dtype=rows.dtype)
        return list(rows.split([len(batch.ids) for batch in batches]))

    def embed_backward(self, batches: Sequence[PackedBatch], gradients: list[torch.Tensor]) -> None:
        """As the protocol says."""
        into = self.embedding.gradient
        if into is None:
            return
        for batch, gradient in zip(batches, gradients, strict=True):
            into.index_add_(0, batch.ids, gradient.float(), alpha=self.embedding_scale)

    def head(
        self, hidden: list[torch.Tensor], batches: Sequence[PackedBatch], *, scale: float | None
    ) -> list[Outcome]:
        """As the protocol says."""
        return self.head_of(hidden, batches, scale=scale)
