"""Our steps against plain PyTorch and PEFT, and the parts that a step is made of."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load as load_safetensors
from tiny_models import LABELS, FolderWeights, Recorder, labelled_records, text_records
from torch.nn import functional

from sealtune.errors import Code, TrainingError
from sealtune.training.arithmetic import fixed_arithmetic
from sealtune.training.batches import BatchPlan, collate
from sealtune.training.encode import encode_records
from sealtune.training.lora import LoraLinear, add_adapters, merge_adapters, short_targets
from sealtune.training.model import load_model
from sealtune.training.optimizer import build_optimizer, learning_rate, trainable_parameters
from sealtune.training.recipe import Recipe
from sealtune.training.tokens import load_tokenizer
from sealtune.training.train import train

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


def initial_adapters(recipe: Recipe, folder: Path) -> dict[str, LoraLinear]:
    """The adapters as train() initializes them."""
    with fixed_arithmetic(seed=recipe.seed, threads=1):
        model = load_model(FolderWeights(folder), recipe=recipe)
        add_adapters(model, recipe=recipe)
    return {n: p for n, p in model.module.named_modules() if isinstance(p, LoraLinear)}


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
    ours = initial_adapters(recipe, folder)
    theirs = {
        name.removeprefix("base_model.model."): part
        for name, part in model.named_modules()
        if isinstance(part, peft.tuners.lora.Linear)
    }
    assert set(ours) == set(theirs)
    with torch.no_grad():
        for name, part in theirs.items():
            part.lora_A["default"].weight.copy_(ours[name].lora_A)
    return model


def peft_losses(recipe: Recipe, folder: Path, records: list[dict[str, object]]) -> Any:
    """Losses and model of a loop written with PyTorch and PEFT alone."""
    model = peft_model(recipe, folder).train()
    tokenizer = load_tokenizer(FolderWeights(folder).files)
    encoded = encode_records(records, recipe=recipe, tokenizer=tokenizer, what="record")
    examples = encoded.examples
    plan = BatchPlan(
        lengths=tuple(len(e.ids) for e in examples),
        batch_size=recipe.batch_size,
        accumulation=recipe.gradient_accumulation,
        epochs=recipe.epochs,
        seed=recipe.seed,
    )
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=recipe.weight_decay)
    warmup = math.ceil(recipe.warmup_ratio * plan.total_steps)
    losses = []
    for step, micro_batches in plan.steps(after=0):
        optimizer.zero_grad()
        batches = [collate([examples[i] for i in b], padding=0) for b in micro_batches]
        count = sum(int((b.targets[:, 1:] != -100).sum()) for b in batches)
        value = 0.0
        for batch in batches:
            logits = model(input_ids=batch.ids, attention_mask=batch.mask).logits
            loss = functional.cross_entropy(
                logits[:, :-1].reshape(-1, logits.shape[-1]),
                batch.targets[:, 1:].reshape(-1),
                reduction="sum",
            )
            (loss / count).backward()
            value += float(loss.detach()) / count
        torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
        done = step - 1
        if done < warmup:
            factor = (done + 1) / (warmup + 1)
        else:
            factor = 0.5 + 0.5 * math.cos(math.pi * (done - warmup) / (plan.total_steps - warmup))
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


def test_merged_adapter_equals_unmerged(llama: Path) -> None:
    model = load_model(FolderWeights(llama), recipe=RECIPE)
    targets = add_adapters(model, recipe=RECIPE)
    assert len(targets) == 14
    for name in targets:
        torch.nn.init.normal_(model.module.get_submodule(name).lora_B, std=0.1)
    module = model.module.eval()
    ids = torch.arange(3, 30).unsqueeze(0)
    with torch.no_grad():
        before = module(ids).logits
        merge_adapters(module)
        after = module(ids).logits
    assert not any(isinstance(part, LoraLinear) for part in module.modules())
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)


def test_only_adapters_and_head_are_trained(bert: Path) -> None:
    recipe = Recipe(task="text-classification", method="lora", labels=LABELS)
    model = load_model(FolderWeights(bert), recipe=recipe)
    add_adapters(model, recipe=recipe)
    names = trainable_parameters(model.module)
    assert all("lora_" in name or name.startswith("classifier.") for name in names)
    assert "bert.pooler.dense.lora_A" in names
    assert "classifier.weight" in names


def test_chosen_targets(bert: Path) -> None:
    recipe = Recipe(
        task="text-classification", method="lora", labels=LABELS, lora_targets=("query", "value")
    )
    model = load_model(FolderWeights(bert), recipe=recipe)
    targets = add_adapters(model, recipe=recipe)
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
    model = load_model(FolderWeights(bert), recipe=recipe)
    with pytest.raises(TrainingError) as caught:
        add_adapters(model, recipe=recipe)
    assert caught.value.code is Code.RECIPE_UNSUPPORTED
    assert "query" in caught.value.remedy


def test_biases_and_normalization_do_not_decay(bert: Path) -> None:
    recipe = Recipe(task="text-classification", method="full", labels=LABELS, weight_decay=0.1)
    module = load_model(FolderWeights(bert), recipe=recipe).module
    parameters = trainable_parameters(module)
    decay = {
        id(p): group["weight_decay"]
        for group in build_optimizer(parameters, recipe=recipe).param_groups
        for p in group["params"]
    }
    for name, parameter in parameters.items():
        spared = name.endswith(".bias") or "LayerNorm" in name
        assert decay[id(parameter)] == (0.0 if spared else 0.1), name


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
