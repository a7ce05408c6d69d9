"""Micro-batches without padding: records end to end, cut by a budget of tokens.

Segments stay apart: `PackedBatch.bounds` says where each begins, positions start at 0 in each, and
no target of causal-lm reaches over a segment's end. It is attention's business to look at the
bounds.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch

from sealtune.training.encode import IGNORED, Example
from sealtune.training.recipe import Task

Integers = npt.NDArray[np.int64]


class TargetKind(Enum):
    """What a task predicts: the token after each, something of each token, or of each record."""

    NEXT_TOKEN = "next-token"  # noqa: S105 - no password
    EACH_TOKEN = "each-token"  # noqa: S105
    EACH_RECORD = "each-record"


_KINDS = {
    Task.CAUSAL_LM: TargetKind.NEXT_TOKEN,
    Task.TOKEN_CLASSIFICATION: TargetKind.EACH_TOKEN,
    Task.TEXT_CLASSIFICATION: TargetKind.EACH_RECORD,
    Task.IMAGE_CLASSIFICATION: TargetKind.EACH_RECORD,
}


def target_kind(task: Task) -> TargetKind:
    """Return what `task` predicts."""
    return _KINDS[task]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indices:
    """What of a micro-batch has a size that depends on its content, counted on the host.

    An accelerator that counted it would make the host wait for the answer. `borders` are the
    batch's bounds, `labels` its targets that are not `IGNORED`, `wanted` the rows that the head
    looks at, None for all of them.
    """

    borders: torch.Tensor
    labels: torch.Tensor
    wanted: torch.Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """A micro-batch of T tokens in segments, one for each example, the longest first.

    `ids` and `positions` are (T,); segment i is `bounds[i]` to `bounds[i + 1]`, its positions count
    from 0. `targets` is (T,) for causal-lm and token-classification and (segments,) for the others.
    For causal-lm `targets[t]` is the id to predict from position t: the shift by one is done, and
    a segment's last position has `IGNORED`. `pixels` is (segments, channels, height, width), uint8,
    for images, whose `ids`, `positions` and segments are empty. `tokens` is what counts towards a
    budget, `supervised` the number of predictions in the loss, `records` the number of each
    segment's record in the dataset. `indices` come with a batch whose ids and positions lie on an
    accelerator.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    bounds: tuple[int, ...]
    targets: torch.Tensor
    tokens: int
    supervised: int
    records: tuple[int, ...]
    pixels: torch.Tensor | None = None
    indices: Indices | None = None

    @property
    def nbytes(self) -> int:
        """The bytes of its tensors."""
        tensors = [self.ids, self.positions, self.targets]
        if self.pixels is not None:
            tensors.append(self.pixels)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def supervised_predictions(example: Example, *, kind: TargetKind) -> int:
    """Return how many predictions of `example` enter the loss."""
    if kind is TargetKind.EACH_RECORD:
        return 1
    targets = example.targets[1:] if kind is TargetKind.NEXT_TOKEN else example.targets
    return int(np.count_nonzero(targets != IGNORED))


def pack(
    examples: Sequence[Example],
    *,
    records: Sequence[int],
    kind: TargetKind,
    image_tokens: int = 1,
) -> PackedBatch:
    """Return `examples`, which are of `records`, as one PackedBatch.

    Sorted by length, the longest first, equal ones in their order: attention computes segments of
    equal length together. `image_tokens` is what an image counts towards the budget.
    """
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].ids), reverse=True)
    chosen = [examples[i] for i in order]
    lengths = [len(example.ids) for example in chosen]
    bounds = np.array([0, *accumulate(lengths)], dtype=np.int64)
    # Numpy only: a torch operation would give the thread that prepares batches a team of its own.
    ids = np.concatenate([example.ids for example in chosen]).astype(np.int64)
    positions = np.arange(len(ids), dtype=np.int64) - np.repeat(bounds[:-1], lengths)
    targets = np.concatenate([example.targets for example in chosen]).astype(np.int64)
    if kind is TargetKind.NEXT_TOKEN:
        targets = _shifted(targets, bounds)
    images = [example.pixels for example in chosen if example.pixels is not None]
    return PackedBatch(
        ids=torch.from_numpy(ids),
        positions=torch.from_numpy(positions),
        bounds=tuple(bounds.tolist()),
        targets=torch.from_numpy(targets),
        tokens=len(ids) + image_tokens * len(images),
        supervised=int(np.count_nonzero(targets != IGNORED)),
        records=tuple(records[i] for i in order),
        pixels=torch.from_numpy(np.stack(images)) if images else None,
    )


def _shifted(targets: Integers, bounds: Integers) -> Integers:
    shifted = np.full_like(targets, IGNORED)
    shifted[:-1] = targets[1:]
    # What follows a segment's end is another record's.
    shifted[bounds[1:] - 1] = IGNORED
    return shifted


def split_step(indices: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return the examples of one optimizer step as micro-batches of at most `budget` tokens.

    `lengths` are those of `indices`. Each example stays whole; one that is longer than the budget
    is alone. There are as few micro-batches as best-fit finds, filled as evenly as they can be, the
    largest first: a step that does not fit into memory fails at once.
    """
    if len(lengths) != len(indices):
        raise ValueError("one length for each index")
    order = sorted(range(len(indices)), key=lambda i: lengths[i], reverse=True)
    alone = [[i] for i in order if lengths[i] > budget]
    rest = order[len(alone) :]
    batches = alone + _even(rest, lengths, budget)
    batches.sort(key=lambda batch: sum(lengths[i] for i in batch), reverse=True)
    return [[indices[i] for i in batch] for batch in batches]


def _even(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Put each of `order`, the longest first, where least is, if the budget allows that."""
    tight = _best_fit(order, lengths, budget)
    batches: list[list[int]] = [[] for _ in tight]
    loads = [(0, number) for number in range(len(tight))]
    for index in order:
        load, number = heapq.heappop(loads)
        if load + lengths[index] > budget:
            return tight
        batches[number].append(index)
        heapq.heappush(loads, (load + lengths[index], number))
    return batches


def _best_fit(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Put each of `order`, the longest first, where it leaves the least room."""
    batches: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (room left, number), ascending
    for index in order:
        length = lengths[index]
        place = bisect_left(rooms, (length, 0))
        if place == len(rooms):
            room, number = budget, len(batches)
            batches.append([])
        else:
            room, number = rooms.pop(place)
        batches[number].append(index)
        insort(rooms, (room - length, number))
    return batches
