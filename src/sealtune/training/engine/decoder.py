"""Decoders: token embeddings with rotary positions before the blocks, causal attention in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sealtune.training.engine.attention import Attention, Pair
from sealtune.training.engine.blocks import Context
from sealtune.training.engine.families import reach_of
from sealtune.training.engine.run import Outcome
from sealtune.training.engine.segments import Segments
from sealtune.training.engine.tables import Table
from sealtune.training.packing import PackedBatch

ALL = "all"  # the rotation of models whose layers share one


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderEnds:
    """Embedding and head of a decoder; `rotary` is the stock module that knows its positions."""

    embedding: Table
    embedding_scale: float
    rotary: Any
    rotations: tuple[str, ...]
    head_of: Callable[..., list[Outcome]]
    dtype: torch.dtype
    width: int

    def length(self, batch: PackedBatch) -> int:
        """As the protocol says."""
        return len(batch.ids)

    def context(self, batch: PackedBatch) -> Context:
        """As the protocol says."""
        segments = Segments(bounds=batch.bounds, positions=batch.positions)
        return Context(
            segments=segments,
            rotations={name: self._rotation(name, batch.positions) for name in self.rotations},
        )

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

    def _rotation(self, name: str, positions: torch.Tensor) -> Pair:
        like = torch.empty(0, dtype=self.dtype)
        kind = () if name == ALL else (name,)
        cosine, sine = self.rotary(like, positions.unsqueeze(0), *kind)
        half = cosine.shape[-1] // 2
        return cosine[0, :, :half].contiguous(), sine[0, :, :half].contiguous()


def rotations_of(config: Any) -> list[str]:
    """Return the name of each layer's rotation."""
    kinds = getattr(config, "layer_types", None)
    parameters = getattr(config, "rope_parameters", None) or {}
    if kinds and set(parameters) >= set(kinds):
        return list(kinds)
    return [ALL] * config.num_hidden_layers


def decoder_attention(config: Any, layer: int, **options: Any) -> Attention:
    """Return the attention of decoder layer `layer`."""
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    scalar = getattr(config, "query_pre_attn_scalar", None)
    return Attention(
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        width=width,
        scale=(scalar or width) ** -0.5,
        reach=reach_of(config, layer),
        soft_cap=getattr(config, "attn_logit_softcapping", None) or 0.0,
        dropout_rate=getattr(config, "attention_dropout", None) or 0.0,
        **options,
    )


def last_tokens(padding: int | None) -> Callable[[torch.Tensor, PackedBatch], torch.Tensor]:
    """Return the pooling of decoders that classify: the last token that is no padding.

    As `transformers` has it, an id that equals the padding's counts as padding wherever it stands.
    """

    def pool(h: torch.Tensor, batch: PackedBatch) -> torch.Tensor:
        rows = []
        for start, end in zip(batch.bounds, batch.bounds[1:], strict=False):
            real = (batch.ids[start:end] != padding).nonzero()
            # Without any, transformers' argmax takes the first.
            rows.append(start + (int(real[-1]) if len(real) else 0))
        return h[torch.tensor(rows)]

    return pool
