"""The finished parts as one file, and the digest of its records as sealing will compute it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from sealtune.bundle.records import Place, Record, iter_records, record_line
from sealtune.core.digest import Digest
from sealtune.core.files import SHARED_MODE, storage_errors, sync_folder
from sealtune.deid.records.csv_table import write_header
from sealtune.deid.records.parquet import join_parts
from sealtune.deid.records.plain_text import read_paragraphs
from sealtune.deid.records.shard import Format
from sealtune.deid.records.source import open_source
from sealtune.errors import Code, StorageError


def assemble(target: Path, parts: Sequence[Path], *, kind: Format, header: Sequence[str]) -> None:
    """Write `parts` in their order to `target`, and sync it.

    Raises:
        StorageError: the disk refuses or is full.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    descriptor = os.open(target, flags, SHARED_MODE)
    with storage_errors(target), os.fdopen(descriptor, "w+b") as file:
        if kind is Format.PARQUET:
            join_parts(parts, file)
        else:
            if kind is Format.CSV:
                file.write(write_header(header))
            for part in parts:
                with part.open("rb") as data:
                    shutil.copyfileobj(data, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def publish(source: Path, target: Path) -> None:
    """Give the finished file `source` its final name, under which nothing may be yet.

    Raises:
        StorageError: there is something, or the disk refuses.
    """
    with storage_errors(target):
        try:
            os.link(source, target)
        except FileExistsError:
            message = f"{target}: exists already"
            raise StorageError(Code.FILE_EXISTS, message) from None
        except OSError:
            # Not every file system has links (exFAT, some shares).
            if os.path.lexists(target):
                raise StorageError(Code.FILE_EXISTS, f"{target}: exists already") from None
            source.replace(target)
        sync_folder(target.parent)


def output_records(path: Path, kind: Format, *, text_field: str) -> Iterator[tuple[Place, Record]]:
    """Yield the records of an output as sealing reads them; of plain text, a paragraph each."""
    if kind is not Format.TEXT:
        yield from iter_records(path)
        return
    with open_source(path) as source:
        for shard in source.shards():
            for paragraph in read_paragraphs(shard)[1]:
                own = paragraph.text[paragraph.start : paragraph.end]
                yield paragraph.place, {text_field: own}


def records_digest(path: Path, kind: Format, *, text_field: str) -> Digest:
    """Return the SHA-256 over the line of each record in order, as a bundle's shards hold them."""
    state = hashlib.sha256()
    for place, record in output_records(path, kind, text_field=text_field):
        state.update(record_line(place, record))
    return Digest("sha256:" + state.hexdigest())
