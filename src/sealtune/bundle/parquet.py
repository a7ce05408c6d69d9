"""Reads rows of a Parquet file through pyarrow, which is optional (`sealtune[parquet]`).

Only columns that JSON can spell: text, numbers, booleans, null, lists and structs of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

from sealtune.core.files import storage_errors
from sealtune.errors import Code, ConfigError, FormatError

_BATCH_ROWS = 1024
_INTEGER_MAX = 2**53 - 1


def iter_rows(path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield number (from 1), bytes of the file behind it (estimated) and value of each row.

    Raises:
        ConfigError: pyarrow is not installed.
        FormatError: no Parquet, a column that JSON cannot spell, or a value that is not finite.
        StorageError: the file is missing or cannot be read.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        message, remedy = f"{path}: Parquet needs pyarrow", "pip install 'sealtune[parquet]'"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy) from None
    with storage_errors(path), path.open("rb") as raw:
        size = path.stat().st_size
        number = 0
        try:
            file = parquet.ParquetFile(raw)
            _check_columns(path, file.schema_arrow)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{path}: row {number}"
                    yield number, size * number // file.metadata.num_rows, _plain(row, where)
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError):
            # pyarrow reports damage as OSError, too; its texts may quote what the file holds.
            message = f"{path}: not readable as Parquet after row {number}"
            raise FormatError(Code.RECORDS_FORMAT, message) from None


def _check_columns(path: Path, schema: Any) -> None:
    if len(set(schema.names)) != len(schema.names):
        raise FormatError(Code.RECORDS_FORMAT, f"{path}: two columns of one name")
    for field in schema:
        if not _representable(field.type):
            message = f"{path}: column {field.name!r} is {field.type}, which JSON cannot spell"
            remedy = "convert or drop the column"
            raise FormatError(Code.RECORDS_FORMAT, message, remedy=remedy)


def _representable(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return all(_representable(kind.field(i).type) for i in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
        return _representable(kind.value_type)
    plain = (
        types.is_string,
        types.is_large_string,
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_null,
    )
    return any(check(kind) for check in plain)


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item, where) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, where) for item in value]
    if isinstance(value, float) and not isfinite(value):
        raise FormatError(Code.RECORD_MALFORMED, f"{where}: a number is not finite")
    if isinstance(value, int) and abs(value) > _INTEGER_MAX:
        remedy = "write such numbers as text"
        raise FormatError(
            Code.RECORD_MALFORMED, f"{where}: an integer is beyond 2**53", remedy=remedy
        )
    return value
