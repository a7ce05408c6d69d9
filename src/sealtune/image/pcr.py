"""What a direct boot measures, computed ahead of it (docs/spec/reference-values.md §3).

QEMU hands kernel, initrd and command line to edk2's firmware, which measures the kernel, whose EFI
stub measures command line and initrd. The order of events and both spellings of the command line
are those that real boots left in their event logs; no document promises them. A boot from a disk,
a firmware or a QEMU of another kind measures otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sealtune.attestation.event_log import Bank
from sealtune.core.limits import MIB
from sealtune.errors import Code, FormatError
from sealtune.image.authenticode import authenticode

INITRD_BYTES_MAX: Final = 256 * MIB
# COMMAND_LINE_SIZE of x86, with its NUL: the kernel would cut off what it measured.
COMMAND_LINE_CHARACTERS_MAX: Final = 2047

CALLING: Final = b"Calling EFI Application from Boot Option"
SEPARATOR: Final = bytes(4)
_INITRD_ARGUMENT = "initrd=initrd"
_PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))


class LoadOptions(StrEnum):
    """Where the firmware adds the initrd's name to the command line that the kernel measures."""

    INITRD_LAST = "initrd-last"  # edk2 2025.02
    INITRD_FIRST = "initrd-first"  # edk2 2026.08


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFiles:
    """What QEMU is given with -kernel, -initrd and -append.

    Raises:
        FormatError: one is too large, there is no initrd, or the command line holds what would
            reach the kernel altered.
    """

    kernel: bytes
    initrd: bytes
    command_line: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.initrd) <= INITRD_BYTES_MAX:
            raise FormatError(
                Code.IMAGE_MALFORMED, f"initrd: not 1 to {INITRD_BYTES_MAX} bytes are in it"
            )
        length = len(self.command_line)
        if not 1 <= length <= COMMAND_LINE_CHARACTERS_MAX or set(self.command_line) - _PRINTABLE:
            raise FormatError(
                Code.IMAGE_MALFORMED,
                f"command line: not 1 to {COMMAND_LINE_CHARACTERS_MAX} printable ASCII characters",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BootDigests:
    """The digests that a direct boot of the files extends, in one bank."""

    bank: Bank
    kernel: bytes
    load_options: bytes
    initrd: bytes


def boot_digests(files: BootFiles, *, load_options: LoadOptions, bank: Bank) -> BootDigests:
    """Return what firmware of the family `load_options` extends for `files`.

    Raises:
        FormatError: the kernel is no PE image with an EFI stub.
    """
    return BootDigests(
        bank=bank,
        kernel=authenticode(files.kernel, bank=bank),
        load_options=digest_of(_load_options(files.command_line, load_options), bank=bank),
        initrd=digest_of(files.initrd, bank=bank),
    )


def pcr2(*, bank: Bank) -> bytes:
    """Return PCR 2 of a machine none of whose devices brings code of its own for the firmware."""
    return fold((digest_of(SEPARATOR, bank=bank),), bank=bank)


def pcr4(digests: BootDigests) -> bytes:
    """Return PCR 4: the kernel and that it was started.

    The kernel comes first: without a boot option, the firmware loads it before it announces one.
    """
    calling, separator = (digest_of(data, bank=digests.bank) for data in (CALLING, SEPARATOR))
    return fold((digests.kernel, calling, separator), bank=digests.bank)


def pcr9(digests: BootDigests) -> bytes:
    """Return PCR 9: the command line, hence the root file system's hash, and the initrd."""
    return fold((digests.load_options, digests.initrd), bank=digests.bank)


def digest_of(data: bytes, *, bank: Bank) -> bytes:
    """Return the digest of `data` in `bank`."""
    return hashlib.new(bank, data).digest()


def fold(digests: Iterable[bytes], *, bank: Bank) -> bytes:
    """Return the value of a register that starts at zero and is extended by each of `digests`."""
    value = bytes(bank.digest_bytes)
    for digest in digests:
        value = hashlib.new(bank, value + digest).digest()
    return value


def _load_options(command_line: str, family: LoadOptions) -> bytes:
    if family is LoadOptions.INITRD_LAST:
        text = f"{command_line} {_INITRD_ARGUMENT}\0"
    else:
        text = f"{_INITRD_ARGUMENT} {command_line}\0"
    return text.encode("utf-16-le")
