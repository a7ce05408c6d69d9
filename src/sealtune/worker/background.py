"""Training checkpoints that do not stop the training: one thread seals and anchors them.

What a checkpoint is and when an older one goes is `checkpoints`' business and stays as it is there;
here they only wait for their turn. A checkpoint that waits is replaced by the next: of several that
the disk or the brokers are too slow for, the newest counts.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Protocol, Self


class Keeper(Protocol):
    """Who keeps a checkpoint, and takes its time."""

    def save(self, step: int, blob: bytes) -> None:
        """Keep `blob`, the state after `step`, in place of older ones."""
        ...

    def load(self) -> tuple[int, bytes] | None:
        """Return the newest one, or None."""
        ...


class BackgroundCheckpoints:
    """The training engine's CheckpointSink: `save` returns at once, `drain` waits.

    At the end of its block nothing is under way any more. Where the block ends with an error, what
    was handed over before is kept all the same: the run resumes from it.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._waiting: tuple[int, bytes] | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._lock = threading.Lock()

    def save(self, step: int, blob: bytes) -> None:
        """Have `blob`, the state after `step`, kept; the caller never changes it.

        Raises:
            SealtuneError: an earlier one could not be kept.
        """
        with self._lock:
            self._raise_failure()
            self._waiting = (step, blob)
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="checkpoints")
                thread.start()
                # After that: there is nothing to wait for where the system gives no thread.
                self._thread = thread

    def load(self) -> tuple[int, bytes] | None:
        """Return the newest anchored checkpoint, or None when no broker knows one.

        Raises:
            VerificationError, StorageError: as the keeper.
        """
        return self._keeper.load()

    def drain(self) -> None:
        """Wait until all that was handed over is kept.

        Raises:
            SealtuneError: it could not be.
        """
        self._wait()
        with self._lock:
            self._raise_failure()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait()
        # What has stopped the block says more than what failed beside it.
        if error is None:
            self.drain()

    def _wait(self) -> None:
        thread = self._thread
        if thread is not None:
            thread.join()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while (next_one := self._next()) is not None:
            try:
                self._keeper.save(*next_one)
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                with self._lock:
                    self._failure, self._waiting = error, None

    def _next(self) -> tuple[int, bytes] | None:
        with self._lock:
            taken, self._waiting = self._waiting, None
            if taken is None:
                # Under the lock: whoever hands over the next one sees that nobody is at work.
                self._thread = None
            return taken
