"""The file to be de-identified as a source of shards, by its suffix."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from sealtune.core.digest import Digest, sha256_file
from sealtune.core.files import storage_errors
from sealtune.deid.records.csv_table import CsvCutter
from sealtune.deid.records.decoding import ENCODINGS, UTF8, Utf8Stream
from sealtune.deid.records.json_lines import cut_lines
from sealtune.deid.records.parquet import ParquetCutter
from sealtune.deid.records.plain_text import TextCutter
from sealtune.deid.records.shard import Format, Shard, Source
from sealtune.errors import Code, ConfigError, FormatError, StorageError

INPUT_SUFFIXES: Final = {
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
    ".json": Format.JSON_LINES,
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".parquet": Format.PARQUET,
    ".txt": Format.TEXT,
}
OUTPUT_SUFFIXES: Final = {
    Format.JSON_LINES: (".jsonl", ".ndjson", ".json"),
    Format.CSV: (".csv",),
    Format.PARQUET: (".parquet",),
    Format.TEXT: (".txt",),
}


class _Cutter(Protocol):
    def shards(self) -> Iterator[Shard]: ...


def require_file(path: Path) -> None:
    """Refuse what is no regular file: to open a pipe or a device may block for ever.

    Raises:
        StorageError: it is missing, or something else.
    """
    with storage_errors(path):
        mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        message = f"{path}: a folder, a pipe or a device, not a file"
        remedy = "give a file; write into one first what comes through a pipe"
        raise StorageError(Code.IO_FAILED, message, remedy=remedy)


def find_format(path: Path) -> Format:
    """Return what the suffix of `path` says that it is.

    Raises:
        FormatError: it is of no known format.
    """
    found = INPUT_SUFFIXES.get(path.suffix.lower())
    if found is None:
        message = f"{path}: not a known format of records"
        remedy = f"give a file named {', '.join(INPUT_SUFFIXES)}"
        raise FormatError(Code.RECORDS_FORMAT, message, remedy=remedy)
    return found


def check_output_name(output: Path, kind: Format) -> None:
    """Refuse a name for the output under which the next command would take it for something else.

    Raises:
        ConfigError: another suffix than the format's.
    """
    known = OUTPUT_SUFFIXES[kind]
    if output.suffix.lower() not in known:
        message = f"{output}: the output is {kind.value} as the input is"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=f"name it {' or '.join(known)}")


@contextlib.contextmanager
def open_source(path: Path, *, encoding: str = UTF8) -> Iterator[Source]:
    """Yield the file at `path` as a source; its bytes must not change meanwhile.

    Raises:
        FormatError: no known format, or not what its suffix says.
        ConfigError: Parquet without pyarrow, or an encoding that is not known.
        StorageError: the file is missing, cannot be read, or was changed while it was read.
    """
    kind = find_format(path)
    if encoding not in ENCODINGS:
        message = f"encoding {encoding}: not one of {', '.join(ENCODINGS)}"
        raise ConfigError(Code.CONFIG_INVALID, message)
    require_file(path)
    with storage_errors(path), path.open("rb") as file:
        before = path.stat()
        if kind is Format.PARQUET:
            yield _ParquetSource(path, ParquetCutter(file, path, total=before.st_size))
        else:
            stream = Utf8Stream(file, path, encoding=encoding)
            yield _TextualSource(path, kind, stream)
        after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        message = f"{path}: changed while it was read"
        remedy = "run the same command again when nobody writes to the file"
        raise StorageError(Code.IO_FAILED, message, remedy=remedy)


class _TextualSource:
    """JSON Lines, CSV or plain text."""

    def __init__(self, path: Path, kind: Format, stream: Utf8Stream) -> None:
        self.format = kind
        self.total = path.stat().st_size
        self._path = path
        self._stream = stream
        self._csv = CsvCutter(stream, path)
        self._text = TextCutter(stream, path)

    @property
    def position(self) -> int:
        return self._stream.position

    @property
    def notes(self) -> tuple[str, ...]:
        notes = []
        if self._stream.replaced:
            notes.append(f"{self._stream.replaced} broken characters of the input became U+FFFD")
        if self.format is Format.CSV and self._csv.delimiter != ",":
            name = {";": "semicolons", "\t": "tabs"}[self._csv.delimiter]
            notes.append(f"the input's fields are separated by {name}, the output's by commas")
        if self._text.windows:
            text = f"paragraphs longer than a shard were cut in {self._text.windows} places"
            notes.append(f"{text}: a name is not followed from one piece to the next")
        return tuple(notes)

    def shards(self) -> Iterator[Shard]:
        if self.format is Format.JSON_LINES:
            return cut_lines(self._stream, self._path)
        cutter: _Cutter = self._csv if self.format is Format.CSV else self._text
        return cutter.shards()

    def digest(self) -> Digest:
        return self._stream.digest()


class _ParquetSource:
    """Parquet, whose footer is read first: its digest takes a second pass."""

    def __init__(self, path: Path, cutter: ParquetCutter) -> None:
        self.format = Format.PARQUET
        self.total = path.stat().st_size
        self._path = path
        self._cutter = cutter

    @property
    def position(self) -> int:
        return self._cutter.position

    @property
    def notes(self) -> tuple[str, ...]:
        if not self._cutter.dropped:
            return ()
        # Their number, not their names: those are the input's.
        return (f"{len(self._cutter.dropped)} entries of metadata of the input were left out",)

    def shards(self) -> Iterator[Shard]:
        return self._cutter.shards()

    def digest(self) -> Digest:
        return sha256_file(self._path)
