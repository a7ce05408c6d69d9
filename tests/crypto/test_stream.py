"""Streams: any change, cut, swap or other context is refused."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.crypto.secret import ContentKey
from sealtune.crypto.stream import (
    CHUNK_BYTES,
    HEAD_BYTES,
    TAG_BYTES,
    StreamOpener,
    StreamSealer,
    ciphertext_length,
    open_bytes,
    open_into,
    seal_bytes,
)
from sealtune.errors import VerificationError

KEY = ContentKey(bytes(range(32)))
LENGTHS = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 10 * CHUNK_BYTES, (3 << 20) + 7]


@pytest.mark.parametrize("length", LENGTHS)
def test_round_trip_and_length(length: int) -> None:
    data = os.urandom(length)
    sealed = seal_bytes(KEY, data, context=b"c")
    assert len(sealed) == ciphertext_length(length)
    assert open_bytes(KEY, sealed, context=b"c") == data
    destination = bytearray(length)
    open_into(KEY, sealed, memoryview(destination), context=b"c")
    assert destination == data


@settings(max_examples=60)
@given(st.integers(0, 3 * CHUNK_BYTES), st.integers(0, 1 << 30), st.integers(1, 255))
def test_any_flip_is_refused_and_wiped(length: int, place: int, flip: int) -> None:
    sealed = bytearray(seal_bytes(KEY, bytes(length), context=b"c"))
    sealed[place % len(sealed)] ^= flip
    destination = bytearray(b"x" * length)
    with pytest.raises(VerificationError):
        open_into(KEY, sealed, memoryview(destination), context=b"c")
    assert destination == bytes(length)


@settings(max_examples=30)
@given(st.integers(0, 2 * CHUNK_BYTES), st.integers(1, 1 << 30))
def test_any_cut_is_refused(length: int, cut: int) -> None:
    sealed = seal_bytes(KEY, bytes(length), context=b"c")
    with pytest.raises(VerificationError):
        open_bytes(KEY, sealed[: -(cut % len(sealed)) or None][: len(sealed) - 1], context=b"c")


def test_swapped_and_repeated_chunks_are_refused() -> None:
    sealed = seal_bytes(KEY, os.urandom(3 * CHUNK_BYTES), context=b"c")
    step = CHUNK_BYTES + TAG_BYTES
    head, first, second = (
        sealed[:HEAD_BYTES],
        sealed[HEAD_BYTES:][:step],
        sealed[HEAD_BYTES + step :][:step],
    )
    rest = sealed[HEAD_BYTES + 2 * step :]
    for forged in (head + second + first + rest, head + first + first + rest, head + second + rest):
        with pytest.raises(VerificationError):
            open_bytes(KEY, forged, context=b"c")


def test_other_key_and_other_context_are_refused() -> None:
    sealed = seal_bytes(KEY, b"data", context=b"c")
    with pytest.raises(VerificationError):
        open_bytes(KEY, sealed, context=b"d")
    with pytest.raises(VerificationError):
        open_bytes(ContentKey.generate(), sealed, context=b"c")


def test_wrong_destination_length_is_refused() -> None:
    sealed = seal_bytes(KEY, b"data", context=b"c")
    for length in (3, 5):
        with pytest.raises(VerificationError):
            open_into(KEY, sealed, memoryview(bytearray(length)), context=b"c")


def test_piecewise_equals_whole() -> None:
    data = os.urandom(5 * CHUNK_BYTES + 3)
    sealer = StreamSealer(KEY, context=b"c")
    buffer = bytearray(len(data) * 2 + (64 << 10))
    written = 0
    for start in range(0, len(data), 1000):
        written += sealer.update_into(data[start : start + 1000], memoryview(buffer)[written:])
    sealed = bytes(buffer[:written]) + sealer.finalize()
    opener = StreamOpener(KEY, context=b"c")
    plain = b"".join(opener.update(sealed[i : i + 999]) for i in range(0, len(sealed), 999))
    assert plain + opener.finalize() == data
