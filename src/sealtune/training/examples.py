"""What a record becomes for the model, and how its fields are read.

Errors name the record and the field and never quote what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sealtune.errors import Code, FormatError
from sealtune.training.recipe import Recipe

IGNORED = -100  # the target of a token that no loss is computed on, as torch's cross_entropy has it

Record = Mapping[str, Any]
Tokens = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Example:
    """A record, or a piece of one, as the model sees it.

    `targets` has one value per id for causal-lm (`IGNORED` where no loss is wanted; the shift by
    one happens in the loss) and token-classification (labels' indices), and one value, the label's
    index, for text- and image-classification, which have `each_record`. An image has `pixels`
    (channels, height, width) and no ids. No prediction is made for the first `unpredicted` targets:
    1 for causal-lm, of which a single token has none.
    """

    ids: Tokens
    targets: Tokens
    pixels: Pixels | None = None
    unpredicted: int = 1
    each_record: bool = False

    @property
    def supervised(self) -> int:
        """The number of predictions that enter the loss."""
        if self.each_record:
            return 1
        return int(np.count_nonzero(self.targets[self.unpredicted :] != IGNORED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """The examples that one record became; `cut` says that tokens were left out for its length.

    `decoded` are the pixels that its image had before it was resized.
    """

    examples: tuple[Example, ...]
    cut: bool = False
    decoded: int = 0


def count_labels(examples: Iterable[Example], *, labels: int) -> Tokens:
    """Return how many predictions of `examples` have each of `labels` labels as target.

    A label with none is not learned; that is for whoever reads the counts to judge.
    """
    counts = np.zeros(labels, dtype=np.int64)
    for example in examples:
        wanted = example.targets[example.targets != IGNORED]
        counts += np.bincount(wanted, minlength=labels)
    return counts


def read_text(record: Record, field: str, *, place: str) -> str:
    """Return the text in `field`, which must hold more than white space.

    Raises:
        FormatError: `RECORD_FIELD`, or `RECORD_MALFORMED` if UTF-8 cannot spell it.
    """
    value = record.get(field)
    if not isinstance(value, str):
        raise FormatError(Code.RECORD_FIELD, f"{place}: field {field!r} is missing or not text")
    if not value.strip():
        raise FormatError(Code.RECORD_FIELD, f"{place}: field {field!r} is empty")
    check_encodable(value, place=place)
    return value


def read_list(record: Record, field: str, *, place: str) -> list[Any]:
    """Return the list in `field`, which must not be empty.

    Raises:
        FormatError: `RECORD_FIELD`.
    """
    value = record.get(field)
    if not isinstance(value, list) or not value:
        message = f"{place}: field {field!r} is missing, empty or no list"
        raise FormatError(Code.RECORD_FIELD, message)
    return value


def check_encodable(text: str, *, place: str) -> None:
    """Return if UTF-8, which tokenizers want, can spell `text`.

    Raises:
        FormatError: `RECORD_MALFORMED`.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError(
            Code.RECORD_MALFORMED, f"{place}: text with half a surrogate pair"
        ) from None


def label_index(value: Any, *, recipe: Recipe, field: str, place: str) -> int:
    """Return the index of the label `value`, a name or an index, which stands in `field`.

    Raises:
        FormatError: `RECORD_FIELD` or `LABEL_OUT_OF_RANGE`.
    """
    count = len(recipe.labels)
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


def token_array(ids: Sequence[int], *, place: str) -> Tokens:
    """Return `ids` as an array.

    Raises:
        FormatError: `RECORD_FIELD`: there is none.
    """
    if not ids:
        raise FormatError(Code.RECORD_FIELD, f"{place}: its text gives no token")
    return np.array(ids, dtype=np.int64)


def too_long(subject: str, *, recipe: Recipe) -> FormatError:
    """Return the error for what is too long and may not be cut; `subject` ends in "has"."""
    return FormatError(
        Code.RECORD_TOO_LONG,
        f"{subject} more than max_length {recipe.max_length} tokens",
        remedy="raise max_length, agree on another overflow, or leave the record out",
    )


def nothing_to_learn(place: str, *, recipe: Recipe) -> FormatError:
    """Return the error for a record of which no prediction would enter the loss."""
    return FormatError(
        Code.RECORD_MALFORMED,
        f"{place}: no token to learn within max_length {recipe.max_length}",
        remedy="raise max_length, or leave the record out",
    )
