"""AdamW (Loshchilov and Hutter, arXiv 1711.05101), its schedule, and one optimizer step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from sealtune.errors import Code, TrainingError
from sealtune.training.batches import Batch
from sealtune.training.loss import batch_loss
from sealtune.training.recipe import Recipe, Schedule


def trainable_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that are trained by name, in the module's order; tied ones once."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def build_optimizer(
    parameters: Mapping[str, nn.Parameter], *, recipe: Recipe
) -> torch.optim.Optimizer:
    """Return AdamW over `parameters`; vectors (biases, normalization) do not decay."""
    matrices = [p for p in parameters.values() if p.ndim >= 2]
    vectors = [p for p in parameters.values() if p.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        betas=(recipe.adam_beta1, recipe.adam_beta2),
        eps=recipe.adam_epsilon,
        fused=True,
    )


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


def optimizer_step(
    module: Any,
    batches: Sequence[Batch],
    *,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    rate: float,
) -> float:
    """Take one step over `batches` at `rate` and return its mean loss.

    Raises:
        TrainingError: `LOSS_NOT_FINITE`: the loss or its gradient is; no weight was changed.
    """
    supervised = sum(batch.supervised for batch in batches)
    total = 0.0
    for batch in batches:
        loss, _ = batch_loss(module, batch, recipe=recipe)
        total += float(loss.detach())
        (loss / supervised).backward()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    limit = recipe.max_grad_norm or math.inf
    norm = float(nn.utils.clip_grad_norm_(parameters, limit))
    mean = total / supervised
    require_finite(mean, what="the training loss")
    require_finite(norm, what="the gradient")
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return mean


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
