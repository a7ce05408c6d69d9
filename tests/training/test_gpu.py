"""Runs on a real accelerator. `test_accelerated_runs` shows on any machine what can be shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_learners import make_learner, packed, wake_adapters
from tiny_models import FolderWeights, Recorder, make_model, text_records
from torch.profiler import ProfilerActivity, profile

from sealtune.training.engine.choices import Device
from sealtune.training.engine.crossing import read
from sealtune.training.optimizer import Optimizer
from sealtune.training.recipe import Precision, Recipe
from sealtune.training.sources import TrainResult
from sealtune.training.train import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
RECIPE = Recipe(
    task="causal-lm",
    method="lora",
    epochs=2,
    batch_size=4,
    gradient_accumulation=2,
    max_length=64,
    learning_rate=1e-2,
    lora_rank=4,
    lora_dropout=0.1,
    evaluation_fraction=0.2,
    checkpoint_every_steps=4,
    seed=3,
)
CROSSINGS_MAX = 2
BYTES_MAX = 1_000_000
FAMILIES = {
    "llama": {},
    "mistral": {"sliding_window": 8},
    "gemma2": {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8},
}


def run(folder: Path, recipe: Recipe, recorder: Recorder, device: Device) -> TrainResult:
    return train(
        recipe,
        weights=FolderWeights(folder),
        records=text_records(40),
        checkpoints=recorder,
        telemetry=recorder,
        device=device,
    )


def without_dropout(precision: str) -> Recipe:
    return Recipe(**{**RECIPE.to_dict(), "lora_dropout": 0.0, "precision": precision})


@pytest.fixture(params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    extra = FAMILIES[request.param]
    return make_model(
        tmp_path, model_type=request.param, auto_class="AutoModelForCausalLM", **extra
    )


@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-3), ("bf16", 0.03)])
def test_losses_are_those_of_the_processor(folder: Path, precision: str, within: float) -> None:
    here, there = Recorder(), Recorder()
    recipe = without_dropout(precision)
    run(folder, recipe, here, Device.CPU)
    run(folder, recipe, there, Device.CUDA)
    assert there.plan["choices"]["device"] == "cuda"
    np.testing.assert_allclose(there.losses, here.losses, rtol=within)


def test_a_resumed_run_ends_with_the_same_bytes(folder: Path) -> None:
    whole = Recorder()
    expected = run(folder, RECIPE, whole, Device.CUDA)
    again = Recorder()
    first = min(whole.saved)
    again.saved[first] = whole.saved[first]
    assert run(folder, RECIPE, again, Device.CUDA).files == expected.files


def test_a_step_crosses_to_the_device_and_back_once(folder: Path, tmp_path: Path) -> None:
    learner = make_learner(folder, RECIPE, device="cuda", precision=Precision.BF16)
    wake_adapters(learner)
    optimizer = Optimizer(learner.parameters, recipe=RECIPE)
    lengths = ((40, 17, 17, 5), (30, 9), (1, 2, 23))
    batches = [packed(each, recipe=RECIPE, seed=i) for i, each in enumerate(lengths)]

    def step(number: int) -> None:
        outcomes = learner.gradients(batches, scale=0.05, step=number)
        *_, norm = read([*(outcome.total for outcome in outcomes), optimizer.norm()])
        optimizer.step(rate=1e-3, norm=norm)

    for number in range(1, 4):
        step(number)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        step(4)
        torch.cuda.synchronize()
    trace = tmp_path / "trace.json"
    profiler.export_chrome_trace(str(trace))
    events = json.loads(trace.read_text())["traceEvents"]
    copies = [event for event in events if event.get("cat") == "gpu_memcpy"]
    crossings = [event for event in copies if "HtoD" in event["name"] or "DtoH" in event["name"]]
    # At least one each way, or the profiler did not see them.
    assert {"HtoD" in event["name"] for event in crossings} == {True, False}
    assert len(crossings) <= CROSSINGS_MAX
    assert sum(event["args"]["bytes"] for event in crossings) < BYTES_MAX
