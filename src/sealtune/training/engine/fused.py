"""Attention by torch's kernel for segments of any length, where an accelerator has one.

It keeps no probabilities and takes the segments' borders as a tensor, so that nothing of the
micro-batch is asked for. The tiles of `engine.attention` are the reference, and compute what the
kernel does not: a cap on scores, dropout of probabilities, 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from sealtune.training.engine.attention import Attention, Pair, rotate
from sealtune.training.engine.segments import Reach, Segments

_WIDTH_MAX = 256
_WIDTH_STEP = 8
_CAPABILITY = (8, 0)  # compute capability of the oldest device with the kernel: Ampere
_ALL = -1  # a window without an end


@dataclass(frozen=True, slots=True)
class Fused:
    """Attention by `kernel`, which takes what `torch.nn.attention.varlen.varlen_attn` does."""

    kernel: Callable[..., torch.Tensor]

    def serves(self, a: Attention, qkv: torch.Tensor, segments: Segments) -> bool:
        """Return whether the kernel computes this attention."""
        dropping = bool(a.dropout_rate) and a.dropout.enabled
        width = a.width <= _WIDTH_MAX and a.width % _WIDTH_STEP == 0
        plain = not a.soft_cap and not dropping and qkv.dtype == torch.bfloat16
        return plain and width and segments.borders is not None

    def __call__(
        self, a: Attention, qkv: torch.Tensor, segments: Segments, rotation: Pair | None
    ) -> torch.Tensor:
        """Return (tokens, heads * width), every row of it."""
        if segments.borders is None:
            raise ValueError("segments whose borders are on no accelerator")
        query, key, value = _Heads.apply(qkv, a, rotation)
        borders = segments.borders.to(torch.int32)
        longest = max(segments.lengths)
        out = self.kernel(
            query,
            key,
            value,
            borders,
            borders,
            longest,
            longest,
            scale=a.scale,
            window_size=window_of(a.reach),
            enable_gqa=a.groups > 1,
        )
        return out.reshape(qkv.shape[0], a.heads * a.width)


def fused_for(device: torch.device) -> Fused | None:
    """Return the kernel of `device`, None if it has none."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < _CAPABILITY:
        return None
    from torch.nn.attention.varlen import varlen_attn

    return Fused(varlen_attn)


def window_of(reach: Reach) -> tuple[int, int]:
    """Return how many keys before and after its own a query sees, as the kernel counts them."""
    if reach.causal:
        return (reach.window - 1 if reach.window else _ALL, 0)
    return (reach.window, reach.window) if reach.window else (_ALL, _ALL)


class _Heads(torch.autograd.Function):  # type: ignore[misc]  # torch is unseen by mypy here
    """Queries, keys and values (tokens, heads, width) with their positions, each by itself."""

    @staticmethod
    def forward(
        ctx: Any, qkv: torch.Tensor, a: Attention, rotation: Pair | None
    ) -> tuple[torch.Tensor, ...]:
        parts = qkv.view(qkv.shape[0], -1, a.width).split([a.heads, a.kv_heads, a.kv_heads], 1)
        query, key = torch.empty_like(parts[0]), torch.empty_like(parts[1])
        rotate(parts[0], query, rotation)
        rotate(parts[1], key, rotation)
        ctx.rotation = rotation
        return query.contiguous(), key.contiguous(), parts[2].contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        inverse = None if ctx.rotation is None else (ctx.rotation[0], -ctx.rotation[1])
        sizes = [part.shape[1] for part in gradients]
        tokens, _, width = gradients[0].shape
        result = gradients[0].new_empty(tokens, sum(sizes), width)
        query, key, value = result.split(sizes, 1)
        rotate(gradients[0], query, inverse)
        rotate(gradients[1], key, inverse)
        value.copy_(gradients[2])
        return result.view(tokens, -1), None, None
