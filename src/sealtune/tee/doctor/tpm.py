"""TPM 2.0 of a virtual machine, and Azure's confidential VMs, which attest through theirs."""

from __future__ import annotations

from typing import Final

from sealtune.tee.doctor.finding import Finding, Found, Group
from sealtune.tee.doctor.machine import Access, Machine
from sealtune.tee.doctor.platform import (
    HCL_REPORT_HANDLE,
    Cloud,
    GuestTee,
    Platform,
)

_DEVICE: Final = "/dev/tpmrm0"
_AZURE_NAMES: Final = ("azure-tpm", "azure-tools", "azure-report")


def probe_tpm(machine: Machine, platform: Platform) -> tuple[Finding, ...]:
    """Return the findings of the group `tpm`."""
    found = Found(Group.TPM)
    if machine.present(_DEVICE) is Access.ABSENT and not machine.children("/sys/class/tpm"):
        return (
            _no_tpm(found, platform),
            *found.all_none(("tpm", "tpm-permission", "tpm-event-log"), "there is no TPM"),
        )
    return (
        _version(found, machine),
        found.usable(
            machine,
            "tpm-permission",
            _DEVICE,
            absent="take a kernel of version 4.12 or newer: it has the resource manager",
            fix="sudo usermod -aG tss $USER, then log in again; or run as root",
        ),
        _event_log(found, machine),
        _guest(found, platform),
    )


def _no_tpm(found: Found, platform: Platform) -> Finding:
    if not platform.guest:
        return found.none("tpm-guest", "a physical machine, and it shows no TPM")
    how = {
        Cloud.GOOGLE: "make the VM anew as a Shielded VM with --shielded-vtpm",
        Cloud.AWS: "register the image with --tpm-support v2.0 --boot-mode uefi",
        Cloud.AZURE: "make the VM anew with security type Trusted launch or Confidential",
        Cloud.NONE: "give the guest a vTPM: swtpm and QEMU's -device tpm-crb",
    }
    return found.missing("tpm-guest", "this virtual machine has no vTPM", how[platform.cloud])


def _version(found: Found, machine: Machine) -> Finding:
    major = machine.read("/sys/class/tpm/tpm0/tpm_version_major").value
    if major == "2":
        return found.ok("tpm", "TPM 2.0")
    if not major:
        return found.unknown("tpm", "a TPM whose version the kernel does not tell")
    detail = f"TPM of version {major[:4]}; evidence needs 2.0"
    return found.missing("tpm", detail, "switch it to 2.0 in the BIOS setup, or take another VM")


def _event_log(found: Found, machine: Machine) -> Finding:
    path = "/sys/kernel/security/tpm0/binary_bios_measurements"
    access, _ = machine.read_bytes(path, limit=1)
    if access is Access.OK:
        return found.ok("tpm-event-log", "the firmware's event log can be read")
    if access is Access.DENIED:
        return found.unknown("tpm-event-log", "root's to read", as_root=True)
    detail = "no event log of the firmware: PCR values cannot be explained"
    fix = "sudo mount -t securityfs securityfs /sys/kernel/security; boot through UEFI"
    return found.degraded("tpm-event-log", detail, fix)


def _guest(found: Found, platform: Platform) -> Finding:
    if not platform.guest:
        return found.none("tpm-guest", "a physical machine: its TPM says nothing of a guest")
    return found.ok("tpm-guest", "measures this virtual machine; it does not protect its memory")


def probe_azure(machine: Machine, platform: Platform) -> tuple[Finding, ...]:
    """Return the findings of the group `azure`."""
    found = Found(Group.AZURE)
    snp, tdx = _azure_kinds(found, platform)
    if platform.cloud is not Cloud.AZURE or platform.tee is GuestTee.NONE:
        return (snp, tdx, *found.all_none(_AZURE_NAMES, "no confidential VM of Azure"))
    return (
        snp,
        tdx,
        found.usable(
            machine,
            "azure-tpm",
            _DEVICE,
            absent="make the VM anew as a confidential VM: it always has a vTPM",
            fix="run as root: reading the report needs the TPM's owner authorization",
        ),
        _tools(found, machine),
        _report(found, machine),
    )


def _azure_kinds(found: Found, platform: Platform) -> tuple[Finding, Finding]:
    if platform.cloud is not Cloud.AZURE:
        why = "not on Azure"
        return found.none("azure-snp", why), found.none("azure-tdx", why)
    return _azure_kind(found, platform, snp=True), _azure_kind(found, platform, snp=False)


def _azure_kind(found: Found, platform: Platform, *, snp: bool) -> Finding:
    name = "azure-snp" if snp else "azure-tdx"
    if platform.tee == name:
        return found.ok(name, "confidential VM: the vTPM holds the hardware's report")
    amd = platform.cpu.vendor == "AMD"
    if amd is not snp:
        return found.none(name, f"this VM's processor is {platform.cpu.vendor}")
    if platform.tee is GuestTee.UNKNOWN:
        fix = "install tpm2-tools and run as root: the vTPM tells"
        return found.unknown(name, "may be one, or only Trusted Launch", fix, as_root=True)
    size = "DCasv5 or ECasv5" if snp else "DCesv5 or ECesv5"
    fix = f"make the VM anew: security type Confidential, size {size} or newer"
    return found.missing(name, "this VM is not a confidential one", fix)


def _tools(found: Found, machine: Machine) -> Finding:
    told = machine.run("tpm2_getcap --version")
    if told.status == 0:
        return found.ok("azure-tools", "tpm2-tools are installed")
    fix = "install the package tpm2-tools"
    return found.missing("azure-tools", f"tpm2-tools: {told.why or 'they fail'}", fix)


def _report(found: Found, machine: Machine) -> Finding:
    told = machine.run("tpm2_getcap handles-nv-index")
    if told.status != 0:
        detail = "whether the vTPM holds the report cannot be told"
        fix = "sudo tpm2_getcap handles-nv-index"
        return found.unknown("azure-report", detail, fix, as_root=not machine.root_user)
    if HCL_REPORT_HANDLE in told.output.lower():
        return found.ok("azure-report", "the vTPM holds the hardware's report (NV 0x01400001)")
    fix = "make the VM anew as a confidential VM"
    return found.missing("azure-report", "the vTPM holds no hardware report", fix)
