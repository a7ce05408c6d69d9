"""The result folder's files, in memory: a PEFT adapter or a whole `transformers` model."""

from __future__ import annotations

import json
from collections.abc import Sequence

import safetensors.torch
import torch

from sealtune.training.card import model_card
from sealtune.training.lora import LoraLinear, short_targets, whole_modules
from sealtune.training.model import LoadedModel
from sealtune.training.recipe import Recipe, Task
from sealtune.training.sources import WeightSource
from sealtune.training.tokens import dump_json

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
)
# Sorted keys and a single metadata entry keep the bytes a function of the weights.
_METADATA = {"format": "pt"}
_TASK_TYPES = {Task.CAUSAL_LM: "CAUSAL_LM", Task.TEXT_CLASSIFICATION: "SEQ_CLS"}


def export_adapter(
    model: LoadedModel, *, recipe: Recipe, targets: Sequence[str], padding: int | None
) -> dict[str, bytes]:
    """Return the adapter in the layout that `peft.PeftModel.from_pretrained` reads."""
    prefix = "base_model.model."
    tensors: dict[str, torch.Tensor] = {}
    for name, part in model.module.named_modules():
        if isinstance(part, LoraLinear):
            tensors[f"{prefix}{name}.lora_A.weight"] = part.lora_A.detach()
            tensors[f"{prefix}{name}.lora_B.weight"] = part.lora_B.detach()
    whole = whole_modules(model, recipe=recipe)
    for name in whole:
        for key, value in model.module.get_submodule(name).state_dict().items():
            tensors[f"{prefix}{name}.{key}"] = value
    config = {
        "peft_type": "LORA",
        "task_type": _TASK_TYPES[recipe.task],
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": recipe.lora_rank,
        "lora_alpha": recipe.lora_alpha,
        "lora_dropout": recipe.lora_dropout,
        "target_modules": short_targets(model.module, targets),
        "modules_to_save": list(whole) or None,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "use_dora": False,
        "use_rslora": False,
    }
    return {
        "README.md": _card(model, recipe=recipe, padding=padding),
        "adapter_config.json": dump_json(config),
        "adapter_model.safetensors": safetensors.torch.save(tensors, metadata=_METADATA),
    }


def export_model(
    model: LoadedModel, *, recipe: Recipe, weights: WeightSource, padding: int | None
) -> dict[str, bytes]:
    """Return the whole model in the layout that `transformers` reads, tokenizer included."""
    # Tied weights are stored once, under the name that they are tied to.
    tied = set(getattr(model.module, "all_tied_weights_keys", {}))
    tensors = {
        name: value.detach().contiguous()
        for name, value in model.module.state_dict().items()
        if name not in tied
    }
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
    )
