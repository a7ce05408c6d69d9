"""The peer's batches: padded to the longest, counted, and without a loss where none is wanted."""

from __future__ import annotations

import torch

from sealtune.testing.bench.peer import Padder, by_optimizer_step
from sealtune.training.encode import IGNORED


def _row(ids: list[int], labels: list[int]) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}


def test_padding_is_masked_bears_no_loss_and_is_counted() -> None:
    padder = Padder(9)
    batch = padder([_row([1, 2, 3], [IGNORED, 2, 3]), _row([4], [4])])
    assert batch["input_ids"].tolist() == [[1, 2, 3], [4, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 2, 3], [4, IGNORED, IGNORED]]
    assert (padder.tokens, padder.positions) == ([4], [6])


def test_a_class_is_one_label() -> None:
    batch = Padder(0)([_row([1, 2], [3]), _row([4, 5, 6], [0])])
    assert batch["labels"].tolist() == [3, 0]


def test_micro_batches_are_summed_to_optimizer_steps() -> None:
    assert by_optimizer_step([1, 2, 3, 4, 5, 6], 3) == [6, 15]
