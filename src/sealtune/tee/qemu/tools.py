"""What this host has for running virtual machines: programs, firmware, KVM, and their versions.

Whatever is missing or too old is named with what is needed and where it comes from.
"""

from __future__ import annotations

import fcntl
import lzma
import os
import re
import shutil
import struct
import subprocess
import uuid
from pathlib import Path
from typing import Final

from sealtune.attestation.snp_launch.firmware import FIRMWARE_BYTES_MAX, parse_firmware
from sealtune.core.files import read_bounded
from sealtune.core.limits import MIB
from sealtune.errors import Code, ConfigError
from sealtune.tee.qemu.arguments import MemoryEncryption

QEMU: Final = "qemu-system-x86_64"
# Older ones change the kernel that they hand over, so that register 4 is not the kernel's own hash.
QEMU_MINIMUM: Final = (10, 0)
QEMU_MINIMUM_TDX: Final = (10, 1)
# Older ones hash the kernel in another way as well.
FIRMWARE_MINIMUM: Final = (2025, 2)
# Code and an empty store of variables, as distributions place them.
FIRMWARE_PLACES: Final = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
)
# One file each: a confidential guest has no store of variables. Those of TDX that enforce Secure
# Boot with Microsoft's keys are not among them: they refuse a kernel that is given directly.
SNP_FIRMWARE_PLACES: Final = (
    "/usr/share/ovmf/OVMF.amdsev.fd",
    "/usr/share/edk2/ovmf/OVMF.amdsev.fd",
    "/usr/share/OVMF/OVMF.amdsev.fd",
    "/usr/share/qemu/ovmf-x86_64-sev.bin",
)
TDX_FIRMWARE_PLACES: Final = (
    "/usr/share/ovmf/OVMF.inteltdx.fd",
    "/usr/share/edk2/ovmf/OVMF.inteltdx.fd",
    "/usr/share/qemu/ovmf-x86_64-tdx.bin",
)
# Where Intel's service is found, as distributions start it.
QUOTE_SOCKETS: Final = ("/var/run/tdx-qgs/qgs.socket", "/run/tdx-qgs/qgs.socket")
KVM = Path("/dev/kvm")
CPUID = Path("/dev/cpu/0/cpuid")

_UNPACKED_BYTES_MAX = 128 * MIB
_SECTIONS_MAX = 8
_TOOL_SECONDS = 20.0
_KVM_GET_API_VERSION = 0xAE00
_KVM_API_VERSION = 12
_KVM_CREATE_VM = 0xAE01
_MEMORY_ENCRYPTION_LEAF = 0x8000001F
_VERSION = re.compile(r"version (\d{1,4})\.(\d{1,4})", re.ASCII)
# EFI_GUID_DEFINED_SECTION with EDK2's LZMA; the data's offset is counted from 4 bytes before.
_LZMA_SECTION = uuid.UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf").bytes_le
# UTF-16: `2025.02-8` as Debian and Ubuntu write it, `edk2-20250221-8` as Fedora does.
_FIRMWARE_VERSION = re.compile(
    rb"(2\0000\000\d\000\d\000)\.\000(\d\000\d\000)"
    rb"|e\000d\000k\0002\000-\000(2\0000\000\d\000\d\000)(\d\000\d\000)\d\000\d\000"
)


def find_program(name: str, *, package: str) -> Path:
    """Return where `name` is installed.

    Raises:
        ConfigError: nowhere; `package` provides it.
    """
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not installed"
        raise ConfigError(Code.TOOL_MISSING, message, remedy=f"install the package {package}")
    return Path(found)


def find_qemu(*, minimum: tuple[int, int]) -> Path:
    """Return QEMU's path.

    Raises:
        ConfigError: it is not installed, too old, or says no version.
    """
    path = find_program(QEMU, package="qemu-system-x86")
    done = _run(path, "--version")
    version = _VERSION.search(done)
    needed = f"{minimum[0]}.{minimum[1]}"
    remedy = f"install QEMU {needed} or newer (for Debian 12 it is in bookworm-backports)"
    if version is None:
        raise ConfigError(Code.TOOL_TOO_OLD, f"{path} tells no version", remedy=remedy)
    if (int(version[1]), int(version[2])) < minimum:
        told = f"{version[1]}.{version[2]}"
        message = f"QEMU {told} is too old: {needed} is needed for the measurement of the image"
        raise ConfigError(Code.TOOL_TOO_OLD, message, remedy=remedy)
    return path


def find_firmware(code: Path | None, variables: Path | None) -> tuple[Path, Path]:
    """Return UEFI firmware and its empty store of variables: the given ones, or this host's.

    Raises:
        ConfigError: there is none, or it is too old to measure as `sealtune image` does.
    """
    for place in FIRMWARE_PLACES:
        if code is None and variables is None and all(map(os.path.isfile, place)):
            code, variables = map(Path, place)
    remedy = "install the package ovmf, or name the firmware's two files"
    if code is None or variables is None:
        raise ConfigError(Code.TOOL_MISSING, "no UEFI firmware for a VM", remedy=remedy)
    for path in (code, variables):
        if not path.is_file():
            raise ConfigError(Code.TOOL_MISSING, f"{path}: no such firmware", remedy=remedy)
    _check_firmware(code)
    return code, variables


def find_snp_firmware(given: Path | None) -> Path:
    """Return the firmware of SEV-SNP guests: `given`, or this host's.

    Raises:
        ConfigError: there is none, or it measures no kernel that is given directly.
        FormatError: it is no OVMF.
    """
    remedy = "install OVMF for SEV-SNP (ovmf-amdsev, edk2 2026.08 or newer), or name its file"
    path = given or _first_file(SNP_FIRMWARE_PLACES, remedy=remedy)
    firmware = parse_firmware(_content(path, remedy=remedy))
    if not firmware.takes_kernel:
        # QEMU says so too, in words that do not help.
        message = f"{path}: OVMF without room for the hashes of a kernel: nothing would measure it"
        raise ConfigError(Code.TOOL_TOO_OLD, message, remedy=remedy)
    return path


def find_tdx_firmware(given: Path | None) -> Path:
    """Return the firmware of TDX guests: `given`, or this host's.

    Raises:
        ConfigError: there is none.
    """
    remedy = "name an OVMF file that boots a TDX guest and does not enforce Secure Boot"
    path = given or _first_file(TDX_FIRMWARE_PLACES, remedy=remedy)
    _content(path, remedy=remedy)
    return path


def require_kvm(target: str) -> None:
    """See that KVM works: hardware TEEs are never emulated. `target` is the doctor's name.

    Raises:
        ConfigError: it does not.
    """
    if not kvm_usable():
        message = "KVM does not work here, and a confidential guest is not emulated"
        remedy = f"see what is missing: sealtune doctor --for {target}"
        raise ConfigError(Code.TEE_UNAVAILABLE, message, remedy=remedy)


def firmware_version(path: Path) -> tuple[int, int] | None:
    """Return year and month of the EDK2 release that a firmware file says it is, if it does."""
    data = read_bounded(path, limit=FIRMWARE_BYTES_MAX, what="firmware")
    for content in (data, *_unpacked(data)):
        match = _FIRMWARE_VERSION.search(content)
        if match is not None:
            year, month = match[1] or match[3], match[2] or match[4]
            return int(year.decode("utf-16-le")), int(month.decode("utf-16-le"))
    return None


def kvm_usable(path: Path = KVM) -> bool:
    """Whether this process may make a virtual machine with KVM.

    A nested KVM can say yes and then fail at a guest's first unusual instruction.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if fcntl.ioctl(descriptor, _KVM_GET_API_VERSION) != _KVM_API_VERSION:
            return False
        os.close(fcntl.ioctl(descriptor, _KVM_CREATE_VM, 0))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def memory_encryption(path: Path = CPUID) -> MemoryEncryption:
    """Return this host's CPUID 0x8000001F EBX: every processor generation has its own.

    Raises:
        ConfigError: it cannot be read, or the processor encrypts no memory.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            leaf = os.pread(descriptor, 16, _MEMORY_ENCRYPTION_LEAF)
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"{path}: {error.strerror}: the processor cannot be asked for its C-bit"
        remedy = "load the kernel module cpuid (modprobe cpuid), and run this as root"
        raise ConfigError(Code.TEE_UNAVAILABLE, message, remedy=remedy) from None
    # AMD 24594, appendix E: EBX bits 5:0 are the C-bit's place, 11:6 the lost address bits.
    eax, ebx = struct.unpack("<II", leaf[:8]) if len(leaf) == 16 else (0, 0)
    if not eax & 1 or not ebx & 0xFFF:
        message = "this host's processor has no memory encryption (CPUID 0x8000001F)"
        remedy = "run this on an AMD EPYC host with SEV-SNP enabled: `sealtune doctor` shows it"
        raise ConfigError(Code.TEE_UNAVAILABLE, message, remedy=remedy)
    return MemoryEncryption(c_bit=ebx & 0x3F, reduced_bits=ebx >> 6 & 0x3F)


def _first_file(places: tuple[str, ...], *, remedy: str) -> Path:
    for path in map(Path, places):
        if path.is_file():
            return path
    raise ConfigError(Code.TOOL_MISSING, "no firmware for such guests here", remedy=remedy)


def _content(path: Path, *, remedy: str) -> bytes:
    if not path.is_file():
        raise ConfigError(Code.TOOL_MISSING, f"{path}: no such firmware", remedy=remedy)
    return read_bounded(path, limit=FIRMWARE_BYTES_MAX, what="firmware")


def _check_firmware(path: Path) -> None:
    version = firmware_version(path)
    needed = f"{FIRMWARE_MINIMUM[0]}.{FIRMWARE_MINIMUM[1]:02}"
    remedy = f"install OVMF {needed} or newer (Debian 13 has it), or name such a file"
    if version is None:
        message = f"{path}: OVMF that tells no version, as those before {needed} do"
        raise ConfigError(Code.TOOL_TOO_OLD, message, remedy=remedy)
    if version < FIRMWARE_MINIMUM:
        message = f"{path}: OVMF {version[0]}.{version[1]:02} is too old, {needed} is needed"
        raise ConfigError(Code.TOOL_TOO_OLD, message, remedy=remedy)


def _unpacked(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    place = data.find(_LZMA_SECTION)
    while place >= 4 and len(found) < _SECTIONS_MAX:
        start = place - 4 + int.from_bytes(data[place + 16 : place + 18], "little")
        decoder = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_UNPACKED_BYTES_MAX)
        try:
            found.append(decoder.decompress(data[start:], _UNPACKED_BYTES_MAX))
        except lzma.LZMAError:
            found.append(b"")
        place = data.find(_LZMA_SECTION, place + 1)
    return found


def _run(path: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [str(path), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TOOL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", errors="replace")
