"""Killed at any step, again and again, a run ends with the bytes of one that was not."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from killable import FolderSink, Job, run, run_and_kill
from tiny_models import LABELS

from sealtune.training.recipe import Recipe

LANGUAGE: dict[str, Any] = {
    "task": "causal-lm",
    "method": "lora",
    "epochs": 2,
    "batch_size": 8,
    "max_length": 16,
    "learning_rate": 5e-3,
    "lora_dropout": 0.25,
    "lora_rank": 4,
    "checkpoint_every_steps": 1,
    "evaluation_fraction": 0.1,
    "micro_batch_tokens": 48,
    "threads": 1,
}
STREAMED = {"streaming": "always"}
STOPPING = {
    "learning_rate": 0.05,  # soon too fast: the sixth evaluation is the best
    "early_stopping_patience": 2,
    "evaluation_every_steps": 1,
    "checkpoint_every_steps": 2,
}
CLASSIFY = {"task": "text-classification", "labels": LABELS}

CASES = {
    "kept": {},
    "bf16": {"precision": "bf16"},
    "full": {"method": "full", "learning_rate": 1e-3, "lora_dropout": 0.0},
    "classify": CLASSIFY,
    "streamed": STREAMED,
    "early-stopping": STOPPING,
    "streamed-early-stopping": STREAMED | STOPPING,
    "every-third-step": {"checkpoint_every_steps": 3},
}


@pytest.fixture
def job(llama: Path, tmp_path: Path) -> Callable[..., Job]:
    """A job with checkpoints in a folder of its own."""

    def make(changes: dict[str, Any], name: str = "killed", **more: Any) -> Job:
        folder = tmp_path / name
        folder.mkdir()
        return Job(
            model=more.pop("model", llama),
            recipe=Recipe(**{**LANGUAGE, **changes}),
            checkpoints=folder,
            **more,
        )

    return make


def kill_often(first: Job, later: Job, *, seed: int) -> None:
    """Kill a run twice, each time once there is a new checkpoint: `first`, then `later`.

    Where in the step that follows is left to chance.
    """
    rng = random.Random(seed)
    for job in (first, later):
        newest = FolderSink(job.checkpoints).load()
        done = newest[0] if newest else 0
        after = done + rng.randint(2, 3) + job.recipe.checkpoint_every_steps - 1
        assert run_and_kill(job, after=after) == after
    assert FolderSink(first.checkpoints).load() is not None


@pytest.mark.parametrize("case", CASES)
def test_killed_twice(case: str, job: Callable[..., Job]) -> None:
    whole = run(job(CASES[case], "whole"))
    killed = job(CASES[case])
    kill_often(killed, killed, seed=sum(case.encode()))
    assert run(killed) == whole
    assert whole["choices"]["streamed"] is ("streamed" in case)
    assert (whole["counts"]["optimizer_steps"] < 10) is ("stopping" in case)


@pytest.mark.parametrize("changes", [{}, STOPPING], ids=["to-the-end", "early-stopping"])
def test_killed_with_activations_in_scratch(
    changes: dict[str, Any], job: Callable[..., Job]
) -> None:
    """What was in scratch is lost and not missed."""
    whole = run(job(STREAMED | changes, "whole", scratch=True))
    assert whole["choices"]["spilled"] > 0
    killed = job(STREAMED | changes, scratch=True)
    kill_often(killed, killed, seed=11)
    assert run(killed) == whole


@pytest.mark.parametrize("lean", [True, False])
def test_an_encoder_killed_twice(lean: bool, bert: Path, job: Callable[..., Job]) -> None:
    """By lean blocks, and as the stock module, whose dropout draws from torch's own state."""
    changes = CLASSIFY | {"precision": "fp32"}
    plan = {"lean": lean}
    whole = run(job(changes, "whole", model=bert, plan=plan))
    killed = job(changes, model=bert, plan=plan)
    kill_often(killed, killed, seed=5)
    assert run(killed) == whole


@pytest.mark.parametrize(
    "plan",
    [
        {"recompute": True},
        {"recompute": True, "keep_probabilities": False, "tokens": 33},
        {"tokens": 20},
        {"streamed": True, "tables_streamed": True, "ring": 3},
        {"lean": False},
    ],
    ids=lambda plan: "-".join(plan),
)
def test_the_plan_of_the_run_that_stopped_is_taken_over(
    plan: dict[str, Any], job: Callable[..., Job]
) -> None:
    """Wherever it goes on: with more memory, or with less, its bits are those of the first plan."""
    whole = run(job({}, "whole", plan=plan))
    first = job({}, plan=plan)
    later = replace(first, plan={})
    kill_often(first, later, seed=3)
    assert run(later) == whole
    assert whole["choices"].items() >= plan.items()
    own = run(job({}, "own"))
    assert own["choices"] != whole["choices"]
    assert own["files"] != whole["files"] or plan == {"recompute": True}


def test_a_run_with_scratch_goes_on_without(job: Callable[..., Job]) -> None:
    whole = run(job(STREAMED, "whole", scratch=True))
    first = job(STREAMED, scratch=True)
    later = replace(first, scratch=False)
    kill_often(first, later, seed=8)
    assert run(later) == whole
