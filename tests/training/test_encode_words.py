"""Token classification: a word's first token bears its label, and no other does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import CORPUS, LABELS, make_tokenizer_files
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from sealtune.errors import Code, FormatError
from sealtune.training.encode import IGNORED, Encoded, encode_records
from sealtune.training.examples import count_labels
from sealtune.training.recipe import Recipe
from sealtune.training.tokens import TextTokenizer, load_tokenizer

RECIPE = Recipe(task="token-classification", method="lora", labels=LABELS, max_length=64)
SECRET = "patient zero"


def _bytes() -> TextTokenizer:
    return load_tokenizer(make_tokenizer_files())


def _wordpiece() -> TextTokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=90, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return TextTokenizer(backend=tokenizer, special={}, chat_template=None)


def _metaspace() -> TextTokenizer:
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("\u2581", -2.0)], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return TextTokenizer(backend=tokenizer, special={}, chat_template=None)


TOKENIZERS = {"bytes": _bytes(), "wordpiece": _wordpiece(), "metaspace": _metaspace()}


def encode(records: Sequence[Any], tokenizer: TextTokenizer, recipe: Recipe = RECIPE) -> Encoded:
    return encode_records(records, recipe=recipe, tokenizer=tokenizer, what="record")


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_first_token_of_each_word_bears_its_label(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    words = ["The", "wind,", "lighthouse", "\u00e4\u00e4", "and", "fog"]
    tags = ["fog", 1, "calm", 2, 0, "storm"]
    (example,) = encode([{"tokens": words, "tags": tags}], tokenizer).examples
    wanted = example.targets != IGNORED
    assert example.targets[wanted].tolist() == [2, 1, 0, 2, 0, 1]
    assert example.supervised == 6
    assert example.ids.tolist() == tokenizer.encode_one(" ".join(words)).ids
    # The token's text begins the word.
    offsets = tokenizer.encode_one(" ".join(words)).offsets
    text = " ".join(words)
    starts = [text.index(word) for word in words]
    found = [offsets[index] for index in np.flatnonzero(wanted)]
    assert all(a <= start < b for (a, b), start in zip(found, starts, strict=True))


def test_equal_to_transformers_where_that_is_given_words() -> None:
    tokenizer = TOKENIZERS["wordpiece"]
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend)
    words = ["the", "lighthouse", "keeper's", "wind,", "(fog)", "rain"]
    tags = [0, 1, 2, 0, 1, 2]
    (example,) = encode([{"tokens": words, "tags": tags}], tokenizer).examples
    encoded = theirs(words, is_split_into_words=True)
    aligned, last = [], None
    for word in encoded.word_ids():
        aligned.append(IGNORED if word is None or word == last else tags[word])
        last = word
    assert example.ids.tolist() == encoded["input_ids"]
    assert example.targets.tolist() == aligned


@given(
    words=st.lists(st.text(max_size=6), min_size=1, max_size=8),
    name=st.sampled_from(sorted(TOKENIZERS)),
)
def test_any_words_give_labels_in_their_order_or_our_error(words: list[str], name: str) -> None:
    tags = [index % 3 for index in range(len(words))]
    try:
        encoded = encode([{"tokens": words, "tags": tags}], TOKENIZERS[name])
    except FormatError as error:
        assert error.code in (Code.RECORD_MALFORMED, Code.RECORD_FIELD)
        return
    (example,) = encoded.examples
    assert len(example.ids) == len(example.targets)
    rest = iter(tags)
    assert all(tag in rest for tag in example.targets[example.targets != IGNORED].tolist())


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"tags": [0]}, Code.RECORD_FIELD),
        ({"tokens": [], "tags": []}, Code.RECORD_FIELD),
        ({"tokens": SECRET, "tags": [0]}, Code.RECORD_FIELD),
        ({"tokens": [SECRET]}, Code.RECORD_FIELD),
        ({"tokens": [SECRET, "b"], "tags": [0]}, Code.RECORD_FIELD),
        ({"tokens": [SECRET, 5], "tags": [0, 0]}, Code.RECORD_FIELD),
        ({"tokens": [SECRET], "tags": [None]}, Code.RECORD_FIELD),
        ({"tokens": [SECRET], "tags": [True]}, Code.RECORD_FIELD),
        ({"tokens": [SECRET], "tags": [3]}, Code.LABEL_OUT_OF_RANGE),
        ({"tokens": [SECRET], "tags": [-1]}, Code.LABEL_OUT_OF_RANGE),
        ({"tokens": ["a"], "tags": [SECRET]}, Code.LABEL_OUT_OF_RANGE),
        ({"tokens": [SECRET + "\ud800"], "tags": [0]}, Code.RECORD_MALFORMED),
        ({"tokens": ["", ""], "tags": [0, 1]}, Code.RECORD_MALFORMED),
    ],
)
def test_bad_record(record: dict[str, Any], code: Code) -> None:
    fine = {"tokens": ["a"], "tags": [0]}
    with pytest.raises(FormatError) as caught:
        encode([fine, record], TOKENIZERS["bytes"])
    assert caught.value.code is code
    assert "record 1" in caught.value.message
    assert SECRET not in repr(caught.value)


def test_labels_that_never_occur_are_counted_as_such() -> None:
    records = [{"tokens": ["a", "b"], "tags": [0, 2]}, {"tokens": ["c"], "tags": [2]}]
    encoded = encode(records, TOKENIZERS["bytes"])
    assert count_labels(encoded.examples, labels=3).tolist() == [1, 0, 2]
