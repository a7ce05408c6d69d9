"""What is done to the input of a projection: normalization or activation, each with its derivative.

None of them keeps its result: the backward pass makes it again from the input, which is kept
anyway. That costs about 1 % of a step and saves a third of what has to be kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch.nn import functional

Tensors = tuple[torch.Tensor, ...]
Value = Callable[[], torch.Tensor]
# Weight and where its gradient adds up, or None if it is frozen.


@dataclass(frozen=True, slots=True)
class Vector:
    """A bias or a normalization's weight: its compute value and, where trained, its gradient."""

    value: Value
    gradient: torch.Tensor | None = None


class Prologue(Protocol):
    """A function of each row: (tokens, width in) to (tokens, width out)."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Tensors]:
        """Return the result and what the derivative needs beside `x`."""
        ...

    def again(self, x: torch.Tensor, kept: Tensors) -> tuple[torch.Tensor, Any]:
        """Return the result once more and what `backward` takes."""
        ...

    def backward(self, dy: torch.Tensor, x: torch.Tensor, state: Any) -> torch.Tensor:
        """Return the gradient of `x`; gradients of own weights add up where they belong."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RmsNorm:
    """Root mean square normalization (Zhang and Sennrich 2019); `offset` is 1 in Gemma."""

    weight: Vector
    eps: float
    offset: float = 0.0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Tensors]:
        """As the protocol says; statistics in 32 bits."""
        rstd = inverse_rms(x, eps=self.eps)
        return self._scaled(_unit(x, rstd), x.dtype), (rstd,)

    def again(self, x: torch.Tensor, kept: Tensors) -> tuple[torch.Tensor, Any]:
        """As the protocol says."""
        (rstd,) = kept
        unit = _unit(x, rstd)
        return self._scaled(unit, x.dtype), (unit, rstd)

    def backward(self, dy: torch.Tensor, x: torch.Tensor, state: Any) -> torch.Tensor:
        """As the protocol says."""
        unit, rstd = state
        if self.weight.gradient is not None:
            self.weight.gradient.add_((dy.float() * unit).flatten(0, -2).sum(0))
        g = dy.float() * self._factor()
        mean = torch.linalg.vecdot(g, unit).div_(g.shape[-1]).unsqueeze(-1)
        return g.addcmul_(unit, mean, value=-1).mul_(rstd).to(x.dtype)

    def _factor(self) -> torch.Tensor:
        return self.weight.value().float() + self.offset

    def _scaled(self, unit: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        if self.offset:  # Gemma multiplies in 32 bits, the others after rounding
            return (unit * self._factor()).to(dtype)
        if dtype == torch.float32:
            return unit * self.weight.value()
        return unit.to(dtype).mul_(self.weight.value())


def _unit(x: torch.Tensor, rstd: torch.Tensor) -> torch.Tensor:
    # Two passes, and still faster than one product of two types.
    return x * rstd if x.dtype == torch.float32 else x.float().mul_(rstd)


def inverse_rms(x: torch.Tensor, *, eps: float) -> torch.Tensor:
    """Return 1 over the root of the mean square of each row of `x`, plus `eps`, in 32 bits."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    return norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNorm:
    """Layer normalization (Ba, Kiros and Hinton 2016), torch's kernels."""

    weight: Vector
    bias: Vector | None
    eps: float

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Tensors]:
        """As the protocol says."""
        y, mean, rstd = torch.native_layer_norm(x, x.shape[-1:], *self._values(), self.eps)
        return y, (mean, rstd)

    def again(self, x: torch.Tensor, kept: Tensors) -> tuple[torch.Tensor, Any]:
        """As the protocol says."""
        return torch.native_layer_norm(x, x.shape[-1:], *self._values(), self.eps)[0], kept

    def backward(self, dy: torch.Tensor, x: torch.Tensor, state: Any) -> torch.Tensor:
        """As the protocol says."""
        wanted = [True, self.weight.gradient is not None, False]
        wanted[2] = self.bias is not None and self.bias.gradient is not None
        weight, bias = self._values()
        dx, dw, db = torch.ops.aten.native_layer_norm_backward(
            dy, x, x.shape[-1:], state[0], state[1], weight, bias, wanted
        )
        if self.weight.gradient is not None:
            self.weight.gradient.add_(dw)
        if self.bias is not None and self.bias.gradient is not None:
            self.bias.gradient.add_(db)
        result: torch.Tensor = dx
        return result

    def _values(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.weight.value(), None if self.bias is None else self.bias.value()


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """`act(x)`, or with `gated` `act(first half) * second half` (Shazeer 2020)."""

    kind: str
    gated: bool

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Tensors]:
        """As the protocol says."""
        return self.again(x, ())[0], ()

    def again(
        self,
        x: torch.Tensor,
        kept: Tensors,  # noqa: ARG002 - nothing was
    ) -> tuple[torch.Tensor, Any]:
        """As the protocol says."""
        if not self.gated:
            return ACTIVATIONS[self.kind][0](x), None
        gate, up = x.chunk(2, dim=-1)
        activated = ACTIVATIONS[self.kind][0](gate)
        return activated * up, activated

    def backward(self, dy: torch.Tensor, x: torch.Tensor, state: Any) -> torch.Tensor:
        """As the protocol says."""
        derive = ACTIVATIONS[self.kind][1]
        dx = torch.empty_like(x)
        if not self.gated:
            derive(dy, x, grad_input=dx)
            return dx
        gate, up = x.chunk(2, dim=-1)
        dgate, dup = dx.chunk(2, dim=-1)
        torch.mul(dy, state, out=dup)
        derive(dy * up, gate, grad_input=dgate)
        return dx


_ATEN = torch.ops.aten


def _gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    return functional.gelu(x, approximate="tanh")


_SILU = (functional.silu, _ATEN.silu_backward.grad_input)
_TANH = (_gelu_tanh, partial(_ATEN.gelu_backward.grad_input, approximate="tanh"))
# By the names of `hidden_act` in configurations. Each with what writes its derivative, from the
# output's gradient and the input, to `grad_input`.
ACTIVATIONS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], Callable[..., object]]] = {
    "silu": _SILU,
    "swish": _SILU,
    "gelu": (functional.gelu, _ATEN.gelu_backward.grad_input),
    "gelu_new": _TANH,
    "gelu_pytorch_tanh": _TANH,
    "relu": (functional.relu, partial(_ATEN.threshold_backward.grad_input, threshold=0)),
}
