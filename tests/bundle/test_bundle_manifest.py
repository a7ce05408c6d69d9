"""The manifest's rules, branch by branch (spec/bundle §6)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.bundle.manifest import Entry, Manifest, Media, entry_from_dict, parse_manifest
from sealtune.core.canonical import canonical_json
from sealtune.crypto.stream import ciphertext_length
from sealtune.errors import Code, FormatError, SealtuneError

FILE = {"length": 1, "media": "file", "name": "a"}
RECORDS = {"length": 1, "media": "records", "name": "shard-00000", "count": 1}
TENSOR = {"length": 24, "media": "tensor", "name": "t", "dtype": "F32", "shape": [2, 3]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def parse(*rows: Any, body: int | None = None, facts: Any = None) -> Manifest:
    length = sum(ciphertext_length(row["length"]) for row in rows) if body is None else body
    value = {"entries": list(rows), "facts": {} if facts is None else facts}
    return parse_manifest(canonical_json(value), body_length=length)


def test_offsets_follow_from_the_lengths() -> None:
    entries = parse(FILE, RECORDS, TENSOR).entries
    assert [entry.index for entry in entries] == [0, 1, 2]
    assert [entry.offset for entry in entries] == [0, 73, 146]
    assert entries[2].shape == (2, 3)
    assert entries[1].count == 1


def test_a_manifest_survives_the_round_trip_and_is_padded() -> None:
    manifest = parse(FILE, RECORDS, TENSOR, facts={"a": [1]})
    plaintext = manifest.to_plaintext()
    assert len(plaintext) % 4096 == 0
    body = sum(entry.stored_length for entry in manifest.entries)
    assert parse_manifest(plaintext, body_length=body) == manifest


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (FILE | {"media": "code"}, Code.MANIFEST_MALFORMED),
        (FILE | {"media": ["file"]}, Code.MANIFEST_MALFORMED),
        (FILE | {"dtype": "F32"}, Code.MANIFEST_MALFORMED),
        ({"media": "file", "name": "a"}, Code.MANIFEST_MALFORMED),
        (7, Code.MANIFEST_MALFORMED),
        (FILE | {"length": -1}, Code.MANIFEST_MALFORMED),
        (FILE | {"length": True}, Code.MANIFEST_MALFORMED),
        (FILE | {"length": "1"}, Code.MANIFEST_MALFORMED),
        (FILE | {"length": 2**53}, Code.MANIFEST_MALFORMED),
        (RECORDS | {"count": -1}, Code.MANIFEST_MALFORMED),
        (TENSOR | {"dtype": "F31"}, Code.MANIFEST_MALFORMED),
        (TENSOR | {"dtype": ["F32"]}, Code.MANIFEST_MALFORMED),
        (TENSOR | {"shape": [2]}, Code.MANIFEST_MALFORMED),
        (TENSOR | {"shape": [2, 3, 1.5]}, Code.MANIFEST_MALFORMED),
        (TENSOR | {"shape": [-2, -3]}, Code.MANIFEST_MALFORMED),
        (TENSOR | {"shape": [1] * 15 + [2, 3]}, Code.MANIFEST_MALFORMED),
        (TENSOR | {"shape": "23"}, Code.MANIFEST_MALFORMED),
        (FILE | {"name": ""}, Code.MANIFEST_MALFORMED),
        (FILE | {"name": 1}, Code.MANIFEST_MALFORMED),
        (TENSOR | {"name": "a" * 1025}, Code.MANIFEST_MALFORMED),
        (TENSOR | {"name": "a\nb"}, Code.ENTRY_NAME_UNSAFE),
        (TENSOR | {"name": "\ud800"}, Code.ENTRY_NAME_UNSAFE),
        (RECORDS | {"name": "../shard"}, Code.ENTRY_NAME_UNSAFE),
    ],
)
def test_an_entry_of_another_form_is_refused(row: Any, code: Code) -> None:
    with pytest.raises(FormatError) as caught:
        entry_from_dict(row, index=0, offset=0)
    assert caught.value.code is code


@pytest.mark.parametrize(
    "name",
    ["..", ".", ".hidden", "a/b", "/a", "a\\b", "a\0", "a\n", "-rf", "a b", "ä", "a" * 256, "C:"],
)
def test_a_file_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        entry_from_dict(FILE | {"name": name}, index=0, offset=0)
    assert caught.value.code is Code.ENTRY_NAME_UNSAFE


@pytest.mark.parametrize("name", ["model.safetensors", "_x", "a..b", "A-1", "a" * 255])
def test_a_plain_file_name_is_taken(name: str) -> None:
    assert entry_from_dict(FILE | {"name": name}, index=0, offset=0).name == name


def test_entries_fill_the_body_exactly() -> None:
    for body in (0, 72, 74):
        with pytest.raises(FormatError) as caught:
            parse(FILE, body=body)
        assert caught.value.code is Code.MANIFEST_MALFORMED


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"entries": []},
        {"entries": [], "facts": {}},
        {"entries": {}, "facts": {}},
        {"entries": 5, "facts": {}},
        {"entries": [FILE], "facts": []},
        {"entries": [FILE], "facts": {}, "more": 1},
        {"entries": [FILE, FILE], "facts": {}},
    ],
)
def test_a_manifest_of_another_form_is_refused(value: Any) -> None:
    rows = value["entries"] if isinstance(value, dict) else []
    rows = rows if isinstance(rows, list) else []
    with pytest.raises(FormatError) as caught:
        parse_manifest(canonical_json(value), body_length=73 * len(rows))
    assert caught.value.code is Code.MANIFEST_MALFORMED


@given(value=JSON, name=st.sampled_from(sorted(TENSOR)))
def test_parsing_raises_only_our_errors(value: Any, name: str) -> None:
    try:
        entry_from_dict(TENSOR | {name: value}, index=0, offset=0)
        parse_manifest(canonical_json({"entries": value, "facts": value}), body_length=1)
    except SealtuneError:
        pass


def test_an_entry_knows_the_length_of_its_stream() -> None:
    entry = Entry(index=0, name="a", media=Media.FILE, length=16384, offset=0)
    assert entry.stored_length == 16384 + 56 + 32
