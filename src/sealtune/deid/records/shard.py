"""A shard: some whole records of the input with all that is needed to work on them elsewhere.

Its digest names the work: the same shard under the same configuration and key gives the same part,
which is how a run goes on after a crash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from sealtune.core.digest import Digest
from sealtune.core.limits import MIB

SHARD_BYTES: Final = 1 * MIB  # a second of work in rule mode


class Format(StrEnum):
    """What a file of records is."""

    JSON_LINES = "json-lines"
    CSV = "csv"
    PARQUET = "parquet"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Whole records of the file at `path`; `number` is the line or row of the first.

    `data` is UTF-8 text, or an Arrow stream for Parquet. `header` has the names of a CSV's columns,
    `before` and `after` what surrounds a shard that had to be cut inside a paragraph. `table` has
    what stands in the quasi-identifiers of each record, and None for one that is left out.
    """

    index: int
    path: Path
    format: Format
    number: int
    data: bytes
    header: tuple[str, ...] = ()
    delimiter: str = ","
    before: bytes = b""
    after: bytes = b""
    table: tuple[dict[str, Any] | None, ...] | None = None

    @property
    def digest(self) -> Digest:
        """The digest of everything that the output of this shard depends on."""
        state = hashlib.sha256()
        header = "\0".join((self.format, self.delimiter, *self.header)).encode()
        table = json.dumps(self.table).encode()
        for piece in (header, table, self.before, self.after, self.data):
            state.update(len(piece).to_bytes(8, "big"))
            state.update(piece)
        return Digest("sha256:" + state.hexdigest())


class Source(Protocol):
    """One input, read once from its beginning to its end."""

    @property
    def format(self) -> Format:
        """What the file is."""

    @property
    def total(self) -> int:
        """The bytes of the file: for progress."""

    @property
    def position(self) -> int:
        """The bytes of it that have been read: for progress."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What its owner should know of how it was read; whole when all shards are."""

    def shards(self) -> Iterator[Shard]:
        """Yield the shards in their order.

        Raises:
            FormatError: a record that cannot be read; names file and line.
            StorageError: the file cannot be read.
        """

    def digest(self) -> Digest:
        """Return the digest of the file's bytes; call it when all shards are read."""
