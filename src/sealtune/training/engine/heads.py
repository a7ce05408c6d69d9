"""The ends of models: the loss against the targets, and its gradient at the last block's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from sealtune.training.engine.cross_entropy import (
    cross_entropy,
    losses_only,
    trained_cross_entropy,
)
from sealtune.training.engine.pooling import Reduction, labels_of
from sealtune.training.engine.prologue import Prologue
from sealtune.training.engine.run import Outcome
from sealtune.training.engine.tables import Table
from sealtune.training.packing import PackedBatch

Hidden = list[torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageHead:
    """Final normalization and output embeddings, of rows that all have a target."""

    norm: Prologue | None
    output: Table
    soft_cap: float = 0.0

    def __call__(
        self, hidden: Hidden, batches: Sequence[PackedBatch], *, scale: float | None
    ) -> list[Outcome]:
        """Return losses and, with `scale`, gradients: one pass over the output embeddings."""
        joined, sizes = torch.cat(hidden), [len(h) for h in hidden]
        targets = torch.cat([labels_of(batch) for batch in batches])
        states, kept = (joined, ()) if self.norm is None else self.norm.forward(joined)
        if scale is None:
            losses = losses_only(states, targets, self.output.pieces(), soft_cap=self.soft_cap)
            return [Outcome(total=part.sum()) for part in losses.split(sizes)]
        losses, gradient = self._derive(states, targets, scale)
        if self.norm is not None:
            gradient = self.norm.backward(gradient, joined, self.norm.again(joined, kept)[1])
        return [
            Outcome(total=part.sum(), gradient=g)
            for part, g in zip(losses.split(sizes), gradient.split(sizes), strict=True)
        ]

    def _derive(
        self, states: torch.Tensor, targets: torch.Tensor, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.output.gradient is not None:
            return trained_cross_entropy(
                states,
                targets,
                self.output.pieces,
                self.output.gradient,
                soft_cap=self.soft_cap,
                scale=scale,
            )
        return cross_entropy(
            states, targets, self.output.pieces(), soft_cap=self.soft_cap, scale=scale
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierHead:
    """A few small modules in 32 bits, by torch's own differentiation.

    `reduce` gives a row for each target, `classify` their logits. Gradients of the modules' own
    weights go to where their parameters' `.grad` lies.
    """

    reduce: Reduction
    classify: Callable[[torch.Tensor], torch.Tensor]

    def __call__(
        self, hidden: Hidden, batches: Sequence[PackedBatch], *, scale: float | None
    ) -> list[Outcome]:
        """Return losses, hits and, with `scale`, gradients, one batch after the other."""
        return [self._one(h, b, scale) for h, b in zip(hidden, batches, strict=True)]

    def _one(self, h: torch.Tensor, batch: PackedBatch, scale: float | None) -> Outcome:
        leaf = h.detach().requires_grad_(scale is not None)
        with torch.set_grad_enabled(scale is not None):
            logits = self.classify(self.reduce(leaf, batch))
            targets = labels_of(batch)
            loss = functional.cross_entropy(logits, targets, reduction="sum")
            hits = (logits.detach().argmax(-1) == targets).sum()
            if scale is not None:
                (loss * scale).backward()
        return Outcome(total=loss.detach(), correct=hits, gradient=leaf.grad)
