"""Chooses how a run is computed, before its weights are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from sealtune.training.corpus import Corpus
from sealtune.training.engine.choices import Choices
from sealtune.training.engine.lean import why_not_lean
from sealtune.training.model import LoadedModel
from sealtune.training.recipe import Precision, Recipe, Streaming
from sealtune.training.sources import WeightSource
from sealtune.training.trained import Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was chosen and why."""

    choices: Choices
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"choices": self.choices.to_dict(), "reasons": list(self.reasons)}


def plan_run(
    model: LoadedModel,
    trained: Trained,
    *,
    weights: WeightSource,
    recipe: Recipe,
    corpus: Corpus,
    has_scratch: bool,
    fixed: Choices | None,
) -> Plan:
    """Return the plan of a run; `fixed` are the choices of the run that it resumes."""
    if fixed is not None:
        return Plan(choices=fixed, reasons=("as the run that it resumes",))
    reason = why_not_lean(model, trained)
    streamed = recipe.streaming is Streaming.ALWAYS and not reason
    choices = Choices(
        precision=resolve_precision(recipe.precision),
        tokens=recipe.micro_batch_tokens or 2048,
        lean=not reason,
        streamed=streamed,
        tables_streamed=streamed,
        keep_probabilities=not streamed,
        spilled=10_000 if streamed and has_scratch else 0,
    )
    return Plan(choices=choices, reasons=(reason,) if reason else ())


def resolve_precision(precision: Precision) -> Precision:
    """Return `precision`, and for `auto` what this processor has instructions for."""
    if precision is not Precision.AUTO:
        return precision
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return Precision.BF16 if has_bf16 else Precision.FP32
