"""Batches are the same whether the data fit into memory or are read again, and nothing is lost."""

from __future__ import annotations

import base64
import json
import weakref
from collections.abc import Sequence
from io import BytesIO
from itertools import accumulate
from typing import Any, ClassVar

import pytest
import torch
from PIL import Image
from tiny_models import CORPUS, LABELS, make_tokenizer_files

from sealtune.errors import Code, FormatError, TrainingError
from sealtune.training import corpus as corpus_module
from sealtune.training.corpus import Corpus, build_corpus
from sealtune.training.encode import encode_records
from sealtune.training.images import load_image_processor
from sealtune.training.packing import PackedBatch
from sealtune.training.recipe import Recipe
from sealtune.training.records import ListedRecords, record_weight
from sealtune.training.tokens import TextTokenizer, load_tokenizer

WORDS = " ".join(CORPUS).split()
CLASSIFY = Recipe(
    task="text-classification",
    method="lora",
    labels=LABELS,
    max_length=32,
    batch_size=3,
    gradient_accumulation=2,
    epochs=2,
    evaluation_fraction=0.2,
    seed=11,
)
LABELLED = {"method": "lora", "labels": LABELS, "epochs": 2}
WORDWISE = Recipe(task="token-classification", max_length=16, overflow="split", **LABELLED)
IMAGES = Recipe(task="image-classification", **LABELLED)
LANGUAGE = Recipe(task="causal-lm", method="lora", max_length=40, epochs=2, seed=11)
SPLIT = Recipe(**{**LANGUAGE.to_dict(), "max_length": 8, "overflow": "split"})
BUDGET = 40


class Shard(list[dict[str, Any]]):
    """A list that can be watched."""


class Shards:
    """A RecordSource that makes its records anew at each reading and counts what is alive."""

    def __init__(self, sizes: Sequence[int], *, chat: bool = False) -> None:
        self.shards = list(sizes)
        self.reads: list[int] = []
        self.alive = self.most_alive = 0
        self._first = [0, *accumulate(sizes)]
        self._chat = chat

    def read(self, shard: int) -> Shard:
        first = self._first[shard]
        records = Shard(self.record(first + i) for i in range(self.shards[shard]))
        self.reads.append(shard)
        self.alive += 1
        self.most_alive = max(self.most_alive, self.alive)
        weakref.finalize(records, self._gone)
        return records

    def record(self, number: int) -> dict[str, Any]:
        """A record that each of the recipes here can use."""
        words = [WORDS[(number * 7 + i) % len(WORDS)] for i in range(1 + number % 9)]
        tags = [(number + i) % 3 for i in range(len(words))]
        record = {"text": " ".join(words), "tokens": words, "tags": tags, "label": number % 3}
        if self._chat and number % 2:
            question = {"role": "user", "content": record["text"]}
            record["messages"] = [question, {"role": "assistant", "content": "fog"}]
        return record

    def _gone(self) -> None:
        self.alive -= 1


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return load_tokenizer(make_tokenizer_files())


@pytest.fixture
def windows_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of two of the shards of 10 records that the tests here use."""
    source = Shards([10] * 4)
    weights = [sum(map(record_weight, source.read(shard))) for shard in range(4)]
    monkeypatch.setattr(corpus_module, "WINDOW_WEIGHT", int(2.5 * max(weights)))


def take(corpus: Corpus, after: int = 0) -> list[tuple[int, list[PackedBatch]]]:
    with corpus.steps(after=after, budget=BUDGET) as steps:
        return list(steps)


def evaluated(corpus: Corpus) -> list[PackedBatch]:
    with corpus.evaluation_batches(BUDGET) as batches:
        return list(batches)


def plain(batches: Sequence[PackedBatch]) -> list[Any]:
    """Everything in `batches`, comparable."""
    return [
        (b.records, b.bounds, b.ids.tolist(), b.positions.tolist(), b.targets.tolist())
        for b in batches
    ]


def plain_steps(steps: Sequence[tuple[int, list[PackedBatch]]]) -> list[Any]:
    return [(number, plain(batches)) for number, batches in steps]


@pytest.mark.usefixtures("windows_of_two")
@pytest.mark.parametrize("recipe", [CLASSIFY, LANGUAGE, SPLIT, WORDWISE])
def test_read_again_or_kept_the_batches_are_the_same(
    recipe: Recipe, tokenizer: TextTokenizer
) -> None:
    sources = [Shards([10] * 7 + [4], chat=recipe is LANGUAGE) for _ in range(2)]
    given = Shards([6, 3])
    kept, again = (
        build_corpus(source, given, recipe=recipe, tokenizer=tokenizer, resident_bytes=limit)
        for source, limit in zip(sources, (10**6, 0), strict=True)
    )
    assert (kept.streamed, again.streamed) == (False, True)
    assert plain_steps(take(kept)) == plain_steps(take(again))
    assert plain(evaluated(kept)) == plain(evaluated(again))
    assert len(sources[0].reads) == 8
    assert len(sources[1].reads) > 3 * 8
    assert kept.counts == again.counts
    assert again.nbytes < kept.nbytes


@pytest.mark.parametrize("limit", [0, 10**6])
def test_a_split_record_is_wholly_trained_on_or_wholly_set_apart(
    limit: int, tokenizer: TextTokenizer
) -> None:
    source = Shards([10] * 4)
    records = [source.record(number) for number in range(40)]
    encoded = encode_records(records, recipe=SPLIT, tokenizer=tokenizer, what="record")
    corpus = build_corpus(source, recipe=SPLIT, tokenizer=tokenizer, resident_bytes=limit)
    steps = take(corpus)[: corpus.steps_per_epoch]
    trained = [record for _, batches in steps for batch in batches for record in batch.records]
    apart = [record for batch in evaluated(corpus) for record in batch.records]
    assert sorted(trained + apart) == sorted(encoded.origins)
    assert not set(trained) & set(apart)
    assert len(trained) == corpus.examples_count > corpus.counts["records"]
    assert corpus.counts["split_records"] == encoded.split > 0


def test_images_read_again_or_kept() -> None:
    settings = {"image_processor_type": "ViTImageProcessor", "size": {"height": 4, "width": 4}}
    images = load_image_processor({"preprocessor_config.json": json.dumps(settings).encode()})
    records = []
    for number in range(12):
        file = BytesIO()
        Image.new("RGB", (9, 7), (number, 0, 0)).save(file, "PNG")
        records.append({"image": base64.b64encode(file.getvalue()).decode(), "label": number % 3})
    for limit in (0, 10**6):
        corpus = build_corpus(
            ListedRecords(records),
            recipe=IMAGES,
            tokenizer=None,
            images=images,
            resident_bytes=limit,
            image_tokens=10,
        )
        assert corpus.lengths.tolist() == [10] * 11
        assert corpus.largest_id == -1
        (apart,) = evaluated(corpus)
        seen = list(apart.records)
        for _, batches in take(corpus)[: corpus.steps_per_epoch]:
            for batch in batches:
                assert batch.tokens == 10 * len(batch.records) <= BUDGET
                assert batch.pixels is not None
                assert batch.pixels[:, 0, 0, 0].tolist() == list(batch.records)
                assert batch.targets.tolist() == [record % 3 for record in batch.records]
                seen += batch.records
        assert sorted(seen) == list(range(12))


@pytest.mark.usefixtures("windows_of_two")
@pytest.mark.parametrize("limit", [0, 10**6])
def test_each_record_once_per_epoch_and_never_one_that_is_set_apart(
    limit: int, tokenizer: TextTokenizer
) -> None:
    corpus = build_corpus(
        Shards([10] * 5), recipe=CLASSIFY, tokenizer=tokenizer, resident_bytes=limit
    )
    steps = take(corpus)
    assert [number for number, _ in steps] == list(range(1, 15))
    apart = [record for batch in evaluated(corpus) for record in batch.records]
    assert len(apart) == 10
    for epoch in (steps[:7], steps[7:]):
        seen = [record for _, batches in epoch for batch in batches for record in batch.records]
        assert sorted(seen + apart) == list(range(50))
        assert [sum(len(b.records) for b in batches) for _, batches in epoch] == [6] * 6 + [4]
    assert all(batch.tokens <= BUDGET for _, batches in steps for batch in batches)
    assert dict(corpus.counts) == {
        "records": 40,
        "evaluation_records": 10,
        "truncated_records": 0,
        "split_records": 0,
    }


def test_a_batch_holds_what_its_records_say(tokenizer: TextTokenizer) -> None:
    source = Shards([10, 10], chat=True)
    records = [source.record(number) for number in range(20)]
    expected = encode_records(records, recipe=LANGUAGE, tokenizer=tokenizer, what="record")
    corpus = build_corpus(source, recipe=LANGUAGE, tokenizer=tokenizer)
    for _, batches in take(corpus):
        for batch in batches:
            for i, record in enumerate(batch.records):
                start, end = batch.bounds[i : i + 2]
                example = expected.examples[record]
                assert batch.ids[start:end].tolist() == example.ids.tolist()
                assert batch.targets[start : end - 1].tolist() == example.targets[1:].tolist()


@pytest.mark.usefixtures("windows_of_two")
def test_resuming_gives_the_rest_and_reads_no_window_before_it(tokenizer: TextTokenizer) -> None:
    source = Shards([10] * 8)
    recipe = Recipe(**{**CLASSIFY.to_dict(), "epochs": 1, "evaluation_fraction": 0.0})
    corpus = build_corpus(source, recipe=recipe, tokenizer=tokenizer, resident_bytes=0)
    steps = plain_steps(take(corpus))
    in_order = source.reads[8:]
    assert sorted(in_order) == list(range(8))
    for after in range(corpus.total_steps + 1):
        source.reads.clear()
        assert plain_steps(take(corpus, after)) == steps[after:]
        # Step n + 1 begins with example 6 n; a window has 20.
        assert source.reads == in_order[6 * after // 20 * 2 :]


@pytest.mark.usefixtures("windows_of_two")
@pytest.mark.parametrize("shards", [6, 60])
def test_memory_does_not_grow_with_the_data(shards: int, tokenizer: TextTokenizer) -> None:
    source = Shards([10] * shards)
    corpus = build_corpus(source, recipe=CLASSIFY, tokenizer=tokenizer, resident_bytes=0)
    # The last shard is let go when the next has been read.
    assert source.most_alive <= 2
    take(corpus)
    evaluated(corpus)
    assert source.most_alive <= 2
    assert source.alive == 0
    # Two numbers of 4 bytes and one of 8 for each example, and some for each shard.
    assert corpus.nbytes <= 10 * shards * 16 + 2 * 8 * (shards + 1)


def test_a_bad_record_is_found_in_the_first_pass_and_named(tokenizer: TextTokenizer) -> None:
    class Bad(Shards):
        def record(self, number: int) -> dict[str, Any]:
            return {"text": "secret"} if number == 25 else super().record(number)

    for source, given, name in (
        (Bad([10] * 4), None, "record 25"),
        (Bad([40]), None, "record 25"),
        (Shards([10]), Bad([40]), "evaluation record 25"),
    ):
        with pytest.raises(FormatError) as caught:
            build_corpus(source, given, recipe=CLASSIFY, tokenizer=tokenizer)
        assert caught.value.code is Code.RECORD_FIELD
        assert caught.value.message.startswith(name + ":")
        assert "secret" not in caught.value.message


def test_a_shard_that_is_not_as_stated(tokenizer: TextTokenizer) -> None:
    source = Shards([4, 4])
    source.shards[1] = 5
    source.read = lambda shard: Shard(source.record(i) for i in range(4))  # type: ignore[method-assign]
    with pytest.raises(FormatError) as caught:
        build_corpus(source, recipe=CLASSIFY, tokenizer=tokenizer)
    assert caught.value.code is Code.RECORD_MALFORMED


@pytest.mark.usefixtures("windows_of_two")
def test_a_record_that_changes_stops_the_run_at_its_step(tokenizer: TextTokenizer) -> None:
    class Changing(Shards):
        changed: ClassVar[set[int]] = set()

        def record(self, number: int) -> dict[str, Any]:
            record = super().record(number)
            return (
                {**record, "text": "the wind the wind the wind the wind"}
                if (number in self.changed)
                else record
            )

    source = Changing([10] * 6)
    recipe = Recipe(**{**CLASSIFY.to_dict(), "evaluation_fraction": 0.0})
    corpus = build_corpus(source, recipe=recipe, tokenizer=tokenizer, resident_bytes=0)
    steps = take(corpus)
    number, batches = steps[4]
    source.changed.add(batches[0].records[0])
    with corpus.steps(after=0, budget=BUDGET) as again:
        assert plain_steps([next(again) for _ in range(number - 1)]) == plain_steps(steps[:4])
        with pytest.raises(FormatError) as caught:
            next(again)
    assert caught.value.code is Code.RECORD_MALFORMED


def test_what_is_known_after_the_first_pass(tokenizer: TextTokenizer) -> None:
    records = [{"text": word, "label": label} for word in WORDS[:10] for label in (0, 2)]
    long = [{"text": "wind " * 40, "label": 0}]
    recipe = Recipe(**{**CLASSIFY.to_dict(), "evaluation_fraction": 0.0})
    corpus = build_corpus(
        ListedRecords(records + long), ListedRecords(long), recipe=recipe, tokenizer=tokenizer
    )
    assert corpus.label_counts == (11, 0, 10)
    assert corpus.counts["truncated_records"] == 2
    assert (corpus.examples_count, corpus.evaluation_count) == (21, 1)
    assert int(corpus.lengths.max()) == int(corpus.evaluation_lengths[0]) == 32
    assert corpus.supervised.tolist() == [1] * 21
    ids = [batch.ids for _, batches in take(corpus) for batch in batches]
    assert corpus.largest_id == int(torch.cat(ids).max())


def test_nothing_to_train_or_to_evaluate_on(tokenizer: TextTokenizer) -> None:
    with pytest.raises(FormatError) as empty:
        build_corpus(ListedRecords([]), recipe=CLASSIFY, tokenizer=tokenizer)
    assert empty.value.code is Code.RECORDS_EMPTY
    values = {**CLASSIFY.to_dict(), "evaluation_fraction": 0.0, "early_stopping_patience": 1}
    with pytest.raises(TrainingError) as patience:
        build_corpus(Shards([4]), recipe=Recipe(**values), tokenizer=tokenizer)
    assert patience.value.code is Code.RECIPE_UNSUPPORTED
    corpus = build_corpus(Shards([4]), Shards([2]), recipe=Recipe(**values), tokenizer=tokenizer)
    assert len(evaluated(corpus)) == 1
