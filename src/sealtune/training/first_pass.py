"""The first pass over the records: each is read, checked, encoded and measured once.

It holds one shard and the examples of one group at a time, besides what is kept on purpose.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from sealtune.core.limits import MIB
from sealtune.errors import Code, FormatError
from sealtune.training.encode import GROUP, Encoded, Example
from sealtune.training.example_sets import ExampleSet, ExampleSetBuilder
from sealtune.training.examples import Record, count_labels
from sealtune.training.packing import target_kind
from sealtune.training.recipe import Recipe, Task
from sealtune.training.records import RecordSource, record_weight

RESIDENT_BYTES = 256 * MIB  # 60 million tokens of plain text
_EVALUATION_SHARE = 4  # sets for evaluation may take this part of what training may
_IMAGES = 32  # images decoded at once: 150 KiB each at the usual 224 x 224


class Encode(Protocol):
    """`encode_records` with recipe and tokenizer given: each record on its own, always alike."""

    def __call__(self, records: Sequence[Record], *, what: str, first: int) -> Encoded:
        """Return `records` encoded; errors name one by `what` and its number, from `first` on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPass:
    """What one dataset holds: examples to train on (`kept`) and set apart, and what was counted.

    `decoded` are the pixels of the largest image before it was resized.
    """

    kept: ExampleSet
    apart: ExampleSet
    records_kept: int
    records_apart: int
    truncated: int
    split: int
    label_counts: tuple[int, ...]
    largest_id: int
    decoded: int


def read_through(
    source: RecordSource,
    evaluation_source: RecordSource,
    *,
    recipe: Recipe,
    encode: Encode,
    resident_bytes: int,
    image_tokens: int,
) -> tuple[FirstPass, FirstPass]:
    """Return the first pass over each source; of the second all is set apart.

    Raises:
        FormatError: a record is not what it should be; names it and quotes nothing.
    """
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
            RecordEncoder(encode, what=what, lock=lock),
            recipe=recipe,
            resident_bytes=resident_bytes,
            image_tokens=image_tokens,
        ).read(each, apart)
        for each, apart, what in passes
    )
    return given, evaluation


def evaluation_mask(count: int, *, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which of `count` records are set apart to evaluate on: `fraction` of them.

    At least one stays on each side unless `fraction` is 0 or there is one record only.
    """
    mask = np.zeros(count, dtype=np.bool_)
    if fraction and count >= 2:
        generator = torch.Generator().manual_seed(seed)
        apart = min(max(1, round(count * fraction)), count - 1)
        mask[torch.randperm(count, generator=generator)[:apart].numpy()] = True
    return mask


class RecordEncoder:
    """Encodes the records of one dataset, from any thread; `what` names one of them in errors.

    `lock` is for all that share a tokenizer: its settings change with each call.
    """

    def __init__(self, encode: Encode, *, what: str, lock: threading.Lock) -> None:
        self._encode_records = encode
        self._what = what
        self._lock = lock

    def one(self, record: Record, number: int) -> tuple[Example, ...]:
        """Return the examples of record `number`; uses one core: the others are at work."""
        return self.group([record], number).examples

    def group(self, records: Sequence[Record], first: int) -> Encoded:
        """Return the examples of the records from number `first` on."""
        with self._lock:
            return self._encode_records(records, what=self._what, first=first)


class _Reading:
    """The pass over one dataset while it goes on."""

    def __init__(
        self, encoder: RecordEncoder, *, recipe: Recipe, resident_bytes: int, image_tokens: int
    ) -> None:
        self._encoder = encoder
        self._group = _IMAGES if recipe.task is Task.IMAGE_CLASSIFICATION else GROUP
        kind = target_kind(recipe.task)
        self._kept, self._apart = (
            ExampleSetBuilder(kind=kind, resident_bytes=limit, image_tokens=image_tokens)
            for limit in (resident_bytes, resident_bytes // _EVALUATION_SHARE)
        )
        self._label_counts = np.zeros(len(recipe.labels), dtype=np.int64)
        self._largest_id = -1
        self._truncated = self._split = self._decoded = 0

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
        encoded = self._encoder.group(records, first)
        self._truncated += encoded.truncated
        self._split += encoded.split
        self._decoded = max(self._decoded, encoded.decoded)
        origins = encoded.origins or range(len(encoded.examples))
        trained = []
        for example, origin in zip(encoded.examples, origins, strict=True):
            number = first + origin
            (self._apart if apart[number] else self._kept).add(number, example)
            if not apart[number]:
                trained.append(example)
            self._largest_id = max(self._largest_id, int(example.ids.max(initial=-1)))
        if len(self._label_counts):
            self._label_counts += count_labels(trained, labels=len(self._label_counts))
        self._kept.end_group()
        self._apart.end_group()

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
            split=self._split,
            label_counts=tuple(self._label_counts.tolist()),
            largest_id=self._largest_id,
            decoded=self._decoded,
        )
