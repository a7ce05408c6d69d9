"""A table on disk gives the rows and pieces of one in memory, or raises before its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from tiny_learners import assert_near

from sealtune.core.limits import MIB
from sealtune.errors import Code, VerificationError
from sealtune.training.engine import tables
from sealtune.training.engine.cross_entropy import cross_entropy
from sealtune.training.engine.tables import ResidentTable, StreamedTable
from sealtune.training.sources import TensorInfo

WORDS, WIDTH = 1_000, 16


class Source:
    """A WeightSource with one table, in pieces of `rows` at most; `fail` raises at the end."""

    def __init__(self, value: torch.Tensor, *, rows: int = 10**9, fail: bool = False) -> None:
        kinds = {torch.float32: "F32", torch.bfloat16: "BF16"}
        self.tensors = {"table": TensorInfo(dtype=kinds[value.dtype], shape=tuple(value.shape))}
        self.passes = 0
        self._data = value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        self._rows, self._fail = rows, fail

    def read_pieces(self, name: str, buffer: memoryview, *, multiple: int) -> Iterator[memoryview]:
        assert len(buffer) >= multiple + 32 * 1024
        self.passes += 1
        step = min(self._rows * multiple, len(buffer) - len(buffer) % multiple)
        for start in range(0, len(self._data), step):
            data = self._data[start : start + step]
            buffer[: len(data)] = data
            yield buffer[: len(data)]
        if self._fail:
            raise VerificationError(Code.BUNDLE_BODY_DIGEST, "the tensor was changed")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pieces of a small table, and of the last only a part."""
    monkeypatch.setattr(tables, "_PIECE_BYTES", 48 * 1024)
    monkeypatch.setattr(tables, "_SLACK_BYTES", 32 * 1024)


def values(dtype: torch.dtype = torch.float32, words: int = WORDS) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(words, WIDTH, generator=generator).to(dtype)


def streamed(source: Source, dtype: torch.dtype = torch.float32) -> StreamedTable:
    return StreamedTable("table", weights=source, dtype=dtype)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sealtune-prefetch"]


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("words", [1, WORDS, 5_000])
def test_rows(words: int, stored: torch.dtype, dtype: torch.dtype) -> None:
    value = values(stored, words)
    source = Source(value)
    ids = torch.randint(words, (400,), generator=torch.Generator().manual_seed(1))
    ids[:3] = torch.tensor([0, words - 1, words // 2])
    table = streamed(source, dtype)
    for _ in range(2):
        assert torch.equal(table.rows(ids), ResidentTable(value.to(dtype)).rows(ids))
    assert source.passes == 2
    assert threads() == []


@pytest.mark.parametrize("words", [1, WORDS, 5_000])
def test_pieces_are_all_rows_in_order(words: int) -> None:
    value = values(words=words)
    seen = []
    for first, piece in streamed(Source(value)).pieces():
        assert first == sum(len(part) for part in seen)
        seen.append(piece.clone())
    assert torch.equal(torch.cat(seen), value)
    assert threads() == []


@pytest.mark.parametrize("rows", [1, 3])
def test_a_source_may_give_small_pieces(rows: int) -> None:
    """Many more of them than the table has MiB."""
    value = values(words=100)
    table = streamed(Source(value, rows=rows))
    assert 100 * WIDTH * 4 < MIB
    assert torch.equal(torch.cat([p.clone() for _, p in table.pieces()]), value)
    ids = torch.arange(99, -1, -1)
    assert torch.equal(table.rows(ids), value[ids])


def test_as_output_embeddings() -> None:
    value = values(words=5_000)
    hidden = torch.randn(30, WIDTH)
    targets = torch.randint(5_000, (30,))
    one = cross_entropy(hidden, targets, streamed(Source(value)).pieces())
    other = cross_entropy(hidden, targets, ResidentTable(value).pieces())
    assert_near(one[0], other[0])
    assert_near(one[1], other[1])


def test_a_table_changed_at_its_end_gives_nothing() -> None:
    table = streamed(Source(values(words=5_000), fail=True))
    with pytest.raises(VerificationError):
        table.rows(torch.tensor([0]))
    seen = []
    with pytest.raises(VerificationError):
        for first, _ in table.pieces():
            seen.append(first)
    assert len(seen) > 1
    with pytest.raises(VerificationError):
        cross_entropy(torch.randn(3, WIDTH), torch.tensor([0, 1, 2]), table.pieces())
    assert threads() == []


def test_the_end_is_asked_for_however_many_pieces_there_were() -> None:
    """As many as rows, at most: the fault shows only after the last."""
    table = streamed(Source(values(words=3), rows=1, fail=True))
    with pytest.raises(VerificationError):
        table.rows(torch.tensor([0]))
    with pytest.raises(VerificationError):
        list(table.pieces())


def test_who_stops_early_leaves_no_thread() -> None:
    pieces = streamed(Source(values(words=5_000))).pieces()
    next(pieces)
    pieces.close()
    assert threads() == []
