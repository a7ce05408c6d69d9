"""Blocks read ahead into a ring: in order, once per visit, and an error where it belongs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
import torch

from sealtune.errors import Code, FormatError, VerificationError
from sealtune.training.engine.layout import BlockLayout, Part
from sealtune.training.engine.store import ResidentStore, StreamedStore, prefetched
from sealtune.training.sources import TensorInfo

PATIENCE = 20.0  # seconds; only a defect takes that long


class Source:
    """A WeightSource whose block n has a matrix and a vector full of n; fails at one of them."""

    def __init__(self, *, blocks: int = 4, fail: str = "", stored: str = "F32") -> None:
        shapes = {"up": (3, 5), "down": (2, 5), "norm": (7,)}
        self.tensors = {
            f"{block}.{name}": TensorInfo(dtype=stored, shape=shape)
            for block in range(blocks)
            for name, shape in shapes.items()
        }
        self.read: list[str] = []
        self.reading = threading.Event()
        self.may_read = threading.Event()
        self.may_read.set()
        self._fail = fail

    def read_into(self, name: str, destination: memoryview) -> None:
        self.reading.set()
        assert self.may_read.wait(PATIENCE)
        self.read.append(name)
        if name == self._fail:
            raise VerificationError(Code.BUNDLE_BODY_DIGEST, f"{name} was changed")
        dtype = {"F32": torch.float32, "BF16": torch.bfloat16}[self.tensors[name].dtype]
        value = torch.full(self.tensors[name].shape, float(name[0]), dtype=dtype)
        destination[:] = value.view(-1).view(torch.uint8).numpy().tobytes()

    def blocks_read(self) -> list[int]:
        return [int(name[0]) for name in self.read if name.endswith(".up")]


def layouts(blocks: int = 4, dtype: torch.dtype = torch.float32) -> list[BlockLayout]:
    return [
        BlockLayout(
            parts=(
                Part(name="both", stored=(f"{block}.up", f"{block}.down"), shape=(5, 5)),
                Part(name="norm", stored=(f"{block}.norm",), shape=(7,)),
            ),
            dtype=dtype,
        )
        for block in range(blocks)
    ]


def streamed(source: Source, *, buffers: int = 2) -> StreamedStore:
    return StreamedStore(layouts(), weights=source, buffers=buffers)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sealtune-prefetch"]


@pytest.mark.parametrize("buffers", [1, 2, 3])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [0, 1, 2, 3, 3, 2, 1, 0], [2, 2], [1, 1, 1, 0, 1]])
def test_each_block_is_open_in_its_turn(order: list[int], buffers: int) -> None:
    source = Source()
    store = streamed(source, buffers=buffers)
    for _ in range(2):
        seen = []
        for block in store.visit(order):
            assert store.part(block, "both").unique().tolist() == [block]
            assert store.part(block, "norm").tolist() == [block] * 7
            seen.append(block)
        assert seen == order
    runs = [b for i, b in enumerate(order) if i == 0 or order[i - 1] != b]
    assert source.blocks_read() == runs * 2
    assert threads() == []


def test_the_turn_from_forward_to_backward_reads_once() -> None:
    source = Source()
    for _ in streamed(source).visit([0, 1, 2, 3, 3, 2, 1, 0]):
        pass
    assert source.blocks_read() == [0, 1, 2, 3, 2, 1, 0]


def test_what_is_not_open_cannot_be_had() -> None:
    store = streamed(Source())
    with pytest.raises(RuntimeError):
        store.part(0, "both")
    visit = store.visit([0, 1])
    assert next(visit) == 0
    for block in (1, 2):
        with pytest.raises(RuntimeError):
            store.part(block, "both")
    next(visit)
    with pytest.raises(RuntimeError):
        store.part(0, "both")
    assert next(visit, None) is None
    with pytest.raises(RuntimeError):
        store.part(1, "both")


def test_it_reads_ahead_no_further_than_its_buffers() -> None:
    source = Source()
    visit = streamed(source, buffers=2).visit([0, 1, 2, 3])
    next(visit)
    source.reading.clear()
    next(visit)  # gives the first buffer back, for block 2
    assert source.reading.wait(PATIENCE)
    visit.close()
    assert source.blocks_read() in ([0, 1], [0, 1, 2])
    assert threads() == []


@pytest.mark.parametrize("place", ["0.up", "2.up", "2.down", "2.norm"])
def test_a_changed_block_is_raised_in_its_place(place: str) -> None:
    source = Source(fail=place)
    store = streamed(source)
    seen = []
    with pytest.raises(VerificationError):
        for block in store.visit([0, 1, 2, 3]):
            store.part(block, "both")
            seen.append(block)
    assert seen == list(range(int(place[0])))
    assert source.read[-1] == place  # nothing is read after it
    assert threads() == []
    for block in range(4):
        with pytest.raises(RuntimeError):
            store.part(block, "both")


def test_who_stops_early_leaves_no_thread() -> None:
    source = Source()
    source.may_read.clear()
    store = streamed(source)
    visit = store.visit([0, 1, 2, 3])
    release = threading.Timer(0.05, source.may_read.set)
    release.start()
    next(visit)
    visit.close()
    release.join()
    assert threads() == []
    assert next(iter(store.visit([3]))) == 3


def test_an_error_of_the_consumer_ends_the_thread() -> None:
    def consume() -> None:
        for block in streamed(Source()).visit([0, 1, 2, 3]):
            if block == 1:
                raise ArithmeticError

    with pytest.raises(ArithmeticError):
        consume()
    assert threads() == []


def test_all_blocks_in_memory() -> None:
    source = Source()
    store = ResidentStore(layouts(), weights=source, device=torch.device("cpu"))
    assert source.blocks_read() == [0, 1, 2, 3]
    assert list(store.visit([0, 1, 1, 0])) == [0, 1, 1, 0]
    assert all(store.part(b, "both").unique().tolist() == [b] for b in range(4))
    assert len(source.read) == 12


@pytest.mark.parametrize(("stored", "dtype"), [("F32", torch.bfloat16), ("BF16", torch.float32)])
def test_another_stored_type_is_cast(stored: str, dtype: torch.dtype) -> None:
    store = StreamedStore(layouts(dtype=dtype), weights=Source(stored=stored), buffers=2)
    for block in store.visit([0, 3]):
        assert store.part(block, "both").dtype is dtype
        assert store.part(block, "both").unique().tolist() == [block]


def test_a_type_that_cannot_be_trained() -> None:
    source = Source()
    source.tensors["1.down"] = TensorInfo(dtype="F8_E4M3", shape=(2, 5))
    with pytest.raises(FormatError) as caught:
        list(streamed(source).visit([0, 1]))
    assert caught.value.code is Code.MODEL_MALFORMED


def test_parts_lie_apart_on_borders_of_64_bytes() -> None:
    layout = layouts(1)[0]
    assert layout.nbytes == 128 + 64
    buffer = torch.zeros(layout.nbytes, dtype=torch.uint8)
    views = layout.views(buffer)
    starts = [views[name].data_ptr() - buffer.data_ptr() for name in ("both", "norm")]
    assert starts == [0, 128]
    views["both"].fill_(1.0)
    assert not views["norm"].any()


def items(count: int, size: int = 2) -> tuple[Sequence[torch.Tensor], Iterator[torch.Tensor]]:
    ring = [torch.zeros(1) for _ in range(size)]

    def load(item: int, buffer: torch.Tensor) -> torch.Tensor:
        return buffer.fill_(item)

    return ring, prefetched(range(count), load, ring)


def test_a_result_is_good_until_the_next_is_asked_for() -> None:
    ring, results = items(50)
    for number, result in enumerate(results):
        assert result.item() == number
        assert any(result is buffer for buffer in ring)
    assert threads() == []


def test_nothing_begins_before_the_first_is_asked_for() -> None:
    before = threading.active_count()
    _, results = items(3)
    assert threading.active_count() == before
    results.close()


def test_nothing_more_is_loaded_for_who_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though buffers are free: the thread sees that it is over."""
    loading, over, seen = threading.Event(), threading.Event(), []

    def load(item: int, buffer: torch.Tensor) -> int:
        seen.append(item)
        if item == 1:
            loading.set()
            assert over.wait(PATIENCE)
        return item

    results = prefetched(range(9), load, [torch.zeros(1) for _ in range(5)])
    assert next(results) == 0
    assert loading.wait(PATIENCE)
    join = threading.Thread.join

    def let_go_and_join(self: threading.Thread, timeout: float | None = None) -> None:
        over.set()
        join(self, timeout)

    monkeypatch.setattr(threading.Thread, "join", let_go_and_join)
    results.close()
    assert seen == [0, 1]
