"""The wire form of TPM 2.0 structures: big-endian numbers and sized buffers, read within bounds.

Source: TPM 2.0 Library, part 2 (Structures). Verifies nothing.
"""

from __future__ import annotations

import enum

from sealtune.errors import Code, FormatError


class TpmHash(enum.IntEnum):
    """Hash algorithms by their TPM_ALG_ID, as far as a PCR bank or a quote has them."""

    SHA1 = 0x0004
    SHA256 = 0x000B
    SHA384 = 0x000C
    SHA512 = 0x000D
    SM3_256 = 0x0012

    @property
    def size(self) -> int:
        """The bytes of a digest."""
        return _SIZES[self]

    @property
    def label(self) -> str:
        """The name that people and `hashlib` use."""
        return self.name.lower()


_SIZES = {
    TpmHash.SHA1: 20,
    TpmHash.SHA256: 32,
    TpmHash.SHA384: 48,
    TpmHash.SHA512: 64,
    TpmHash.SM3_256: 32,
}
_HASHES = {int(member): member for member in TpmHash}


class TpmReader:
    """Reads one structure from its first byte to its last; `what` names it in errors."""

    def __init__(self, data: bytes, *, what: str) -> None:
        self._data = data
        self._offset = 0
        self._what = what

    def malformed(self, reason: str) -> FormatError:
        """Return the error that says so of this structure."""
        return FormatError(Code.EVIDENCE_MALFORMED, f"{self._what}: {reason}")

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            FormatError: there are fewer.
        """
        end = self._offset + size
        if end > len(self._data):
            raise self.malformed("cut short")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def number(self, size: int) -> int:
        """Return the unsigned number in the next `size` bytes.

        Raises:
            FormatError: there are fewer.
        """
        return int.from_bytes(self.take(size), "big")

    def sized(self, *, limit: int) -> bytes:
        """Return the content of the TPM2B that follows, of at most `limit` bytes.

        Raises:
            FormatError: it is longer than that, or than the structure.
        """
        size = self.number(2)
        if size > limit:
            raise self.malformed(f"a buffer of {size} bytes where at most {limit} belong")
        return self.take(size)

    def hash(self) -> TpmHash:
        """Return the hash algorithm whose number follows.

        Raises:
            FormatError: it is none that we know.
        """
        number = self.number(2)
        found = _HASHES.get(number)
        if found is None:
            raise self.malformed(f"hash algorithm {number:#06x} is not known")
        return found

    def rest(self) -> bytes:
        """Return the bytes that were not read yet, without reading them."""
        return self._data[self._offset :]

    def end(self) -> None:
        """Make sure that everything was read.

        Raises:
            FormatError: bytes are left over.
        """
        if self._offset != len(self._data):
            raise self.malformed("bytes after the end")
