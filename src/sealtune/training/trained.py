"""Which of a model's weights are trained: adapters on modules, and tensors trained themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from sealtune.errors import Code, TrainingError
from sealtune.training.engine.build import LoraTerms
from sealtune.training.model import LoadedModel
from sealtune.training.recipe import ALL_LINEAR, Method, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """`targets` are the modules that get an adapter, in the model's order; `names` the tensors that
    are trained as a whole; `lora` the adapters' terms, None without any.
    """

    targets: tuple[str, ...]
    names: tuple[str, ...]
    lora: LoraTerms | None


def find_trained(model: LoadedModel, *, recipe: Recipe) -> Trained:
    """Return what `recipe` trains of `model`.

    Classification heads stay whole and are trained with the adapters.

    Raises:
        TrainingError: `RECIPE_UNSUPPORTED`: `lora_targets` or `frozen` name nothing of the model.
            `NOTHING_TO_TRAIN`: everything is frozen.
    """
    if recipe.method is Method.FULL:
        return Trained(targets=(), names=_unfrozen(model, recipe), lora=None)
    targets = _find_targets(model, recipe.lora_targets)
    whole = whole_modules(model, recipe=recipe)
    names = [f"{name}.{key}" for name in whole for key in _own_parameters(model, name)]
    terms = LoraTerms(
        targets=frozenset(targets),
        rank=recipe.lora_rank,
        scaling=scaling_of(recipe),
        dropout=recipe.lora_dropout,
    )
    return Trained(targets=targets, names=tuple(names), lora=terms)


def scaling_of(recipe: Recipe) -> float:
    """Return the factor of an adapter's product; rsLoRA is Kalajdzievski 2023, arXiv 2312.03732."""
    rank = recipe.lora_rank
    return recipe.lora_alpha / (math.sqrt(rank) if recipe.rslora else rank)


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
        name.removesuffix(".base")
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and name.removesuffix(".base").rpartition(".")[2] in leaves
    }
    return sorted(leaves) if same == wanted else sorted(wanted)


def _own_parameters(model: LoadedModel, name: str) -> list[str]:
    return [key for key, _ in model.module.get_submodule(name).named_parameters()]


def _unfrozen(model: LoadedModel, recipe: Recipe) -> tuple[str, ...]:
    tied = getattr(model.module, "all_tied_weights_keys", {})
    names = [name for name, _ in model.module.named_parameters() if name not in tied]
    for pattern in recipe.frozen:
        if not any(_covers(pattern, name) for name in names):
            raise _covers_nothing(pattern, tied)
    kept = tuple(
        name for name in names if not any(_covers(pattern, name) for pattern in recipe.frozen)
    )
    if not kept:
        raise TrainingError(
            Code.NOTHING_TO_TRAIN, "frozen names every part of the model", remedy="free some"
        )
    return kept


def _covers_nothing(pattern: str, tied: Mapping[str, str]) -> TrainingError:
    source = next((source for name, source in tied.items() if _covers(pattern, name)), "")
    if source:
        return TrainingError(
            Code.RECIPE_UNSUPPORTED,
            f"frozen: {pattern} is tied to {source}: they are one tensor",
            remedy=f"freeze {source.removesuffix('.weight')}, and both are",
        )
    return TrainingError(
        Code.RECIPE_UNSUPPORTED,
        f"frozen: no part of the model is named {pattern}",
        remedy="use names of the model's modules or tensors, or their beginnings or ends",
    )


def _covers(pattern: str, name: str) -> bool:
    # Whole parts of the dotted name of a tensor or of a module that holds it.
    return f".{name}.".startswith(f".{pattern}.") or any(
        f".{module}".endswith(f".{pattern}") for module in _prefixes(name)
    )


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


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
