"""A record longer than max_length is cut, split or refused, as the recipe says, and counted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from tiny_models import LABELS, make_tokenizer_files

from sealtune.errors import Code, FormatError
from sealtune.training.encode import IGNORED, Encoded, encode_records
from sealtune.training.recipe import Overflow, Recipe
from sealtune.training.tokens import TextTokenizer, load_tokenizer

LENGTH = 16
LONG = "wind and rain " * 20
SECRET = "wind"
START, END = 1, 2
TURN = [
    {"role": "user", "content": "wind"},
    {"role": "assistant", "content": "calm"},
]


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return load_tokenizer(make_tokenizer_files())


@pytest.fixture
def bare(tokenizer: TextTokenizer) -> TextTokenizer:
    """A tokenizer that adds no special tokens of its own, as most decoders' have it."""
    own = load_tokenizer(make_tokenizer_files())
    own.backend.post_processor = None
    return own


def recipe(task: str, overflow: str, **more: Any) -> Recipe:
    labels = () if task == "causal-lm" else LABELS
    values = {"max_length": LENGTH, "labels": labels, **more}
    return Recipe(task=task, method="lora", overflow=overflow, **values)


def encode(records: Sequence[Any], recipe: Recipe, tokenizer: TextTokenizer) -> Encoded:
    return encode_records(records, recipe=recipe, tokenizer=tokenizer, what="record")


def tokens(encoded: Encoded) -> list[list[int]]:
    return [example.ids.tolist() for example in encoded.examples]


def joined(lists: Sequence[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(lists))


def learned(encoded: Encoded) -> list[list[int]]:
    return [example.targets[example.targets != IGNORED].tolist() for example in encoded.examples]


def test_a_split_text_is_whole_and_only_its_last_piece_ends(bare: TextTokenizer) -> None:
    whole = bare.encode_one(LONG).ids
    split = encode([{"text": "wind"}, {"text": LONG}], recipe("causal-lm", "split"), bare)
    assert joined(tokens(split)[1:]) == [*whole, END]
    assert all(len(ids) <= LENGTH for ids in tokens(split))
    assert (split.split, split.truncated) == (1, 0)
    assert split.origins == (0, *[1] * (len(split.examples) - 1))


def test_windows_of_a_split_text_have_the_tokenizers_special_tokens(
    tokenizer: TextTokenizer,
) -> None:
    split = encode([{"text": LONG}], recipe("causal-lm", "split"), tokenizer)
    assert len(split.examples) > 2
    assert all(ids[0] == START and len(ids) <= LENGTH for ids in tokens(split))


@pytest.mark.parametrize(
    ("task", "record"),
    [
        ("causal-lm", {"text": LONG}),
        ("causal-lm", {"messages": [{"role": "assistant", "content": LONG}]}),
        ("causal-lm", {"prompt": "fog", "completion": LONG}),
        ("text-classification", {"text": LONG, "label": 0}),
        ("token-classification", {"tokens": LONG.split(), "tags": [0] * 60}),
    ],
)
def test_cut_and_counted_or_refused_and_counted(
    task: str, record: dict[str, Any], tokenizer: TextTokenizer
) -> None:
    short = {
        "text": "fog",
        "label": 1,
        "tokens": ["fog"],
        "tags": [1],
    }
    records = [short, record, record]
    cut = encode(records, recipe(task, "truncate"), tokenizer)
    assert (len(cut.examples), cut.truncated, cut.split) == (3, 2, 0)
    assert [len(ids) for ids in tokens(cut)[1:]] == [LENGTH, LENGTH]
    with pytest.raises(FormatError) as caught:
        encode(records, recipe(task, "refuse"), tokenizer)
    assert caught.value.code is Code.RECORD_TOO_LONG
    assert caught.value.message.startswith("record 1 and 1 more have ")
    assert SECRET not in repr(caught.value)
    assert len(encode([short], recipe(task, "refuse"), tokenizer).examples) == 1


def test_a_part_of_the_records_is_named_by_their_own_numbers(tokenizer: TextTokenizer) -> None:
    for overflow, record, number in (
        ("refuse", {"text": LONG}, "record 701 has "),
        ("split", {"text": 5}, "record 701: "),
    ):
        with pytest.raises(FormatError) as caught:
            encode_records(
                [{"text": "fog"}, record],
                recipe=recipe("causal-lm", overflow),
                tokenizer=tokenizer,
                what="record",
                first=700,
            )
        assert caught.value.message.startswith(number)


def test_a_text_that_just_fits_is_neither_cut_nor_refused(bare: TextTokenizer) -> None:
    size = len(bare.encode_one(LONG).ids)
    for overflow in Overflow:
        encoded = encode([{"text": LONG}], recipe("causal-lm", overflow, max_length=size), bare)
        assert (len(encoded.examples), encoded.truncated, encoded.split) == (1, 0, 0)


def test_a_split_chat_keeps_turns_whole_behind_the_systems_message(
    tokenizer: TextTokenizer,
) -> None:
    system = {"role": "system", "content": "fog"}
    messages = [system, *TURN * 5, {"role": "user", "content": "wind"}]
    whole = encode(
        [{"messages": messages}], recipe("causal-lm", "split", max_length=512), tokenizer
    )
    size = len(
        tokens(
            encode(
                [{"messages": [system, *TURN]}],
                recipe("causal-lm", "truncate", max_length=512),
                tokenizer,
            )
        )[0]
    )
    turn = size - len(tokenizer.encode_rendered("<|system|>fog<|end|>").ids)
    narrow = recipe("causal-lm", "split", max_length=size + turn)
    split = encode([{"messages": messages}], narrow, tokenizer)
    opening = tokens(whole)[0][: size - turn]
    assert [len(ids) for ids in tokens(split)] == [size + turn, size + turn, size]
    assert all(ids[: len(opening)] == opening for ids in tokens(split))
    # Every answer is learned once, and nothing but answers.
    assert joined(learned(split)) == learned(whole)[0]
    assert split.split == 1


def test_a_turn_that_does_not_fit_is_refused(tokenizer: TextTokenizer) -> None:
    messages = [*TURN, {"role": "user", "content": LONG}, {"role": "assistant", "content": "calm"}]
    with pytest.raises(FormatError) as caught:
        encode([{"messages": messages}], recipe("causal-lm", "split", max_length=32), tokenizer)
    assert caught.value.code is Code.RECORD_TOO_LONG
    assert "record 0" in caught.value.message
    assert SECRET not in repr(caught.value)


def test_a_prompt_and_its_completion_are_not_split(tokenizer: TextTokenizer) -> None:
    records = [{"prompt": "fog", "completion": LONG}]
    with pytest.raises(FormatError) as caught:
        encode(records, recipe("causal-lm", "split"), tokenizer)
    assert caught.value.code is Code.RECORD_TOO_LONG


def test_words_are_split_between_words(tokenizer: TextTokenizer) -> None:
    words = ["wind", "lighthouse", "fog"] * 12
    tags = [index % 3 for index in range(len(words))]
    record = {"tokens": words, "tags": tags}
    split = encode([record], recipe("token-classification", "split"), tokenizer)
    assert joined(learned(split)) == tags
    assert (split.split, split.truncated) == (1, 0)
    text = [tokenizer.backend.decode(ids) for ids in tokens(split)]
    assert " ".join(text).split() == words
    assert all(len(ids) <= LENGTH and ids[0] == START for ids in tokens(split))
    # Greedy: no piece could have held the next piece's first word.
    first = [len(tokenizer.encode_one(" " + part.split()[0]).ids) - 2 for part in text[1:]]
    assert all(len(ids) + n > LENGTH for ids, n in zip(tokens(split)[:-1], first, strict=True))


def test_a_word_longer_than_everything_is_cut_and_counted(tokenizer: TextTokenizer) -> None:
    record = {"tokens": ["fog", "x" * 50, "calm"], "tags": [0, 1, 2]}
    split = encode([record], recipe("token-classification", "split"), tokenizer)
    assert learned(split) == [[0], [1], [2]]
    assert (split.split, split.truncated) == (1, 1)
