"""Micro-batches without padding: nothing lost, nothing mixed, no budget exceeded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sealtune.training.encode import IGNORED, Example
from sealtune.training.packing import PackedBatch, TargetKind, pack, split_step

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=60)


def language(length: int, *, prompt: int = 0, first: int = 100) -> Example:
    ids = np.arange(first, first + length)
    targets = ids.copy()
    targets[:prompt] = IGNORED
    return Example(ids, targets)


def segments(values: torch.Tensor, batch: PackedBatch) -> list[list[int]]:
    return [
        values[start:end].tolist()
        for start, end in zip(batch.bounds, batch.bounds[1:], strict=False)
    ]


@given(lengths=LENGTHS, budget=st.integers(1, 100))
def test_a_step_is_split_without_loss_and_within_the_budget(
    lengths: list[int], budget: int
) -> None:
    indices = [1_000 + i for i in range(len(lengths))]
    batches = split_step(indices, lengths, budget)
    assert sorted(index for batch in batches for index in batch) == indices
    loads = [sum(lengths[i - 1_000] for i in batch) for batch in batches]
    assert all(load <= budget or len(b) == 1 for load, b in zip(loads, batches, strict=True))
    assert loads == sorted(loads, reverse=True)
    # Best-fit leaves at most one micro-batch less than half full.
    assert len(batches) <= 2 * sum(lengths) / budget + 1 + sum(n > budget for n in lengths)


def test_micro_batches_are_filled_evenly() -> None:
    lengths = [60, 50, 40, 30, 20, 10, 10]
    loads = [sum(lengths[i] for i in batch) for batch in split_step(range(7), lengths, 100)]
    assert loads == [80, 70, 70]


def test_a_tight_budget_is_kept_where_an_even_filling_would_break_it() -> None:
    lengths = [3, 3, 2, 2, 2]
    assert split_step(range(5), lengths, 6) == [[0, 1], [2, 3, 4]]


def test_what_is_longer_than_the_budget_is_alone() -> None:
    assert split_step([7, 8, 9], [5, 90, 4], 10) == [[8], [7, 9]]


def test_one_length_for_each_index() -> None:
    with pytest.raises(ValueError, match="one length"):
        split_step([1, 2], [3], 10)


@given(lengths=LENGTHS, data=st.data())
def test_packing_keeps_each_segment_to_itself(lengths: list[int], data: st.DataObject) -> None:
    examples = [
        language(n, prompt=data.draw(st.integers(0, n)), first=1_000 * i)
        for i, n in enumerate(lengths)
    ]
    batch = pack(examples, records=range(len(examples)), kind=TargetKind.NEXT_TOKEN)
    assert sorted(batch.records) == list(range(len(examples)))
    parts = zip(
        batch.records,
        segments(batch.ids, batch),
        segments(batch.positions, batch),
        segments(batch.targets, batch),
        strict=True,
    )
    for record, ids, positions, targets in parts:
        example = examples[record]
        assert ids == example.ids.tolist()
        assert positions == list(range(len(ids)))
        # The id that follows in the same record, never another record's.
        assert targets == [*example.targets[1:].tolist(), IGNORED]
    assert batch.tokens == batch.bounds[-1] == sum(lengths)
    assert batch.supervised == sum(np.sum(e.targets[1:] != IGNORED) for e in examples)
    assert batch.pixels is None


def test_the_longest_comes_first_and_equals_keep_their_order() -> None:
    examples = [language(n) for n in (2, 5, 2, 7, 5)]
    batch = pack(examples, records=[10, 11, 12, 13, 14], kind=TargetKind.NEXT_TOKEN)
    assert batch.records == (13, 11, 14, 10, 12)
    assert batch.bounds == (0, 7, 12, 17, 19, 21)


def test_token_labels_stay_where_they_are() -> None:
    examples = [
        Example(np.array([5]), np.array([2])),
        Example(np.array([6, 7, 8]), np.array([1, IGNORED, 0])),
    ]
    batch = pack(examples, records=[0, 1], kind=TargetKind.EACH_TOKEN)
    assert batch.targets.tolist() == [1, IGNORED, 0, 2]
    assert batch.supervised == 3


def test_one_label_for_each_record() -> None:
    examples = [Example(np.array([1] * n), np.array([n])) for n in (1, 2)]
    batch = pack(examples, records=[0, 1], kind=TargetKind.EACH_RECORD)
    assert (batch.targets.tolist(), batch.supervised, batch.tokens) == ([2, 1], 2, 3)
    assert batch.nbytes == 8 * (3 + 3 + 2)
