"""Every byte of a bundle matters, and nothing rearranged, cut or grown opens (spec/bundle §7)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sealtune.bundle.reader import open_bundle_file
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.stream import ciphertext_length
from sealtune.errors import SealtuneError
from sealtune.testing.bundle_parts import BundleParts, flip

FILES = {"a.txt": b"first file", "b.txt": b"other file", "c.txt": b"x" * 20000}
PROPERTY = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def refuses(path: Path, recipient: Identity) -> bool:
    """Open the file as its recipient; fail if it shows any plaintext that is not the original's."""
    try:
        with open_bundle_file(path) as bundle:
            reader = bundle.unlock(bundle.unwrap(recipient.recipient))
            for entry, plaintext in reader.read_all():
                assert FILES[entry.name] == plaintext
    except SealtuneError:
        return True
    return False


def test_every_single_byte_flip_is_refused(
    make_bundle: Callable[..., Path], owner: Identity, broker: Identity
) -> None:
    path = make_bundle(files={"a.txt": FILES["a.txt"]}, recipients=[owner, broker])
    original = path.read_bytes()
    accepted = []
    descriptor = os.open(path, os.O_RDWR)
    for at in range(len(original)):
        os.pwrite(descriptor, bytes([original[at] ^ (1 << at % 8)]), at)
        if not refuses(path, broker):
            accepted.append(at)
        os.pwrite(descriptor, original[at : at + 1], at)
    os.close(descriptor)
    assert accepted == []
    assert not refuses(path, broker)


def test_every_cut_is_refused(make_bundle: Callable[..., Path], broker: Identity) -> None:
    path = make_bundle(files={"a.txt": FILES["a.txt"]})
    original = path.read_bytes()
    for length in range(len(original) - 1, -1, -1):
        os.truncate(path, length)
        assert refuses(path, broker), length


def spans(size: int) -> st.SearchStrategy[tuple[int, int]]:
    place = st.integers(0, size)
    return st.tuples(place, place).map(lambda pair: (min(pair), max(pair)))


@PROPERTY
@given(data=st.data())
def test_what_is_rearranged_anywhere_is_refused(
    data: Any, make_bundle: Callable[..., Path], broker: Identity
) -> None:
    path = make_bundle()
    original = path.read_bytes()
    start, end = data.draw(spans(len(original)))
    to = data.draw(st.integers(0, len(original)))
    part = original[start:end]
    changed = {
        "drop": original[:start] + original[end:],
        "repeat": original[:end] + part + original[end:],
        "copy over": original[:to] + part + original[to + len(part) :],
        "insert": original[:to] + part + original[to:],
        "zero": original[:start] + bytes(len(part)) + original[end:],
        "reverse": original[:start] + part[::-1] + original[end:],
    }[data.draw(st.sampled_from(["drop", "repeat", "copy over", "insert", "zero", "reverse"]))]
    assume(changed != original)
    path.write_bytes(changed)
    assert refuses(path, broker)


@PROPERTY
@given(data=st.data())
def test_a_flip_in_any_part_is_refused(
    data: Any, make_bundle: Callable[..., Path], broker: Identity
) -> None:
    path = make_bundle()
    parts = BundleParts.read(path)
    name = data.draw(st.sampled_from(["body", "manifest", "header_block", "slots_block"]))
    part = getattr(parts, name)
    at, bit = data.draw(st.integers(0, len(part) - 1)), data.draw(st.integers(0, 7))
    setattr(parts, name, flip(part, at, bit=bit))
    assert refuses(parts.write(path), broker)


@PROPERTY
@given(order=st.lists(st.integers(0, 2), min_size=0, max_size=4))
def test_entries_in_any_other_order_are_refused(
    order: list[int], make_bundle: Callable[..., Path], broker: Identity
) -> None:
    assume(order != [0, 1, 2])
    path = make_bundle()
    parts = BundleParts.read(path)
    streams = parts.streams([len(data) for data in FILES.values()])
    parts.body = b"".join(streams[index] for index in order)
    assert refuses(parts.write(path), broker)


@pytest.mark.parametrize("part", ["body", "manifest", "header_block", "slots_block"])
def test_a_part_of_another_bundle_of_the_same_owner_and_key_is_refused(
    part: str, make_bundle: Callable[..., Path], broker: Identity
) -> None:
    key = ContentKey.generate()
    path, other = make_bundle(key=key), make_bundle("other.bundle", key=key)
    parts = BundleParts.read(path)
    setattr(parts, part, getattr(BundleParts.read(other), part))
    assert refuses(parts.write(path), broker)


def test_the_parts_are_where_the_specification_says(make_bundle: Callable[..., Path]) -> None:
    path = make_bundle()
    parts = BundleParts.read(path)
    assert parts.to_bytes() == path.read_bytes()
    assert len(parts.body) == sum(ciphertext_length(len(data)) for data in FILES.values())
    assert set(parts.header) == {
        "body_digest",
        "body_length",
        "bundle_id",
        "format",
        "kind",
        "manifest_digest",
        "manifest_length",
        "owner",
    }


def test_nothing_of_names_counts_and_facts_is_visible(make_bundle: Callable[..., Path]) -> None:
    few = make_bundle(files={"secret-name": b"1"})
    many = make_bundle("many.bundle", files={f"secret-name-{i}": b"" for i in range(20)})
    assert b"secret" not in few.read_bytes() + many.read_bytes()
    # spec/bundle §6: padding hides how many entries there are.
    lengths = {BundleParts.read(path).header["manifest_length"] for path in (few, many)}
    assert len(lengths) == 1
