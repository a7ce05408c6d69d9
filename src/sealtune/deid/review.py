"""A sample of records side by side with what was changed, for the eyes of their owner.

Holds originals: what shows it belongs where the input does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sealtune.bundle.records import Place
from sealtune.deid.clean import Cleaned
from sealtune.deid.config import Configuration
from sealtune.deid.engine import Engine
from sealtune.deid.records.decoding import UTF8
from sealtune.deid.records.leaves import leaves
from sealtune.deid.records.plain_text import Paragraph, read_paragraphs
from sealtune.deid.records.shard import Format, Shard
from sealtune.deid.records.source import open_source
from sealtune.deid.shard_work import shard_records
from sealtune.errors import Code, ConfigError, FormatError

if TYPE_CHECKING:
    from sealtune.bundle.records import Record
    from sealtune.deid.key import DeidKey

REVIEW_RECORDS_MAX: Final = 1_000
_AROUND: Final = 80  # characters of unchanged text that are shown on each side of a change


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text; `entity` and `action` are of what was changed in it, empty if nothing."""

    text: str
    entity: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class ReviewedField:
    """One value of a record, before and after."""

    name: str
    before: tuple[Segment, ...]
    after: tuple[Segment, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was."""
        return any(segment.entity for segment in self.before)


@dataclass(frozen=True, slots=True)
class ReviewedRecord:
    """One record; `place` is its line or row."""

    place: str
    fields: tuple[ReviewedField, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The sample of a file, and which detectors looked."""

    source: str
    profile: str
    modes: tuple[str, ...]
    total: int
    records: tuple[ReviewedRecord, ...]


def review_records(
    path: Path,
    *,
    configuration: Configuration,
    key: DeidKey,
    records: int = 20,
    encoding: str = UTF8,
) -> Review:
    """Return a sample of the records in the file at `path`, the same one each time.

    Raises:
        FormatError: a record that cannot be read, or none at all.
        ConfigError: what `configuration` names is missing, or `records` is out of range.
    """
    if not 1 <= records <= REVIEW_RECORDS_MAX:
        raise ConfigError(Code.CONFIG_INVALID, f"records to review: 1 to {REVIEW_RECORDS_MAX}")
    sample, total = _sample(path, records, encoding)
    if not total:
        raise FormatError(Code.RECORDS_EMPTY, f"{path}: holds no record")
    engine = Engine.of(configuration, key)
    reviewed = tuple(
        ReviewedRecord(str(place), tuple(_fields(_cleaned(engine, item)))) for place, item in sample
    )
    return Review(
        source=path.name,
        profile=configuration.profile,
        modes=engine.modes,
        total=total,
        records=reviewed,
    )


def _sample(
    path: Path, wanted: int, encoding: str
) -> tuple[list[tuple[Place, Record | Paragraph]], int]:
    draw = random.Random(0)  # noqa: S311 - the same sample again, no secret
    held: list[tuple[int, Place, Record | Paragraph]] = []
    total = 0
    with open_source(path, encoding=encoding) as source:
        for shard in source.shards():
            for place, item in _items(shard):
                total += 1
                # Each record has the same chance to be among the last ones held (reservoir).
                at = len(held) if len(held) < wanted else draw.randrange(total)
                if at < wanted:
                    held[at : at + 1] = [(total, place, item)]
    return [(place, item) for _, place, item in sorted(held, key=lambda row: row[0])], total


def _items(shard: Shard) -> Iterator[tuple[Place, Record | Paragraph]]:
    if shard.format is not Format.TEXT:
        yield from shard_records(shard)
        return
    for paragraph in read_paragraphs(shard)[1]:
        yield paragraph.place, paragraph


def _cleaned(engine: Engine, item: Record | Paragraph) -> Cleaned:
    if isinstance(item, Paragraph):
        return engine.cleaner.paragraph(item)
    return engine.cleaner.record(item)


def _fields(cleaned: Cleaned) -> Iterator[ReviewedField]:
    before, after = list(leaves(cleaned.before)), list(leaves(cleaned.after))
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        changes = [item.change for item in cleaned.changes if item.leaf == at]
        olds = [(c.original_start, c.original_end, c.entity, c.action) for c in changes]
        news = [(c.start, c.end, c.entity, c.action) for c in changes]
        yield ReviewedField(old.name, _segments(old.text, olds), _segments(new.text, news))


def _segments(text: str, spans: Sequence[tuple[int, int, str, str]]) -> tuple[Segment, ...]:
    made, last = [], 0
    for start, end, entity, action in spans:
        made.append(Segment(_shortened(text[last:start], first=not last, last=False)))
        made.append(Segment(text[start:end], str(entity), str(action)))
        last = end
    made.append(Segment(_shortened(text[last:], first=not spans, last=True)))
    return tuple(segment for segment in made if segment.text or segment.entity)


def _shortened(text: str, *, first: bool, last: bool) -> str:
    """Return unchanged text with its middle left out where it is long."""
    if len(text) <= 3 * _AROUND:
        return text
    head = "" if first and not last else text[:_AROUND]
    tail = "" if last else text[-_AROUND:]
    return f"{head} … {tail}"
