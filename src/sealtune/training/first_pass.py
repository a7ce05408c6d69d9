"""The first pass over the records: each is read, checked, encoded and measured once.

It holds one shard and the examples of one group at a time, besides what is kept on purpose.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sealtune.core.limits import MIB
from sealtune.errors import Code, FormatError
from sealtune.training.batches import evaluation_mask
from sealtune.training.encode import IGNORED, Encoded, Example, encode_records
from sealtune.training.example_sets import ExampleSet, ExampleSetBuilder
from sealtune.training.packing import target_kind
from sealtune.training.recipe import Recipe, Task
from sealtune.training.records import Record, RecordSource, record_weight
from sealtune.training.tokens import TextTokenizer

RESIDENT_BYTES = 256 * MIB  # 60 million tokens of plain text
_EVALUATION_SHARE = 4  # sets for evaluation may take this part of what training may
_GROUP = 1_024  # texts encoded at once: enough to use every core
_IMAGES = 32  # images decoded at once: 150 KiB each at the usual 224 x 224


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPass:
    """What one dataset holds: examples to train on (`kept`) and set apart, and what was counted."""

    kept: ExampleSet
    apart: ExampleSet
    records_kept: int
    records_apart: int
    truncated: int
    label_counts: tuple[int, ...]
    largest_id: int


def read_through(
    source: RecordSource,
    evaluation_source: RecordSource,
    *,
    recipe: Recipe,
    tokenizer: TextTokenizer,
    resident_bytes: int,
    image_tokens: int,
) -> tuple[FirstPass, FirstPass]:
    """Return the first pass over each source; of the second all is set apart.

    Raises:
        FormatError: a record is not what it should be; names it and quotes nothing.
    """
    # One lock: a call changes the tokenizer's settings.
    lock = threading.Lock()
    mask = evaluation_mask(
        sum(source.shards), fraction=recipe.evaluation_fraction, seed=recipe.seed
    )
    passes = (
        (source, mask, "record"),
        (evaluation_source, np.ones(sum(evaluation_source.shards), np.bool_), "evaluation record"),
    )
    given, evaluation = (
        _Reading(
            RecordEncoder(recipe, tokenizer, what=what, lock=lock),
            recipe=recipe,
            resident_bytes=resident_bytes,
            image_tokens=image_tokens,
        ).read(each, apart)
        for each, apart, what in passes
    )
    return given, evaluation


class RecordEncoder:
    """Encodes the records of one dataset, from any thread; `what` names one of them in errors."""

    def __init__(
        self, recipe: Recipe, tokenizer: TextTokenizer, *, what: str, lock: threading.Lock
    ) -> None:
        self._recipe = recipe
        self._tokenizer = tokenizer
        self._what = what
        self._lock = lock

    def one(self, record: Record, number: int) -> tuple[Example, ...]:
        """Return the examples of record `number`; uses one core: the others are at work."""
        return self._encode([record], number).examples

    def group(self, records: Sequence[Record], first: int) -> tuple[list[Sequence[Example]], int]:
        """Return the examples of each record from number `first` on, and how many were cut."""
        encoded = self._encode(records, first)
        if len(encoded.examples) == len(records):
            return [(example,) for example in encoded.examples], encoded.truncated
        # Some were split. One at a time tells which.
        each = [self.one(record, first + i) for i, record in enumerate(records)]
        return [*each], encoded.truncated

    def _encode(self, records: Sequence[Record], first: int) -> Encoded:
        # `encode_records` counts from 0.
        what = f"{self._what} {first} +" if first else self._what
        with self._lock:
            return encode_records(
                records, recipe=self._recipe, tokenizer=self._tokenizer, what=what
            )


class _Reading:
    """The pass over one dataset while it goes on."""

    def __init__(
        self, encoder: RecordEncoder, *, recipe: Recipe, resident_bytes: int, image_tokens: int
    ) -> None:
        self._encoder = encoder
        self._group = _IMAGES if recipe.task.value == "image-classification" else _GROUP
        self._classes = 0 if recipe.task is Task.CAUSAL_LM else len(recipe.labels)
        kind = target_kind(recipe.task)
        self._kept, self._apart = (
            ExampleSetBuilder(kind=kind, resident_bytes=limit, image_tokens=image_tokens)
            for limit in (resident_bytes, resident_bytes // _EVALUATION_SHARE)
        )
        self._label_counts = np.zeros(self._classes, dtype=np.int64)
        self._largest_id = -1
        self._truncated = 0

    def read(self, source: RecordSource, apart: npt.NDArray[np.bool_]) -> FirstPass:
        """Read all of `source`; `apart` says which of its records are not trained on."""
        weights = []
        first = 0
        for shard, count in enumerate(source.shards):
            records = source.read(shard)
            if len(records) != count:
                message = f"shard {shard} has {len(records)} records, not {count} as stated"
                raise FormatError(Code.RECORD_MALFORMED, message)
            for start in range(0, count, self._group):
                end = min(start + self._group, count)
                group = [records[index] for index in range(start, end)]
                self._take(group, first + start, apart)
            weights.append(sum(record_weight(record) for record in records))
            self._kept.end_shard()
            self._apart.end_shard()
            first += count
        return self._result(source, weights, apart)

    def _take(self, records: Sequence[Record], first: int, apart: npt.NDArray[np.bool_]) -> None:
        encoded, truncated = self._encoder.group(records, first)
        self._truncated += truncated
        for number, examples in enumerate(encoded, start=first):
            if apart[number]:
                self._apart.add(number, examples)
            else:
                self._kept.add(number, examples)
                self._count_labels(examples)
            for example in examples:
                self._largest_id = max(self._largest_id, int(example.ids.max(initial=-1)))
        self._kept.end_group()
        self._apart.end_group()

    def _count_labels(self, examples: Sequence[Example]) -> None:
        if self._classes:
            for example in examples:
                labels = example.targets[example.targets != IGNORED]
                self._label_counts += np.bincount(labels, minlength=self._classes)

    def _result(
        self, source: RecordSource, weights: Sequence[int], apart: npt.NDArray[np.bool_]
    ) -> FirstPass:
        records_apart = int(np.count_nonzero(apart))
        return FirstPass(
            kept=self._kept.build(source, weights=weights, encode=self._encoder.one),
            apart=self._apart.build(source, weights=weights, encode=self._encoder.one),
            records_kept=len(apart) - records_apart,
            records_apart=records_apart,
            truncated=self._truncated,
            label_counts=tuple(self._label_counts.tolist()),
            largest_id=self._largest_id,
        )
