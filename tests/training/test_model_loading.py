"""Loading is strict: every tensor of the architecture, none besides, all of the stated shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import LABELS, FolderWeights, make_model

from sealtune.errors import Code, FormatError, SealtuneError, TrainingError
from sealtune.training.configuration import check_blocks
from sealtune.training.model import LoadedModel, fill_model, load_skeleton
from sealtune.training.recipe import Recipe

CLASSIFY = Recipe(task="text-classification", method="lora", labels=LABELS)
LANGUAGE = Recipe(task="causal-lm", method="lora")


def load(weights: FolderWeights, *, recipe: Recipe, half: bool = False) -> LoadedModel:
    model = load_skeleton(weights, recipe=recipe)
    fill_model(model, weights=weights, half=half)
    return model


def refused(weights: FolderWeights, recipe: Recipe) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        load(weights, recipe=recipe)
    return caught.value


def same_outputs(model: LoadedModel, folder: Path) -> bool:
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.arange(3, 20).unsqueeze(0)
    with torch.no_grad():
        return torch.equal(model.module.eval()(ids).logits, plain(ids).logits)


def test_language_model_equals_from_pretrained(llama: Path) -> None:
    assert same_outputs(load(FolderWeights(llama), recipe=LANGUAGE), llama)


def test_stored_without_the_base_models_prefix(bert: Path) -> None:
    weights = FolderWeights(bert)
    assert "embeddings.word_embeddings.weight" in weights.tensors
    model = load(weights, recipe=CLASSIFY)
    assert model.new_modules == ("classifier",)
    plain = transformers.AutoModel.from_pretrained(bert).eval()
    ids = torch.arange(3, 20).unsqueeze(0)
    with torch.no_grad():
        ours = model.module.eval().bert(ids).last_hidden_state
        assert torch.equal(ours, plain(ids).last_hidden_state)


def test_stored_with_the_prefix_and_another_tasks_head(bert: Path) -> None:
    weights = FolderWeights(bert)
    for name in list(weights.tensors):
        weights.rename(name, f"bert.{name}")
    weights.put("cls.predictions.bias", torch.zeros(320))
    weights.put("bert.embeddings.position_ids", torch.zeros(1, 130))
    assert load(weights, recipe=CLASSIFY).new_modules == ("classifier",)


def test_old_names_of_layer_normalization(bert: Path) -> None:
    weights = FolderWeights(bert)
    marked = torch.full((32,), 3.0)
    weights.put("embeddings.LayerNorm.weight", marked)
    weights.rename("embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma")
    weights.rename("embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta")
    model = load(weights, recipe=CLASSIFY)
    assert torch.equal(model.module.bert.embeddings.LayerNorm.weight, marked)


def test_stored_head_is_kept(bert: Path) -> None:
    weights = FolderWeights(bert)
    head = torch.randn(3, 32)
    weights.put("classifier.weight", head)
    weights.put("classifier.bias", torch.zeros(3))
    model = load(weights, recipe=CLASSIFY)
    assert model.new_modules == ()
    assert torch.equal(model.module.classifier.weight, head)


def test_a_stored_head_for_other_classes_gives_way_to_a_new_one(bert: Path) -> None:
    weights = FolderWeights(bert)
    weights.put("classifier.weight", torch.randn(2, 32))
    weights.put("classifier.bias", torch.zeros(2))
    model = load(weights, recipe=CLASSIFY)
    assert (model.new_modules, model.replaced) == (("classifier",), ("classifier",))
    assert model.module.classifier.weight.shape == (3, 32)
    assert "classifier.weight" not in model.placement
    weights.put("classifier.weight", torch.randn(2, 31))  # of another width
    assert refused(weights, CLASSIFY).code is Code.MODEL_MALFORMED


def test_half_a_head_is_refused(bert: Path) -> None:
    weights = FolderWeights(bert)
    weights.put("classifier.weight", torch.zeros(3, 32))
    assert refused(weights, CLASSIFY).code is Code.MODEL_MALFORMED


def test_missing_tensor_is_named(llama: Path) -> None:
    weights = FolderWeights(llama)
    del weights.tensors["model.layers.1.mlp.up_proj.weight"]
    weights.data.clear()  # refused before anything is read
    error = refused(weights, LANGUAGE)
    assert (type(error), error.code) == (FormatError, Code.MODEL_MALFORMED)
    assert "model.layers.1.mlp.up_proj.weight" in str(error)


def test_superfluous_tensor_is_named(llama: Path) -> None:
    weights = FolderWeights(llama)
    weights.put("model.layers.2.mlp.up_proj.weight", torch.zeros(2))
    error = refused(weights, LANGUAGE)
    assert error.code is Code.MODEL_MALFORMED
    assert "model.layers.2.mlp.up_proj.weight" in str(error)


def test_same_tensor_under_two_names(bert: Path) -> None:
    weights = FolderWeights(bert)
    weights.put("bert.pooler.dense.bias", torch.zeros(32))
    assert refused(weights, CLASSIFY).code is Code.MODEL_MALFORMED


def test_other_shape_is_refused_before_it_is_read(llama: Path) -> None:
    weights = FolderWeights(llama)
    weights.put("lm_head.weight", torch.zeros(320, 31))
    assert refused(weights, LANGUAGE).code is Code.MODEL_MALFORMED


def test_unknown_tensor_type(llama: Path) -> None:
    weights = FolderWeights(llama)
    info = weights.tensors["lm_head.weight"]
    weights.tensors["lm_head.weight"] = type(info)(dtype="F8_E4M3", shape=info.shape)
    assert refused(weights, LANGUAGE).code is Code.MODEL_MALFORMED


def test_tied_weights_may_be_stored_once_or_twice_alike(tmp_path: Path) -> None:
    folder = make_model(
        tmp_path / "m",
        model_type="llama",
        auto_class="AutoModelForCausalLM",
        tie_word_embeddings=True,
    )
    weights = FolderWeights(folder)
    assert "lm_head.weight" not in weights.tensors
    model = load(weights, recipe=LANGUAGE)
    assert model.module.lm_head.weight is model.module.model.embed_tokens.weight
    assert same_outputs(model, folder)
    weights.put("lm_head.weight", weights.get("model.embed_tokens.weight"))
    assert same_outputs(load(weights, recipe=LANGUAGE), folder)
    weights.put("lm_head.weight", torch.zeros(320, 32))
    assert refused(weights, LANGUAGE).code is Code.MODEL_MALFORMED


def test_half_precision_weights_become_32_bits(llama: Path) -> None:
    weights = FolderWeights(llama)
    name = "model.layers.0.mlp.up_proj.weight"
    half = weights.get(name).to(torch.bfloat16)
    weights.put(name, half)
    model = load(weights, recipe=LANGUAGE)
    loaded = model.module.model.layers[0].mlp.up_proj.weight
    assert loaded.dtype is torch.float32
    assert torch.equal(loaded, half.float())


def test_frozen_matrices_live_in_bfloat16_if_asked_to(llama: Path) -> None:
    module = load(FolderWeights(llama), recipe=LANGUAGE, half=True).module
    assert module.model.layers[0].mlp.up_proj.weight.dtype is torch.bfloat16
    assert module.model.embed_tokens.weight.dtype is torch.float32
    assert module.model.norm.weight.dtype is torch.float32


@pytest.mark.parametrize(
    "change",
    [
        {"auto_map": {"AutoModel": "modeling_evil.Evil"}},
        {"model_type": "evil"},
        {"model_type": None},
        {"model_type": ["llama"]},
        {"model_type": "bert"},
        {"quantization_config": {"bits": 4}},
    ],
)
def test_unsupported_models_are_refused_and_supported_ones_listed(
    llama: Path, change: dict[str, Any]
) -> None:
    weights = FolderWeights(llama)
    weights.config.update(change)
    error = refused(weights, LANGUAGE)
    assert (type(error), error.code) == (TrainingError, Code.MODEL_UNSUPPORTED)
    if "model_type" in change:
        assert "llama" in error.remedy


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": "wide"},
        {"num_attention_heads": 0},
        {"hidden_act": "evil"},
        {"num_attention_heads": 5},
        {"hidden_size": -1},
        {"rope_parameters": {"rope_type": "evil"}},
    ],
)
def test_nonsense_configuration(llama: Path, change: dict[str, Any]) -> None:
    weights = FolderWeights(llama)
    weights.config.update(change)
    error = refused(weights, LANGUAGE)
    assert (type(error), error.code) == (FormatError, Code.MODEL_MALFORMED)


BERT = ("bert", "AutoModel", CLASSIFY)
VIT = ("vit", "AutoModel", replace(CLASSIFY, task="image-classification"))
GEMMA, SMOL, QWEN, LLAMA, STOCK = (
    (name, "AutoModelForCausalLM", LANGUAGE)
    for name in ("gemma2", "smollm3", "qwen2", "llama", "stablelm")
)


@pytest.mark.parametrize(
    ("kind", "change", "named"),
    [
        (LLAMA, {"num_hidden_layers": 0}, "num_hidden_layers"),
        (LLAMA, {"num_hidden_layers": 10**12}, "num_hidden_layers"),
        (BERT, {"num_hidden_layers": 0}, "num_hidden_layers"),
        (LLAMA, {"num_key_value_heads": 3}, "num_attention_heads"),
        (STOCK, {"num_key_value_heads": 3}, "num_attention_heads"),
        (LLAMA, {"head_dim": 3}, "head_dim"),
        (LLAMA, {"head_dim": 1}, "head_dim"),
        (BERT, {"intermediate_size": 0}, "intermediate_size"),
        (LLAMA, {"vocab_size": 0}, "vocab_size"),
        (BERT, {"max_position_embeddings": -3}, "max_position_embeddings"),
        (BERT, {"hidden_dropout_prob": 1.0}, "hidden_dropout_prob"),
        (BERT, {"classifier_dropout": -0.5}, "classifier_dropout"),
        (LLAMA, {"attention_dropout": 5.0}, "attention_dropout"),
        (LLAMA, {"attention_dropout": 0.999}, "attention_dropout"),
        (LLAMA, {"attention_dropout": float("nan")}, "attention_dropout"),
        (VIT, {"attention_probs_dropout_prob": 1.0}, "attention_probs_dropout_prob"),
        (LLAMA, {"rms_norm_eps": -1.0}, "rms_norm_eps"),
        (LLAMA, {"rope_theta": float("inf")}, "rope_theta"),
        (LLAMA, {"rope_parameters": {"rope_type": "default", "rope_theta": 0}}, "rope_theta"),
        (GEMMA, {"final_logit_softcapping": "x"}, "final_logit_softcapping"),
        (GEMMA, {"attn_logit_softcapping": -1.0}, "attn_logit_softcapping"),
        (GEMMA, {"query_pre_attn_scalar": -1}, "query_pre_attn_scalar"),
        (GEMMA, {"sliding_window": 0}, "sliding_window"),
        (GEMMA, {"layer_types": ["full_attention"] * 3}, "layer_types"),
        (GEMMA, {"layer_types": ["full_attention", "chunked_attention"]}, "layer_types"),
        (QWEN, {"layer_types": ["full_attention", "sliding_attention"]}, "sliding_window"),
        (SMOL, {"no_rope_layers": [1]}, "no_rope_layers"),
    ],
)
def test_a_configuration_that_nothing_can_be_computed_with(
    kind: tuple[str, str, Recipe],
    change: dict[str, Any],
    named: str,
    model_folder: Callable[..., Path],
) -> None:
    name, auto, recipe = kind
    weights = FolderWeights(model_folder(name, auto))
    weights.config.update(change)
    error = refused(weights, recipe)
    assert (type(error), error.code) == (FormatError, Code.MODEL_MALFORMED)
    assert named in error.message or "does not describe" in error.message


def test_heads_that_are_not_as_wide_as_the_projections(model_folder: Callable[..., Path]) -> None:
    """ModernBERT's rotations alone read head_dim: the module would fail at its first batch."""
    weights = FolderWeights(model_folder("modernbert", "AutoModel"))
    weights.config["head_dim"] = 4
    assert "head_dim" in refused(weights, CLASSIFY).message
    model = load_skeleton(FolderWeights(model_folder("vit", "AutoModel")), recipe=VIT[2])
    model.config.head_dim = 4
    with pytest.raises(FormatError) as caught:
        check_blocks(model.module)
    assert caught.value.code is Code.MODEL_MALFORMED


def test_a_configuration_that_asks_for_tuples_or_many_labels_gets_neither(llama: Path) -> None:
    weights = FolderWeights(llama)
    weights.config |= {"return_dict": False, "num_labels": 10**12}
    model = load(weights, recipe=LANGUAGE)
    assert model.module(torch.arange(3, 20).unsqueeze(0)).logits.shape == (1, 17, 320)


def test_configuration_cannot_name_a_kernel_to_fetch(llama: Path) -> None:
    weights = FolderWeights(llama)
    weights.config["attn_implementation"] = "someone/evil-kernel"
    weights.config["_attn_implementation"] = "someone/evil-kernel"
    model = load(weights, recipe=LANGUAGE)
    assert model.config._attn_implementation == "sdpa"
