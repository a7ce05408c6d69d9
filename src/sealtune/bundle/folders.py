"""What lies in a folder that is to be sealed, and which split of it.

No link is followed out of the folder, and none to a folder: what is sealed is what lies there.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from sealtune.core.files import storage_errors
from sealtune.core.limits import DATASET_FILES_MAX
from sealtune.errors import Code, ConfigError, FormatError

T = TypeVar("T")

TRAIN = "train"  # what a folder without splits is
# The words that Hugging Face takes for splits, and what it calls them.
_SPLITS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
_PART_OF = re.compile(r"(\w+(?:\.\w+)*)-\d{5}-of-\d{5}")
_SEPARATORS = re.compile(r"[-._ 0-9]+")
_SHOWN_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder and the regular files in it, relative to it and sorted; hidden ones are left out."""

    path: Path
    files: tuple[PurePath, ...]

    def size(self, files: Iterable[PurePath]) -> int:
        """Return the bytes of `files` together."""
        with storage_errors(self.path):
            return sum((self.path / name).stat().st_size for name in files)


def look_into(path: Path) -> Folder:
    """Return what lies in the folder at `path`, at any depth.

    Raises:
        FormatError: `RECORDS_FORMAT`: a link that leads out or to a folder, or something that is
            neither file nor folder; `LIMIT_EXCEEDED`.
        StorageError: it cannot be read.
    """
    root = path.resolve()
    files: list[PurePath] = []
    with storage_errors(path):
        for name, folders, names in os.walk(path, onerror=_raise):
            here = Path(name)
            folders[:] = sorted(item for item in folders if not item.startswith("."))
            for item in folders:
                if (here / item).is_symlink():
                    raise _link(path, here / item, "a link to a folder")
            for item in sorted(item for item in names if not item.startswith(".")):
                _check_file(path, here / item, root=root)
                files.append((here / item).relative_to(path))
            if len(files) > DATASET_FILES_MAX:
                message = f"{path}: more than {DATASET_FILES_MAX} files"
                raise FormatError(Code.LIMIT_EXCEEDED, message)
    return Folder(path=path, files=tuple(sorted(files)))


def choose_split(splits: Mapping[str, T], wanted: str | None, *, folder: Path) -> T:
    """Return the split that is `wanted`, or the only one.

    Raises:
        ConfigError: there is no such split, or several and none was named.
    """
    known = ", ".join(splits)
    if wanted is None:
        if len(splits) == 1:
            return next(iter(splits.values()))
        message = f"{folder}: has the splits {known}"
        remedy = "choose one with --split; each is sealed to a file of its own"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)
    if wanted not in splits:
        message = f"{folder}: has no split {wanted!r}"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=f"it has {known}")
    return splits[wanted]


def split_of_file(name: PurePath) -> str | None:
    """Return the split that the file `name` belongs to, as Hugging Face sees it, or None.

    `data/train-00000-of-00002.parquet`, `train.csv`, `train/1.jsonl` and `notes_dev.csv` do.
    """
    part = _PART_OF.match(name.name)
    if part:
        return _SPLITS.get(part[1], part[1])
    for folder in name.parts[:-1]:
        if found := _split_word(folder):
            return found
    return _split_word(name.name.split(".")[0])


def split_of_folder(name: str) -> str | None:
    """Return the split that a folder called `name` holds, or None."""
    return _SPLITS.get(name)


def some(names: Iterable[PurePath]) -> str:
    """Return the first few of `names` for people, and how many more there are."""
    shown = [str(name) for name in names]
    more = f" and {len(shown) - _SHOWN_MAX} more" if len(shown) > _SHOWN_MAX else ""
    return ", ".join(shown[:_SHOWN_MAX]) + more


def _split_word(text: str) -> str | None:
    words = (word for word in re.split(_SEPARATORS, text.lower().replace("_", "-")) if word)
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def _check_file(folder: Path, path: Path, *, root: Path) -> None:
    # realpath: unlike Path.resolve it takes links that go round in circles, which are no files.
    if not Path(os.path.realpath(path)).is_relative_to(root):
        raise _link(folder, path, "a link that leads out of the folder")
    if not path.is_file():
        raise FormatError(Code.RECORDS_FORMAT, f"{path}: neither a file nor a folder")


def _link(folder: Path, path: Path, reason: str) -> FormatError:
    remedy = f"copy the data with its links resolved: cp -rL {shlex.quote(str(folder))} COPY"
    return FormatError(Code.RECORDS_FORMAT, f"{path}: {reason}", remedy=remedy)


def _raise(error: OSError) -> None:
    raise error
