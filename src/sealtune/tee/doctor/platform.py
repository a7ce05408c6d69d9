"""What kind of machine this is: processor, host or guest, cloud, container, and the TEE around it.

Everything else asks whether it has a place here before it calls something missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sealtune.tee.doctor.finding import Finding, Found, Group
from sealtune.tee.doctor.machine import Access, Machine

# SMBIOS chassis tag of every Azure VM; Microsoft documents it for cloud-init and its agents.
AZURE_TAG: Final = "7783-7084-3265-9085-8269-3286-77"
_HYPERV_ISOLATION: Final = 0x4000_000C  # Linux: HYPERV_CPUID_ISOLATION_CONFIG
_SEV_LEAF: Final = 0x8000_001F  # AMD APM 3, E.4.17
_SEV_SNP_BIT: Final = 1 << 4
# Azure's hardware report (facts: the vTPM's NV index), as tpm2_getcap spells it.
HCL_REPORT_HANDLE: Final = "0x1400001"
_RELEASE: Final = re.compile(r"(\d{1,4})\.(\d{1,4})(?![0-9])[\w.+~-]{0,100}", re.ASCII)
UNKNOWN_KERNEL: Final = (0, 0)
CONTAINER_WORDS: Final = ("kubepods", "docker", "containerd", "libpod", "lxc", "crio")


class Vendor(StrEnum):
    """Who made the processor."""

    AMD = "AMD"
    INTEL = "Intel"
    OTHER = "other"


class Cloud(StrEnum):
    """Whose virtual machine this is."""

    AZURE = "Azure"
    GOOGLE = "Google Cloud"
    AWS = "AWS"
    NONE = ""


class GuestTee(StrEnum):
    """The TEE that this machine runs inside, as far as it can be told from inside."""

    SNP = "sev-snp"
    TDX = "tdx"
    AZURE_SNP = "azure-snp"
    AZURE_TDX = "azure-tdx"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """The first processor, as the kernel describes it."""

    vendor: Vendor
    name: str
    generation: str  # of the server families that matter here, else empty
    flags: frozenset[str]
    count: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What every group of probes has to know first."""

    cpu: Cpu
    guest: bool
    hypervisor: str
    cloud: Cloud
    container: str
    tee: GuestTee
    kernel: tuple[int, int]
    release: str
    command_line: tuple[str, ...]

    def kernel_at_least(self, major: int, minor: int) -> bool:
        """Return whether the kernel is that version or newer, or of a version that is not known.

        What is not known is not called too old: devices and parameters decide then. They do so too
        where a distribution has ported something back.
        """
        return self.kernel >= (major, minor) or self.kernel == UNKNOWN_KERNEL


@dataclass(frozen=True, slots=True)
class _Family:
    vendor: Vendor
    family: int
    first: int
    last: int
    name: str


# Family and models: Linux arch/x86/include/asm/intel-family.h and AMD's revision guides. An AMD
# family is shared with desktop parts, which is why the name must say EPYC too.
_FAMILIES: Final = (
    _Family(Vendor.AMD, 23, 0x00, 0x0F, "Naples"),
    _Family(Vendor.AMD, 23, 0x30, 0x3F, "Rome"),
    _Family(Vendor.AMD, 25, 0x00, 0x0F, "Milan"),
    _Family(Vendor.AMD, 25, 0x10, 0x1F, "Genoa"),
    _Family(Vendor.AMD, 25, 0xA0, 0xAF, "Bergamo/Siena"),
    _Family(Vendor.AMD, 26, 0x00, 0x1F, "Turin"),
    _Family(Vendor.INTEL, 6, 106, 106, "Ice Lake-SP"),
    _Family(Vendor.INTEL, 6, 108, 108, "Ice Lake-D"),
    _Family(Vendor.INTEL, 6, 143, 143, "Sapphire Rapids"),
    _Family(Vendor.INTEL, 6, 207, 207, "Emerald Rapids"),
    _Family(Vendor.INTEL, 6, 173, 174, "Granite Rapids"),
    _Family(Vendor.INTEL, 6, 175, 175, "Sierra Forest"),
)
SNP_GENERATIONS: Final = frozenset({"Milan", "Genoa", "Bergamo/Siena", "Turin"})
TDX_GENERATIONS: Final = frozenset(
    {"Sapphire Rapids", "Emerald Rapids", "Granite Rapids", "Sierra Forest"}
)


def probe_platform(machine: Machine) -> Platform:
    """Return what kind of machine `machine` is."""
    cpu = _cpu(machine)
    guest = "hypervisor" in cpu.flags or machine.present("/sys/hypervisor/type") is Access.OK
    cloud = _cloud(machine)
    release = machine.read("/proc/sys/kernel/osrelease").value
    version = _RELEASE.fullmatch(release)
    return Platform(
        cpu=cpu,
        guest=guest,
        hypervisor=_hypervisor(machine) if guest else "",
        cloud=cloud,
        container=_container(machine),
        tee=_tee(machine, cpu, cloud),
        kernel=(int(version[1]), int(version[2])) if version else UNKNOWN_KERNEL,
        release=release if version else "of unknown version",
        command_line=tuple(machine.read("/proc/cmdline").text.split()),
    )


def describe_platform(machine: Machine, platform: Platform) -> tuple[Finding, ...]:
    """Return the findings of the group `machine`."""
    found = Found(Group.MACHINE)
    findings = [
        _kind(found, platform),
        _processor(found, machine, platform),
        _memory_encryption(found, machine, platform),
    ]
    if machine.present("/dev/nsm") is Access.OK:
        detail = "AWS Nitro enclave: brokers can verify its evidence, no attester here collects it"
        findings.append(found.ok("nitro", detail))
    if machine.present("/dev/attestation/quote") is Access.OK:
        detail = "inside an SGX enclave under Gramine: its /dev/attestation makes quotes"
        findings.append(found.ok("gramine-enclave", detail))
    if platform.container:
        detail = f"{platform.container}: devices and files of the machine may be hidden from it"
        fix = "run doctor on the machine itself, or give the container the devices (--device)"
        findings.append(found.degraded("container", detail, fix))
    return tuple(findings)


def kind_of(platform: Platform) -> str:
    """Return in words what the machine is."""
    kind = _kind_of(platform)
    return f"{kind}, seen from a {platform.container}" if platform.container else kind


def _kind_of(platform: Platform) -> str:
    if platform.tee in (GuestTee.AZURE_SNP, GuestTee.AZURE_TDX):
        return f"confidential VM on Azure ({'SEV-SNP' if 'snp' in platform.tee else 'TDX'}, vTPM)"
    place = platform.cloud or platform.hypervisor
    on = f" on {place}" if place else ""
    if platform.tee in (GuestTee.SNP, GuestTee.TDX):
        return f"confidential VM{on} ({'SEV-SNP' if platform.tee is GuestTee.SNP else 'TDX'})"
    if not platform.guest:
        return "physical machine: a host, no guest"
    return f"virtual machine{on}" + (" (maybe confidential)" if _unknown(platform) else "")


def _unknown(platform: Platform) -> bool:
    return platform.tee is GuestTee.UNKNOWN


def _kind(found: Found, platform: Platform) -> Finding:
    detail = kind_of(platform)
    if not _unknown(platform):
        return found.ok("kind", detail)
    fix = "run as root after `modprobe cpuid`, or install tpm2-tools: both tell what kind of VM"
    return found.unknown("kind", detail, fix, as_root=True)


def _processor(found: Found, machine: Machine, platform: Platform) -> Finding:
    cpu = platform.cpu
    if not cpu.name:
        return found.unknown("cpu", f"/proc/cpuinfo: {_why(machine, '/proc/cpuinfo')}")
    known = f" ({cpu.generation})" if cpu.generation and cpu.generation not in cpu.name else ""
    return found.ok("cpu", f"{cpu.name}{known}, {cpu.count} online")


def _why(machine: Machine, path: str) -> str:
    reading = machine.read(path)
    return "not readable as Linux writes it" if reading.access is Access.OK else reading.access


def _memory_encryption(found: Found, machine: Machine, platform: Platform) -> Finding:
    shown = ("sme", "sev", "sev_es", "sev_snp", "tme", "tdx_host_platform", "tdx_guest", "sgx")
    flags = [flag for flag in shown if flag in platform.cpu.flags]
    leaf = machine.cpuid(_SEV_LEAF) if platform.cpu.vendor is Vendor.AMD else None
    more = ""
    if leaf is not None:
        more = f"; C-bit {leaf.ebx & 0x3F}, {leaf.ebx >> 6 & 0x3F} address bits fewer"
    if not flags:
        return found.none("cpu-tee-flags", "the kernel shows no TEE feature of the processor")
    return found.ok("cpu-tee-flags", " ".join(flags) + more)


def snp_in_silicon(machine: Machine, cpu: Cpu) -> bool:
    """Return whether the processor is known to have SEV-SNP, enabled or not."""
    leaf = machine.cpuid(_SEV_LEAF) if cpu.vendor is Vendor.AMD else None
    in_leaf = leaf is not None and bool(leaf.eax & _SEV_SNP_BIT)
    return in_leaf or "sev_snp" in cpu.flags or cpu.generation in SNP_GENERATIONS


def _cpu(machine: Machine) -> Cpu:
    first = machine.read("/proc/cpuinfo").text.partition("\n\n")[0]
    fields: dict[str, str] = {}
    for line in first.splitlines():
        name, separator, value = line.partition(":")
        if separator:
            fields.setdefault(name.strip(), value.strip())
    vendors = {"AuthenticAMD": Vendor.AMD, "GenuineIntel": Vendor.INTEL}
    vendor = vendors.get(fields.get("vendor_id", ""), Vendor.OTHER)
    name = " ".join(fields.get("model name", "").split())[:80]
    return Cpu(
        vendor=vendor,
        name=name,
        generation=_generation(vendor, name, fields),
        flags=frozenset(fields.get("flags", "").split()),
        count=_count(machine),
    )


def _generation(vendor: Vendor, name: str, fields: dict[str, str]) -> str:
    if vendor is Vendor.AMD and "EPYC" not in name:
        return ""
    family, model = (_number(fields.get(key, "")) for key in ("cpu family", "model"))
    for row in _FAMILIES:
        if row.vendor is vendor and row.family == family and row.first <= model <= row.last:
            return row.name
    return ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _count(machine: Machine) -> str:
    total = 0
    for part in machine.read("/sys/devices/system/cpu/online").value.split(","):
        first, separator, last = part.partition("-")
        low, high = _number(first), _number(last if separator else first)
        if low < 0 or high < low:
            return "an unknown number of CPUs"
        total += high - low + 1
    return "1 CPU" if total == 1 else f"{total} CPUs"


def _dmi(machine: Machine, name: str) -> str:
    return machine.read(f"/sys/class/dmi/id/{name}").value


def _cloud(machine: Machine) -> Cloud:
    vendor, product = _dmi(machine, "sys_vendor"), _dmi(machine, "product_name")
    if vendor == "Microsoft Corporation" and _dmi(machine, "chassis_asset_tag") == AZURE_TAG:
        return Cloud.AZURE
    if vendor == "Google" and product == "Google Compute Engine":
        return Cloud.GOOGLE
    return Cloud.AWS if vendor == "Amazon EC2" else Cloud.NONE


def _hypervisor(machine: Machine) -> str:
    xen = machine.read("/sys/hypervisor/type").value
    vendor, product = _dmi(machine, "sys_vendor"), _dmi(machine, "product_name")
    if xen or not vendor:
        return xen
    return "QEMU" if vendor == "QEMU" else f"{vendor} {product}".strip()


def _container(machine: Machine) -> str:
    named = machine.read("/run/systemd/container").value
    if named:
        return f"container ({named[:20]})"
    if machine.present("/run/.containerenv") is Access.OK:
        return "container (podman)"
    groups = machine.read("/proc/1/cgroup").text
    word = next((word for word in CONTAINER_WORDS if word in groups), "")
    if machine.present("/var/run/secrets/kubernetes.io") is Access.OK or word == "kubepods":
        return "container (kubernetes)"
    if machine.present("/.dockerenv") is Access.OK:
        return "container (docker)"
    return f"container ({word})" if word else ""


def _tee(machine: Machine, cpu: Cpu, cloud: Cloud) -> GuestTee:
    if "tdx_guest" in cpu.flags:
        return GuestTee.TDX
    snp_signs = (
        "/dev/sev-guest",
        "/sys/devices/platform/sev-guest",  # the kernel makes it before any module is loaded
        "/sys/devices/system/cpu/sev/vmpl",
    )
    if any(machine.present(path) is Access.OK for path in snp_signs):
        return GuestTee.SNP
    if cloud is Cloud.AZURE:
        return _azure_tee(machine, cpu)
    return GuestTee.NONE


def _azure_tee(machine: Machine, cpu: Cpu) -> GuestTee:
    # Azure's paravisor hides the TEE: only the hypervisor's leaf or the vTPM's report betray it.
    leaf = machine.cpuid(_HYPERV_ISOLATION)
    if leaf is not None:
        return {2: GuestTee.AZURE_SNP, 3: GuestTee.AZURE_TDX}.get(leaf.ebx & 0xF, GuestTee.NONE)
    handles = machine.run("tpm2_getcap handles-nv-index")
    if handles.status != 0:
        absent = machine.present("/dev/tpmrm0") is Access.ABSENT
        return GuestTee.NONE if absent else GuestTee.UNKNOWN
    if HCL_REPORT_HANDLE not in handles.output.lower():
        return GuestTee.NONE
    return GuestTee.AZURE_SNP if cpu.vendor is Vendor.AMD else GuestTee.AZURE_TDX
