"""One shard of the input made into one part of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sealtune.bundle.records import Place, Record, record_line
from sealtune.deid.clean import Cleaned, Cleaner
from sealtune.deid.records.csv_table import read_rows, write_rows
from sealtune.deid.records.json_lines import read_lines, write_lines
from sealtune.deid.records.parquet import read_table_rows, write_table
from sealtune.deid.records.plain_text import read_paragraphs
from sealtune.deid.records.shard import Format, Shard
from sealtune.deid.tally import Tally

_READERS: Final[dict[Format, Callable[[Shard], Iterator[tuple[Place, Record]]]]] = {
    Format.JSON_LINES: read_lines,
    Format.CSV: read_rows,
    Format.PARQUET: read_table_rows,
}
_NULLED: Final = "numbers that became null, because what replaces them is none"


@dataclass(frozen=True, slots=True)
class Part:
    """The output of a shard; `header` are the columns' new names where there are columns."""

    data: bytes
    tally: Tally
    header: tuple[str, ...] = ()


def shard_records(shard: Shard) -> Iterator[tuple[Place, Record]]:
    """Yield the records of a shard of any format but plain text.

    Raises:
        FormatError: one that cannot be read; names file and line.
    """
    return _READERS[shard.format](shard)


def work_on(shard: Shard, cleaner: Cleaner, see: Callable[[Cleaned], None]) -> Part:
    """Return the part that `shard` becomes; `see` gets each record of it.

    Raises:
        FormatError: a record that cannot be read, or is too long once it is de-identified.
    """
    cleaner.tally = Tally()
    if shard.format is Format.TEXT:
        return Part(_text(shard, cleaner, see), cleaner.tally)
    made: list[Record] = []
    names: tuple[str, ...] = shard.header
    for at, (place, record) in enumerate(shard_records(shard)):
        if shard.format is Format.PARQUET and not names:
            names = tuple(record)
        classes = shard.table[at] if shard.table is not None else {}
        if classes is None:
            cleaner.tally.left_out += 1
            continue
        cleaned = cleaner.record(record)
        cleaned.after.update(classes)
        record_line(place, cleaned.after)  # sealing would refuse it, and later
        see(cleaned)
        made.append(cleaned.after)
    if shard.format is Format.JSON_LINES:
        return Part(write_lines(made), cleaner.tally)
    header = cleaner.header(names)
    if shard.format is Format.CSV:
        return Part(write_rows(made, header=header), cleaner.tally, header)
    # Bands and classes are words, whatever the column was.
    classed = {name for row in shard.table or () if row is not None for name in row}
    classed |= {name for name, coarse in cleaner.coarse.items() if coarse.sure}
    data, lost = write_table(made, shard=shard, header=header, words=classed)
    cleaner.tally.conversions[_NULLED] += lost
    return Part(data, cleaner.tally, header)


def _text(shard: Shard, cleaner: Cleaner, see: Callable[[Cleaned], None]) -> bytes:
    lead, paragraphs = read_paragraphs(shard)
    pieces = [lead]
    for paragraph in paragraphs:
        cleaned = cleaner.paragraph(paragraph)
        see(cleaned)
        pieces += (next(iter(cleaned.after.values())), paragraph.gap)
    return "".join(pieces).encode()
