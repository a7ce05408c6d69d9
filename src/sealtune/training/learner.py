"""What the training loop asks of a model, whichever way it is computed.

`engine.lean` computes the families that it knows block by block; `stock` runs the `transformers`
module of every other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from sealtune.training.engine.flat import FlatParameters
from sealtune.training.engine.run import Outcome
from sealtune.training.packing import PackedBatch


class Learner(Protocol):
    """A model with the trained part of its weights in flat buffers."""

    @property
    def parameters(self) -> FlatParameters:
        """Values, gradients and compute copies of everything that is trained."""
        ...

    def gradients(
        self, batches: Sequence[PackedBatch], *, scale: float, step: int
    ) -> Sequence[Outcome]:
        """Add the gradients of `scale` times the summed losses of `batches`."""
        ...

    def losses(self, batches: Sequence[PackedBatch]) -> Sequence[Outcome]:
        """Return what `batches` give, as in evaluation."""
        ...

    def narrowing(self, batches: Sequence[PackedBatch]) -> float:
        """Return by what part frozen matrices in 8 bits move the loss of `batches`; 0 without."""
        ...

    def adapters(self) -> Mapping[str, tuple[torch.Tensor, torch.Tensor]]:
        """Return both factors of each adapter, in 32 bits, by the full name of its module."""
        ...

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Return every tensor of the model in 32 bits by name, trained or not; tied ones once."""
        ...

    def close(self) -> None:
        """Let go of threads and room beside memory."""
        ...
