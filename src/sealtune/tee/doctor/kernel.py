"""The kernel: version, build options, command line, lockdown, Secure Boot, namespaces; memory."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import Final

from sealtune.core.limits import GIB, KIB, MIB
from sealtune.tee.doctor.finding import Finding, Found, Group
from sealtune.tee.doctor.machine import CONFIG_BYTES_MAX, Access, Machine
from sealtune.tee.doctor.platform import UNKNOWN_KERNEL, GuestTee, Platform

_SECURE_BOOT: Final = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_MEMORY_WANTED: Final = 4 * GIB  # torch, a small model and its training state take about 2 GiB
_PARAMETERS: Final = frozenset(
    {
        "mem_encrypt",
        "kvm_amd",
        "kvm_intel",
        "iommu",
        "amd_iommu",
        "intel_iommu",
        "nohibernate",
        "lockdown",
    }
)
# Every build option that a probe asks for; a recorded configuration holds these and no more.
OPTIONS: Final = frozenset(
    {
        "SEV_GUEST",
        "TDX_GUEST_DRIVER",
        "TSM_REPORTS",
        "KVM_AMD_SEV",
        "INTEL_TDX_HOST",
        "HIBERNATION",
        "X86_SGX",
    }
)
_NO_LIMIT: Final = 2**60  # cgroup v1 writes a page-aligned 2**63-1 for "none"


@dataclass(frozen=True, slots=True)
class KernelOptions:
    """The options that the kernel was built with; `where` is empty if they are not to be had."""

    where: str
    text: str
    cut: bool

    def built(self, option: str) -> bool | None:
        """Return whether `option` (without CONFIG_) is y or m; None if that cannot be told."""
        if option not in OPTIONS:
            raise ValueError(f"{option}: not in OPTIONS")
        if f"\nCONFIG_{option}=y\n" in self.text or f"\nCONFIG_{option}=m\n" in self.text:
            return True
        return False if self.where and not self.cut else None


def kernel_options(machine: Machine, platform: Platform) -> KernelOptions:
    """Return the build options of the running kernel, from wherever it shows them."""
    access, packed = machine.read_bytes("/proc/config.gz", limit=CONFIG_BYTES_MAX)
    if access is Access.OK:
        data = unpack(packed)
        if data:
            return _options("/proc/config.gz", data)
    # The release becomes part of a path; what is no release is not looked for.
    if platform.kernel == UNKNOWN_KERNEL:
        return KernelOptions("", "", False)
    for path in (f"/boot/config-{platform.release}", f"/lib/modules/{platform.release}/config"):
        access, data = machine.read_bytes(path, limit=CONFIG_BYTES_MAX)
        if access is Access.OK and data:
            return _options(path, data)
    return KernelOptions("", "", False)


def _options(where: str, data: bytes) -> KernelOptions:
    text = "\n" + data.decode("utf-8", errors="replace") + "\n"
    if "\nCONFIG_" not in text:
        return KernelOptions("", "", False)
    return KernelOptions(where, text, len(data) >= CONFIG_BYTES_MAX)


def unpack(packed: bytes) -> bytes:
    """Return the first `CONFIG_BYTES_MAX` of a gzip file, or nothing if it is none."""
    # One bounded step: a small file may claim to unpack to gigabytes.
    try:
        return zlib.decompressobj(wbits=31).decompress(packed, CONFIG_BYTES_MAX)
    except zlib.error:
        return b""


def probe_kernel(
    machine: Machine, platform: Platform, options: KernelOptions
) -> tuple[Finding, ...]:
    """Return the findings of the group `kernel`."""
    found = Found(Group.KERNEL)
    return (
        _version(found, platform),
        _built(found, options),
        _memory_options(found, platform),
        _lockdown(found, machine),
        _secure_boot(found, machine),
        _iommu(found, machine, platform),
        _kvm(found, machine, platform),
        _namespaces(found, machine),
        _sandbox(found, machine),
    )


def _version(found: Found, platform: Platform) -> Finding:
    if platform.kernel == UNKNOWN_KERNEL:
        return found.unknown("kernel", "/proc/sys/kernel/osrelease names no version")
    return found.ok("kernel", f"Linux {platform.release}")


def _built(found: Found, options: KernelOptions) -> Finding:
    if options.where:
        return found.ok("kernel-options", options.where)
    detail = "not to be read here: what needs one is judged by version and devices"
    return found.unknown("kernel-options", detail, as_root=False)


def _memory_options(found: Found, platform: Platform) -> Finding:
    shown = [item for item in platform.command_line if is_shown_parameter(item)]
    if not shown:
        return found.ok("kernel-command-line", "nothing about memory encryption, IOMMU or lockdown")
    return found.ok("kernel-command-line", " ".join(shown)[:200])


def is_shown_parameter(item: str) -> bool:
    """Return whether a word of the kernel's command line matters here; others may hold secrets."""
    return item.partition("=")[0].partition(".")[0] in _PARAMETERS


def _lockdown(found: Found, machine: Machine) -> Finding:
    reading = machine.read("/sys/kernel/security/lockdown")
    if reading.access is Access.ABSENT:
        return found.none("lockdown", "this kernel shows none")
    if reading.access is not Access.OK:
        detail = f"/sys/kernel/security/lockdown: {reading.access}"
        return found.unknown("lockdown", detail, as_root=reading.access is Access.DENIED)
    chosen = next((w.strip("[]") for w in reading.value.split() if w.startswith("[")), "unclear")
    return found.ok("lockdown", chosen)


def _secure_boot(found: Found, machine: Machine) -> Finding:
    access, data = machine.read_bytes(_SECURE_BOOT, limit=16)
    if access is Access.ABSENT:
        return found.none("secure-boot", "no UEFI variable of it")
    if access is not Access.OK or len(data) != 5:
        return found.unknown("secure-boot", "its UEFI variable cannot be read")
    return found.ok("secure-boot", "on" if data[4] == 1 else "off")


def _iommu(found: Found, machine: Machine, platform: Platform) -> Finding:
    if platform.guest:
        return found.none("iommu", "the host's business")
    if not machine.children("/sys/class/iommu"):
        return found.none("iommu", "none is in use; hosts of confidential guests need one")
    return found.ok("iommu", f"{len(machine.children('/sys/class/iommu'))} in use")


def _kvm(found: Found, machine: Machine, platform: Platform) -> Finding:
    if platform.guest:
        return found.none("kvm", "only a physical machine's KVM launches confidential guests")
    amd = platform.cpu.vendor == "AMD"
    absent = f"enable virtualization in the BIOS setup, then: sudo modprobe kvm_{_kvm_name(amd)}"
    fix = "sudo usermod -aG kvm $USER, then log in again"
    return found.usable(machine, "kvm", "/dev/kvm", absent=absent, fix=fix)


def _kvm_name(amd: bool) -> str:
    return "amd" if amd else "intel"


def _namespaces(found: Found, machine: Machine) -> Finding:
    settings = (
        ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
    )
    for path, bad, fix in settings:
        if machine.read(path).value == bad:
            return found.missing("user-namespaces", f"{path} is {bad}", f"sudo sysctl -w {fix}")
    restricted = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
    if machine.read(restricted).value == "1":
        detail = "AppArmor allows them only to programs with a profile"
        fix = "install the AppArmor profile for bwrap (package apparmor-profiles)"
        return found.degraded("user-namespaces", detail, fix)
    return found.ok("user-namespaces", "allowed")


def _sandbox(found: Found, machine: Machine) -> Finding:
    tried = machine.run("bwrap --unshare-all --ro-bind / / --proc /proc /bin/true")
    if tried.status == 0:
        return found.ok("sandbox", "bubblewrap works")
    if tried.status is None:
        return found.missing(
            "sandbox", f"bubblewrap: {tried.why}", "install the package bubblewrap"
        )
    detail = "bubblewrap is installed and does not work: " + tried.output[:120].replace("\n", " ")
    return found.missing(
        "sandbox", detail, "allow unprivileged user namespaces (see user-namespaces)"
    )


def probe_memory(machine: Machine, platform: Platform) -> tuple[Finding, ...]:
    """Return the findings of the group `memory`."""
    found = Found(Group.MEMORY)
    values = _meminfo(machine)
    return (
        _free(found, machine, values),
        _swap(found, machine, platform),
        _huge_pages(found, values),
    )


def _meminfo(machine: Machine) -> dict[str, int]:
    values: dict[str, int] = {}
    for line in io.StringIO(machine.read("/proc/meminfo").text):
        name, _, rest = line.partition(":")
        number = rest.split()[:1]
        if number and number[0].isascii() and number[0].isdigit() and len(number[0]) < 16:
            values[name] = int(number[0])
    return values


def _free(found: Found, machine: Machine, values: dict[str, int]) -> Finding:
    if "MemAvailable" not in values or "MemTotal" not in values:
        return found.unknown("free-memory", "/proc/meminfo does not say")
    free, total = values["MemAvailable"] * KIB, values["MemTotal"] * KIB
    detail = f"{free / GIB:.1f} GiB of {total / GIB:.1f} GiB"
    limit = _cgroup_limit(machine)
    if limit is not None and limit < total:
        free = min(free, limit)
        detail += f"; a control group allows {limit / GIB:.1f} GiB"
    if free < _MEMORY_WANTED:
        fix = "end other programs, raise the control group's limit, or take a larger machine"
        return found.degraded("free-memory", f"{detail}: little for a training", fix)
    return found.ok("free-memory", detail)


def _cgroup_limit(machine: Machine) -> int | None:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = machine.read(path).value
        if text.isascii() and text.isdigit() and len(text) < 20 and int(text) < _NO_LIMIT:
            return int(text)
    return None


def _swap(found: Found, machine: Machine, platform: Platform) -> Finding:
    lines = machine.read("/proc/swaps").text.strip().splitlines()[1:]
    disks = [line.split()[0] for line in lines if line.split() and "/zram" not in line]
    if not disks:
        return found.ok("swap", "none on a disk")
    inside = platform.tee is not GuestTee.NONE
    what = "plaintext that is swapped out leaves the TEE" if inside else "memory reaches the disk"
    fix = "sudo swapoff -a, and take the line out of /etc/fstab"
    return found.degraded("swap", f"{len(disks)} in use: {what}", fix)


def _huge_pages(found: Found, values: dict[str, int]) -> Finding:
    number, size = values.get("HugePages_Total", 0), values.get("Hugepagesize", 0)
    if not number:
        return found.none("huge-pages", "none set aside; none are needed")
    return found.ok("huge-pages", f"{number} of {size * KIB // MIB} MiB set aside")
