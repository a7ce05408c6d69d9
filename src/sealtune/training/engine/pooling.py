"""Which rows of the last block's output are classified, normalized as the model has it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sealtune.training.encode import IGNORED
from sealtune.training.packing import PackedBatch

Pooling = Callable[[torch.Tensor, PackedBatch], torch.Tensor]
Norm = Callable[[torch.Tensor], torch.Tensor]  # rows in 32 bits to the same


def first_tokens(norm: Norm) -> Pooling:
    """Return the pooling of encoders: each record's first token."""
    return lambda h, batch: norm(_take(h, torch.tensor(batch.bounds[:-1])))


def first_patches(norm: Norm) -> Pooling:
    """Return the pooling of images, all of which have as many patches: each one's first."""
    return lambda h, batch: norm(h[:: h.shape[0] // len(batch.targets)].float())


def supervised_tokens(norm: Norm) -> Pooling:
    """Return the pooling of token classification: each token that has a target."""
    return lambda h, batch: norm(_take(h, (batch.targets != IGNORED).nonzero().squeeze(1)))


def token_means(norm: Norm) -> Pooling:
    """Return the pooling by each record's mean."""

    def pool(h: torch.Tensor, batch: PackedBatch) -> torch.Tensor:
        lengths = torch.tensor(batch.bounds).diff()
        records = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        sums = h.new_zeros(len(lengths), h.shape[1], dtype=torch.float32)
        return sums.index_add(0, records, norm(h.float())) / lengths.unsqueeze(1)

    return pool


def last_tokens(norm: Norm, *, padding: int | None) -> Pooling:
    """Return the pooling of decoders that classify: the last token that is no padding.

    As `transformers` has it, an id that equals the padding's counts as padding wherever it stands.
    """

    def pool(h: torch.Tensor, batch: PackedBatch) -> torch.Tensor:
        rows = []
        for start, end in zip(batch.bounds, batch.bounds[1:], strict=False):
            real = (batch.ids[start:end] != padding).nonzero()
            # Without any, transformers' argmax takes the first.
            rows.append(start + (int(real[-1]) if len(real) else 0))
        return norm(_take(h, torch.tensor(rows)))

    return pool


def _take(h: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return h.index_select(0, rows).float()
