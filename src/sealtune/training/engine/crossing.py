"""What crosses between host and accelerator in an optimizer step: one copy there, one back.

Every crossing has a price that does not depend on its size, and where accelerator and host talk
through encryption that price is high. So all micro-batches of a step cross together, with what the
host counted of them, and everything that the host wants to know of a step comes back together.

Memory of the host is not pinned: confidential virtual machines cannot lend theirs to a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from sealtune.training.engine.pooling import Wanted, borders_of, labels_of
from sealtune.training.packing import Indices, PackedBatch


def aboard(
    batches: Sequence[PackedBatch], *, wanted: Wanted, device: torch.device
) -> list[PackedBatch]:
    """Return `batches` with ids, positions and indices on `device`: one copy for all of them.

    `wanted` gives the rows that a head looks at. Targets stay: heads take `Indices.labels`.
    """
    chosen = [wanted(batch) for batch in batches]
    parts = [
        part
        for batch, rows in zip(batches, chosen, strict=True)
        for part in (batch.ids, batch.positions, borders_of(batch), labels_of(batch), rows)
        if part is not None
    ]
    # Half the bytes on the way: ids and places need no more.
    joined = torch.cat(parts).to(torch.int32).to(device).long()
    there = iter(joined.split([len(part) for part in parts]))
    return [
        replace(
            batch,
            ids=next(there),
            positions=next(there),
            indices=Indices(
                borders=next(there),
                labels=next(there),
                wanted=None if rows is None else next(there),
            ),
        )
        for batch, rows in zip(batches, chosen, strict=True)
    ]


def read(values: Sequence[torch.Tensor]) -> list[float]:
    """Return `values`, tensors without dimensions, as numbers: one copy for all of them."""
    if not values:
        return []
    # 64 bits hold every number of 32 bits, and every count, as it is.
    numbers: list[float] = torch.stack([value.double() for value in values]).cpu().tolist()
    return numbers
