"""Folders of images, in the two layouts that Hugging Face's `imagefolder` reads.

Without a table the folder that an image lies in is its label: `cat/1.jpg`. With one
(`metadata.csv`, `.jsonl` or `.parquet`) each row is a record, whose `file_name` names an image
relative to the table. Either may stand in a folder for each split.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import Any

from sealtune.bundle.folders import TRAIN, Folder, choose_split, some, split_of_folder
from sealtune.bundle.images import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES, read_image
from sealtune.bundle.records import RECORD_SUFFIXES, Place, Record, iter_records
from sealtune.errors import Code, FormatError

IMAGE_FIELD, LABEL_FIELD, NAME_FIELD = "image", "label", "file_name"
_TABLES = frozenset({"metadata.csv", "metadata.jsonl", "metadata.parquet"})
Records = Iterator[tuple[Place, Record]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Records with an image each: `read` yields them from `bytes` bytes of image files."""

    read: Callable[[], Records]
    bytes: int
    notes: tuple[str, ...]


def has_images(folder: Folder) -> bool:
    """Return whether any file of `folder` is an image by its name."""
    suffixes = IMAGE_SUFFIXES | OTHER_IMAGE_SUFFIXES
    return any(name.suffix.lower() in suffixes for name in folder.files)


def find_images(folder: Folder, split: str | None) -> Images:
    """Return the records of the images in `folder`; `split` chooses among its splits.

    Raises:
        FormatError: `RECORDS_FORMAT`: images of other formats, images and records mixed, or an
            image that neither a folder of its own nor a table gives a label.
        ConfigError: there is no such split, or several and none was named.
    """
    _refuse_mixture(folder)
    files, depth = _of_split(folder, split)
    images = [name for name in files if name.suffix.lower() in IMAGE_SUFFIXES]
    tables = [name for name in files if name.name in _TABLES]
    others = [name for name in files if name not in {*images, *tables}]
    notes = (f"not sealed: {some(others)}",) if others else ()
    if len(tables) > 1:
        message = f"{folder.path}: several tables ({some(tables)})"
        raise FormatError(Code.RECORDS_FORMAT, message, remedy="merge them into one")
    if tables:
        read = partial(_read_table, folder, tables[0], frozenset(images))
    else:
        _require_classes(folder, images, depth=depth)
        read = partial(_read_classes, folder, images)
    return Images(read=read, bytes=folder.size(images), notes=notes)


def _refuse_mixture(folder: Folder) -> None:
    foreign = [name for name in folder.files if name.suffix.lower() in OTHER_IMAGE_SUFFIXES]
    if foreign:
        message = f"{folder.path}: images that are neither JPEG nor PNG ({some(foreign)})"
        raise FormatError(Code.RECORDS_FORMAT, message, remedy="convert them, or move them away")
    records = [
        name
        for name in folder.files
        if name.suffix.lower() in RECORD_SUFFIXES and name.name not in _TABLES
    ]
    if records:
        message = f"{folder.path}: images and records ({some(records)}) are mixed"
        remedy = "call a table that describes the images metadata.csv or metadata.jsonl"
        raise FormatError(Code.RECORDS_FORMAT, message, remedy=remedy)


def _of_split(folder: Folder, split: str | None) -> tuple[list[PurePath], int]:
    """Return the split's files, and how many folders lie around those of its classes."""
    by_split: dict[str, list[PurePath]] = {}
    for name in folder.files:
        # A README may lie loose beside the folders of the splits.
        if len(name.parts) > 1 or name.name in _TABLES or name.suffix.lower() in IMAGE_SUFFIXES:
            by_split.setdefault(split_of_folder(name.parts[0]) or "", []).append(name)
    # One class may be called "test"; splits they are only if all folders are.
    if by_split and "" not in by_split:
        return choose_split(by_split, split, folder=folder.path), 1
    return choose_split({TRAIN: list(folder.files)}, split, folder=folder.path), 0


def _require_classes(folder: Folder, images: list[PurePath], *, depth: int) -> None:
    misplaced = [name for name in images if len(name.parts) != depth + 2]
    if misplaced or not images:
        message = f"{folder.path}: images whose folder is no class's ({some(misplaced)})"
        remedy = "put each into a folder named like its class, or name them all in a metadata.csv"
        raise FormatError(Code.RECORDS_FORMAT, message, remedy=remedy)


def _read_classes(folder: Folder, images: list[PurePath]) -> Records:
    behind = 0
    for name in images:
        text, size = read_image(folder.path / name)
        behind += size
        record = {IMAGE_FIELD: text, LABEL_FIELD: name.parts[-2]}
        yield Place(folder.path / name, "file", 0, behind), record


def _read_table(folder: Folder, table: PurePath, images: frozenset[PurePath]) -> Records:
    behind = 0
    unnamed = set(images)
    for place, row in iter_records(folder.path / table):
        name = _named_image(place, row, table)
        if name not in images:
            reason = f"the field {NAME_FIELD!r} names no image in the folder"
            raise place.refuse(reason, code=Code.RECORD_FIELD)
        if IMAGE_FIELD in row:
            reason = f"the field {IMAGE_FIELD!r} is where the image itself goes"
            raise place.refuse(reason, code=Code.RECORD_FIELD)
        text, size = read_image(folder.path / name)
        behind += size
        unnamed.discard(name)
        rest = {field: value for field, value in row.items() if field != NAME_FIELD}
        yield replace(place, position=behind), {**rest, IMAGE_FIELD: text}
    if unnamed:
        message = f"{folder.path / table}: does not name every image ({some(sorted(unnamed))})"
        remedy = "add them to the table, or move them away"
        raise FormatError(Code.RECORDS_FORMAT, message, remedy=remedy)


def _named_image(place: Place, row: Record, table: PurePath) -> PurePath:
    value: Any = row.get(NAME_FIELD)
    if not isinstance(value, str) or not value:
        reason = f"the field {NAME_FIELD!r} is missing or no text"
        raise place.refuse(reason, code=Code.RECORD_FIELD)
    # Only looked up among the folder's files: a path that leads out of it is none of them.
    return PurePath(posixpath.normpath((table.parent / value).as_posix()))
