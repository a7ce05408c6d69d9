"""Prepares items ahead of their use in a thread of its own, in order and within bounds.

A thread, never a process: in an enclave a fork is a second enclave. It does not know what it
prepares; the items must not depend on when they are made.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from sealtune.core.limits import MIB

AHEAD_ITEMS = 4
AHEAD_BYTES = 32 * MIB  # 64 times a step of 8 x 2,048 tokens, or one of 200 images

T = TypeVar("T")


def ahead_bytes(largest: int) -> int:
    """Return the most that items of up to `largest` bytes take: those that wait, the one in use and
    the one that is made, beside what it is made from.
    """
    return min(AHEAD_ITEMS * largest, max(largest, AHEAD_BYTES)) + 3 * largest


class _Queue(Generic[T]):
    """What the thread and its consumer share."""

    def __init__(self, *, items_max: int, bytes_max: int) -> None:
        self._items: deque[tuple[T, int]] = deque()
        self._items_max = items_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = False
        self._stopped = False

    def put(self, item: T, size: int) -> bool:
        """Add `item` once there is room; False if nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(size))
            if not self._stopped:
                self._items.append((item, size))
                self._bytes += size
                self._changed.notify_all()
            return not self._stopped

    def end(self, error: BaseException | None) -> None:
        """Say that no item follows, because of `error` if there is one."""
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()

    def get(self) -> T:
        """Return the next item.

        Raises:
            StopIteration: there is none.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._ended or self._items)
            if self._items and not self._stopped:
                item, size = self._items.popleft()
                self._bytes -= size
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None and not self._stopped:
            raise error
        raise StopIteration

    def stop(self) -> None:
        """Drop what is prepared and let the thread end."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        # One item is always let in, whatever its size: else nothing would go on.
        return not self._items or (
            len(self._items) < self._items_max and self._bytes + size <= self._bytes_max
        )


class Prefetched(Iterator[T]):
    """The items of an iterator that a thread runs ahead of whoever consumes them.

    What the iterator raises is raised here, after the items before it. Leaving the `with` block,
    `close` or forgetting the object ends the thread, which finishes at most the item at hand.
    """

    def __init__(
        self,
        items: Iterator[T],
        *,
        size: Callable[[T], int],
        items_max: int = AHEAD_ITEMS,
        bytes_max: int = AHEAD_BYTES,
    ) -> None:
        self._queue: _Queue[T] = _Queue(items_max=items_max, bytes_max=bytes_max)
        # A daemon, and without a reference to this object: whoever forgets to close it hangs
        # neither here nor at the interpreter's end.
        self._thread = threading.Thread(
            target=_fill, args=(self._queue, items, size), name="sealtune-prefetch", daemon=True
        )
        self._stop = weakref.finalize(self, self._queue.stop)
        self._thread.start()

    def __next__(self) -> T:
        return self._queue.get()

    def close(self) -> None:
        """End the thread and wait for that."""
        self._stop()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _fill(queue: _Queue[T], items: Iterator[T], size: Callable[[T], int]) -> None:
    try:
        for item in items:
            if not queue.put(item, size(item)):
                break
    except BaseException as error:  # noqa: BLE001 - raised again where the items are consumed
        queue.end(error)
    else:
        queue.end(None)
