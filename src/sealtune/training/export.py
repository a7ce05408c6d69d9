"""The result folder's files, in memory: a PEFT adapter or a whole `transformers` model."""

from __future__ import annotations

import json

import safetensors.torch
import torch

from sealtune.training.card import model_card
from sealtune.training.learner import Learner
from sealtune.training.model import LoadedModel
from sealtune.training.recipe import Recipe, Task
from sealtune.training.sources import WeightSource
from sealtune.training.tokens import dump_json
from sealtune.training.trained import Trained, short_targets, whole_modules

# Taken over into a full model's folder as they are.
_CARRIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "generation_config.json",
    "preprocessor_config.json",
)
# Sorted keys and a single metadata entry keep the bytes a function of the weights.
_METADATA = {"format": "pt"}
# PEFT has no type for images; without one it wraps any model.
_TASK_TYPES = {
    Task.CAUSAL_LM: "CAUSAL_LM",
    Task.TEXT_CLASSIFICATION: "SEQ_CLS",
    Task.TOKEN_CLASSIFICATION: "TOKEN_CLS",
}


def export_adapter(
    model: LoadedModel, learner: Learner, *, recipe: Recipe, trained: Trained, padding: int | None
) -> dict[str, bytes]:
    """Return the adapter in the layout that `peft.PeftModel.from_pretrained` reads."""
    prefix = "base_model.model."
    tensors: dict[str, torch.Tensor] = {}
    for name, (down, up) in learner.adapters().items():
        tensors[f"{prefix}{name}.lora_A.weight"] = down.contiguous()
        tensors[f"{prefix}{name}.lora_B.weight"] = up.contiguous()
    whole = whole_modules(model, recipe=recipe)
    for name in trained.names:
        tensors[f"{prefix}{name}"] = learner.parameters.value(name).cpu()
    config = {
        "peft_type": "LORA",
        "task_type": _TASK_TYPES.get(recipe.task),
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": recipe.lora_rank,
        "lora_alpha": recipe.lora_alpha,
        "lora_dropout": recipe.lora_dropout,
        "target_modules": short_targets(model.module, trained.targets),
        "modules_to_save": list(whole) or None,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "use_dora": False,
        "use_rslora": recipe.rslora,
    }
    return {
        "README.md": _card(model, recipe=recipe, padding=padding),
        "adapter_config.json": dump_json(config),
        "adapter_model.safetensors": safetensors.torch.save(tensors, metadata=_METADATA),
    }


def export_model(
    model: LoadedModel,
    learner: Learner,
    *,
    recipe: Recipe,
    weights: WeightSource,
    padding: int | None,
) -> dict[str, bytes]:
    """Return the whole model in the layout that `transformers` reads, tokenizer included."""
    tensors = {name: value.contiguous() for name, value in learner.tensors().items()}
    config = json.loads(model.config.to_json_string(use_diff=True))
    config["dtype"] = "float32"
    files = {name: bytes(weights.files[name]) for name in _CARRIED if name in weights.files}
    return {
        **files,
        "README.md": _card(model, recipe=recipe, padding=padding),
        "config.json": dump_json(config),
        "model.safetensors": safetensors.torch.save(tensors, metadata=_METADATA),
    }


def _card(model: LoadedModel, *, recipe: Recipe, padding: int | None) -> bytes:
    return model_card(
        recipe,
        model_type=str(model.config.model_type),
        class_name=type(model.module).__name__,
        padding=padding,
        replaced=model.replaced,
    )
