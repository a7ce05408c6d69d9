"""Records to token ids and targets, with errors that name the record and never quote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sealtune.errors import Code, FormatError
from sealtune.training.chat import check_messages, render_chat
from sealtune.training.recipe import Recipe, Task
from sealtune.training.tokens import TextTokenizer

IGNORED = -100  # the target of a token that no loss is computed on, as torch's cross_entropy has it
_GROUP = 1_024  # records tokenized at once: enough to use every core, little enough to hold twice

Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Example:
    """A record as the model sees it.

    `targets` has one value per id for causal-lm (`IGNORED` where no loss is wanted; the shift by
    one happens in the loss) and one value, the label's index, for text-classification.
    """

    ids: Tokens
    targets: Tokens

    @property
    def supervised(self) -> int:
        """The number of predictions that enter the loss."""
        if len(self.targets) == 1:
            return 1
        return int(np.count_nonzero(self.targets[1:] != IGNORED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Examples in the order of their records, and how many were cut at `max_length`."""

    examples: tuple[Example, ...]
    truncated: int


def encode_records(
    records: Sequence[Mapping[str, Any]], *, recipe: Recipe, tokenizer: TextTokenizer, what: str
) -> Encoded:
    """Return `records` encoded for `recipe`; `what` ("record") names one in errors.

    Raises:
        FormatError: `RECORD_FIELD`, `LABEL_OUT_OF_RANGE`, `RECORD_MALFORMED` with the record's
            index from 0, or `TOKENIZER_MALFORMED`.
    """
    encoder = _encode_labelled if recipe.task is Task.TEXT_CLASSIFICATION else _encode_language
    examples: list[Example] = []
    truncated = 0
    for start in range(0, len(records), _GROUP):
        group = [records[index] for index in range(start, min(start + _GROUP, len(records)))]
        places = [f"{what} {start + offset}" for offset in range(len(group))]
        for example, cut in encoder(group, places, recipe=recipe, tokenizer=tokenizer):
            examples.append(example)
            truncated += cut
    return Encoded(examples=tuple(examples), truncated=truncated)


def check_vocabulary(encoded: Encoded, *, size: int) -> None:
    """Refuse ids that the model has no embedding for.

    Raises:
        FormatError: `TOKENIZER_MALFORMED`.
    """
    largest = max((int(example.ids.max()) for example in encoded.examples), default=0)
    if largest >= size:
        raise FormatError(
            Code.TOKENIZER_MALFORMED,
            f"the tokenizer gives id {largest}, the model knows {size} tokens",
            remedy="seal the model with the tokenizer that belongs to it",
        )


def _encode_labelled(
    group: Sequence[Mapping[str, Any]],
    places: Sequence[str],
    *,
    recipe: Recipe,
    tokenizer: TextTokenizer,
) -> list[tuple[Example, bool]]:
    texts = [
        _text(record, recipe.text_field, place=place)
        for record, place in zip(group, places, strict=True)
    ]
    labels = [
        _label(record, recipe=recipe, place=place)
        for record, place in zip(group, places, strict=True)
    ]
    encoded = tokenizer.encode(texts, max_length=recipe.max_length)
    return [
        (Example(_array(ids, place=place), np.array([label], dtype=np.int64)), cut)
        for (ids, cut), label, place in zip(encoded, labels, places, strict=True)
    ]


def _encode_language(
    group: Sequence[Mapping[str, Any]],
    places: Sequence[str],
    *,
    recipe: Recipe,
    tokenizer: TextTokenizer,
) -> list[tuple[Example, bool]]:
    plain = [i for i, record in enumerate(group) if recipe.messages_field not in record]
    texts = [_text(group[i], recipe.text_field, place=places[i]) for i in plain]
    encoded = dict(zip(plain, tokenizer.encode(texts, max_length=recipe.max_length), strict=True))
    results = []
    for index, (record, place) in enumerate(zip(group, places, strict=True)):
        if index in encoded:
            example, cut = _plain_example(*encoded[index], place, recipe, tokenizer)
        else:
            example, cut = _chat_example(record, place, recipe, tokenizer)
        if not example.supervised:
            raise FormatError(
                Code.RECORD_MALFORMED,
                f"{place}: no token to learn within max_length {recipe.max_length}",
                remedy="raise max_length, or leave the record out",
            )
        results.append((example, cut))
    return results


def _plain_example(
    ids: list[int], cut: bool, place: str, recipe: Recipe, tokenizer: TextTokenizer
) -> tuple[Example, bool]:
    end = tokenizer.token_id("eos_token")
    # The end token teaches the model where texts end; a cut text, which is max_length long, does
    # not end there.
    if end is not None and len(ids) < recipe.max_length and ids[-1:] != [end]:
        ids = [*ids, end]
    tokens = _array(ids, place=place)
    return Example(tokens, tokens), cut


def _chat_example(
    record: Mapping[str, Any], place: str, recipe: Recipe, tokenizer: TextTokenizer
) -> tuple[Example, bool]:
    messages = check_messages(record[recipe.messages_field], place=place)
    for message in messages:
        _check_encodable(message["content"], place=place)
    if tokenizer.chat_template is None:
        raise FormatError(
            Code.TOKENIZER_MALFORMED,
            f"{place}: has messages, but the model's tokenizer has no chat template",
            remedy="seal the model with a chat_template.jinja, or train on plain text",
        )
    text, spans = render_chat(
        messages, template=tokenizer.chat_template, special=tokenizer.special, place=place
    )
    encoding = tokenizer.encode_rendered(text)
    targets = [IGNORED] * len(encoding.ids)
    for index, (start, end) in enumerate(encoding.offsets):
        # A token that begins before the assistant does belongs to the prompt.
        if end > start and any(first <= start < last for first, last in spans):
            targets[index] = encoding.ids[index]
    ids = _array(encoding.ids[: recipe.max_length], place=place)
    kept = np.array(targets[: recipe.max_length], dtype=np.int64)
    return Example(ids, kept), len(encoding.ids) > recipe.max_length


def _text(record: Mapping[str, Any], field: str, *, place: str) -> str:
    value = record.get(field)
    if not isinstance(value, str):
        raise FormatError(Code.RECORD_FIELD, f"{place}: field {field!r} is missing or not text")
    if not value.strip():
        raise FormatError(Code.RECORD_FIELD, f"{place}: field {field!r} is empty")
    _check_encodable(value, place=place)
    return value


def _check_encodable(text: str, *, place: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError(
            Code.RECORD_MALFORMED, f"{place}: text with half a surrogate pair"
        ) from None


def _label(record: Mapping[str, Any], *, recipe: Recipe, place: str) -> int:
    field, count = recipe.label_field, len(recipe.labels)
    value = record.get(field)
    if isinstance(value, str):
        if value in recipe.labels:
            return recipe.labels.index(value)
    elif type(value) is int:  # not isinstance: true and false are no labels
        if 0 <= value < count:
            return value
    else:
        raise FormatError(
            Code.RECORD_FIELD,
            f"{place}: field {field!r} is missing or neither a label's name nor its index",
        )
    raise FormatError(
        Code.LABEL_OUT_OF_RANGE,
        f"{place}: field {field!r} is none of the recipe's {count} labels",
        remedy=f"use a name out of the recipe's labels or an index from 0 to {count - 1}",
    )


def _array(ids: Sequence[int], *, place: str) -> Tokens:
    if not ids:
        raise FormatError(Code.RECORD_FIELD, f"{place}: its text gives no token")
    return np.array(ids, dtype=np.int64)
