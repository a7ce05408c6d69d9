"""The records have the lengths that they are said to have, and come again from the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sealtune.errors import Code, ConfigError, StorageError
from sealtune.testing.bench.data import (
    CHAT_LENGTH_MAX,
    chat_records,
    check_fit,
    encoder_words,
    fixed_labelled_records,
    fixed_records,
    medical_records,
    parse_data,
    read_records,
    write_records,
)
from sealtune.testing.bench.shapes import find_shape
from sealtune.testing.bench.tokenizer import plain_words, tokenizer_files
from sealtune.testing.demo.encoder import find_encoder
from sealtune.training.encode import encode_records
from sealtune.training.recipe import Recipe
from sealtune.training.tokens import load_tokenizer

SHAPE = find_shape("tiny")
WORDS = plain_words(SHAPE)
TOKENIZER = load_tokenizer(tokenizer_files(SHAPE))


def _encoded(records: list[dict[str, object]], length: int) -> list[tuple[int, int]]:
    recipe = Recipe(task="causal-lm", method="lora", max_length=length)
    encoded = encode_records(records, recipe=recipe, tokenizer=TOKENIZER, what="record")
    assert encoded.truncated == 0
    return [(len(example.ids), example.supervised) for example in encoded.examples]


@pytest.mark.parametrize("length", [8, 512])
def test_fixed_records_have_exactly_that_many_tokens(length: int) -> None:
    records = fixed_records(WORDS, count=5, length=length, seed=0)
    assert _encoded(records, length) == [(length, length - 1)] * 5


def test_the_same_seed_gives_the_same_records() -> None:
    assert chat_records(WORDS, count=9, seed=3) == chat_records(WORDS, count=9, seed=3)
    assert chat_records(WORDS, count=9, seed=3) != chat_records(WORDS, count=9, seed=4)
    fixed = [fixed_records(WORDS, count=2, length=9, seed=seed) for seed in (3, 3, 4)]
    assert fixed[0] == fixed[1] != fixed[2]


def test_chats_spread_as_is_said() -> None:
    records = chat_records(WORDS, count=1_500, seed=0)
    pairs = np.array(_encoded(records, CHAT_LENGTH_MAX))
    lengths, supervised = pairs[:, 0], pairs[:, 1]
    assert 225 < np.median(lengths) < 275
    assert 350 < lengths.mean() < 430
    assert 1_000 < np.percentile(lengths, 95) < 1_500
    assert lengths.max() == CHAT_LENGTH_MAX
    assert 0.55 < supervised.sum() / lengths.sum() < 0.65
    exchanges = np.array([len(record["messages"]) // 2 for record in records])
    assert set(exchanges) == {1, 2, 3, 4}
    assert 1.8 < exchanges.mean() < 2.05


def test_every_message_says_something() -> None:
    for record in chat_records(WORDS, count=300, seed=1):
        roles = [message["role"] for message in record["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(message["content"] for message in record["messages"])


def test_frequent_words_are_frequent() -> None:
    text = fixed_records(WORDS, count=1, length=20_000, seed=0)[0]["text"].split()
    share = text.count(WORDS[0]) / len(text)
    assert 0.09 < share < 0.14  # ln 2 / ln 505


def test_an_encoder_gets_labelled_records_of_that_length() -> None:
    files = {path.name: path.read_bytes() for path in find_encoder().glob("*token*.json")}
    words = encoder_words(files["tokenizer.json"])
    records = fixed_labelled_records(words, labels=3, count=60, length=32, seed=0)
    recipe = Recipe(
        task="text-classification", method="lora", labels=("a", "b", "c"), max_length=64
    )
    encoded = encode_records(records, recipe=recipe, tokenizer=load_tokenizer(files), what="record")
    assert {len(example.ids) for example in encoded.examples} == {32}
    assert {int(example.targets[0]) for example in encoded.examples} == {0, 1, 2}


def test_the_abstracts_are_all_there(shared_dir: Path) -> None:
    records, labels = medical_records(shared_dir / "data" / "medical-abstracts")
    assert len(records) == 2_888
    assert len(labels) == 5
    assert {record["label"] for record in records} == set(range(5))


def test_missing_abstracts_are_an_error_that_says_where_to_point(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as missing:
        medical_records(tmp_path)
    assert missing.value.code is Code.FILE_MISSING
    assert "--data-dir" in missing.value.remedy


@pytest.mark.parametrize(("data", "model"), [("chat", "minilm"), ("medical", "smollm2-135m")])
def test_data_that_a_model_cannot_learn_is_refused(data: str, model: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_fit(parse_data(data), model=model)
    assert refused.value.code is Code.CONFIG_INVALID


def test_records_come_back_from_their_file(tmp_path: Path) -> None:
    records = [*chat_records(WORDS, count=2, seed=0), {"text": "é\n", "label": 1}]
    assert read_records(write_records(records, tmp_path / "records.jsonl")) == records
