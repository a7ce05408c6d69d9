"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on linear layers.

Initialization, scaling and names are PEFT's, so that what is trained here loads there unchanged.
Only the base method: no DoRA, rsLoRA, bias training or quantized base.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sealtune.errors import Code, TrainingError
from sealtune.training.model import LoadedModel
from sealtune.training.recipe import ALL_LINEAR, Recipe


class LoraLinear(nn.Module):  # type: ignore[misc]  # torch is unseen by mypy here
    """A frozen linear layer plus the trained product of two thin matrices."""

    def __init__(self, base: nn.Linear, *, rank: int, alpha: int, dropout: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scaling = alpha / rank
        self.dropout = dropout
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `base(x) + alpha/rank * B A dropout(x)`."""
        thin = functional.dropout(inputs, self.dropout, self.training) if self.dropout else inputs
        delta = functional.linear(functional.linear(thin, self.lora_A), self.lora_B)
        return torch.add(self.base(inputs), delta, alpha=self.scaling)

    def merged(self) -> nn.Linear:
        """Return the base layer with the adapter added to its weight, in place."""
        with torch.no_grad():
            delta = (self.lora_B @ self.lora_A) * self.scaling
            self.base.weight += delta.to(self.base.weight.dtype)
        return self.base


def add_adapters(model: LoadedModel, *, recipe: Recipe) -> tuple[str, ...]:
    """Freeze `model`, put an adapter on each target and return the targets' names.

    Classification heads stay whole and are trained with the adapters.

    Raises:
        TrainingError: `RECIPE_UNSUPPORTED`: `lora_targets` name no linear layer of the base model.
    """
    model.module.requires_grad_(False)
    targets = _find_targets(model, recipe.lora_targets)
    for name in targets:
        adapter = LoraLinear(
            model.module.get_submodule(name),
            rank=recipe.lora_rank,
            alpha=recipe.lora_alpha,
            dropout=recipe.lora_dropout,
        )
        _replace(model.module, name, adapter)
    for name in whole_modules(model, recipe=recipe):
        model.module.get_submodule(name).requires_grad_(True)
    return targets


def merge_adapters(module: Any) -> None:
    """Replace every adapter in `module` by its base layer with the adapter added in."""
    for name, part in list(module.named_modules()):
        if isinstance(part, LoraLinear):
            _replace(module, name, part.merged())


def whole_modules(model: LoadedModel, *, recipe: Recipe) -> tuple[str, ...]:
    """Return the modules that are trained and saved whole beside adapters: head and new parts."""
    if not recipe.labels:
        return ()
    head = tuple(name for name in model.architecture.head if hasattr(model.module, name))
    return tuple(dict.fromkeys((*head, *model.new_modules)))


def short_targets(module: Any, targets: Iterable[str]) -> list[str]:
    """Return the shortest list that, matched by suffix as PEFT does, names exactly `targets`.

    That is the last parts of their names (`query`, `value` ...) unless another linear layer of
    `module` has one of them too; then the full names.
    """
    wanted = set(targets)
    leaves = {name.rpartition(".")[2] for name in wanted}
    same = {
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear | LoraLinear)
        and not name.endswith(".base")
        and name.rpartition(".")[2] in leaves
    }
    return sorted(leaves) if same == wanted else sorted(wanted)


def _find_targets(model: LoadedModel, wanted: tuple[str, ...] | str) -> tuple[str, ...]:
    inside = model.base + "."
    linear = [
        name
        for name, part in model.module.named_modules()
        if isinstance(part, nn.Linear)
        and name.startswith(inside)
        and not any(name.startswith(new + ".") for new in model.new_modules)
    ]
    if wanted == ALL_LINEAR:
        return tuple(linear)
    absent = [target for target in wanted if not any(_matches(name, target) for name in linear)]
    if absent:
        leaves = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
        raise TrainingError(
            Code.RECIPE_UNSUPPORTED,
            f"lora_targets: no linear layer is named {', '.join(absent)}",
            remedy=f"this model has: {leaves}",
        )
    return tuple(name for name in linear if any(_matches(name, target) for target in wanted))


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith("." + target)


def _replace(module: Any, name: str, part: nn.Module) -> None:
    owner, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(owner), leaf, part)
