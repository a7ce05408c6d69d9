"""Vision transformers: the stock module makes patches of images, one segment for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from sealtune.training.engine.blocks import Context
from sealtune.training.engine.outside import Entrance
from sealtune.training.engine.pooling import Wanted
from sealtune.training.engine.run import Outcome
from sealtune.training.engine.segments import Segments
from sealtune.training.packing import PackedBatch

Normalize = Callable[[torch.Tensor], torch.Tensor]  # 8-bit pixels to what the model takes


class VisionEnds:
    """Patch embedding and head; `length` is the number of patches with the class's token."""

    def __init__(
        self,
        *,
        embeddings: Any,
        length: int,
        normalize: Normalize,
        entrance: Entrance,
        wanted: Wanted,
        head_of: Callable[..., list[Outcome]],
        width: int,
    ) -> None:
        self.width = width
        self._embeddings, self._length, self._normalize = embeddings, length, normalize
        self._entrance, self._wanted, self._head_of = entrance, wanted, head_of

    @property
    def trained(self) -> bool:
        """As the protocol says."""
        return self._entrance.trained

    def length(self, batch: PackedBatch) -> int:
        """As the protocol says."""
        return len(batch.targets) * self._length

    def context(self, batch: PackedBatch) -> Context:
        """As the protocol says."""
        count, length = len(batch.targets), self._length
        segments = Segments(
            bounds=tuple(range(0, count * length + 1, length)),
            positions=torch.arange(length).repeat(count),
        )
        return Context(segments=segments, rotations={}, wanted=self._wanted(batch), queries=1)

    def embed(self, batches: Sequence[PackedBatch]) -> list[torch.Tensor]:
        """As the protocol says."""
        return self._entrance.run([partial(self._embed, batch) for batch in batches])

    def embed_backward(self, batches: Sequence[PackedBatch], gradients: list[torch.Tensor]) -> None:
        """As the protocol says."""
        if len(gradients) != len(batches):
            raise ValueError("one gradient for each micro-batch")
        self._entrance.backward(gradients)

    def head(
        self, hidden: list[torch.Tensor], batches: Sequence[PackedBatch], *, scale: float | None
    ) -> list[Outcome]:
        """As the protocol says."""
        return self._head_of(hidden, batches, scale=scale)

    def _embed(self, batch: PackedBatch) -> torch.Tensor:
        if batch.pixels is None:
            raise ValueError("a micro-batch without images")
        result: torch.Tensor = self._embeddings(self._normalize(batch.pixels)).flatten(0, 1)
        return result
