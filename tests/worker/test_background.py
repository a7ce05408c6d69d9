"""Checkpoints beside the training: nothing stops for them, nothing of them is lost silently."""

from __future__ import annotations

import threading
import time

import pytest

from sealtune.errors import Code, StorageError
from sealtune.worker.background import BackgroundCheckpoints

PATIENCE_S = 10.0


class SlowDisk:
    """Keeps one checkpoint at a time, each only when it is let through."""

    def __init__(self, *, full: bool = False) -> None:
        self.kept: list[tuple[int, bytes]] = []
        self.began = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.full = full
        self.threads: set[int] = set()
        self.at_once = 0

    def save(self, step: int, blob: bytes) -> None:
        self.at_once += 1
        assert self.at_once == 1
        self.threads.add(threading.get_ident())
        self.began.release()
        assert self.let.acquire(timeout=PATIENCE_S)
        self.at_once -= 1
        if self.full:
            raise StorageError(Code.DISK_FULL, "full")
        self.kept.append((step, blob))

    def load(self) -> tuple[int, bytes] | None:
        return self.kept[-1] if self.kept else None

    def wait(self) -> None:
        assert self.began.acquire(timeout=PATIENCE_S)

    def free(self) -> None:
        for _ in range(100):
            self.let.release()


def test_training_goes_on_while_a_checkpoint_is_written() -> None:
    disk = SlowDisk()
    checkpoints = BackgroundCheckpoints(disk)
    checkpoints.save(1, b"one")
    disk.wait()
    assert disk.kept == []
    disk.free()
    checkpoints.drain()
    assert checkpoints.load() == (1, b"one")
    assert threading.get_ident() not in disk.threads


def test_of_several_that_wait_the_newest_is_kept() -> None:
    disk = SlowDisk()
    checkpoints = BackgroundCheckpoints(disk)
    checkpoints.save(1, b"one")
    disk.wait()
    for step in (2, 3, 4):
        checkpoints.save(step, b"later")
    disk.free()
    checkpoints.drain()
    assert [step for step, _ in disk.kept] == [1, 4]


def test_one_after_the_other_is_kept_in_order() -> None:
    disk = SlowDisk()
    disk.free()
    with BackgroundCheckpoints(disk) as checkpoints:
        for step in range(1, 6):
            checkpoints.save(step, b"x")
            checkpoints.drain()
    assert [step for step, _ in disk.kept] == [1, 2, 3, 4, 5]


def test_a_failure_is_raised_by_the_next_call_and_by_each_later_one() -> None:
    disk = SlowDisk(full=True)
    checkpoints = BackgroundCheckpoints(disk)
    checkpoints.save(1, b"one")
    disk.free()
    deadline = time.monotonic() + PATIENCE_S
    with pytest.raises(StorageError) as failed:
        while time.monotonic() < deadline:
            checkpoints.save(2, b"two")
    assert failed.value.code is Code.DISK_FULL
    with pytest.raises(StorageError):
        checkpoints.drain()
    assert disk.kept == []


def test_the_end_of_the_block_waits_and_raises() -> None:
    disk = SlowDisk(full=True)
    disk.free()
    with pytest.raises(StorageError), BackgroundCheckpoints(disk) as checkpoints:
        checkpoints.save(1, b"one")


def test_what_was_handed_over_before_an_error_is_kept_and_the_error_stays() -> None:
    disk = SlowDisk()
    disk.free()
    with pytest.raises(KeyboardInterrupt), BackgroundCheckpoints(disk) as checkpoints:
        checkpoints.save(1, b"one")
        raise KeyboardInterrupt
    assert [step for step, _ in disk.kept] == [1]
    full = SlowDisk(full=True)
    full.free()
    with pytest.raises(RuntimeError), BackgroundCheckpoints(full) as checkpoints:
        checkpoints.save(1, b"one")
        raise RuntimeError("what really happened")


def test_nothing_is_left_running() -> None:
    before = threading.active_count()
    disk = SlowDisk()
    disk.free()
    with BackgroundCheckpoints(disk) as checkpoints:
        checkpoints.save(1, b"one")
        checkpoints.drain()
    assert threading.active_count() == before


def test_after_a_failure_what_waits_is_not_tried() -> None:
    disk = SlowDisk(full=True)
    checkpoints = BackgroundCheckpoints(disk)
    checkpoints.save(1, b"one")
    disk.wait()
    checkpoints.save(2, b"two")
    disk.free()
    with pytest.raises(StorageError):
        checkpoints.drain()
    assert not disk.began.acquire(blocking=False)


def test_a_system_that_gives_no_thread_is_the_error_that_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with (
        pytest.raises(RuntimeError, match="new thread"),
        BackgroundCheckpoints(SlowDisk()) as checkpoints,
    ):
        checkpoints.save(1, b"one")
