"""Which TEE this host can launch, of those that a contract accepts: what `--tee auto` takes.

The strongest comes first, and a simulated one never. What the host says of itself decides nothing:
whatever is launched has to convince the brokers.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sealtune.attestation.evidence import EvidenceKind
from sealtune.errors import Code, ConfigError
from sealtune.tee.doctor.diagnose import diagnose
from sealtune.tee.doctor.machine import Machine
from sealtune.tee.doctor.verdicts import Readiness
from sealtune.tee.launcher import Tee

# By what the contract accepts: what is launched for it, and what the doctor calls such a host. An
# ordinary VM has none: its memory is nobody's secret, and QEMU and swtpm say what they miss.
_LAUNCHED: Final = (
    (EvidenceKind.SEV_SNP, Tee.SEV_SNP, "snp-host"),
    (EvidenceKind.TDX, Tee.TDX, "tdx-host"),
    (EvidenceKind.SGX, Tee.SGX, "sgx"),
    (EvidenceKind.TPM_VM, Tee.VM, ""),
)


def choose_tee(accepted: Collection[EvidenceKind], *, machine: Machine) -> Tee:
    """Return the strongest TEE of the kinds in `accepted` that `machine` can launch.

    Raises:
        ConfigError: it can launch none of them; the remedy is the first thing to mend.
    """
    diagnosis = diagnose(machine)
    reasons: list[str] = []
    remedy = ""
    for kind, tee, target in _LAUNCHED:
        if kind not in accepted:
            continue
        if not target:
            return tee
        verdict = diagnosis.verdict(target)
        if verdict.readiness is Readiness.READY:
            return tee
        reasons.append(f"{kind}: {verdict.reason}")
        remedy = remedy or next((problem.fix for problem in verdict.problems if problem.fix), "")
    if not reasons:
        kinds = ", ".join(sorted(accepted))
        reasons.append(f"the contract accepts {kinds} alone, which `auto` does not launch")
    raise ConfigError(
        Code.TEE_UNAVAILABLE,
        f"no TEE for this contract here: {'; '.join(reasons)}",
        remedy=remedy or "run this on a host that `sealtune doctor` calls ready, or name the TEE",
    )
