"""Frozen matrices in 8 bits: how far values move, and that too far is refused before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import FolderWeights, Recorder, make_model, text_records

from sealtune.errors import Code, TrainingError
from sealtune.training import train as loop
from sealtune.training.engine.quantized import narrow
from sealtune.training.recipe import Recipe
from sealtune.training.sources import TrainResult


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_move_by_half_a_step_at_most(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    matrix = torch.randn(1_100, 96, generator=generator).to(dtype)
    matrix[7] = 0
    matrix[8, 5] = 1_000.0
    values, scale = narrow(matrix)
    assert values.dtype == torch.int8
    assert int(values.abs().max()) <= 127
    moved = (values.double() * scale.double() - matrix.double()).abs()
    assert bool((moved <= scale.double() / 2 * (1 + 1e-6)).all())
    assert bool((values[7] == 0).all())


def run(folder: Path, **changes: Any) -> tuple[TrainResult, Recorder]:
    recipe = Recipe(
        task="causal-lm",
        method="lora",
        max_length=24,
        batch_size=4,
        epochs=1,
        threads=1,
        evaluation_fraction=0.0,
        **changes,
    )
    recorder = Recorder()
    result = loop.train(
        recipe,
        weights=FolderWeights(folder),
        records=text_records(12),
        checkpoints=recorder,
        telemetry=recorder,
    )
    return result, recorder


def test_losses_are_near_those_of_the_stored_weights(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", model_type="llama", auto_class="AutoModelForCausalLM")
    wide, narrow_run = run(folder)[1], run(folder, frozen_int8=True)[1]
    assert narrow_run.losses != wide.losses
    assert narrow_run.losses == pytest.approx(wide.losses, rel=5e-3)


def test_too_coarse_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model(tmp_path / "m", model_type="llama", auto_class="AutoModelForCausalLM")
    monkeypatch.setattr(loop, "_NARROWING_MAX", 1e-9)
    with pytest.raises(TrainingError) as caught:
        run(folder, frozen_int8=True)
    assert caught.value.code is Code.NARROWING_TOO_COARSE
