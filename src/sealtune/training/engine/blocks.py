"""One transformer block over a packed micro-batch, for every family that we have a lean version of.

The order is always the same: attention, then the feed-forward part, each added to its input. Where
normalizations stand is what families differ in: before a part (Llama, ViT), before and after
(Gemma 2), after it (OLMo 2), or after the sum (BERT).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sealtune.training.engine.attention import Attention, Pair
from sealtune.training.engine.linear import Projection
from sealtune.training.engine.prologue import Prologue, RmsNorm
from sealtune.training.engine.segments import Segments


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all blocks of one micro-batch share: borders, and rotations by the name of their table.

    `wanted` are the rows that the head looks at, None for all. They are among the first `queries`
    of each record, 0 for any.
    """

    segments: Segments
    rotations: Mapping[str, Pair]
    wanted: torch.Tensor | None = None
    queries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadNorms:
    """Normalization of each query and key head, before positions are put in (Qwen 3, Gemma 3)."""

    query: RmsNorm
    key: RmsNorm
    heads: int
    kv_heads: int

    def __call__(self, qkv: torch.Tensor) -> torch.Tensor:
        """Return `qkv` (tokens, (heads + 2 kv_heads) * width) with its heads normalized."""
        result: torch.Tensor = _NormalizeHeads.apply(qkv, self)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block. `attention_norm` and `forward_norm` stand behind their part, before the sum;
    `middle_norm` and `last_norm` behind the sums. Norms before a part are its first projection's.
    The `final` block computes nothing behind attention for rows that are not wanted.
    """

    qkv: Projection
    attention: Attention
    out: Projection
    up: Projection
    down: Projection
    rotation: str = ""
    head_norms: HeadNorms | None = None
    attention_norm: Prologue | None = None
    forward_norm: Prologue | None = None
    middle_norm: Prologue | None = None
    last_norm: Prologue | None = None
    out_dropout: float = 0.0
    down_dropout: float = 0.0
    final: bool = False

    def __call__(self, h: torch.Tensor, context: Context) -> torch.Tensor:
        """Return the block's output for `h` (tokens, width): of the wanted rows if it is final."""
        qkv = self.qkv(h)
        if self.head_norms is not None:
            qkv = self.head_norms(qkv)
        rotation = context.rotations[self.rotation] if self.rotation else None
        queries = context.queries if self.final else 0
        attended = self.attention(qkv, context.segments, rotation, queries=queries)
        if self.final and context.wanted is not None:
            attended = attended.index_select(0, context.wanted)
            h = h.index_select(0, context.wanted)
        h = _add(self.out, attended, h, self.attention_norm, self.out_dropout)
        if self.middle_norm is not None:
            h = normalize(self.middle_norm, h)
        h = _add(self.down, self.up(h), h, self.forward_norm, self.down_dropout)
        return h if self.last_norm is None else normalize(self.last_norm, h)


def _add(
    projection: Projection, x: torch.Tensor, h: torch.Tensor, norm: Prologue | None, dropout: float
) -> torch.Tensor:
    if norm is not None:
        return h + normalize(norm, projection(x))
    return projection(x, h, output_dropout=dropout)


def normalize(norm: Prologue, x: torch.Tensor) -> torch.Tensor:
    """Return `norm` of `x`, differentiable."""
    result: torch.Tensor = _Normalize.apply(x, norm)
    return result


class _Normalize(torch.autograd.Function):  # type: ignore[misc]  # torch is unseen by mypy here
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, norm: Prologue) -> torch.Tensor:
        y, kept = norm.forward(x)
        ctx.norm = norm
        ctx.save_for_backward(x, *kept)
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        x, *kept = ctx.saved_tensors
        return ctx.norm.backward(dy, x, ctx.norm.again(x, tuple(kept))[1]), None


class _NormalizeHeads(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, qkv: torch.Tensor, norms: HeadNorms) -> torch.Tensor:
        out = torch.empty_like(qkv)
        (q, k, v), (q_out, k_out, v_out) = _by_head(qkv, norms), _by_head(out, norms)
        y, (q_rstd,) = norms.query.forward(q)
        q_out.copy_(y)
        y, (k_rstd,) = norms.key.forward(k)
        k_out.copy_(y)
        v_out.copy_(v)
        ctx.norms = norms
        ctx.save_for_backward(qkv, q_rstd, k_rstd)
        return out

    @staticmethod
    def backward(ctx: Any, dout: torch.Tensor) -> tuple[Any, ...]:
        qkv, q_rstd, k_rstd = ctx.saved_tensors
        norms: HeadNorms = ctx.norms
        result = torch.empty_like(dout)
        inputs, outputs, into = (_by_head(t, norms) for t in (qkv, dout, result))
        for index, (norm, rstd) in enumerate(((norms.query, q_rstd), (norms.key, k_rstd))):
            x = inputs[index]
            into[index].copy_(norm.backward(outputs[index], x, norm.again(x, (rstd,))[1]))
        into[2].copy_(outputs[2])
        return result, None


def _by_head(qkv: torch.Tensor, norms: HeadNorms) -> tuple[torch.Tensor, ...]:
    width = qkv.shape[-1] // (norms.heads + 2 * norms.kv_heads)
    parts = qkv.view(qkv.shape[0], -1, width)
    keys_end = norms.heads + norms.kv_heads
    return parts[:, : norms.heads], parts[:, norms.heads : keys_end], parts[:, keys_end:]
