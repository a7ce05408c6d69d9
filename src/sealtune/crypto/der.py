"""The little of DER (ITU-T X.690) that vendors' certificates need: a strict reader, a writer.

Why not leave all of it to `cryptography`: every AMD VCEK has serial number 0, which its certificate
loader is about to refuse, and raw bytes of the signed part are needed anyway. Does not read
indefinite lengths, tags above 30 or BER.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sealtune.errors import Code, FormatError

CHILDREN_MAX = 64  # 3x the extensions of a VCEK, the longest list in any certificate that we know


class Tag(enum.IntEnum):
    """Identifier octets that we read and write."""

    BOOLEAN = 0x01
    INTEGER = 0x02
    BIT_STRING = 0x03
    OCTET_STRING = 0x04
    NULL = 0x05
    OID = 0x06
    ENUMERATED = 0x0A
    UTF8_STRING = 0x0C
    PRINTABLE_STRING = 0x13
    IA5_STRING = 0x16
    UTC_TIME = 0x17
    GENERALIZED_TIME = 0x18
    SEQUENCE = 0x30
    SET = 0x31


@dataclass(frozen=True, slots=True)
class Element:
    """One element: identifier octet, content, and the whole with its header as it stood there."""

    tag: int
    content: bytes
    raw: bytes

    def children(self, *, limit: int = CHILDREN_MAX) -> tuple[Element, ...]:
        """Return the elements in the content, at most `limit`.

        Raises:
            FormatError: the content is not a series of whole elements, or of more.
        """
        return tuple(_elements(self.content, limit))


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.DER_MALFORMED, f"DER: {reason}")


def _header(data: bytes, offset: int) -> tuple[int, int, int]:
    """Return tag, start and end of the content of the element at `offset`."""
    if len(data) - offset < 2:
        raise _malformed("cut in a header")
    tag, first = data[offset], data[offset + 1]
    if tag & 0x1F == 0x1F:
        raise _malformed("tag number above 30")
    start = offset + 2
    length = first
    if first >= 0x80:
        size = first & 0x7F
        length = int.from_bytes(data[start : start + size], "big")
        # 0x80 alone, BER's indefinite length, reads as 0 here and is refused with the rest.
        if length < 0x80 or length < 1 << (8 * (size - 1)):
            raise _malformed("length not in its shortest form")
        start += size
    if len(data) - start < length:
        raise _malformed("cut in a content")
    return tag, start, start + length


def _elements(data: bytes, limit: int) -> Iterator[Element]:
    offset = count = 0
    while offset < len(data):
        count += 1
        if count > limit:
            raise _malformed(f"more than {limit} elements in one")
        tag, start, end = _header(data, offset)
        yield Element(tag, data[start:end], data[offset:end])
        offset = end


def read_element(data: bytes, *, tag: int) -> Element:
    """Return the one element that `data` consists of.

    Raises:
        FormatError: `data` is not exactly one element, or has another tag.
    """
    found, start, end = _header(data, 0)
    if end != len(data):
        raise _malformed("bytes after the end")
    if found != tag:
        raise _malformed(f"tag {found:#04x} where {int(tag):#04x} belongs")
    return Element(found, data[start:end], data)


def expect(element: Element, tag: int) -> Element:
    """Return `element` if it has `tag`.

    Raises:
        FormatError: it has another.
    """
    if element.tag != tag:
        raise _malformed(f"tag {element.tag:#04x} where {int(tag):#04x} belongs")
    return element


def fields(element: Element, count: int) -> tuple[Element, ...]:
    """Return the elements in `element`, which must be `count`.

    Raises:
        FormatError: there are more or fewer, or they are not whole.
    """
    children = element.children()
    if len(children) != count:
        raise _malformed(f"{len(children)} fields where {count} belong")
    return children


def read_integer(element: Element) -> int:
    """Return the INTEGER that `element` is, of at most 1024 octets.

    Raises:
        FormatError: another tag, or not in its shortest form.
    """
    return _integer(expect(element, Tag.INTEGER).content)


def read_enumerated(element: Element) -> int:
    """Return the number of the ENUMERATED that `element` is.

    Raises:
        FormatError: another tag, or not in its shortest form.
    """
    return _integer(expect(element, Tag.ENUMERATED).content)


def _integer(content: bytes) -> int:
    if not 1 <= len(content) <= 1024:
        raise _malformed("INTEGER of no or too many octets")
    if len(content) > 1 and (content[0] == 0) == (content[1] < 0x80) and content[0] in (0, 0xFF):
        raise _malformed("INTEGER not in its shortest form")
    return int.from_bytes(content, "big", signed=True)


def read_boolean(element: Element) -> bool:
    """Return the BOOLEAN that `element` is; DER knows 00 and FF only.

    Raises:
        FormatError: another tag or another octet.
    """
    content = expect(element, Tag.BOOLEAN).content
    if content not in (b"\x00", b"\xff"):
        raise _malformed("BOOLEAN that is neither 00 nor FF")
    return content == b"\xff"


def read_oid(element: Element) -> str:
    """Return the OBJECT IDENTIFIER that `element` is, in dotted decimal.

    Raises:
        FormatError: another tag, or not a well-formed identifier of at most 32 octets.
    """
    content = expect(element, Tag.OID).content
    if not 1 <= len(content) <= 32 or content[-1] & 0x80:
        raise _malformed("OBJECT IDENTIFIER cut or too long")
    arcs: list[int] = []
    value, fresh = 0, True
    for octet in content:
        if fresh and octet == 0x80:
            raise _malformed("OBJECT IDENTIFIER not in its shortest form")
        value = value << 7 | octet & 0x7F
        fresh = not octet & 0x80
        if fresh:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def read_bit_string(element: Element) -> bytes:
    """Return the octets of the BIT STRING that `element` is; its length must be whole octets.

    Raises:
        FormatError: another tag, or a number of bits that is not a multiple of 8.
    """
    content = expect(element, Tag.BIT_STRING).content
    if not content or content[0] != 0:
        raise _malformed("BIT STRING that is not whole octets")
    return content[1:]


def read_flags(element: Element) -> frozenset[int]:
    """Return the numbers of the bits that are set in the (named) BIT STRING that `element` is.

    Raises:
        FormatError: another tag, more than 4 octets, or unused bits that are set.
    """
    content = expect(element, Tag.BIT_STRING).content
    if not 1 <= len(content) <= 5 or content[0] > 7:
        raise _malformed("BIT STRING of flags with a wrong length")
    unused, octets = content[0], content[1:]
    if unused and (not octets or octets[-1] & ((1 << unused) - 1)):
        raise _malformed("BIT STRING with unused bits set")
    return frozenset(
        8 * index + bit
        for index, octet in enumerate(octets)
        for bit in range(8)
        if octet & (0x80 >> bit)
    )


def read_time(element: Element) -> datetime:
    """Return the moment that `element`, a time in the form of RFC 5280, names.

    Raises:
        FormatError: another tag or another form.
    """
    # RFC 5280 §4.1.2.5: whole seconds and `Z`, two digits of year for 1950-2049.
    if (element.tag, len(element.content)) in ((Tag.UTC_TIME, 13), (Tag.GENERALIZED_TIME, 15)):
        return _time(element.content, utc_time=element.tag == Tag.UTC_TIME)
    raise _malformed("a time in another form than RFC 5280 demands")


def _time(content: bytes, *, utc_time: bool) -> datetime:
    digits = content[:-1]
    if digits.isdigit() and content.endswith(b"Z"):
        text = content.decode("ascii")
        # Two digits of 50 to 99 are the century before.
        if utc_time:
            text = ("19" if text[:2] >= "50" else "20") + text
        month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
        with contextlib.suppress(ValueError):
            return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC)
    raise _malformed("a time that does not exist")


# -- writing ---------------------------------------------------------------------------------------


def encode(tag: int, *parts: bytes) -> bytes:
    """Return the element with `tag` whose content is `parts` joined."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def encode_integer(value: int) -> bytes:
    """Return `value` as an INTEGER."""
    return encode(Tag.INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def encode_oid(dotted: str) -> bytes:
    """Return `dotted` as an OBJECT IDENTIFIER.

    Raises:
        ValueError: it has fewer than two arcs or something else than numbers.
    """
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    octets = bytearray()
    for arc in (40 * first + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(0x80 | arc & 0x7F)
        octets += bytes(reversed(septets))
    return encode(Tag.OID, bytes(octets))
