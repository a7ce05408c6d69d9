"""Where records come from: shards, each read when it is wanted.

A dataset may be larger than memory, so the engine never asks for all of it. Who implements this
answers for the content: the same shard gives the same records at each reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sealtune.training.examples import Record


class RecordSource(Protocol):
    """A dataset in shards.

    Two threads may call `read` at once, for the same shard too: the next steps are prepared while
    records are evaluated on.
    """

    @property
    def shards(self) -> Sequence[int]:
        """The number of records in each shard."""
        ...

    def read(self, shard: int) -> Sequence[Record]:
        """Return the records of shard number `shard`, in order."""
        ...


class ListedRecords:
    """Records that are in memory anyway, as one shard."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    @property
    def shards(self) -> tuple[int, ...]:
        """One shard, or none without records."""
        return (len(self._records),) if len(self._records) else ()

    def read(self, shard: int) -> Sequence[Record]:
        """Return all of them."""
        if shard != 0:
            raise IndexError(shard)
        return self._records


def record_weight(value: Any) -> int:
    """Return about how many bytes a parsed JSON value takes: characters, and 16 for each value.

    A function of the value alone, so that what is decided by it is the same on every machine.
    """
    if isinstance(value, str):
        return 16 + len(value)
    if isinstance(value, Mapping):
        # Names too: records may have many, and each record has its own.
        return 16 + sum(
            record_weight(str(name)) + record_weight(item) for name, item in value.items()
        )
    if isinstance(value, list | tuple):
        return 16 + sum(record_weight(item) for item in value)
    return 16
