"""Single probes at their branches: one thing of a good machine is changed at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sealtune.tee.doctor.finding import State
from sealtune.tee.doctor.kernel import KernelOptions
from sealtune.tee.doctor.tools import find_version
from tee import machines
from tee.machines import MACHINES, Tree
from tee.test_doctor_machines import examine

Change = Callable[[Tree], None]
_GRE = "Confidential Compute GPUs Ready state:"


def _file(path: str, content: str) -> Change:
    return lambda tree: tree.file(path, content)


def _gone(path: str) -> Change:
    return lambda tree: tree.remove(path)


def _says(command: str, output: str, status: int = 0) -> Change:
    return lambda tree: tree.command(command, output, status)


def _kernel(release: str, options: str = "CONFIG_X86_64=y\n") -> Change:
    return lambda tree: tree.kernel(release, options=options)


def _no_kernel_options(release: str) -> Change:
    def change(tree: Tree) -> None:
        tree.kernel(release)
        tree.remove(f"/boot/config-{release}")

    return change


def _both(*changes: Change) -> Change:
    def change(tree: Tree) -> None:
        for one in changes:
            one(tree)

    return change


def _flags(vendor: str, family: int, model: int, name: str, flags: str) -> Change:
    return lambda tree: tree.cpu(vendor, family, model, name, flags, 4)


def _leaf(*words: int) -> Change:
    return lambda tree: tree.leaf(*words)


_NO_TSM = _gone("/sys/kernel/config/tsm/report")
_NO_EPC = _both(
    _gone("/sys/devices/system/node/node0/x86/sgx_total_bytes"),
    _gone("/sys/devices/system/node/node1/x86/sgx_total_bytes"),
)
_MILAN = "AMD EPYC 7763 64-Core Processor"
_SGX_XEON = "Intel(R) Xeon(R) Gold 6354 CPU @ 3.00GHz"
_EMR = "INTEL(R) XEON(R) PLATINUM 8568Y+"

# Machine, change, finding, state, words of the detail or the fix.
CASES: dict[str, tuple[str, Change, str, State, str]] = {
    "snp-kernel-without-driver": (
        "snp-guest",
        _kernel("6.1.0-40-cloud-amd64"),
        "snp-kernel",
        State.MISSING,
        "built without CONFIG_SEV_GUEST",
    ),
    "snp-kernel-too-old": (
        "snp-guest",
        _no_kernel_options("5.15.0-1"),
        "snp-kernel",
        State.MISSING,
        "too old",
    ),
    "snp-driver-not-loaded": (
        "snp-guest",
        _both(_gone("/dev/sev-guest"), _NO_TSM),
        "snp-driver",
        State.MISSING,
        "sudo modprobe sev-guest",
    ),
    "snp-report-after-driver": (
        "snp-guest",
        _both(_gone("/dev/sev-guest"), _NO_TSM),
        "snp-report",
        State.MISSING,
        "sudo modprobe sev-guest: it brings configfs-tsm",
    ),
    "snp-configfs-not-mounted": (
        "snp-guest",
        _both(_NO_TSM, _file("/proc/mounts", "sysfs /sys sysfs rw 0 0\n")),
        "snp-report",
        State.DEGRADED,
        "sudo mount -t configfs configfs /sys/kernel/config",
    ),
    "snp-report-denied": (
        "snp-guest",
        _both(_NO_TSM, lambda tree: tree.denied("/sys/kernel/config/tsm/report")),
        "snp-report",
        State.UNKNOWN,
        "as root",
    ),
    "snp-no-interface-no-permission": (
        "snp-guest",
        _both(_gone("/dev/sev-guest"), _NO_TSM),
        "snp-permission",
        State.UNKNOWN,
        "no interface",
    ),
    "snp-vmpl-2": (
        "snp-guest",
        _file("/sys/devices/system/cpu/sev/vmpl", "2\n"),
        "snp-vmpl",
        State.DEGRADED,
        "VMPL 2",
    ),
    "tdx-kernel-without-tsm": (
        "tdx-guest",
        _kernel("6.2.0-39-generic", "CONFIG_TDX_GUEST_DRIVER=m\n"),
        "tdx-kernel",
        State.MISSING,
        "no configfs-tsm",
    ),
    "tdx-kernel-with-tsm-ported-back": (
        "tdx-guest",
        _kernel("6.5.0-1", "CONFIG_TDX_GUEST_DRIVER=m\nCONFIG_TSM_REPORTS=m\n"),
        "tdx-kernel",
        State.OK,
        "what is needed",
    ),
    "tdx-report-absent": (
        "tdx-guest",
        _NO_TSM,
        "tdx-report",
        State.MISSING,
        "sudo modprobe tdx-guest",
    ),
    "tdx-report-old-kernel": (
        "tdx-guest",
        _both(_NO_TSM, _kernel("6.5.0-1")),
        "tdx-report",
        State.MISSING,
        "6.7 or newer",
    ),
    "tdx-no-event-log": (
        "tdx-guest",
        _gone("/sys/firmware/acpi/tables/CCEL"),
        "tdx-event-log",
        State.DEGRADED,
        "no CCEL table",
    ),
    "tdx-event-log-roots": (
        "tdx-guest",
        lambda tree: tree.denied("/sys/firmware/acpi/tables/data/CCEL"),
        "tdx-event-log",
        State.UNKNOWN,
        "root's to read",
    ),
    "tdx-event-log-not-shown": (
        "tdx-guest",
        _gone("/sys/firmware/acpi/tables/data/CCEL"),
        "tdx-event-log",
        State.DEGRADED,
        "6.2 or newer",
    ),
    "snp-host-leaf-says-bios": (
        "snp-host",
        _both(
            _flags("AMD", 99, 1, "AMD EPYC of the future", "svm sme"),
            _gone("/sys/module/kvm_amd/parameters/sev_snp"),
        ),
        "snp-bios",
        State.MISSING,
        "the BIOS keeps it off",
    ),
    "snp-host-kernel-hides-flag": (
        "snp-host",
        _both(
            _flags("AMD", 25, 1, _MILAN, "svm sme sev sev_es"),
            _kernel("6.8.0-1"),
            _gone("/sys/module/kvm_amd/parameters/sev_snp"),
        ),
        "snp-bios",
        State.UNKNOWN,
        "before 6.9",
    ),
    "snp-host-kernel-built-without": (
        "snp-host",
        _both(_kernel("6.12.0-1"), _gone("/sys/module/kvm_amd/parameters/sev_snp")),
        "snp-host-kernel",
        State.MISSING,
        "built without CONFIG_KVM_AMD_SEV",
    ),
    "snp-host-kvm-not-loaded": (
        "snp-host",
        _gone("/sys/module/kvm_amd/parameters/sev_snp"),
        "snp-host-kernel",
        State.MISSING,
        "sudo modprobe kvm_amd",
    ),
    "snp-host-kvm-off": (
        "snp-host",
        _file("/sys/module/kvm_amd/parameters/sev_snp", "N\n"),
        "snp-kvm",
        State.MISSING,
        "sev_snp",
    ),
    "snp-host-old-firmware": (
        "snp-host",
        _says("snphost show version", "1.55.30"),
        "snp-firmware",
        State.DEGRADED,
        "1.55.38 or newer",
    ),
    "snp-host-no-ovmf-inside-docker-path": (
        "snp-host",
        _both(
            _gone("/usr/share/ovmf/OVMF.amdsev.fd"),
            _file("/usr/share/edk2/ovmf/OVMF.amdsev.fd", ""),
        ),
        "snp-ovmf",
        State.OK,
        "/usr/share/edk2",
    ),
    "tdx-host-whose-firmware-enforces-secure-boot": (
        "tdx-host",
        _both(
            _gone("/usr/share/ovmf/OVMF.inteltdx.fd"),
            _file("/usr/share/ovmf/OVMF.inteltdx.ms.fd", ""),
        ),
        "tdx-ovmf",
        State.MISSING,
        "enforces Secure Boot",
    ),
    "tdx-host-without-firmware": (
        "tdx-host",
        _gone("/usr/share/ovmf/OVMF.inteltdx.fd"),
        "tdx-ovmf",
        State.MISSING,
        "no such guest firmware",
    ),
    "snp-host-no-qemu": (
        "snp-host",
        _says("qemu-system-x86_64 --version", "", 127),
        "snp-qemu",
        State.MISSING,
        "not installed",
    ),
    "qemu-under-its-other-name": (
        "snp-host",
        _both(
            _says("qemu-system-x86_64 --version", "", 127),
            _says("qemu-kvm --version", "QEMU emulator version 10.1.0 (qemu-kvm-10.1.0-15.el9)"),
        ),
        "snp-qemu",
        State.OK,
        "10.1.0",
    ),
    "ovmf-of-fedora": (
        "snp-host",
        _both(
            _says("dpkg-query -W ovmf ovmf-amdsev ovmf-inteltdx", "", 127),
            _says("rpm -q edk2-ovmf", "edk2-ovmf-20250523-3.fc42.noarch"),
        ),
        "ovmf",
        State.OK,
        "edk2-ovmf-20250523",
    ),
    "tdx-host-bios-off": (
        "tdx-host",
        _both(
            _flags("Intel", 6, 207, _EMR, "vmx"),
            _file("/sys/module/kvm_intel/parameters/tdx", "N\n"),
        ),
        "tdx-bios",
        State.MISSING,
        "TME-MT on",
    ),
    "tdx-host-kvm-off": (
        "tdx-host",
        _file("/sys/module/kvm_intel/parameters/tdx", "N\n"),
        "tdx-kvm",
        State.MISSING,
        "options kvm_intel tdx=1",
    ),
    "tdx-host-hibernation": (
        "tdx-host",
        _both(
            _kernel("6.18.1", "CONFIG_HIBERNATION=y\n"),
            _file("/sys/module/kvm_intel/parameters/tdx", "N\n"),
        ),
        "tdx-hibernation",
        State.MISSING,
        "nohibernate",
    ),
    "tdx-host-no-hibernation": (
        "tdx-host",
        _both(_kernel("6.18.1"), _file("/sys/module/kvm_intel/parameters/tdx", "N\n")),
        "tdx-hibernation",
        State.OK,
        "has none",
    ),
    "tdx-host-old-kernel": (
        "tdx-host",
        _both(
            _no_kernel_options("6.12.1"),
            _gone("/sys/module/kvm_intel/parameters/tdx"),
        ),
        "tdx-host-kernel",
        State.MISSING,
        "6.16 or newer",
    ),
    "tdx-host-kernel-built-without": (
        "tdx-host",
        _both(_kernel("6.18.1"), _gone("/sys/module/kvm_intel/parameters/tdx")),
        "tdx-host-kernel",
        State.MISSING,
        "built without CONFIG_INTEL_TDX_HOST",
    ),
    "tdx-host-kvm-not-loaded": (
        "tdx-host",
        _gone("/sys/module/kvm_intel/parameters/tdx"),
        "tdx-host-kernel",
        State.MISSING,
        "sudo modprobe kvm_intel",
    ),
    "tdx-host-no-quoting": (
        "tdx-host",
        _gone("/var/run/tdx-qgs/qgs.socket"),
        "tdx-quoting",
        State.MISSING,
        "qgsd",
    ),
    "tdx-host-qemu-10-0": (
        "tdx-host",
        _says("qemu-system-x86_64 --version", "QEMU emulator version 10.0.13"),
        "tdx-qemu",
        State.MISSING,
        "10.1",
    ),
    "sgx-locked": (
        "sgx-host",
        _flags("Intel", 6, 106, _SGX_XEON, "sgx"),
        "sgx-launch-control",
        State.MISSING,
        "unlocked",
    ),
    "sgx-bios-off": (
        "sgx-host",
        _flags("Intel", 6, 106, _SGX_XEON, "vmx"),
        "sgx-cpu",
        State.MISSING,
        "SGX on",
    ),
    "sgx-kernel-without": (
        "sgx-host",
        _kernel("6.1.0-40-amd64"),
        "sgx-kernel",
        State.MISSING,
        "CONFIG_X86_SGX",
    ),
    "sgx-provision-not-allowed": (
        "sgx-host",
        lambda tree: tree.node("/dev/sgx_provision", 0o600),
        "sgx-provision",
        State.MISSING,
        "usermod -aG sgx_prv",
    ),
    "sgx-device-absent": (
        "sgx-host",
        _gone("/dev/sgx_enclave"),
        "sgx-device",
        State.MISSING,
        "5.11 or newer",
    ),
    "sgx-dev-noexec": (
        "sgx-host",
        _file("/proc/mounts", "udev /dev devtmpfs rw,nosuid,noexec,relatime 0 0\n"),
        "sgx-dev-exec",
        State.MISSING,
        "sudo mount -o remount,exec /dev",
    ),
    "sgx-epc-of-cpuid": (
        "sgx-host",
        _both(
            _NO_EPC,
            _leaf(0x12, 2, 0x8020_0001, 0x18, 0x7DC0_0001, 0x1F),
            _leaf(0x12, 3, 0, 0, 0, 0),
        ),
        "sgx-epc",
        State.OK,
        "126.0 GiB",
    ),
    "sgx-epc-small": (
        "sgx-host",
        _both(_NO_EPC, _leaf(0x12, 2, 0x7020_0001, 0, 0x05D8_0001, 0)),
        "sgx-epc",
        State.DEGRADED,
        "93 MiB",
    ),
    "sgx-epc-unknown": ("sgx-host", _NO_EPC, "sgx-epc", State.UNKNOWN, "as root"),
    "gramine-old": (
        "sgx-host",
        _says("gramine-sgx --version", "Gramine 1.6"),
        "sgx-gramine",
        State.DEGRADED,
        "1.9 or newer",
    ),
    "azure-leaf-says-vbs": (
        "azure-snp",
        _leaf(0x4000_000C, 0, 0, 1, 0, 0),
        "azure-snp",
        State.MISSING,
        "not a confidential one",
    ),
    "azure-no-tools": (
        "azure-tdx",
        _says("tpm2_getcap --version", "", 127),
        "azure-tools",
        State.MISSING,
        "tpm2-tools",
    ),
    "azure-report-untold": (
        "azure-tdx",
        _says("tpm2_getcap handles-nv-index", "", 1),
        "azure-report",
        State.UNKNOWN,
        "sudo tpm2_getcap",
    ),
    "azure-report-gone": (
        "azure-tdx",
        _says("tpm2_getcap handles-nv-index", "- 0x1C101D0"),
        "azure-report",
        State.MISSING,
        "no hardware report",
    ),
    "azure-without-tpm": (
        "azure-snp",
        _both(
            _gone("/dev/tpmrm0"),
            _gone("/sys/class/tpm/tpm0/tpm_version_major"),
            _says("tpm2_getcap handles-nv-index", "", 1),
        ),
        "azure-snp",
        State.MISSING,
        "Confidential",
    ),
    "tpm-1-2": (
        "snp-guest",
        _file("/sys/class/tpm/tpm0/tpm_version_major", "1\n"),
        "tpm",
        State.MISSING,
        "2.0",
    ),
    "tpm-version-untold": (
        "snp-guest",
        _file("/sys/class/tpm/tpm0/tpm_version_major", ""),
        "tpm",
        State.UNKNOWN,
        "does not tell",
    ),
    "tpm-no-event-log": (
        "snp-guest",
        _gone("/sys/kernel/security/tpm0/binary_bios_measurements"),
        "tpm-event-log",
        State.DEGRADED,
        "securityfs",
    ),
    "gpu-driver-absent": (
        "gpu-guest",
        _gone("/proc/driver/nvidia/version"),
        "gpu-driver",
        State.MISSING,
        "not loaded",
    ),
    "gpu-nouveau": (
        "gpu-guest",
        _both(_gone("/proc/driver/nvidia/version"), _file("/sys/module/nouveau/refcnt", "0")),
        "gpu-driver",
        State.MISSING,
        "nouveau",
    ),
    "gpu-driver-unclear": (
        "gpu-guest",
        _file("/proc/driver/nvidia/version", "NVRM version: none\n"),
        "gpu-driver",
        State.UNKNOWN,
        "no version",
    ),
    "gpu-driver-old-for-blackwell": (
        "gpu-guest",
        _both(
            lambda tree: tree.gpu("0000:01:00.0", 0x2901),
            _file(
                "/proc/driver/nvidia/version",
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.90.07  Release\n",
            ),
        ),
        "gpu-driver",
        State.MISSING,
        "branch 570",
    ),
    "gpu-of-a-desktop": (
        "gpu-guest",
        lambda tree: tree.gpu("0000:01:00.0", 0x2684),
        "gpu",
        State.NOT_APPLICABLE,
        "Hopper or Blackwell",
    ),
    "gpu-smi-absent": (
        "gpu-guest",
        lambda tree: tree.commands.pop("nvidia-smi conf-compute -f") and None,
        "gpu-cc-mode",
        State.UNKNOWN,
        "not installed",
    ),
    "gpu-smi-fails": (
        "gpu-guest",
        _says("nvidia-smi conf-compute -f", "No devices were found", 6),
        "gpu-cc-mode",
        State.UNKNOWN,
        "exit status 6",
    ),
    "gpu-ready-untold": (
        "gpu-guest",
        _says("nvidia-smi conf-compute -grs", "", 1),
        "gpu-ready",
        State.UNKNOWN,
        "does not tell",
    ),
    "gpu-devtools-untold": (
        "gpu-guest",
        _says("nvidia-smi conf-compute -d", "", 1),
        "gpu-devtools",
        State.UNKNOWN,
        "does not tell",
    ),
    "gpu-not-ready-two-words": (
        "gpu-guest",
        _says("nvidia-smi conf-compute -grs", f"{_GRE} not ready"),
        "gpu-ready",
        State.DEGRADED,
        "-srs 1",
    ),
    "gpu-mode-off-but-untold-why": (
        "gpu-guest",
        _says("nvidia-smi conf-compute -f", "CC status: UNSUPPORTED"),
        "gpu-cc-mode",
        State.UNKNOWN,
        "see what",
    ),
    "gpu-bindings-absent": (
        "gpu-guest",
        lambda tree: setattr(tree, "bindings", False),
        "gpu-bindings",
        State.MISSING,
        "pip install nvidia-ml-py",
    ),
    "gpu-bindings-untold": (
        "gpu-guest",
        lambda tree: setattr(tree, "bindings", None),
        "gpu-bindings",
        State.UNKNOWN,
        "not recorded",
    ),
    "gpu-switch-cannot-be-read": (
        "gpu-guest",
        _file("/sys/bus/pci/devices/0000:01:00.0/vendor", "0xnothing"),
        "gpu",
        State.NOT_APPLICABLE,
        "no NVIDIA GPU",
    ),
    "tdx-on-aws": (
        "plain-vm",
        _flags("Intel", 6, 143, "Intel(R) Xeon(R) Platinum 8488C", "hypervisor"),
        "tdx-guest",
        State.NOT_APPLICABLE,
        "AWS offers no TDX guests",
    ),
    "gramine-enclave": (
        "plain-vm",
        _file("/dev/attestation/quote", ""),
        "gramine-enclave",
        State.OK,
        "Gramine",
    ),
    "kernel-version-unreadable": (
        "plain-vm",
        _file("/proc/sys/kernel/osrelease", "../../etc/passwd\n"),
        "kernel",
        State.UNKNOWN,
        "no version",
    ),
    "secure-boot-off": (
        "laptop-intel",
        _file(
            "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
            "\x06\0\0\0\0",
        ),
        "secure-boot",
        State.OK,
        "off",
    ),
    "lockdown-shown": (
        "plain-vm",
        _file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
        "lockdown",
        State.OK,
        "integrity",
    ),
    "namespaces-of-debian": (
        "plain-vm",
        _file("/proc/sys/kernel/unprivileged_userns_clone", "0\n"),
        "user-namespaces",
        State.MISSING,
        "unprivileged_userns_clone=1",
    ),
    "swap-inside-a-tee": (
        "snp-guest",
        _file("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n"),
        "swap",
        State.DEGRADED,
        "leaves the TEE",
    ),
    "swap-in-memory": (
        "snp-guest",
        _file("/proc/swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 -2\n"),
        "swap",
        State.OK,
        "none on a disk",
    ),
    "huge-pages": (
        "plain-vm",
        _file(
            "/proc/meminfo",
            "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\nHugePages_Total: 512\n"
            "Hugepagesize: 2048 kB\n",
        ),
        "huge-pages",
        State.OK,
        "512 of 2 MiB",
    ),
    "memory-untold": (
        "plain-vm",
        _file("/proc/meminfo", "MemTotal: many kB\n"),
        "free-memory",
        State.UNKNOWN,
        "does not say",
    ),
    "cgroup-v1-without-limit": (
        "plain-vm",
        _file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        "free-memory",
        State.OK,
        "7.2 GiB of 8.0 GiB",
    ),
    "nitro-enclave": (
        "plain-vm",
        lambda tree: tree.node("/dev/nsm", 0o660),
        "nitro",
        State.OK,
        "Nitro",
    ),
    "container-podman": (
        "plain-vm",
        _file("/run/.containerenv", ""),
        "container",
        State.DEGRADED,
        "podman",
    ),
    "container-docker": (
        "plain-vm",
        _file("/.dockerenv", ""),
        "container",
        State.DEGRADED,
        "docker",
    ),
    "container-of-systemd": (
        "plain-vm",
        _file("/run/systemd/container", "lxc\n"),
        "container",
        State.DEGRADED,
        "lxc",
    ),
    "container-by-control-group": (
        "plain-vm",
        _file("/proc/1/cgroup", "12:pids:/lxc/payload\n"),
        "container",
        State.DEGRADED,
        "lxc",
    ),
    "no-virtualization": (
        "laptop-amd",
        _gone("/dev/kvm"),
        "kvm",
        State.MISSING,
        "modprobe kvm_amd",
    ),
    "tool-without-version": (
        "plain-vm",
        _says("swtpm --version", "??"),
        "swtpm",
        State.UNKNOWN,
        "no version",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_change_is_found(case: str, tmp_path: Path) -> None:
    machine, change, name, state, words = CASES[case]
    tree = MACHINES[machine](tmp_path)
    change(tree)
    finding = examine(tree).finding(name)
    assert finding.state is state, finding
    assert words in f"{finding.detail} {finding.fix}", finding


def test_a_proprietary_driver_is_no_driver_for_it(tmp_path: Path) -> None:
    finding = examine(machines.gpu_in_the_open(tmp_path)).finding("gpu-driver")
    assert finding.state is State.MISSING
    assert "proprietary" in finding.detail


def test_gpus_and_switches_are_counted(tmp_path: Path) -> None:
    finding = examine(machines.gpu_in_the_open(tmp_path)).finding("gpu")
    assert finding.detail == "2 x NVIDIA H100 PCIe, 1 x NVSwitch"


def test_a_gpu_without_its_driver_is_named_by_its_generation(tmp_path: Path) -> None:
    tree = machines.gpu_guest(tmp_path)
    tree.remove("/proc/driver/nvidia/gpus/0000:01:00.0/information")
    assert examine(tree).finding("gpu").detail == "1 x NVIDIA Hopper GPU"


def test_the_c_bit_comes_from_the_processor(tmp_path: Path) -> None:
    detail = examine(machines.snp_host(tmp_path)).finding("cpu-tee-flags").detail
    assert detail == "sme sev sev_es sev_snp; C-bit 51, 5 address bits fewer"


@pytest.mark.parametrize(
    ("name", "state", "detail"),
    [
        ("snp-host", State.OK, "4 in use"),
        (
            "laptop-amd",
            State.NOT_APPLICABLE,
            "none is in use; hosts of confidential guests need one",
        ),
        ("plain-vm", State.NOT_APPLICABLE, "the host's business"),
    ],
    ids=["host", "laptop", "guest"],
)
def test_the_iommu_is_the_hosts(name: str, state: State, detail: str, tmp_path: Path) -> None:
    finding = examine(MACHINES[name](tmp_path)).finding("iommu")
    assert (finding.state, finding.detail) == (state, detail)


@pytest.mark.parametrize(
    ("name", "where"),
    [("laptop-amd", "/proc/config.gz"), ("laptop-intel", "/boot/config-6.8.0-88-generic")],
    ids=["proc", "boot"],
)
def test_the_kernels_options_are_found_where_it_shows_them(
    name: str, where: str, tmp_path: Path
) -> None:
    assert examine(MACHINES[name](tmp_path)).finding("kernel-options").detail == where


def test_an_option_that_no_recording_holds_may_not_be_asked_for() -> None:
    with pytest.raises(ValueError, match="OPTIONS"):
        KernelOptions("", "", False).built("SECRET_OPTION")


def test_a_configuration_that_was_cut_does_not_deny() -> None:
    assert KernelOptions("/boot/config-1", "\nCONFIG_X86_64=y\n", True).built("X86_SGX") is None


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds)", (10, 0, 13)),
        ("Gramine 1.9", (1, 9, 0)),
        ('tool="tpm2_getcap" version="5.6-dirty"', (5, 6, 0)),
        ("x86_64  570.195.03  Release", (570, 195, 3)),
        ("no version", None),
        ("99999.99999", None),
        ("", None),
    ],
    ids=lambda value: str(value)[:16],
)
def test_versions_are_found(text: str, numbers: tuple[int, int, int] | None) -> None:
    version = find_version(text)
    assert (version.numbers if version else None) == numbers
