"""SGX hosts: enclaves under Gramine, with DCAP quotes."""

from __future__ import annotations

from typing import Final

from sealtune.core.limits import GIB, MIB
from sealtune.tee.doctor.finding import Finding, Found, Group
from sealtune.tee.doctor.kernel import KernelOptions
from sealtune.tee.doctor.machine import Machine
from sealtune.tee.doctor.platform import Cloud, Platform, Vendor
from sealtune.tee.doctor.tools import find_version, first_present

AESM_SOCKETS: Final = ("/var/run/aesmd/aesm.socket", "/run/aesmd/aesm.socket")
AESM_FIX: Final = (
    "install sgx-aesm-service, libsgx-aesm-quote-ex-plugin and libsgx-dcap-default-qpl from "
    "Intel's SGX repository, then: sudo systemctl enable --now aesmd"
)
DEVICE: Final = "/dev/sgx_enclave"
DEVICE_FIX: Final = "sudo usermod -aG sgx $USER, then log in again"
NO_DEVICE_FIX: Final = "take a kernel of version 5.11 or newer with CONFIG_X86_SGX"
GRAMINE_MINIMUM: Final = (1, 9, 0)
_NODES: Final = "/sys/devices/system/node"
_SGX_LEAF: Final = 0x12  # Intel SDM 3D, 36.7.2
_SECTIONS_MAX: Final = 16
_WANTED: Final = 4 * GIB  # facts: a LoRA training counts 2.26 GB, and sizes are powers of two
_NAMES: Final = (
    "sgx-launch-control",
    "sgx-kernel",
    "sgx-device",
    "sgx-provision",
    "sgx-dev-exec",
    "sgx-epc",
    "sgx-aesm",
    "sgx-gramine",
)


def probe_sgx(machine: Machine, platform: Platform, options: KernelOptions) -> tuple[Finding, ...]:
    """Return the findings of the group `sgx`."""
    found = Found(Group.SGX)
    cpu = platform.cpu
    if cpu.vendor is not Vendor.INTEL:
        why = f"impossible on this processor: {cpu.vendor}, not Intel"
        return found.all_none(("sgx-cpu", *_NAMES), why)
    if "sgx" not in cpu.flags:
        return (_no_flag(found, platform), *found.all_none(_NAMES, "SGX is off"))
    return (
        found.ok("sgx-cpu", "the processor has SGX and the BIOS leaves it on"),
        _launch_control(found, platform),
        _kernel(found, platform, options),
        found.usable(
            machine,
            "sgx-device",
            DEVICE,
            absent=NO_DEVICE_FIX,
            fix=DEVICE_FIX,
        ),
        found.usable(
            machine,
            "sgx-provision",
            "/dev/sgx_provision",
            absent=NO_DEVICE_FIX,
            fix="sudo usermod -aG sgx_prv $USER, then log in again: DCAP quotes need it",
        ),
        _dev_exec(found, machine),
        _epc(found, machine),
        _aesm(found, machine),
        _gramine(found, machine),
    )


def _no_flag(found: Found, platform: Platform) -> Finding:
    if platform.cloud in (Cloud.GOOGLE, Cloud.AWS):
        return found.none("sgx-cpu", f"{platform.cloud} gives its virtual machines no SGX")
    if platform.guest:
        fix = "take a VM size with SGX (Azure DCsv3), or give the guest EPC (QEMU -object "
        fix += "memory-backend-epc)"
        return found.missing("sgx-cpu", "this virtual machine was given no SGX", fix)
    if platform.cpu.generation:
        fix = "in the BIOS setup: SGX on (Software Controlled is not enough), total memory "
        fix += "encryption on, PRMRR size at its largest"
        return found.missing("sgx-cpu", "this Xeon has SGX and the BIOS keeps it off", fix)
    detail = "the kernel shows no SGX: this processor has none, or the BIOS keeps it off"
    return found.none("sgx-cpu", detail)


def _launch_control(found: Found, platform: Platform) -> Finding:
    if "sgx_lc" in platform.cpu.flags:
        return found.ok("sgx-launch-control", "flexible launch control")
    fix = "in the BIOS setup: SGX launch control unlocked; without that option, another machine"
    return found.missing("sgx-launch-control", "locked: Linux's own driver does not load", fix)


def _kernel(found: Found, platform: Platform, options: KernelOptions) -> Finding:
    built = options.built("X86_SGX")
    if built is False or (built is None and not platform.kernel_at_least(5, 11)):
        detail = f"Linux {platform.release} has no SGX driver"
        return found.missing("sgx-kernel", detail, NO_DEVICE_FIX)
    return found.ok("sgx-kernel", f"Linux {platform.release}")


def _dev_exec(found: Found, machine: Machine) -> Finding:
    for line in machine.read("/proc/mounts").text.splitlines():
        words = line.split()
        if len(words) > 3 and words[1] == "/dev" and "noexec" in words[3].split(","):
            detail = "/dev is mounted noexec: enclave pages cannot be made executable"
            return found.missing("sgx-dev-exec", detail, "sudo mount -o remount,exec /dev")
    return found.ok("sgx-dev-exec", "/dev is not mounted noexec")


def _epc(found: Found, machine: Machine) -> Finding:
    size = _epc_of_nodes(machine) or _epc_of_cpuid(machine)
    if size is None:
        detail = "the size of the enclave page cache is not shown (the kernel does from 5.17 on)"
        return found.unknown(
            "sgx-epc", detail, "sudo modprobe cpuid, and run as root", as_root=True
        )
    shown = f"{size / GIB:.1f} GiB" if size >= GIB else f"{size // MIB} MiB"
    if size < _WANTED:
        fix = "raise PRMRR size in the BIOS setup, or take a larger machine"
        return found.degraded("sgx-epc", f"EPC of {shown}: a training would page", fix)
    return found.ok("sgx-epc", f"EPC of {shown}")


def _epc_of_nodes(machine: Machine) -> int | None:
    total = 0
    for node in machine.children(_NODES):
        if node.startswith("node") and node[4:].isascii() and node[4:].isdigit():
            text = machine.read(f"{_NODES}/{node}/x86/sgx_total_bytes").value
            total += int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0
    return total or None


def _epc_of_cpuid(machine: Machine) -> int | None:
    total = 0
    for section in range(2, 2 + _SECTIONS_MAX):
        leaf = machine.cpuid(_SGX_LEAF, section)
        if leaf is None or leaf.eax & 0xF != 1:
            break
        total += (leaf.edx & 0xFFFFF) << 32 | leaf.ecx & 0xFFFFF000
    return total or None


def _aesm(found: Found, machine: Machine) -> Finding:
    place = first_present(machine, AESM_SOCKETS)
    if place:
        return found.ok("sgx-aesm", f"architectural enclave service at {place}")
    return found.missing("sgx-aesm", "no aesmd socket: no quotes can be made", AESM_FIX)


def _gramine(found: Found, machine: Machine) -> Finding:
    told = machine.run("gramine-sgx --version")
    version = find_version(told.output) if told.status is not None else None
    if version is None:
        fix = "install Gramine from its own repository: https://gramine.readthedocs.io"
        return found.missing("sgx-gramine", "Gramine is not installed", fix)
    if version.numbers < GRAMINE_MINIMUM:
        fix = "install Gramine 1.9 or newer"
        return found.degraded("sgx-gramine", f"Gramine {version.text} was never tried", fix)
    return found.ok("sgx-gramine", f"Gramine {version.text}")
