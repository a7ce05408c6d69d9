"""Our steps against plain PyTorch and PEFT, and the parts that a step is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load as load_safetensors
from tiny_learners import make_learner
from tiny_models import (
    LABELS,
    FolderWeights,
    Recorder,
    labelled_records,
    text_records,
    write_files,
)
from torch.nn import functional

from sealtune.errors import Code, TrainingError
from sealtune.training.corpus import build_corpus
from sealtune.training.encode import encode_records
from sealtune.training.model import LoadedModel, load_skeleton
from sealtune.training.optimizer import Optimizer, learning_rate
from sealtune.training.recipe import Recipe
from sealtune.training.records import ListedRecords
from sealtune.training.tokens import load_tokenizer
from sealtune.training.train import train
from sealtune.training.trained import find_trained, short_targets

RECIPE = Recipe(
    task="causal-lm",
    method="lora",
    epochs=3,
    batch_size=4,
    gradient_accumulation=2,
    max_length=24,
    learning_rate=1e-2,
    weight_decay=0.1,
    warmup_ratio=0.2,
    schedule="cosine",
    max_grad_norm=0.5,
    evaluation_fraction=0.0,
    threads=1,
    lora_rank=4,
    seed=3,
)


def skeleton(folder: Path, recipe: Recipe) -> LoadedModel:
    return load_skeleton(FolderWeights(folder), recipe=recipe)


def peft_model(recipe: Recipe, folder: Path) -> Any:
    """A plain PEFT model on the same base with the same initial adapters."""
    base = transformers.AutoModelForCausalLM.from_pretrained(folder)
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        target_modules="all-linear",
    )
    model = peft.get_peft_model(base, config)
    ours = make_learner(folder, recipe).adapters()
    theirs = {
        name.removeprefix("base_model.model."): part
        for name, part in model.named_modules()
        if isinstance(part, peft.tuners.lora.Linear)
    }
    assert set(ours) == set(theirs)
    with torch.no_grad():
        for name, part in theirs.items():
            part.lora_A["default"].weight.copy_(ours[name][0])
    return model


def peft_losses(recipe: Recipe, folder: Path, records: list[dict[str, object]]) -> Any:
    """Losses and model of a loop written with PyTorch and PEFT alone."""
    model = peft_model(recipe, folder).train()
    tokenizer = load_tokenizer(FolderWeights(folder).files)
    encoded = encode_records(records, recipe=recipe, tokenizer=tokenizer, what="record")
    corpus = build_corpus(ListedRecords(records), recipe=recipe, tokenizer=tokenizer)
    with corpus.steps(after=0, budget=10**6) as steps:
        order = [[number for batch in batches for number in batch.records] for _, batches in steps]
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=recipe.weight_decay)
    warmup = math.ceil(recipe.warmup_ratio * len(order))
    losses = []
    for done, numbers in enumerate(order):
        optimizer.zero_grad()
        examples = [encoded.examples[number] for number in numbers]
        count = sum(int((example.targets[1:] != -100).sum()) for example in examples)
        value = 0.0
        for example in examples:
            logits = model(input_ids=torch.from_numpy(example.ids).unsqueeze(0)).logits[0]
            targets = torch.from_numpy(example.targets)
            loss = functional.cross_entropy(logits[:-1], targets[1:], reduction="sum")
            (loss / count).backward()
            value += float(loss.detach()) / count
        torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
        if done < warmup:
            factor = (done + 1) / (warmup + 1)
        else:
            factor = 0.5 + 0.5 * math.cos(math.pi * (done - warmup) / (len(order) - warmup))
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * factor
        optimizer.step()
        losses.append(value)
    return losses, model


def test_losses_equal_plain_pytorch_and_peft_step_by_step(llama: Path) -> None:
    records = text_records(30)
    recorder = Recorder()
    result = train(
        RECIPE,
        weights=FolderWeights(llama),
        records=records,
        checkpoints=recorder,
        telemetry=recorder,
    )
    losses, model = peft_losses(RECIPE, llama, records)
    assert len(losses) == 12
    np.testing.assert_allclose(recorder.losses, losses, rtol=2e-5)
    assert losses[-1] < 0.8 * losses[0]
    theirs = peft.get_peft_model_state_dict(model)
    ours = load_safetensors(result.files["adapter_model.safetensors"])
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4)


def test_bf16_follows_fp32(llama: Path) -> None:
    runs = []
    for precision in ("fp32", "bf16"):
        recorder = Recorder()
        recipe = Recipe(**{**RECIPE.to_dict(), "precision": precision})
        train(
            recipe,
            weights=FolderWeights(llama),
            records=text_records(30),
            checkpoints=recorder,
            telemetry=recorder,
        )
        runs.append(recorder.losses)
    assert runs[0] != runs[1]
    np.testing.assert_allclose(runs[0], runs[1], rtol=0.03)


def test_merged_adapter_equals_unmerged(llama: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    result = train(
        RECIPE,
        weights=FolderWeights(llama),
        records=text_records(30),
        checkpoints=recorder,
        telemetry=recorder,
    )
    base = transformers.AutoModelForCausalLM.from_pretrained(llama)
    ids = torch.arange(3, 30).unsqueeze(0)
    with torch.no_grad():
        untrained = base.eval()(ids).logits
        model = peft.PeftModel.from_pretrained(base, write_files(tmp_path / "out", result.files))
        before = model.eval()(ids).logits
        merged = model.merge_and_unload()
        after = merged(ids).logits
    assert len(find_trained(skeleton(llama, RECIPE), recipe=RECIPE).targets) == 14
    assert not any("lora" in name for name, _ in merged.named_parameters())
    assert (before - untrained).abs().max() > 0.1
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lean", [True, False])
def test_only_adapters_are_trained_in_a_language_model(lean: bool, llama: Path) -> None:
    learner = make_learner(llama, RECIPE, lean=lean)
    assert len(learner.parameters.slots) == 2 * 14
    assert all(name.endswith(("lora_A", "lora_B")) for name in learner.parameters.slots)


@pytest.mark.parametrize("lean", [True, False])
def test_only_adapters_and_head_are_trained(lean: bool, bert: Path) -> None:
    recipe = Recipe(task="text-classification", method="lora", labels=LABELS)
    names = make_learner(bert, recipe, lean=lean).parameters.slots
    assert all("lora_" in name or name.startswith("classifier.") for name in names)
    assert "bert.pooler.dense.lora_A" in names
    assert "classifier.weight" in names


def test_chosen_targets(bert: Path) -> None:
    recipe = Recipe(
        task="text-classification", method="lora", labels=LABELS, lora_targets=("query", "value")
    )
    model = skeleton(bert, recipe)
    targets = find_trained(model, recipe=recipe).targets
    assert len(targets) == 4
    assert short_targets(model.module, targets) == ["query", "value"]
    # `dense` alone would also name the layers in attention and in the pooler.
    some = ["bert.encoder.layer.0.output.dense"]
    assert short_targets(model.module, some) == some


@pytest.mark.parametrize("target", ["quer", "classifier", "embeddings"])
def test_unknown_target_is_refused(bert: Path, target: str) -> None:
    recipe = Recipe(
        task="text-classification", method="lora", labels=LABELS, lora_targets=("query", target)
    )
    with pytest.raises(TrainingError) as caught:
        find_trained(skeleton(bert, recipe), recipe=recipe)
    assert caught.value.code is Code.RECIPE_UNSUPPORTED
    assert "query" in caught.value.remedy


@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("model", ["bert", "llama"])
def test_biases_and_normalization_do_not_decay(
    model: str, lean: bool, model_folder: Callable[..., Path]
) -> None:
    recipe = Recipe(task="text-classification", method="full", labels=LABELS, weight_decay=0.1)
    learner = make_learner(model_folder(model, "AutoModel"), recipe, lean=lean)
    before = {name: learner.parameters.value(name).clone() for name in learner.parameters.slots}
    # Without a gradient, decay is all that a step does.
    Optimizer(learner.parameters, recipe=recipe).step(rate=0.5)
    assert sum("norm" in name.lower() for name in before) >= 5
    for name, value in before.items():
        spared = name.endswith(".bias") or "norm" in name.lower()
        factor = 1.0 if spared else 1 - 0.5 * 0.1
        assert torch.equal(learner.parameters.value(name), value * factor), name


def test_learning_rate() -> None:
    def rates(**changes: Any) -> list[float]:
        recipe = Recipe(task="causal-lm", method="lora", learning_rate=1.0, **changes)
        return [round(learning_rate(recipe, step=s, total=10), 3) for s in range(1, 11)]

    assert rates(schedule="constant") == [1.0] * 10
    assert rates(schedule="linear") == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    warm = rates(schedule="linear", warmup_ratio=0.2)
    assert warm == [0.333, 0.667, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    cosine = rates(schedule="cosine")
    assert (cosine[0], cosine[5]) == (1.0, 0.5)
    assert sorted(cosine, reverse=True) == cosine
    assert len(rates(warmup_ratio=1.0)) == 10


def test_accuracy_rises_on_learnable_records(bert: Path) -> None:
    recorder = Recorder()
    recipe = Recipe(
        task="text-classification",
        method="lora",
        labels=LABELS,
        epochs=4,
        max_length=16,
        learning_rate=5e-3,
        evaluation_fraction=0.2,
        threads=1,
    )
    result = train(
        recipe,
        weights=FolderWeights(bert),
        records=labelled_records(60),
        checkpoints=recorder,
        telemetry=recorder,
    )
    assert result.metrics["accuracy_after"] > result.metrics["accuracy_before"] + 0.2
    assert result.metrics["loss_after"] < result.metrics["loss_before"]
    assert result.counts["records"] == 48
    assert result.counts["evaluation_records"] == 12
    assert result.counts["optimizer_steps"] == 24
    assert [step for step, _ in recorder.evaluations] == [0, 6, 12, 18, 24]
    assert recorder.steps[-1] == (24, 24)
