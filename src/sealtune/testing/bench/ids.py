"""Token ids and targets of records in a file, which both sides of a comparison read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Rows = list[tuple[Ids, Ids]]


def save_rows(rows: Sequence[tuple[Ids, Ids]], path: Path) -> None:
    """Write `rows`, ids and targets of each record, to `path`, which ends in .npz."""
    ids, targets = zip(*rows, strict=True)
    np.savez(
        path,
        ids=np.concatenate(ids),
        id_ends=np.cumsum([len(part) for part in ids]),
        targets=np.concatenate(targets),
        target_ends=np.cumsum([len(part) for part in targets]),
    )


def load_rows(path: Path) -> Rows:
    """Return the rows that `save_rows` wrote."""
    with np.load(path) as stored:
        ids = np.split(stored["ids"], stored["id_ends"][:-1])
        targets = np.split(stored["targets"], stored["target_ends"][:-1])
    return list(zip(ids, targets, strict=True))
