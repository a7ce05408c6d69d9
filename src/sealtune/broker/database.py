"""SQLite with one writer thread that commits jobs in groups.

Every job is a function of the open transaction. Jobs that wait together share one BEGIN IMMEDIATE
and one COMMIT, hence one fsync, each in its own savepoint; a caller gets its result only after the
commit, so that nothing is answered that a crash could take back. One writer also means that no two
jobs see the same count. Knows nothing of keys or contracts (`store` does).
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sealtune.core.files import PRIVATE_MODE, storage_errors
from sealtune.errors import Code, StorageError

_GROUP_MAX = 64
_BUSY_S = 5.0
T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True)
class _Waiting:
    job: Job[Any]
    future: Future[Any]


class Database:
    """One SQLite file, written by one thread of this process (and safe beside other processes)."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`.

        Raises:
            StorageError: it is missing, unreadable, or no database.
        """
        if not path.is_file():
            raise StorageError(Code.FILE_MISSING, f"{path}: no such store")
        self._path = path
        self._connection = _connect(path)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def write(self, job: Job[T]) -> T:
        """Run `job` in a transaction; return its result once that is on the disk.

        Whatever `job` raises undoes what it did, and is raised here.

        Raises:
            StorageError: the disk or the database refuses; nothing was changed.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise StorageError(Code.IO_FAILED, f"{self._path}: the store is closed")
            self._queue.put(_Waiting(job, future))
        return future.result()

    def read(self, job: Job[T]) -> T:
        """Run a reading `job` on one state of the database, in this thread, beside the writer.

        Raises:
            StorageError: the database refuses, or `job` tries to write.
        """
        with contextlib.closing(_connect(self._path)) as connection:
            try:
                connection.execute("PRAGMA query_only = ON")
                connection.execute("BEGIN")
                return job(connection)
            except sqlite3.Error as error:
                raise store_error(error, self._path) from error

    def close(self) -> None:
        """Finish the jobs that wait, then close the file."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            group = [first]
            ended = False
            while len(group) < _GROUP_MAX and not ended:
                try:
                    waiting = self._queue.get_nowait()
                except queue.Empty:
                    break
                if waiting is None:
                    ended = True
                else:
                    group.append(waiting)
            self._commit(group)
            if ended:
                return

    def _commit(self, group: list[_Waiting]) -> None:
        outcomes: list[Callable[[], None]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._outcome(waiting) for waiting in group]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            # A full disk may have undone the jobs before, too: all of them fail, none is lost.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            failure = store_error(error, self._path)
            for waiting in group:
                waiting.future.set_exception(failure)
        else:
            for deliver in outcomes:
                deliver()

    def _outcome(self, waiting: _Waiting) -> Callable[[], None]:
        self._connection.execute("SAVEPOINT job")
        try:
            result = waiting.job(self._connection)
        except sqlite3.Error:
            raise
        except BaseException as error:  # noqa: BLE001 - handed to the caller who waits for it
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")
            failure = error
            return lambda: waiting.future.set_exception(failure)
        self._connection.execute("RELEASE job")
        return lambda: waiting.future.set_result(result)


def create_database(path: Path, *, schema: str) -> None:
    """Make a new database at `path`, mode 0600, with the tables of `schema`.

    Raises:
        StorageError: it exists, or the disk refuses.
    """
    with storage_errors(path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_MODE))
    connection = _connect(path)
    try:
        connection.executescript(schema)
    except sqlite3.Error as error:
        raise store_error(error, path) from error
    finally:
        connection.close()


def store_error(error: sqlite3.Error, path: Path) -> StorageError:
    """Return `error` as the StorageError that says who must act."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return StorageError(
            Code.DISK_FULL,
            f"{path}: the disk is full",
            remedy="make room; nothing was released or counted",
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StorageError(
            Code.STORE_DAMAGED,
            f"{path}: the store is damaged",
            remedy="restore the broker's folder from your backup",
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError(
            Code.IO_FAILED,
            f"{path}: another program holds the store",
            remedy="close the program that has the store open and try again",
        )
    return StorageError(Code.IO_FAILED, f"{path}: {error}")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # Each commit reaches the disk before its answer leaves: a power cut forgets no run.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
    except sqlite3.Error as error:
        connection.close()
        raise store_error(error, path) from error
    return connection
