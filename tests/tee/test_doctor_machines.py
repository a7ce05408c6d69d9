"""What the doctor says of whole machines: kinds, verdicts, and the fix for what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sealtune.errors import Code, ConfigError
from sealtune.tee.doctor.diagnose import Diagnosis, diagnose, require_ready
from sealtune.tee.doctor.finding import State
from sealtune.tee.doctor.recorded import RecordedMachine
from sealtune.tee.doctor.verdicts import TARGETS, Readiness
from tee import machines
from tee.machines import MACHINES, Tree

# Machine: what it is, what it is ready for, what can be mended; all else is impossible there.
EXPECTED = {
    "snp-host": ("physical machine: a host, no guest", "snp-host simulated", ""),
    "snp-host-unprepared": ("physical machine: a host, no guest", "simulated", "snp-host"),
    "snp-guest": (
        "confidential VM on Google Cloud (SEV-SNP)",
        "sev-snp tpm-vm simulated",
        "",
    ),
    "snp-guest-old": ("confidential VM on QEMU (SEV-SNP)", "sev-snp simulated", "tpm-vm"),
    "tdx-guest": ("confidential VM on Google Cloud (TDX)", "tdx tpm-vm simulated", ""),
    "tdx-host": ("physical machine: a host, no guest", "tdx-host simulated", "sgx"),
    "sgx-host": ("physical machine: a host, no guest", "sgx simulated", ""),
    "azure-snp": (
        "confidential VM on Azure (SEV-SNP, vTPM)",
        "azure-snp tpm-vm simulated",
        "",
    ),
    "azure-tdx": (
        "confidential VM on Azure (TDX, vTPM)",
        "azure-tdx tpm-vm simulated",
        "sgx",
    ),
    "azure-trusted-launch": ("virtual machine on Azure", "tpm-vm simulated", "azure-snp"),
    "gpu-guest": ("confidential VM on QEMU (SEV-SNP)", "sev-snp gpu-cc tpm-vm simulated", ""),
    "gpu-in-the-open": ("virtual machine on QEMU", "tpm-vm simulated", "sev-snp gpu-cc"),
    "laptop-intel": ("physical machine: a host, no guest", "simulated", ""),
    "laptop-amd": ("physical machine: a host, no guest", "simulated", ""),
    "container": (
        "virtual machine on Google Cloud, seen from a container (kubernetes)",
        "simulated",
        "tdx tpm-vm",
    ),
    "plain-vm": ("virtual machine on AWS", "simulated", "sev-snp tpm-vm"),
}


def examine(tree: Tree) -> Diagnosis:
    """Return what the doctor says of `tree`."""
    return diagnose(RecordedMachine.load(tree.write()))


def test_every_machine_has_its_expectation() -> None:
    assert EXPECTED.keys() == MACHINES.keys()
    assert len(MACHINES) >= 12


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_machine_is_and_could_run_as(name: str, tmp_path: Path) -> None:
    kind, ready, fixable = EXPECTED[name]
    diagnosis = examine(MACHINES[name](tmp_path))
    found = {
        readiness: {v.target for v in diagnosis.verdicts if v.readiness is readiness}
        for readiness in Readiness
    }
    assert diagnosis.kind == kind
    assert found[Readiness.READY] == set(ready.split())
    assert found[Readiness.FIXABLE] == set(fixable.split())
    assert not found[Readiness.UNKNOWN]
    assert {v.target for v in diagnosis.verdicts} == set(TARGETS)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_report_is_complete(name: str, tmp_path: Path) -> None:
    diagnosis = examine(MACHINES[name](tmp_path))
    names = [item.name for item in diagnosis.findings]
    assert len(names) == len(set(names))
    for item in diagnosis.findings:
        assert item.detail, item.name
        # For everything missing the fix, and for nothing else a fix that nobody needs.
        assert bool(item.fix) >= (item.state in (State.MISSING, State.DEGRADED)), item.name
        assert not (item.fix and item.state in (State.OK, State.NOT_APPLICABLE)), item.name
    for verdict in diagnosis.verdicts:
        assert verdict.reason, verdict.target
        assert bool(verdict.problems) is (
            verdict.readiness in (Readiness.FIXABLE, Readiness.UNKNOWN)
        )
        assert verdict.insecure is (verdict.target == "simulated")


FIXES = [
    ("snp-host-unprepared", "snp-bios", "SMEE on"),
    ("snp-host-unprepared", "snp-host-kernel", "6.11 or newer"),
    ("snp-host-unprepared", "snp-iommu", "take iommu=pt off the kernel command line"),
    ("snp-host-unprepared", "snp-kvm", "options kvm_amd sev=1 sev_es=1 sev_snp=1"),
    ("snp-host-unprepared", "snp-psp", "sudo modprobe ccp"),
    ("snp-host-unprepared", "kvm", "sudo usermod -aG kvm $USER"),
    ("snp-host-unprepared", "snp-qemu", "install QEMU 10.0 or newer"),
    ("snp-host-unprepared", "snp-ovmf", "install OVMF.amdsev.fd"),
    ("snp-host-unprepared", "snp-firmware", "sudo snphost show version"),
    ("snp-guest-old", "snp-report", "6.7 or newer"),
    ("snp-guest-old", "tpm-guest", "swtpm"),
    ("tdx-host", "sgx-aesm", "sudo systemctl enable --now aesmd"),
    ("tdx-host", "sgx-gramine", "install Gramine"),
    ("azure-trusted-launch", "azure-snp", "security type Confidential"),
    ("gpu-in-the-open", "gpu-cpu-tee", "attach the GPU to an SEV-SNP or TDX guest"),
    ("gpu-in-the-open", "gpu-driver", "open kernel modules"),
    ("gpu-in-the-open", "gpu-cc-mode", "--set-cc-mode=on"),
    ("gpu-in-the-open", "gpu-devtools", "instead of `devtools`"),
    ("gpu-in-the-open", "gpu-ready", "nvidia-smi conf-compute -srs 1"),
    ("laptop-intel", "user-namespaces", "AppArmor profile"),
    ("laptop-intel", "swap", "sudo swapoff -a"),
    ("laptop-intel", "tpm-permission", "sudo usermod -aG tss $USER"),
    ("laptop-amd", "sandbox", "bubblewrap"),
    ("laptop-amd", "free-memory", "larger machine"),
    ("container", "container", "--device"),
    ("container", "free-memory", "control group"),
    ("container", "user-namespaces", "user.max_user_namespaces=15000"),
    ("container", "tdx-guest", "--confidential-compute-type=TDX"),
    ("plain-vm", "snp-guest", "AmdSevSnp=enabled"),
    ("plain-vm", "tpm-guest", "--tpm-support v2.0"),
]


@pytest.mark.parametrize(("name", "finding", "fix"), FIXES, ids=lambda value: str(value)[:24])
def test_what_is_missing_has_its_fix(name: str, finding: str, fix: str, tmp_path: Path) -> None:
    assert fix in examine(MACHINES[name](tmp_path)).finding(finding).fix


def test_problems_come_in_the_order_in_which_to_mend_them(tmp_path: Path) -> None:
    verdict = examine(machines.snp_host_unprepared(tmp_path)).verdict("snp-host")
    assert [problem.finding for problem in verdict.problems] == [
        "snp-bios",
        "snp-host-kernel",
        "snp-iommu",
        "snp-kvm",
        "snp-psp",
        "kvm",
        "snp-qemu",
        "snp-ovmf",
    ]
    assert [item.finding for item in verdict.drawbacks] == ["snp-firmware"]


def test_why_something_is_impossible_is_said(tmp_path: Path) -> None:
    diagnosis = examine(machines.laptop_amd(tmp_path))
    reasons = {verdict.target: verdict.reason for verdict in diagnosis.verdicts}
    # Of an EPYC's family number, and no EPYC.
    assert reasons["snp-host"].startswith("impossible on this processor: SEV-SNP needs an EPYC")
    assert reasons["tdx-host"] == "impossible on this processor: AMD, not Intel"
    assert reasons["sev-snp"] == "a physical machine is no guest"


WITHOUT_ROOT = [
    (lambda folder: machines.snp_guest(folder, root_user=False), "sev-snp", "snp-permission"),
    (lambda folder: machines.tdx_guest(folder, root_user=False), "tdx", "tdx-permission"),
    (lambda folder: machines.snp_host(folder, root_user=False), "snp-host", "kvm"),
]


@pytest.mark.parametrize(("build", "target", "finding"), WITHOUT_ROOT, ids=["snp", "tdx", "host"])
def test_a_device_that_one_may_not_use_is_in_the_way(
    build: Callable[[Path], Tree], target: str, finding: str, tmp_path: Path
) -> None:
    verdict = examine(build(tmp_path)).verdict(target)
    assert verdict.readiness is Readiness.FIXABLE
    assert verdict.problems[0].finding == finding
    assert verdict.problems[0].fix


def test_without_root_an_azure_vm_may_be_confidential(tmp_path: Path) -> None:
    diagnosis = examine(machines.azure_snp(tmp_path, root_user=False))
    assert diagnosis.kind == "virtual machine on Azure (maybe confidential)"
    verdict = diagnosis.verdict("azure-snp")
    assert verdict.readiness is Readiness.UNKNOWN
    assert "as root" in verdict.problems[0].fix
    assert diagnosis.finding("azure-snp").as_root
    assert diagnosis.verdict("azure-tdx").readiness is Readiness.IMPOSSIBLE


def test_require_ready_returns_the_verdict_or_raises_with_the_first_fix(tmp_path: Path) -> None:
    ready = examine(machines.snp_guest(tmp_path / "ready"))
    assert require_ready(ready, "sev-snp").target == "sev-snp"
    with pytest.raises(ConfigError) as impossible:
        require_ready(ready, "tdx")
    assert impossible.value.code is Code.TEE_UNAVAILABLE
    assert impossible.value.remedy
    missing = examine(machines.snp_host_unprepared(tmp_path / "missing"))
    with pytest.raises(ConfigError) as fixable:
        require_ready(missing, "snp-host")
    assert fixable.value.remedy == missing.finding("snp-bios").fix
