"""Which records make up which optimizer step, and their tensors.

The order is a function of seed and step alone, so that a resumed run needs no more than the step's
number. Records are shuffled, sorted by length within windows and cut into micro-batches whose order
is shuffled again: little padding, and still a random order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sealtune.training.encode import IGNORED, Example

_WINDOW = 16  # micro-batches sorted by length together; more would make them alike for longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A micro-batch, padded on the right to its longest example.

    `ids` and `mask` are (records, length); `targets` is (records, length) for causal-lm and
    (records,) for classification. `tokens` counts real ids, `supervised` predictions in the loss.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor
    tokens: int
    supervised: int


def collate(examples: Sequence[Example], *, padding: int) -> Batch:
    """Return `examples` as one padded Batch; `padding` fills ids, `IGNORED` fills targets."""
    lengths = [len(example.ids) for example in examples]
    shape = (len(examples), max(lengths))
    ids = np.full(shape, padding, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    # A classification example has one target whatever its length.
    single = all(len(example.targets) == 1 for example in examples)
    targets = np.full((shape[0], 1) if single else shape, IGNORED, dtype=np.int64)
    for row, example in enumerate(examples):
        ids[row, : lengths[row]] = example.ids
        mask[row, : lengths[row]] = 1
        targets[row, : len(example.targets)] = example.targets
    return Batch(
        ids=torch.from_numpy(ids),
        mask=torch.from_numpy(mask),
        targets=torch.from_numpy(targets[:, 0] if single else targets),
        tokens=sum(lengths),
        supervised=sum(example.supervised for example in examples),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """The fixed order of a run: `lengths` of its examples and the recipe's numbers."""

    lengths: tuple[int, ...]
    batch_size: int
    accumulation: int
    epochs: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch; the last may have fewer micro-batches."""
        batches = -(-len(self.lengths) // self.batch_size)
        return -(-batches // self.accumulation)

    @property
    def total_steps(self) -> int:
        """Optimizer steps in the whole run."""
        return self.steps_per_epoch * self.epochs

    def steps(self, *, after: int) -> Iterator[tuple[int, list[list[int]]]]:
        """Yield (number, micro-batches of example indices) of each step after step `after`."""
        for epoch in range(after // self.steps_per_epoch, self.epochs):
            micro_batches = self._epoch(epoch)
            first = epoch * self.steps_per_epoch
            for offset in range(max(0, after - first), self.steps_per_epoch):
                start = offset * self.accumulation
                yield first + offset + 1, micro_batches[start : start + self.accumulation]

    def _epoch(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        size = self.batch_size
        batches = []
        for start in range(0, len(order), _WINDOW * size):
            window = order[start : start + _WINDOW * size]
            window.sort(key=lambda index: self.lengths[index], reverse=True)
            batches += [window[i : i + size] for i in range(0, len(window), size)]
        shuffled = torch.randperm(len(batches), generator=generator).tolist()
        return [batches[index] for index in shuffled]


def split_indices(count: int, *, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Return the indices to train on and those set apart for evaluation, both ascending.

    At least one stays on each side unless `fraction` is 0 or there is one record only.
    """
    apart = evaluation_mask(count, fraction=fraction, seed=seed)
    return np.flatnonzero(~apart).tolist(), np.flatnonzero(apart).tolist()


def evaluation_mask(count: int, *, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which of `count` records are set apart, as `split_indices` says."""
    mask = np.zeros(count, dtype=np.bool_)
    if fraction and count >= 2:
        generator = torch.Generator().manual_seed(seed)
        apart = min(max(1, round(count * fraction)), count - 1)
        mask[torch.randperm(count, generator=generator)[:apart].numpy()] = True
    return mask
