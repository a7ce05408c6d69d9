"""Parquet: batches of rows in, row groups out, types kept.

What is not rows is not taken over: metadata of pandas or Hugging Face, descriptions of columns, and
the statistics, which are written anew from the new values. Needs pyarrow, which is optional.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, BinaryIO, Final

from sealtune.bundle.columns import Columns
from sealtune.bundle.records import Place, Record
from sealtune.deid.records.shard import SHARD_BYTES, Format, Shard
from sealtune.errors import Code, ConfigError, FormatError

_BATCH_ROWS: Final = 1024


class ParquetCutter:
    """Cuts the rows of a Parquet file into shards."""

    def __init__(self, file: BinaryIO, path: Path, *, total: int) -> None:
        """Read the schema.

        Raises:
            ConfigError: pyarrow is not installed.
            FormatError: no Parquet, or a column that JSON cannot spell.
        """
        require_pyarrow(path)
        from pyarrow import parquet

        self._path = path
        self._total = total
        self.position = 0
        self.dropped: tuple[str, ...] = ()
        with _Damage(path):
            self._file = parquet.ParquetFile(file)
            schema = self._file.schema_arrow
            self.schema = _bare_schema(schema)
            # What sealing would refuse is refused here, before hours of work.
            Columns(self.schema, source=str(path))
            _refuse_images(self.schema, path)
            names = sorted({*(schema.metadata or {}), *(self._file.metadata.metadata or {})})
            self.dropped = tuple(name.decode("utf-8", "replace") for name in names)

    def shards(self) -> Iterator[Shard]:
        """Yield shards of whole rows.

        Raises:
            FormatError: the file is damaged.
        """
        index, number = 0, 1
        for batches, rows in self._groups():
            data = _stream(batches, self.schema)
            yield Shard(
                index=index, path=self._path, format=Format.PARQUET, number=number, data=data
            )
            index, number = index + 1, number + rows

    def _groups(self) -> Iterator[tuple[list[Any], int]]:
        held: list[Any] = []
        rows = done = 0
        with _Damage(self._path):
            for batch in self._file.iter_batches(batch_size=_BATCH_ROWS):
                for part in _small(batch):
                    held.append(part)
                    rows += part.num_rows
                    if sum(item.nbytes for item in held) >= SHARD_BYTES:
                        yield held, rows
                        held, rows = [], 0
                done += batch.num_rows
                self.position = self._total * done // max(1, self._file.metadata.num_rows)
        if held:
            yield held, rows


def read_table_rows(shard: Shard) -> Iterator[tuple[Place, Record]]:
    """Yield the rows of a shard as records, each with its place.

    Raises:
        FormatError: a value that JSON cannot spell.
    """
    import pyarrow

    with pyarrow.ipc.open_stream(shard.data) as reader:
        columns = Columns(reader.schema, source=str(shard.path))
        number = shard.number
        for batch in reader:
            for at, row in columns.rows(batch, first=number):
                yield Place(shard.path, "row", at, 0), row
            number += batch.num_rows


def write_table(
    records: Sequence[Record],
    *,
    shard: Shard,
    header: Sequence[str],
    words: AbstractSet[str] = frozenset(),
) -> tuple[bytes, int]:
    """Return `records` as a Parquet file and how many values became null.

    The types are those of the shard's columns, named `header` in their order; the columns `words`
    become text. What replaces a number, but is none, becomes null.
    """
    import pyarrow
    from pyarrow import parquet

    with pyarrow.ipc.open_stream(shard.data) as reader:
        stored = zip(header, reader.schema.types, strict=True)
        types = [pyarrow.string() if name in words else kind for name, kind in stored]
    arrays, lost = [], 0
    for name, kind in zip(header, types, strict=True):
        values = [record[name] for record in records]
        if name in words:
            values = [None if value is None else str(value) for value in values]
        array, misfits = _column(values, kind)
        arrays.append(array)
        lost += misfits
    schema = pyarrow.schema([pyarrow.field(n, k) for n, k in zip(header, types, strict=True)])
    file = io.BytesIO()
    table = pyarrow.Table.from_arrays(arrays, schema=schema)
    parquet.write_table(table, file, compression="zstd", store_schema=False)
    return file.getvalue(), lost


def join_parts(parts: Sequence[Path], file: BinaryIO) -> None:
    """Write the Parquet files `parts` to `file` as one, a row group each."""
    from pyarrow import parquet

    writer = None
    for part in parts:
        table = parquet.read_table(part, use_threads=False, partitioning=None)
        if writer is None:
            writer = parquet.ParquetWriter(
                file, table.schema, compression="zstd", store_schema=False
            )
        writer.write_table(table)
    if writer is not None:
        writer.close()


def require_pyarrow(path: Path) -> None:
    """Refuse to go on without pyarrow.

    Raises:
        ConfigError: it is not installed.
    """
    import importlib.util

    if importlib.util.find_spec("pyarrow") is None:
        message, remedy = f"{path}: needs pyarrow", "pip install 'sealtune[parquet]'"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy)


def _column(values: list[Any], kind: Any) -> tuple[Any, int]:
    import pyarrow

    refusals = (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError)
    try:
        return pyarrow.array(values, type=kind), 0
    except refusals:
        fitted = [_fit(value, kind) for value in values]
    lost = sum(new is None and old is not None for old, new in zip(values, fitted, strict=True))
    return pyarrow.array(fitted, type=kind), lost


def _fit(value: Any, kind: Any) -> Any:
    import pyarrow

    candidates = [value]
    if isinstance(value, str) and value.isascii() and value.isdigit():
        candidates.append(int(value))
    for candidate in candidates:
        try:
            pyarrow.scalar(candidate, type=kind)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
            continue
        return candidate
    return None


def _bare_schema(schema: Any) -> Any:
    import pyarrow

    return pyarrow.schema([pyarrow.field(item.name, _bare(item.type)) for item in schema])


def _bare(kind: Any) -> Any:
    """Return a type without metadata; a dictionary becomes its values' type, a time a text."""
    import pyarrow
    from pyarrow import types

    if types.is_date(kind) or types.is_timestamp(kind) or types.is_time(kind):
        return pyarrow.string()  # as ISO 8601 writes it: what replaces one need not be a date
    if types.is_dictionary(kind):
        return _bare(kind.value_type)
    if types.is_struct(kind):
        fields = [kind.field(at) for at in range(kind.num_fields)]
        return pyarrow.struct([pyarrow.field(item.name, _bare(item.type)) for item in fields])
    if types.is_list(kind):
        return pyarrow.list_(_bare(kind.value_type))
    if types.is_large_list(kind):
        return pyarrow.large_list(_bare(kind.value_type))
    return kind


def _refuse_images(schema: Any, path: Path) -> None:
    for field in schema:
        if "binary" in str(field.type):
            message = (
                f"{path}: column {field.name!r} holds bytes or images, which are not looked into"
            )
            raise FormatError(Code.RECORDS_FORMAT, message, remedy="drop the column")


def _small(batch: Any) -> Iterator[Any]:
    """Yield a batch in pieces of about a shard, for rows may be long."""
    rows = max(1, batch.num_rows * SHARD_BYTES // max(SHARD_BYTES, batch.nbytes))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _stream(batches: Sequence[Any], schema: Any) -> bytes:
    import pyarrow

    table = pyarrow.Table.from_batches(batches)
    file = io.BytesIO()
    with pyarrow.ipc.new_stream(file, schema) as writer:
        writer.write_table(table.cast(schema).combine_chunks())
    return file.getvalue()


class _Damage:
    """Turns pyarrow's errors, whose texts may quote what the file holds, into ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            return
        import pyarrow

        if issubclass(kind, pyarrow.ArrowException | OSError | UnicodeDecodeError | MemoryError):
            raise FormatError(
                Code.RECORDS_FORMAT, f"{self._path}: not readable as Parquet"
            ) from None
