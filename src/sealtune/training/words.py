"""Records for token classification: words with a label each, aligned with the model's tokens.

The words are joined by spaces and tokenized as the text that they are, so that the model sees what
it saw when it was pre-trained, and what `transformers`' pipeline will show it later. The first
token of each word bears the word's label; all others, and special tokens, are `IGNORED`.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence

import numpy as np
from tokenizers import Encoding

from sealtune.errors import Code, FormatError
from sealtune.training.examples import (
    IGNORED,
    Example,
    Pieces,
    Record,
    check_encodable,
    label_index,
    nothing_to_learn,
    read_list,
    token_array,
)
from sealtune.training.recipe import Overflow, Recipe
from sealtune.training.tokens import TextTokenizer

_Word = tuple[str, int]  # the word, its label's index


def encode_words(
    group: Sequence[Record],
    places: Sequence[str],
    *,
    recipe: Recipe,
    tokenizer: TextTokenizer,
) -> Iterator[Pieces]:
    """Yield what each record of `group` becomes; `places` name them in errors.

    Raises:
        FormatError: as `encode_records`.
    """
    for record, place in zip(group, places, strict=True):
        words = _words(record, recipe=recipe, place=place)
        pieces = _pieces(words, place, recipe, tokenizer)
        learned = tuple(example for example in pieces.examples if example.supervised)
        if not learned:
            raise nothing_to_learn(place, recipe=recipe)
        yield Pieces(examples=learned, cut=pieces.cut)


def _words(record: Record, *, recipe: Recipe, place: str) -> list[_Word]:
    words = read_list(record, recipe.tokens_field, place=place)
    tags = read_list(record, recipe.tags_field, place=place)
    if len(words) != len(tags):
        reason = f"{len(words)} in {recipe.tokens_field!r}, {len(tags)} in {recipe.tags_field!r}"
        raise FormatError(Code.RECORD_FIELD, f"{place}: each word needs one label: {reason}")
    for word in words:
        if not isinstance(word, str):
            message = f"{place}: field {recipe.tokens_field!r} holds what is no text"
            raise FormatError(Code.RECORD_FIELD, message)
        check_encodable(word, place=place)
    labels = [label_index(tag, recipe=recipe, field=recipe.tags_field, place=place) for tag in tags]
    return list(zip(words, labels, strict=True))


def _pieces(words: Sequence[_Word], place: str, recipe: Recipe, tokenizer: TextTokenizer) -> Pieces:
    encoding = tokenizer.encode_one(_text(words))
    if len(encoding.ids) <= recipe.max_length:
        return Pieces(examples=(_example(encoding, words, place, recipe),))
    if recipe.overflow is not Overflow.SPLIT:
        short = tokenizer.encode_one(_text(words), max_length=recipe.max_length)
        return Pieces(examples=(_example(short, words, place, recipe),), cut=True)
    room = recipe.max_length - tokenizer.special_tokens
    examples = []
    cut = False
    for part in _parts(words, encoding, room=room):
        # A single word may be longer than all the room; then its end is cut.
        short = tokenizer.encode_one(_text(part), max_length=recipe.max_length)
        cut = cut or bool(short.overflowing)
        examples.append(_example(short, part, place, recipe))
    return Pieces(examples=tuple(examples), cut=cut)


def _parts(words: Sequence[_Word], encoding: Encoding, *, room: int) -> Iterator[Sequence[_Word]]:
    """Yield `words` in runs of at most `room` tokens, as `encoding` counts them."""
    sizes = [0] * len(words)
    for _, word in _placed(encoding, words):
        sizes[word] += 1
    start = used = 0
    for index, size in enumerate(sizes):
        if used + size > room and index > start:
            yield words[start:index]
            start, used = index, 0
        used += size
    yield words[start:]


def _example(encoding: Encoding, words: Sequence[_Word], place: str, recipe: Recipe) -> Example:
    ids = list(encoding.ids)[: recipe.max_length]
    targets = np.full(len(ids), IGNORED, dtype=np.int64)
    seen = -1
    for index, word in _placed(encoding, words):
        if word > seen and index < len(ids):
            targets[index] = words[word][1]
            seen = word
    return Example(token_array(ids, place=place), targets, unpredicted=0)


def _placed(encoding: Encoding, words: Sequence[_Word]) -> Iterator[tuple[int, int]]:
    """Yield the index of each token that holds something of a word, and the (first) word's."""
    starts: list[int] = []
    ends: list[int] = []
    for word, _ in words:
        starts.append(ends[-1] + 1 if ends else 0)
        ends.append(starts[-1] + len(word))
    for index, (first, last) in enumerate(encoding.offsets):
        # Byte-level tokens begin with the space before their word.
        place = bisect.bisect_right(ends, first)
        if last > first and place < len(words) and starts[place] < last:
            yield index, place


def _text(words: Sequence[_Word]) -> str:
    return " ".join(word for word, _ in words)
