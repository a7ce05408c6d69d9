"""The whole examination: every probe over one `Machine`, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from sealtune.errors import Code, ConfigError
from sealtune.tee.doctor.finding import Finding
from sealtune.tee.doctor.gpu import probe_gpu
from sealtune.tee.doctor.guests import probe_snp_guest, probe_tdx_guest
from sealtune.tee.doctor.hosts import probe_launcher, probe_snp_host, probe_tdx_host
from sealtune.tee.doctor.kernel import kernel_options, probe_kernel, probe_memory
from sealtune.tee.doctor.machine import Machine
from sealtune.tee.doctor.platform import describe_platform, kind_of, probe_platform
from sealtune.tee.doctor.sgx import probe_sgx
from sealtune.tee.doctor.tools import probe_tools, qemu_version
from sealtune.tee.doctor.tpm import probe_azure, probe_tpm
from sealtune.tee.doctor.verdicts import Readiness, Verdict, judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the machine is, what it could run as, and everything that was looked at."""

    kind: str
    root: bool
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]

    def finding(self, name: str) -> Finding:
        """Return the finding of that name."""
        return next(item for item in self.findings if item.name == name)

    def verdict(self, target: str) -> Verdict:
        """Return the verdict on that target."""
        return next(item for item in self.verdicts if item.target == target)


def diagnose(machine: Machine) -> Diagnosis:
    """Return what `machine` is and could run as.

    Reads only. Raises nothing for what it finds: what cannot be read is a finding too.
    """
    platform = probe_platform(machine)
    options = kernel_options(machine, platform)
    qemu = qemu_version(machine)
    findings = (
        *describe_platform(machine, platform),
        *probe_memory(machine, platform),
        *probe_kernel(machine, platform, options),
        *probe_snp_guest(machine, platform, options),
        *probe_tdx_guest(machine, platform, options),
        *probe_tpm(machine, platform),
        *probe_azure(machine, platform),
        *probe_sgx(machine, platform, options),
        *probe_gpu(machine, platform),
        *probe_snp_host(machine, platform, options),
        *probe_tdx_host(machine, platform, options),
        *probe_launcher(machine, platform, qemu),
        *probe_tools(machine, qemu),
    )
    return Diagnosis(
        kind=kind_of(platform),
        root=machine.root_user,
        verdicts=judge({item.name: item for item in findings}),
        findings=findings,
    )


def require_ready(diagnosis: Diagnosis, target: str) -> Verdict:
    """Return the verdict on `target`.

    Raises:
        ConfigError: the machine is not ready for it; the remedy is the first thing to mend.
    """
    verdict = diagnosis.verdict(target)
    if verdict.readiness is Readiness.READY:
        return verdict
    first = verdict.problems[0] if verdict.problems else None
    remedy = first.fix if first and first.fix else "run on another machine, or ask for another TEE"
    message = f"not ready for {target}: {verdict.reason}"
    raise ConfigError(Code.TEE_UNAVAILABLE, message, remedy=remedy)
