"""What a task wants of each record, and the classes that a dataset has (spec/bundle §6.4).

Checked while sealing, on the owner's machine: inside the enclave nobody could look at the line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sealtune.bundle.images import check_image_text
from sealtune.bundle.records import Place, Record
from sealtune.core.limits import LABELS_MAX
from sealtune.errors import Code, ConfigError, FormatError


class Task(StrEnum):
    """What the records are for."""

    CAUSAL_LM = "causal-lm"
    TEXT_CLASSIFICATION = "text-classification"
    TOKEN_CLASSIFICATION = "token-classification"  # noqa: S105 - a task, no password
    IMAGE_CLASSIFICATION = "image-classification"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFields:
    """The names of the fields that a task reads; a contract's recipe names the same."""

    text: str = "text"
    label: str = "label"
    messages: str = "messages"
    prompt: str = "prompt"
    completion: str = "completion"
    tokens: str = "tokens"
    tags: str = "tags"
    image: str = "image"


class Labels:
    """The classes of a dataset: given in order, or collected from its records.

    A label is the name of a class or its number, counted from 0; one dataset keeps to one of both.
    """

    def __init__(self, names: Sequence[str] | None) -> None:
        """Begin with the classes `names` in order; None collects them.

        Raises:
            ConfigError: no name, too many, an empty one or one twice.
        """
        self._given = None if names is None else _checked_names(names)
        self._known = set(self._given or ())
        self._highest = -1
        self._seen: set[str] = set()
        self._type: type | None = None

    def see(self, place: Place, label: Any) -> None:
        """Take note of one record's label.

        Raises:
            FormatError: no text or number, not of the kind of the labels before it, or not one of
                the given classes; names the line.
        """
        # `True` is an int to isinstance, but no label.
        if not isinstance(label, str | int) or isinstance(label, bool) or label == "":
            reason = "the label is missing or neither text nor a whole number"
            raise place.refuse(reason, code=Code.RECORD_FIELD)
        self._type = self._type or type(label)
        if type(label) is not self._type:
            reason = "the label is a number where others are text, or the reverse"
            raise place.refuse(reason, code=Code.RECORD_FIELD)
        if isinstance(label, int):
            self._see_number(place, label)
        else:
            self._see_name(place, label)
            self._seen.add(label)

    def names(self) -> list[str]:
        """Return the names of the classes in order: as given, or sorted."""
        if self._given is not None:
            return list(self._given)
        if self._highest >= 0:
            return [str(number) for number in range(self._highest + 1)]
        return sorted(self._known)

    def unseen(self) -> list[str]:
        """Return the names of the classes that no record has: nobody can learn them."""
        return [name for name in self.names() if name not in self._seen]

    def _see_number(self, place: Place, label: int) -> None:
        limit = LABELS_MAX if self._given is None else len(self._given)
        if not 0 <= label < limit:
            raise _out_of_range(place, f"the label's number is not from 0 to {limit - 1}")
        self._highest = max(self._highest, label)
        self._seen.add(str(label) if self._given is None else self._given[label])

    def _see_name(self, place: Place, label: str) -> None:
        if label in self._known:
            return
        if self._given is not None:
            raise _out_of_range(place, f"the label is none of the {len(self._given)} given")
        if len(self._known) == LABELS_MAX:
            raise _out_of_range(place, f"more than {LABELS_MAX} different labels")
        self._known.add(label)


def record_check(
    task: Task | None, *, fields: RecordFields, labels: Labels
) -> Callable[[Place, Record], None]:
    """Return the function that refuses a record that `task` cannot use; None takes any object."""
    if task is None:
        return lambda _place, _record: None
    if task is Task.TEXT_CLASSIFICATION:
        return lambda place, record: _check_classified(place, record, fields, labels)
    if task is Task.TOKEN_CLASSIFICATION:
        return lambda place, record: _check_words(place, record, fields, labels)
    if task is Task.IMAGE_CLASSIFICATION:
        return lambda place, record: _check_image(place, record, fields, labels)
    return lambda place, record: _check_generated(place, record, fields)


def _check_classified(place: Place, record: Record, fields: RecordFields, labels: Labels) -> None:
    _check_text(place, record, fields.text)
    labels.see(place, record.get(fields.label))


def _check_words(place: Place, record: Record, fields: RecordFields, labels: Labels) -> None:
    words, tags = record.get(fields.tokens), record.get(fields.tags)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise place.refuse(
            f"the field {fields.tokens!r} is no list of words", code=Code.RECORD_FIELD
        )
    if not isinstance(tags, list) or len(tags) != len(words) or not words:
        reason = f"the field {fields.tags!r} is no list of one label for each word"
        raise place.refuse(reason, code=Code.RECORD_FIELD)
    for tag in tags:
        labels.see(place, tag)


def _check_image(place: Place, record: Record, fields: RecordFields, labels: Labels) -> None:
    _check_text(place, record, fields.image)
    check_image_text(record[fields.image], where=str(place))
    labels.see(place, record.get(fields.label))


def _check_generated(place: Place, record: Record, fields: RecordFields) -> None:
    paired = fields.prompt in record and fields.completion in record
    if (fields.text in record) + (fields.messages in record) + paired != 1:
        pair = f"the fields {fields.prompt!r} and {fields.completion!r}"
        reason = f"needs either the field {fields.text!r}, the field {fields.messages!r} or {pair}"
        raise place.refuse(reason, code=Code.RECORD_FIELD)
    if fields.messages in record:
        _check_messages(place, record, fields.messages)
    elif paired:
        _check_text(place, record, fields.prompt)
        _check_text(place, record, fields.completion)
    else:
        _check_text(place, record, fields.text)


def _check_text(place: Place, record: Record, name: str) -> None:
    value = record.get(name)
    if not isinstance(value, str) or not value.strip():
        reason = f"the field {name!r} is missing, empty or no text"
        raise place.refuse(reason, code=Code.RECORD_FIELD)


def _check_messages(place: Place, record: Record, name: str) -> None:
    messages = record[name]
    if not isinstance(messages, list):
        raise place.refuse(f"the field {name!r} is no list of messages", code=Code.RECORD_FIELD)
    for message in messages:
        if not isinstance(message, dict):
            raise place.refuse("a message is no object", code=Code.RECORD_FIELD)
        if not all(isinstance(message.get(part), str) for part in ("role", "content")):
            raise place.refuse("a message lacks role or content", code=Code.RECORD_FIELD)
    if not any(message["role"] == "assistant" for message in messages):
        reason = "no message of the assistant, so there is nothing to learn"
        raise place.refuse(reason, code=Code.RECORD_FIELD)


def _checked_names(names: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(names) <= LABELS_MAX or len(set(names)) != len(names) or not all(names):
        message = f"labels: 1 to {LABELS_MAX} different names, none empty"
        raise ConfigError(Code.CONFIG_INVALID, message)
    return tuple(names)


def _out_of_range(place: Place, reason: str) -> FormatError:
    remedy = "correct the record, or give the complete list of labels"
    return place.refuse(reason, code=Code.LABEL_OUT_OF_RANGE, remedy=remedy)
