"""The writer thread: whole transactions or none, and errors that say who must act."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sealtune.broker.database import Database, create_database
from sealtune.errors import Code, StorageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.sqlite3"
    create_database(path, schema="CREATE TABLE item (value INTEGER) STRICT;")
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path)
    yield database
    database.close()


def add(value: int):
    return lambda connection: connection.execute("INSERT INTO item VALUES (?)", (value,)).rowcount


def values(connection: sqlite3.Connection) -> list[int]:
    return sorted(row[0] for row in connection.execute("SELECT value FROM item"))


def on_disk(path: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return values(connection)


def test_a_result_comes_after_the_commit(database: Database, path: Path):
    assert database.write(add(1)) == 1
    assert on_disk(path) == [1]


def test_the_store_is_private_durable_and_ahead_logged(database: Database, path: Path):
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.with_name("store.sqlite3-wal").stat().st_mode & 0o777 == 0o600
    pragmas = database.write(
        lambda connection: [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous")
        ]
    )
    assert pragmas == ["wal", 2]


def test_what_a_failed_job_did_is_undone_and_its_neighbours_stay(database: Database):
    started, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        started.set()
        go_on.wait(10)

    def bad(connection: sqlite3.Connection) -> None:
        add(99)(connection)
        raise KeyError("mine")

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(database.write, slow)
        started.wait(10)
        # These wait while the first runs, so they share one transaction.
        others = [pool.submit(database.write, job) for job in (add(1), bad, add(2))]
        go_on.set()
        first.result()
        with pytest.raises(KeyError, match="mine"):
            others[1].result()
        assert [others[0].result(), others[2].result()] == [1, 1]
    assert database.write(values) == [1, 2]


def test_many_threads_lose_nothing(database: Database, path: Path):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda value: database.write(add(value)), range(300)))
    assert on_disk(path) == list(range(300))


def test_a_locked_store_says_so_and_works_later(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sealtune.broker.database._BUSY_S", 0.05)
    database = Database(path)
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError) as caught:
                database.write(add(1))
            assert caught.value.code is Code.IO_FAILED
            assert caught.value.remedy
            other.execute("ROLLBACK")
        assert database.write(add(2)) == 1
        assert on_disk(path) == [2]
    finally:
        database.close()


def test_a_full_disk_fails_the_job_and_leaves_the_store_whole(database: Database, path: Path):
    def limit(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    database.write(add(1))
    database.write(limit)

    def fill(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT INTO item VALUES (?)", [(n,) for n in range(100_000)])

    with pytest.raises(StorageError) as caught:
        database.write(fill)
    assert caught.value.code is Code.DISK_FULL
    assert on_disk(path) == [1]
    assert database.write(add(2)) == 1


def test_a_read_only_store_is_an_error_not_a_hang(database: Database):
    database.write(lambda connection: connection.execute("PRAGMA query_only = ON").fetchall())
    with pytest.raises(StorageError) as caught:
        database.write(add(1))
    assert caught.value.code is Code.IO_FAILED


def test_reading_does_not_wait_for_the_writer_and_cannot_write(database: Database):
    database.write(add(1))
    started, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        add(2)(connection)
        started.set()
        go_on.wait(10)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(database.write, slow)
        started.wait(10)
        assert database.read(values) == [1]
        go_on.set()
        writing.result()
    assert database.read(values) == [1, 2]
    with pytest.raises(StorageError):
        database.read(add(3))


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path):
    path = tmp_path / "store.sqlite3"
    path.write_bytes(b"no database at all, but long enough to look like something" * 20)
    with pytest.raises(StorageError) as caught:
        Database(path)
    assert caught.value.code is Code.STORE_DAMAGED


def test_a_missing_store_is_not_made_anew(tmp_path: Path):
    with pytest.raises(StorageError) as caught:
        Database(tmp_path / "store.sqlite3")
    assert caught.value.code is Code.FILE_MISSING
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_not_overwritten(path: Path):
    with pytest.raises(StorageError):
        create_database(path, schema="")


def test_closing_finishes_what_waits_and_refuses_the_rest(database: Database, path: Path):
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(database.write, add(value)) for value in range(50)]
        results = [future.result() for future in waiting]
    assert results == [1] * 50
    database.close()
    with pytest.raises(StorageError):
        database.write(add(1))
    database.close()
