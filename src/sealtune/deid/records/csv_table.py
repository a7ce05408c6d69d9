"""CSV: comma, semicolon or tab in; always commas and UTF-8 out, as sealing reads it.

Whoever cuts must read: only a reader of CSV knows which line ends are inside a quoted field.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sealtune.bundle.records import Place, Record
from sealtune.core.limits import RECORD_BYTES_MAX
from sealtune.deid.records.decoding import Utf8Stream, decode_line
from sealtune.deid.records.shard import SHARD_BYTES, Format, Shard
from sealtune.errors import Code

DELIMITERS: Final = (",", ";", "\t")
_LONG_REMEDY: Final = "split the record, or close the quotation mark that opened there"
_CELL_REMEDY: Final = "quote fields that hold delimiters or line ends"


class CsvCutter:
    """Cuts a CSV file at `path` into shards; `delimiter` is known once the first was cut."""

    def __init__(self, stream: Utf8Stream, path: Path) -> None:
        self._lines = _Lines(stream, path)
        self._path = path
        self.delimiter = ","

    def shards(self) -> Iterator[Shard]:
        """Yield shards of whole rows.

        Raises:
            FormatError: no CSV, a row with another number of fields than the header, two columns
                of one name, or a column without a name.
        """
        csv.field_size_limit(RECORD_BYTES_MAX)  # of the process; the module's own is 128 KiB
        first = self._lines.peek()
        self.delimiter = _sniff(first)
        reader = csv.reader(self._lines, strict=True, delimiter=self.delimiter)
        header: tuple[str, ...] = ()
        index, number = 0, 1
        while True:
            start = reader.line_num + 1
            row = self._row(reader, start)
            if row is None:
                break
            place = Place(self._path, "line", start, 0)
            if row and not header:
                header = _names(place, row)
                self._lines.take()
                number = reader.line_num + 1
                continue
            _check_row(place, row, header)
            self._lines.begin_record()
            if self._lines.held >= SHARD_BYTES:
                yield self._shard(index, number, header)
                index, number = index + 1, reader.line_num + 1
        if self._lines.held:
            yield self._shard(index, number, header)

    def _row(self, reader: Any, number: int) -> list[str] | None:
        try:
            row: list[str] | None = next(reader, None)
        except csv.Error as error:
            # The module's texts are about the form and quote nothing.
            raise Place(self._path, "line", number, 0).malformed(f"not CSV: {error}") from None
        return row

    def _shard(self, index: int, number: int, header: tuple[str, ...]) -> Shard:
        return Shard(
            index=index,
            path=self._path,
            format=Format.CSV,
            number=number,
            data=self._lines.take(),
            header=header,
            delimiter=self.delimiter,
        )


def read_rows(shard: Shard) -> Iterator[tuple[Place, Record]]:
    """Yield the rows of a shard as records, each with its place; empty lines are none."""
    csv.field_size_limit(RECORD_BYTES_MAX)
    lines = io.StringIO(shard.data.decode(), newline="")
    reader = csv.reader(lines, strict=True, delimiter=shard.delimiter)
    while True:
        number = shard.number + reader.line_num
        row = next(reader, None)
        if row is None:
            return
        if row:
            yield Place(shard.path, "line", number, 0), dict(zip(shard.header, row, strict=True))


def write_rows(records: Sequence[Record], *, header: Sequence[str]) -> bytes:
    """Return `records` as rows without the header; each has the names of `header`."""
    return _written([[_cell(record[name]) for name in header] for record in records])


def write_header(header: Sequence[str]) -> bytes:
    """Return the header's row."""
    return _written([list(header)])


def _written(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().encode()


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


class _Lines:
    """Lines of text for the CSV reader, which keeps what has been read since the last shard."""

    def __init__(self, stream: Utf8Stream, path: Path) -> None:
        self._chunks = stream.chunks()
        self._path = path
        self._buffer = bytearray()
        self._taken: list[bytes] = []
        self._number = 0
        self._record = 0
        self._peeked: list[str] = []
        self.held = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._peeked.pop() if self._peeked else self._next()

    def peek(self) -> str:
        """Return the first line that is not read yet; empty at the end."""
        line = next(iter(self), "")
        if line:
            self._peeked.append(line)
        return line

    def begin_record(self) -> None:
        """Note that a record has ended."""
        self._record = 0

    def take(self) -> bytes:
        """Return everything read since the last call."""
        data = b"".join(self._taken)
        self._taken, self.held, self._record = [], 0, 0
        return data

    def _next(self) -> str:
        line = self._line()
        if not line:
            raise StopIteration
        self._number += 1
        self._taken.append(line)
        self.held += len(line)
        self._record += len(line)
        place = Place(self._path, "line", self._number, 0)
        if self._record > RECORD_BYTES_MAX:
            reason = f"a record longer than {RECORD_BYTES_MAX} bytes ends here"
            raise place.refuse(reason, code=Code.LIMIT_EXCEEDED, remedy=_LONG_REMEDY)
        return decode_line(line, where=str(place))

    def _line(self) -> bytes:
        # A line is searched for once in each chunk, not from its beginning for each chunk.
        searched = 0
        while (end := self._buffer.find(b"\n", searched) + 1) == 0:
            searched = len(self._buffer)
            chunk = next(self._chunks, b"")
            if not chunk or searched > RECORD_BYTES_MAX:
                end = searched
                break
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        return line


def _sniff(line: str) -> str:
    """Return the delimiter that occurs most often outside of quotation marks; else the comma."""
    bare = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=lambda delimiter: (bare.count(delimiter), delimiter == ","))


def _names(place: Place, row: list[str]) -> tuple[str, ...]:
    if not all(name.strip() for name in row):
        raise place.malformed("a column without a name")
    if len(set(row)) != len(row):
        remedy = "give each column a name of its own"
        raise place.malformed("two columns of one name", remedy=remedy)
    return tuple(row)


def _check_row(place: Place, row: list[str], header: tuple[str, ...]) -> None:
    if row and len(row) != len(header):
        reason = f"{len(row)} fields, the header has {len(header)}"
        raise place.malformed(reason, remedy=_CELL_REMEDY)
