"""The largest micro-batches and optimizer steps of a run, from the lengths of its examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sealtune.core.limits import IMAGE_PIXELS_MAX
from sealtune.training.corpus import Corpus
from sealtune.training.images import DECODING_BYTES
from sealtune.training.order import WINDOW_WEIGHT
from sealtune.training.packing import TargetKind, split_step, target_kind
from sealtune.training.prefetch import ahead_bytes
from sealtune.training.recipe import Recipe

Counts = npt.NDArray[np.int32]
# Steps that are looked at: the order of a run is fixed, so these are its own. Of a longer run the
# rest is drawn as these are, and rarely beyond the largest of so many.
_STEPS_MAX = 20_000
# Of a step, where records are not known: 8 times the largest that is usual. A recipe may say 2**32.
_EXAMPLES_MAX = 2**16
_CANDIDATES = 8  # steps kept for each of the ways in which one can be the largest
# A window of records that are read again, as Python objects, and the next one while it is read.
_WINDOW_BYTES = 4 * WINDOW_WEIGHT
_TOKEN_BYTES = 3 * 8  # of a batch: id, position and target
EVALUATED_TOGETHER = 8  # micro-batches


@dataclass(frozen=True, slots=True)
class BatchShape:
    """A micro-batch: the length of each segment, and how many predictions enter its loss."""

    lengths: tuple[int, ...]
    supervised: int

    @property
    def tokens(self) -> int:
        """All tokens, none of them padding."""
        return sum(self.lengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a run computes: `steps` and `evaluations` hold the lengths and predictions of the
    examples of those that may be the largest; `nbytes` is what the examples take in memory,
    `ahead` what batches do that are prepared ahead. `decoding` is what an image takes while it is
    decoded, in the first pass and, if `decodes_again`, beside all else.
    """

    steps: tuple[tuple[Counts, Counts], ...]
    evaluation: tuple[Counts, Counts]
    nbytes: int
    ahead: int
    decoding: int
    decodes_again: bool

    @property
    def longest(self) -> int:
        """The length of the longest example: no micro-batch can be smaller."""
        lengths = [part for part, _ in (*self.steps, self.evaluation)]
        return max((int(part.max()) for part in lengths if len(part)), default=1)

    def batches(self, budget: int) -> list[list[BatchShape]]:
        """Return the micro-batches, of at most `budget` tokens, of each of `steps`."""
        return [_split(lengths, supervised, budget) for lengths, supervised in self.steps]

    def evaluated(self, budget: int) -> list[BatchShape]:
        """Return the largest micro-batches that are evaluated together."""
        lengths, supervised = self.evaluation
        room = budget * EVALUATED_TOGETHER
        count = max(1, int(np.searchsorted(np.cumsum(lengths), room, side="right")))
        return _split(lengths[:count], supervised[:count], budget)


def workload_of(corpus: Corpus) -> Workload:
    """Return what a run on `corpus` computes."""
    lengths, supervised = corpus.lengths, corpus.supervised
    steps = list(corpus.examples_of_steps(_STEPS_MAX))
    keys = (
        [int(lengths[step].sum()) for step in steps],
        [int((lengths[step].astype(np.int64) ** 2).sum()) for step in steps],
        [int(supervised[step].sum()) for step in steps],
    )
    chosen = {index for key in keys for index in _largest(key)}
    sizes = [_batch_bytes(lengths[step], corpus.image_bytes) for step in steps]
    order = np.argsort(-corpus.evaluation_lengths, kind="stable")
    return Workload(
        steps=tuple((lengths[steps[i]], supervised[steps[i]]) for i in sorted(chosen)),
        evaluation=(corpus.evaluation_lengths[order], corpus.evaluation_supervised[order]),
        nbytes=corpus.nbytes + (_WINDOW_BYTES if corpus.streamed else 0),
        ahead=ahead_bytes(max(sizes, default=0)),
        decoding=corpus.decoding_bytes,
        decodes_again=corpus.decodes_again,
    )


def workload_of_recipe(recipe: Recipe, *, length: int, image_bytes: int = 0) -> Workload:
    """Return the largest that `recipe` allows, each example of `length`: without the records.

    Images take `image_bytes` each once they are resized, and were as large as they may be.
    """
    count = min(recipe.batch_size * recipe.gradient_accumulation, _EXAMPLES_MAX)
    whole = np.full(count, length, dtype=np.int32)
    each_record = target_kind(recipe.task) is TargetKind.EACH_RECORD
    predictions = np.ones_like(whole) if each_record else whole
    empty = np.zeros(0, dtype=np.int32)
    evaluation = (whole, predictions) if recipe.evaluation_fraction else (empty, empty)
    return Workload(
        steps=((whole, predictions),),
        evaluation=evaluation,
        nbytes=0,
        ahead=ahead_bytes(_batch_bytes(whole, image_bytes)),
        decoding=DECODING_BYTES * IMAGE_PIXELS_MAX if image_bytes else 0,
        decodes_again=bool(image_bytes),
    )


def _batch_bytes(lengths: Counts, image_bytes: int) -> int:
    """Return the bytes of the batches of a step whose examples have `lengths`."""
    if image_bytes:
        return len(lengths) * image_bytes
    return int(lengths.sum()) * _TOKEN_BYTES


def _split(lengths: Counts, supervised: Counts, budget: int) -> list[BatchShape]:
    if not len(lengths):
        return []
    indices = range(len(lengths))
    return [
        BatchShape(
            lengths=tuple(int(lengths[i]) for i in batch),
            supervised=int(supervised[batch].sum()),
        )
        for batch in split_step(indices, lengths.tolist(), budget)
    ]


def _largest(values: Sequence[int]) -> Iterable[int]:
    return sorted(range(len(values)), key=lambda i: values[i], reverse=True)[:_CANDIDATES]
