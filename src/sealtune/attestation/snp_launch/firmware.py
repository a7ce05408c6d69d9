"""An OVMF image, as far as a guest's launch digest depends on it (spec/attestation §5.8.2).

Source: edk2, OvmfPkg/ResetVector (the table of GUIDs before the reset vector, the SEV metadata).
The image comes from whoever distributes it: every number in it is bounded before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from sealtune.attestation.snp_launch.pages import (
    DIGEST_BYTES,
    EMPTY_DIGEST,
    PAGE_BYTES,
    PageType,
    extend,
)
from sealtune.core.limits import GIB, MIB
from sealtune.errors import Code, FormatError

FIRMWARE_BYTES_MAX = 64 * MIB  # 4x the largest flash that QEMU maps
SECTIONS_MAX = 64  # edk2 has 7
SECTION_BYTES_MAX = 64 * MIB  # of all sections together; edk2's are about 128 KiB
ADDRESS_END = 4 * GIB  # sections and image lie below it: their addresses have 32 bits
HASHES_TABLE_BYTES = 176

_TABLE_END = 32  # bytes between the table of GUIDs and the image's end
_ENTRY_HEAD = 18  # u16 length and GUID, *after* the entry's content
_METADATA_HEAD = 16
_METADATA_VERSION = 1
_SECTION_BYTES = 12


def _guid(text: str) -> bytes:
    return UUID(text).bytes_le


_FOOTER = _guid("96b582de-1fb2-45f7-baea-a366c55a082d")
_HASHES_TABLE = _guid("7255371f-3a3b-4b04-927b-1da6efa8d454")
_RESET_BLOCK = _guid("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
_METADATA = _guid("dc886566-984a-4798-a75e-5585a7bf67cc")


class SectionKind(IntEnum):
    """What a section of the SEV metadata asks the hypervisor to prepare."""

    MEMORY = 1
    SECRETS = 2
    CPUID = 3
    SVSM_CALLING_AREA = 4
    KERNEL_HASHES = 0x10


_ONE_PAGE = frozenset({SectionKind.SECRETS, SectionKind.CPUID, SectionKind.KERNEL_HASHES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A range of guest memory that is measured in a way of its own.

    Raises:
        FormatError: not whole pages below 4 GiB, or more than one page where one belongs.
    """

    kind: SectionKind
    address: int
    size: int

    def __post_init__(self) -> None:
        if self.address % PAGE_BYTES or self.size % PAGE_BYTES or self.size <= 0:
            raise malformed("a section that is not whole pages")
        if not 0 <= self.address <= ADDRESS_END - self.size:
            raise malformed("a section that ends above 4 GiB")
        if self.kind in _ONE_PAGE and self.size != PAGE_BYTES:
            # Hypervisors differ in what they would do with a second page.
            raise malformed(f"a section for {self.kind.name.lower()} larger than one page")


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """What of an image enters the launch digest.

    `digest` is the launch digest after the image's own pages, `hashes_table` where the digests of
    kernel, initrd and command line go (0: nowhere), `reset_eip` where processors but the first
    begin.

    Raises:
        FormatError: sections of too many bytes, no beginning for processors, or a hashes table
            that is not inside its section.
    """

    digest: bytes
    sections: tuple[Section, ...]
    hashes_table: int
    reset_eip: int

    def __post_init__(self) -> None:
        if len(self.digest) != DIGEST_BYTES:
            raise malformed(f"a digest of {len(self.digest)} bytes where {DIGEST_BYTES} belong")
        if not 0 < self.reset_eip < ADDRESS_END:
            raise malformed("it does not say where further processors begin")
        if len(self.sections) > SECTIONS_MAX:
            raise malformed(f"more than {SECTIONS_MAX} sections")
        if sum(section.size for section in self.sections) > SECTION_BYTES_MAX:
            raise malformed("sections of too many bytes")
        hashes = [item for item in self.sections if item.kind is SectionKind.KERNEL_HASHES]
        if len(hashes) > 1:
            raise malformed("two sections for kernel hashes")
        for section in hashes:
            inside = self.hashes_table - section.address
            if not 0 <= inside <= PAGE_BYTES - HASHES_TABLE_BYTES:
                raise malformed("the table of hashes is not inside its section")

    @property
    def takes_kernel(self) -> bool:
        """Whether a kernel that is given directly is measured."""
        return any(section.kind is SectionKind.KERNEL_HASHES for section in self.sections)


def malformed(reason: str) -> FormatError:
    """Return the error that says why firmware cannot be measured."""
    return FormatError(Code.FIRMWARE_MALFORMED, f"firmware: {reason}")


def parse_firmware(data: bytes) -> Firmware:
    """Return what of the OVMF image `data` enters a launch digest.

    Raises:
        FormatError: too large, not whole pages, or not an image for SNP guests.
    """
    if len(data) > FIRMWARE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"firmware: larger than {FIRMWARE_BYTES_MAX} bytes")
    if not data or len(data) % PAGE_BYTES:
        raise malformed(f"{len(data)} bytes are not whole pages of {PAGE_BYTES}")
    table = _table(data)
    return Firmware(
        digest=extend(EMPTY_DIGEST, PageType.NORMAL, ADDRESS_END - len(data), content=data),
        sections=_sections(data, table),
        hashes_table=_number(table, _HASHES_TABLE),
        reset_eip=_number(table, _RESET_BLOCK),
    )


def _table(data: bytes) -> dict[bytes, bytes]:
    """Return the content of each entry by GUID; the table is read from its end to its beginning."""
    end = len(data) - _TABLE_END
    length, guid = _entry_head(data[:end])
    if guid != _FOOTER:
        raise malformed("no table of GUIDs at its end: not an OVMF image")
    table = data[max(end - length, 0) : end - _ENTRY_HEAD]
    found: dict[bytes, bytes] = {}
    while table:
        length, guid = _entry_head(table)
        if not _ENTRY_HEAD <= length <= len(table):
            raise malformed("an entry that is longer than its table, or shorter than its head")
        # Readers differ in which of two they take.
        if guid in found:
            raise malformed("an entry of its table is there twice")
        found[guid] = table[-length:-_ENTRY_HEAD]
        table = table[:-length]
    return found


def _entry_head(table: bytes) -> tuple[int, bytes]:
    head = table[-_ENTRY_HEAD:]
    return int.from_bytes(head[:2], "little"), head[2:]


def _number(table: dict[bytes, bytes], guid: bytes) -> int:
    """Return the 32-bit number with which an entry begins; 0 without such an entry."""
    content = table.get(guid, bytes(4))
    if len(content) < 4:
        raise malformed("an entry without its number")
    return int.from_bytes(content[:4], "little")


def _sections(data: bytes, table: dict[bytes, bytes]) -> tuple[Section, ...]:
    from_end = _number(table, _METADATA)
    if from_end > len(data):
        raise malformed("SEV metadata before its beginning")
    metadata = data[len(data) - from_end :]
    size, version, count = (
        int.from_bytes(metadata[offset : offset + 4], "little") for offset in (4, 8, 12)
    )
    if metadata[:4] != b"ASEV" or version != _METADATA_VERSION:
        raise malformed("no SEV metadata, or of another version: not an image for SNP guests")
    if not _METADATA_HEAD + count * _SECTION_BYTES <= size <= len(metadata):
        raise malformed("SEV metadata longer than the image or shorter than its sections")
    # One more than there may be is refused by `Firmware`; a million are not read for that.
    return tuple(
        _section(metadata[_METADATA_HEAD + index * _SECTION_BYTES :][:_SECTION_BYTES])
        for index in range(min(count, SECTIONS_MAX + 1))
    )


def _section(data: bytes) -> Section:
    address, size, kind = (int.from_bytes(data[place : place + 4], "little") for place in (0, 4, 8))
    return Section(kind=section_kind(kind), address=address, size=size)


def section_kind(number: int) -> SectionKind:
    """Return the kind of section that `number` stands for.

    Raises:
        FormatError: none that we know; it might be measured in a way that we do not know either.
    """
    try:
        return SectionKind(number)
    except ValueError:
        raise malformed(f"a section of the unknown kind {number}") from None
