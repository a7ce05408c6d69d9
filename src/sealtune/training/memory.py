"""Predicts the most memory that a run of lean blocks takes, part by part, before anything is loaded.

What blocks keep is counted from shapes (`activations`). What cannot be counted (interpreter,
libraries, the allocator's gaps) is measured by `benchmarks/memory.py`, which also compares the whole
with real runs. All numbers are bytes of resident memory; pages of libraries, which the system may
take back, are among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sealtune.core.limits import MIB
from sealtune.training.activations import Activations
from sealtune.training.engine.choices import Choices
from sealtune.training.engine.tables import STREAMED_TABLE_BYTES
from sealtune.training.recipe import Recipe
from sealtune.training.shapes import ModelShape
from sealtune.training.workload import BatchShape, Workload

# Python, torch, transformers and a worker with what it loads, and what oneDNN keeps for itself.
FLOOR_BYTES = 390 * MIB
# A tokenizer of byte pairs with its merges, measured at 49,152 and 128,256 words.
_TOKENIZER_COPIES = 6
# What comes and goes leaves gaps of a wrong size in the allocator's hands.
_GAPS_PART = 8
_GAPS_BYTES = 40 * MIB
_FLOAT = 4
_TAPES = 3  # on their way to scratch or back, and the one at work


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
    """Return the peak of a run that is computed as `choices` say: what stays, and the largest of
    what comes and goes.
    """
    lean = Activations(shape, choices)
    passing = {
        "activations": _with_gaps(_computed(lean, workload)),
        "evaluation": _with_gaps(_evaluated(lean, workload)),
        "result": 2 * _FLOAT * shape.exported,
        "conversion of a tensor": shape.conversion,
    }
    if recipe.checkpoint_every_steps:
        # Moments joined, then all in one.
        passing["packing of a training checkpoint"] = 20 * shape.trained
    largest = max(passing, key=lambda name: passing[name])
    parts = {**_staying(shape, workload, choices, recipe), largest: passing[largest]}
    return Prediction(parts={name: size for name, size in parts.items() if size})


def _staying(
    shape: ModelShape, workload: Workload, choices: Choices, recipe: Recipe
) -> dict[str, int]:
    size = choices.dtype.itemsize
    frozen = [block.frozen_bytes for block in shape.blocks]
    tables = [table for table in shape.tables if not table.trained]
    shared = size == _FLOAT and not shape.scaled
    # Values, gradients, two moments; and what is computed with, if that is another type.
    flat = shape.trained * (4 * _FLOAT + (0 if shared else size))
    parts = {
        "interpreter and libraries": FLOOR_BYTES,
        "tokenizer": _TOKENIZER_COPIES * shape.tokenizer_bytes,
        "examples": workload.nbytes,
        "frozen weights": sum(frozen) + shape.others * size,
        "embeddings": sum(table.numel for table in tables) * size,
        "trained values, gradients and moments": flat,
    }
    if choices.streamed:
        parts["frozen weights"] = shape.others * size
        parts["buffers of streamed weights"] = choices.ring * max(frozen)
    if choices.tables_streamed:
        parts["embeddings"] = len(tables) * STREAMED_TABLE_BYTES
    if recipe.checkpoint_every_steps:
        parts["training checkpoint being sealed"] = 3 * _FLOAT * shape.trained
    if recipe.early_stopping_patience:
        parts["best values so far"] = _FLOAT * shape.trained
    return parts


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
    """Return what the micro-batches of a step make when they go through a block together."""
    blocks, tokens = lean.shape.blocks, sum(batch.tokens for batch in step)
    inputs = (len(blocks) + 1) * lean.boundary(tokens)
    kept = max(lean.kept(block, batch) for block in blocks for batch in step)
    passing = max(lean.passing(block, batch) for block in blocks for batch in step)
    gradients = lean.boundary(tokens)
    tapes = _TAPES if lean.choices.spilled else 1
    head = lean.head(tokens, sum(batch.supervised for batch in step))
    in_flight = 2 * kept if lean.choices.spilled else 0
    return inputs + max(gradients + tapes * kept + passing, in_flight + head)


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
    return 2 * lean.boundary(tokens) + max(passing, lean.head(tokens, supervised))
