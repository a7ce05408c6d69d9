"""The rules that every kind of evidence is appraised by (spec/attestation §7.2)."""

from __future__ import annotations

import hmac

from sealtune.attestation.anchors import RootUse
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.reference import AcceptedEnclave, missing_boot_registers
from sealtune.attestation.result import RuleResult, rule_result
from sealtune.attestation.verified import VerifiedEvidence
from sealtune.errors import Code


def first_rules(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> tuple[RuleResult, ...]:
    """Return what is asked before anything that only one kind of hardware has."""
    return (
        _root(verified, enclave),
        _kind(verified, enclave),
        _debug(verified),
        _memory(verified, enclave),
    )


def last_rules(
    verified: VerifiedEvidence, enclave: AcceptedEnclave, *, host_data: bytes | None
) -> tuple[RuleResult, ...]:
    """Return what is asked of the software that was launched."""
    return (
        _measurement(verified, enclave),
        boot_rule(enclave),
        _registers(verified, enclave),
        _host_data(verified, enclave, host_data),
    )


def _root(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    # Simulated evidence proves nothing, so an entry either says that it accepts exactly this mock
    # root or accepts no insecure evidence; and an entry for a simulation is not one for hardware.
    if enclave.insecure_accept_simulated:
        passed = verified.insecure and verified.root.digest == enclave.simulated_root
        reason = "INSECURE: accepts evidence under the contract's mock root and no other"
    else:
        passed = not verified.insecure
        is_tpm = verified.root.use is RootUse.TPM
        what = "which vouches for no hardware" if is_tpm else "hardware is required"
        reason = f"root of {verified.root.vendor}, {what}"
    return rule_result("root", passed=passed, reason=reason, code=Code.APPRAISAL_INSECURE)


def _kind(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    passed = verified.kind is enclave.kind
    reason = f"evidence is {verified.kind}, accepted is {enclave.kind}"
    return rule_result("kind", passed=passed, reason=reason, code=Code.APPRAISAL_KIND)


def _debug(verified: VerifiedEvidence) -> RuleResult:
    # Whether a guest may be debugged is no part of its launch measurement: a debug guest has the
    # same one, and its memory is open to the host. There is no switch.
    machines = (verified.authentic, *verified.devices)
    passed = not any(machine.claims.debug for machine in machines)
    reason = "debugging by the host is off" if passed else "the host may debug this guest"
    return rule_result("debug", passed=passed, reason=reason, code=Code.APPRAISAL_DEBUG)


def _memory(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    # spec/attestation §8: a TPM measures what booted and protects no memory. That is accepted by
    # the word `tpm-vm` in the contract and by nothing else.
    if verified.claims.memory_protected:
        passed, reason = True, "the hardware keeps the operator out of this memory"
    else:
        passed = enclave.kind is EvidenceKind.TPM_VM
        reason = "the operator can read this memory: measured boot, no memory protection"
    return rule_result("memory", passed=passed, reason=reason, code=Code.APPRAISAL_MEMORY)


def _measurement(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    if enclave.measurements is None:
        passed, reason = True, f"ANY measurement is accepted: {verified.measurement}"
    elif enclave.kind is EvidenceKind.TPM_VM:
        passed, reason = True, "a TPM has none: it measures into registers"
    else:
        # No measurement listed accepts none.
        passed = verified.measurement in enclave.measurements
        which = "is" if passed else "is not"
        reason = f"{verified.measurement} {which} a measurement of {enclave.name}"
    return rule_result("measurement", passed=passed, reason=reason, code=Code.APPRAISAL_MEASUREMENT)


def boot_rule(enclave: AcceptedEnclave) -> RuleResult:
    """Return whether `enclave` says what boots above the firmware, where nothing else does."""
    # spec/attestation §7.2: where the launch measurement is the firmware's alone, what it booted
    # must be asked for, or the operator's own kernel would pass under the agreed firmware.
    missing = missing_boot_registers(enclave.kind, enclave.registers)
    if enclave.measurements is None:
        passed, reason = True, "ANY system is accepted above the firmware"
    else:
        passed = not missing
        reason = f"any kernel would do: {' and '.join(missing)} not asked for"
        reason = "what booted is measured and asked for" if passed else reason
    return rule_result("boot", passed=passed, reason=reason, code=Code.APPRAISAL_REGISTER)


def _registers(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    found = verified.claims.registers
    wrong = [
        f"{name} is {found.get(name, 'absent')}"
        for name, accepted in sorted(enclave.registers.items())
        if found.get(name) not in accepted
    ]
    asked = ", ".join(sorted(enclave.registers)) or "none is asked for"
    reason = "; ".join(wrong) if wrong else f"registers as agreed: {asked}"
    return rule_result("registers", passed=not wrong, reason=reason, code=Code.APPRAISAL_REGISTER)


def _host_data(
    verified: VerifiedEvidence, enclave: AcceptedEnclave, host_data: bytes | None
) -> RuleResult:
    found = verified.host_data
    if not enclave.contract_at_launch:
        passed = True
        reason = "not asked for: the contract is bound by report_data alone"
    elif found is None:
        passed, reason = False, "this evidence has no field that the launcher fixes"
    elif host_data is None:
        passed, reason = False, "no contract was given to compare with"
    else:
        # Fields of other TEEs are longer; the rest must be zero.
        passed = hmac.compare_digest(found, host_data.ljust(len(found), b"\0"))
        reason = f"launched for {found.hex()}, required is {host_data.hex()}"
    return rule_result("host-data", passed=passed, reason=reason, code=Code.APPRAISAL_HOST_DATA)
