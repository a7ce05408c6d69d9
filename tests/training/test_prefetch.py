"""Items prepared ahead: the same ones, in order, within bounds, and no thread left behind."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from sealtune.errors import Code, FormatError
from sealtune.training.prefetch import Prefetched

PATIENCE = 20.0  # seconds; only a defect takes that long


def numbers(count: int, seen: list[int] | None = None) -> Iterator[int]:
    for number in range(count):
        if seen is not None:
            seen.append(number)
        yield number


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sealtune-prefetch"]


def test_all_items_in_order() -> None:
    with Prefetched(numbers(100), size=lambda _: 1) as items:
        assert list(items) == list(range(100))
    assert threads() == []


def test_it_runs_ahead_but_not_beyond_its_bounds() -> None:
    for limits in ({"items_max": 3}, {"bytes_max": 30}):
        made = [threading.Event() for _ in range(20)]
        seen: list[int] = []

        def items(made: list[threading.Event] = made, seen: list[int] = seen) -> Iterator[int]:
            for number, event in enumerate(made):
                seen.append(number)
                event.set()
                yield number

        with Prefetched(items(), size=lambda _: 10, **limits) as ahead:
            assert next(ahead) == 0
            # Number 1 to 3 wait to be taken, number 4 is at the door.
            assert made[4].wait(PATIENCE)
            assert next(ahead) == 1
            assert made[5].wait(PATIENCE)
            assert seen == [0, 1, 2, 3, 4, 5]


def test_an_item_larger_than_the_bound_gets_through() -> None:
    with Prefetched(numbers(5), size=lambda _: 100, bytes_max=10) as items:
        assert list(items) == list(range(5))


def test_an_error_comes_at_its_place_and_as_it_was() -> None:
    error = FormatError(Code.RECORD_MALFORMED, "record 3: no")

    def items() -> Iterator[int]:
        yield from range(3)
        raise error

    with Prefetched(items(), size=lambda _: 1) as ahead:
        assert [next(ahead) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(FormatError) as caught:
            next(ahead)
        assert caught.value is error
        assert list(ahead) == []


def test_leaving_early_ends_the_thread_and_the_iterator() -> None:
    ended = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    with pytest.raises(RuntimeError, match="step"), Prefetched(endless(), size=lambda _: 1) as it:
        next(it)
        raise RuntimeError("step")
    assert threads() == []
    assert ended.is_set()
    assert list(it) == []


def test_forgetting_it_ends_the_thread_too() -> None:
    items = Prefetched(numbers(1_000), size=lambda _: 1)
    next(items)
    (thread,) = threads()
    del items
    gc.collect()
    thread.join(PATIENCE)
    assert not thread.is_alive()
