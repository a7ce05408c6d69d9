"""Reads rows of Parquet files and Arrow streams through pyarrow, which is optional.

`sealtune[parquet]` installs it. What a row becomes is `columns`' concern.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sealtune.bundle.columns import Columns
from sealtune.core.files import storage_errors
from sealtune.errors import Code, ConfigError, FormatError

_BATCH_ROWS = 1024
# Number (from 1), bytes of the file behind it (estimated) and value of a row.
Row = tuple[int, int, dict[str, Any]]


def iter_parquet_rows(path: Path) -> Iterator[Row]:
    """Yield each row of the Parquet file at `path`.

    Raises:
        ConfigError: pyarrow is not installed.
        FormatError: no Parquet, a column that JSON cannot spell, or a value that is not finite.
        StorageError: the file is missing or cannot be read.
    """
    _require_pyarrow(path)
    from pyarrow import parquet

    with storage_errors(path), path.open("rb") as raw:
        size = path.stat().st_size
        progress = _Progress()
        with _damage(path, "Parquet", progress):
            file = parquet.ParquetFile(raw)
            columns = Columns(file.schema_arrow, source=str(path))
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for number, row in columns.rows(batch, first=progress.rows + 1):
                    progress.rows = number
                    yield number, size * number // file.metadata.num_rows, row


def iter_arrow_rows(path: Path) -> Iterator[Row]:
    """Yield each row of the Arrow stream in the file at `path`, as `save_to_disk` writes it.

    Raises:
        As `iter_parquet_rows`.
    """
    _require_pyarrow(path)
    import pyarrow

    with storage_errors(path), path.open("rb") as raw:
        progress = _Progress()
        with _damage(path, "an Arrow stream", progress):
            reader = pyarrow.ipc.open_stream(raw)
            columns = Columns(reader.schema, source=str(path))
            for batch in reader:
                # Offsets are not looked at before: a damaged one would read foreign memory.
                batch.validate(full=True)
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    part = batch.slice(start, _BATCH_ROWS)
                    for number, row in columns.rows(part, first=progress.rows + 1):
                        progress.rows = number
                        yield number, raw.tell(), row


class _Progress:
    """How many rows have been read."""

    def __init__(self) -> None:
        self.rows = 0


@contextlib.contextmanager
def _damage(path: Path, kind: str, progress: _Progress) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, MemoryError):
        # pyarrow reports damage as OSError, too; its texts may quote what the file holds.
        message = f"{path}: not readable as {kind} after row {progress.rows}"
        raise FormatError(Code.RECORDS_FORMAT, message) from None


def _require_pyarrow(path: Path) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        message, remedy = f"{path}: needs pyarrow", "pip install 'sealtune[parquet]'"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy)
