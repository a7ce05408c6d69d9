"""AdamW (Loshchilov and Hutter, arXiv 1711.05101) over the flat buffers, and its schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from sealtune.errors import Code, TrainingError
from sealtune.training.engine.flat import FlatParameters
from sealtune.training.recipe import Recipe, Schedule


class Optimizer:
    """AdamW; vectors (biases, normalization) do not decay."""

    def __init__(self, parameters: FlatParameters, *, recipe: Recipe) -> None:
        """Train the values of `parameters` by their gradients."""
        self._flat = parameters
        self._limit = recipe.max_grad_norm or math.inf
        edge = parameters.decayed
        pairs = ((0, edge, recipe.weight_decay), (edge, parameters.count, 0.0))
        self._parameters: list[Any] = []
        groups: list[dict[str, Any]] = []
        for start, end, decay in pairs:
            if start < end:
                group = nn.Parameter(parameters.values[start:end])
                group.grad = parameters.gradients[start:end]
                self._parameters.append(group)
                groups.append({"params": [group], "weight_decay": decay})
        self._adam = torch.optim.AdamW(
            groups,
            lr=recipe.learning_rate,
            betas=(recipe.adam_beta1, recipe.adam_beta2),
            eps=recipe.adam_epsilon,
            fused=True,
        )

    def norm(self) -> torch.Tensor:
        """Return the norm of all gradients, where they are: without dimensions."""
        result: torch.Tensor = torch.linalg.vector_norm(self._flat.gradients)
        return result

    def step(self, *, rate: float, norm: float | None = None) -> None:
        """Clip the gradients, take one step at `rate`, refresh compute copies, clear gradients.

        `norm` is what `norm()` says of these gradients, for who has read it already.

        Raises:
            TrainingError: `LOSS_NOT_FINITE`: the gradient is not finite; no weight was changed.
        """
        if norm is None:
            norm = float(self.norm())
        require_finite(norm, what="the gradient")
        if norm > self._limit:
            self._flat.gradients.mul_(self._limit / (norm + 1e-6))  # as torch's clip_grad_norm_
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        self._flat.refresh()
        self._flat.clear()

    def moments(self) -> dict[str, list[torch.Tensor]]:
        """Return the parts of both moments, which are not copied; empty before the first step."""
        states = [self._adam.state.get(group, {}) for group in self._parameters]
        if not all(states):
            return {}
        return {name: [state[name] for state in states] for name in MOMENTS}

    def restore(self, moments: dict[str, torch.Tensor], *, step: int) -> None:
        """Take over `moments`, the parts of `moments()` after `step` steps joined."""
        start = 0
        for parameter in self._parameters:
            end = start + parameter.numel()
            there = parameter.device
            self._adam.state[parameter] = {
                "step": torch.full((), float(step), device=there),
                **{name: moments[name][start:end].to(there, copy=True) for name in MOMENTS},
            }
            start = end


MOMENTS = ("exp_avg", "exp_avg_sq")


def learning_rate(recipe: Recipe, *, step: int, total: int) -> float:
    """Return the rate of optimizer step `step` (from 1) of `total`.

    As Hugging Face's schedules, save that warm-up does not begin with a step at rate 0.
    """
    done = step - 1
    warmup = math.ceil(recipe.warmup_ratio * total)
    if done < warmup:
        return recipe.learning_rate * (done + 1) / (warmup + 1)
    if recipe.schedule is Schedule.CONSTANT:
        return recipe.learning_rate
    progress = (done - warmup) / max(1, total - warmup)
    if recipe.schedule is Schedule.LINEAR:
        return recipe.learning_rate * (1.0 - progress)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


def require_finite(value: float, *, what: str) -> None:
    """Refuse to go on with a NaN or an infinity.

    Raises:
        TrainingError: `LOSS_NOT_FINITE`.
    """
    if not math.isfinite(value):
        raise TrainingError(
            Code.LOSS_NOT_FINITE,
            f"{what} is not finite",
            remedy="lower learning_rate, add warm-up, or use precision fp32",
        )
