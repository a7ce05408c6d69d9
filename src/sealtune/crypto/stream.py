"""Chunked authenticated streams: C2SP chunked-encryption, instance Cobblestone-256.

A stream is a 56-byte head, then AES-256-GCM chunks of 16 KiB with 16-byte tags, the last one
shorter and marked; so order, length and end are authenticated, and the head commits to the key.
`context` binds what the stream is and where it belongs. Plaintext is provisional until the stream
is finalized; `open_into` therefore wipes what it wrote if the end does not hold.

Source: https://c2sp.org/chunked-encryption
"""

from __future__ import annotations

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from sealtune.core.limits import MIB
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, VerificationError

CHUNK_BYTES = 16 * 1024
TAG_BYTES = 16
HEAD_BYTES = 56
_STEP_BYTES = 1 * MIB  # measured best: larger steps leave the cache, smaller ones pay per call

Buffer = bytes | bytearray | memoryview


def ciphertext_length(plaintext_length: int) -> int:
    """Return the length in bytes of the stream that `plaintext_length` bytes become."""
    # The last chunk is always shorter than a full one, if need be empty.
    chunks = plaintext_length // CHUNK_BYTES + 1
    return HEAD_BYTES + plaintext_length + chunks * TAG_BYTES


class StreamSealer:
    """Encrypts one stream: `update` or `update_into` any number of times, then `finalize` once."""

    def __init__(self, key: ContentKey, *, context: bytes) -> None:
        self._encryptor = Cobblestone256Encryptor(key.reveal(), context)

    def update(self, data: Buffer) -> bytes:
        """Return the ciphertext that `data` completes."""
        return self._encryptor.update(data)

    def update_into(self, data: Buffer, buffer: bytearray | memoryview) -> int:
        """Write the ciphertext that `data` completes to `buffer`; return its length.

        `buffer` needs `len(data)` + 1/1024 of it + 32 KiB.
        """
        return self._encryptor.update_into(data, buffer)

    def finalize(self) -> bytes:
        """Return the last bytes of the stream, which authenticate its end."""
        return self._encryptor.finalize()


class StreamOpener:
    """Decrypts one stream; what it yields counts only once `finalize` has returned."""

    def __init__(self, key: ContentKey, *, context: bytes) -> None:
        self._decryptor = Cobblestone256Decryptor(key.reveal(), context)

    def update(self, data: Buffer) -> bytes:
        """Return the plaintext that `data` completes.

        Raises:
            VerificationError: forged, moved or under another key.
        """
        try:
            return self._decryptor.update(data)
        except InvalidTag:
            raise _forged() from None

    def update_into(self, data: Buffer, buffer: bytearray | memoryview) -> int:
        """Write the plaintext that `data` completes to `buffer`; return its length.

        Raises:
            VerificationError: forged, moved or under another key.
        """
        try:
            return self._decryptor.update_into(data, buffer)
        except InvalidTag:
            raise _forged() from None

    def finalize(self) -> bytes:
        """Return the last bytes of the plaintext, once the end is authenticated.

        Raises:
            VerificationError: cut, or anything else changed.
        """
        try:
            return self._decryptor.finalize()
        except InvalidTag:
            raise _forged() from None


def seal_bytes(key: ContentKey, data: Buffer, *, context: bytes) -> bytes:
    """Return `data` as one stream."""
    sealer = StreamSealer(key, context=context)
    return sealer.update(data) + sealer.finalize()


def open_bytes(key: ContentKey, ciphertext: Buffer, *, context: bytes) -> bytes:
    """Return the plaintext of one whole stream.

    Raises:
        VerificationError: any byte changed, the end missing, another key or another context.
    """
    opener = StreamOpener(key, context=context)
    return opener.update(ciphertext) + opener.finalize()


def open_into(
    key: ContentKey, ciphertext: Buffer, destination: memoryview, *, context: bytes
) -> None:
    """Decrypt one whole stream into `destination`, which has exactly the plaintext's length.

    No plaintext is copied but the last two chunks. On failure `destination` is zeroed.

    Raises:
        VerificationError: as `open_bytes`, or the plaintext has another length.
    """
    target = destination.cast("B")
    if len(ciphertext) != ciphertext_length(len(target)):
        raise VerificationError(Code.STREAM_LENGTH, "the stream has another length than announced")
    try:
        _open_into(StreamOpener(key, context=context), memoryview(ciphertext).cast("B"), target)
    except BaseException:
        target[:] = bytes(len(target))
        raise


def _open_into(opener: StreamOpener, source: memoryview, target: memoryview) -> None:
    # The library wants room for a chunk more than it will write: the tail goes through a buffer.
    direct = max(0, len(source) - _STEP_BYTES // 8)
    read = written = 0
    while read < direct:
        step = source[read : min(read + _STEP_BYTES, direct)]
        written += opener.update_into(step, target[written:])
        read += len(step)
    tail = opener.update(source[read:]) + opener.finalize()
    if written + len(tail) != len(target):
        raise VerificationError(Code.STREAM_LENGTH, "the stream has another length than announced")
    target[written:] = tail


def _forged() -> VerificationError:
    message = "encrypted bytes were changed, cut or moved, or the key is another one"
    return VerificationError(Code.STREAM_FORGED, message)
