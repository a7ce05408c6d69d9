"""Projections: prologue, matrix product, bias, low-rank adapters, residual; one derivative for all.

LoRA is Hu et al. 2021 (arXiv 2106.09685). Adapters that share an input (query, key and value; gate
and up) share the product with it, their products are added into the base output in place, and their
gradients go straight into the flat buffer. Frozen weights get no gradient and are not copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from sealtune.training.engine.dropout import Dropout, dropped
from sealtune.training.engine.prologue import Prologue, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """The second factor of one adapter: outputs `rows` get `thin[:, ranks] @ value.T`.

    `value` is a compute copy, already scaled; `scale` is what its gradient is multiplied by.
    """

    rows: slice
    ranks: slice
    value: torch.Tensor
    gradient: torch.Tensor
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """The adapters of one projection: first factors stacked (ranks, inputs), then each second."""

    down: torch.Tensor
    down_gradient: torch.Tensor
    ups: tuple[Up, ...]
    dropout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """`residual + prologue(x) @ weight.T + bias`, and adapters on it.

    `weight` is (outputs, inputs), fetched when it is needed: it may live in a buffer that other
    blocks use in between. `weight_gradient` is where its gradient adds up, or None if it is frozen.
    """

    weight: Callable[[], torch.Tensor]
    bias: Vector | None = None
    prologue: Prologue | None = None
    adapters: Adapters | None = None
    weight_gradient: torch.Tensor | None = None
    dropout: Dropout = field(default_factory=Dropout)

    def __call__(
        self, x: torch.Tensor, residual: torch.Tensor | None = None, *, output_dropout: float = 0.0
    ) -> torch.Tensor:
        """Return the projection of `x` (tokens, inputs), differentiable in `x` and `residual`."""
        trained = self.adapters is not None or self.weight_gradient is not None
        anchor = _ANCHOR if trained else None
        result: torch.Tensor = _Project.apply(x, residual, self, output_dropout, anchor)
        return result


# What is trained is no input that torch knows of: this makes the result part of the graph where
# nothing before it is (the first block of a model whose embeddings are frozen).
_ANCHOR = torch.empty(0, requires_grad=True)


class _Project(torch.autograd.Function):  # type: ignore[misc]  # torch is unseen by mypy here
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        residual: torch.Tensor | None,
        p: Projection,
        output_dropout: float,
        anchor: torch.Tensor | None,
    ) -> torch.Tensor:
        del anchor
        inputs, kept = (x, ()) if p.prologue is None else p.prologue.forward(x)
        mask = p.dropout.mask(inputs, p.adapters.dropout) if p.adapters else None
        out_mask = None
        weight = p.weight()
        bias = None if p.bias is None else p.bias.value()
        if bias is not None:
            out = torch.addmm(bias, inputs, weight.t())
        elif residual is not None and not output_dropout:
            out = torch.addmm(residual, inputs, weight.t())
        else:
            out = torch.mm(inputs, weight.t())
        thin = None
        if p.adapters is not None:
            thin = torch.mm(dropped(inputs, mask, p.adapters.dropout), p.adapters.down.t())
            for up in p.adapters.ups:
                out[:, up.rows].addmm_(thin[:, up.ranks], up.value.t())
        if output_dropout:
            out_mask = p.dropout.mask(out, output_dropout)
            out = dropped(out, out_mask, output_dropout)
        if residual is not None and (bias is not None or output_dropout):
            out = out.add_(residual)
        ctx.p, ctx.rate, ctx.kept = p, output_dropout, len(kept)
        ctx.save_for_backward(x, thin, mask, out_mask, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        p: Projection = ctx.p
        x, thin, mask, out_mask, *kept = ctx.saved_tensors
        residual = dy if ctx.needs_input_grad[1] else None
        dy = dropped(dy, out_mask, ctx.rate)
        inputs, state = (x, None) if p.prologue is None else p.prologue.again(x, tuple(kept))
        if p.weight_gradient is not None:
            p.weight_gradient.add_(torch.mm(dy.t(), inputs))
        if p.bias is not None and p.bias.gradient is not None:
            p.bias.gradient.add_(dy.sum(0, dtype=torch.float32))
        dthin = None
        if p.adapters is not None:
            thinned = dropped(inputs, mask, p.adapters.dropout)
            dthin = _adapter_gradients(p.adapters, dy, thinned, thin)
        if not ctx.needs_input_grad[0]:
            return None, residual, None, None, None
        dx = torch.mm(dy, p.weight())
        if p.adapters is not None:
            if mask is None:
                dx.addmm_(dthin, p.adapters.down)
            else:
                dx.add_(dropped(torch.mm(dthin, p.adapters.down), mask, p.adapters.dropout))
        if p.prologue is not None:
            dx = p.prologue.backward(dx, x, state)
        return dx, residual, None, None, None


def _adapter_gradients(
    adapters: Adapters, dy: torch.Tensor, inputs: torch.Tensor, thin: torch.Tensor
) -> torch.Tensor:
    """Add to the adapters' gradients and return that of `thin`."""
    dthin = torch.empty_like(thin)
    for up in adapters.ups:
        part = dy[:, up.rows]
        torch.mm(part, up.value, out=dthin[:, up.ranks])
        # A wide result of few rows: a fifth faster than a narrow one of many.
        up.gradient.add_(torch.mm(thin[:, up.ranks].t(), part).t(), alpha=up.scale)
    adapters.down_gradient.add_(torch.mm(dthin.t(), inputs))
    return dthin
