"""A Recipe is complete, bounded and independent of torch."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from sealtune.core.canonical import canonical_json
from sealtune.training.recipe import Method, Recipe, Task, recipe_from_dict

LABELLED = {"task": "text-classification", "method": "lora", "labels": ["a", "b"]}


def test_every_default_is_written_out_and_read_back() -> None:
    recipe = Recipe(task=Task.CAUSAL_LM, method=Method.FULL)
    values = json.loads(canonical_json(recipe.to_dict()))
    assert set(values) == set(Recipe.__dataclass_fields__)
    assert recipe_from_dict(values) == recipe


def test_whole_numbers_given_for_fractions_are_fractions() -> None:
    # Canonical JSON writes 1.0 as 1; both must be the same recipe, byte for byte.
    assert recipe_from_dict({**LABELLED, "learning_rate": 1}).to_dict()["learning_rate"] == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"task": "sorting"},
        {"method": "magic"},
        {"epochs": 0},
        {"epochs": True},
        {"epochs": 1.5},
        {"batch_size": 0},
        {"max_length": 1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"adam_beta1": 1.0},
        {"lora_dropout": 1.0},
        {"evaluation_fraction": 1.0},
        {"warmup_ratio": -0.1},
        {"lora_targets": []},
        {"lora_targets": "query"},
        {"lora_targets": [""]},
        {"labels": ["a"]},
        {"labels": ["a", "a"]},
        {"labels": []},
        {"text_field": ""},
        {"image_field": ""},
        {"overflow": "wrap"},
        {"overflow": "split"},
        {"streaming": "sometimes"},
        {"precision": "fp16"},
        {"memory_limit_bytes": -1},
        {"micro_batch_tokens": 0.5},
        {"rslora": 1},
        {"frozen_int8": "yes"},
        {"frozen": ["embeddings"]},
        {"method": "full", "rslora": True},
        {"method": "full", "frozen_int8": True},
        {"method": "full", "frozen": [""]},
        {"unheard_of": 1},
    ],
)
def test_values_out_of_bounds_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whoever parses the recipe adds the place
        recipe_from_dict({**LABELLED, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"rslora": True, "frozen_int8": True, "streaming": "always", "precision": "auto"},
        {"method": "full", "frozen": ["embeddings", "encoder.layer.0"]},
        {"memory_limit_bytes": 2**40, "micro_batch_tokens": 4096, "overflow": "refuse"},
        {"task": "token-classification", "overflow": "split", "tags_field": "ner_tags"},
        {"task": "image-classification", "image_field": "img"},
        {"task": "causal-lm", "labels": [], "overflow": "split", "prompt_field": "question"},
    ],
)
def test_every_choice_is_written_out_and_read_back(change: dict[str, Any]) -> None:
    recipe = recipe_from_dict({**LABELLED, **change})
    values = json.loads(canonical_json(recipe.to_dict()))
    assert values == {**values, **change}
    assert recipe_from_dict(values) == recipe


@pytest.mark.parametrize("task", ["token-classification", "image-classification"])
def test_every_classification_needs_labels(task: str) -> None:
    with pytest.raises(ValueError, match="labels"):
        recipe_from_dict({**LABELLED, "task": task, "labels": []})


def test_labels_are_for_classification_only() -> None:
    with pytest.raises(ValueError, match="labels"):
        recipe_from_dict({**LABELLED, "task": "causal-lm"})


def test_recipe_and_sources_do_not_load_torch() -> None:
    code = (
        "import sys, sealtune.training.recipe, sealtune.training.sources;"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
