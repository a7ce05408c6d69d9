"""One bundle's file: bounded reads at given places, and where its outer parts lie (spec/bundle §2).

Reads with pread into private memory: a mapped file could be changed by the host between the check
of a chunk and its use.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from pathlib import Path
from typing import Final

from sealtune.bundle.format import (
    FOOTER_BYTES,
    MAGIC,
    Header,
    malformed,
    parse_footer,
    parse_magic,
    truncated,
)
from sealtune.core.digest import sha256_digest
from sealtune.core.files import storage_errors
from sealtune.core.limits import MIB
from sealtune.errors import Code, VerificationError

# Large enough that a call out of an enclave, some microseconds, does not count.
_PIECE_BYTES: Final = 4 * MIB


class BundleFile:
    """One open file, read at given places; closed at the latest when nobody refers to it."""

    def __init__(self, path: Path, *, length: int | None = None) -> None:
        """Open `path`; with `length` it may be a disk, of which so many bytes are the file.

        Raises:
            StorageError: it is missing or cannot be read.
            FormatError: it is neither, or shorter than `length`.
        """
        self.path = path
        with storage_errors(path):
            # Without O_NONBLOCK, opening a pipe that somebody put there would wait for ever.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            self._closer = weakref.finalize(self, os.close, self._descriptor)
            mode = os.fstat(self._descriptor).st_mode
            # Not from the status, where the size of a disk is 0.
            size = os.lseek(self._descriptor, 0, os.SEEK_END) if _is_seekable(mode) else 0
        if not stat.S_ISREG(mode) and (length is None or not stat.S_ISBLK(mode)):
            raise malformed("file", f"{path} is no regular file")
        if length is not None and not 0 <= length <= size:
            raise truncated(f"{path} is shorter than the {length} bytes it should have")
        self.size = size if length is None else length

    def close(self) -> None:
        """Close the file; reading from it is an error from now on."""
        self._closer()

    def read(self, length: int, *, offset: int) -> bytes:
        """Return `length` bytes from `offset` on.

        Raises:
            FormatError: the file ends before.
            StorageError: the disk refuses.
        """
        buffer = bytearray(length)
        self.read_into(memoryview(buffer), offset=offset)
        return bytes(buffer)

    def read_into(self, buffer: memoryview, *, offset: int) -> None:
        """Fill `buffer` from `offset` on; safe from several threads.

        Raises:
            FormatError: the file ends before.
            StorageError: the disk refuses.
        """
        if not self._closer.alive:
            raise RuntimeError("the bundle is closed")
        if offset + len(buffer) > self.size:
            # On a disk, what lies behind the file would be read without a word.
            raise truncated(f"{self.path} ends before what is asked for")
        done = 0
        with storage_errors(self.path):
            while done < len(buffer):
                count = _read_at(self._descriptor, buffer[done:], offset + done)
                if count == 0:
                    raise truncated(f"{self.path} was cut while it was read")
                done += count


def _read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
    try:
        return os.preadv(descriptor, [buffer], offset)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
    # Gramine has pread and no preadv. This costs one more copy, a piece at a time.
    data = os.pread(descriptor, min(len(buffer), _PIECE_BYTES), offset)
    buffer[: len(data)] = data
    return len(data)


def _is_seekable(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISBLK(mode)


def signed_blocks(file: BundleFile) -> tuple[bytes, bytes]:
    """Return the header block and the slots block of `file`, unverified (spec/bundle §7.1).

    Raises:
        FormatError: it is no bundle of this version, or is cut or grown.
        StorageError: the disk refuses.
    """
    if file.size < len(MAGIC) + FOOTER_BYTES:
        raise truncated("too short to be a bundle")
    parse_magic(file.read(len(MAGIC), offset=0))
    footer = parse_footer(file.read(FOOTER_BYTES, offset=file.size - FOOTER_BYTES))
    slots_at = file.size - FOOTER_BYTES - footer.slots_length
    header_at = slots_at - footer.header_length
    if header_at < len(MAGIC):
        raise truncated("shorter than its own blocks")
    header_block = file.read(footer.header_length, offset=header_at)
    return header_block, file.read(footer.slots_length, offset=slots_at)


def manifest_ciphertext(file: BundleFile, header: Header) -> bytes:
    """Return the manifest's ciphertext once it has the digest that `header` names.

    Raises:
        VerificationError: it has another.
        FormatError: the file ends before.
    """
    data = file.read(header.manifest_length, offset=len(MAGIC) + header.body_length)
    if sha256_digest(data) != header.manifest_digest:
        message = f"{file.path}: the manifest is not the one that the owner signed"
        raise VerificationError(Code.MANIFEST_DIGEST, message)
    return data
