"""For which runs an accelerator is planned, and what becomes of the others."""

from __future__ import annotations

from typing import Any

import pytest

from sealtune.core.limits import GIB, MIB
from sealtune.errors import Code, TrainingError
from sealtune.testing.random_weights import RandomWeights
from sealtune.training.accelerator import Accelerator, find_accelerator
from sealtune.training.engine.choices import Choices, Device, choices_from_dict
from sealtune.training.model import load_skeleton
from sealtune.training.plan import Plan, plan_run
from sealtune.training.recipe import Precision, Recipe
from sealtune.training.trained import find_trained
from sealtune.training.workload import workload_of_recipe

LLAMA = {
    "model_type": "llama",
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 8000,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
STOCK = {**LLAMA, "model_type": "gpt_neox", "num_key_value_heads": None}
LARGE_STEPS = {"batch_size": 32, "max_length": 1024}
H100 = Accelerator(device=Device.CUDA, memory=80 * GIB, bf16=True)


def plan(
    accelerator: Accelerator | None,
    *,
    config: dict[str, Any] = LLAMA,
    limit: int = 0,
    fixed: Choices | None = None,
    **changes: Any,
) -> Plan:
    values = {
        "task": "causal-lm",
        "method": "lora",
        "evaluation_fraction": 0.0,
        "precision": "auto",
    }
    recipe = Recipe(**{**values, **changes})
    weights = RandomWeights(config, task=recipe.task)
    model = load_skeleton(weights, recipe=recipe)
    return plan_run(
        model,
        find_trained(model, recipe=recipe),
        weights=weights,
        recipe=recipe,
        workload=workload_of_recipe(recipe, length=recipe.max_length),
        has_scratch=False,
        memory_limit=limit,
        fixed=fixed,
        accelerator=accelerator,
    )


def test_an_accelerator_is_used_where_it_may_be() -> None:
    found = plan(H100)
    assert found.choices.device is Device.CUDA
    assert found.choices.precision is Precision.BF16
    assert found.choices.lean
    assert not found.choices.recompute
    assert any("80.00 GiB free" in reason for reason in found.reasons)
    assert choices_from_dict(found.choices.to_dict()) == found.choices


def test_nothing_goes_where_the_caller_did_not_say_it_may() -> None:
    assert plan(None).choices.device is Device.CPU
    assert find_accelerator(Device.CPU) is None


def test_precision_is_the_accelerators() -> None:
    old = Accelerator(device=Device.CUDA, memory=80 * GIB, bf16=False)
    assert plan(old).choices.precision is Precision.FP32
    assert plan(old, precision="bf16").choices.precision is Precision.BF16
    assert plan(H100, precision="fp32").choices.precision is Precision.FP32


@pytest.mark.parametrize("changes", [{"streaming": "always"}, {"config": STOCK}])
def test_what_it_does_not_serve_is_the_processors_and_says_why(changes: dict[str, Any]) -> None:
    found = plan(H100, **changes)
    assert found.choices.device is Device.CPU
    assert any(reason.startswith("not on cuda, which is there: ") for reason in found.reasons)


def test_less_memory_there_means_fewer_tokens_then_the_processor() -> None:
    sizes = []
    for memory in (80 * GIB, 2 * GIB, GIB, GIB // 2):
        accelerator = Accelerator(device=Device.CUDA, memory=memory, bf16=True)
        found = plan(accelerator, **LARGE_STEPS)
        sizes.append((found.choices.device, found.choices.tokens))
        if found.choices.device is Device.CUDA:
            assert found.peak <= memory
    on = [tokens for device, tokens in sizes if device is Device.CUDA]
    assert on == sorted(on, reverse=True)
    assert len(set(on)) > 1
    assert sizes[-1][0] is Device.CPU


def test_the_hosts_limit_stands_as_well() -> None:
    free, bound = plan(H100, **LARGE_STEPS), plan(H100, limit=800 * MIB, **LARGE_STEPS)
    assert bound.peak <= 800 * MIB < free.peak
    assert bound.choices.device is Device.CUDA
    assert bound.choices.tokens < free.choices.tokens


def test_a_run_on_an_accelerator_does_not_go_on_without() -> None:
    begun = plan(H100).choices
    assert plan(H100, fixed=begun).choices == begun
    with pytest.raises(TrainingError) as caught:
        plan(None, fixed=begun)
    assert caught.value.code is Code.CHECKPOINT_FOREIGN
    here = plan(None).choices
    assert plan(H100, fixed=here).choices == here


def test_choices_of_before_are_the_processors() -> None:
    values = Choices(precision=Precision.FP32, tokens=5).to_dict()
    del values["device"]
    assert choices_from_dict(values).device is Device.CPU
    with pytest.raises(ValueError, match="tpu"):
        choices_from_dict({**values, "device": "tpu"})
