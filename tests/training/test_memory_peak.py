"""The planner's predictions against real runs, and against limits that kill what goes beyond."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealtune.core.limits import MIB
from sealtune.errors import Code
from sealtune.testing.apart import Work, train_apart
from sealtune.testing.bench.cap import Cap, memory_cap

RECIPE = {
    "task": "causal-lm",
    "method": "lora",
    "epochs": 1,
    "batch_size": 4,
    "max_length": 256,
    "evaluation_fraction": 0.0,
    "precision": "bf16",
}


_CPU = Path("/proc/cpuinfo")
_FLAGS = set(_CPU.read_text().split()) if _CPU.exists() else set()
# Without such instructions a step in 16 bits takes minutes; the first case is tried all the same.
needs_bf16 = pytest.mark.skipif(
    not _FLAGS & {"avx512_bf16", "amx_bf16", "bf16"},
    reason="products of 16 bits are emulated on this processor",
)


def llama(width: int, inner: int, layers: int, words: int) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "num_key_value_heads": width // 128,
        "vocab_size": words,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
    }


SMALL = llama(512, 1376, 6, 8192)
# 3.7 GB of weights in 16 bits, more than four times the cap.
LARGE = llama(2048, 5632, 40, 4096)
CAP = 850 * MIB


def work(config: dict[str, Any], count: int, *, limit: int = 0, **changes: Any) -> Work:
    recipe = {**RECIPE, **changes}
    return Work(config=config, recipe=recipe, lengths=[recipe["max_length"]] * count, limit=limit)


def require_group(cap: Cap) -> None:
    if not cap.cgroup:
        pytest.skip("no control group can be made here, and no other limit counts resident memory")


@pytest.mark.parametrize(
    ("changes", "way"),
    [
        pytest.param({}, {}, id="resident"),
        pytest.param(
            {"batch_size": 8, "micro_batch_tokens": 2048, "limit": 620 * MIB},
            {"recompute": True},
            id="recompute",
            marks=needs_bf16,
        ),
        pytest.param(
            {"streaming": "always", "batch_size": 8},
            {"streamed": True},
            id="streamed",
            marks=needs_bf16,
        ),
        pytest.param(
            {"method": "full", "checkpoint_every_steps": 1}, {}, id="full", marks=needs_bf16
        ),
        pytest.param({"precision": "fp32"}, {}, id="fp32"),
    ],
)
def test_the_predicted_peak_is_near_the_measured_one(
    changes: dict[str, Any], way: dict[str, Any], tmp_path: Path
) -> None:
    found = train_apart(work(SMALL, 16, **changes), tmp_path).said
    assert all(found["choices"][name] == value for name, value in way.items())
    assert found["predicted_peak_bytes"] == pytest.approx(found["peak"], rel=0.15)


@pytest.mark.slow
def test_a_model_several_times_larger_than_its_memory_trains(tmp_path: Path) -> None:
    asked = replace(work(LARGE, 2, lora_rank=2, limit=CAP), scratch=str(tmp_path))
    with memory_cap(CAP) as cap:
        require_group(cap)
        streamed = train_apart(asked, tmp_path, cap=cap)
        assert not streamed.killed
        choices = streamed.said["choices"]
        resident = {**choices, "streamed": False, "tables_streamed": False, "spilled": 0}
        killed = train_apart(replace(asked, forced=resident), tmp_path, cap=cap)
    assert choices["streamed"]
    assert streamed.said["steps"] == 1
    # Computed otherwise than the planner chose, the same run ends: the limit is a hard one.
    assert killed.killed


def test_what_must_not_be_streamed_and_does_not_fit_is_refused(tmp_path: Path) -> None:
    found = train_apart(work(LARGE, 2, streaming="never", limit=CAP), tmp_path)
    assert found.said["code"] == Code.MEMORY_TOO_SMALL


def test_a_run_finishes_in_as_little_memory_as_a_refusal_asks_for(tmp_path: Path) -> None:
    refused = train_apart(work(SMALL, 8, limit=1), tmp_path).said
    needed = float(refused["message"].split(" GiB")[0].rsplit(" ", 1)[1])
    limit = int((needed + 0.01) * 1024 * MIB)
    with memory_cap(limit) as cap:
        require_group(cap)
        found = train_apart(work(SMALL, 8, limit=limit), tmp_path, cap=cap)
    assert not found.killed
    assert found.said["steps"] == 2
