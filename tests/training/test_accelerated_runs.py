"""Runs on an accelerator: the same numbers as on the processor, one copy there and one back."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from far_device import DOWN, FAR, UP, FarDevice
from safetensors.torch import load as load_safetensors
from tiny_learners import choosing, gradients_of, make_learner, packed, wake_adapters
from tiny_models import (
    LABELS,
    FolderWeights,
    Recorder,
    labelled_records,
    make_model,
    text_records,
)

from sealtune.training import plan as plan_module
from sealtune.training import state as state_module
from sealtune.training.engine.choices import Choices
from sealtune.training.engine.crossing import read
from sealtune.training.recipe import Precision, Recipe
from sealtune.training.sources import TrainResult
from sealtune.training.train import train

LANGUAGE = Recipe(
    task="causal-lm",
    method="lora",
    epochs=2,
    batch_size=4,
    gradient_accumulation=2,
    max_length=24,
    learning_rate=1e-2,
    weight_decay=0.1,
    max_grad_norm=0.5,
    evaluation_fraction=0.2,
    evaluation_every_steps=3,
    checkpoint_every_steps=4,
    micro_batch_tokens=48,
    precision="fp32",
    threads=1,
    lora_rank=4,
    seed=3,
)
CLASSIFY = Recipe(
    **{**LANGUAGE.to_dict(), "task": "text-classification", "labels": LABELS, "epochs": 3}
)
# The device has no generator of random numbers.
NO_DROPOUT = dict.fromkeys(
    (
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "dropout",
        "attention_dropout",
        "seq_classif_dropout",
    ),
    0.0,
)
CROSSINGS = [UP, DOWN]
BYTES_MAX = 1_000_000


@pytest.fixture
def fused_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's one kernel for AdamW knows no device of this name."""
    adam = importlib.import_module("torch.optim.adam")
    monkeypatch.setattr(adam, "_device_dtype_check_for_fused", lambda *_, **__: None)


class Watcher(Recorder):
    """Keeps what crossed between one optimizer step's report of its loss and the last's end."""

    def __init__(self, device: FarDevice) -> None:
        super().__init__()
        self.device = device
        self.steps_crossings: list[list[tuple[str, int]]] = []
        self.begun = 0

    def loss(self, step: int, value: float) -> None:
        super().loss(step, value)
        self.steps_crossings.append(self.device.crossings[self.begun :])

    def progress(self, step: int, total: int, tokens: int) -> None:
        super().progress(step, total, tokens)
        self.begun = len(self.device.crossings)

    def save(self, step: int, blob: bytes) -> None:
        super().save(step, blob)
        self.begun = len(self.device.crossings)


def run(folder: Path, recipe: Recipe, recorder: Recorder, **choices: Any) -> TrainResult:
    records = labelled_records(40) if recipe.labels else text_records(40)
    with choosing(choices):
        return train(
            recipe,
            weights=FolderWeights(folder),
            records=records,
            checkpoints=recorder,
            telemetry=recorder,
        )


def assert_alike(one: TrainResult, other: TrainResult) -> None:
    assert one.metrics == pytest.approx(other.metrics, rel=1e-4)
    assert one.counts == other.counts
    ours, theirs = (
        load_safetensors(result.files["adapter_model.safetensors"]) for result in (one, other)
    )
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("fused_everywhere")
@pytest.mark.parametrize(
    ("model", "recipe"), [("llama", LANGUAGE), ("llama", CLASSIFY), ("bert", CLASSIFY)]
)
def test_a_step_crosses_once_each_way(model: str, recipe: Recipe, tmp_path: Path) -> None:
    auto_class = "AutoModel" if model == "bert" else "AutoModelForCausalLM"
    folder = make_model(tmp_path, model_type=model, auto_class=auto_class, **NO_DROPOUT)
    here = Recorder()
    expected = run(folder, recipe, here)
    with FarDevice() as device:
        there = Watcher(device)
        result = run(folder, recipe, there, device=FAR)
    np.testing.assert_allclose(there.losses, here.losses, rtol=1e-4)
    assert_alike(result, expected)
    assert len(there.steps_crossings) > 6
    # The first step begins where the weights come.
    for crossings in there.steps_crossings[1:]:
        assert [direction for direction, _ in crossings] == CROSSINGS
        assert sum(size for _, size in crossings) < BYTES_MAX


@pytest.mark.usefixtures("fused_everywhere")
def test_a_run_goes_on_from_its_checkpoint_with_the_same_bits(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_device(values: dict[str, Any]) -> Choices:
        return Choices(**{**values, "precision": Precision(values["precision"])})

    monkeypatch.setattr(state_module, "choices_from_dict", with_device)
    monkeypatch.setattr(plan_module, "_check_device", lambda *_: None)
    with FarDevice() as device:
        whole = Watcher(device)
        expected = run(llama, LANGUAGE, whole, device=FAR)
        first = min(whole.saved)
        again = Watcher(device)
        again.saved[first] = whole.saved[first]
        result = run(llama, LANGUAGE, again)
    assert again.losses == whole.losses[first:]
    assert result.files == expected.files


FAMILIES = {
    "qwen3": {},
    "mistral": {"sliding_window": 8},
    "gemma2": {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "smollm3": {},
    "phi3": {},
    "roberta": {},
    "distilbert": {},
    "electra": {"embedding_size": 16},
    "modernbert": {"local_attention": 8},
}
LENGTHS = ((30, 17, 17, 5), (30, 9), (1, 2, 23))


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("model", FAMILIES)
def test_every_family_is_computed_there_as_here(model: str, method: str, tmp_path: Path) -> None:
    encoder = model in ("roberta", "distilbert", "electra", "modernbert")
    recipe = Recipe(task="causal-lm", method=method, lora_rank=4)
    if encoder:
        recipe = Recipe(task="text-classification", method=method, labels=LABELS, lora_rank=4)
    folder = make_model(
        tmp_path,
        model_type=model,
        auto_class="AutoModel" if encoder else "AutoModelForCausalLM",
        **NO_DROPOUT,
        **FAMILIES[model],
    )
    batches = [packed(lengths, recipe=recipe, seed=i) for i, lengths in enumerate(LENGTHS)]

    def compute(**choices: Any) -> tuple[list[float], dict[str, torch.Tensor]]:
        learner = make_learner(folder, recipe, **choices)
        wake_adapters(learner)
        device.crossings.clear()
        outcomes = learner.gradients(batches, scale=0.05, step=1)
        losses = read([outcome.total for outcome in outcomes])
        crossed = [direction for direction, _ in device.crossings]
        assert crossed == (CROSSINGS if choices else [])
        return losses, {name: value.cpu() for name, value in gradients_of(learner).items()}

    with FarDevice() as device:
        losses, gradients = compute(device=FAR)
        expected_losses, expected = compute()
    assert losses == pytest.approx(expected_losses, rel=1e-5)
    largest = max(float(value.abs().max()) for value in expected.values())
    for name, value in expected.items():
        assert value.any() or "token_type" in name or ".k" in name or "key" in name, name
        assert float((gradients[name] - value).abs().max()) < 1e-5 * largest, name
