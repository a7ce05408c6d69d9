"""What the machine could run as: a pure function of the findings.

A target has a gate (is this the kind of machine at all?) and requirements. Ready means that the
machine offers what evidence and work need. Whether a contract accepts it is the brokers' decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sealtune.tee.doctor.finding import Finding, Findings, State


class Readiness(StrEnum):
    """Whether the machine could run as a target."""

    READY = "ready"
    FIXABLE = "fixable"
    IMPOSSIBLE = "impossible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding that stands between the machine and a target, or is a drawback there."""

    finding: str
    detail: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the machine could run as `target`; problems in the order in which to mend them."""

    target: str
    title: str
    readiness: Readiness
    reason: str
    insecure: bool
    problems: tuple[Problem, ...]
    drawbacks: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    name: str
    title: str
    gate: str
    needs: tuple[str, ...]
    insecure: bool = False


_AZURE_NEEDS: Final = ("azure-tpm", "azure-tools", "azure-report")
_TARGETS: Final = (
    _Target(
        name="sev-snp",
        title="SEV-SNP guest",
        gate="snp-guest",
        needs=("snp-kernel", "snp-driver", "snp-report", "snp-permission", "snp-vmpl"),
    ),
    _Target(
        name="tdx",
        title="TDX guest",
        gate="tdx-guest",
        needs=("tdx-kernel", "tdx-driver", "tdx-report", "tdx-permission", "tdx-event-log"),
    ),
    _Target(
        name="azure-snp",
        title="Azure confidential VM (SEV-SNP)",
        gate="azure-snp",
        needs=_AZURE_NEEDS,
    ),
    _Target(
        name="azure-tdx",
        title="Azure confidential VM (TDX)",
        gate="azure-tdx",
        needs=_AZURE_NEEDS,
    ),
    _Target(
        name="sgx",
        title="SGX enclave (Gramine)",
        gate="sgx-cpu",
        needs=(
            "sgx-launch-control",
            "sgx-kernel",
            "sgx-device",
            "sgx-provision",
            "sgx-dev-exec",
            "sgx-aesm",
            "sgx-gramine",
            "sgx-epc",
        ),
    ),
    _Target(
        name="gpu-cc",
        title="confidential GPU beside a CPU TEE",
        gate="gpu",
        needs=(
            "gpu-cpu-tee",
            "gpu-driver",
            "gpu-permission",
            "gpu-bindings",
            "gpu-cc-mode",
            "gpu-devtools",
            "gpu-ready",
        ),
    ),
    _Target(
        name="snp-host",
        title="host that launches SEV-SNP guests",
        gate="snp-cpu",
        needs=(
            "snp-bios",
            "snp-host-kernel",
            "snp-iommu",
            "snp-kvm",
            "snp-psp",
            "kvm",
            "snp-psp-permission",
            "snp-qemu",
            "snp-ovmf",
            "snp-firmware",
        ),
    ),
    _Target(
        name="tdx-host",
        title="host that launches TDX guests",
        gate="tdx-cpu",
        needs=(
            "tdx-bios",
            "tdx-host-kernel",
            "tdx-hibernation",
            "tdx-kvm",
            "kvm",
            "tdx-quoting",
            "tdx-qemu",
            "tdx-ovmf",
        ),
    ),
    _Target(
        name="tpm-vm",
        title="measured VM (vTPM; memory NOT protected)",
        gate="tpm-guest",
        needs=("tpm", "tpm-permission", "tpm-event-log"),
    ),
    _Target(
        name="simulated",
        title="simulated enclave (INSECURE: protects nothing)",
        gate="kernel",
        needs=("free-memory", "user-namespaces", "sandbox"),
        insecure=True,
    ),
)
TARGETS: Final = tuple(target.name for target in _TARGETS)
# Without these a target still does its work, only not as well or not as visibly.
_OPTIONAL: Final = frozenset(
    {"user-namespaces", "sandbox", "snp-vmpl", "tdx-event-log", "tpm-event-log", "snp-firmware"}
)


def judge(findings: Findings) -> tuple[Verdict, ...]:
    """Return a verdict for every target."""
    return tuple(_verdict(target, findings) for target in _TARGETS)


def _verdict(target: _Target, findings: Findings) -> Verdict:
    gate = findings[target.gate]
    needs = [findings[name] for name in target.needs]
    if gate.state is State.NOT_APPLICABLE and not target.insecure:
        return _made(target, Readiness.IMPOSSIBLE, gate.detail)
    if gate.state in (State.MISSING, State.UNKNOWN) and not target.insecure:
        readiness = Readiness.FIXABLE if gate.state is State.MISSING else Readiness.UNKNOWN
        return _made(target, readiness, gate.detail, problems=[gate])
    blocking = [item for item in needs if item.name not in _OPTIONAL]
    missing = [item for item in blocking if item.state is State.MISSING]
    unclear = [item for item in blocking if item.state is State.UNKNOWN]
    drawbacks = [item for item in needs if _is_drawback(item)]
    if missing:
        reason = f"missing: {', '.join(item.name for item in missing)}"
        return _made(
            target, Readiness.FIXABLE, reason, problems=[*missing, *unclear], drawbacks=drawbacks
        )
    if unclear:
        reason = f"cannot be told: {', '.join(item.name for item in unclear)}"
        return _made(target, Readiness.UNKNOWN, reason, problems=unclear, drawbacks=drawbacks)
    return _made(target, Readiness.READY, gate.detail, drawbacks=drawbacks)


def _is_drawback(item: Finding) -> bool:
    worse = item.name in _OPTIONAL and item.state in (State.MISSING, State.UNKNOWN)
    return item.state is State.DEGRADED or worse


def _made(
    target: _Target,
    readiness: Readiness,
    reason: str,
    *,
    problems: list[Finding] | None = None,
    drawbacks: list[Finding] | None = None,
) -> Verdict:
    return Verdict(
        target=target.name,
        title=target.title,
        readiness=readiness,
        reason=reason,
        insecure=target.insecure,
        problems=tuple(map(_problem, problems or [])),
        drawbacks=tuple(map(_problem, drawbacks or [])),
    )


def _problem(item: Finding) -> Problem:
    return Problem(finding=item.name, detail=item.detail, fix=item.fix)
