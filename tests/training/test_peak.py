"""The estimate of a run's memory: above what was measured, and growing with what makes it grow."""

from __future__ import annotations

from typing import Any

import pytest

from sealtune.training.peak import peak_bytes
from sealtune.training.recipe import Recipe

GB = 1_000_000_000
SMALL = {"task": "text-classification", "method": "lora", "labels": ("a", "b"), "max_length": 128}


def peak(model_bytes: int = 100_000_000, records_bytes: int = 10_000_000, **changes: Any) -> int:
    recipe = Recipe(**{**SMALL, **changes})
    return peak_bytes(recipe, model_bytes=model_bytes, records_bytes=records_bytes)


def test_it_is_never_below_what_was_measured_of_a_tiny_training() -> None:
    assert peak(1, 1, max_length=2, batch_size=1) >= 2.26 * GB


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"model_bytes": 200_000_000}, id="a-larger-model"),
        pytest.param({"records_bytes": 100_000_000}, id="more-records"),
        pytest.param({"batch_size": 16}, id="a-larger-batch"),
        pytest.param({"max_length": 256}, id="longer-texts"),
        pytest.param({"lora_rank": 64}, id="a-higher-rank"),
        pytest.param({"method": "full"}, id="all-parameters"),
        pytest.param({"task": "causal-lm", "labels": ()}, id="logits-of-a-vocabulary"),
    ],
)
def test_more_work_takes_more(changes: dict[str, Any]) -> None:
    assert peak(**changes) > peak()


def test_a_full_fine_tune_holds_gradients_states_and_a_checkpoint() -> None:
    model = 2 * GB  # 1e9 parameters in 16 bits
    assert peak(model, method="full") >= 1 * GB * 4 * 7


def test_it_does_not_run_away() -> None:
    """MiniLM in 32 bits, 90 MB: a LoRA training fits an enclave of 8 GiB."""
    assert peak(90_000_000, batch_size=8, max_length=256) < 8 * GB
