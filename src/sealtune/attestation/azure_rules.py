"""The rules by which the vTPM of an Azure confidential VM is appraised (spec/attestation §15.5).

The hardware below it is appraised by the rules of its own kind; the registers by those of every
kind.
"""

from __future__ import annotations

from sealtune.attestation.azure_claims import VtpmClaims
from sealtune.attestation.reference import AcceptedEnclave
from sealtune.attestation.result import RuleResult, rule_result
from sealtune.errors import Code


def azure_rules(vtpm: VtpmClaims, enclave: AcceptedEnclave) -> tuple[RuleResult, ...]:
    """Return every rule's result, in the order of spec/attestation §15.5."""
    return (_vtpm_present(vtpm), _secure_boot(vtpm, enclave))


def _vtpm_present(vtpm: VtpmClaims) -> RuleResult:
    passed = vtpm.runtime.setting("tpm-enabled") is not False
    reason = "the paravisor runs the vTPM" if passed else "the paravisor says it runs no vTPM"
    return rule_result("vtpm", passed=passed, reason=reason, code=Code.APPRAISAL_PLATFORM)


def _secure_boot(vtpm: VtpmClaims, enclave: AcceptedEnclave) -> RuleResult:
    # Registers 4 and 7 hold what booted and the state and keys of secure boot, so asking for one of
    # them says more than this setting. Where neither is asked for, it must be on.
    on = vtpm.runtime.setting("secure-boot")
    measured = not {"pcr4", "pcr7"}.isdisjoint(enclave.registers)
    passed = on is True or measured or enclave.measurements is None
    state = "not told" if on is None else "on" if on else "off"
    reason = f"secure boot is {state}" + ("; what boots is asked for by register" * measured)
    return rule_result("secure-boot", passed=passed, reason=reason, code=Code.APPRAISAL_PLATFORM)
