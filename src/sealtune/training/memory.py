"""Predicts the most memory that a run of lean blocks takes, part by part, before it begins.

What blocks keep is counted from shapes (`activations`). What cannot be counted (interpreter,
libraries, the allocator's gaps) is measured by `benchmarks/memory.py`, which also compares the
whole with real runs. All numbers are bytes of resident memory; pages of libraries, which the
system may take back, are among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sealtune.core.limits import MIB
from sealtune.training.activations import Activations
from sealtune.training.engine.choices import Choices
from sealtune.training.engine.run import PLACES
from sealtune.training.engine.tables import STREAMED_TABLE_BYTES
from sealtune.training.recipe import Recipe
from sealtune.training.shapes import ModelShape
from sealtune.training.workload import BatchShape, Workload

# Python, torch, transformers and a worker with what it loads, and what oneDNN keeps for itself.
FLOOR_BYTES = 400 * MIB
# A tokenizer of byte pairs with its merges, measured at 49,152 and 128,256 words.
TOKENIZER_COPIES = 6
# What comes and goes leaves gaps of a wrong size in the allocator's hands.
_GAPS_PART = 8
_GAPS_BYTES = 40 * MIB
_FLOAT = 4
_TAPES = 6  # the one at work, those on their way to scratch or back, and their gaps; as measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The predicted peak in bytes, as parts by name; their sum is the whole."""

    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        """The whole."""
        return sum(self.parts.values())


def predict(
    shape: ModelShape, workload: Workload, choices: Choices, *, recipe: Recipe
) -> Prediction:
    """Return the peak of a run of lean blocks that is computed as `choices` say."""
    lean = Activations(shape, choices)
    size = choices.dtype.itemsize
    frozen = [block.frozen_bytes for block in shape.blocks]
    tables = [table for table in shape.tables if not table.trained]
    others = shape.others * size
    staying = {
        "tokenizer": TOKENIZER_COPIES * shape.tokenizer_bytes,
        "frozen weights": others + _frozen(sum(frozen), choices),
        "embeddings": sum(table.numel for table in tables) * size,
    }
    if choices.streamed:
        staying["buffers of streamed weights"] = choices.ring * max(frozen)
        # One room, made once: it leaves no gaps.
        staying["inputs of all blocks"] = max(
            _places(choices, len(frozen)) * lean.boundary(sum(batch.tokens for batch in step))
            for step in workload.batches(choices.tokens)
        )
    if choices.tables_streamed:
        staying["embeddings"] = len(tables) * STREAMED_TABLE_BYTES
    return peak_of(
        staying,
        workload=workload,
        trained=TrainedValues(
            count=shape.trained,
            copies=0 if size == _FLOAT and not shape.scaled else size,
            exported=shape.exported,
        ),
        computed=_computed(lean, workload),
        evaluated=_evaluated(lean, workload),
        conversion=shape.conversion,
        recipe=recipe,
        in_turn=choices.one_checkpoint,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedValues:
    """How many values are trained, the bytes of each one's compute copy, and how many the result
    has.
    """

    count: int
    copies: int
    exported: int


def peak_of(
    staying: Mapping[str, int],
    *,
    workload: Workload,
    trained: TrainedValues,
    computed: int,
    evaluated: int,
    conversion: int,
    recipe: Recipe,
    in_turn: bool = False,
) -> Prediction:
    """Return what stays, with everything that goes with examples and trained values, and the
    largest of what comes and goes.
    """
    count = trained.count
    parts = {
        "interpreter and libraries": FLOOR_BYTES,
        **staying,
        "examples": workload.nbytes,
        "batches prepared ahead": workload.ahead,
        # Beside each value its gradient and two moments.
        "trained values, gradients and moments": count * (4 * _FLOAT + trained.copies),
    }
    passing = {
        "activations": _with_gaps(computed),
        "evaluation": _with_gaps(evaluated),
        "conversion of a tensor": conversion,
    }
    # A thread decodes at any time; or all is decoded before anything is computed.
    decoded = parts if workload.decodes_again else passing
    decoded["an image being decoded"] = workload.decoding
    # What a step leaves behind in pieces is of no use for buffers that are larger.
    left = passing["activations"] // 2
    passing["result"] = 2 * _FLOAT * trained.exported + left
    if recipe.checkpoint_every_steps:
        parts["training checkpoint being sealed"] = 3 * _FLOAT * count
        passing["packing of a training checkpoint"] = left
    if recipe.checkpoint_every_steps and not in_turn:
        # While one is sealed the next may wait, and the one after that is packed.
        parts["training checkpoint that waits"] = 3 * _FLOAT * count
        passing["packing of a training checkpoint"] += 3 * _FLOAT * count
    if recipe.early_stopping_patience:
        parts["best values so far"] = _FLOAT * count
    largest = max(passing, key=lambda name: passing[name])
    parts[largest] = passing[largest]
    return Prediction(parts={name: size for name, size in parts.items() if size})


def _places(choices: Choices, blocks: int) -> int:
    # `Choices.spilled` is all blocks or none: with all, inputs are on the tapes.
    return min(blocks + 1, PLACES) if choices.spilled >= blocks else blocks + 1


def _frozen(size: int, choices: Choices) -> int:
    if choices.int8:
        # One byte for each value; scales and vectors are a hundredth of that at most.
        itemsize: int = choices.dtype.itemsize
        return size // itemsize * 101 // 100
    return 0 if choices.streamed else size


def _with_gaps(size: int) -> int:
    return size + min(size, size // _GAPS_PART + _GAPS_BYTES)


def _computed(lean: Activations, workload: Workload) -> int:
    steps = workload.batches(lean.choices.tokens)
    if lean.choices.streamed:
        return max(_layer_by_layer(lean, step) for step in steps)
    return max(_one_batch(lean, batch) for step in steps for batch in step)


def _one_batch(lean: Activations, batch: BatchShape) -> int:
    """Return what a micro-batch makes when it goes through all blocks before the next does."""
    blocks, tokens = lean.shape.blocks, batch.tokens
    kept = [lean.kept(block, batch) for block in blocks]
    passing = max(lean.passing(block, batch) for block in blocks)
    inputs = (len(blocks) + 1) * lean.boundary(tokens)
    head = lean.head(tokens, batch.supervised)
    if lean.choices.recompute:
        return inputs + max(max(kept) + passing, head)
    return inputs + sum(kept) + max(passing, head)


def _layer_by_layer(lean: Activations, step: Sequence[BatchShape]) -> int:
    """Return what the micro-batches of a step make when they go through a block together, beside
    the blocks' inputs.
    """
    blocks, tokens = lean.shape.blocks, sum(batch.tokens for batch in step)
    kept = max(lean.kept(block, batch) for block in blocks for batch in step)
    passing = max(lean.passing(block, batch) for block in blocks for batch in step)
    gradients = lean.boundary(tokens)
    tapes = _TAPES if lean.choices.spilled else 1
    if lean.choices.spilled:
        kept += max(lean.boundary(batch.tokens) for batch in step)
    head = lean.head(tokens, sum(batch.supervised for batch in step))
    in_flight = 2 * kept if lean.choices.spilled else 0
    return max(gradients + tapes * kept + passing, in_flight + head)


def _evaluated(lean: Activations, workload: Workload) -> int:
    batches = workload.evaluated(lean.choices.tokens)
    if not batches:
        return 0
    if not lean.choices.streamed:
        return max(_forward(lean, [batch]) for batch in batches)
    return _forward(lean, batches)


def _forward(lean: Activations, batches: Sequence[BatchShape]) -> int:
    tokens, supervised = (sum(b.tokens for b in batches), sum(b.supervised for b in batches))
    block = lean.shape.blocks[0]
    passing = max(lean.kept(block, batch) + lean.passing(block, batch) for batch in batches)
    return 2 * lean.boundary(tokens) + max(passing, lean.head_forward(supervised))
