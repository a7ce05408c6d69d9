"""CBOR as a Nitro document is written: one spelling, few types, bounded (spec/attestation §14.1).

The bytes are walked before the library sees them. Nothing is believed of a length that the bytes
do not bear out, and no tag reaches the library, which would make dates, numbers or regular
expressions of it.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2

from sealtune.errors import Code, FormatError

CBOR_DEPTH_MAX: Final = 4  # a document nests 2 deep
CBOR_ITEMS_MAX: Final = 256  # a document with 32 registers has about 100
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(6)
_NULL: Final = 0xF6
_INDEFINITE_MAP, _BREAK = b"\xbf", b"\xff"
_LENGTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}


def malformed(reason: str) -> FormatError:
    """Return the error that says why a document cannot be read."""
    return FormatError(Code.EVIDENCE_MALFORMED, f"Nitro document: {reason}")


def decode_cbor(data: bytes) -> Any:
    """Return the value that `data`, at most as long as evidence may be, holds.

    Raises:
        FormatError: another type than integers, strings, arrays, maps and null, a length that is
            indefinite or not written in the shortest way, too many or too deep, bytes left over,
            a key twice, or text that is not UTF-8.
    """
    _Walk(data).whole()
    return _decode(data)


def decode_payload(data: bytes) -> Any:
    """Return the value that `data`, a signed payload, holds.

    As `decode_cbor`, but a map of indefinite length may stand around everything: AWS writes it.
    Who changes how signed bytes are spelled breaks the signature.

    Raises:
        FormatError: as `decode_cbor`.
    """
    _Walk(data).whole_payload()
    return _decode(data)


def _decode(data: bytes) -> Any:
    try:
        return cbor2.loads(data, max_depth=CBOR_DEPTH_MAX + 1, allow_duplicate_keys=False)
    except (cbor2.CBORError, ValueError) as error:
        raise malformed("a key twice, or text that is none") from error


class _Walk:
    """A pass over encoded bytes that makes nothing of them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0
        self._items = 0

    def whole(self) -> None:
        """Pass over one item, with which the bytes must end."""
        self._item(depth=0)
        self._end()

    def whole_payload(self) -> None:
        """Pass over one item that may be a map of indefinite length."""
        if self._data[:1] != _INDEFINITE_MAP:
            return self.whole()
        self._place = 1
        while self._data[self._place : self._place + 1] != _BREAK:
            self._item(depth=1)
            self._item(depth=1)
        self._place += 1
        self._end()

    def _end(self) -> None:
        if self._place != len(self._data):
            raise malformed("bytes after its end")

    def _item(self, *, depth: int) -> None:
        self._items += 1
        if depth > CBOR_DEPTH_MAX or self._items > CBOR_ITEMS_MAX:
            raise malformed("too many items, or too deep")
        head = self._take(1)[0]
        if head == _NULL:
            return
        major, argument = head >> 5, self._argument(head & 0x1F)
        if major in (_BYTES, _TEXT):
            self._take(argument)
        elif major in (_ARRAY, _MAP):
            # A count that the bytes cannot bear out ends with them, at the latest.
            for _ in range(argument * (2 if major == _MAP else 1)):
                self._item(depth=depth + 1)
        elif major not in (_UNSIGNED, _NEGATIVE):
            raise malformed(f"CBOR of the major type {major}")

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        size = _LENGTHS.get(info)
        if size is None:
            raise malformed("an indefinite or reserved length")
        value = int.from_bytes(self._take(size), "big")
        if value < (24 if size == 1 else 1 << 4 * size):
            raise malformed("a number that is not written in the shortest way")
        return value

    def _take(self, count: int) -> bytes:
        taken = self._data[self._place : self._place + count]
        if len(taken) != count:
            raise malformed("it ends too early")
        self._place += count
        return taken
