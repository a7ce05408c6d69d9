"""Encrypted room on the untrusted disk, for activations that the enclave's memory cannot hold.

One file without a name in the run's folder, in pages of their own nonce each (`crypto.pages`). Key
and nonces are in memory only: what is left on the disk after a run opens to nobody, and what the
host puts into the file during it, an older page of its own included, is refused.

What the host sees: which pages are written and read, and when (spec/worker §7).
"""

from __future__ import annotations

import contextlib
import heapq
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.core.files import PRIVATE_MODE, storage_errors
from sealtune.core.limits import KIB, MIB
from sealtune.crypto.pages import PAGE_TAG_BYTES, PageCipher
from sealtune.errors import Code, VerificationError

# Large enough that calls out of an enclave do not count, small enough to stay in the cache.
PAGE_BYTES: Final = MIB
_STRIDE: Final = PAGE_BYTES + 4 * KIB  # a page and its tag, on a border of the disk's own pages


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    number: int
    length: int
    nonce: bytes


class EncryptedScratch:
    """The training engine's Scratch; several threads may use different keys at once."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; its file is made at the first writing."""
        self._folder = folder
        self._cipher = PageCipher()
        self._descriptor: int | None = None
        self._closed = False
        self._kept: dict[int, tuple[_Page, ...]] = {}
        self._free: list[int] = []
        self._pages = 0
        self._lock = threading.Lock()
        self._local = threading.local()

    def write(self, key: int, parts: Sequence[memoryview]) -> None:
        """Keep the bytes of `parts` under `key`, in place of what was kept there.

        Raises:
            StorageError: the disk is full or refuses; nothing is kept under `key` then.
        """
        self.forget(key)
        pieces = list(_pieces(parts))
        numbers = self._take(len(pieces))
        try:
            with storage_errors(self._folder):
                pages = [
                    self._write_page(number, piece, context=_context(key, index))
                    for index, (number, piece) in enumerate(zip(numbers, pieces, strict=True))
                ]
        except BaseException:
            self._give_back(numbers)
            raise
        with self._lock:
            self._kept[key] = tuple(pages)

    def read_into(self, key: int, parts: Sequence[memoryview]) -> None:
        """Fill `parts`, of the lengths that were written, with what is kept under `key`.

        On failure they are zeroed.

        Raises:
            VerificationError: the host has changed it, or put something older in its place.
            StorageError: the disk refuses.
            ValueError: other lengths than were written.
        """
        pages, pieces = self._kept[key], list(_pieces(parts))
        if [page.length for page in pages] != [len(piece) for piece in pieces]:
            raise ValueError("scratch is read in the parts in which it was written")
        try:
            with storage_errors(self._folder):
                for index, (page, piece) in enumerate(zip(pages, pieces, strict=True)):
                    self._read_page(page, piece, context=_context(key, index))
        except BaseException:
            for piece in pieces:
                piece[:] = bytes(len(piece))
            raise

    def forget(self, key: int) -> None:
        """Keep nothing under `key`; its room is used again."""
        with self._lock:
            pages = self._kept.pop(key, ())
        self._give_back([page.number for page in pages])

    def close(self) -> None:
        """Give the disk its room back."""
        self._closed = True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write_page(self, number: int, piece: memoryview, *, context: bytes) -> _Page:
        sealed = self._buffer()[: len(piece) + PAGE_TAG_BYTES]
        nonce = self._cipher.seal_into(piece, sealed, context=context)
        _whole(os.pwrite, self._file(), sealed, number * _STRIDE)
        return _Page(number=number, length=len(piece), nonce=nonce)

    def _read_page(self, page: _Page, piece: memoryview, *, context: bytes) -> None:
        sealed = self._buffer()[: page.length + PAGE_TAG_BYTES]
        offset = page.number * _STRIDE
        _whole(_read_at, self._file(), sealed, offset)
        self._cipher.open_into(sealed, piece, nonce=page.nonce, context=context)
        # It is read once. What the system keeps of it would count against the memory limit.
        os.posix_fadvise(self._file(), offset, _STRIDE, os.POSIX_FADV_DONTNEED)

    def _take(self, count: int) -> list[int]:
        if self._closed:
            raise _closed()
        with self._lock:
            if self._descriptor is None:
                self._descriptor = _nameless(self._folder)
            numbers = [heapq.heappop(self._free) for _ in range(min(count, len(self._free)))]
            fresh = range(self._pages, self._pages + count - len(numbers))
            self._pages = fresh.stop
            return [*numbers, *fresh]

    def _give_back(self, numbers: Sequence[int]) -> None:
        with self._lock:
            for number in numbers:
                heapq.heappush(self._free, number)

    def _file(self) -> int:
        if self._descriptor is None:
            raise _closed()
        return self._descriptor

    def _buffer(self) -> memoryview:
        buffer: memoryview | None = getattr(self._local, "buffer", None)
        if buffer is None:
            buffer = self._local.buffer = memoryview(bytearray(PAGE_BYTES + PAGE_TAG_BYTES))
        return buffer


@contextlib.contextmanager
def open_scratch(folder: Path | None) -> Iterator[EncryptedScratch | None]:
    """Yield scratch space in `folder`, or None where there is no folder for it."""
    if folder is None:
        yield None
        return
    scratch = EncryptedScratch(folder)
    try:
        yield scratch
    finally:
        scratch.close()


def _nameless(folder: Path) -> int:
    # The launcher clears files of this name, should the worker die before the next line.
    path = folder / f".scratch.{secrets.token_hex(6)}.part"
    with storage_errors(path):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, PRIVATE_MODE)
        path.unlink()
    return descriptor


def _closed() -> RuntimeError:
    return RuntimeError("the scratch space is closed")


def _pieces(parts: Sequence[memoryview]) -> Iterator[memoryview]:
    for part in parts:
        flat = part.cast("B")
        for start in range(0, len(flat), PAGE_BYTES):
            yield flat[start : start + PAGE_BYTES]


def _context(key: int, index: int) -> bytes:
    return key.to_bytes(8, "big") + index.to_bytes(4, "big")


def _whole(
    call: Callable[[int, memoryview, int], int], descriptor: int, data: memoryview, offset: int
) -> None:
    done = 0
    while done < len(data):
        count = call(descriptor, data[done:], offset + done)
        if count == 0:
            message = "scratch space was cut"
            raise VerificationError(Code.SCRATCH_FORGED, message)
        done += count


def _read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
    return os.preadv(descriptor, [buffer], offset)
