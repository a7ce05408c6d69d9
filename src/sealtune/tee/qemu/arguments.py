"""QEMU's command line: one builder, and three profiles that differ in a handful of arguments.

Every machine has the measured kernel, initrd and command line, its disks by serial number and one
virtio-serial port (spec/vm §1). It has no network card, no monitor, no console unless the image is
one for debugging, and nothing else that QEMU would add by itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sealtune.tee.frames import PORT_NAME

SNP_HOST_DATA_BYTES = 32
TDX_CONFIG_ID_BYTES = 48
SERIAL_BYTES_MAX = 20  # of a virtio disk
DISKS_MAX = 8 * 24

# SMT allowed, and the bit that must be one; no debugging, no migration (AMD 56860, table 9).
_SNP_POLICY = 0x30000
# Emulated in software these make matrix products 25 times slower than without them.
_EMULATED_CPU = "max,-avx,-avx2,-fma,-f16c"
# The first slots of the machine's bus are the chipset's; the last is the chipset's as well.
_CHANNEL_SLOT = 2
_DISK_SLOT = 3
_FUNCTIONS = 8


class Acceleration(StrEnum):
    """How an ordinary VM's processor is made."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainVm:
    """An ordinary VM: UEFI firmware that measures into a vTPM. Its memory is the operator's."""

    acceleration: Acceleration
    firmware: Path
    variables: Path
    tpm: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEncryption:
    """CPUID 0x8000001F EBX of the host: where the C-bit is, and what it costs in address bits."""

    c_bit: int
    reduced_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SevSnp:
    """A SEV-SNP guest: firmware with room for the kernel's hashes, contract in HOST_DATA."""

    firmware: Path
    processor: str
    encryption: MemoryEncryption
    host_data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixQuotes:
    """The host's quote generation service, behind a unix socket."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class VsockQuotes:
    """The host's quote generation service, behind a vsock port."""

    cid: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tdx:
    """A TDX guest: contract in MRCONFIGID, quotes from the host's service."""

    firmware: Path
    config_id: bytes
    quotes: UnixQuotes | VsockQuotes


Profile = PlainVm | SevSnp | Tdx


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What is measured: kernel, initrd and command line, which names the root disk's hash."""

    kernel: Path
    initrd: Path
    cmdline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDisk:
    """A file that the guest sees as the disk with number `serial`."""

    serial: str
    path: Path
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One virtual machine, but for the program that runs it."""

    profile: Profile
    boot: Boot
    disks: Sequence[HostDisk]
    channel: Path
    processors: int
    memory_mib: int
    console: Path | None


def qemu_arguments(qemu: Path, machine: Machine) -> list[str]:
    """Return the whole command line.

    Raises:
        ValueError: a field that no machine can have (a caller's mistake).
    """
    _check(machine)
    arguments = [str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    # After the start QEMU makes no process and gains no right, whatever a guest does to it.
    arguments += ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"]
    arguments += ["-smp", str(machine.processors), "-m", f"{machine.memory_mib}M"]
    arguments += _of_profile(machine.profile, machine.memory_mib)
    arguments += ["-kernel", str(machine.boot.kernel), "-initrd", str(machine.boot.initrd)]
    arguments += ["-append", machine.boot.cmdline]
    for number, disk in enumerate(machine.disks):
        arguments += _disk(number, disk)
    arguments += ["-chardev", f"socket,id=channel,path={_escaped(machine.channel)}"]
    arguments += ["-device", f"virtio-serial-pci,id=ports,max_ports=2,addr={_CHANNEL_SLOT:#x}"]
    arguments += ["-device", f"virtserialport,bus=ports.0,nr=1,chardev=channel,name={PORT_NAME}"]
    if machine.console is not None:
        arguments += ["-chardev", f"file,id=console,path={_escaped(machine.console)}"]
        arguments += ["-serial", "chardev:console"]
    return arguments


def _of_profile(profile: Profile, memory_mib: int) -> list[str]:
    match profile:
        case PlainVm():
            return _plain_vm(profile)
        case SevSnp():
            return _sev_snp(profile, memory_mib)
        case Tdx():
            return _tdx(profile)


def _plain_vm(profile: PlainVm) -> list[str]:
    if profile.acceleration is Acceleration.KVM:
        arguments = ["-accel", "kvm", "-cpu", "host"]
    else:
        arguments = ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", _EMULATED_CPU]
    return [
        *arguments,
        "-machine",
        "q35,vmport=off,pflash0=firmware,pflash1=variables",
        "-blockdev",
        _file_node("firmware", profile.firmware, writable=False),
        "-blockdev",
        _file_node("variables", profile.variables, writable=True),
        "-chardev",
        f"socket,id=tpm,path={_escaped(profile.tpm)}",
        "-tpmdev",
        "emulator,id=tpm0,chardev=tpm",
        "-device",
        "tpm-crb,tpmdev=tpm0",
    ]


def _sev_snp(profile: SevSnp, memory_mib: int) -> list[str]:
    guest = {
        "qom-type": "sev-snp-guest",
        "id": "tee0",
        "cbitpos": profile.encryption.c_bit,
        "reduced-phys-bits": profile.encryption.reduced_bits,
        "policy": _SNP_POLICY,
        # The firmware refuses another kernel, initrd or command line than the hashes name.
        "kernel-hashes": True,
        "host-data": base64.b64encode(profile.host_data).decode(),
    }
    memory = {
        "qom-type": "memory-backend-memfd",
        "id": "memory",
        "size": memory_mib * 1024 * 1024,
        "share": True,
        "prealloc": False,
    }
    return [
        "-accel",
        "kvm",
        "-cpu",
        profile.processor,
        "-machine",
        "q35,vmport=off,confidential-guest-support=tee0,memory-backend=memory",
        "-object",
        _json(memory),
        "-object",
        _json(guest),
        "-bios",
        str(profile.firmware),
    ]


def _tdx(profile: Tdx) -> list[str]:
    match profile.quotes:
        case UnixQuotes(path=path):
            service = {"type": "unix", "path": str(path)}
        case VsockQuotes(cid=cid, port=port):
            service = {"type": "vsock", "cid": str(cid), "port": str(port)}
    guest = {
        "qom-type": "tdx-guest",
        "id": "tee0",
        "sept-ve-disable": True,
        "mrconfigid": base64.b64encode(profile.config_id).decode(),
        "quote-generation-socket": service,
    }
    return [
        "-accel",
        "kvm",
        "-cpu",
        "host",
        "-machine",
        "q35,vmport=off,confidential-guest-support=tee0,kernel-irqchip=split",
        "-object",
        _json(guest),
        "-bios",
        str(profile.firmware),
    ]


def _disk(number: int, disk: HostDisk) -> list[str]:
    node = f"disk-{disk.serial}"
    slot, function = divmod(number, _FUNCTIONS)
    # Eight in a slot: a contract may have more inputs than the bus has slots. Errors go to the
    # guest; QEMU's own way with a full disk, to stop the machine, would look like a hanging one.
    device = (
        f"virtio-blk-pci,drive={node},serial={disk.serial},addr={_DISK_SLOT + slot:#x}.{function}"
        f",multifunction=on,werror=report,rerror=report"
    )
    return ["-blockdev", _file_node(node, disk.path, writable=disk.writable), "-device", device]


def _file_node(name: str, path: Path, *, writable: bool) -> str:
    # As JSON, in which a path may hold any character. QEMU itself reads zeros from a file's end to
    # the next whole block, so an input needs no padded copy (spec/vm §4.3).
    file: dict[str, Any] = {"driver": "file", "filename": str(path), "read-only": not writable}
    return _json({"driver": "raw", "node-name": name, "read-only": not writable, "file": file})


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")


def _check(machine: Machine) -> None:
    serials = [disk.serial for disk in machine.disks]
    if len(set(serials)) != len(serials) or len(serials) > DISKS_MAX:
        raise ValueError("each disk has a number of its own, and there is room for all")
    for serial in serials:
        if not serial.isascii() or not serial.isalnum() or len(serial) > SERIAL_BYTES_MAX:
            raise ValueError(f"{serial!r} is not a disk's number")
    if machine.processors < 1 or machine.memory_mib < 1:
        raise ValueError("a machine has a processor and memory")
    profile = machine.profile
    if isinstance(profile, SevSnp) and len(profile.host_data) != SNP_HOST_DATA_BYTES:
        raise ValueError(f"HOST_DATA has {SNP_HOST_DATA_BYTES} bytes")
    if isinstance(profile, Tdx) and len(profile.config_id) != TDX_CONFIG_ID_BYTES:
        raise ValueError(f"MRCONFIGID has {TDX_CONFIG_ID_BYTES} bytes")
