"""Chooses how a run is computed, before its weights are read: the fastest way that fits memory.

Ways are tried in a fixed order, from everything in memory to almost nothing, and the first whose
predicted peak fits is taken. What the recipe fixes is not tried otherwise. The choice is a function
of recipe, model, data, limit and accelerator: the same on every machine.

What goes to an accelerator's memory is predicted as the processor's is, and the same figure has to
fit both: its attention keeps less, what its libraries take was never measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import torch

from sealtune.core.limits import MIB
from sealtune.core.memory import size_text
from sealtune.errors import Code, TrainingError
from sealtune.training.accelerator import Accelerator, why_not_accelerated
from sealtune.training.engine.choices import Choices, Device
from sealtune.training.engine.lean import why_not_lean
from sealtune.training.first_pass import RESIDENT_BYTES
from sealtune.training.memory import Prediction, predict
from sealtune.training.model import LoadedModel
from sealtune.training.recipe import Precision, Recipe, Streaming
from sealtune.training.shapes import ModelShape, shape_of
from sealtune.training.sources import WeightSource
from sealtune.training.stock_memory import predict_stock
from sealtune.training.trained import Trained
from sealtune.training.ways import Way, accelerated_ways, ways
from sealtune.training.workload import Workload

# Of a limit this part stays free: predictions were up to 6 % below what `benchmarks/memory.py`
# measured. The libraries' pages, about so many bytes, are in the prediction too; the system takes
# them back before it kills.
MARGIN_PART = 16
LIBRARY_BYTES = 96 * MIB
_EXAMPLES_PART = 16  # of a limit: what is read again costs far less than what is computed again


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was chosen and why; `limit` is in bytes, 0 for none, `parts` is the predicted peak."""

    choices: Choices
    reasons: tuple[str, ...]
    limit: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def peak(self) -> int:
        """The predicted peak in bytes."""
        return sum(self.parts.values())

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "choices": self.choices.to_dict(),
            "reasons": list(self.reasons),
            "memory_limit_bytes": self.limit,
            "predicted_peak_bytes": self.peak,
            "predicted_parts": dict(self.parts),
        }


def limit_of(recipe: Recipe, memory_limit: int) -> int:
    """Return the limit that counts, of `memory_limit` and the recipe's own; 0 means none."""
    return min((size for size in (recipe.memory_limit_bytes, memory_limit) if size), default=0)


def examples_room(recipe: Recipe, memory_limit: int) -> int:
    """Return how many bytes of examples may stay in memory; more are read again in each epoch."""
    limit = limit_of(recipe, memory_limit)
    return min(RESIDENT_BYTES, limit // _EXAMPLES_PART) if limit else RESIDENT_BYTES


def plan_run(
    model: LoadedModel,
    trained: Trained,
    *,
    weights: WeightSource,
    recipe: Recipe,
    workload: Workload,
    has_scratch: bool,
    memory_limit: int,
    fixed: Choices | None = None,
    accelerator: Accelerator | None = None,
) -> Plan:
    """Return the plan of a run in `memory_limit` bytes, 0 for no limit beside the recipe's own;
    `fixed` are the choices of the run that it resumes, `accelerator` is what it may use.

    Raises:
        TrainingError: `MEMORY_TOO_SMALL`: no way fits; says what the least would take.
            `RECIPE_UNSUPPORTED`: streaming or `frozen_int8` of a model that has no lean blocks.
            `CHECKPOINT_FOREIGN`: the run that it resumes had an accelerator, and there is none.
    """
    limit = limit_of(recipe, memory_limit)
    memory = _memory_of(model, trained, weights=weights, recipe=recipe, workload=workload)
    if fixed is not None:
        _check_device(fixed, accelerator)
        # Without scratch, what went there is computed again, from inputs that stay in memory.
        computed = fixed if has_scratch else replace(fixed, spilled=0)
        return _resumed(fixed, memory(computed), limit)
    why_stock = why_not_lean(model, trained)
    _check(recipe, why_stock)
    precision = resolve_precision(recipe.precision)
    reasons = _beginning(recipe, precision, why_stock, limit)
    tried: list[tuple[Way, Prediction]] = []
    candidates: Iterable[Way] = ways(
        recipe,
        precision=precision,
        lean=not why_stock,
        longest=workload.longest,
        has_scratch=has_scratch,
    )
    if accelerator is not None:
        reasons += _accelerated(recipe, accelerator, why_stock)
        if not why_not_accelerated(recipe, why_stock=why_stock):
            more = accelerated_ways(recipe, accelerator, longest=workload.longest)
            candidates = chain(more, candidates)
    for way in candidates:
        found = memory(way.choices)
        if _fits(found, way.choices, limit=limit, accelerator=accelerator):
            reasons += [*_passed_over(tried), f"{way.words}: {size_text(found.total)} predicted"]
            return Plan(choices=way.choices, reasons=tuple(reasons), limit=limit, parts=found.parts)
        tried.append((way, found))
    raise _too_small(tried, limit, recipe)


def _fits(
    found: Prediction, choices: Choices, *, limit: int, accelerator: Accelerator | None
) -> bool:
    if accelerator is not None and choices.device == accelerator.device:
        there = accelerator.memory - accelerator.memory // MARGIN_PART
        if found.total > there:
            return False
    return not limit or found.total <= room_in(limit)


def _accelerated(recipe: Recipe, accelerator: Accelerator, why_stock: str) -> list[str]:
    why_not = why_not_accelerated(recipe, why_stock=why_stock)
    if why_not:
        return [f"not on {accelerator.device}, which is there: {why_not}"]
    reasons = [f"{accelerator.device} with {size_text(accelerator.memory)} free"]
    if recipe.precision is Precision.AUTO:
        reasons.append(f"{accelerator.precision(recipe.precision)} on {accelerator.device}")
    return reasons


def _check_device(choices: Choices, accelerator: Accelerator | None) -> None:
    there = Device.CPU if accelerator is None else accelerator.device
    if choices.device not in (Device.CPU, there):
        raise TrainingError(
            Code.CHECKPOINT_FOREIGN,
            f"the training checkpoint is of a run on {choices.device}, which this one cannot use",
            remedy=f"resume it where {choices.device} is there and may be used",
        )


def room_in(limit: int) -> int:
    """Return the largest predicted peak that is let into `limit` bytes."""
    return min(limit, limit - limit // MARGIN_PART + LIBRARY_BYTES)


def resolve_precision(precision: Precision) -> Precision:
    """Return `precision`, and for `auto` what this processor has instructions for."""
    if precision is not Precision.AUTO:
        return precision
    return Precision.BF16 if has_bfloat16() else Precision.FP32


def has_bfloat16() -> bool:
    """Return whether this processor has instructions for products of bfloat16 numbers."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _check(recipe: Recipe, why_stock: str) -> None:
    wanted = {
        "streaming is always": recipe.streaming is Streaming.ALWAYS,
        "frozen_int8 is true": recipe.frozen_int8,
    }
    for name, asked in wanted.items():
        if asked and why_stock:
            raise TrainingError(
                Code.RECIPE_UNSUPPORTED,
                f"{name}, and this model cannot be computed block by block: {why_stock}",
                remedy="leave streaming to auto and frozen_int8 false",
            )
    if recipe.frozen_int8 and recipe.streaming is Streaming.ALWAYS:
        raise TrainingError(
            Code.RECIPE_UNSUPPORTED,
            "frozen_int8 keeps the weights in memory, and streaming is always",
            remedy="leave streaming to auto",
        )


def _memory_of(
    model: LoadedModel,
    trained: Trained,
    *,
    weights: WeightSource,
    recipe: Recipe,
    workload: Workload,
) -> Callable[[Choices], Prediction]:
    shapes: dict[torch.dtype, ModelShape] = {}

    def memory(choices: Choices) -> Prediction:
        if not choices.lean:
            return predict_stock(
                model, trained, weights=weights, workload=workload, choices=choices, recipe=recipe
            )
        dtype = choices.dtype
        if dtype not in shapes:
            shapes[dtype] = shape_of(model, trained, weights=weights, dtype=dtype)
        return predict(shapes[dtype], workload, choices, recipe=recipe)

    return memory


def _resumed(choices: Choices, found: Prediction, limit: int) -> Plan:
    # Other choices would give other bits; so it goes on as it began, or not here.
    if limit and found.total > limit:
        raise TrainingError(
            Code.MEMORY_TOO_SMALL,
            f"the run that this one resumes takes {size_text(found.total)}, there is "
            f"{size_text(limit)}",
            remedy=f"resume it where there is {size_text(found.total)}, or begin it again",
        )
    reason = f"as the run that it resumes: {size_text(found.total)} predicted"
    return Plan(choices=choices, reasons=(reason,), limit=limit, parts=found.parts)


def _beginning(recipe: Recipe, precision: Precision, why_stock: str, limit: int) -> list[str]:
    reasons = []
    if recipe.precision is Precision.AUTO:
        has = "has" if precision is Precision.BF16 else "has no"
        reasons.append(f"{precision}: this processor {has} instructions for bfloat16")
    elif precision is Precision.BF16 and not has_bfloat16():
        reasons.append("bf16, slower than fp32 here: this processor has no instructions for it")
    if why_stock:
        reasons.append(f"as transformers computes it, which is slower: {why_stock}")
    if limit:
        room = size_text(room_in(limit))
        reasons.append(f"{size_text(limit)} of memory, room for a predicted peak of {room}")
    else:
        reasons.append("no limit of memory is known")
    return reasons


def _passed_over(tried: Sequence[tuple[Way, Prediction]]) -> list[str]:
    """Return a sentence for each kind of way that did not fit: what it would take at least."""
    least: dict[str, tuple[Way, Prediction]] = {}
    for way, found in tried:
        if way.kind not in least or found.total < least[way.kind][1].total:
            least[way.kind] = (way, found)
    return [f"{way.words}: {size_text(found.total)}, too much" for way, found in least.values()]


def _too_small(
    tried: Sequence[tuple[Way, Prediction]], limit: int, recipe: Recipe
) -> TrainingError:
    way, found = min(tried, key=lambda pair: pair[1].total)
    needed = found.total
    while room_in(needed) < found.total:
        needed += MIB
    parts = sorted(found.parts.items(), key=lambda part: part[1], reverse=True)
    figures = ", ".join(f"{name} {size_text(size)}" for name, size in parts[:_NAMED])
    changes = ["lower batch_size, gradient_accumulation or max_length"]
    if recipe.streaming is Streaming.NEVER:
        changes.insert(0, "let streaming be auto")
    if recipe.micro_batch_tokens:
        changes.insert(0, "let micro_batch_tokens be 0")
    return TrainingError(
        Code.MEMORY_TOO_SMALL,
        f"the run needs {size_text(needed)} of memory at least, there is {size_text(limit)} "
        f"({way.words}: {figures})",
        remedy=f"give it {size_text(needed)}, or {', or '.join(changes)}",
    )


_NAMED = 5  # parts that an error names, the largest first
