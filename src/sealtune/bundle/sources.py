"""Finds the records in what an owner gives: a file, or a folder of a layout that is in use.

Folders: what `datasets` saves to disk (Arrow), what lies on the Hugging Face hub (Parquet, JSON
Lines or CSV files by split), and images in a folder for each class or beside a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from sealtune.bundle.folders import (
    TRAIN,
    Folder,
    choose_split,
    look_into,
    some,
    split_of_file,
)
from sealtune.bundle.image_folders import find_images, has_images
from sealtune.bundle.records import RECORD_SUFFIXES, Place, Record, iter_records
from sealtune.core.canonical import parse_foreign_json
from sealtune.core.files import read_bounded, storage_errors
from sealtune.core.limits import MIB
from sealtune.errors import Code, ConfigError, FormatError

_SPLITS_NAME, _STATE_NAME = "dataset_dict.json", "state.json"
_DESCRIPTIONS = frozenset({_SPLITS_NAME, _STATE_NAME, "dataset_info.json", "dataset_infos.json"})
_DESCRIPTION_BYTES_MAX = 64 * MIB  # a state file with 100,000 parts is 10 MiB
# Of one format though the names differ.
_ALIKE = {".ndjson": ".jsonl", ".json": ".jsonl"}
Records = Iterator[tuple[Place, Record]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Where records come from: `read` yields them from `bytes` bytes; `notes` are for people."""

    read: Callable[[], Records]
    bytes: int
    notes: tuple[str, ...] = ()


def find_dataset(path: Path, *, split: str | None) -> Dataset:
    """Return the records in the file or folder at `path`; `split` chooses among a folder's.

    Raises:
        FormatError: `RECORDS_FORMAT` or `RECORDS_EMPTY`: of no known layout, or nothing in it;
            a link that leads out.
        ConfigError: there is no such split, or several and none was named.
        StorageError: it is missing or cannot be read.
    """
    if path.is_dir():
        return _find_in_folder(look_into(path), split)
    if split is not None:
        message = f"{path}: is a file, and a file has no splits"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="leave --split out")
    size = path.stat().st_size if path.is_file() else 0
    return Dataset(read=partial(iter_records, path), bytes=size)


def _find_in_folder(folder: Folder, split: str | None) -> Dataset:
    if PurePath(_SPLITS_NAME) in folder.files:
        return _saved_splits(folder, split)
    if PurePath(_STATE_NAME) in folder.files:
        return _saved(folder, PurePath(), split)
    if has_images(folder):
        found = find_images(folder, split)
        return Dataset(read=found.read, bytes=found.bytes, notes=found.notes)
    tables = [name for name in folder.files if _is_table(name)]
    if not tables:
        message = f"{folder.path}: holds neither records nor images"
        raise FormatError(Code.RECORDS_EMPTY, message, remedy=_remedy())
    return _hub(folder, tables, split)


def _is_table(name: PurePath) -> bool:
    return name.suffix.lower() in RECORD_SUFFIXES and name.name not in _DESCRIPTIONS


def _hub(folder: Folder, tables: list[PurePath], split: str | None) -> Dataset:
    by_split: dict[str, list[PurePath]] = {}
    rest = []
    for name in tables:
        found = split_of_file(name)
        if found is None:
            rest.append(name)
        else:
            by_split.setdefault(found, []).append(name)
    # As Hugging Face has it: files without a split count only where no file has one.
    files = choose_split(by_split or {TRAIN: rest}, split, folder=folder.path)
    formats = {_ALIKE.get(name.suffix.lower(), name.suffix.lower()) for name in files}
    if len(formats) > 1:
        message = f"{folder.path}: files of several formats ({', '.join(sorted(formats))})"
        remedy = "seal a folder with one of them: the records may be the same"
        raise FormatError(Code.RECORDS_FORMAT, message, remedy=remedy)
    left = rest if by_split else []
    others = [name for name in folder.files if not _is_table(name)]
    ignored = [*left, *(name for name in others if name.name not in _DESCRIPTIONS)]
    return Dataset(
        read=partial(_read_files, folder, files),
        bytes=folder.size(files),
        notes=(f"not sealed: {some(ignored)}",) if ignored else (),
    )


def _saved_splits(folder: Folder, split: str | None) -> Dataset:
    names = _description(folder, PurePath(_SPLITS_NAME)).get("splits")
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise _damaged(folder, PurePath(_SPLITS_NAME))
    chosen = choose_split({name: name for name in names}, split, folder=folder.path)
    return _saved(folder, PurePath(chosen), None)


def _saved(folder: Folder, inside: PurePath, split: str | None) -> Dataset:
    """Return the dataset that `datasets` saved to the folder `inside` the folder."""
    name = inside / _STATE_NAME
    state = _description(folder, name)
    if split is not None:
        choose_split({str(state.get("_split") or TRAIN): None}, split, folder=folder.path)
    parts = state.get("_data_files")
    if not isinstance(parts, list) or not parts or state.get("_indices_data_files"):
        raise _damaged(folder, name)
    files = [_part(folder, inside, part) for part in parts]
    return Dataset(read=partial(_read_files, folder, files), bytes=folder.size(files))


def _part(folder: Folder, inside: PurePath, part: Any) -> PurePath:
    named = part.get("filename") if isinstance(part, dict) else None
    # Looked up among what lies there, so that no name leads out of the folder.
    if isinstance(named, str) and inside / named in folder.files and "/" not in named:
        return inside / named
    raise _damaged(folder, inside / _STATE_NAME)


def _description(folder: Folder, name: PurePath) -> dict[str, Any]:
    path = folder.path / name
    if name not in folder.files:
        raise _damaged(folder, name)
    data = read_bounded(path, limit=_DESCRIPTION_BYTES_MAX, what="description")
    try:
        value = parse_foreign_json(
            data, limit=_DESCRIPTION_BYTES_MAX, marks=len(data), what=str(path)
        )
    except FormatError as error:
        raise FormatError(Code.RECORDS_FORMAT, error.message) from None
    if not isinstance(value, dict):
        raise _damaged(folder, name)
    return value


def _read_files(folder: Folder, files: list[PurePath]) -> Records:
    behind = 0
    for name in files:
        path = folder.path / name
        for place, record in iter_records(path):
            yield replace(place, position=behind + place.position), record
        with storage_errors(path):
            behind += path.stat().st_size


def _damaged(folder: Folder, name: PurePath) -> FormatError:
    message = f"{folder.path / name}: missing, or not as save_to_disk writes it"
    return FormatError(Code.RECORDS_FORMAT, message, remedy="save the dataset again")


def _remedy() -> str:
    known = ", ".join(sorted(RECORD_SUFFIXES))
    return f"give a folder with files named {known}, or .jpg and .png in a folder for each class"
