"""The output disk: whole files or none after any crash, and hostile tables refused."""

from __future__ import annotations

import hashlib
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealtune.core.canonical import canonical_json
from sealtune.errors import Code, FormatError, StorageError
from sealtune.tee import output_disk
from sealtune.tee.output_disk import (
    BLOCK,
    DATA_START,
    FILES_MAX,
    SIZE_MAX,
    TABLE_BYTES,
    OutputDisk,
)

SIZE = DATA_START + 64 * BLOCK
FIRST, SECOND = "checkpoint-00000001.sealed", "checkpoint-00000002.sealed"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "output.disk"
    OutputDisk.format(path, SIZE)
    return path


def write(path: Path, name: str, content: bytes | Path) -> None:
    with OutputDisk(path, writable=True) as disk:
        disk.write_file(name, content)


def content(path: Path) -> dict[str, bytes]:
    """What a reader finds, each file checked against its digest."""
    out = path.with_name("extracted")
    with OutputDisk(path, writable=False) as disk:
        found = {}
        for name in disk.files():
            disk.extract(name, out)
            found[name] = out.read_bytes()
        return found


def table(files: Any, *, generation: int = 9, **head: Any) -> bytes:
    """A table as a hostile host would make it: its digest holds."""
    payload = files if isinstance(files, bytes) else canonical_json({"files": files})
    start = struct.pack(
        "<8sQI", head.get("magic", b"SEALOUT1"), generation, head.get("length", len(payload))
    )
    digest = hashlib.sha256(start + payload[: head.get("length", len(payload))]).digest()
    return start + digest + payload


def put(path: Path, data: bytes, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def entry(**fields: Any) -> dict[str, Any]:
    digest = "sha256:" + "0" * 64
    return {"offset": DATA_START, "bytes": 1, "sha256": digest, **fields}


def test_a_new_disk_is_private_sparse_and_empty(disk: Path) -> None:
    assert content(disk) == {}
    assert disk.stat().st_mode & 0o777 == 0o600
    assert disk.stat().st_size == SIZE
    assert disk.stat().st_blocks * 512 <= 2 * TABLE_BYTES


@pytest.mark.parametrize("size", [0, DATA_START, DATA_START + 1, SIZE_MAX + BLOCK])
def test_a_size_that_cannot_be(tmp_path: Path, size: int) -> None:
    with pytest.raises(ValueError, match="whole blocks"):
        OutputDisk.format(tmp_path / "d", size)


def test_files_come_back_from_bytes_and_from_paths(disk: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 60)
    write(disk, FIRST, b"one")
    write(disk, "result.sealed", large)
    write(disk, "receipt.json", b"{}")
    assert content(disk) == {
        FIRST: b"one",
        "result.sealed": large.read_bytes(),
        "receipt.json": b"{}",
    }


def test_a_file_is_replaced_and_removed(disk: Path) -> None:
    write(disk, FIRST, b"old")
    write(disk, FIRST, b"new")
    assert content(disk) == {FIRST: b"new"}
    with OutputDisk(disk, writable=True) as opened:
        opened.remove(FIRST, SECOND)
        opened.remove(SECOND)
        assert opened.files() == {}
    assert content(disk) == {}


def test_the_newest_of_many_states_is_read(disk: Path) -> None:
    for number in range(9):
        write(disk, FIRST, b"%d" % number)
        assert content(disk) == {FIRST: b"%d" % number}


@pytest.mark.parametrize("name", ["", "x", "../receipt.json", "checkpoint-1.sealed", "a\n"])
def test_only_names_of_output_files(disk: Path, name: str) -> None:
    with OutputDisk(disk, writable=True) as opened, pytest.raises(ValueError, match="not a name"):
        opened.write_file(name, b"x")


def test_an_empty_file_is_the_callers_mistake(disk: Path) -> None:
    with OutputDisk(disk, writable=True) as opened, pytest.raises(ValueError, match="empty"):
        opened.write_file(FIRST, b"")


def test_a_file_that_is_not_there(disk: Path, tmp_path: Path) -> None:
    with OutputDisk(disk, writable=False) as opened, pytest.raises(StorageError) as error:
        opened.extract(FIRST, tmp_path / "x")
    assert error.value.code is Code.FILE_MISSING
    with pytest.raises(StorageError):
        OutputDisk(tmp_path / "absent", writable=False)


def test_a_read_only_disk_refuses_writes(disk: Path) -> None:
    with OutputDisk(disk, writable=False) as opened, pytest.raises(StorageError):
        opened.write_file(FIRST, b"x")
    assert content(disk) == {}


def test_a_full_disk_says_so_and_keeps_what_it_has(disk: Path) -> None:
    write(disk, FIRST, b"a" * 40 * BLOCK)
    with OutputDisk(disk, writable=True) as opened:
        with pytest.raises(StorageError) as error:
            opened.write_file(SECOND, b"b" * (24 * BLOCK + 1))
        assert error.value.code is Code.DISK_FULL
        assert f"{24 * BLOCK} free" in error.value.message
        opened.write_file(SECOND, b"b" * 24 * BLOCK)
        with pytest.raises(StorageError):
            opened.write_file("receipt.json", b"c")
        # Room that a removed file leaves is used again.
        opened.remove(FIRST)
        opened.write_file("receipt.json", b"c" * 40 * BLOCK)
    assert content(disk) == {SECOND: b"b" * 24 * BLOCK, "receipt.json": b"c" * 40 * BLOCK}


def test_a_disk_that_was_made_larger_has_more_room(disk: Path) -> None:
    write(disk, FIRST, b"a" * 40 * BLOCK)
    os.truncate(disk, SIZE + 64 * BLOCK)
    write(disk, SECOND, b"b" * 60 * BLOCK)
    assert content(disk)[SECOND] == b"b" * 60 * BLOCK


def test_files_are_bounded_in_number(tmp_path: Path) -> None:
    path = tmp_path / "d"
    OutputDisk.format(path, DATA_START + 2 * FILES_MAX * BLOCK)
    with OutputDisk(path, writable=True) as opened:
        for number in range(FILES_MAX):
            opened.write_file(f"checkpoint-{number:08d}.sealed", b"x")
        with pytest.raises(StorageError) as error:
            opened.write_file("receipt.json", b"x")
        assert error.value.code is Code.DISK_FULL
        opened.write_file("checkpoint-00000000.sealed", b"y")
    # The largest table fits into its place.
    largest = {
        f"checkpoint-{number:013d}.sealed": entry(offset=2**53 - 1, bytes=2**53 - 1)
        for number in range(FILES_MAX)
    }
    assert len(canonical_json({"files": largest})) < output_disk._PAYLOAD_MAX


def test_a_source_that_shrinks_leaves_the_old_state(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "s"
    source.write_bytes(b"abc")
    write(disk, FIRST, b"old")
    real = os.fstat

    def longer(descriptor: int) -> Any:
        found = list(real(descriptor))
        found[6] += 5
        return os.stat_result(found)

    monkeypatch.setattr(output_disk.os, "fstat", longer)
    with pytest.raises(StorageError) as error:
        write(disk, FIRST, source)
    assert error.value.code is Code.IO_FAILED
    monkeypatch.undo()
    assert content(disk) == {FIRST: b"old"}


def test_after_an_fsync_that_failed_nothing_more_is_written(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The table may or may not be on the disk: writing over what it frees could lose both states.
    write(disk, FIRST, b"old")
    real, calls = os.fsync, []

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        real(descriptor)

    with OutputDisk(disk, writable=True) as opened:
        monkeypatch.setattr(output_disk.os, "fsync", failing)
        for change in (
            lambda: opened.write_file(FIRST, b"new"),
            lambda: opened.write_file(FIRST, b"newer"),
            lambda: opened.remove(FIRST),
        ):
            with pytest.raises(StorageError) as error:
                change()
            assert error.value.code is Code.IO_FAILED
    assert content(disk) in ({FIRST: b"old"}, {FIRST: b"new"})


class Killed(BaseException):
    """The guest's end, at a byte that the test chose."""


def killed_after(budget: int, monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> bool:
    """Whether `change` came to its end before `budget` bytes were written."""
    real = os.pwrite
    left = budget

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        nonlocal left
        kept = data[:left]
        left -= len(kept)
        done = real(descriptor, kept, offset) if kept else 0
        if len(kept) < len(data):
            raise Killed
        return done

    with monkeypatch.context() as patch:
        patch.setattr(output_disk.os, "pwrite", pwrite)
        try:
            change()
        except Killed:
            return False
    return True


CHANGES: dict[str, Callable[[Path], None]] = {
    "add": lambda path: write(path, SECOND, b"n" * 700),
    "replace": lambda path: write(path, FIRST, b"n" * 700),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_at_any_byte_leaves_the_old_or_the_new_state(
    disk: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    # A process's end loses nothing that it wrote, synced or not; waiting for disks shows nothing.
    monkeypatch.setattr(output_disk.os, "fsync", lambda _: None)
    # Two states in the tables already, so that half a header could bring the older one back.
    write(disk, FIRST, b"older" * 200)
    write(disk, FIRST, b"old" * 200)
    before, image = content(disk), disk.read_bytes()
    CHANGES[change](disk)
    after = content(disk)
    budget, ended, seen = 0, False, set()
    while not ended:
        disk.write_bytes(image)
        ended = killed_after(budget, monkeypatch, lambda: CHANGES[change](disk))
        found = content(disk)
        assert found in (before, after), budget
        seen.add(found == after)
        # What is left can be written again.
        if budget % 97 == 0:
            write(disk, "receipt.json", b"{}")
            assert content(disk) == {**found, "receipt.json": b"{}"}
        budget += 1
    assert found == after
    assert seen == {False, True}
    assert budget > 700


class Recorder:
    """What reaches the disk, as a power cut sees it: nothing is certain before an fsync."""

    def __init__(self) -> None:
        self.epochs: list[list[tuple[int, bytes]]] = [[]]

    def pwrite(self, _: int, data: memoryview, offset: int) -> int:
        # Kept instead of written: they may reach the disk in any order, sector by sector.
        for start in range(0, len(data), BLOCK):
            self.epochs[-1].append((offset + start, bytes(data[start : start + BLOCK])))
        return len(data)

    def fsync(self, _: int) -> None:
        self.epochs.append([])


@pytest.mark.parametrize("change", CHANGES)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 2))
def test_a_power_cut_between_sectors_leaves_the_old_or_the_new_state(
    disk: Path, monkeypatch: pytest.MonkeyPatch, change: str, seed: int, epoch: int
) -> None:
    monkeypatch.setattr(output_disk.os, "fsync", lambda _: None)
    OutputDisk.format(disk, SIZE)
    write(disk, FIRST, b"older" * 200)
    write(disk, FIRST, b"old" * 200)
    before, recorder, chance = content(disk), Recorder(), random.Random(seed)
    with monkeypatch.context() as patch:
        patch.setattr(output_disk.os, "pwrite", recorder.pwrite)
        patch.setattr(output_disk.os, "fsync", recorder.fsync)
        CHANGES[change](disk)
    assert len(recorder.epochs) == 3
    for certain in recorder.epochs[:epoch]:
        for offset, data in certain:
            put(disk, data, offset)
    under_way = list(recorder.epochs[epoch])
    chance.shuffle(under_way)
    for offset, data in under_way[: chance.randrange(len(under_way) + 1)]:
        put(disk, data[: chance.randrange(len(data) + 1)], offset)
    name = SECOND if change == "add" else FIRST
    after = {**before, name: b"n" * 700}
    found = content(disk)
    assert found in (before, after)
    if epoch == 2:
        assert found == after


@pytest.mark.parametrize("size", [0, 1, BLOCK, TABLE_BYTES, DATA_START])
def test_a_disk_without_tables_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "d"
    path.write_bytes(bytes(size))
    with pytest.raises(FormatError) as error:
        OutputDisk(path, writable=False)
    assert error.value.code is Code.OUTPUT_DISK_MALFORMED


@pytest.mark.parametrize("bit", [0, 8 * 8, 8 * 16, 8 * 20, 8 * 52], ids=str)
def test_a_torn_table_is_ignored(disk: Path, bit: int) -> None:
    write(disk, FIRST, b"old")
    write(disk, FIRST, b"new")
    # Generation 3 lies in the first place.
    data = bytearray(disk.read_bytes())
    data[bit // 8] ^= 1
    disk.write_bytes(data)
    assert content(disk) == {FIRST: b"old"}


def test_a_table_of_another_format_is_none_of_ours(disk: Path) -> None:
    write(disk, FIRST, b"good")
    put(disk, table({}, generation=9, magic=b"SEALOUT2"), 0)
    assert content(disk) == {FIRST: b"good"}


HOSTILE = {
    "not-json": b"{",
    "duplicate": b'{"files":{},"files":{}}',
    "list": b"[]",
    "files-missing": b"{}",
    "more-beside-files": b'{"files":{},"x":0}',
    "files-list": b'{"files":[]}',
    "name": {"../receipt.json": entry()},
    "name-newline": {"receipt.json\n": entry()},
    "entry-list": {FIRST: []},
    "entry-short": {FIRST: {"offset": DATA_START, "bytes": 1}},
    "entry-long": {FIRST: {**entry(), "x": 0}},
    "digest": {FIRST: entry(sha256="0" * 64)},
    "offset-bool": {FIRST: entry(offset=True)},
    "offset-float": {FIRST: b""},
    "bytes-text": {FIRST: entry(bytes="1")},
    "bytes-bool": {FIRST: entry(bytes=True)},
    "in-the-tables": {FIRST: entry(offset=DATA_START - BLOCK)},
    "negative-offset": {FIRST: entry(offset=-BLOCK)},
    "unaligned": {FIRST: entry(offset=DATA_START + 1)},
    "empty": {FIRST: entry(bytes=0)},
    "negative": {FIRST: entry(bytes=-1)},
    "beyond": {FIRST: entry(bytes=SIZE - DATA_START + 1)},
    "far-beyond": {FIRST: entry(offset=2**53 - BLOCK, bytes=2**53 - 1)},
    "overlap": {FIRST: entry(bytes=BLOCK + 1), SECOND: entry(offset=DATA_START + BLOCK)},
    "same-place": {FIRST: entry(), SECOND: entry()},
}
HOSTILE["offset-float"] = (
    b'{"files":{"receipt.json":{"bytes":1,"offset":131072.0,"sha256":"sha256:%s"}}}' % (b"0" * 64)
)


@pytest.mark.parametrize("files", HOSTILE)
def test_a_hostile_table_is_refused_and_not_passed_over(disk: Path, files: str) -> None:
    write(disk, FIRST, b"good")
    put(disk, table(HOSTILE[files]), 0)
    with pytest.raises(FormatError) as error:
        OutputDisk(disk, writable=False)
    assert error.value.code is Code.OUTPUT_DISK_MALFORMED


@pytest.mark.parametrize(("number", "refused"), [(FILES_MAX, False), (FILES_MAX + 1, True)])
def test_a_table_of_too_many_files(disk: Path, number: int, refused: bool) -> None:
    os.truncate(disk, 2 * SIZE)
    files = {
        f"checkpoint-{n:08d}.sealed": entry(offset=DATA_START + n * BLOCK) for n in range(number)
    }
    put(disk, table(files), 0)
    if refused:
        with pytest.raises(FormatError):
            OutputDisk(disk, writable=False)
    else:
        OutputDisk(disk, writable=False).close()


@pytest.mark.parametrize("generation", [0, 2**63, 2**64 - 1])
def test_a_generation_that_no_writer_reaches(disk: Path, generation: int) -> None:
    put(disk, table({}, generation=generation), 0)
    with pytest.raises(FormatError):
        OutputDisk(disk, writable=False)


def test_two_tables_of_one_generation(disk: Path) -> None:
    put(disk, table({}, generation=1), TABLE_BYTES)
    with pytest.raises(FormatError):
        OutputDisk(disk, writable=False)


def test_a_table_longer_than_its_place(disk: Path) -> None:
    padded = table(b'{"files":{}}' + b" " * TABLE_BYTES, length=2**32 - 1)[:TABLE_BYTES]
    head = padded[:20]
    data = head + hashlib.sha256(head + padded[52:]).digest() + padded[52:]
    put(disk, data, 0)
    with pytest.raises(FormatError):
        OutputDisk(disk, writable=False)


def test_content_that_is_not_what_the_table_says(disk: Path, tmp_path: Path) -> None:
    write(disk, FIRST, b"good")
    put(disk, b"evil", DATA_START)
    target = tmp_path / "t"
    target.write_bytes(b"before")
    with OutputDisk(disk, writable=False) as opened, pytest.raises(FormatError) as error:
        opened.extract(FIRST, target)
    assert error.value.code is Code.OUTPUT_DISK_MALFORMED
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.glob("*.part")] == []


@settings(max_examples=200, deadline=None)
@given(changed=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_any_header_raises_only_our_error(tmp_path_factory: Any, changed: list[Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.disk"
    data = bytearray(table({FIRST: entry()}).ljust(SIZE, b"\0"))
    for place, value in changed:
        data[place] = value
    path.write_bytes(data)
    try:
        OutputDisk(path, writable=False).close()
    except FormatError as error:
        assert error.code is Code.OUTPUT_DISK_MALFORMED
