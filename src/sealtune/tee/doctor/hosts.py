"""Hosts that launch SEV-SNP or TDX guests: processor, BIOS, kernel, KVM, firmware, QEMU, OVMF."""

from __future__ import annotations

from typing import Final

from sealtune.tee.doctor.finding import Finding, Found, Group
from sealtune.tee.doctor.kernel import KernelOptions
from sealtune.tee.doctor.machine import Access, Machine
from sealtune.tee.doctor.platform import (
    TDX_GENERATIONS,
    Platform,
    Vendor,
    snp_in_silicon,
)
from sealtune.tee.doctor.tools import Version, find_version, first_present
from sealtune.tee.qemu.tools import (
    QEMU_MINIMUM,
    QEMU_MINIMUM_TDX,
    QUOTE_SOCKETS,
    SNP_FIRMWARE_PLACES,
    TDX_FIRMWARE_PLACES,
)

_SNP_KERNEL: Final = (6, 11)
_TDX_KERNEL: Final = (6, 16)
_ON: Final = ("Y", "1")
_KVM_AMD: Final = "/sys/module/kvm_amd/parameters"
_KVM_INTEL: Final = "/sys/module/kvm_intel/parameters"
_SNP_NAMES: Final = (
    "snp-bios",
    "snp-host-kernel",
    "snp-iommu",
    "snp-kvm",
    "snp-psp",
    "snp-psp-permission",
    "snp-firmware",
)
_TDX_NAMES: Final = ("tdx-bios", "tdx-host-kernel", "tdx-hibernation", "tdx-kvm", "tdx-quoting")
# facts, BadRAM: the first SEV firmware that reports the check for aliased memory (bit 5).
_ALIAS_CHECK: Final = {"Milan": (1, 55, 22), "Genoa": (1, 55, 38)}
_SNP_OVMF: Final = "OVMF.amdsev.fd (ovmf-amdsev)"
_SECURE_BOOT_OVMF: Final = (
    "/usr/share/ovmf/OVMF.inteltdx.ms.fd",
    "/usr/share/edk2/ovmf/OVMF.inteltdx.secboot.fd",
)
_OFF_IOMMU: Final = frozenset(
    {"iommu=pt", "iommu=off", "iommu.passthrough=1", "amd_iommu=off", "amd_iommu=pgtbl_v2"}
)


def probe_snp_host(
    machine: Machine, platform: Platform, options: KernelOptions
) -> tuple[Finding, ...]:
    """Return the findings of the group `snp-host`."""
    found = Found(Group.SNP_HOST)
    why = _no_snp_host(machine, platform)
    if why:
        return found.all_none(("snp-cpu", *_SNP_NAMES), why)
    generation = platform.cpu.generation
    return (
        found.ok("snp-cpu", f"the processor has SEV-SNP{f' ({generation})' if generation else ''}"),
        _snp_bios(found, machine, platform),
        _snp_kernel(found, machine, platform, options),
        _snp_iommu(found, machine, platform),
        _snp_kvm(found, machine),
        _psp(found, machine),
        _psp_permission(found, machine),
        _snp_firmware(found, machine, platform),
    )


def _no_snp_host(machine: Machine, platform: Platform) -> str:
    if platform.guest:
        return "a virtual machine is no host for SEV-SNP guests"
    if platform.cpu.vendor is not Vendor.AMD:
        return f"impossible on this processor: {platform.cpu.vendor}, not AMD"
    if not snp_in_silicon(machine, platform.cpu):
        return "impossible on this processor: SEV-SNP needs an EPYC 7003 (Milan) or newer"
    return ""


def _snp_bios(found: Found, machine: Machine, platform: Platform) -> Finding:
    flags = platform.cpu.flags
    if "sev_snp" in flags or _is_on(machine, f"{_KVM_AMD}/sev_snp"):
        return found.ok("snp-bios", "the BIOS leaves SEV, SEV-ES and SEV-SNP on")
    fix = "in the BIOS setup: SMEE on, SEV Control on, SEV-ES ASID limit above 1, "
    fix += "SNP Memory (RMP table) Coverage on, IOMMU on"
    if not platform.kernel_at_least(6, 9) and "sev_es" in flags:
        return found.unknown("snp-bios", "kernels before 6.9 do not show SEV-SNP", fix)
    return found.missing("snp-bios", "the processor has SEV-SNP and the BIOS keeps it off", fix)


def _snp_kernel(
    found: Found, machine: Machine, platform: Platform, options: KernelOptions
) -> Finding:
    name = "snp-host-kernel"
    # A distribution's kernel that has the parameter has the code, whatever its number.
    if machine.present(f"{_KVM_AMD}/sev_snp") is Access.OK:
        return found.ok(name, f"Linux {platform.release}: KVM knows SEV-SNP guests")
    fix = "take a kernel of version 6.11 or newer with CONFIG_KVM_AMD_SEV"
    if options.built("KVM_AMD_SEV") is False:
        return found.missing(name, "built without CONFIG_KVM_AMD_SEV", fix)
    if not platform.kernel_at_least(*_SNP_KERNEL):
        return found.missing(name, f"Linux {platform.release} cannot start SEV-SNP guests", fix)
    detail = "KVM for AMD is not loaded"
    return found.missing(name, detail, "sudo modprobe kvm_amd sev=1 sev_es=1 sev_snp=1")


def _snp_iommu(found: Found, machine: Machine, platform: Platform) -> Finding:
    bad = sorted(_OFF_IOMMU.intersection(platform.command_line))
    if bad:
        detail = f"the kernel refuses SEV-SNP with {' '.join(bad)}"
        fix = f"take {' '.join(bad)} off the kernel command line and restart"
        return found.missing("snp-iommu", detail, fix)
    if not machine.children("/sys/class/iommu"):
        fix = "enable the IOMMU in the BIOS setup; SEV-SNP needs it"
        return found.missing("snp-iommu", "no IOMMU is in use", fix)
    return found.ok("snp-iommu", "in use, not in pass-through mode")


def _snp_kvm(found: Found, machine: Machine) -> Finding:
    off = [
        name for name in ("sev", "sev_es", "sev_snp") if not _is_on(machine, f"{_KVM_AMD}/{name}")
    ]
    if not off:
        return found.ok("snp-kvm", "kvm_amd: sev, sev_es and sev_snp are on")
    fix = "echo 'options kvm_amd sev=1 sev_es=1 sev_snp=1' | sudo tee /etc/modprobe.d/sev.conf; "
    fix += "sudo modprobe -r kvm_amd; sudo modprobe kvm_amd"
    return found.missing("snp-kvm", f"kvm_amd: off or absent: {', '.join(off)}", fix)


def _psp(found: Found, machine: Machine) -> Finding:
    if machine.present("/dev/sev") is Access.OK:
        return found.ok("snp-psp", "/dev/sev is there: the AMD secure processor answers")
    fix = "sudo modprobe ccp; if it fails, `dmesg | grep ccp` says why (often the BIOS)"
    return found.missing("snp-psp", "/dev/sev is not there", fix)


def _psp_permission(found: Found, machine: Machine) -> Finding:
    name = "snp-psp-permission"
    if machine.present("/dev/sev") is Access.ABSENT:
        return found.none(name, "there is no /dev/sev to use")
    fix = "start QEMU as root or through libvirt, or: sudo setfacl -m u:$USER:rw /dev/sev"
    return found.usable(machine, name, "/dev/sev", absent=fix, fix=fix)


def _snp_firmware(found: Found, machine: Machine, platform: Platform) -> Finding:
    told = machine.run("snphost show version")
    version = find_version(told.output) if told.status == 0 else None
    if version is None:
        fix = "sudo snphost show version (https://github.com/virtee/snphost)"
        detail = "the SEV firmware's version is not known"
        return found.unknown("snp-firmware", detail, fix, as_root=told.status is not None)
    wanted = _ALIAS_CHECK.get(platform.cpu.generation)
    if wanted and version.numbers < wanted:
        least = ".".join(map(str, wanted))
        detail = f"SEV firmware {version.text}: does not report the check for aliased memory"
        fix = f"update the BIOS (AGESA) or the SEV firmware to {least} or newer"
        return found.degraded("snp-firmware", detail, fix)
    return found.ok("snp-firmware", f"SEV firmware {version.text}")


def probe_tdx_host(
    machine: Machine, platform: Platform, options: KernelOptions
) -> tuple[Finding, ...]:
    """Return the findings of the group `tdx-host`."""
    found = Found(Group.TDX_HOST)
    why = _no_tdx_host(platform)
    if why:
        return found.all_none(("tdx-cpu", *_TDX_NAMES), why)
    return (
        found.ok("tdx-cpu", f"{platform.cpu.generation or 'the processor'} can have TDX"),
        _tdx_bios(found, machine, platform),
        _tdx_kernel(found, machine, platform, options),
        _hibernation(found, machine, platform, options),
        _tdx_kvm(found, machine),
        _quoting(found, machine),
    )


def _no_tdx_host(platform: Platform) -> str:
    if platform.guest:
        return "a virtual machine is no host for TDX guests"
    if platform.cpu.vendor is not Vendor.INTEL:
        return f"impossible on this processor: {platform.cpu.vendor}, not Intel"
    if "tdx_host_platform" in platform.cpu.flags or platform.cpu.generation in TDX_GENERATIONS:
        return ""
    return "impossible on this processor: TDX needs a Xeon of the 5th generation or some of the 4th"


def _tdx_bios(found: Found, machine: Machine, platform: Platform) -> Finding:
    shown = "tdx_host_platform" in platform.cpu.flags
    if shown or _is_on(machine, f"{_KVM_INTEL}/tdx"):
        return found.ok("tdx-bios", "the BIOS has set TDX up")
    fix = "in the BIOS setup: TME and TME-MT on, TDX on, SEAM loader on, TDX key split above 0"
    detail = "the kernel sees no TDX: the BIOS keeps it off, or this model has none"
    return found.missing("tdx-bios", detail, fix)


def _tdx_kernel(
    found: Found, machine: Machine, platform: Platform, options: KernelOptions
) -> Finding:
    name = "tdx-host-kernel"
    if machine.present(f"{_KVM_INTEL}/tdx") is Access.OK:
        return found.ok(name, f"Linux {platform.release}: KVM knows TDX guests")
    fix = "take a kernel of version 6.16 or newer with CONFIG_INTEL_TDX_HOST and CONFIG_KVM_INTEL"
    if options.built("INTEL_TDX_HOST") is False:
        return found.missing(name, "built without CONFIG_INTEL_TDX_HOST", fix)
    if not platform.kernel_at_least(*_TDX_KERNEL):
        return found.missing(name, f"Linux {platform.release} cannot start TDX guests", fix)
    return found.missing(name, "KVM for Intel is not loaded", "sudo modprobe kvm_intel tdx=1")


def _hibernation(
    found: Found, machine: Machine, platform: Platform, options: KernelOptions
) -> Finding:
    if _is_on(machine, f"{_KVM_INTEL}/tdx") or "nohibernate" in platform.command_line:
        return found.ok("tdx-hibernation", "does not stand in the way")
    if options.built("HIBERNATION") is False:
        return found.ok("tdx-hibernation", "this kernel has none")
    detail = "the kernel leaves TDX off where hibernation is possible"
    fix = "add nohibernate to the kernel command line and restart"
    return found.missing("tdx-hibernation", detail, fix)


def _tdx_kvm(found: Found, machine: Machine) -> Finding:
    if _is_on(machine, f"{_KVM_INTEL}/tdx"):
        return found.ok("tdx-kvm", "kvm_intel: tdx is on")
    fix = "echo 'options kvm_intel tdx=1' | sudo tee /etc/modprobe.d/tdx.conf; "
    fix += "sudo modprobe -r kvm_intel; sudo modprobe kvm_intel"
    return found.missing("tdx-kvm", "kvm_intel: tdx is off", fix)


def _quoting(found: Found, machine: Machine) -> Finding:
    place = first_present(machine, QUOTE_SOCKETS)
    if place:
        return found.ok("tdx-quoting", f"quote generation service at {place}")
    detail = "no quote generation service: guests here could not make evidence"
    fix = "install tdx-qgs and libsgx-dcap-default-qpl from Intel's SGX repository, "
    fix += "register the platform, then: sudo systemctl enable --now qgsd"
    return found.missing("tdx-quoting", detail, fix)


def _is_on(machine: Machine, path: str) -> bool:
    return machine.read(path).value in _ON


def probe_launcher(
    machine: Machine, platform: Platform, qemu: Version | None
) -> tuple[Finding, ...]:
    """Return whether QEMU and OVMF are new enough for each kind of guest."""
    snp, tdx = Found(Group.SNP_HOST), Found(Group.TDX_HOST)
    why_not = _no_snp_host(machine, platform), _no_tdx_host(platform)
    return (
        *(
            snp.all_none(("snp-qemu", "snp-ovmf"), why_not[0])
            if why_not[0]
            else (
                _qemu(snp, "snp-qemu", qemu, QEMU_MINIMUM, "SEV-SNP"),
                _ovmf(snp, "snp-ovmf", machine, SNP_FIRMWARE_PLACES, _SNP_OVMF),
            )
        ),
        *(
            tdx.all_none(("tdx-qemu", "tdx-ovmf"), why_not[1])
            if why_not[1]
            else (
                _qemu(tdx, "tdx-qemu", qemu, QEMU_MINIMUM_TDX, "TDX"),
                _tdx_ovmf(tdx, machine),
            )
        ),
    )


def _qemu(
    found: Found, name: str, qemu: Version | None, least: tuple[int, int], what: str
) -> Finding:
    wanted = f"install QEMU {least[0]}.{least[1]} or newer"
    if qemu is None:
        return found.missing(name, "QEMU is not installed, or not in PATH", wanted)
    if qemu.numbers[:2] < least:
        return found.missing(name, f"QEMU {qemu.text} is too old for {what} guests", wanted)
    return found.ok(name, f"QEMU {qemu.text} knows {what} guests")


def _ovmf(found: Found, name: str, machine: Machine, places: tuple[str, ...], what: str) -> Finding:
    place = first_present(machine, places)
    if place:
        return found.ok(name, place)
    return found.missing(name, "no such guest firmware at the usual places", f"install {what}")


def _tdx_ovmf(found: Found, machine: Machine) -> Finding:
    locked = first_present(machine, _SECURE_BOOT_OVMF)
    if locked and not first_present(machine, TDX_FIRMWARE_PLACES):
        # It refuses a kernel that is given directly and not signed with Microsoft's keys.
        detail = f"{locked} enforces Secure Boot and would not start an enclave image"
        fix = "build edk2's OvmfPkg/IntelTdx without Secure Boot, and name it with --firmware"
        return found.missing("tdx-ovmf", detail, fix)
    return _ovmf(found, "tdx-ovmf", machine, TDX_FIRMWARE_PLACES, "OVMF for TDX")
