"""Tiny models as Learners, batches for them, and scratch room in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_models import FolderWeights

from sealtune.errors import Code, VerificationError
from sealtune.training import train as train_module
from sealtune.training.arithmetic import fixed_arithmetic
from sealtune.training.encode import IGNORED, Example
from sealtune.training.engine.choices import Choices
from sealtune.training.learner import Learner
from sealtune.training.learners import build_learner
from sealtune.training.model import load_skeleton
from sealtune.training.packing import PackedBatch, pack, target_kind
from sealtune.training.plan import Plan
from sealtune.training.recipe import Precision, Recipe
from sealtune.training.sources import Scratch, WeightSource
from sealtune.training.trained import find_trained


def make_learner(
    source: Path | WeightSource, recipe: Recipe, *, scratch: Scratch | None = None, **choices: Any
) -> Learner:
    """A Learner as `train` builds it, from a folder or a WeightSource."""
    weights = FolderWeights(source) if isinstance(source, Path) else source
    with fixed_arithmetic(seed=recipe.seed, threads=1):
        model = load_skeleton(weights, recipe=recipe)
        return build_learner(
            model,
            find_trained(model, recipe=recipe),
            weights=weights,
            recipe=recipe,
            choices=Choices(**{"precision": Precision.FP32, "tokens": 2048, **choices}),
            padding=0,
            scratch=scratch,
        )


def wake_adapters(learner: Learner) -> None:
    """Give second factors values: at 0, as they begin, first factors have no gradient."""
    generator = torch.Generator().manual_seed(5)
    for name in sorted(learner.parameters.slots):
        if name.endswith("lora_B"):
            value = learner.parameters.value(name)
            value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
    learner.parameters.refresh()


def gradients_of(learner: Learner) -> dict[str, torch.Tensor]:
    """A copy of every trained tensor's gradient."""
    return {name: learner.parameters.gradient(name).clone() for name in learner.parameters.slots}


def packed(lengths: Sequence[int], *, recipe: Recipe, seed: int = 0) -> PackedBatch:
    """A batch of random records; of texts to continue, the first third is not learned."""
    random = np.random.default_rng(seed)
    examples = []
    for length in lengths:
        ids = random.integers(3, 300, length)
        targets = ids.copy()
        targets[: length // 3] = IGNORED
        if recipe.labels:
            targets = random.integers(0, len(recipe.labels), 1)
        examples.append(Example(ids, targets))
    return pack(examples, records=range(len(examples)), kind=target_kind(recipe.task))


@contextlib.contextmanager
def choosing(choices: Mapping[str, Any]) -> Iterator[None]:
    """Have `train` plan as if the planner chose `choices`; what is resumed stays as it was."""
    own = train_module.plan_run

    def planned(*args: Any, fixed: Any, **rest: Any) -> Plan:
        plan = own(*args, fixed=fixed, **rest)
        if fixed is not None:
            return plan
        return replace(plan, choices=replace(plan.choices, **choices))

    train_module.plan_run = planned
    try:
        yield
    finally:
        train_module.plan_run = own


class MemoryScratch:
    """Scratch room in memory; fails at one write or read, counted from 1, if told to."""

    def __init__(self, *, fail_write: int = 0, fail_read: int = 0) -> None:
        self.kept: dict[int, list[bytes]] = {}
        self.written: list[int] = []
        self.read: list[int] = []
        self.fail_write, self.fail_read = fail_write, fail_read

    def write(self, key: int, parts: Sequence[memoryview]) -> None:
        self.written.append(key)
        if len(self.written) == self.fail_write:
            raise OSError("no room")
        self.kept[key] = [bytes(part) for part in parts]

    def read_into(self, key: int, parts: Sequence[memoryview]) -> None:
        self.read.append(key)
        if len(self.read) == self.fail_read:
            raise VerificationError(Code.SCRATCH_FORGED, "scratch: changed")
        for part, data in zip(parts, self.kept[key], strict=True):
            part[:] = data

    def forget(self, key: int) -> None:
        del self.kept[key]

    def close(self) -> None:
        self.kept.clear()


def assert_near(actual: torch.Tensor, expected: torch.Tensor, *, within: float = 2e-5) -> None:
    """Equal but for `within` of the largest value that is expected."""
    assert actual.shape == expected.shape
    difference = (actual.double() - expected.double()).abs().max()
    assert difference <= within * expected.double().abs().max(), float(difference)
