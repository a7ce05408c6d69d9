"""Which examples make up which optimizer step, and in what order shards are read for it.

A dataset that does not fit into memory cannot be shuffled as a whole. Its shards are, and then the
examples within a window of some shards; what fits into one window is shuffled as a whole. The order
is a function of data, seed and epoch: neither of the machine nor of how much memory it has, and a
resumed run needs no more than the step's number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sealtune.core.limits import MIB

# `records.record_weight` of a window's shards together: some ten thousand texts, of about 100 MiB
# once they are Python objects.
WINDOW_WEIGHT = 32 * MIB

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Examples of one window, by number, and the shards that hold the whole window."""

    shards: tuple[int, ...]
    examples: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOrder:
    """The fixed order of a run.

    Examples are numbered in the order of the data: shard s has those from `bounds[s]` to
    `bounds[s + 1]` and weighs `weights[s]`; a window has as many shards as weigh `window_weight` at
    most, or one. Each optimizer step has `per_step` examples, the last of an epoch what is left.
    """

    bounds: Integers
    weights: Sequence[int]
    per_step: int
    epochs: int
    seed: int
    window_weight: int

    @property
    def count(self) -> int:
        """The number of examples."""
        return int(self.bounds[-1])

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch."""
        return -(-self.count // self.per_step)

    @property
    def total_steps(self) -> int:
        """Optimizer steps in the whole run."""
        return self.steps_per_epoch * self.epochs

    def steps(self, *, after: int) -> Iterator[tuple[int, list[Piece]]]:
        """Yield number and examples of each step after step `after`.

        A step has several pieces where one window ends and the next begins. Windows before the
        first step are passed over without being shuffled.
        """
        if not 0 <= after <= self.total_steps:
            raise ValueError(f"no step {after}: there are {self.total_steps}")
        for epoch in range(after // self.steps_per_epoch, self.epochs):
            first = epoch * self.steps_per_epoch
            done = max(0, after - first)
            pieces = self._epoch(epoch, skipped=done * self.per_step)
            yield from enumerate(pieces, start=first + done + 1)

    def _epoch(self, epoch: int, *, skipped: int) -> Iterator[list[Piece]]:
        pieces: list[Piece] = []
        room = self.per_step
        for number, shards in enumerate(self._windows(epoch)):
            size = sum(self._size(shard) for shard in shards)
            if skipped >= size:
                skipped -= size
                continue
            rest = self._shuffled(shards, epoch=epoch, number=number)[skipped:]
            skipped = 0
            while len(rest):
                piece = Piece(shards=shards, examples=rest[:room])
                rest = rest[room:]
                room -= len(piece.examples)
                pieces.append(piece)
                if not room:
                    yield pieces
                    pieces, room = [], self.per_step
        if pieces:
            yield pieces

    def _windows(self, epoch: int) -> Iterator[tuple[int, ...]]:
        window: list[int] = []
        weight = 0
        for shard in _shuffled_order(len(self.weights), self.seed, epoch, 0).tolist():
            if not self._size(shard):
                continue
            if window and weight + self.weights[shard] > self.window_weight:
                yield tuple(window)
                window, weight = [], 0
            window.append(shard)
            weight += self.weights[shard]
        if window:
            yield tuple(window)

    def _shuffled(self, shards: Sequence[int], *, epoch: int, number: int) -> Integers:
        ranges = [np.arange(self.bounds[shard], self.bounds[shard + 1]) for shard in shards]
        examples: Integers = np.concatenate(ranges)
        return examples[_shuffled_order(len(examples), self.seed, epoch, 1, number)]

    def _size(self, shard: int) -> int:
        return int(self.bounds[shard + 1] - self.bounds[shard])


def _shuffled_order(count: int, *seeds: int) -> Integers:
    # Sorted by random keys: numpy promises that the stream of a bit generator never changes, which
    # neither its `permutation` nor torch's does, and a run may be repeated years later.
    keys = np.random.PCG64(np.random.SeedSequence(seeds)).random_raw(count)
    return np.argsort(keys, kind="stable").astype(np.int64)
