"""What blocks keep goes to scratch and comes back exactly, in time, and errors come with it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tiny_learners import MemoryScratch

from sealtune.errors import VerificationError
from sealtune.training.engine.spill import Spill

BLOCKS, BATCHES = 3, 4


class Keep(torch.autograd.Function):
    """Keeps tensors of several types and shapes; its gradient is made of all of them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, number: int) -> torch.Tensor:
        half = (x * (number + 1)).bfloat16()
        mask = x > 0
        ctx.save_for_backward(x, half, mask, half, x[1:], torch.zeros(0), torch.tensor(number + 1))
        return x.sin() * number

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None]:
        x, half, mask, again, part, nothing, factor = ctx.saved_tensors
        assert nothing.numel() == 0
        assert torch.equal(half, again)
        dx = dy * (half.float() + mask) * factor + x
        dx[1:] += part
        return dx, None


def block(x: torch.Tensor, number: int) -> torch.Tensor:
    return Keep.apply(x.exp(), number) * x


def inputs() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(6)
    return [torch.randn(5, 7, generator=generator) for _ in range(BATCHES)]


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("sealtune-spill")]


def run(spill: Spill, *, calls: list[str] | None = None) -> list[torch.Tensor]:
    """All batches through each block and back, as the streaming order has it; input gradients."""
    kept, hidden = {}, inputs()
    for index in range(BLOCKS):
        for number in range(BATCHES):
            leaf = hidden[number].detach().requires_grad_()
            with spill.recording((index, number)):
                out = block(leaf, index * BATCHES + number)
            kept[index, number] = (leaf, out)
            hidden[number] = out.detach()
    gradients = [torch.ones_like(h) for h in hidden]
    spill.turn()
    for index in range(BLOCKS - 1, -1, -1):
        for number in range(BATCHES - 1, -1, -1):
            leaf, out = kept.pop((index, number))
            out.backward(gradients[number])
            gradients[number] = leaf.grad
            spill.done()
    return gradients


def plain() -> list[torch.Tensor]:
    leaves = [x.requires_grad_() for x in inputs()]
    for number, leaf in enumerate(leaves):
        hidden = leaf
        for index in range(BLOCKS):
            hidden = block(hidden, index * BATCHES + number)
        hidden.sum().backward()
    return [leaf.grad for leaf in leaves]


def test_everything_comes_back_exactly() -> None:
    scratch = MemoryScratch()
    spill = Spill(scratch, blocks=range(BLOCKS))
    for _ in range(2):  # a second step uses the same keys
        for mine, theirs in zip(run(spill), plain(), strict=True):
            assert torch.equal(mine, theirs)
    spill.close()
    assert len(scratch.written) == len(scratch.read) == 2 * BLOCKS * BATCHES
    assert scratch.read == [
        *reversed(scratch.written[: BLOCKS * BATCHES]),
        *reversed(scratch.written[BLOCKS * BATCHES :]),
    ]
    assert len(set(scratch.written)) == BLOCKS * BATCHES
    assert scratch.kept == {}
    assert threads() == []


def test_a_tensor_kept_twice_is_written_once_the_input_too() -> None:
    scratch, x = MemoryScratch(), torch.randn(11, 13)
    spill = Spill(scratch, blocks=[0])
    leaf = x.clone().requires_grad_()
    with spill.recording((0, 0)):
        inner = leaf * leaf  # keeps the input twice
        out = inner.sin() + inner.cos()  # each keeps `inner`
    spill.turn()
    (data,) = scratch.kept.values()
    assert [len(part) for part in data] == [11 * 13 * 4] * 2
    out.sum().backward()
    spill.done()
    spill.close()
    plain = x.clone().requires_grad_()
    inner = plain * plain
    (inner.sin() + inner.cos()).sum().backward()
    assert torch.equal(leaf.grad, plain.grad)


@pytest.mark.parametrize("width", range(3, 60, 2))
def test_memory_that_is_used_again_is_another_tensor(width: int) -> None:
    """Transposed tensors are copied onto the tape; their own memory is soon somebody else's."""

    def through(x: torch.Tensor) -> torch.Tensor:
        first = (x * 2).t()
        result = first.sin()
        del first
        second = (x * 3).t()
        result = result + second.sin()
        del second
        return result.sum()

    x = torch.randn(64, width)
    plain, leaf = (x.clone().requires_grad_() for _ in range(2))
    through(plain).backward()
    spill = Spill(MemoryScratch(), blocks=[0])
    with spill.recording((0, 0)):
        out = through(leaf)
    spill.turn()
    out.backward()
    spill.done()
    spill.close()
    assert torch.equal(leaf.grad, plain.grad)


def test_which_blocks_it_takes() -> None:
    spill = Spill(MemoryScratch(), blocks=range(2))
    assert [spill.takes(block) for block in range(4)] == [True, True, False, False]
    spill.close()


@pytest.mark.parametrize("count", range(1, BLOCKS * BATCHES + 1))
def test_no_room_in_scratch(count: int) -> None:
    spill = Spill(MemoryScratch(fail_write=count), blocks=range(BLOCKS))
    with pytest.raises(OSError, match="no room"):
        run(spill)
    spill.close()
    assert threads() == []


@pytest.mark.parametrize("count", range(1, BLOCKS * BATCHES + 1))
def test_scratch_that_was_changed(count: int) -> None:
    spill = Spill(MemoryScratch(fail_read=count), blocks=range(BLOCKS))
    with pytest.raises(VerificationError):
        run(spill)
    spill.close()
    assert threads() == []


def test_a_tape_that_nobody_reads_is_waited_for() -> None:
    """Nothing of a block may be on its way when its place in scratch is given back."""
    spill = Spill(MemoryScratch(fail_read=1), blocks=[0])
    with spill.recording((0, 0)):
        out = torch.ones(3, requires_grad=True).sin()
    spill.turn()
    with pytest.raises(VerificationError):
        spill.done()
    spill.close()
    assert out.grad_fn is not None


def test_at_most_a_few_tapes_are_in_memory() -> None:
    """A slow disk holds the computation back: it does not let tapes pile up."""

    class Slow(MemoryScratch):
        def __init__(self) -> None:
            super().__init__()
            self.may_write = threading.Semaphore(0)

        def write(self, key: int, parts: Sequence[memoryview]) -> None:
            assert self.may_write.acquire(timeout=20)
            super().write(key, parts)

    scratch = Slow()
    spill = Spill(scratch, blocks=[0])
    recorded: list[int] = []

    def record() -> None:
        for number in range(5):
            with spill.recording((0, number)):
                torch.zeros(3, requires_grad=True).sin()
            recorded.append(number)

    thread = threading.Thread(target=record)
    thread.start()
    for released in range(4):
        while len(recorded) < 2 + released:
            thread.join(0.01)
        thread.join(0.05)
        assert len(recorded) == 2 + released
        scratch.may_write.release()
    scratch.may_write.release()
    thread.join(20)
    spill.close()
    assert recorded == [0, 1, 2, 3, 4]


def test_each_block_and_micro_batch_has_a_key_of_its_own() -> None:
    scratch = MemoryScratch()
    spill = Spill(scratch, blocks=range(3))
    leaf = torch.ones(2, requires_grad=True)
    # The most micro-batches that a recipe lets a step have: 65,536 x 65,536.
    for key in ((0, 2**20), (1, 0), (0, 2**32 - 1), (2, 0)):
        with spill.recording(key):
            (leaf * 2).sin()
    spill.turn()
    spill.close()
    assert len(scratch.kept) == 4
    assert max(scratch.kept) < 2**64
