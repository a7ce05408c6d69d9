"""Builds small OVMF images: four kilobytes with the tables at their end, or broken ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

FOOTER = "96b582de-1fb2-45f7-baea-a366c55a082d"
HASHES = "7255371f-3a3b-4b04-927b-1da6efa8d454"
RESET = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
METADATA = "dc886566-984a-4798-a75e-5585a7bf67cc"
OTHER = "4c2eb361-7d9b-4cc3-8081-127c90d3d294"
METADATA_FROM_END = 0x540

# As edk2's AmdSev build has them: (address, size, kind).
SECTIONS = (
    (0x800000, 0x9000, 1),
    (0x80A000, 0x3000, 1),
    (0x80D000, 0x1000, 2),
    (0x80E000, 0x1000, 3),
    (0x80F000, 0x1000, 4),
    (0x810000, 0x1000, 0x10),
    (0x811000, 0xF000, 1),
)


@dataclass(frozen=True)
class Ovmf:
    """What an image says; `entries` are those of its table, the last written first."""

    sections: Sequence[tuple[int, int, int]] = SECTIONS
    entries: Sequence[tuple[str, bytes]] = (
        (OTHER, bytes(8)),
        (METADATA, METADATA_FROM_END.to_bytes(4, "little")),
        (HASHES, (0x810C00).to_bytes(4, "little") + (0x400).to_bytes(4, "little")),
        (RESET, (0x80B004).to_bytes(4, "little")),
    )
    magic: bytes = b"ASEV"
    version: int = 1
    count: int | None = None
    size: int | None = None
    footer: str = FOOTER
    footer_length: int | None = None
    pages: int = 1

    def but(self, **changes: Any) -> bytes:
        """Return the image with some of this changed."""
        return replace(self, **changes).image()

    def without(self, guid: str) -> bytes:
        """Return the image without one entry of its table."""
        return self.but(entries=[entry for entry in self.entries if entry[0] != guid])

    def with_entry(self, guid: str, content: bytes) -> bytes:
        """Return the image with another content of one entry."""
        return self.but(
            entries=[(name, content if name == guid else old) for name, old in self.entries]
        )

    def image(self) -> bytes:
        """Return the image."""
        table = b"".join(
            content + (18 + len(content)).to_bytes(2, "little") + UUID(guid).bytes_le
            for guid, content in self.entries
        )
        length = len(table) + 18 if self.footer_length is None else self.footer_length
        table += length.to_bytes(2, "little") + UUID(self.footer).bytes_le + bytes(32)
        listing = b"".join(
            number.to_bytes(4, "little") for section in self.sections for number in section
        )
        count = len(self.sections) if self.count is None else self.count
        size = 16 + len(listing) if self.size is None else self.size
        head = self.magic + b"".join(n.to_bytes(4, "little") for n in (size, self.version, count))
        image = bytearray(self.pages * 4096)
        # Something in every page, so that none is measured as another.
        for page in range(self.pages):
            image[page * 4096] = page % 251 + 1
        place = len(image) - METADATA_FROM_END
        metadata = head + listing
        image[place : place + len(metadata)] = metadata
        image[len(image) - len(table) :] = table
        return bytes(image)
