"""Records become tokens; a bad one is named by index and never quoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tiny_models import LABELS, make_tokenizer_files

from sealtune.errors import Code, FormatError, SealtuneError, TrainingError
from sealtune.training.encode import Encoded, encode_records
from sealtune.training.recipe import Recipe
from sealtune.training.tokens import TextTokenizer, load_tokenizer

CLASSIFY = Recipe(task="text-classification", method="lora", labels=LABELS, max_length=16)
LANGUAGE = Recipe(task="causal-lm", method="lora", max_length=16)
SECRET = "patient zero"
START, END = 1, 2


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return load_tokenizer(make_tokenizer_files())


def encode(records: Sequence[Any], recipe: Recipe, tokenizer: TextTokenizer) -> Encoded:
    return encode_records(records, recipe=recipe, tokenizer=tokenizer, what="record")


def test_labels_by_name_and_by_index(tokenizer: TextTokenizer) -> None:
    records = [{"text": "a", "label": "fog"}, {"text": "b", "label": 0}]
    encoded = encode(records, CLASSIFY, tokenizer)
    assert [int(e.targets[0]) for e in encoded.examples] == [2, 0]


def test_recipe_overrules_the_tokenizers_own_length_and_padding(tokenizer: TextTokenizer) -> None:
    encoded = encode(
        [{"text": "wind", "label": 0}, {"text": "wind " * 40, "label": 0}], CLASSIFY, tokenizer
    )
    short, long = (e.ids.tolist() for e in encoded.examples)
    assert len(short) < 8
    assert len(long) == 16
    assert (long[0], long[-1]) == (START, END)
    assert encoded.truncated == 1


def test_plain_text_ends_with_the_end_token_unless_cut(tokenizer: TextTokenizer) -> None:
    bare = TextTokenizer(
        backend=load_tokenizer(make_tokenizer_files()).backend,
        special=tokenizer.special,
        chat_template=None,
    )
    bare.backend.post_processor = None
    encoded = encode([{"text": "wind"}, {"text": "wind " * 40}], LANGUAGE, bare)
    short, long = encoded.examples
    assert short.ids[-1] == END
    assert END not in long.ids
    assert short.supervised == len(short.ids) - 1


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"label": 0}, Code.RECORD_FIELD),
        ({"text": None, "label": 0}, Code.RECORD_FIELD),
        ({"text": 5, "label": 0}, Code.RECORD_FIELD),
        ({"text": "", "label": 0}, Code.RECORD_FIELD),
        ({"text": " \n\t", "label": 0}, Code.RECORD_FIELD),
        ({"text": SECRET}, Code.RECORD_FIELD),
        ({"text": SECRET, "label": None}, Code.RECORD_FIELD),
        ({"text": SECRET, "label": True}, Code.RECORD_FIELD),
        ({"text": SECRET, "label": 1.0}, Code.RECORD_FIELD),
        ({"text": SECRET, "label": 3}, Code.LABEL_OUT_OF_RANGE),
        ({"text": SECRET, "label": -1}, Code.LABEL_OUT_OF_RANGE),
        ({"text": "x", "label": SECRET}, Code.LABEL_OUT_OF_RANGE),
        ({"text": SECRET + "\ud800", "label": 0}, Code.RECORD_MALFORMED),
    ],
)
def test_bad_labelled_record(record: dict[str, Any], code: Code, tokenizer: TextTokenizer) -> None:
    # Beyond the first group, so that the index counts records and not places in a group.
    good = [{"text": "x", "label": 0}] * 1_030
    with pytest.raises(FormatError) as caught:
        encode([*good, record], CLASSIFY, tokenizer)
    assert caught.value.code is code
    assert "record 1030" in str(caught.value)
    assert SECRET not in repr(caught.value) + caught.value.remedy


@pytest.mark.parametrize(
    "messages",
    [
        [],
        "hello",
        None,
        [{"role": "user", "content": SECRET}],
        [{"role": "assistant"}],
        [{"role": "assistant", "content": 5}],
        [{"role": "assistant", "content": SECRET, "tool_calls": []}],
        ["assistant"],
    ],
)
def test_bad_conversation(messages: Any, tokenizer: TextTokenizer) -> None:
    with pytest.raises(FormatError) as caught:
        encode([{"messages": messages}], LANGUAGE, tokenizer)
    assert caught.value.code is Code.RECORD_FIELD
    assert "record 0" in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_nothing_left_to_learn(tokenizer: TextTokenizer) -> None:
    long = [
        {"role": "user", "content": "wind " * 40},
        {"role": "assistant", "content": "yes"},
    ]
    with pytest.raises(FormatError) as caught:
        encode([{"messages": long}], LANGUAGE, tokenizer)
    assert caught.value.code is Code.RECORD_MALFORMED
    assert "record 0" in str(caught.value)


@pytest.fixture
def endless() -> TextTokenizer:
    """A tokenizer that has no end token and adds none of its own."""
    own = load_tokenizer(make_tokenizer_files())
    own.backend.post_processor = None
    return TextTokenizer(backend=own.backend, special={}, chat_template=None)


@pytest.mark.parametrize("before", [[], [{"text": "fog and wind"}]])
def test_a_text_of_one_token_has_nothing_to_predict(
    before: list[dict[str, str]], endless: TextTokenizer
) -> None:
    with pytest.raises(FormatError) as caught:
        encode([*before, {"text": "a"}], LANGUAGE, endless)
    assert caught.value.code is Code.RECORD_MALFORMED
    assert f"record {len(before)}" in caught.value.message


def test_the_last_window_of_a_split_text_goes_if_it_is_one_token(endless: TextTokenizer) -> None:
    text = "wind and rain " * 20
    size = len(endless.encode_one(text).ids)
    recipe = replace(LANGUAGE, overflow="split", max_length=size - 1)
    (example,) = encode([{"text": text}], recipe, endless).examples
    assert len(example.ids) == size - 1


def test_a_lone_token_without_a_label_is_nothing_to_learn(endless: TextTokenizer) -> None:
    recipe = Recipe(task="token-classification", method="lora", labels=LABELS, max_length=16)
    (example,) = encode([{"tokens": ["a"], "tags": [1]}], recipe, endless).examples
    assert (len(example.ids), example.supervised) == (1, 1)
    with pytest.raises(FormatError) as caught:
        encode([{"tokens": ["", ""], "tags": [0, 1]}], recipe, endless)
    assert caught.value.code is Code.RECORD_MALFORMED


def test_long_conversation_is_cut_and_counted(tokenizer: TextTokenizer) -> None:
    long = [{"role": "assistant", "content": "wind " * 40}]
    encoded = encode([{"messages": long}], LANGUAGE, tokenizer)
    assert len(encoded.examples[0].ids) == 16
    assert encoded.truncated == 1


def test_conversation_needs_a_template() -> None:
    files = make_tokenizer_files()
    del files["tokenizer_config.json"]
    with pytest.raises(FormatError) as caught:
        encode(
            [{"messages": [{"role": "assistant", "content": "x"}]}],
            LANGUAGE,
            load_tokenizer(files),
        )
    assert caught.value.code is Code.TOKENIZER_MALFORMED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tokenizer.json": None}, Code.TOKENIZER_MALFORMED),
        ({"tokenizer.json": b"{}"}, Code.TOKENIZER_MALFORMED),
        ({"tokenizer.json": b"\xff"}, Code.TOKENIZER_MALFORMED),
        ({"tokenizer_config.json": b"[]"}, Code.TOKENIZER_MALFORMED),
        ({"tokenizer_config.json": b"{"}, Code.JSON_MALFORMED),
        ({"tokenizer_config.json": b'{"auto_map": {}}'}, Code.MODEL_UNSUPPORTED),
        ({"chat_template.jinja": b"\xff"}, Code.TOKENIZER_MALFORMED),
    ],
)
def test_bad_tokenizer(change: dict[str, bytes | None], code: Code) -> None:
    files = {**make_tokenizer_files(), **change}
    with pytest.raises(SealtuneError) as caught:
        load_tokenizer({name: data for name, data in files.items() if data is not None})
    assert caught.value.code is code
    assert isinstance(caught.value, FormatError | TrainingError)
