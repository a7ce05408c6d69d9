"""JSON Lines: one object per line, in and out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sealtune.bundle.records import Place, Record
from sealtune.core.canonical import parse_json
from sealtune.core.limits import OWNED_JSON_MARKS_MAX, RECORD_BYTES_MAX
from sealtune.deid.records.decoding import Utf8Stream, decode_line
from sealtune.deid.records.shard import SHARD_BYTES, Format, Shard
from sealtune.errors import Code, FormatError

_LONG_REMEDY: Final = (
    "split the record; a file that is one large array of JSON is made into lines by `jq -c '.[]'`"
)


def cut_lines(stream: Utf8Stream, path: Path) -> Iterator[Shard]:
    """Yield shards of whole lines.

    Raises:
        FormatError: a line longer than a record may be.
    """
    buffer = bytearray()
    index, number = 0, 1
    for chunk in stream.chunks():
        buffer += chunk
        if len(buffer) < SHARD_BYTES:
            continue
        end = buffer.rfind(b"\n") + 1
        if not end:
            _check_length(buffer, path, number)
            continue
        data = bytes(buffer[:end])
        del buffer[:end]
        yield _shard(index, path, number, data)
        index, number = index + 1, number + data.count(b"\n")
    if buffer:
        yield _shard(index, path, number, bytes(buffer))


def read_lines(shard: Shard) -> Iterator[tuple[Place, Record]]:
    """Yield the records of a shard, each with its place; empty lines are none.

    Raises:
        FormatError: a line that is no object.
    """
    # Not splitlines: U+2028 is no end of a line here.
    for number, line in enumerate(shard.data.split(b"\n"), start=shard.number):
        if not line.strip():
            continue
        place = Place(shard.path, "line", number, 0)
        _check_length(line, shard.path, number)
        decode_line(line, where=str(place))
        yield place, _parse(place, line)


def write_lines(records: Sequence[Record]) -> bytes:
    """Return `records` as lines; names keep their order."""
    lines = [
        json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        for record in records
    ]
    return "".join(line + "\n" for line in lines).encode()


def _parse(place: Place, line: bytes) -> Record:
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


def _check_length(line: bytes | bytearray, path: Path, number: int) -> None:
    if len(line) > RECORD_BYTES_MAX:
        place = Place(path, "line", number, 0)
        reason = f"longer than {RECORD_BYTES_MAX} bytes"
        raise place.refuse(reason, code=Code.LIMIT_EXCEEDED, remedy=_LONG_REMEDY)


def _shard(index: int, path: Path, number: int, data: bytes) -> Shard:
    return Shard(index=index, path=path, format=Format.JSON_LINES, number=number, data=data)
