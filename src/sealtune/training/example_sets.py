"""The examples of a dataset: their lengths always in memory, they themselves only if they fit.

What does not fit is read and encoded again whenever it is wanted. Which of the two it is changes
nothing about the examples.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sealtune.errors import Code, FormatError
from sealtune.training.examples import Example, Record
from sealtune.training.order import Integers, Piece
from sealtune.training.packing import TargetKind, supervised_predictions
from sealtune.training.records import RecordSource

# Encodes one record, given with its number.
EncodeOne = Callable[[Record, int], Sequence[Example]]


class ExampleReader(Protocol):
    """Gives examples by number; each use of a dataset has a reader of its own."""

    def enter(self, shards: Sequence[int]) -> None:
        """Get ready to give examples of `shards`, and of no others."""
        ...

    def take(self, indices: Integers) -> list[Example]:
        """Return the examples with these numbers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleTable:
    """What is known of each example of a dataset, or of a part of it.

    Examples are numbered in the order of their records: shard s has those from `bounds[s]` to
    `bounds[s + 1]`. `lengths` count towards a budget of tokens, `supervised` are the predictions in
    the loss, `records` the numbers of the records. `weights` are the shards' (`record_weight`).
    """

    lengths: npt.NDArray[np.int32]
    supervised: npt.NDArray[np.int32]
    records: Integers
    bounds: Integers
    weights: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        arrays = (self.lengths, self.supervised, self.records, self.bounds)
        return sum(each.nbytes for each in arrays)

    def pieces(self, *, tokens_max: int, examples_max: int) -> Iterator[list[Piece]]:
        """Yield all examples in order, in portions of which each but the last reaches a limit."""
        pieces: list[Piece] = []
        tokens = count = 0
        for shard in range(len(self.weights)):
            start = int(self.bounds[shard])
            for index in range(start, int(self.bounds[shard + 1])):
                tokens += int(self.lengths[index])
                count += 1
                if tokens >= tokens_max or count >= examples_max:
                    yield [*pieces, _piece(shard, start, index + 1)]
                    pieces, start, tokens, count = [], index + 1, 0, 0
            if start < self.bounds[shard + 1]:
                pieces.append(_piece(shard, start, int(self.bounds[shard + 1])))
        if pieces:
            yield pieces


def _piece(shard: int, start: int, end: int) -> Piece:
    return Piece(shards=(shard,), examples=np.arange(start, end))


class _Group:
    """Some examples end to end in 32 bits: objects of their own would cost as much as short texts.

    Images stay as they are.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self._images = [example for example in examples if example.pixels is not None]
        if self._images:
            self.nbytes = sum(e.pixels.nbytes for e in examples if e.pixels is not None)
            return
        self._ids = np.concatenate([example.ids for example in examples]).astype(np.int32)
        self._ends = np.array([0, *accumulate(len(example.ids) for example in examples)])
        # Of plain text every token is its own target.
        self._plain = all(example.targets is example.ids for example in examples)
        self.nbytes = self._ids.nbytes + self._ends.nbytes
        if not self._plain:
            targets = [example.targets for example in examples]
            self._targets = np.concatenate(targets).astype(np.int32)
            self._target_ends = np.array([0, *accumulate(map(len, targets))])
            self.nbytes += self._targets.nbytes + self._target_ends.nbytes

    def example(self, index: int) -> Example:
        """Return one of them."""
        if self._images:
            return self._images[index]
        ids = self._ids[self._ends[index] : self._ends[index + 1]].astype(np.int64)
        if self._plain:
            return Example(ids, ids)
        start, end = self._target_ends[index : index + 2]
        return Example(ids, self._targets[start:end].astype(np.int64))


class ResidentExamples:
    """A reader of examples that are in memory."""

    def __init__(self, groups: Sequence[_Group], sizes: Sequence[int]) -> None:
        self._groups = groups
        self._starts = np.array([0, *accumulate(sizes)])
        self.nbytes = sum(group.nbytes for group in groups)

    def enter(self, shards: Sequence[int]) -> None:
        """Do nothing: all shards are here."""

    def take(self, indices: Integers) -> list[Example]:
        """Return the examples with these numbers."""
        numbers = np.searchsorted(self._starts, indices, side="right") - 1
        places = indices - self._starts[numbers]
        return [
            self._groups[number].example(place)
            for number, place in zip(numbers.tolist(), places.tolist(), strict=True)
        ]


class RereadExamples:
    """A reader that holds the records of the entered shards and encodes those that are wanted."""

    def __init__(self, source: RecordSource, *, table: ExampleTable, encode: EncodeOne) -> None:
        self._source = source
        self._table = table
        self._encode = encode
        self._first = np.array([0, *accumulate(source.shards)])
        self._held: Mapping[int, Sequence[Record]] = {}

    def enter(self, shards: Sequence[int]) -> None:
        """Read those of `shards` that are not here yet, once the others are let go."""
        self._held = {shard: self._held[shard] for shard in shards if shard in self._held}
        missing = {s: self._source.read(s) for s in shards if s not in self._held}
        self._held = {**self._held, **missing}

    def take(self, indices: Integers) -> list[Example]:
        """Return the examples with these numbers.

        Raises:
            FormatError: `RECORD_MALFORMED`: a record is not the one that was read first.
        """
        return [self._example(index) for index in indices.tolist()]

    def _example(self, index: int) -> Example:
        records = self._table.records
        number = int(records[index])
        shard = int(np.searchsorted(self._first, number, side="right")) - 1
        record = self._held[shard][number - int(self._first[shard])]
        examples = self._encode(record, number)
        # A long record may have been split: its examples are next to each other.
        part = index - int(np.searchsorted(records, number))
        if part >= len(examples) or _ids(examples[part]) != self._known_ids(index, examples[part]):
            raise FormatError(Code.RECORD_MALFORMED, f"record {number} changed since it was read")
        return examples[part]

    def _known_ids(self, index: int, example: Example) -> int:
        # An image's length is what it counts, whatever its pixels are.
        return _ids(example) if example.pixels is not None else int(self._table.lengths[index])


def _ids(example: Example) -> int:
    return len(example.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSet:
    """Examples with their table; `resident` if they are in memory."""

    source: RecordSource
    table: ExampleTable
    encode: EncodeOne
    resident: ResidentExamples | None

    def reader(self) -> ExampleReader:
        """Return a new reader."""
        if self.resident is not None:
            return self.resident
        return RereadExamples(self.source, table=self.table, encode=self.encode)


class ExampleSetBuilder:
    """Takes in encoded records in order; keeps the examples for as long as they fit.

    `resident_bytes` is the memory that they may take, `image_tokens` the length of an image.
    """

    def __init__(self, *, kind: TargetKind, resident_bytes: int, image_tokens: int) -> None:
        self._kind = kind
        self._limit = resident_bytes
        self._image_tokens = image_tokens
        self._lengths, self._supervised, self._records = array("i"), array("i"), array("q")
        self._bounds = array("q", [0])
        self._waiting: list[Example] = []
        self._groups: list[_Group] | None = []
        self._sizes: list[int] = []
        self._kept_bytes = 0

    def add(self, record: int, example: Example) -> None:
        """Take in the next example, which is of record number `record`."""
        image = example.pixels is not None
        self._lengths.append(self._image_tokens if image else len(example.ids))
        self._supervised.append(supervised_predictions(example, kind=self._kind))
        self._records.append(record)
        if self._groups is not None:
            self._waiting.append(example)

    def end_group(self) -> None:
        """Store what was added since the last group; forget all of it once it is too much."""
        if self._groups is None or not self._waiting:
            return
        self._groups.append(_Group(self._waiting))
        self._sizes.append(len(self._waiting))
        self._waiting = []
        self._kept_bytes += self._groups[-1].nbytes
        if self._kept_bytes > self._limit:
            self._groups = None

    def end_shard(self) -> None:
        """Say that what follows is of the next shard."""
        self._bounds.append(len(self._lengths))

    def build(
        self, source: RecordSource, *, weights: Sequence[int], encode: EncodeOne
    ) -> ExampleSet:
        """Return what was taken in."""
        table = ExampleTable(
            lengths=np.array(self._lengths, dtype=np.int32),
            supervised=np.array(self._supervised, dtype=np.int32),
            records=np.array(self._records, dtype=np.int64),
            bounds=np.array(self._bounds, dtype=np.int64),
            weights=tuple(weights),
        )
        kept = self._groups is not None
        resident = ResidentExamples(self._groups or (), self._sizes) if kept else None
        return ExampleSet(source=source, table=table, encode=encode, resident=resident)
