"""Writes a recorded tree: files as the probes saw them, empty ones for what was only there."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from sealtune.core.files import storage_errors, write_atomic
from sealtune.errors import Code, StorageError


def write_tree(
    folder: Path,
    *,
    files: Mapping[str, bytes],
    folders: Mapping[str, tuple[str, ...]],
    seen: AbstractSet[str],
    sidecars: Mapping[str, bytes],
) -> tuple[Path, ...]:
    """Write a tree to the new folder `folder` and return its files, sorted.

    Raises:
        StorageError: the folder exists already, or the disk refuses.
    """
    if folder.exists():
        remedy = "give the name of a folder that does not exist yet"
        raise StorageError(Code.FILE_EXISTS, f"{folder} exists already", remedy=remedy)
    written = []
    with storage_errors(folder):
        folder.mkdir(parents=True)
        for path, names in folders.items():
            for name in names:
                _inside(folder, f"{path}/{name}").mkdir(parents=True, exist_ok=True)
        empty = {path: b"" for path in seen if not _inside(folder, path).exists()}
        for path, data in sorted({**empty, **files}.items()):
            place = _inside(folder, path)
            if _is_folder(path, files, seen):
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            written.append(place)
    for name, data in sidecars.items():
        write_atomic(folder / name, data + b"\n")
        written.append(folder / name)
    return tuple(sorted(written))


def _inside(folder: Path, path: str) -> Path:
    return folder / path.lstrip("/")


def _is_folder(path: str, files: Mapping[str, bytes], seen: AbstractSet[str]) -> bool:
    return any(other.startswith(f"{path}/") for other in (*files, *seen))
