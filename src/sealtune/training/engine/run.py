"""Runs blocks over micro-batches, forward and backward, in the order that the plan chose.

Resident weights: one micro-batch after the other. What the backward pass needs is kept, or only
each block's input is and the rest computed again (Chen et al. 2016).

Streamed weights: all micro-batches of an optimizer step pass through a block before the next is
opened, so that each weight is decrypted once per pass however many micro-batches there are. Inputs
of blocks are kept; the rest is computed again, or was put into encrypted scratch and comes back.

Each order adds up its gradients in an order of its own: bits differ between them, not results.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.autograd.graph import get_gradient_edge

from sealtune.training.engine.blocks import Block, Context
from sealtune.training.engine.dropout import Dropout
from sealtune.training.engine.spill import AHEAD, Spill
from sealtune.training.engine.store import Store
from sealtune.training.packing import PackedBatch

# For what goes from block to block where every block spills. A tape may be on its way out until as
# many others have begun, and reads a block's input until then: one place more keeps it whole.
PLACES = AHEAD + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a head says of one micro-batch: the sum of its losses and, in classification, the hits.

    `total` and `correct` have no dimensions and lie where they were computed. `gradient` is that of
    the last block's output (tokens, width), for the blocks alone.
    """

    total: torch.Tensor
    correct: torch.Tensor | None = None
    gradient: torch.Tensor | None = None

    @property
    def loss(self) -> float:
        """`total` as a number. On an accelerator it is waited for: read many with `read`."""
        return float(self.total)

    @property
    def hits(self) -> int:
        """`correct` as a number, 0 where nothing is classified; as `loss`."""
        return 0 if self.correct is None else int(self.correct)


class Ends(Protocol):
    """What comes before the first block and after the last; `width` is that between blocks.

    `trained` says that something before the first block is.
    """

    @property
    def trained(self) -> bool:
        """As the class says."""
        ...

    @property
    def width(self) -> int:
        """The number of values per token between blocks."""
        ...

    def length(self, batch: PackedBatch) -> int:
        """Return how many tokens of `batch` go through the blocks."""
        ...

    def context(self, batch: PackedBatch) -> Context:
        """Return what all blocks need of `batch`."""
        ...

    def embed(self, batches: Sequence[PackedBatch]) -> list[torch.Tensor]:
        """Return the first block's input (tokens, width) of each batch."""
        ...

    def embed_backward(self, batches: Sequence[PackedBatch], gradients: list[torch.Tensor]) -> None:
        """Take in the gradients of what `embed` returned."""
        ...

    def head(
        self, hidden: list[torch.Tensor], batches: Sequence[PackedBatch], *, scale: float | None
    ) -> list[Outcome]:
        """Return losses of each batch and, with `scale`, gradients of `scale` times their sum."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Computes losses and gradients of one model; `recompute` and `streamed` come from the plan.

    `only_adapters` says that nothing else is trained in the blocks.
    """

    blocks: Sequence[Block]
    ends: Ends
    store: Store
    dropout: Dropout
    seed: int
    recompute: bool
    streamed: bool
    room: torch.Tensor
    only_adapters: bool
    spill: Spill | None = None

    def gradients(
        self, batches: Sequence[PackedBatch], *, scale: float, step: int
    ) -> list[Outcome]:
        """Add the gradients of `scale` times the loss of `batches` to the flat buffer."""
        self.dropout.enabled = True
        if self.streamed:
            there = range(len(self.blocks))
            # Closed after an error too, whoever holds on to it: a thread reads ahead.
            with contextlib.closing(self.store.visit([*there, *reversed(there)])) as visit:
                return self._layer_by_layer(batches, visit, scale=scale, step=step)
        results = []
        for number, batch in enumerate(batches):
            results += self._one_batch(batch, scale=scale, step=step, number=number)
        return results

    def losses(self, batches: Sequence[PackedBatch]) -> list[Outcome]:
        """Return the losses of `batches`, as in evaluation: nothing is dropped or kept."""
        self.dropout.enabled = False
        with torch.no_grad():
            groups = [list(batches)] if self.streamed else [[batch] for batch in batches]
            results = []
            for group in groups:
                hidden = self.ends.embed(group)
                contexts = [self.ends.context(batch) for batch in group]
                with contextlib.closing(self.store.visit(range(len(self.blocks)))) as visit:
                    for index in visit:
                        for number, context in enumerate(contexts):
                            hidden[number] = self.blocks[index](hidden[number], context)
                results += self.ends.head(hidden, group, scale=None)
        return results

    def _one_batch(
        self, batch: PackedBatch, *, scale: float, step: int, number: int
    ) -> list[Outcome]:
        context = self.ends.context(batch)
        self._begin(step, number, len(self.blocks))()
        with torch.no_grad():
            first = self.ends.embed([batch])[0]
        # Nobody wants the gradient of frozen embeddings: the first block need not compute it.
        derived = self.recompute or self.ends.trained or not self.only_adapters
        first.requires_grad_(derived)
        hidden = first
        for index, block in enumerate(self.blocks):
            begin = self._begin(step, number, index)
            if self.recompute:
                hidden = _Again.apply(hidden, block, context, begin)
            else:
                begin()
                hidden = block(hidden, context)
        self._begin(step, number, len(self.blocks) + 1)()
        results = self.ends.head([hidden.detach()], [batch], scale=scale)
        if hidden.requires_grad:  # adapters may all lie behind the blocks
            hidden.backward(_gradient(results[0]))
        if derived:
            self.ends.embed_backward([batch], [_of(first)])
        return results

    def _layer_by_layer(
        self, batches: Sequence[PackedBatch], visit: Iterator[int], *, scale: float, step: int
    ) -> list[Outcome]:
        contexts = [self.ends.context(batch) for batch in batches]
        last = len(self.blocks) - 1
        inputs = self._boundaries(batches, contexts)
        kept: dict[tuple[int, int], Any] = {}
        anchor = torch.empty(0, requires_grad=True)
        self._begin(step, 0, last + 1)()
        _put(inputs[0], self.ends.embed(batches))
        for index in range(last + 1):
            next(visit)
            for number, context in enumerate(contexts):
                self._begin(step, number, index)()
                given, into = inputs[index][number], inputs[index + 1][number]
                if self.spill is not None and self.spill.takes(index):
                    arrived: list[torch.Tensor] = []
                    with self.spill.recording((index, number)):
                        out = self.blocks[index](_Enter.apply(anchor, given, arrived), context)
                    # The graph alone: its values are on the tape.
                    kept[index, number] = (arrived, get_gradient_edge(out))
                    into.copy_(out.detach())
                    del out
                else:
                    with torch.no_grad():
                        into.copy_(self.blocks[index](given, context))
        self._begin(step, 0, last + 2)()
        results = self.ends.head(inputs[last + 1], batches, scale=scale)
        gradients = [_gradient(result) for result in results]
        if self.spill is not None:
            self.spill.turn()
        for index in range(last, -1, -1):
            next(visit)
            # From the last to the first, as tapes come back.
            for number in range(len(batches) - 1, -1, -1):
                arrived, edge = kept.pop((index, number), (None, None))
                if arrived is None:
                    leaf = inputs[index][number].detach().requires_grad_()
                    self._begin(step, number, index)()
                    self.blocks[index](leaf, contexts[number]).backward(gradients[number])
                    gradients[number] = _of(leaf)
                    continue
                torch.autograd.backward(edge, gradients[number])
                (gradients[number],) = arrived
                del edge
                if self.spill is not None:
                    self.spill.done()
        self.ends.embed_backward(batches, gradients)
        return results

    def _boundaries(
        self, batches: Sequence[PackedBatch], contexts: Sequence[Context]
    ) -> list[list[torch.Tensor]]:
        """Return room for what goes into each block and comes out of the last, of each batch.

        Out of the last come the wanted rows only. Blocks that all spill have their inputs on tape:
        three places serve in turn, since a tape is written before the block after the next begins.
        One allocation that stays: many, made between others that go, would leave holes in the heap
        that nothing fits into.
        """
        sizes = [self.ends.length(batch) for batch in batches]
        count = len(self.blocks)
        spills = self.spill is not None and all(map(self.spill.takes, range(count)))
        places = min(count + 1, PLACES) if spills else count + 1
        shape = (places, sum(sizes), self.ends.width)
        if self.room.numel() < math.prod(shape):
            dtype = self.room.dtype
            self.room.set_(torch.empty(0, dtype=dtype))  # the old one goes before the new comes
            self.room.set_(torch.empty(math.prod(shape), dtype=dtype))
        whole = self.room[: math.prod(shape)].view(shape)
        rooms = [list(whole[index % places].split(sizes)) for index in range(count + 1)]
        for number, context in enumerate(contexts):
            if context.wanted is not None:
                rooms[-1][number] = rooms[-1][number][: len(context.wanted)]
        return rooms

    def _begin(self, step: int, number: int, index: int) -> Callable[[], None]:
        return lambda: self.dropout.begin(self.seed, step, number, index)


class _Enter(torch.autograd.Function):  # type: ignore[misc]  # torch is unseen by mypy here
    """Lets a block's input into the graph without the graph holding on to its values."""

    @staticmethod
    def forward(
        ctx: Any, anchor: torch.Tensor, h: torch.Tensor, arrived: list[torch.Tensor]
    ) -> torch.Tensor:
        del anchor  # what makes the result part of a graph
        ctx.arrived = arrived
        return h.detach()

    @staticmethod
    def backward(ctx: Any, dh: torch.Tensor) -> tuple[Any, ...]:
        ctx.arrived.append(dh)
        return None, None, None


class _Again(torch.autograd.Function):  # type: ignore[misc]  # torch is unseen by mypy here
    @staticmethod
    def forward(
        ctx: Any, h: torch.Tensor, block: Block, context: Context, begin: Callable[[], None]
    ) -> torch.Tensor:
        begin()
        ctx.block, ctx.context, ctx.begin = block, context, begin
        ctx.save_for_backward(h)
        return block(h, context)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        (h,) = ctx.saved_tensors
        leaf = h.detach().requires_grad_()
        ctx.begin()
        with torch.enable_grad():
            out = ctx.block(leaf, ctx.context)
        out.backward(dy)
        return leaf.grad, None, None, None


def _gradient(result: Outcome) -> torch.Tensor:
    if result.gradient is None:
        raise RuntimeError("the head was asked for a gradient")
    return result.gradient


def _put(into: list[torch.Tensor], values: list[torch.Tensor]) -> None:
    for place, value in zip(into, values, strict=True):
        place.copy_(value)


def _of(leaf: torch.Tensor) -> torch.Tensor:
    gradient = leaf.grad
    if gradient is None:
        raise RuntimeError("no gradient reached the block's input")
    leaf.grad = None
    return gradient
