"""Scratch space: what is written comes back, from an honest disk only, and nobody can read it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealtune.core.limits import MIB
from sealtune.errors import Code, StorageError, VerificationError
from sealtune.worker.scratch import PAGE_BYTES, EncryptedScratch

CANARY = b"activations of patient 4711 "


class Host:
    """The operator, who has the file's bytes in hand at any moment."""

    def __init__(self, scratch: EncryptedScratch) -> None:
        assert scratch._descriptor is not None
        self.descriptor = scratch._descriptor

    def bytes(self) -> bytes:
        return os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0)

    def put(self, data: bytes, *, at: int = 0) -> None:
        os.pwrite(self.descriptor, data, at)

    def cut(self, length: int) -> None:
        os.ftruncate(self.descriptor, length)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[EncryptedScratch]:
    made = EncryptedScratch(tmp_path)
    yield made
    made.close()


def rooms(parts: Sequence[bytes]) -> list[memoryview]:
    return [memoryview(bytearray(b"-" * len(part))) for part in parts]


def read(scratch: EncryptedScratch, key: int, lengths: Sequence[int]) -> list[bytes]:
    parts = [memoryview(bytearray(length)) for length in lengths]
    scratch.read_into(key, parts)
    return [bytes(part) for part in parts]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.lists(st.sampled_from([0, 1, 1000, PAGE_BYTES, PAGE_BYTES + 1]), max_size=3),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_what_is_kept_comes_back(steps: list[tuple[int, list[int], bool]], tmp_path: Path) -> None:
    scratch = EncryptedScratch(tmp_path)
    kept: dict[int, list[bytes]] = {}
    for key, lengths, forgotten in steps:
        if forgotten:
            scratch.forget(key)
            kept.pop(key, None)
        else:
            kept[key] = [os.urandom(length) for length in lengths]
            scratch.write(key, [memoryview(part) for part in kept[key]])
        for name, parts in kept.items():
            assert read(scratch, name, [len(part) for part in parts]) == parts
    scratch.close()


def test_nothing_readable_reaches_the_disk_and_no_name(
    scratch: EncryptedScratch, tmp_path: Path
) -> None:
    data = CANARY * 100_000
    scratch.write(1, [memoryview(data)])
    seen = Host(scratch).bytes()
    assert len(seen) >= len(data)
    assert CANARY not in seen
    assert CANARY[:8] not in seen
    assert list(tmp_path.iterdir()) == []


def test_the_same_content_never_looks_the_same(scratch: EncryptedScratch) -> None:
    seen = set()
    for _ in range(3):
        scratch.write(1, [memoryview(CANARY)])
        seen.add(Host(scratch).bytes())
    assert len(seen) == 3


def test_room_is_used_again(scratch: EncryptedScratch) -> None:
    data = memoryview(bytes(3 * MIB))
    for step in range(5):
        scratch.write(step, [data])
        scratch.write(7, [data])
        scratch.forget(step)
    assert len(Host(scratch).bytes()) < 8 * MIB


@pytest.mark.parametrize("at", [0, 17, PAGE_BYTES - 1, PAGE_BYTES + 15])
def test_a_flipped_bit_is_refused(scratch: EncryptedScratch, at: int) -> None:
    scratch.write(1, [memoryview(bytes(PAGE_BYTES))])
    host = Host(scratch)
    host.put(bytes([host.bytes()[at] ^ 1]), at=at)
    parts = rooms([bytes(PAGE_BYTES)])
    with pytest.raises(VerificationError) as refused:
        scratch.read_into(1, parts)
    assert refused.value.code is Code.SCRATCH_FORGED
    assert parts[0] == bytes(PAGE_BYTES)


def test_two_pages_exchanged_are_refused(scratch: EncryptedScratch) -> None:
    first, second = b"a" * 1000, b"b" * 1000
    scratch.write(1, [memoryview(first)])
    host = Host(scratch)
    one = host.bytes()
    scratch.write(2, [memoryview(second)])
    both = host.bytes()
    stride = len(both) - len(one)
    host.put(both[stride:])
    host.put(one, at=stride)
    for key in (1, 2):
        with pytest.raises(VerificationError) as refused:
            read(scratch, key, [1000])
        assert refused.value.code is Code.SCRATCH_FORGED


def test_the_last_steps_content_put_back_is_refused(scratch: EncryptedScratch) -> None:
    """It was authentic a step ago, in this very place, under this very key."""
    scratch.write(1, [memoryview(b"a" * 1000)])
    host = Host(scratch)
    old = host.bytes()
    scratch.write(1, [memoryview(b"b" * 1000)])
    fresh = host.bytes()
    assert len(fresh) == len(old)
    host.put(old)
    with pytest.raises(VerificationError) as refused:
        read(scratch, 1, [1000])
    assert refused.value.code is Code.SCRATCH_FORGED
    host.put(fresh)
    assert read(scratch, 1, [1000]) == [b"b" * 1000]


def test_a_cut_file_is_refused_and_clears_all_parts(scratch: EncryptedScratch) -> None:
    parts = [b"a" * PAGE_BYTES, b"b" * 100]
    scratch.write(1, [memoryview(part) for part in parts])
    Host(scratch).cut(PAGE_BYTES + 1000)
    room = rooms(parts)
    with pytest.raises(VerificationError) as refused:
        scratch.read_into(1, room)
    assert refused.value.code is Code.SCRATCH_FORGED
    assert [bytes(part) for part in room] == [bytes(len(part)) for part in parts]


def test_other_parts_than_were_written_are_a_mistake(scratch: EncryptedScratch) -> None:
    scratch.write(1, [memoryview(bytes(10))])
    for lengths in ([9], [11], [5, 5], []):
        with pytest.raises(ValueError, match="parts"):
            read(scratch, 1, lengths)


def test_a_full_disk_is_said_and_leaves_the_rest(tmp_path: Path) -> None:
    import resource
    import signal

    scratch = EncryptedScratch(tmp_path)
    scratch.write(1, [memoryview(b"a" * 1000)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, limits[1]))
    try:
        with pytest.raises(StorageError) as refused:
            scratch.write(2, [memoryview(bytes(8 * MIB))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert refused.value.code is Code.DISK_FULL
    assert read(scratch, 1, [1000]) == [b"a" * 1000]
    scratch.write(2, [memoryview(bytes(2 * MIB))])
    assert read(scratch, 2, [2 * MIB]) == [bytes(2 * MIB)]
    # The room that the failed writing had taken is used again.
    assert len(Host(scratch).bytes()) < 4 * MIB
    scratch.close()


def test_several_threads_keep_apart(scratch: EncryptedScratch) -> None:
    failures = []

    def work(key: int) -> None:
        try:
            for round_ in range(8):
                data = bytes([key * 16 + round_]) * (PAGE_BYTES + key)
                scratch.write(key, [memoryview(data)])
                assert read(scratch, key, [len(data)]) == [data]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(key,)) for key in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_closed_space_is_a_mistake_to_use(tmp_path: Path) -> None:
    scratch = EncryptedScratch(tmp_path)
    scratch.write(1, [memoryview(b"a")])
    scratch.close()
    with pytest.raises(RuntimeError):
        read(scratch, 1, [1])
    with pytest.raises(RuntimeError):
        scratch.write(2, [memoryview(b"a")])
    scratch.close()
