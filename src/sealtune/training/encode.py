"""Records to examples: each task's encoder is chosen here, and long records are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sealtune.training.examples import (
    IGNORED,
    Example,
    Pieces,
    Pixels,
    Record,
    Tokens,
    label_index,
    read_text,
    token_array,
    too_long,
)
from sealtune.training.images import ImageProcessor
from sealtune.training.language import encode_language
from sealtune.training.recipe import Overflow, Recipe, Task
from sealtune.training.tokens import TextTokenizer
from sealtune.training.words import encode_words

__all__ = [
    "GROUP",
    "IGNORED",
    "Encoded",
    "Example",
    "Pixels",
    "Tokens",
    "encode_records",
]

GROUP = 1_024  # records tokenized at once: enough to use every core, little enough to hold twice
_Encoder = Callable[[Sequence[Record], Sequence[str]], Iterable[Pieces]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Examples in the order of their records.

    `truncated` records were cut at `max_length`, `split` became several examples. `origins` has
    each example's record, counted from 0; empty means one example per record. `decoded` are the
    pixels of the largest image before it was resized.
    """

    examples: tuple[Example, ...]
    truncated: int
    split: int = 0
    origins: tuple[int, ...] = ()
    decoded: int = 0


def encode_records(
    records: Sequence[Record],
    *,
    recipe: Recipe,
    tokenizer: TextTokenizer | None,
    what: str,
    images: ImageProcessor | None = None,
    first: int = 0,
) -> Encoded:
    """Return `records` encoded for `recipe`; `what` ("record") names one in errors.

    `first` is the number that the first of them has there; `origins` count from 0 all the same.

    Image classification needs `images`, every other task `tokenizer`.

    Raises:
        FormatError: `RECORD_FIELD`, `LABEL_OUT_OF_RANGE`, `RECORD_MALFORMED`, `RECORD_TOO_LONG` or
            `RECORD_IMAGE` with the record's number, or `TOKENIZER_MALFORMED`.
    """
    encode = _encoder(recipe, tokenizer, images)
    examples: list[Example] = []
    origins: list[int] = []
    truncated: list[int] = []
    split = decoded = 0
    for start in range(0, len(records), GROUP):
        group = [records[index] for index in range(start, min(start + GROUP, len(records)))]
        places = [f"{what} {first + start + offset}" for offset in range(len(group))]
        for index, pieces in enumerate(encode(group, places), start=start):
            examples += pieces.examples
            origins += [index] * len(pieces.examples)
            split += len(pieces.examples) > 1
            decoded = max(decoded, pieces.decoded)
            if pieces.cut:
                truncated.append(index)
    if truncated and recipe.overflow is Overflow.REFUSE:
        more = f" and {len(truncated) - 1} more have" if len(truncated) > 1 else " has"
        raise too_long(f"{what} {first + truncated[0]}{more}", recipe=recipe)
    return Encoded(
        examples=tuple(examples),
        truncated=len(truncated),
        split=split,
        origins=tuple(origins),
        decoded=decoded,
    )


def _encoder(
    recipe: Recipe, tokenizer: TextTokenizer | None, images: ImageProcessor | None
) -> _Encoder:
    if recipe.task is Task.IMAGE_CLASSIFICATION:
        if images is None:
            raise ValueError("image classification needs an ImageProcessor")
        return partial(_encode_images, recipe=recipe, images=images)
    if tokenizer is None:
        raise ValueError(f"{recipe.task} needs a tokenizer")
    if recipe.task is Task.TEXT_CLASSIFICATION:
        return partial(_encode_labelled, recipe=recipe, tokenizer=tokenizer)
    if recipe.task is Task.TOKEN_CLASSIFICATION:
        return partial(encode_words, recipe=recipe, tokenizer=tokenizer)
    return partial(encode_language, recipe=recipe, tokenizer=tokenizer)


def _encode_labelled(
    group: Sequence[Record],
    places: Sequence[str],
    *,
    recipe: Recipe,
    tokenizer: TextTokenizer,
) -> Iterator[Pieces]:
    texts = [
        read_text(record, recipe.text_field, place=place)
        for record, place in zip(group, places, strict=True)
    ]
    labels = _labels(group, places, recipe=recipe)
    encoded = tokenizer.encode(texts, max_length=recipe.max_length)
    for (ids, cut), label, place in zip(encoded, labels, places, strict=True):
        example = Example(token_array(ids, place=place), label, each_record=True)
        yield Pieces(examples=(example,), cut=cut)


def _encode_images(
    group: Sequence[Record], places: Sequence[str], *, recipe: Recipe, images: ImageProcessor
) -> Iterator[Pieces]:
    labels = _labels(group, places, recipe=recipe)
    for record, label, place in zip(group, labels, places, strict=True):
        text = read_text(record, recipe.image_field, place=place)
        image = images.decode(text, place=place)
        decoded = image.width * image.height
        pixels = images.prepare(image, place=place)
        example = Example(np.zeros(0, dtype=np.int64), label, pixels, each_record=True)
        yield Pieces(examples=(example,), decoded=decoded)


def _labels(group: Sequence[Record], places: Sequence[str], *, recipe: Recipe) -> list[Tokens]:
    field = recipe.label_field
    indices = [
        label_index(record.get(field), recipe=recipe, field=field, place=place)
        for record, place in zip(group, places, strict=True)
    ]
    return [np.array([index], dtype=np.int64) for index in indices]
