"""Examples kept or encoded again: records that were split, images, and what is too much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sealtune.errors import Code, FormatError
from sealtune.training.encode import IGNORED, Example
from sealtune.training.example_sets import ExampleSet, ExampleSetBuilder
from sealtune.training.packing import TargetKind, pack
from sealtune.training.records import ListedRecords, Record, record_weight

# Each record becomes as many examples as it has numbers, as long as they are.
RECORDS = [{"n": [3]}, {"n": [4, 4, 2]}, {"n": [1]}, {"n": [5, 1]}]


def split(record: Record, number: int) -> list[Example]:
    examples = []
    for part, length in enumerate(record["n"]):
        ids = np.arange(length) + 100 * number + 10 * part
        targets = ids.copy()
        targets[0] = IGNORED
        examples.append(Example(ids, ids if number == 0 else targets))
    return examples


def picture(record: Record, number: int) -> list[Example]:
    pixels = np.full((3, 4, 4), number, dtype=np.uint8)
    return [Example(np.zeros(0, np.int64), np.array([number]), pixels)]


def built(encode: Any, *, limit: int, kind: TargetKind = TargetKind.NEXT_TOKEN) -> ExampleSet:
    builder = ExampleSetBuilder(kind=kind, resident_bytes=limit, image_tokens=17)
    for number, record in enumerate(RECORDS):
        for example in encode(record, number):
            builder.add(number, example)
        builder.end_group()
        if number % 2:
            builder.end_shard()
    return builder.build(TwoShards(), weights=(1, 1), encode=encode)


class TwoShards:
    shards = (2, 2)

    def read(self, shard: int) -> Sequence[Record]:
        return RECORDS[2 * shard : 2 * shard + 2]


def test_parts_of_a_split_record_are_told_apart() -> None:
    expected = [example for n, record in enumerate(RECORDS) for example in split(record, n)]
    kept, again = (built(split, limit=limit) for limit in (10**6, 0))
    assert kept.resident is not None
    assert again.resident is None
    assert kept.table.records.tolist() == [0, 1, 1, 1, 2, 3, 3]
    assert kept.table.bounds.tolist() == [0, 4, 7]
    indices = np.array([6, 0, 3, 2, 4, 1, 5])
    for each in (kept, again):
        reader = each.reader()
        reader.enter((0, 1))
        for example, index in zip(reader.take(indices), indices, strict=True):
            assert example.ids.tolist() == expected[index].ids.tolist()
            assert example.targets.tolist() == expected[index].targets.tolist()


def test_what_becomes_too_much_is_forgotten() -> None:
    kept = built(split, limit=10**6).resident
    assert kept is not None
    assert built(split, limit=kept.nbytes).resident is not None
    assert built(split, limit=kept.nbytes - 1).resident is None


def test_portions_in_order() -> None:
    table = built(split, limit=0).table
    portions = list(table.pieces(tokens_max=8, examples_max=3))
    drawn = [[i for piece in pieces for i in piece.examples.tolist()] for pieces in portions]
    assert drawn == [[0, 1, 2], [3, 4, 5], [6]]
    assert [[piece.shards for piece in pieces] for pieces in portions] == [
        [(0,)],
        [(0,), (1,)],
        [(1,)],
    ]
    assert [len(p) for p in table.pieces(tokens_max=1, examples_max=9)] == [1] * 7


@pytest.mark.parametrize("limit", [0, 10**6])
def test_images(limit: int) -> None:
    pictures = built(picture, limit=limit, kind=TargetKind.EACH_RECORD)
    assert pictures.table.lengths.tolist() == [17] * 4
    assert (pictures.resident is None) == (limit == 0)
    reader = pictures.reader()
    reader.enter((1,))
    taken = reader.take(np.array([3, 2]))
    batch = pack(taken, records=[3, 2], kind=TargetKind.EACH_RECORD, image_tokens=17)
    assert batch.pixels is not None
    assert batch.pixels.shape == (2, 3, 4, 4)
    assert batch.pixels[:, 0, 0, 0].tolist() == batch.targets.tolist() == [3, 2]
    assert (batch.tokens, batch.supervised, batch.bounds) == (34, 2, (0, 0, 0))
    assert batch.nbytes == 2 * 48 + 2 * 8


def test_a_record_that_splits_otherwise_than_before() -> None:
    examples = built(split, limit=0)
    fewer = ExampleSet(
        source=examples.source,
        table=examples.table,
        encode=lambda record, number: split(record, number)[:1],
        resident=None,
    )
    reader = fewer.reader()
    reader.enter((0,))
    assert len(reader.take(np.array([1]))) == 1
    with pytest.raises(FormatError) as caught:
        reader.take(np.array([2]))
    assert caught.value.code is Code.RECORD_MALFORMED


def test_a_list_is_one_shard() -> None:
    source = ListedRecords(RECORDS)
    assert source.shards == (4,)
    assert source.read(0) is RECORDS
    with pytest.raises(IndexError):
        source.read(1)
    assert ListedRecords([]).shards == ()


def test_the_weight_of_a_record_is_its_text_and_its_values() -> None:
    assert record_weight("ab") == 18
    assert record_weight({"a": "bcd", "e": [1, None, True]}) == 16 + 17 + 19 + 17 + 16 + 3 * 16
