"""Builds small PE images like a kernel with an EFI stub, or broken ones; and a second digest."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

COFF = 0x80 + 4
OPTIONAL = COFF + 20
CHECKSUM = OPTIONAL + 64


@dataclass(frozen=True)
class Pe:
    """What an image says; a section is its bytes, or (offset in the file, said size)."""

    sections: Sequence[bytes | tuple[int, int]] = (b"S" * 512, b"T" * 1024, b"D" * 512)
    certificates: bytes = b""
    certificate_entry: tuple[int, int] | None = None
    between: bytes = b""  # before the certificates, behind the last section
    behind: bytes = b""
    dos: bytes = b"MZ"
    pe_offset: int = 0x80
    signature: bytes = b"PE\0\0"
    machine: int = 0x8664
    magic: int = 0x20B
    directories: int = 6
    optional_size: int | None = None
    headers_size: int = 0x400
    section_count: int | None = None
    checksum: int = 0
    reverse: bool = False

    def but(self, **changes: Any) -> bytes:
        """Return the image with some of this changed."""
        return replace(self, **changes).image()

    @property
    def certificate_place(self) -> int:
        """Where the entry of the certificate table is."""
        return OPTIONAL + 112 + 4 * 8

    def image(self) -> bytes:
        """Return the image."""
        content, rows = bytearray(), []
        for section in self.sections:
            if isinstance(section, bytes):
                rows.append((self.headers_size + len(content), len(section)))
                content += section
            else:
                rows.append(section)
        content += self.between
        entry = self.certificate_entry
        if entry is None:
            place = self.headers_size + len(content)
            entry = (place, len(self.certificates)) if self.certificates else (0, 0)
        size = 112 + self.directories * 8 if self.optional_size is None else self.optional_size
        count = len(self.sections) if self.section_count is None else self.section_count
        head = bytearray(self.dos.ljust(60, b"\0") + struct.pack("<I", self.pe_offset))
        head = head.ljust(0x80, b"\x90") + self.signature
        head += struct.pack("<HHIIIHH", self.machine, count, 0, 0, 0, size, 0x206)
        optional = bytearray(112 + self.directories * 8)
        struct.pack_into("<H", optional, 0, self.magic)
        struct.pack_into("<II", optional, 60, self.headers_size, self.checksum)
        struct.pack_into("<I", optional, 108, self.directories)
        if self.directories > 4:
            struct.pack_into("<II", optional, 112 + 32, *entry)
        head += optional
        for place, length in reversed(rows) if self.reverse else rows:
            head += struct.pack("<8sIIIIIIHHI", b".text", 4096, 4096, length, place, 0, 0, 0, 0, 0)
        return (
            bytes(head.ljust(self.headers_size, b"\0"))
            + content
            + self.certificates
            + (self.behind)
        )


KERNEL = Pe()


def by_the_specification(image: bytes, name: str) -> str:
    """Return the digest in the specification's own steps: headers, sections in order, the rest."""
    digest = hashlib.new(name)
    digest.update(image[:CHECKSUM])
    entry = OPTIONAL + 112 + 32
    headers = struct.unpack_from("<I", image, OPTIONAL + 60)[0]
    digest.update(image[CHECKSUM + 4 : entry])
    digest.update(image[entry + 8 : headers])
    hashed = headers
    count, size = struct.unpack_from("<H", image, COFF + 2)[0], None
    table = OPTIONAL + struct.unpack_from("<H", image, COFF + 16)[0]
    rows = [struct.unpack_from("<II", image, table + 40 * n + 16) for n in range(count)]
    for size, place in sorted(rows, key=lambda row: row[1]):
        digest.update(image[place : place + size])
        hashed += size
    certificates = struct.unpack_from("<I", image, entry + 4)[0]
    digest.update(image[hashed : len(image) - certificates])
    return digest.hexdigest()
