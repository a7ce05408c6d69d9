"""Which rows of the last block's output a head looks at, and what it makes of them.

Behind its attention the last block computes these rows only: of a classified text one token.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from sealtune.training.encode import IGNORED
from sealtune.training.packing import PackedBatch

Wanted = Callable[[PackedBatch], torch.Tensor | None]  # None: every row
Norm = Callable[[torch.Tensor], torch.Tensor]  # rows in 32 bits to the same
# (wanted rows, batch) to a row in 32 bits for each target, differentiable
Reduction = Callable[[torch.Tensor, PackedBatch], torch.Tensor]


def labels_of(batch: PackedBatch) -> torch.Tensor:
    """Return the targets of `batch` that enter the loss."""
    if batch.indices is not None:
        return batch.indices.labels
    return batch.targets[batch.targets != IGNORED]


def borders_of(batch: PackedBatch) -> torch.Tensor:
    """Return the bounds of `batch` where its ids are."""
    return torch.tensor(batch.bounds) if batch.indices is None else batch.indices.borders


def counted(wanted: Wanted) -> Wanted:
    """Return `wanted`, or what it gave on the host for a batch that is on an accelerator."""

    def known(batch: PackedBatch) -> torch.Tensor | None:
        return wanted(batch) if batch.indices is None else batch.indices.wanted

    return known


def first_tokens(batch: PackedBatch) -> torch.Tensor:
    """Return each record's first token, which encoders classify."""
    return torch.tensor(batch.bounds[:-1])


def supervised_tokens(batch: PackedBatch) -> torch.Tensor:
    """Return each token that has a target."""
    return (batch.targets != IGNORED).nonzero().squeeze(1)


def every_token(batch: PackedBatch) -> None:
    """Return None: all of them."""


def first_patches(length: int) -> Wanted:
    """Return what gives each image's first row; each has `length`."""
    return lambda batch: torch.arange(0, len(batch.targets) * length, length)


def last_tokens(padding: int | None) -> Wanted:
    """Return what gives the last token that is no padding, which decoders classify.

    As `transformers` has it, an id that equals the padding's counts as padding wherever it stands.
    """

    def wanted(batch: PackedBatch) -> torch.Tensor:
        rows = []
        for start, end in zip(batch.bounds, batch.bounds[1:], strict=False):
            real = (batch.ids[start:end] != padding).nonzero()
            # Without any, transformers' argmax takes the first.
            rows.append(start + (int(real[-1]) if len(real) else 0))
        return torch.tensor(rows)

    return wanted


def normalized(norm: Norm) -> Reduction:
    """Return what normalizes each row and leaves it at that."""
    return lambda rows, _: norm(rows.float())


def token_means(norm: Norm) -> Reduction:
    """Return what makes of every token, normalized, each record's mean."""

    def reduce(rows: torch.Tensor, batch: PackedBatch) -> torch.Tensor:
        lengths = borders_of(batch).diff()
        numbers = torch.arange(len(lengths), device=lengths.device)
        # The size is known: without it an accelerator is asked.
        records = torch.repeat_interleave(numbers, lengths, output_size=len(rows))
        sums = rows.new_zeros(len(lengths), rows.shape[1], dtype=torch.float32)
        return sums.index_add(0, records, norm(rows.float())) / lengths.unsqueeze(1)

    return reduce
