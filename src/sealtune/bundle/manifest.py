"""The encrypted manifest: what a bundle's entries are and the facts about them (spec/bundle §6).

Parsing assumes nothing about who wrote it: a recipient opens manifests of owners that it does not
trust, so names, sizes and shapes are checked here before anyone acts on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Any, Final

from sealtune.bundle.dtypes import DTYPES
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.limits import (
    BUNDLE_ENTRIES_MAX,
    BUNDLE_ENTRY_NAME_MAX,
    BUNDLE_MANIFEST_BYTES_MAX,
    OWNED_JSON_MARKS_MAX,
    TENSOR_RANK_MAX,
)
from sealtune.crypto.stream import ciphertext_length
from sealtune.errors import Code, FormatError

PADDING_BYTES: Final = 4096  # else the manifest's length would tell how many entries there are
_INT_MAX = 2**53 - 1
# spec/bundle §6.2: an allow-list, so that no separator, dot-dot, hidden file or control character
# needs a rule of its own.
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Media(StrEnum):
    """What an entry's plaintext is."""

    TENSOR = "tensor"
    RECORDS = "records"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry: its plaintext `length` and where its stream begins in the body.

    Tensors have `dtype` (as safetensors names it) and `shape`, shards of records have `count`.
    """

    index: int
    name: str
    media: Media
    length: int
    offset: int
    dtype: str = ""
    shape: tuple[int, ...] = ()
    count: int = 0

    @property
    def stored_length(self) -> int:
        """The length in bytes of the entry's stream."""
        return ciphertext_length(self.length)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as the manifest has it; index and offset follow from the order."""
        fields: dict[str, Any] = {
            "length": self.length,
            "media": self.media.value,
            "name": self.name,
        }
        if self.media is Media.TENSOR:
            fields |= {"dtype": self.dtype, "shape": list(self.shape)}
        elif self.media is Media.RECORDS:
            fields["count"] = self.count
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Entries in the order of the body, and facts about the whole."""

    entries: tuple[Entry, ...]
    facts: Mapping[str, Any]

    def to_plaintext(self) -> bytes:
        """Return canonical JSON padded with spaces to a multiple of `PADDING_BYTES`."""
        rows = [entry.to_dict() for entry in self.entries]
        data = canonical_json({"entries": rows, "facts": dict(self.facts)})
        return data + b" " * (-len(data) % PADDING_BYTES)


def parse_manifest(plaintext: bytes, *, body_length: int) -> Manifest:
    """Return the manifest in `plaintext`, whose entries fill exactly `body_length` bytes.

    Raises:
        FormatError: another form, a name unsafe or used twice, a shape that does not give the
            length, or entries that do not fill the body.
    """
    value = parse_json(
        plaintext,
        limit=BUNDLE_MANIFEST_BYTES_MAX,
        marks=OWNED_JSON_MARKS_MAX,
        what="bundle manifest",
    )
    if not isinstance(value, dict) or value.keys() != {"entries", "facts"}:
        raise _malformed("not an object with exactly entries, facts")
    rows, facts = value["entries"], value["facts"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= BUNDLE_ENTRIES_MAX:
        raise _malformed(f"entries is not a list of 1 to {BUNDLE_ENTRIES_MAX}")
    if not isinstance(facts, dict):
        raise _malformed("facts is not an object")
    entries: list[Entry] = []
    offset = 0
    for index, row in enumerate(rows):
        entry = entry_from_dict(row, index=index, offset=offset)
        offset += entry.stored_length
        entries.append(entry)
    # spec/bundle §6.1: offsets follow from the lengths, so entries can neither overlap nor leave
    # bytes that nobody looks at.
    if offset != body_length:
        raise _malformed("the entries do not fill the body")
    if len({entry.name for entry in entries}) != len(entries):
        raise _malformed("one name twice")
    return Manifest(entries=tuple(entries), facts=facts)


_FIELDS = {
    Media.TENSOR: {"length", "media", "name", "dtype", "shape"},
    Media.RECORDS: {"length", "media", "name", "count"},
    Media.FILE: {"length", "media", "name"},
}


def entry_from_dict(row: Any, *, index: int, offset: int) -> Entry:
    """Return the entry that the JSON object `row` is, at its place.

    Raises:
        FormatError: another form, an unsafe name, or a shape that does not give the length.
    """
    media = _media(row)
    if row.keys() != _FIELDS[media]:
        raise _malformed(f"entry {index}: not exactly the fields of a {media.value} entry")
    length = _integer(row["length"], f"entry {index}: length")
    entry = Entry(
        index=index,
        name=_name(row["name"], media=media),
        media=media,
        length=length,
        offset=offset,
        dtype=_dtype(row["dtype"], index) if media is Media.TENSOR else "",
        shape=_shape(row["shape"], index) if media is Media.TENSOR else (),
        count=_integer(row["count"], f"entry {index}: count") if media is Media.RECORDS else 0,
    )
    if media is Media.TENSOR and prod(entry.shape) * DTYPES[entry.dtype].size != length:
        raise _malformed(f"entry {index}: shape and dtype do not give the length")
    return entry


def _media(row: Any) -> Media:
    value = row.get("media") if isinstance(row, dict) else None
    if not isinstance(value, str) or value not in set(Media):
        raise _malformed("an entry of unknown media")
    return Media(value)


def _name(value: Any, *, media: Media) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= BUNDLE_ENTRY_NAME_MAX:
        raise _malformed(f"an entry's name is not a text of 1 to {BUNDLE_ENTRY_NAME_MAX}")
    if _CONTROL.search(value):
        raise FormatError(Code.ENTRY_NAME_UNSAFE, "an entry's name has control characters")
    # Only files and shards become names on a disk; a tensor's name may hold any character.
    if media is not Media.TENSOR and not _FILE_NAME.fullmatch(value):
        message = f"entry name {value[:80]!r} is no plain file name"
        remedy = "letters, digits, dot, dash and underscore; no leading dot; at most 255"
        raise FormatError(Code.ENTRY_NAME_UNSAFE, message, remedy=remedy)
    return value


def _dtype(value: Any, index: int) -> str:
    if not isinstance(value, str) or value not in DTYPES:
        raise _malformed(f"entry {index}: unknown dtype")
    return value


def _shape(value: Any, index: int) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > TENSOR_RANK_MAX:
        raise _malformed(f"entry {index}: shape is not a list of at most {TENSOR_RANK_MAX}")
    return tuple(_integer(item, f"entry {index}: shape") for item in value)


def _integer(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value <= _INT_MAX:
        raise _malformed(f"{what} is not an integer from 0 to 2**53 - 1")
    return value


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.MANIFEST_MALFORMED, f"bundle manifest: {reason}")
