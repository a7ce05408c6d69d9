"""SEV-SNP and TDX guests: can evidence be made in here, and by this user (facts: guest interfaces).

Both kinds go through the kernel's configfs-tsm; SEV-SNP has an older device besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sealtune.tee.doctor.finding import Finding, Found, Group
from sealtune.tee.doctor.kernel import KernelOptions
from sealtune.tee.doctor.machine import Access, Machine
from sealtune.tee.doctor.platform import Cloud, GuestTee, Platform, Vendor

TSM: Final = "/sys/kernel/config/tsm/report"
_TSM_KERNEL: Final = (6, 7)
_CCEL: Final = "/sys/firmware/acpi/tables/CCEL"
_AS_ROOT: Final = "run the worker as root in the guest (configfs is root's)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    tee: GuestTee
    vendor: Vendor
    group: Group
    label: str
    device: str
    module: str
    option: str
    first_kernel: tuple[int, int]
    how: dict[Cloud, str]


_SNP: Final = _Kind(
    tee=GuestTee.SNP,
    vendor=Vendor.AMD,
    group=Group.SNP_GUEST,
    label="SEV-SNP",
    device="/dev/sev-guest",
    module="sev-guest",
    option="SEV_GUEST",
    first_kernel=(5, 19),
    how={
        Cloud.GOOGLE: "make the VM anew with --confidential-compute-type=SEV_SNP on an N2D machine",
        Cloud.AWS: "make the instance anew with --cpu-options AmdSevSnp=enabled (M6a, C6a or R6a)",
        Cloud.NONE: "start this guest with QEMU's sev-snp-guest object on a host that is ready",
    },
)
_TDX: Final = _Kind(
    tee=GuestTee.TDX,
    vendor=Vendor.INTEL,
    group=Group.TDX_GUEST,
    label="TDX",
    device="/dev/tdx_guest",
    module="tdx-guest",
    option="TDX_GUEST_DRIVER",
    first_kernel=(6, 2),
    how={
        Cloud.GOOGLE: "make the VM anew with --confidential-compute-type=TDX on a C3 machine",
        Cloud.NONE: "start this guest with QEMU's tdx-guest object on a host that is ready",
    },
)


def probe_snp_guest(
    machine: Machine, platform: Platform, options: KernelOptions
) -> tuple[Finding, ...]:
    """Return the findings of the group `sev-snp`."""
    found = Found(Group.SNP_GUEST)
    if platform.tee is not GuestTee.SNP:
        names = ("snp-kernel", "snp-driver", "snp-report", "snp-permission", "snp-vmpl")
        return (_absent(found, "snp-guest", platform, _SNP), *found.all_none(names, _NOT_IN))
    return (*_interfaces(found, "snp", machine, platform, options, _SNP), _vmpl(found, machine))


def probe_tdx_guest(
    machine: Machine, platform: Platform, options: KernelOptions
) -> tuple[Finding, ...]:
    """Return the findings of the group `tdx`."""
    found = Found(Group.TDX_GUEST)
    if platform.tee is not GuestTee.TDX:
        names = ("tdx-kernel", "tdx-driver", "tdx-report", "tdx-permission", "tdx-event-log")
        return (_absent(found, "tdx-guest", platform, _TDX), *found.all_none(names, _NOT_IN))
    return (
        *_interfaces(found, "tdx", machine, platform, options, _TDX),
        _event_log(found, machine),
    )


_NOT_IN: Final = "not such a guest"


def _absent(found: Found, name: str, platform: Platform, kind: _Kind) -> Finding:
    if not platform.guest:
        return found.none(name, "a physical machine is no guest")
    if platform.cpu.vendor is not kind.vendor:
        vendor = platform.cpu.vendor
        return found.none(name, f"impossible on this processor: {vendor}, not {kind.vendor}")
    if platform.cloud is Cloud.AZURE:
        target = f"azure-{kind.tee.removeprefix('sev-')}"
        return found.none(name, f"Azure shows {kind.label} through the vTPM only ({target})")
    if platform.cloud not in kind.how:
        return found.none(name, f"{platform.cloud} offers no {kind.label} guests")
    detail = f"this virtual machine was not started as {kind.label} guest"
    return found.missing(name, detail, kind.how[platform.cloud])


def _interfaces(
    found: Found,
    prefix: str,
    machine: Machine,
    platform: Platform,
    options: KernelOptions,
    kind: _Kind,
) -> Iterator[Finding]:
    place = f" on {platform.cloud}" if platform.cloud else ""
    yield found.ok(f"{prefix}-guest", f"{kind.label} guest{place}")
    yield _kernel(found, f"{prefix}-kernel", platform, options, kind)
    yield _driver(found, f"{prefix}-driver", machine, kind)
    yield _report(found, f"{prefix}-report", machine, platform, kind)
    yield _permission(found, f"{prefix}-permission", machine, kind)


def _kernel(
    found: Found, name: str, platform: Platform, options: KernelOptions, kind: _Kind
) -> Finding:
    wanted = f"take a kernel of version 6.7 or newer with CONFIG_{kind.option}"
    built = options.built(kind.option)
    if built is False:
        return found.missing(name, f"built without CONFIG_{kind.option}", wanted)
    if built is None and not platform.kernel_at_least(*kind.first_kernel):
        return found.missing(name, f"Linux {platform.release} is too old", wanted)
    tsm = platform.kernel_at_least(*_TSM_KERNEL) or options.built("TSM_REPORTS") is True
    if kind.tee is GuestTee.TDX and not tsm:
        # Its device makes only local reports; SEV-SNP's older one makes signed ones.
        return found.missing(name, f"Linux {platform.release} has no configfs-tsm", wanted)
    return found.ok(name, f"Linux {platform.release} has what is needed")


def _driver(found: Found, name: str, machine: Machine, kind: _Kind) -> Finding:
    if machine.present(kind.device) is Access.OK:
        return found.ok(name, f"{kind.device} is there")
    fix = f"sudo modprobe {kind.module}; echo {kind.module} | sudo tee -a /etc/modules"
    return found.missing(name, f"{kind.device} is not there: the driver is not loaded", fix)


def _report(found: Found, name: str, machine: Machine, platform: Platform, kind: _Kind) -> Finding:
    access = machine.present(TSM)
    if access is Access.OK:
        return found.ok(name, f"configfs-tsm at {TSM}")
    if access is Access.DENIED:
        return found.unknown(name, f"{TSM}: denied", _AS_ROOT, as_root=True)
    mounts = machine.read("/proc/mounts").text
    if " /sys/kernel/config configfs " not in mounts:
        fix = "sudo mount -t configfs configfs /sys/kernel/config"
    elif platform.kernel_at_least(*_TSM_KERNEL):
        fix = f"sudo modprobe {kind.module}: it brings configfs-tsm with it"
    else:
        fix = "take a kernel of version 6.7 or newer"
    if kind.tee is GuestTee.SNP and machine.present(kind.device) is Access.OK:
        return found.degraded(name, f"only the older {kind.device}, no configfs-tsm", fix)
    return found.missing(name, "no configfs-tsm, through which evidence is made", fix)


def _permission(found: Found, name: str, machine: Machine, kind: _Kind) -> Finding:
    if machine.node(TSM).usable:
        return found.ok(name, "this user may make reports")
    node = machine.node(kind.device)
    if kind.tee is GuestTee.SNP and node.usable:
        return found.ok(name, f"this user may use {kind.device} ({node.permissions})")
    if Access.OK not in (machine.node(TSM).access, node.access):
        return found.unknown(name, "there is no interface to have a permission for")
    return found.missing(name, f"this user may not use {TSM}", _AS_ROOT)


def _vmpl(found: Found, machine: Machine) -> Finding:
    level = machine.read("/sys/devices/system/cpu/sev/vmpl").value
    if not level:
        return found.unknown("snp-vmpl", "the kernel does not tell (it does from 6.11 on)")
    if level == "0":
        return found.ok("snp-vmpl", "VMPL 0")
    detail = f"VMPL {level[:4]}: something else of the guest, such as an SVSM, stands above it"
    fix = "have the contract accept that VMPL, with the measurement of what runs at VMPL 0"
    return found.degraded("snp-vmpl", detail, fix)


def _event_log(found: Found, machine: Machine) -> Finding:
    if machine.present(_CCEL) is Access.ABSENT:
        detail = "no CCEL table: a verifier cannot replay the log to the RTMRs"
        return found.degraded("tdx-event-log", detail, "take a firmware (TDVF) that writes it")
    access, _ = machine.read_bytes("/sys/firmware/acpi/tables/data/CCEL", limit=1)
    if access is Access.OK:
        return found.ok("tdx-event-log", "the CCEL log can be read")
    if access is Access.DENIED:
        return found.unknown("tdx-event-log", "CCEL is there, root's to read", as_root=True)
    fix = "take a kernel of version 6.2 or newer, which shows the table's data"
    return found.degraded("tdx-event-log", "CCEL is there, its data is not shown", fix)
