"""The order of a run and its batches."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.training.batches import BatchPlan, collate, split_indices
from sealtune.training.encode import IGNORED, Example


def plan(lengths: list[int], **changes: int) -> BatchPlan:
    values = {"batch_size": 3, "accumulation": 2, "epochs": 2, "seed": 5, **changes}
    return BatchPlan(lengths=tuple(lengths), **values)


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(1, 200),
    batch_size=st.integers(1, 9),
    accumulation=st.integers(1, 4),
    data=st.data(),
)
def test_each_record_once_per_epoch_and_any_step_can_be_resumed(
    count: int, batch_size: int, accumulation: int, data: st.DataObject
) -> None:
    p = plan([i % 13 + 1 for i in range(count)], batch_size=batch_size, accumulation=accumulation)
    steps = list(p.steps(after=0))
    assert [number for number, _ in steps] == list(range(1, p.total_steps + 1))
    for epoch in range(2):
        part = steps[epoch * p.steps_per_epoch : (epoch + 1) * p.steps_per_epoch]
        seen = [index for _, batches in part for batch in batches for index in batch]
        assert sorted(seen) == list(range(count))
    after = data.draw(st.integers(0, p.total_steps))
    assert list(p.steps(after=after)) == steps[after:]


def test_order_depends_on_seed_and_epoch() -> None:
    lengths = [10] * 40
    first = list(plan(lengths).steps(after=0))
    assert first == list(plan(lengths).steps(after=0))
    assert first != list(plan(lengths, seed=6).steps(after=0))
    half = len(first) // 2
    assert [b for _, b in first[:half]] != [b for _, b in first[half:]]


def test_little_padding_for_mixed_lengths() -> None:
    lengths = [int(x) for x in np.random.default_rng(0).integers(1, 200, size=640)]
    p = plan(lengths, batch_size=8, accumulation=1, epochs=1)
    padded = sum(
        len(b) * max(lengths[i] for i in b) for _, batches in p.steps(after=0) for b in batches
    )
    assert padded < 1.12 * sum(lengths)


def test_collate_pads_on_the_right() -> None:
    ids = [np.array([5, 6, 7]), np.array([8, 9])]
    targets = [np.array([IGNORED, 6, 7]), np.array([8, 9])]
    batch = collate([Example(i, t) for i, t in zip(ids, targets, strict=True)], padding=4)
    assert batch.ids.tolist() == [[5, 6, 7], [8, 9, 4]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.targets.tolist() == [[IGNORED, 6, 7], [8, 9, IGNORED]]
    assert (batch.tokens, batch.supervised) == (5, 3)


def test_collate_labels() -> None:
    examples = [Example(np.array([1] * n), np.array([n])) for n in (1, 2)]
    batch = collate(examples, padding=0)
    assert torch.equal(batch.targets, torch.tensor([1, 2]))
    assert batch.supervised == 2


def test_split() -> None:
    kept, apart = split_indices(100, fraction=0.2, seed=1)
    assert len(apart) == 20
    assert sorted(kept + apart) == list(range(100))
    assert (kept, apart) == split_indices(100, fraction=0.2, seed=1)
    assert apart != split_indices(100, fraction=0.2, seed=2)[1]
    assert split_indices(3, fraction=0.0, seed=1) == ([0, 1, 2], [])
    assert len(split_indices(3, fraction=0.01, seed=1)[1]) == 1
    assert split_indices(1, fraction=0.5, seed=1) == ([0], [])
