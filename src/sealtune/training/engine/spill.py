"""What blocks keep for the backward pass, put into encrypted scratch and fetched back in time.

Only the streaming order uses it: there the backward pass is a whole forward pass away, and
computing everything again would cost half as much again. Tapes are written behind the computation
and read ahead of it, in a thread of its own, in the reverse of the order in which they were
written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch

from sealtune.training.engine.layout import bytes_of
from sealtune.training.sources import Scratch

Key = tuple[int, int]  # block, micro-batch
AHEAD = 2  # tapes on their way out, and as many on their way in
_MICRO_BATCHES_MAX = 1 << 32  # of a step: the most examples that a recipe can put into one


@dataclass(slots=True)
class _Tape:
    """The tensors that one block kept for one micro-batch, in the order in which it kept them."""

    key: int
    tensors: list[torch.Tensor] = field(default_factory=list)
    places: dict[tuple[Any, ...], int] = field(default_factory=dict)
    shapes: list[tuple[torch.Size, torch.dtype]] = field(default_factory=list)
    moving: Future[None] | None = None

    def settle(self) -> None:
        """Wait for what is on its way, and raise what went wrong with it."""
        if self.moving is not None:
            self.moving.result()
            self.moving = None


class Spill:
    """Keeps in `scratch` what `blocks` keep; what other blocks keep is computed again."""

    def __init__(self, scratch: Scratch, *, blocks: Collection[int]) -> None:
        self._scratch, self._blocks = scratch, blocks
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sealtune-spill")
        self._written: list[_Tape] = []

    def takes(self, block: int) -> bool:
        """Return whether what `block` keeps goes to scratch."""
        return block in self._blocks

    @contextlib.contextmanager
    def recording(self, key: Key) -> Iterator[None]:
        """Put what autograd keeps inside the block on a tape."""
        tape = _Tape(key[0] * _MICRO_BATCHES_MAX + key[1])
        if len(self._written) >= AHEAD:
            self._written[-AHEAD].settle()

        def pack(tensor: torch.Tensor) -> Any:
            # Not by the tensor's own address: once it is copied, that memory is soon another's.
            kept = tensor.detach().contiguous()
            place = (kept.data_ptr(), kept.shape, kept.dtype)
            if place not in tape.places:
                tape.places[place] = len(tape.tensors)
                tape.tensors.append(kept)
                tape.shapes.append((kept.shape, kept.dtype))
            return tape, tape.places[place]

        with torch.autograd.graph.saved_tensors_hooks(pack, self._unpack):
            yield
        self._written.append(tape)
        tape.moving = self._thread.submit(self._write, tape)

    def turn(self) -> None:
        """Begin to fetch what was written last: the backward pass is about to begin."""
        for tape in self._written[-AHEAD:]:
            tape.settle()
        for tape in self._written[: -AHEAD - 1 : -1]:
            self._fetch(tape)

    def done(self) -> None:
        """Forget the tape whose backward pass is over and begin to fetch another."""
        tape = self._written.pop()
        tape.settle()
        tape.tensors.clear()
        self._scratch.forget(tape.key)
        if len(self._written) >= AHEAD:
            self._fetch(self._written[-AHEAD])

    def close(self) -> None:
        """End the thread, after a failure too."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _unpack(self, packed: Any) -> torch.Tensor:
        tape, index = packed
        tape.settle()
        tensor: torch.Tensor = tape.tensors[index]
        return tensor

    def _write(self, tape: _Tape) -> None:
        self._scratch.write(tape.key, [bytes_of(tensor) for tensor in tape.tensors])
        tape.tensors.clear()

    def _fetch(self, tape: _Tape) -> None:
        tape.moving = self._thread.submit(self._read, tape)

    def _read(self, tape: _Tape) -> None:
        tape.tensors = [torch.empty(shape, dtype=dtype) for shape, dtype in tape.shapes]
        self._scratch.read_into(tape.key, [bytes_of(tensor) for tensor in tape.tensors])
