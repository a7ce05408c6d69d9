"""What the lean blocks and the head keep and make in between, in bytes, from shapes.

It follows `engine.blocks`, `engine.linear`, `engine.attention` and `engine.cross_entropy` line by
line; a change there is a change here, and `benchmarks/memory.py` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sealtune.training.engine.choices import Choices
from sealtune.training.engine.cohorts import COHORT, TOGETHER
from sealtune.training.engine.cross_entropy import ROWS, WIDTH
from sealtune.training.engine.segments import TILE, Reach
from sealtune.training.shapes import BlockShape, ModelShape, visible_pairs
from sealtune.training.workload import BatchShape

_FLOAT = 4  # bytes of what is computed in 32 bits whatever the choices


@dataclass(frozen=True, slots=True)
class Activations:
    """The activations of a model under some choices."""

    shape: ModelShape
    choices: Choices
    _pairs: dict[tuple[int, Reach], int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of a value."""
        return int(self.choices.dtype.itemsize)

    def boundary(self, tokens: int) -> int:
        """Return the bytes of what goes from one block to the next."""
        return tokens * self.shape.width * self.size

    def kept(self, block: BlockShape, batch: BatchShape) -> int:
        """Return what `block` keeps for the backward pass beside its input."""
        values = block.qkv + block.attended + block.width + block.up + block.thin
        values += block.heads_normed + block.added
        # Masks of dropout have the compute type.
        values += block.adapted * bool(self.shape.lora_dropout)
        values += block.width * (bool(self.shape.out_dropout) + bool(self.shape.down_dropout))
        each = values * self.size + block.norms * _FLOAT
        pairs = block.heads * self._visible(block, batch)
        attention = pairs * self.size if self.choices.keep_probabilities else 0
        if self.shape.attention_dropout:
            attention += pairs * self.size
        return batch.tokens * each + attention

    def passing(self, block: BlockShape, batch: BatchShape) -> int:
        """Return the most that a forward or backward pass through `block` makes and drops."""
        d, w = self.size, block.width
        longest = max(batch.lengths)
        together = min(COHORT, batch.tokens) * min(TOGETHER, longest)
        scores = max(min(TILE, longest) * longest, together) * block.heads * d
        activated = 3 * block.inner * d if not block.gated else 7 * block.inner * d
        normalized = w * (3 * _FLOAT + 3 * d)
        each = max(
            w * d + activated,  # backward through the activation
            block.up * d + normalized,  # and the normalization before it
            (3 * block.qkv + 2 * block.attended) * d,  # backward through attention
            (2 * block.qkv + w) * d + normalized,
        )
        trained = block.matrix * d  # a matrix's gradient, before it is added up
        return batch.tokens * each + 3 * scores + trained

    def head(self, tokens: int, supervised: int) -> int:
        """Return the most that the head makes for `supervised` of `tokens` together, with the
        gradient of its input.
        """
        if not self.shape.predicts_words:
            return label_logits(supervised, self.shape.labels)
        d, w = self.size, self.shape.width
        # Copies of the states, and in 32 bits their normalization's derivative.
        states = supervised * w * (4 * d + 3 * _FLOAT)
        tile = self._tile(supervised)
        logits = 2 * tile * d
        if self.shape.tables[-1].trained:
            logits = tile * (2 * d + _FLOAT) + WIDTH * w * d
        return states + logits + tokens * w * d

    def head_forward(self, supervised: int) -> int:
        """Return the most that the head makes for losses alone."""
        if not self.shape.predicts_words:
            return label_logits(supervised, self.shape.labels)
        states = supervised * self.shape.width * (3 * self.size + 2 * _FLOAT)
        return states + 2 * self._tile(supervised) * self.size

    def _tile(self, supervised: int) -> int:
        return min(ROWS, supervised) * min(WIDTH, self.shape.vocabulary)

    def _visible(self, block: BlockShape, batch: BatchShape) -> int:
        total = 0
        for length in batch.lengths:
            key = (length, block.reach)
            if key not in self._pairs:
                self._pairs[key] = visible_pairs(*key)
            total += self._pairs[key]
        return total


def label_logits(predictions: int, labels: int) -> int:
    """Return what a classifier makes of `predictions`: logits, their softmax and gradients."""
    return predictions * labels * _FLOAT * 4
