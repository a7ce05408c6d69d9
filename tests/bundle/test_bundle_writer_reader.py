"""Writing and reading bundles: round trips, random access, misuse, damage (spec/bundle §3, §7)."""

from __future__ import annotations

import io
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Entry, Media
from sealtune.bundle.reader import (
    BundleReader,
    open_bundle_file,
    open_expected_bundle,
    verify_body,
)
from sealtune.bundle.writer import BundleWriter
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import MIB
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.stream import CHUNK_BYTES, HEAD_BYTES, TAG_BYTES
from sealtune.errors import (
    Code,
    ConfigError,
    FormatError,
    SealtuneError,
    StorageError,
    VerificationError,
)
from sealtune.testing.bundle_parts import BundleParts, HostileOwner, flip

FILES = {"a.txt": b"first file", "b.txt": b"other file", "c.txt": b"x" * 20000}
# Lengths around the borders of chunks (16 KiB) and of the writer's and the reader's steps.
LENGTHS = [0, 1, 16383, 16384, 16385, MIB // 2, MIB - 56, MIB, MIB + 1, 2 * MIB + 12345]


def reader_of(path: Path, recipient: Identity) -> BundleReader:
    bundle = open_bundle_file(path)
    return bundle.unlock(bundle.unwrap(recipient.recipient))


def new_writer(owner: Identity, file: Any = None) -> BundleWriter:
    return BundleWriter(
        file or io.BytesIO(),
        kind=BundleKind.RESULT,
        owner=owner.signing,
        key=ContentKey.generate(),
    )


Alone = Callable[..., tuple[BundleReader, Entry]]


@pytest.fixture
def alone(make_bundle: Callable[..., Path], broker: Identity) -> Alone:
    """A function that seals one entry and returns how to read it, with a byte changed if asked."""

    def make(data: bytes, *, forge: int | None = None) -> tuple[BundleReader, Entry]:
        path = make_bundle(files={"a": data})
        if forge is not None:
            parts = BundleParts.read(path)
            parts.body = flip(parts.body, HEAD_BYTES + forge + forge // CHUNK_BYTES * TAG_BYTES)
            parts.write(path)
        reader = reader_of(path, broker)
        return reader, reader.find("a")

    return make


def test_what_is_sealed_opens_whole_and_by_entry(
    make_bundle: Callable[..., Path], broker: Identity
) -> None:
    files = {f"f{length}": os.urandom(length) for length in LENGTHS}
    path = make_bundle(files=files)
    reader = reader_of(path, broker)
    assert {entry.name: bytes(data) for entry, data in reader.read_all()} == files
    for entry in reversed(reader.entries):
        assert reader.read(entry) == files[entry.name]
    assert reader.facts == {"note": "test"}
    assert verify_body(path) == reader.header


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_pieces_of_any_size_make_the_same_plaintext(
    data: Any, tmp_path: Path, owner: Identity, broker: Identity
) -> None:
    sizes = data.draw(st.lists(st.sampled_from([0, 1, 100, 16384, 70000]), max_size=6))
    pieces = [os.urandom(size) for size in sizes]
    kind = data.draw(st.sampled_from([bytes, bytearray, memoryview]))
    path = tmp_path / "pieces.bundle"
    with path.open("wb") as file:
        writer = new_writer(owner, file)
        writer.add_entry("a", (kind(piece) for piece in pieces), media=Media.FILE)
        writer.finish(facts={}, recipients=[broker.public.recipient])
    reader = reader_of(path, broker)
    assert reader.read(reader.find("a")) == b"".join(pieces)


def test_read_into_fills_the_given_memory_only(
    make_bundle: Callable[..., Path], broker: Identity
) -> None:
    reader = reader_of(make_bundle(), broker)
    room = bytearray(b"-" * 30)
    reader.read_into(reader.find("a.txt"), memoryview(room)[10:20])
    assert room == b"-" * 10 + b"first file" + b"-" * 10
    for length in (9, 11):
        with pytest.raises(ValueError, match="destination"):
            reader.read_into(reader.find("a.txt"), memoryview(bytearray(length)))


def test_one_pass_into_the_callers_memory(
    make_bundle: Callable[..., Path], broker: Identity
) -> None:
    path = make_bundle()
    reader = reader_of(path, broker)
    room = memoryview(bytearray(20000))
    found = {}
    for entry in reader.read_all_into(lambda entry: room[: entry.length]):
        found[entry.name] = bytes(room[: entry.length])
    assert found == FILES
    with pytest.raises(ValueError, match="destination"):
        list(reader.read_all_into(lambda entry: room))


def test_a_destination_of_several_dimensions_is_filled(
    make_bundle: Callable[..., Path], broker: Identity
) -> None:
    reader = reader_of(make_bundle(files={"a": b"\1\2\3\4\5\6\7\x08", "empty": b""}), broker)
    array = np.zeros((2, 2), dtype="<u2")
    reader.read_into(reader.find("a"), memoryview(array))
    assert array.tolist() == [[0x0201, 0x0403], [0x0605, 0x0807]]
    reader.read_into(reader.find("empty"), memoryview(np.zeros((0, 3))))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    length=st.one_of(st.sampled_from(LENGTHS), st.integers(0, 300_000)),
    multiple=st.sampled_from([1, 2, 4608, 16384, 65536, 100_000]),
    spare=st.one_of(st.just(0), st.integers(0, 2 * MIB)),
)
def test_pieces_of_whole_rows_make_the_plaintext(
    length: int, multiple: int, spare: int, alone: Alone
) -> None:
    data = np.random.default_rng(length).bytes(length)
    reader, entry = alone(data)
    room = memoryview(bytearray(multiple + 32768 + spare))
    pieces = [bytes(piece) for piece in reader.read_pieces(entry, room, multiple=multiple)]
    assert b"".join(pieces) == data
    assert all(len(piece) % multiple == 0 for piece in pieces[:-1])
    assert all(pieces)


def test_pieces_are_as_large_as_their_room(alone: Alone) -> None:
    reader, entry = alone(bytes(8 * MIB))
    pieces = [len(piece) for piece in reader.read_pieces(entry, memoryview(bytearray(2 * MIB)))]
    assert min(pieces[:-1]) > MIB
    with pytest.raises(ValueError, match="no room"):
        reader.read_pieces(entry, memoryview(bytearray(40_000)), multiple=10_000)


def test_two_readings_by_piece_do_not_disturb_each_other(alone: Alone) -> None:
    data = os.urandom(300_000)
    reader, entry = alone(data)
    found = [bytearray(), bytearray()]
    rooms = [memoryview(bytearray(70_000)) for _ in found]
    both = [reader.read_pieces(entry, room, multiple=7) for room in rooms]
    for first, second in zip(*both, strict=True):
        found[0] += first
        assert reader.read(entry) == data
        found[1] += second
    assert found == [data, data]


@pytest.mark.parametrize("at", [100, 150_000, 299_999])
def test_a_changed_byte_stops_the_pieces_before_it_and_clears_them(at: int, alone: Alone) -> None:
    data = bytes(range(1, 251)) * 1200
    reader, entry = alone(data, forge=at)
    room, good = memoryview(bytearray(60_000)), bytearray()
    with pytest.raises(VerificationError) as caught:
        for piece in reader.read_pieces(entry, room):
            good += piece
    assert caught.value.code is Code.STREAM_FORGED
    assert data.startswith(good)
    assert len(good) <= at
    assert room == bytes(len(room))


def test_a_forged_entry_leaves_zeros(make_bundle: Callable[..., Path], broker: Identity) -> None:
    length = 3 * MIB
    path = make_bundle(files={"a": b"x" * length, "b": b"y" * 100})
    parts = BundleParts.read(path)
    parts.body = flip(parts.body, length)
    reader = reader_of(parts.write(path), broker)
    room = bytearray(b"-" * length)
    with pytest.raises(VerificationError) as caught:
        reader.read_into(reader.find("a"), memoryview(room))
    assert caught.value.code is Code.STREAM_FORGED
    assert room == bytes(length)
    # Random access: damage elsewhere does not matter to this entry.
    assert reader.read(reader.find("b")) == b"y" * 100
    with pytest.raises(VerificationError):
        verify_body(path)


def test_read_all_checks_the_body_digest_at_its_end(
    tmp_path: Path, owner: Identity, broker: Identity
) -> None:
    hostile = HostileOwner(
        signing=owner.signing, key=ContentKey.generate(), recipients=(broker.public.recipient,)
    )
    manifest = {"entries": [{"length": 1, "media": "file", "name": "a"}], "facts": {}}
    changes = {"body_digest": "blake3:" + "0" * 64}
    parts = hostile.bundle([b"a"], manifest, header_changes=changes)
    path = parts.write(tmp_path / "lie.bundle")
    entries = reader_of(path, broker).read_all()
    next(entries)
    with pytest.raises(VerificationError) as caught:
        next(entries)
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST
    with pytest.raises(VerificationError) as caught:
        verify_body(path)
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST


def test_many_threads_read_at_once(make_bundle: Callable[..., Path], broker: Identity) -> None:
    files = {f"f{i}": os.urandom(200_000 + i) for i in range(8)}
    reader = reader_of(make_bundle(files=files), broker)
    wrong: list[str] = []

    def work() -> None:
        for _ in range(5):
            wrong.extend(e.name for e in reader.entries if reader.read(e) != files[e.name])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_caller_learns_whose_bundle_it_is(
    make_bundle: Callable[..., Path], owner: Identity, stranger: Identity
) -> None:
    path = make_bundle()
    with open_bundle_file(path) as bundle:
        digest = bundle.digest
        assert bundle.owner == owner.signing.public
        assert bundle.size == path.stat().st_size
        assert bundle.expect_owner(owner.signing.public) is bundle
        assert bundle.expect_kind(BundleKind.RESULT) is bundle
        with pytest.raises(VerificationError) as caught:
            bundle.expect_owner(stranger.signing.public)
        assert caught.value.code is Code.BUNDLE_OWNER
        with pytest.raises(ConfigError) as wrong:
            bundle.expect_kind(BundleKind.MODEL)
        assert wrong.value.code is Code.BUNDLE_KIND
    with open_expected_bundle(path, digest=digest) as bundle:
        assert bundle.digest == digest
    with pytest.raises(VerificationError) as caught:
        open_expected_bundle(path, digest=sha256_digest(b""))
    assert caught.value.code is Code.BUNDLE_DIGEST


def test_another_key_does_not_unlock(make_bundle: Callable[..., Path]) -> None:
    with open_bundle_file(make_bundle()) as bundle:
        with pytest.raises(VerificationError) as caught:
            bundle.unlock(ContentKey.generate())
        assert caught.value.code is Code.STREAM_FORGED


def test_an_entry_that_is_not_there_is_named(
    make_bundle: Callable[..., Path], broker: Identity
) -> None:
    with pytest.raises(ConfigError) as caught:
        reader_of(make_bundle(), broker).find("d.txt")
    assert caught.value.code is Code.BUNDLE_ENTRY_MISSING


def test_a_closed_bundle_reads_nothing(make_bundle: Callable[..., Path], broker: Identity) -> None:
    with open_bundle_file(make_bundle()) as bundle:
        reader = bundle.unlock(bundle.unwrap(broker.recipient))
    with pytest.raises(RuntimeError):
        reader.read(reader.entries[0])


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    make(tmp_path / "thing")
    with pytest.raises(FormatError) as caught:
        open_bundle_file(tmp_path / "thing")
    assert caught.value.code is Code.BUNDLE_MALFORMED


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        open_bundle_file(tmp_path / "none.bundle")
    assert caught.value.code is Code.FILE_MISSING


def test_a_file_cut_while_it_is_open_is_refused(
    make_bundle: Callable[..., Path], broker: Identity
) -> None:
    path = make_bundle()
    reader = reader_of(path, broker)
    os.truncate(path, 100)
    with pytest.raises(FormatError) as caught:
        reader.read(reader.find("c.txt"))
    assert caught.value.code is Code.BUNDLE_TRUNCATED


def test_a_changed_manifest_is_seen_without_a_key(make_bundle: Callable[..., Path]) -> None:
    path = make_bundle()
    parts = BundleParts.read(path)
    parts.manifest = flip(parts.manifest, -1)
    with pytest.raises(VerificationError) as caught:
        open_bundle_file(parts.write(path))
    assert caught.value.code is Code.MANIFEST_DIGEST


def test_the_manifest_is_checked_again_when_it_is_used(
    make_bundle: Callable[..., Path], broker: Identity
) -> None:
    path = make_bundle()
    parts = BundleParts.read(path)
    bundle = open_bundle_file(path)
    key = bundle.unwrap(broker.recipient)
    parts.manifest = flip(parts.manifest, 0)
    parts.write(path)
    with pytest.raises(VerificationError) as caught:
        bundle.unlock(key)
    assert caught.value.code is Code.MANIFEST_DIGEST


@pytest.mark.parametrize("length", range(24))
def test_a_file_shorter_than_magic_and_footer_is_cut(length: int, tmp_path: Path) -> None:
    path = tmp_path / "short.bundle"
    path.write_bytes(b"SEALTUN1\0\0\0\0\0\0\0\x001NUTLAES"[:length])
    with pytest.raises(FormatError) as caught:
        open_bundle_file(path)
    assert caught.value.code is Code.BUNDLE_TRUNCATED


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=200))
def test_any_bytes_raise_only_our_errors(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any.bundle"
    for content in (data, b"SEALTUN1" + data + bytes(7) + b"\x01" + b"1NUTLAES"):
        path.write_bytes(content)
        with pytest.raises(SealtuneError):
            open_bundle_file(path)


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("../a", {}, Code.ENTRY_NAME_UNSAFE),
        ("a", {"count": 1}, None),
        ("t", {"media": Media.TENSOR, "dtype": "F32", "shape": [1]}, Code.MANIFEST_MALFORMED),
        ("t", {"media": Media.TENSOR, "dtype": "F99", "shape": [10]}, Code.MANIFEST_MALFORMED),
        ("first", {}, Code.MANIFEST_MALFORMED),
    ],
)
def test_the_writer_refuses_what_a_reader_would(
    name: str, more: dict[str, Any], code: Code | None, owner: Identity, broker: Identity
) -> None:
    writer = new_writer(owner)
    writer.add_entry("first", b"", media=Media.FILE)
    if code is None:
        writer.add_entry(name, b"0123456789", **({"media": Media.FILE} | more))
        return
    with pytest.raises(FormatError) as caught:
        writer.add_entry(name, b"0123456789", **({"media": Media.FILE} | more))
    assert caught.value.code is code
    # What a failed writer has written is not made into a bundle.
    with pytest.raises(RuntimeError):
        writer.finish(facts={}, recipients=[broker.public.recipient])


def test_an_array_without_elements_is_sealed(owner: Identity) -> None:
    empty = memoryview(np.zeros((0, 3), dtype="f4"))
    entry = new_writer(owner).add_entry("t", empty, media=Media.TENSOR, dtype="F32", shape=[0, 3])
    assert entry.length == 0


def test_a_writer_whose_input_fails_is_done(owner: Identity, broker: Identity) -> None:
    def failing() -> Iterator[bytes]:
        yield b"a"
        raise OSError("gone")

    writer = new_writer(owner)
    with pytest.raises(OSError, match="gone"):
        writer.add_entry("a", failing(), media=Media.FILE)
    with pytest.raises(RuntimeError):
        writer.add_entry("b", b"", media=Media.FILE)


def test_a_writer_finishes_once_and_not_empty(owner: Identity, broker: Identity) -> None:
    keys = [broker.public.recipient]
    with pytest.raises(ValueError, match="entry"):
        new_writer(owner).finish(facts={}, recipients=keys)
    writer = new_writer(owner)
    writer.add_entry("a", b"", media=Media.FILE)
    writer.finish(facts={}, recipients=keys)
    with pytest.raises(RuntimeError):
        writer.finish(facts={}, recipients=keys)
    with pytest.raises(RuntimeError):
        writer.add_entry("b", b"", media=Media.FILE)


def test_a_bundle_id_has_16_bytes(owner: Identity) -> None:
    with pytest.raises(ValueError, match="16"):
        BundleWriter(
            io.BytesIO(),
            kind=BundleKind.RESULT,
            owner=owner.signing,
            key=ContentKey.generate(),
            bundle_id=bytes(15),
        )


def test_two_bundles_of_one_content_share_nothing_visible(make_bundle: Callable[..., Path]) -> None:
    first = BundleParts.read(make_bundle())
    second = BundleParts.read(make_bundle("second.bundle"))
    assert first.header["bundle_id"] != second.header["bundle_id"]
    assert first.header["body_digest"] != second.header["body_digest"]


def test_an_entry_too_many_is_refused(owner: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealtune.bundle.writer.BUNDLE_ENTRIES_MAX", 1)
    writer = new_writer(owner)
    writer.add_entry("a", b"", media=Media.FILE)
    with pytest.raises(FormatError) as caught:
        writer.add_entry("b", b"", media=Media.FILE)
    assert caught.value.code is Code.MANIFEST_MALFORMED


def test_a_manifest_beyond_its_limit_is_refused(
    owner: Identity, broker: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealtune.bundle.writer.BUNDLE_MANIFEST_BYTES_MAX", 4096)
    writer = new_writer(owner)
    writer.add_entry("a", b"", media=Media.FILE)
    with pytest.raises(FormatError) as caught:
        writer.finish(facts={}, recipients=[broker.public.recipient])
    assert caught.value.code is Code.LIMIT_EXCEEDED


def test_sealing_and_opening_hold_one_step_in_memory(
    tmp_path: Path, owner: Identity, broker: Identity
) -> None:
    path, data = tmp_path / "large.bundle", memoryview(bytearray(48 * MIB))
    tracemalloc.start()
    try:
        with path.open("wb") as file:
            writer = new_writer(owner, file)
            writer.add_entry("a", data, media=Media.FILE)
            writer.finish(facts={}, recipients=[broker.public.recipient])
        reader = reader_of(path, broker)
        reader.read_into(reader.find("a"), data)
        verify_body(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * MIB
