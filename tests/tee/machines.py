"""Recorded machines, built in code: what kernels, distributions and clouds really show.

Each function fills a folder in the form of `sealtune doctor --record`. The content follows public
documentation of the kernel (ABI/testing, arch/x86), of NVIDIA's driver and of the clouds.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sealtune.tee.doctor.machine import COMMANDS

_BASE = (
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat clflush mmx fxsr sse sse2"
)
_BASE += " ht syscall nx lm constant_tsc rep_good nopl cpuid pni pclmulqdq ssse3 fma cx16 sse4_1"
_BASE += " sse4_2 x2apic movbe popcnt aes xsave avx f16c rdrand lahf_lm abm bmi1 avx2 bmi2 adx"
_BWRAP = "bwrap --unshare-all --ro-bind / / --proc /proc /bin/true"
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
_DEBIAN_OPTIONS = """
CONFIG_X86_64=y
CONFIG_AMD_MEM_ENCRYPT=y
CONFIG_SEV_GUEST=m
CONFIG_TSM_REPORTS=m
CONFIG_INTEL_TDX_GUEST=y
CONFIG_TDX_GUEST_DRIVER=m
CONFIG_KVM_AMD_SEV=y
CONFIG_X86_SGX=y
CONFIG_HIBERNATION=y
# CONFIG_INTEL_TDX_HOST is not set
"""


@dataclass
class Tree:
    """A recorded machine that is being made; the user is in `groups` and not root by default."""

    folder: Path
    root_user: bool = False
    groups: tuple[str, ...] = ()
    nodes: dict[str, object] = field(default_factory=dict)
    unreadable: dict[str, object] = field(default_factory=dict)
    leaves: dict[str, list[int]] = field(default_factory=dict)
    commands: dict[str, object] = field(default_factory=dict)
    bindings: bool | None = False

    def file(self, path: str, content: str | bytes = "") -> None:
        """Write a file of the tree."""
        place = self.folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def remove(self, path: str) -> None:
        """Take a file or device out again."""
        (self.folder / path.lstrip("/")).unlink(missing_ok=True)
        self.nodes.pop(path, None)

    def node(self, path: str, mode: int, owner: str = "root", group: str = "root") -> None:
        """Add a device or folder; whether the user may use it follows from its mode."""
        allowed = mode & 0o006 == 0o006 or (mode & 0o060 == 0o060 and group in self.groups)
        self.nodes[path] = {
            "mode": f"{mode:04o}",
            "owner": owner,
            "group": group,
            "usable": self.root_user or allowed,
        }

    def denied(self, path: str) -> None:
        """Add a file that only root may read."""
        self.unreadable[path] = {"access": "denied", "why": "Permission denied"}

    def command(self, line: str, output: str = "", status: int = 0) -> None:
        """Say what a command answers; every other one is not installed."""
        self.commands[line] = {"status": status, "output": output, "why": ""}

    def leaf(self, leaf: int, subleaf: int, *words: int) -> None:
        """Add a CPUID leaf."""
        self.leaves[f"{leaf:08x}.{subleaf}"] = list(words)

    def write(self) -> Path:
        """Write the sidecar files and return the folder."""
        absent = {"status": None, "output": "", "why": "not installed"}
        commands = {line: self.commands.get(line, absent) for line in COMMANDS}
        machine = {
            "format": "sealtune-machine/1",
            "root_user": self.root_user,
            "nodes": self.nodes,
            "unreadable": self.unreadable,
            "bindings": self.bindings,
            "cpuid": self.leaves,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "machine.json").write_text(json.dumps(machine, indent=1))
        (self.folder / "commands.json").write_text(json.dumps({"commands": commands}, indent=1))
        return self.folder

    def cpu(self, vendor: str, family: int, model: int, name: str, flags: str, count: int) -> None:
        """Write /proc/cpuinfo's first two processors, and how many are online."""
        identity = {"AMD": "AuthenticAMD", "Intel": "GenuineIntel"}[vendor]
        stanza = f"processor\t: 0\nvendor_id\t: {identity}\ncpu family\t: {family}\n"
        stanza += f"model\t\t: {model}\nmodel name\t: {name}\nstepping\t: 1\n"
        stanza += f"flags\t\t: {_BASE} {flags}\nbogomips\t: 4890.80\n\n"
        self.file("/proc/cpuinfo", stanza + stanza.replace("processor\t: 0", "processor\t: 1"))
        self.file("/sys/devices/system/cpu/online", f"0-{count - 1}\n" if count > 1 else "0\n")

    def kernel(self, release: str, *, command_line: str = "", options: str = "") -> None:
        """Write version, command line and build options of the kernel."""
        self.file("/proc/sys/kernel/osrelease", f"{release}\n")
        self.file(
            "/proc/cmdline", f"BOOT_IMAGE=/vmlinuz-{release} root=/dev/sda1 ro {command_line}\n"
        )
        self.file(f"/boot/config-{release}", options or _DEBIAN_OPTIONS)
        self.file("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n")

    def memory(self, gib: int) -> None:
        """Write /proc/meminfo and an empty list of swaps."""
        total = gib * 1024 * 1024
        self.file(
            "/proc/meminfo",
            f"MemTotal:       {total} kB\nMemFree:        {total // 2} kB\n"
            f"MemAvailable:   {total * 9 // 10} kB\nHugePages_Total:       0\n"
            "Hugepagesize:       2048 kB\n",
        )
        self.file("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")

    def dmi(self, vendor: str, product: str, tag: str = "") -> None:
        """Write the SMBIOS names."""
        self.file("/sys/class/dmi/id/sys_vendor", f"{vendor}\n")
        self.file("/sys/class/dmi/id/product_name", f"{product}\n")
        self.file("/sys/class/dmi/id/chassis_asset_tag", f"{tag}\n")

    def mounts(self, *more: str) -> None:
        """Write /proc/mounts as systemd leaves it, configfs included."""
        lines = ("sysfs /sys sysfs rw,nosuid,nodev,noexec,relatime 0 0", *more)
        lines += ("udev /dev devtmpfs rw,nosuid,relatime,size=8115000k,mode=755 0 0",)
        lines += ("configfs /sys/kernel/config configfs rw,nosuid,nodev,noexec,relatime 0 0",)
        self.file("/proc/mounts", "\n".join([*lines, ""]))

    def sandbox(self) -> None:
        """Let bubblewrap work."""
        self.file("/proc/sys/user/max_user_namespaces", "63000\n")
        self.command(_BWRAP)

    def tpm(self, *, group: str = "tss") -> None:
        """Add a TPM 2.0 with its event log, which root may read."""
        self.node("/dev/tpmrm0", 0o660, "tss", group)
        self.file("/sys/class/tpm/tpm0/tpm_version_major", "2\n")
        log = "/sys/kernel/security/tpm0/binary_bios_measurements"
        if self.root_user:
            self.file(log, b"\0" * 32)
        else:
            self.denied(log)

    def tsm(self) -> None:
        """Add configfs-tsm, which is root's."""
        self.node("/sys/kernel/config/tsm/report", 0o755)

    def iommu(self, *names: str) -> None:
        """Add IOMMUs."""
        for name in names:
            self.file(f"/sys/class/iommu/{name}/uevent", "")

    def gpu(self, address: str, device: int, kind: int = 0x030200) -> None:
        """Add an NVIDIA PCI function."""
        place = f"/sys/bus/pci/devices/{address}"
        self.file(f"{place}/vendor", "0x10de\n")
        self.file(f"{place}/device", f"0x{device:04x}\n")
        self.file(f"{place}/class", f"0x{kind:06x}\n")


def _guest(tree: Tree, *, gib: int = 32) -> None:
    tree.memory(gib)
    tree.mounts()
    tree.sandbox()


def snp_host(folder: Path, *, root_user: bool = True) -> Tree:
    """An EPYC 9004 server on which everything for SEV-SNP guests is in place."""
    tree = Tree(folder, root_user=root_user)
    flags = "svm sme sev sev_es sev_snp debug_swap ibpb"
    tree.cpu("AMD", 25, 17, "AMD EPYC 9354 32-Core Processor", flags, 64)
    tree.kernel("6.12.95+deb13-amd64", command_line="mem_encrypt=on quiet")
    tree.memory(384)
    tree.mounts()
    tree.sandbox()
    tree.dmi("Supermicro", "AS -1115CS-TNR", "Default string")
    tree.iommu("ivhd0", "ivhd1", "ivhd2", "ivhd3")
    tree.node("/dev/kvm", 0o660, "root", "kvm")
    tree.node("/dev/sev", 0o600)
    for name in ("sev", "sev_es", "sev_snp"):
        tree.file(f"/sys/module/kvm_amd/parameters/{name}", "Y\n")
    tree.leaf(0x8000_001F, 0, 0x30FDFB, 0x4173, 0x3EE, 0x1)
    tree.file("/usr/share/ovmf/OVMF.amdsev.fd")
    tree.command(
        "qemu-system-x86_64 --version",
        "QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\n"
        "Copyright (c) 2003-2025 Fabrice Bellard and the QEMU Project developers",
    )
    tree.command(
        "dpkg-query -W ovmf ovmf-amdsev ovmf-inteltdx",
        "ovmf\t2025.02-8\novmf-amdsev\t2026.08-1\n"
        "dpkg-query: no packages found matching ovmf-inteltdx",
        1,
    )
    tree.command("snphost show version", "1.55.39")
    return tree


def snp_host_unprepared(folder: Path) -> Tree:
    """The same server fresh from the shelf: BIOS defaults, old kernel, an ordinary user."""
    tree = snp_host(folder, root_user=False)
    tree.cpu("AMD", 25, 17, "AMD EPYC 9354 32-Core Processor", "svm sme ibpb", 64)
    tree.kernel("6.1.0-40-amd64", command_line="iommu=pt quiet")
    for name in ("sev", "sev_es", "sev_snp"):
        tree.remove(f"/sys/module/kvm_amd/parameters/{name}")
    tree.file("/sys/module/kvm_amd/parameters/sev", "N\n")
    tree.file("/sys/module/kvm_amd/parameters/sev_es", "N\n")
    tree.remove("/dev/sev")
    tree.remove("/usr/share/ovmf/OVMF.amdsev.fd")
    tree.leaves.clear()
    tree.command("qemu-system-x86_64 --version", "QEMU emulator version 7.2.22 (Debian 1:7.2)")
    tree.command("snphost show version", "Error: unable to open /dev/sev", 1)
    return tree


def snp_guest(folder: Path, *, root_user: bool = True) -> Tree:
    """A Google Cloud N2D VM with SEV-SNP and a kernel that has configfs-tsm."""
    tree = Tree(folder, root_user=root_user)
    tree.cpu("AMD", 25, 1, "AMD EPYC 7B13", "hypervisor ibpb", 8)
    tree.kernel("6.14.0-1021-gcp", command_line="console=ttyS0,115200")
    _guest(tree)
    tree.dmi("Google", "Google Compute Engine")
    tree.node("/dev/sev-guest", 0o600)
    tree.file("/sys/devices/system/cpu/sev/vmpl", "0\n")
    tree.tsm()
    tree.tpm()
    return tree


def snp_guest_old(folder: Path) -> Tree:
    """A QEMU guest with Linux 6.2: only the older device, the driver loaded, no configfs-tsm."""
    tree = Tree(folder, root_user=True)
    tree.cpu("AMD", 25, 1, "AMD EPYC-Milan Processor", "hypervisor ibpb", 4)
    tree.kernel("6.2.0-39-generic", options="CONFIG_X86_64=y\nCONFIG_SEV_GUEST=m\n")
    _guest(tree, gib=8)
    tree.dmi("QEMU", "Standard PC (Q35 + ICH9, 2009)")
    tree.node("/dev/sev-guest", 0o600)
    return tree


def tdx_guest(folder: Path, *, root_user: bool = True) -> Tree:
    """A Google Cloud C3 VM with TDX."""
    tree = Tree(folder, root_user=root_user)
    flags = "hypervisor tdx_guest amx_bf16 amx_tile"
    tree.cpu("Intel", 6, 143, "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", flags, 22)
    tree.kernel("6.14.0-1021-gcp")
    _guest(tree, gib=88)
    tree.dmi("Google", "Google Compute Engine")
    tree.node("/dev/tdx_guest", 0o600)
    tree.tsm()
    tree.file("/sys/firmware/acpi/tables/CCEL", b"CCEL")
    if root_user:
        tree.file("/sys/firmware/acpi/tables/data/CCEL", b"\0" * 64)
    else:
        tree.denied("/sys/firmware/acpi/tables/data/CCEL")
    tree.tpm()
    return tree


def tdx_host(folder: Path) -> Tree:
    """An Emerald Rapids server that launches TDX guests."""
    tree = Tree(folder, root_user=True)
    flags = "vmx tme sgx sgx_lc tdx_host_platform amx_tile"
    tree.cpu("Intel", 6, 207, "INTEL(R) XEON(R) PLATINUM 8568Y+", flags, 96)
    options = _DEBIAN_OPTIONS.replace(
        "# CONFIG_INTEL_TDX_HOST is not set", "CONFIG_INTEL_TDX_HOST=y"
    )
    tree.kernel("6.18.15+deb13-amd64", command_line="nohibernate kvm_intel.tdx=1", options=options)
    tree.memory(512)
    tree.mounts()
    tree.sandbox()
    tree.dmi("Dell Inc.", "PowerEdge R760")
    tree.iommu("dmar0", "dmar1")
    tree.node("/dev/kvm", 0o660, "root", "kvm")
    tree.file("/sys/module/kvm_intel/parameters/tdx", "Y\n")
    tree.file("/var/run/tdx-qgs/qgs.socket")
    tree.file("/usr/share/ovmf/OVMF.inteltdx.fd")
    tree.command("qemu-system-x86_64 --version", "QEMU emulator version 11.1.3 (Debian 1:11.1.3)")
    tree.node("/dev/sgx_enclave", 0o660, "root", "sgx")
    tree.node("/dev/sgx_provision", 0o660, "root", "sgx_prv")
    for node in (0, 1):
        tree.file(f"/sys/devices/system/node/node{node}/x86/sgx_total_bytes", "68182605824\n")
    return tree


def sgx_host(folder: Path) -> Tree:
    """An Ice Lake server with Gramine and aesmd, used by somebody who is in both SGX groups."""
    tree = Tree(folder, groups=("sgx", "sgx_prv", "kvm"))
    tree.cpu("Intel", 6, 106, "Intel(R) Xeon(R) Gold 6354 CPU @ 3.00GHz", "vmx sgx sgx_lc tme", 36)
    tree.kernel("6.1.0-40-amd64")
    tree.memory(256)
    tree.mounts()
    tree.sandbox()
    tree.dmi("Intel Corporation", "M50CYP2SB2U")
    tree.iommu("dmar0")
    tree.node("/dev/kvm", 0o660, "root", "kvm")
    tree.node("/dev/sgx_enclave", 0o660, "root", "sgx")
    tree.node("/dev/sgx_provision", 0o660, "root", "sgx_prv")
    for node in (0, 1):
        tree.file(f"/sys/devices/system/node/node{node}/x86/sgx_total_bytes", "34091302912\n")
    tree.file("/var/run/aesmd/aesm.socket")
    tree.command("gramine-sgx --version", "Gramine 1.9 (3c0a1b3e5f)")
    return tree


def _azure(folder: Path, *, root_user: bool) -> Tree:
    tree = Tree(folder, root_user=root_user)
    tree.kernel("6.8.0-1041-azure-fde", options=_DEBIAN_OPTIONS)
    _guest(tree, gib=16)
    tree.dmi("Microsoft Corporation", "Virtual Machine", _AZURE_TAG)
    tree.tpm()
    tree.command(
        "tpm2_getcap --version", 'tool="tpm2_getcap" version="5.6" tctis="libtss2-tctildr"'
    )
    handles = "- 0x1400001\n- 0x1400002\n- 0x1C101D0\n- 0x1C101D1"
    if root_user:
        tree.command("tpm2_getcap handles-nv-index", handles)
    else:
        tree.command("tpm2_getcap handles-nv-index", "ERROR: Could not load tcti", 1)
    return tree


def azure_snp(folder: Path, *, root_user: bool = True) -> Tree:
    """An Azure DC4as_v5: SEV-SNP behind Microsoft's paravisor, no device of it in sight."""
    tree = _azure(folder, root_user=root_user)
    tree.cpu("AMD", 25, 1, "AMD EPYC 7763 64-Core Processor", "hypervisor", 4)
    return tree


def azure_tdx(folder: Path) -> Tree:
    """An Azure DC4es_v5: TDX behind the paravisor; the hypervisor's CPUID leaf says so."""
    tree = _azure(folder, root_user=True)
    tree.cpu("Intel", 6, 143, "Intel(R) Xeon(R) Platinum 8473C", "hypervisor amx_tile", 4)
    tree.leaf(0x4000_000C, 0, 0x1, 0xBE3, 0, 0)
    return tree


def azure_trusted_launch(folder: Path) -> Tree:
    """An Azure VM with Trusted launch: a vTPM, no TEE."""
    tree = _azure(folder, root_user=True)
    tree.cpu("AMD", 25, 1, "AMD EPYC 7763 64-Core Processor", "hypervisor", 4)
    tree.command("tpm2_getcap handles-nv-index", "- 0x1C101D0\n- 0x1C101D1")
    return tree


def gpu_guest(folder: Path) -> Tree:
    """An SEV-SNP guest with one H100 in confidential mode."""
    tree = snp_guest(folder)
    tree.cpu("AMD", 25, 17, "AMD EPYC 9V84 96-Core Processor", "hypervisor", 40)
    tree.kernel("6.12.95+deb13-cloud-amd64")
    tree.dmi("QEMU", "Standard PC (Q35 + ICH9, 2009)")
    tree.bindings = True
    tree.gpu("0000:01:00.0", 0x2331)
    tree.file(
        "/proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.195.03  Release Build  "
        "(dvs-builder@U22-I3-H04-03-1)  Sat Sep 20 00:47:16 UTC 2025\n"
        "GCC version:  gcc version 14.2.0 (Debian 14.2.0-19)\n",
    )
    tree.file(
        "/proc/driver/nvidia/gpus/0000:01:00.0/information",
        "Model: \t\t NVIDIA H100 PCIe\nIRQ:   \t\t 10\n"
        "GPU UUID: \t GPU-9221d5d1-b60b-a624-bf14-0a1819cfda3b\nVideo BIOS: \t 96.00.5E.00.01\n"
        "Bus Type: \t PCIe\nBus Location: \t 0000:01:00.0\nDevice Minor: \t 0\n"
        "GPU Firmware: \t 570.195.03\nGPU Excluded:\t No\n",
    )
    tree.node("/dev/nvidiactl", 0o666)
    tree.command("nvidia-smi conf-compute -f", "CC status: ON")
    tree.command("nvidia-smi conf-compute -d", "DevTools Mode: OFF")
    tree.command("nvidia-smi conf-compute -grs", "Confidential Compute GPUs Ready state: ready")
    return tree


def gpu_in_the_open(folder: Path) -> Tree:
    """Two H100 in an ordinary VM: proprietary driver, confidential mode off."""
    tree = gpu_guest(folder)
    tree.remove("/dev/sev-guest")
    tree.remove("/sys/devices/system/cpu/sev/vmpl")
    tree.remove("/sys/kernel/config/tsm/report")
    tree.gpu("0000:02:00.0", 0x2331)
    information = (folder / "proc/driver/nvidia/gpus/0000:01:00.0/information").read_text()
    tree.file("/proc/driver/nvidia/gpus/0000:02:00.0/information", information)
    tree.gpu("0000:03:00.0", 0x22A3, 0x068000)
    tree.file(
        "/proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.216.03  Thu Apr  3 01:14:19 2025\n",
    )
    tree.command("nvidia-smi conf-compute -f", "CC status: OFF")
    tree.command("nvidia-smi conf-compute -d", "DevTools Mode: ON")
    tree.command("nvidia-smi conf-compute -grs", "Confidential Compute GPUs Ready state: not-ready")
    return tree


def laptop_intel(folder: Path) -> Tree:
    """A laptop with a 13th generation Core, Ubuntu's restriction of namespaces, swap."""
    tree = Tree(folder, groups=("kvm",))
    name = "13th Gen Intel(R) Core(TM) i7-1365U"
    tree.cpu("Intel", 6, 186, name, "vmx tme", 12)
    tree.kernel("6.8.0-88-generic", command_line="quiet splash")
    tree.memory(16)
    tree.mounts()
    tree.dmi("LENOVO", "21F6CTO1WW", "No Asset Information")
    tree.iommu("dmar0")
    tree.node("/dev/kvm", 0o660, "root", "kvm")
    tree.node("/dev/tpmrm0", 0o660, "tss", "tss")
    tree.file("/sys/class/tpm/tpm0/tpm_version_major", "2\n")
    tree.denied("/sys/kernel/security/tpm0/binary_bios_measurements")
    tree.denied("/sys/kernel/security/lockdown")
    tree.file(
        "/proc/swaps",
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/swap.img                               file\t\t8388604\t\t0\t\t-2\n",
    )
    tree.file("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")
    tree.command(_BWRAP, "bwrap: setting up uid map: Permission denied", 1)
    efi = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    tree.file(efi, b"\x06\0\0\0\x01")
    return tree


def laptop_amd(folder: Path) -> Tree:
    """A laptop with a Ryzen, whose family number an EPYC shares; user not in the group kvm."""
    tree = Tree(folder)
    tree.cpu("AMD", 25, 116, "AMD Ryzen 7 7840U w/ Radeon 780M Graphics", "svm sme ibpb", 16)
    tree.file("/proc/sys/kernel/osrelease", "6.17.5-arch1-1\n")
    tree.file("/proc/cmdline", "root=UUID=2d4c7a7e-4c7f-4c12-9d6c-0f1f6a2b3c4d rw\n")
    tree.file("/proc/config.gz", gzip.compress(_DEBIAN_OPTIONS.encode(), mtime=0))
    tree.memory(3)
    tree.mounts()
    tree.dmi("Framework", "Laptop 13 (AMD Ryzen 7040Series)")
    tree.node("/dev/kvm", 0o660, "root", "kvm")
    return tree


def container(folder: Path) -> Tree:
    """A pod on a cloud VM: few devices, a limit on memory, no namespaces of its own."""
    tree = Tree(folder)
    tree.cpu("Intel", 6, 85, "Intel(R) Xeon(R) CPU @ 2.80GHz", "hypervisor", 4)
    tree.file("/proc/sys/kernel/osrelease", "5.15.0-1090-gke\n")
    tree.file("/proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz ro\n")
    tree.memory(64)
    tree.file("/sys/fs/cgroup/memory.max", "2147483648\n")
    tree.file("/proc/mounts", "overlay / overlay rw 0 0\ntmpfs /dev tmpfs rw,nosuid 0 0\n")
    tree.dmi("Google", "Google Compute Engine")
    tree.file("/proc/1/cgroup", "0::/\n")
    tree.file("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "")
    tree.file("/proc/sys/user/max_user_namespaces", "0\n")
    return tree


def plain_vm(folder: Path) -> Tree:
    """An ordinary cloud VM of AMD's, with nothing confidential about it."""
    tree = Tree(folder, root_user=True)
    tree.cpu("AMD", 25, 1, "AMD EPYC 7R13 Processor", "hypervisor", 2)
    tree.kernel("6.12.95+deb13-cloud-amd64")
    _guest(tree, gib=8)
    tree.dmi("Amazon EC2", "m6a.large")
    return tree


MACHINES: dict[str, Callable[[Path], Tree]] = {
    "snp-host": snp_host,
    "snp-host-unprepared": snp_host_unprepared,
    "snp-guest": snp_guest,
    "snp-guest-old": snp_guest_old,
    "tdx-guest": tdx_guest,
    "tdx-host": tdx_host,
    "sgx-host": sgx_host,
    "azure-snp": azure_snp,
    "azure-tdx": azure_tdx,
    "azure-trusted-launch": azure_trusted_launch,
    "gpu-guest": gpu_guest,
    "gpu-in-the-open": gpu_in_the_open,
    "laptop-intel": laptop_intel,
    "laptop-amd": laptop_amd,
    "container": container,
    "plain-vm": plain_vm,
}
