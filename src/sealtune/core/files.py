"""Files that are either whole or not there.

A writer makes a temporary file beside its target, syncs it, renames it and syncs the folder, so
that a crash or a full disk at any moment leaves the old state. Readers get bounded reads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sealtune.errors import Code, FormatError, SealtuneError, StorageError

PRIVATE_MODE = 0o600
SHARED_MODE = 0o644


@contextlib.contextmanager
def atomic_writer(path: Path, *, mode: int = SHARED_MODE) -> Iterator[BinaryIO]:
    """Yield a binary file (readable too) that becomes `path` when the block ends well.

    Raises:
        StorageError: the disk is full or refuses; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    if not path.parent.is_dir():
        raise StorageError(Code.FILE_MISSING, f"{path.parent}: no such folder")
    with storage_errors(path):
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_atomic(path: Path, data: bytes, *, mode: int = SHARED_MODE) -> None:
    """Write `data` to `path` so that a reader sees all of it or the old file.

    Raises:
        StorageError: the disk is full or refuses; `path` is as it was.
    """
    with atomic_writer(path, mode=mode) as file:
        file.write(data)


def read_bounded(path: Path, *, limit: int, what: str) -> bytes:
    """Return the content of `path`, refused unread if larger than `limit` bytes.

    Raises:
        FormatError: the file is larger.
        StorageError: it is missing or cannot be read.
    """
    with storage_errors(path), path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise FormatError(Code.LIMIT_EXCEEDED, f"{what} {path}: larger than {limit} bytes")
    return data


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut (a rename alone does not)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into a StorageError that names `path` and the remedy."""
    try:
        yield
    except SealtuneError:
        raise
    except FileNotFoundError as error:
        raise StorageError(
            Code.FILE_MISSING, f"{error.filename or path}: no such file or folder"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                Code.DISK_FULL,
                f"{path}: the disk is full",
                remedy="make room and run the same command again; nothing half-written was kept",
            ) from error
        raise StorageError(Code.IO_FAILED, f"{path}: {error.strerror or error}") from error
