"""What a recipe trains and what it leaves: rsLoRA, chosen targets, frozen parts; lean and stock."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load as load_safetensors
from tiny_learners import assert_near, choosing, gradients_of, make_learner, packed, wake_adapters
from tiny_models import (
    LABELS,
    FolderWeights,
    Recorder,
    labelled_records,
    make_model,
    text_records,
    write_files,
)

from sealtune.errors import Code, TrainingError
from sealtune.training.engine.lean import why_not_lean
from sealtune.training.model import load_skeleton
from sealtune.training.recipe import Recipe
from sealtune.training.sources import TrainResult
from sealtune.training.train import train
from sealtune.training.trained import find_trained

IDS = torch.arange(3, 40).unsqueeze(0)


def recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "task": "causal-lm",
        "method": "lora",
        "epochs": 2,
        "batch_size": 4,
        "max_length": 24,
        "learning_rate": 5e-3,
        "evaluation_fraction": 0.0,
        "threads": 1,
        "lora_rank": 4,
        "lora_alpha": 12,
    }
    return Recipe(**{**values, **changes})


def run(folder: Path, recipe: Recipe) -> tuple[TrainResult, Recorder]:
    recorder = Recorder()
    result = train(
        recipe,
        weights=FolderWeights(folder),
        records=text_records(16),
        checkpoints=recorder,
        telemetry=recorder,
    )
    return result, recorder


def plain_logits(folder: Path, result: TrainResult, *, scaling: float) -> torch.Tensor:
    """Logits of the base model with each adapter's product added to its matrix by hand."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tensors = load_safetensors(result.files["adapter_model.safetensors"])
    prefix, end = "base_model.model.", ".lora_A.weight"
    with torch.no_grad():
        for name in [n for n in tensors if n.endswith(end)]:
            up = tensors[name.removesuffix(end) + ".lora_B.weight"]
            module = model.get_submodule(name.removeprefix(prefix).removesuffix(end))
            module.weight += scaling * up @ tensors[name]
        logits: torch.Tensor = model(IDS).logits
    return logits


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "v_proj"), ("down_proj",)], ids=str)
def test_an_adapter_gives_peft_the_same_logits(
    targets: Any, rslora: bool, llama: Path, tmp_path: Path
) -> None:
    chosen = recipe(rslora=rslora, lora_targets=targets)
    result, recorder = run(llama, chosen)
    assert recorder.plan["choices"]["lean"]
    assert json.loads(result.files["adapter_config.json"])["use_rslora"] is rslora
    scaling = 12 / (math.sqrt(4) if rslora else 4)
    expected = plain_logits(llama, result, scaling=scaling)
    base = transformers.AutoModelForCausalLM.from_pretrained(llama).eval()
    with torch.no_grad():
        untrained = base(IDS).logits
        out = write_files(tmp_path / "out", result.files)
        logits = peft.PeftModel.from_pretrained(base, out).eval()(IDS).logits
    assert_near(logits, expected, within=1e-5)
    assert (logits - untrained).abs().max() > 0.05


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rslora": True},
        {"lora_targets": ("q_proj", "v_proj")},
        {"lora_targets": ("up_proj", "o_proj")},
        {"lora_targets": ("model.layers.1.mlp.down_proj",)},
        {"task": "text-classification", "labels": LABELS},
        {"method": "full"},
        {"method": "full", "frozen": ("model.embed_tokens", "lm_head")},
        {"method": "full", "frozen": ("layers.0", "norm")},
        {"method": "full", "frozen": ("self_attn", "input_layernorm")},
        {"method": "full", "frozen": ("mlp",)},
        {"method": "full", "task": "text-classification", "labels": LABELS, "frozen": ("layers",)},
    ],
    ids=str,
)
def test_lean_equals_stock(changes: dict[str, Any], llama: Path) -> None:
    chosen = recipe(**changes)
    batches = [packed(lengths, recipe=chosen) for lengths in ((40, 17, 5), (30, 9))]
    found = []
    for lean in (True, False):
        learner = make_learner(llama, chosen, lean=lean)
        wake_adapters(learner)
        losses = [o.loss for o in learner.gradients(batches, scale=0.1, step=1)]
        evaluated = learner.losses(batches)
        found.append((losses, [o.hits for o in evaluated], gradients_of(learner)))
    lean_found, stock = found
    assert lean_found[0] == pytest.approx(stock[0], rel=1e-5)
    assert lean_found[1] == stock[1]
    assert lean_found[2].keys() == stock[2].keys()
    for name, value in lean_found[2].items():
        assert_near(value, stock[2][name], within=1e-4)


FROZEN = {
    ("model.embed_tokens", "lm_head"): ["model.embed_tokens.weight", "lm_head.weight"],
    ("layers.0",): ["layers.0."],
    ("self_attn",): [".self_attn."],
    ("model.layers.1.mlp.up_proj.weight",): ["model.layers.1.mlp.up_proj.weight"],
    ("norm",): ["model.norm.weight"],
}


@pytest.mark.parametrize("frozen", FROZEN, ids=str)
def test_frozen_parts_stay_to_the_bit(frozen: tuple[str, ...], llama: Path, tmp_path: Path) -> None:
    result, _ = run(llama, recipe(method="full", frozen=frozen, learning_rate=1e-3))
    before = FolderWeights(llama)
    after = load_safetensors(result.files["model.safetensors"])
    assert set(after) == set(before.tensors)
    for name, value in after.items():
        kept = any(part in name for part in FROZEN[frozen])
        assert torch.equal(value, before.get(name)) is kept, name
    trained = sum(v.numel() for n, v in after.items() if not torch.equal(v, before.get(n)))
    assert result.counts["trainable_parameters"] == trained
    out = write_files(tmp_path / "out", result.files)
    _, report = transformers.AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not report["missing_keys"]


def test_what_shares_an_input_and_is_frozen_in_part_runs_stock(llama: Path) -> None:
    for frozen, lean in ((("q_proj",), False), (("q_proj", "k_proj", "v_proj"), True)):
        chosen = recipe(method="full", frozen=frozen, learning_rate=1e-3)
        _, recorder = run(llama, chosen)
        assert recorder.plan["choices"]["lean"] is lean
        model = load_skeleton(FolderWeights(llama), recipe=chosen)
        assert bool(why_not_lean(model, find_trained(model, recipe=chosen))) is not lean


@pytest.mark.parametrize("frozen", ["layer", "layers.7", "proj", "q_pro", "model.layers.0.mlp.x"])
def test_a_name_that_is_no_part_is_refused(frozen: str, llama: Path) -> None:
    chosen = recipe(method="full", frozen=(frozen,))
    model = load_skeleton(FolderWeights(llama), recipe=chosen)
    with pytest.raises(TrainingError) as caught:
        find_trained(model, recipe=chosen)
    assert caught.value.code is Code.RECIPE_UNSUPPORTED
    assert frozen in caught.value.message


@pytest.mark.parametrize("lean", [True, False])
def test_a_frozen_part_that_the_model_lacks_stays_as_it_was_drawn(lean: bool, llama: Path) -> None:
    labels = {"task": "text-classification", "labels": LABELS}
    chosen = recipe(method="full", frozen=("score",), learning_rate=1e-3, **labels)
    recorder = Recorder()
    with choosing({"lean": lean}):
        result = train(
            chosen,
            weights=FolderWeights(llama),
            records=labelled_records(8),
            checkpoints=recorder,
            telemetry=recorder,
        )
    torch.manual_seed(chosen.seed)
    drawn = load_skeleton(FolderWeights(llama), recipe=chosen).module.score.weight
    assert torch.equal(load_safetensors(result.files["model.safetensors"])["score.weight"], drawn)


def test_what_is_tied_to_the_embedding_is_frozen_with_it(tmp_path: Path) -> None:
    shape = {"model_type": "llama", "auto_class": "AutoModelForCausalLM"}
    weights = FolderWeights(make_model(tmp_path / "tied", **shape, tie_word_embeddings=True))
    chosen = recipe(method="full", frozen=("lm_head",))
    model = load_skeleton(weights, recipe=chosen)
    with pytest.raises(TrainingError) as caught:
        find_trained(model, recipe=chosen)
    assert caught.value.code is Code.RECIPE_UNSUPPORTED
    assert "lm_head is tied to model.embed_tokens.weight" in caught.value.message
    assert "model.embed_tokens" in caught.value.remedy
    chosen = recipe(method="full", frozen=("model.embed_tokens",))
    assert "model.embed_tokens.weight" not in find_trained(model, recipe=chosen).names


def test_something_must_be_trained(llama: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        run(llama, recipe(method="full", frozen=("model", "lm_head")))
    assert caught.value.code is Code.NOTHING_TO_TRAIN


@pytest.mark.parametrize("lean", [True, False])
def test_tied_embeddings_get_both_gradients(lean: bool, tmp_path: Path) -> None:
    """As input and as output: with the sum of what both would get if they were not one."""
    shape = {"model_type": "llama", "auto_class": "AutoModelForCausalLM"}
    tied = make_model(tmp_path / "tied", **shape, tie_word_embeddings=True)
    weights = FolderWeights(tied)
    chosen = recipe(method="full")
    learner = make_learner(weights, chosen, lean=lean)
    assert "lm_head.weight" not in learner.parameters.slots
    batch = packed((30, 9), recipe=chosen)
    learner.gradients([batch], scale=0.1, step=1)
    weights.config["tie_word_embeddings"] = False
    name = "model.embed_tokens.weight"
    weights.put("lm_head.weight", weights.get(name))
    apart = make_learner(weights, chosen, lean=lean)
    apart.gradients([batch], scale=0.1, step=1)
    both = apart.parameters.gradient(name) + apart.parameters.gradient("lm_head.weight")
    assert_near(learner.parameters.gradient(name), both, within=1e-5)
