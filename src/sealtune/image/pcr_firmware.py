"""Firmware whose PCR 0 and 7 are known, and firmware that a boot makes known.

PCR 0 measures the firmware itself, PCR 7 the state of Secure Boot: both are read from a boot, not
derived. The values below are from boots of Debian's packages under QEMU 10.0.2 with a software TPM,
with an empty variable store; `-bios FILE` and two pflash drives gave the same values.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sealtune.attestation.event_log import Bank, parse_event_log, replay
from sealtune.core.digest import Digest
from sealtune.errors import Code, ConfigError, VerificationError
from sealtune.image.pcr import BootDigests, LoadOptions, pcr4, pcr9


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareProfile:
    """What of a direct boot's measurement depends on the firmware."""

    name: str
    load_options: LoadOptions
    pcr0: bytes
    pcr7: bytes


_NO_SECURE_BOOT = bytes.fromhex("b5710bf57d25623e4019027da116821fa99f5c81e9e38b87671cc574f9281439")
_EDK2_2025_02 = FirmwareProfile(
    name="edk2 2025.02-8+deb13u1",
    load_options=LoadOptions.INITRD_LAST,
    pcr0=bytes.fromhex("0101271704ccc2360ddbb08438d591c23fb8a0a9cb0cebc60cefea7868833f8e"),
    pcr7=_NO_SECURE_BOOT,
)
_EDK2_2026_08 = FirmwareProfile(
    name="edk2 2026.08+ds-2",
    load_options=LoadOptions.INITRD_FIRST,
    pcr0=bytes.fromhex("c52ccebcb2f9e66ae492acf8a1d80ff26df1176c9fc52cb53bf08ffbb838069b"),
    pcr7=_NO_SECURE_BOOT,
)
KNOWN_FIRMWARE: Final = {
    # OVMF_CODE_4M.fd and OVMF.fd of Debian's package ovmf
    Digest(
        "sha256:624e06de18b4fa535e90db7160d00d3d07d206422b89999bf1e27d920264e4e0"
    ): _EDK2_2025_02,
    Digest(
        "sha256:14954040cc754ade0c625ac3470ea46d4c14318b5b1396de4ef77090203d76db"
    ): _EDK2_2025_02,
    # the same two of Debian's package ovmf-generic
    Digest(
        "sha256:7e34e3b83224968bb0714c0ebc88f75c5c37b4cc892c902e511ccc7a7c107f94"
    ): _EDK2_2026_08,
    Digest(
        "sha256:6a3e8f438ad7269f5dfd884647587b88391fb23965bb3aa7902b519438dba129"
    ): _EDK2_2026_08,
}


def known_firmware(digest: Digest) -> FirmwareProfile:
    """Return what is known about the firmware file with that `digest`.

    Raises:
        ConfigError: nothing is.
    """
    profile = KNOWN_FIRMWARE.get(digest)
    if profile is None:
        names = ", ".join(dict.fromkeys(item.name for item in KNOWN_FIRMWARE.values()))
        message = f"no PCR values are known for this firmware, only for {names}"
        remedy = "take one of those, or give the event log of a boot with it: --record LOG"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)
    return profile


def recorded_firmware(
    log: bytes, *, name: str, digests: Callable[[LoadOptions], BootDigests]
) -> FirmwareProfile:
    """Return the profile of the firmware whose boot of an image left the event log `log`.

    `digests` are that image's in the SHA-256 bank, for each family. The log tells PCR 0 and 7; that
    it is of a boot of this very image is proved by PCR 4 and 9, which are derived.

    Raises:
        FormatError: not an event log with SHA-256 digests.
        VerificationError: of a boot that measured another kernel, command line or initrd, that
            measured in an unknown way, or without PCR 0 or 7.
    """
    registers = replay(parse_event_log(log), bank=Bank.SHA256)
    for family in LoadOptions:
        expected = digests(family)
        if _same(registers.get(4), pcr4(expected)) and _same(registers.get(9), pcr9(expected)):
            break
    else:
        raise _mismatch("PCR 4 and 9 are not those of a direct boot of this image")
    if 0 not in registers or 7 not in registers:
        raise _mismatch("it does not extend PCR 0 and 7")
    return FirmwareProfile(name=name, load_options=family, pcr0=registers[0], pcr7=registers[7])


def _same(found: bytes | None, expected: bytes) -> bool:
    return found is not None and hmac.compare_digest(found, expected)


def _mismatch(reason: str) -> VerificationError:
    return VerificationError(Code.EVENT_LOG_MISMATCH, f"event log: {reason}")
