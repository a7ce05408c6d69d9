"""MEASUREMENT of an SNP guest from what it is launched with (spec/attestation §5.8).

Pure: bytes and numbers in, 48 bytes out. Says what an honest launch measures; whether a guest was
launched so is what its report proves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sealtune.attestation.snp_launch.firmware import (
    HASHES_TABLE_BYTES,
    Firmware,
    Section,
    SectionKind,
    malformed,
)
from sealtune.attestation.snp_launch.pages import PAGE_BYTES, PageType, extend, extend_empty
from sealtune.attestation.snp_launch.vmsa import FIRST_EIP, Vmm, vmsa_page
from sealtune.core.digest import Digest, digest_bytes, sha256_digest

VCPUS_MAX: Final = 4096
COMMAND_LINE_BYTES_MAX: Final = 64 * 1024
NO_INITRD: Final = sha256_digest(b"")
# Save areas have no address of their own in the guest.
_VMSA_ADDRESS = 0xFFFFFFFFF000
_U64_MAX = 2**64 - 1
_U32_MAX = 2**32 - 1

_TABLE = UUID("9438d606-4f22-4cc9-b479-a793d411fd21").bytes_le
_COMMAND_LINE = UUID("97d02dd8-bd20-4c94-aa78-e7714d36ab2a").bytes_le
_INITRD = UUID("44baf731-3a2f-4bd7-9af1-41e29169781d").bytes_le
_KERNEL = UUID("4de79437-abd2-427f-b835-d5b172d2045b").bytes_le
_HEAD_BYTES = 18  # GUID and length, which counts them too


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectBoot:
    """Kernel, initrd and command line that the hypervisor hands over, by their digests."""

    kernel: Digest
    initrd: Digest
    command_line: Digest


def command_line_digest(text: str) -> Digest:
    """Return the digest of a kernel's command line, which is measured with its final NUL.

    Raises:
        ValueError: it holds a NUL, or is longer than any kernel takes.
    """
    data = text.encode()
    if b"\0" in data or len(data) > COMMAND_LINE_BYTES_MAX:
        raise ValueError("a kernel's command line has no NUL and at most 64 KiB")
    return sha256_digest(data + b"\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything that a guest's launch digest depends on, but its number of processors.

    `boot` is None where the guest boots from its disk. `signature` is CPUID 1 EAX of its
    processors, which QEMU's launches depend on and the others do not.

    Raises:
        FormatError: a kernel is given that `firmware` would not measure.
        ValueError: a number out of its range.
    """

    firmware: Firmware
    boot: DirectBoot | None
    signature: int
    features: int
    vmm: Vmm

    def __post_init__(self) -> None:
        if not 0 <= self.signature <= _U32_MAX or not 0 <= self.features <= _U64_MAX:
            raise ValueError("a CPU signature has 32 bits, guest features have 64")
        # It would start any kernel whatever: the measurement would say nothing about it.
        if self.boot is not None and not self.firmware.takes_kernel:
            raise malformed("it does not measure a kernel that is given directly")


def launch_digest(launch: Launch, *, vcpus: int) -> bytes:
    """Return the MEASUREMENT of a guest with `vcpus` processors that is launched as `launch` says.

    Raises:
        ValueError: `vcpus` is not 1 to 4096.
    """
    if not 1 <= vcpus <= VCPUS_MAX:
        raise ValueError(f"a guest has 1 to {VCPUS_MAX} processors")
    digest = launch.firmware.digest
    for section in _in_order(launch):
        digest = _extend_section(digest, section, launch)
    first = _vmsa(launch, FIRST_EIP)
    digest = extend(digest, PageType.VMSA, _VMSA_ADDRESS, content=first)
    further = _vmsa(launch, launch.firmware.reset_eip)
    for _ in range(1, vcpus):
        digest = extend(digest, PageType.VMSA, _VMSA_ADDRESS, content=further)
    return digest


def _in_order(launch: Launch) -> list[Section]:
    # EC2 adds the CPUID page when it has added all others.
    last = launch.vmm is Vmm.EC2
    return sorted(
        launch.firmware.sections, key=lambda section: last and section.kind is SectionKind.CPUID
    )


def _extend_section(digest: bytes, section: Section, launch: Launch) -> bytes:
    address, size = section.address, section.size
    match section.kind:
        case SectionKind.MEMORY:
            kind = PageType.UNMEASURED if launch.vmm is Vmm.GCE else PageType.ZERO
            return extend_empty(digest, kind, address, size=size)
        case SectionKind.SECRETS:
            return extend(digest, PageType.SECRETS, address)
        case SectionKind.CPUID:
            return extend(digest, PageType.CPUID, address)
        case SectionKind.KERNEL_HASHES if launch.boot is not None:
            page = _hashes_page(launch.boot, launch.firmware.hashes_table - address)
            return extend(digest, PageType.NORMAL, address, content=page)
        case SectionKind.KERNEL_HASHES | SectionKind.SVSM_CALLING_AREA:
            return extend_empty(digest, PageType.ZERO, address, size=size)


def _hashes_page(boot: DirectBoot, offset: int) -> bytes:
    entries = b"".join(
        _entry(guid, digest_bytes(digest))
        for guid, digest in (
            (_COMMAND_LINE, boot.command_line),
            (_INITRD, boot.initrd),
            (_KERNEL, boot.kernel),
        )
    )
    table = _entry(_TABLE, entries).ljust(HASHES_TABLE_BYTES, b"\0")
    return (bytes(offset) + table).ljust(PAGE_BYTES, b"\0")


def _entry(guid: bytes, content: bytes) -> bytes:
    return guid + (_HEAD_BYTES + len(content)).to_bytes(2, "little") + content


def _vmsa(launch: Launch, eip: int) -> bytes:
    return vmsa_page(eip=eip, signature=launch.signature, features=launch.features, vmm=launch.vmm)
