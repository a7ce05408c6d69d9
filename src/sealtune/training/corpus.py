"""The records of a run as batches: one pass that checks all of them, then steps made ahead.

The first pass reads every shard, so that a bad record is found before the weights are read, and
keeps what the order of the run needs: two numbers for each example. Examples themselves stay in
memory if they fit; otherwise the shards of a window are read again when their turn comes. Nothing
about the batches depends on that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from sealtune.errors import Code, FormatError, TrainingError
from sealtune.training.encode import Example, encode_records
from sealtune.training.example_sets import ExampleReader, ExampleSet
from sealtune.training.first_pass import RESIDENT_BYTES, FirstPass, read_through
from sealtune.training.images import DECODING_BYTES, ImageProcessor
from sealtune.training.order import WINDOW_WEIGHT, Piece, StepOrder
from sealtune.training.packing import PackedBatch, pack, split_step, target_kind
from sealtune.training.prefetch import Prefetched
from sealtune.training.recipe import Recipe
from sealtune.training.records import ListedRecords, RecordSource
from sealtune.training.tokens import TextTokenizer

_EVALUATION_BUDGETS = 8  # micro-batches cut out of one portion, so that they are well filled
_EVALUATION_EXAMPLES = 256

Step = tuple[int, list[PackedBatch]]


class Corpus:
    """What a run trains and evaluates on; `build_corpus` makes it.

    `label_counts` says how often each label is a target in training (classification only),
    `largest_id` is the highest token id anywhere, -1 without any; `decoding_bytes` is what the
    largest image takes while it is decoded, `image_bytes` what each takes after that.
    """

    def __init__(
        self,
        *,
        given: FirstPass,
        evaluation: FirstPass,
        recipe: Recipe,
        image_tokens: int,
        image_bytes: int,
    ) -> None:
        self._training = given.kept
        self._evaluation = [part for part in (given.apart, evaluation.apart) if len(part.table)]
        self._counts = {
            "records": given.records_kept,
            "evaluation_records": given.records_apart + evaluation.records_apart,
            "truncated_records": given.truncated + evaluation.truncated,
            "split_records": given.split + evaluation.split,
        }
        self.label_counts = given.label_counts
        self.largest_id = max(given.largest_id, evaluation.largest_id)
        self.decoding_bytes = DECODING_BYTES * max(given.decoded, evaluation.decoded)
        self.image_bytes = image_bytes
        self._kind = target_kind(recipe.task)
        self._image_tokens = image_tokens
        self._order = StepOrder(
            bounds=given.kept.table.bounds,
            weights=given.kept.table.weights,
            per_step=recipe.batch_size * recipe.gradient_accumulation,
            epochs=recipe.epochs,
            seed=recipe.seed,
            window_weight=WINDOW_WEIGHT,
        )

    @property
    def counts(self) -> Mapping[str, int]:
        """`records` trained on, `evaluation_records`; of both, `truncated_records` and
        `split_records`.
        """
        return MappingProxyType(self._counts)

    @property
    def examples_count(self) -> int:
        """The number of examples that are trained on in an epoch."""
        return len(self._training.table)

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """The length of each of them, in tokens."""
        return self._training.table.lengths

    @property
    def supervised(self) -> npt.NDArray[np.int32]:
        """The number of predictions of each that enter the loss."""
        return self._training.table.supervised

    @property
    def evaluation_count(self) -> int:
        """The number of examples that are evaluated on."""
        return sum(len(part.table) for part in self._evaluation)

    @property
    def evaluation_lengths(self) -> npt.NDArray[np.int32]:
        """The length of each of them, in tokens."""
        tables = [part.table.lengths for part in self._evaluation]
        return np.concatenate([np.zeros(0, dtype=np.int32), *tables])

    @property
    def evaluation_supervised(self) -> npt.NDArray[np.int32]:
        """The number of predictions of each that enter the loss."""
        tables = [part.table.supervised for part in self._evaluation]
        return np.concatenate([np.zeros(0, dtype=np.int32), *tables])

    @property
    def streamed(self) -> bool:
        """Whether the training records are read again in each epoch."""
        return self._training.resident is None

    @property
    def decodes_again(self) -> bool:
        """Whether any record is read again after the first pass, its image with it."""
        return any(part.resident is None for part in (self._training, *self._evaluation))

    @property
    def nbytes(self) -> int:
        """The memory that stays taken: tables, and the examples that are kept."""
        parts = (self._training, *self._evaluation)
        kept = sum(part.resident.nbytes for part in parts if part.resident is not None)
        return kept + sum(part.table.nbytes for part in parts)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch; the last may have fewer examples."""
        return self._order.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Optimizer steps in the whole run."""
        return self._order.total_steps

    def examples_of_steps(self, count: int) -> Iterator[npt.NDArray[np.int64]]:
        """Yield which examples each optimizer step has, for the first `count` steps of the run."""
        for _, pieces in islice(self._order.steps(after=0), count):
            yield np.concatenate([piece.examples for piece in pieces])

    def steps(self, *, after: int, budget: int) -> Prefetched[Step]:
        """Yield number and micro-batches, of at most `budget` tokens, of each step after `after`.

        A thread prepares them ahead; leave the `with` block of the result to end it. What a shard
        or record raises is raised at its step.
        """

        def prepare() -> Iterator[Step]:
            reader = self._training.reader()
            for number, pieces in self._order.steps(after=after):
                yield number, self._batches(self._training, reader, pieces, budget)

        return Prefetched(prepare(), size=lambda step: sum(batch.nbytes for batch in step[1]))

    def evaluation_batches(self, budget: int) -> Prefetched[PackedBatch]:
        """Yield the evaluation examples as micro-batches of at most `budget` tokens.

        `records` of those that were given apart are the numbers in their own dataset.
        """

        def prepare() -> Iterator[PackedBatch]:
            for part in self._evaluation:
                reader = part.reader()
                portions = part.table.pieces(
                    tokens_max=_EVALUATION_BUDGETS * budget, examples_max=_EVALUATION_EXAMPLES
                )
                for pieces in portions:
                    yield from self._batches(part, reader, pieces, budget)

        return Prefetched(prepare(), size=lambda batch: batch.nbytes)

    def _batches(
        self, part: ExampleSet, reader: ExampleReader, pieces: Sequence[Piece], budget: int
    ) -> list[PackedBatch]:
        examples: list[Example] = []
        for piece in pieces:
            reader.enter(piece.shards)
            examples += reader.take(piece.examples)
        indices = np.concatenate([piece.examples for piece in pieces])
        records = part.table.records[indices].tolist()
        lengths = part.table.lengths[indices].tolist()
        return [
            pack(
                [examples[i] for i in chosen],
                records=[records[i] for i in chosen],
                kind=self._kind,
                image_tokens=self._image_tokens,
            )
            for chosen in split_step(range(len(examples)), lengths, budget)
        ]


def build_corpus(
    source: RecordSource,
    evaluation_source: RecordSource | None = None,
    *,
    recipe: Recipe,
    tokenizer: TextTokenizer | None,
    images: ImageProcessor | None = None,
    resident_bytes: int = RESIDENT_BYTES,
    image_tokens: int = 1,
) -> Corpus:
    """Read all records once and return what to train and evaluate on.

    The recipe's fraction of `source`'s records is set apart for evaluation; all of
    `evaluation_source` joins it. Training examples stay in memory if they take at most
    `resident_bytes`; sets for evaluation, a quarter of that each. Texts need `tokenizer`, images
    `images`, and `image_tokens` is what an image counts towards a budget of tokens: its patches.

    Raises:
        FormatError: a record is not what it should be, or there is none; names it, quotes nothing.
        TrainingError: `RECIPE_UNSUPPORTED`: early stopping without records to evaluate on.
    """
    if not sum(source.shards):
        raise FormatError(Code.RECORDS_EMPTY, "there is no record to train on")
    evaluation_source = evaluation_source or ListedRecords(())
    given, evaluation = read_through(
        source,
        evaluation_source,
        recipe=recipe,
        encode=partial(encode_records, recipe=recipe, tokenizer=tokenizer, images=images),
        resident_bytes=resident_bytes,
        image_tokens=image_tokens,
    )
    corpus = Corpus(
        given=given,
        evaluation=evaluation,
        recipe=recipe,
        image_tokens=image_tokens,
        image_bytes=0 if images is None else math.prod(images.shape),
    )
    if recipe.early_stopping_patience and not corpus.evaluation_count:
        raise TrainingError(
            Code.RECIPE_UNSUPPORTED,
            "early_stopping_patience needs records to evaluate on",
            remedy="raise evaluation_fraction or give evaluation records",
        )
    return corpus
