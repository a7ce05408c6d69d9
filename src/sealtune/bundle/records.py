"""Reads records from JSON Lines, CSV, Parquet and Arrow files; each error names file and line.

A record is a JSON object. Errors never quote what a record holds. What a task wants of a record is
`dataset`'s concern.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealtune.bundle.tables import iter_arrow_rows, iter_parquet_rows
from sealtune.core.canonical import parse_json
from sealtune.core.files import storage_errors
from sealtune.core.limits import OWNED_JSON_MARKS_MAX, RECORD_BYTES_MAX, SHARD_BYTES
from sealtune.errors import Code, FormatError

Record = dict[str, Any]
_UTF8_REMEDY = "save the file as UTF-8"
# A shard is closed by the record that fills it.
_SHARD_BYTES_MAX = SHARD_BYTES + RECORD_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record begins: for errors; `position` of all bytes are read: for progress.

    A `unit` "file" has no number: the file holds one record.
    """

    path: Path
    unit: str
    number: int
    position: int

    def __str__(self) -> str:
        if self.unit == "file":
            return str(self.path)
        if self.unit == "line":
            return f"{self.path}:{self.number}"
        return f"{self.path}: {self.unit} {self.number}"

    def refuse(self, reason: str, *, code: Code, remedy: str = "") -> FormatError:
        """Return the error that names this place."""
        return FormatError(code, f"{self}: {reason}", remedy=remedy)

    def malformed(self, reason: str, *, remedy: str = "") -> FormatError:
        """Return the error for something here that is no record."""
        return self.refuse(reason, code=Code.RECORD_MALFORMED, remedy=remedy)


def iter_records(path: Path) -> Iterator[tuple[Place, Record]]:
    """Yield each record of the file at `path` with its place; the suffix says the format.

    Raises:
        FormatError: an unknown suffix, or a line or row that is no record.
        ConfigError: Parquet or Arrow without pyarrow.
        StorageError: the file is missing or cannot be read.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        known = ", ".join(_READERS)
        message = f"{path}: not a known format of records"
        raise FormatError(Code.RECORDS_FORMAT, message, remedy=f"give a file named {known}")
    yield from read(path)


def record_line(place: Place, record: Record) -> bytes:
    """Return `record` as one line of JSON, as shards hold it.

    Raises:
        FormatError: larger than allowed, or text that UTF-8 cannot spell.
    """
    try:
        text = json.dumps(
            record, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
        )
        line = text.encode() + b"\n"
    except UnicodeEncodeError:
        raise place.malformed("half of a surrogate pair, which is no character") from None
    if len(line) > RECORD_BYTES_MAX:
        raise place.refuse(f"longer than {RECORD_BYTES_MAX} bytes", code=Code.LIMIT_EXCEEDED)
    return line


def parse_shard(plaintext: bytes | bytearray, *, name: str) -> list[Record]:
    """Return the records of a shard's plaintext; `name` is the entry's, for errors.

    Raises:
        FormatError: another form than `record_line` writes.
    """
    if len(plaintext) > _SHARD_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"{name}: larger than {_SHARD_BYTES_MAX} bytes")
    lines = bytes(plaintext).split(b"\n")
    if lines.pop() != b"":
        raise FormatError(Code.RECORD_MALFORMED, f"{name}: the last line has no end")
    return [
        _object(Place(Path(name), "line", number, 0), line)
        for number, line in enumerate(lines, start=1)
    ]


def _iter_json_lines(path: Path) -> Iterator[tuple[Place, Record]]:
    for place, line in _iter_lines(path):
        if line.strip():
            yield place, _object(place, line)


def _object(place: Place, line: bytes) -> Record:
    try:
        value = parse_json(
            line, limit=RECORD_BYTES_MAX, marks=OWNED_JSON_MARKS_MAX, what=str(place)
        )
    except FormatError as error:
        # Each line is a text of its own: its only line has no number worth telling.
        message = error.message.replace("at line 1 column", "at column")
        raise FormatError(Code.RECORD_MALFORMED, message) from None
    if not isinstance(value, dict):
        raise place.malformed("not a JSON object", remedy="write one object per line")
    return value


def _iter_csv(path: Path) -> Iterator[tuple[Place, Record]]:
    last = Place(path, "line", 1, 0)

    def texts() -> Iterator[str]:
        nonlocal last
        for place, line in _iter_lines(path):
            last = place
            yield _text(place, line)

    names: list[str] = []
    with _csv_field_limit():
        reader = csv.reader(texts(), strict=True)
        while True:
            number = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise Place(path, "line", number, 0).malformed(f"not CSV: {error}") from None
            place = Place(path, "line", number, last.position)
            if row is None:
                return
            if not row:
                continue
            if not names:
                names = _csv_names(place, row)
            elif len(row) != len(names):
                reason = f"{len(row)} fields, the header has {len(names)}"
                raise place.malformed(reason, remedy="quote fields that hold commas or line ends")
            else:
                yield place, dict(zip(names, row, strict=True))


def _csv_names(place: Place, row: list[str]) -> list[str]:
    if not all(name.strip() for name in row):
        raise place.malformed("a column without a name")
    if len(set(row)) != len(row):
        raise place.malformed("two columns of one name")
    return row


@contextlib.contextmanager
def _csv_field_limit() -> Iterator[None]:
    # The module's limit is global and 128 KiB, less than one long clinical note.
    former = csv.field_size_limit(RECORD_BYTES_MAX)
    try:
        yield
    finally:
        csv.field_size_limit(former)


def _iter_lines(path: Path) -> Iterator[tuple[Place, bytes]]:
    position = number = 0
    with storage_errors(path), path.open("rb") as file:
        while line := file.readline(RECORD_BYTES_MAX + 1):
            number += 1
            position += len(line)
            place = Place(path, "line", number, position)
            if len(line) > RECORD_BYTES_MAX:
                reason = f"longer than {RECORD_BYTES_MAX} bytes"
                raise place.refuse(reason, code=Code.LIMIT_EXCEEDED)
            # Spreadsheet programs put a byte order mark before the first name.
            yield place, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def _text(place: Place, line: bytes) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 at byte {error.start + 1} of the line"
        raise place.malformed(reason, remedy=_UTF8_REMEDY) from None
    if "\0" in text:
        raise place.malformed("a zero byte, so this is no text", remedy=_UTF8_REMEDY)
    return text


def _iter_parquet(path: Path) -> Iterator[tuple[Place, Record]]:
    for number, position, row in iter_parquet_rows(path):
        yield Place(path, "row", number, position), row


def _iter_arrow(path: Path) -> Iterator[tuple[Place, Record]]:
    for number, position, row in iter_arrow_rows(path):
        yield Place(path, "row", number, position), row


_READERS: dict[str, Callable[[Path], Iterator[tuple[Place, Record]]]] = {
    ".jsonl": _iter_json_lines,
    ".ndjson": _iter_json_lines,
    ".json": _iter_json_lines,
    ".csv": _iter_csv,
    ".parquet": _iter_parquet,
    ".arrow": _iter_arrow,
}
RECORD_SUFFIXES = frozenset(_READERS)
