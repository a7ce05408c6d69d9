"""The Authenticode digest of a kernel, which firmware measures before it starts it.

Source: Windows Authenticode Portable Executable Signature Format (Microsoft, 2008), "Calculating
the PE Image Hash", as edk2's measured boot computes it. Only what an x86-64 kernel with an EFI stub
is: PE32+ for AMD64 whose sections lie in the file one after the other. Implementations differ on
others, and a digest that only one of them computes says nothing about what boots.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from sealtune.attestation.event_log import Bank
from sealtune.core.limits import MIB
from sealtune.errors import Code, FormatError

KERNEL_BYTES_MAX: Final = 64 * MIB  # 6x Debian's cloud kernel
SECTIONS_MAX: Final = 96  # what Windows loads; a kernel has 5

_DOS_HEADER_BYTES = 64
_PE_OFFSET_AT = 60
_COFF_HEADER_BYTES = 20
_AMD64 = 0x8664
_PE32_PLUS = 0x20B
# Offsets in the optional header of PE32+.
_HEADERS_SIZE_AT = 60
_CHECKSUM_AT = 64
_DIRECTORY_COUNT_AT = 108
_DIRECTORIES_AT = 112
_DIRECTORY_BYTES = 8
_DIRECTORIES_MAX = 16
_CERTIFICATES = 4
_SECTION_BYTES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where the parts of the file are that the digest leaves out."""

    checksum: int
    certificate_entry: int
    certificates: int  # offset of the certificate table; the end of the file without one


def authenticode(kernel: bytes, *, bank: Bank) -> bytes:
    """Return the Authenticode digest of the PE image `kernel`.

    It covers every byte but the checksum and the signatures: signing a kernel does not change it.

    Raises:
        FormatError: too large, or not a PE image of the one form that is measured alike everywhere.
    """
    layout = _layout(kernel)
    digest = hashlib.new(bank)
    for begin, end in (
        (0, layout.checksum),
        (layout.checksum + 4, layout.certificate_entry),
        (layout.certificate_entry + _DIRECTORY_BYTES, layout.certificates),
    ):
        digest.update(memoryview(kernel)[begin:end])
    return digest.digest()


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.IMAGE_MALFORMED, f"kernel: {reason}")


def _number(data: bytes, offset: int, size: int) -> int:
    # Behind the end everything reads as zero: headers that are not all there exceed the file.
    return int.from_bytes(data[offset : offset + size], "little")


def _layout(kernel: bytes) -> _Layout:
    if len(kernel) > KERNEL_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"kernel: larger than {KERNEL_BYTES_MAX} bytes")
    if kernel[:2] != b"MZ":
        raise _malformed("no EFI stub: not a PE image")
    coff = _number(kernel, _PE_OFFSET_AT, 4)
    if coff < _DOS_HEADER_BYTES or kernel[coff : coff + 4] != b"PE\0\0":
        raise _malformed("no PE header where its first header says")
    coff += 4
    optional = coff + _COFF_HEADER_BYTES
    if _number(kernel, coff, 2) != _AMD64 or _number(kernel, optional, 2) != _PE32_PLUS:
        raise _malformed("not a PE32+ image for x86-64")
    directories = _number(kernel, optional + _DIRECTORY_COUNT_AT, 4)
    table = optional + _DIRECTORIES_AT + directories * _DIRECTORY_BYTES
    if not _CERTIFICATES < directories <= _DIRECTORIES_MAX:
        raise _malformed(f"{directories} data directories")
    if table != optional + _number(kernel, coff + 16, 2):
        raise _malformed("an optional header of another size than its directories take")
    entry = optional + _DIRECTORIES_AT + _CERTIFICATES * _DIRECTORY_BYTES
    content_end = _sections_end(
        kernel,
        table=table,
        count=_number(kernel, coff + 2, 2),
        headers=_number(kernel, optional + _HEADERS_SIZE_AT, 4),
    )
    return _Layout(
        checksum=optional + _CHECKSUM_AT,
        certificate_entry=entry,
        certificates=_certificates(kernel, entry=entry, content_end=content_end),
    )


def _sections_end(kernel: bytes, *, table: int, count: int, headers: int) -> int:
    """Return where the last section ends; headers and sections fill the file up to there."""
    if not 1 <= count <= SECTIONS_MAX:
        raise _malformed(f"{count} sections")
    if not table + count * _SECTION_BYTES <= headers <= len(kernel):
        raise _malformed("headers that do not hold the table of sections, or exceed the file")
    places = []
    for index in range(count):
        size = _number(kernel, table + index * _SECTION_BYTES + 16, 4)
        if size:  # one without bytes in the file is not measured
            places.append((_number(kernel, table + index * _SECTION_BYTES + 20, 4), size))
    end = headers
    for begin, size in sorted(places):
        # The specification hashes section after section: bytes between them would not be measured,
        # bytes of two sections twice.
        if begin != end:
            raise _malformed("sections that overlap or leave a gap")
        end += size
    if end > len(kernel):
        raise _malformed("a section that ends behind the file")
    return end


def _certificates(kernel: bytes, *, entry: int, content_end: int) -> int:
    offset, size = _number(kernel, entry, 4), _number(kernel, entry + 4, 4)
    if offset == 0 and size == 0:
        return len(kernel)
    # What follows the signatures would be in the file and not in the digest.
    if offset < content_end or size == 0 or offset + size != len(kernel):
        raise _malformed("signatures that are not the end of the file")
    return offset
