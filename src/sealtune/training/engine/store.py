"""Where the frozen weights of the blocks are: all in memory, or each only while it computes.

Streaming keeps a small ring of buffers. A thread reads, authenticates and decrypts the next block
into a free buffer while the current one computes; the order of blocks is known beforehand.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Protocol, TypeVar

import torch

from sealtune.training.engine.layout import BlockLayout, fill
from sealtune.training.sources import WeightSource

Views = dict[str, torch.Tensor]
Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


class Store(Protocol):
    """Gives a block's frozen parts while that block is open."""

    def part(self, block: int, name: str) -> torch.Tensor:
        """Return a part of `block`, which must be open."""
        ...

    def visit(self, order: Sequence[int]) -> Generator[int, None, None]:
        """Yield the blocks in `order`, each open until the next is asked for.

        Close it, or come to its end: a thread may be at work.
        """
        ...


class ResidentStore:
    """Every block in memory, always open."""

    def __init__(
        self, layouts: Sequence[BlockLayout], *, weights: WeightSource, device: torch.device
    ) -> None:
        self._views: list[Views] = []
        for layout in layouts:
            buffer = torch.empty(layout.nbytes, dtype=torch.uint8, device=device)
            views = layout.views(buffer)
            fill(views, layout.parts, weights=weights)
            self._views.append(views)

    def part(self, block: int, name: str) -> torch.Tensor:
        """As the protocol says."""
        return self._views[block][name]

    def visit(self, order: Sequence[int]) -> Generator[int, None, None]:
        """As the protocol says."""
        yield from order


class StreamedStore:
    """One block open at a time, the next ones on their way into the ring's other buffers."""

    def __init__(
        self, layouts: Sequence[BlockLayout], *, weights: WeightSource, buffers: int
    ) -> None:
        self._layouts, self._weights = layouts, weights
        size = max(layout.nbytes for layout in layouts)
        self._ring = [torch.empty(size, dtype=torch.uint8) for _ in range(buffers)]
        self._open: tuple[int, Views] | None = None

    def part(self, block: int, name: str) -> torch.Tensor:
        """As the protocol says.

        Raises:
            RuntimeError: the block is not open: its bytes may be another block's by now.
        """
        if self._open is None or self._open[0] != block:
            raise RuntimeError(f"block {block} is not open")
        return self._open[1][name]

    def visit(self, order: Sequence[int]) -> Generator[int, None, None]:
        """As the protocol says."""

        def load(block: int, buffer: torch.Tensor) -> Views:
            views = self._layouts[block].views(buffer)
            fill(views, self._layouts[block].parts, weights=self._weights)
            return views

        # A block that comes twice in a row, at the turn from forward to backward, is read once.
        runs = [block for index, block in enumerate(order) if index == 0 or block != order[index - 1]]
        loaded = prefetched(runs, load, self._ring)
        try:
            for block in order:
                if self._open is None or self._open[0] != block:
                    self._open = (block, next(loaded))
                yield block
        finally:
            self._open = None
            loaded.close()


def prefetched(
    items: Sequence[Item],
    load: Callable[[Item, torch.Tensor], Loaded],
    buffers: Sequence[torch.Tensor],
) -> Generator[Loaded, None, None]:
    """Yield `load(item, buffer)` for each of `items`, loading ahead in a thread.

    A buffer is used again when the next result is asked for, so a result is good until then. What
    `load` raises is raised here in its place, and nothing is loaded after it.
    """
    free: queue.SimpleQueue[torch.Tensor | None] = queue.SimpleQueue()
    ready: queue.SimpleQueue[tuple[torch.Tensor, Loaded] | BaseException] = queue.SimpleQueue()
    for buffer in buffers:
        free.put(buffer)
    stopped = threading.Event()

    def run() -> None:
        for item in items:
            buffer = free.get()
            if buffer is None or stopped.is_set():
                return
            try:
                ready.put((buffer, load(item, buffer)))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                ready.put(error)
                return

    thread = threading.Thread(target=run, name="sealtune-prefetch", daemon=True)
    thread.start()
    try:
        for _ in items:
            got = ready.get()
            if isinstance(got, BaseException):
                raise got
            yield got[1]
            free.put(got[0])
    finally:
        stopped.set()
        free.put(None)
        thread.join()
