"""The folder beside the output in which a run keeps its finished parts, and goes on after a crash.

A part counts once its journal line is on the disk. Lines name the shard that a part was made of by
digest, so that of an input that was mended all parts before the mended place still serve.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.files import PRIVATE_MODE, storage_errors, sync_folder
from sealtune.core.limits import MIB
from sealtune.errors import Code, SealtuneError, StorageError

_FOLDER_MODE: Final = 0o700
_LINE_BYTES_MAX: Final = 4 * MIB  # a tally of a thousand fields with long names
_VERSION: Final = 2
_NAMED: Final = "naming"
# Processes of a run that was killed end with the shard that they are at.
_WAIT_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_TRIES_MAX: Final = 16  # to get a folder that other runs keep deleting


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished shard: digests of what went in and came out, and what `tally` counted.

    `sides` has the digests of what else there is of it: the state of its meter, a part of a vault.
    """

    index: int
    shard: Digest
    part: Digest
    size: int
    header: tuple[str, ...]
    tally: dict[str, Any]
    modes: tuple[str, ...]
    sides: dict[str, Digest]


class WorkFolder:
    """The folder of one run; one process has it at a time."""

    def __init__(self, path: Path, journal: BinaryIO, finished: dict[int, Finished]) -> None:
        self.path = path
        self._journal = journal
        self._finished = finished
        self._noted = False
        self.discarded = False

    @property
    def lock(self) -> int:
        """The descriptor that holds the folder's lock, here and in processes that inherit it."""
        return self._journal.fileno()

    @property
    def empty(self) -> bool:
        """Whether no part was ever finished in it."""
        return not self._finished and not self._noted

    def find(self, index: int, shard: Digest) -> Finished | None:
        """Return the finished part of a shard, if it is there and whole."""
        found = self._finished.get(index)
        if found is None or found.shard != shard:
            return None
        made = {"part": found.part, **found.sides}
        with contextlib.suppress(OSError):
            if all(
                sha256_digest(part_path(self.path, index, kind).read_bytes()) == digest
                for kind, digest in made.items()
            ):
                return found
        return None

    def part(self, index: int, kind: str = "part") -> Path:
        """Return the path of what is finished of the shard `index`."""
        return part_path(self.path, index, kind)

    def note(self, finished: Finished) -> None:
        """Put a finished part into the journal.

        Raises:
            StorageError: the disk refuses or is full.
        """
        with storage_errors(self.path):
            self._journal.write(json.dumps(asdict(finished)).encode() + b"\n")
            self._journal.flush()
            os.fsync(self._journal.fileno())
        self._noted = True

    def remove(self) -> None:
        """Delete the folder and everything in it."""
        _delete(self.path)
        sync_folder(self.path.parent)


def mark_named(folder: Path) -> bool:
    """Mark that files get their final names now; return whether an earlier run had begun that."""
    mark = folder / _NAMED
    begun = mark.exists()
    with storage_errors(mark):
        mark.touch(mode=PRIVATE_MODE)
        sync_folder(folder)
    return begun


def clear_named(folder: Path) -> None:
    """Remove the folder of a run that ended between its last name and its own cleaning up.

    Call it only where the output, which is named last, is there.
    """
    journal = folder / "journal"
    if not (folder / _NAMED).exists() or not journal.exists():
        return
    with storage_errors(folder), journal.open("r+b") as file:
        _lock(file, folder)
        if _is_at(file, journal):
            _delete(folder)


def is_naming(folder: Path) -> bool:
    """Return whether a run had begun to give files their final names, and did not end."""
    return (folder / _NAMED).exists()


def work_folder_of(output: Path) -> Path:
    """Return the folder in which a run that makes `output` keeps what is finished."""
    return output.with_name(f".{output.name}.deid")


def part_path(folder: Path, index: int, kind: str) -> Path:
    """Return the path of the `kind` of file of the shard `index`."""
    return folder / f"{index:08d}.{kind}"


def write_part(path: Path, data: bytes) -> None:
    """Write a part to the disk, whole before anybody notes it.

    Raises:
        StorageError: the disk refuses or is full.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with storage_errors(path), os.fdopen(os.open(path, flags, PRIVATE_MODE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def open_work_folder(
    path: Path, *, binding: Mapping[str, str], restart: bool
) -> Iterator[WorkFolder]:
    """Yield the folder at `path`, made if it is not there; it stays until it is removed.

    What is in it is discarded on `restart`, or where it was made under another `binding`, which
    names everything but the shards that a part depends on.

    Raises:
        StorageError: another run has it, or the disk refuses.
    """
    with storage_errors(path), _locked_journal(path) as file:
        head = {"version": str(_VERSION), **binding}
        finished = None if restart else _read(file, head)
        work = WorkFolder(path, file, finished or {})
        work.discarded = finished is None and os.fstat(file.fileno()).st_size > 0
        if finished is None:
            _begin(file, path, head)
        try:
            yield work
        except SealtuneError:
            # Nothing to go on from: an input that was refused leaves no litter.
            if work.empty and path.exists():
                work.remove()
            raise


@contextlib.contextmanager
def _locked_journal(path: Path) -> Iterator[BinaryIO]:
    """Yield the journal of the folder at `path`, both made if they are not there, and locked."""
    journal = path / "journal"
    for _ in range(_TRIES_MAX):
        path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        try:
            descriptor = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
        except FileNotFoundError:
            continue  # the run before deleted the folder just now
        with os.fdopen(descriptor, "r+b") as file:
            _lock(file, path)
            # The run before may have deleted what was waited for: a lock on that keeps nobody out.
            if _is_at(file, journal):
                yield file
                return
    raise _taken(path)


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Return whether the open `file` is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _delete(folder: Path) -> None:
    """Delete a folder whose lock is held; its journal goes last, as that is what is locked."""
    files = sorted(folder.iterdir(), key=lambda path: (path.name == "journal", path.name == _NAMED))
    for path in files:
        path.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError as error:
        # Another run found it without a journal, and has it now.
        if error.errno != errno.ENOTEMPTY:
            raise


def _lock(file: BinaryIO, path: Path) -> None:
    until = time.monotonic() + _WAIT_SECONDS
    try:
        while not _locked(file, last=time.monotonic() > until):
            time.sleep(_POLL_SECONDS)
    except BlockingIOError:
        raise _taken(path) from None


def _taken(path: Path) -> StorageError:
    message = f"{path}: another run is working on the same output"
    remedy = "wait until it has ended, or give another output"
    return StorageError(Code.FILE_EXISTS, message, remedy=remedy)


def _locked(file: BinaryIO, *, last: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if last:
            raise
        return False
    return True


def _begin(file: BinaryIO, path: Path, head: Mapping[str, str]) -> None:
    for part in path.glob("[0-9]*.*"):
        part.unlink()
    file.seek(0)
    file.truncate()
    file.write(json.dumps(head).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())
    sync_folder(path)
    sync_folder(path.parent)


def _read(file: BinaryIO, head: Mapping[str, str]) -> dict[int, Finished] | None:
    """Return the finished parts, or None if the journal is another's; behind them is cut off."""
    if _line(file) != head:
        return None
    found: dict[int, Finished] = {}
    end = file.tell()
    while (value := _line(file)) is not None:
        try:
            item = Finished(
                **{**value, "header": tuple(value["header"]), "modes": tuple(value["modes"])}
            )
        except (TypeError, KeyError):
            break
        found[item.index] = item
        end = file.tell()
    # The last line may have been torn by the crash.
    file.seek(end)
    file.truncate()
    return found


def _line(file: BinaryIO) -> Any:
    line = file.readline(_LINE_BYTES_MAX)
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
