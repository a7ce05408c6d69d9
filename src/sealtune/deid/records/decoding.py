"""Bytes of a file as UTF-8, whatever encoding its owner says that it has.

The encoding is UTF-8 unless another is named: guessing it would change names silently. Hashes what
it reads, so that the digest is of the bytes that were worked on.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from sealtune.core.digest import Digest
from sealtune.core.limits import KIB
from sealtune.errors import Code, FormatError

_CHUNK: Final = 256 * KIB
_BOM: Final = b"\xef\xbb\xbf"
_FOREIGN_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
UTF8: Final = "utf-8"
# What a command may name, and how Python calls it; `utf-8-replace` reads what is broken as U+FFFD.
ENCODINGS: Final = {
    UTF8: "utf-8",
    "utf-8-replace": "utf-8",
    "latin-1": "latin-1",
    "cp1252": "cp1252",
    "utf-16": "utf-16",
}
ENCODING_REMEDY: Final = (
    "save the file as UTF-8, or name what it is: --encoding latin-1, cp1252 or utf-16;"
    " --encoding utf-8-replace reads broken characters as U+FFFD"
)


class Utf8Stream:
    """The bytes of `file`, which is at `path`, as UTF-8 without a byte order mark."""

    def __init__(self, file: BinaryIO, path: Path, *, encoding: str) -> None:
        self._file = file
        self._path = path
        self._encoding = encoding
        self._state = hashlib.sha256()
        self.position = 0
        self.replaced = 0

    def chunks(self) -> Iterator[bytes]:
        """Yield the text in pieces; characters are whole only where the encoding is not UTF-8.

        Raises:
            FormatError: bytes that the named encoding does not have.
        """
        pieces = self._raw() if self._encoding == UTF8 else self._decoded()
        first = True
        for piece in pieces:
            yield piece.removeprefix(_BOM) if first else piece
            first = False

    def digest(self) -> Digest:
        """Return the digest of the bytes read so far."""
        return Digest("sha256:" + self._state.hexdigest())

    def _raw(self) -> Iterator[bytes]:
        while chunk := self._file.read(_CHUNK):
            if not self.position and chunk.startswith(_FOREIGN_BOMS):
                raise FormatError(
                    Code.RECORDS_FORMAT, f"{self._path}: UTF-16", remedy="give --encoding utf-16"
                )
            self._count(chunk)
            yield chunk

    def _decoded(self) -> Iterator[bytes]:
        errors = "replace" if self._encoding.endswith("-replace") else "strict"
        decoder = codecs.getincrementaldecoder(ENCODINGS[self._encoding])(errors)
        while True:
            chunk = self._file.read(_CHUNK)
            start = self.position
            self._count(chunk)
            try:
                text = decoder.decode(chunk, final=not chunk)
                data = text.encode()
            except UnicodeError:
                message = f"{self._path}: not {self._encoding} after byte {start}"
                raise FormatError(Code.RECORDS_FORMAT, message, remedy=ENCODING_REMEDY) from None
            self.replaced += text.count("\ufffd") if errors == "replace" else 0
            if data:
                yield data
            if not chunk:
                return

    def _count(self, chunk: bytes) -> None:
        self._state.update(chunk)
        self.position += len(chunk)


def decode_line(data: bytes, *, where: str) -> str:
    """Return the text of one line or document at `where`.

    Raises:
        FormatError: not UTF-8, or a zero byte in it.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        message = f"{where}: not UTF-8 at byte {error.start + 1}"
        raise FormatError(Code.RECORD_MALFORMED, message, remedy=ENCODING_REMEDY) from None
    if "\0" in text:
        message = f"{where}: a zero byte, so this is no text"
        raise FormatError(Code.RECORD_MALFORMED, message, remedy=ENCODING_REMEDY)
    return text
