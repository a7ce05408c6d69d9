"""A prompt with its completion: the completion and the end are learned, the prompt is not."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_models import make_tokenizer_files

from sealtune.errors import Code, FormatError
from sealtune.training.encode import IGNORED, Example, encode_records
from sealtune.training.recipe import Recipe
from sealtune.training.tokens import TextTokenizer, load_tokenizer

RECIPE = Recipe(task="causal-lm", method="lora", max_length=32)
END = 2
SECRET = "patient zero"


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    """A tokenizer that adds no special tokens of its own, as most decoders' have it."""
    own = load_tokenizer(make_tokenizer_files())
    own.backend.post_processor = None
    return own


def encode(
    record: dict[str, Any], tokenizer: TextTokenizer, recipe: Recipe = RECIPE
) -> tuple[Example, int]:
    encoded = encode_records([record], recipe=recipe, tokenizer=tokenizer, what="record")
    (example,) = encoded.examples
    return example, encoded.truncated


def learned(example: Example, tokenizer: TextTokenizer) -> str:
    wanted = example.targets[example.targets != IGNORED].tolist()
    return str(tokenizer.backend.decode(wanted, skip_special_tokens=False))


def test_only_the_completion_and_the_end_are_learned(tokenizer: TextTokenizer) -> None:
    example, cut = encode({"prompt": "the wind:", "completion": " is calm"}, tokenizer)
    assert example.ids.tolist() == [*tokenizer.encode_one("the wind: is calm").ids, END]
    assert learned(example, tokenizer) == " is calm</s>"
    assert example.supervised == int((example.targets != IGNORED).sum())
    assert not cut


def test_a_token_over_the_border_is_learned(tokenizer: TextTokenizer) -> None:
    # The space and the word are one token: masked, nothing would teach the model its answer.
    example, _ = encode({"prompt": "the wind: ", "completion": "and"}, tokenizer)
    assert learned(example, tokenizer) == " and</s>"


def test_an_end_that_the_tokenizer_itself_adds_is_learned_once() -> None:
    own = load_tokenizer(make_tokenizer_files())
    example, _ = encode({"prompt": "the wind:", "completion": " is calm"}, own)
    assert example.ids.tolist().count(END) == 1
    assert learned(example, own) == " is calm</s>"


def test_other_names_and_the_order_of_preference(tokenizer: TextTokenizer) -> None:
    recipe = Recipe(task="causal-lm", method="lora", prompt_field="q", completion_field="a")
    both = {"q": "the wind", "a": " is calm", "text": "fog"}
    assert learned(encode(both, tokenizer, recipe)[0], tokenizer) == " is calm</s>"
    assert learned(encode({"q": "the wind", "text": "fog"}, tokenizer)[0], tokenizer) == "fog</s>"
    chat = {**both, "messages": [{"role": "assistant", "content": "storm"}]}
    assert "storm" in learned(encode(chat, tokenizer, recipe)[0], tokenizer)


def test_cut_where_something_is_left_to_learn_and_refused_otherwise(
    tokenizer: TextTokenizer,
) -> None:
    example, cut = encode({"prompt": "fog", "completion": " wind" * 60}, tokenizer)
    assert (len(example.ids), cut) == (32, 1)
    assert END not in example.ids
    with pytest.raises(FormatError) as caught:
        encode({"prompt": "wind " * 60, "completion": SECRET}, tokenizer)
    assert caught.value.code is Code.RECORD_MALFORMED


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": SECRET, "completion": ""},
        {"prompt": SECRET, "completion": None},
        {"prompt": SECRET, "completion": [SECRET]},
        {"prompt": 5, "completion": SECRET},
        {"prompt": SECRET},
    ],
)
def test_bad_record(record: dict[str, Any], tokenizer: TextTokenizer) -> None:
    with pytest.raises(FormatError) as caught:
        encode(record, tokenizer)
    assert caught.value.code is Code.RECORD_FIELD
    assert "record 0" in caught.value.message
    assert SECRET not in repr(caught.value)
