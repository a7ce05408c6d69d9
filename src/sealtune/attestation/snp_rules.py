"""The rules by which a verified SNP report is appraised (spec/attestation §7.2).

Each is a pure function of the claims and one accepted enclave, and says why it passed or failed.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from sealtune.attestation.reference import (
    PLATFORM_REQUIREMENTS,
    POLICY_REQUIREMENTS,
    AcceptedEnclave,
    tcb_components,
)
from sealtune.attestation.result import RuleResult, rule_result
from sealtune.attestation.snp_report import Signer, Tcb
from sealtune.attestation.verified import VerifiedEvidence
from sealtune.errors import Code

_POLICY_ONE = 17  # reserved, must be one
_POLICY_MIGRATE_MA = 18
_POLICY_DEBUG = 19
_POLICY_KNOWN = (1 << 26) - 1
PLATFORM_KNOWN = (1 << 8) - 1


def snp_rules(
    verified: VerifiedEvidence, enclave: AcceptedEnclave, *, host_data: bytes
) -> tuple[RuleResult, ...]:
    """Return every rule's result, in the order of spec/attestation §7.2."""
    return (
        _root(verified, enclave),
        _kind(verified, enclave),
        _debug(verified),
        _migration(verified),
        _policy_known(verified),
        _policy_required(verified, enclave),
        _vmpl(verified, enclave),
        _generation(verified, enclave),
        _tcb(verified, enclave),
        _measurement(verified, enclave),
        _host_data(verified, host_data),
        _platform(verified, enclave),
        _identity(verified, enclave),
    )


def _bit(value: int, number: int) -> int:
    return value >> number & 1


def _root(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    # Simulated evidence proves nothing, so an entry either says that it accepts exactly this mock
    # root or accepts no insecure evidence; and an entry for a simulation is not one for hardware.
    if enclave.insecure_accept_simulated:
        passed = verified.insecure and verified.root.digest == enclave.simulated_root
        reason = "INSECURE: accepts evidence under the contract's mock root and no other"
    else:
        passed = not verified.insecure
        reason = f"root of {verified.root.vendor}, hardware is required"
    return rule_result("root", passed=passed, reason=reason, code=Code.APPRAISAL_INSECURE)


def _kind(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    passed = verified.kind is enclave.kind
    reason = f"evidence is {verified.kind}, accepted is {enclave.kind}"
    return rule_result("kind", passed=passed, reason=reason, code=Code.APPRAISAL_KIND)


def _debug(verified: VerifiedEvidence) -> RuleResult:
    # The policy is not part of the launch measurement: a debug guest has the same one, and its
    # memory is open to the host.
    passed = not _bit(verified.claims.report.policy, _POLICY_DEBUG)
    reason = "debugging by the host is off" if passed else "the host may debug this guest"
    return rule_result("debug", passed=passed, reason=reason, code=Code.APPRAISAL_DEBUG)


def _migration(verified: VerifiedEvidence) -> RuleResult:
    passed = not _bit(verified.claims.report.policy, _POLICY_MIGRATE_MA)
    reason = "no migration agent" if passed else "a migration agent may move this guest"
    return rule_result("migration", passed=passed, reason=reason, code=Code.APPRAISAL_POLICY)


def _policy_known(verified: VerifiedEvidence) -> RuleResult:
    # An unknown policy bit may be the next DEBUG.
    policy = verified.claims.report.policy
    passed = not policy & ~_POLICY_KNOWN and bool(_bit(policy, _POLICY_ONE))
    reason = f"policy {policy:#x}: reserved bits are {'as' if passed else 'not as'} specified"
    return rule_result("policy-known", passed=passed, reason=reason, code=Code.APPRAISAL_POLICY)


def _policy_required(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    missing = _missing(
        verified.claims.report.policy, enclave.required_policy, table=POLICY_REQUIREMENTS
    )
    reason = f"policy lacks {', '.join(missing)}" if missing else "policy has all that is required"
    return rule_result(
        "policy-required", passed=not missing, reason=reason, code=Code.APPRAISAL_POLICY
    )


def _missing(
    value: int, required: frozenset[str], *, table: Mapping[str, tuple[int, int]]
) -> list[str]:
    return [name for name in sorted(required) if _bit(value, table[name][0]) != table[name][1]]


def _vmpl(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    vmpl = verified.claims.report.vmpl
    reason = f"VMPL {vmpl}, accepted are {sorted(enclave.vmpl)}"
    return rule_result("vmpl", passed=vmpl in enclave.vmpl, reason=reason, code=Code.APPRAISAL_VMPL)


def _generation(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    generation = verified.claims.generation
    reason = f"{generation}, accepted are {', '.join(sorted(enclave.minimum_tcb)) or 'none'}"
    passed = generation in enclave.minimum_tcb
    return rule_result("generation", passed=passed, reason=reason, code=Code.APPRAISAL_PLATFORM)


def _tcb(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    claims = verified.claims
    floor = enclave.minimum_tcb.get(claims.generation)
    below = ["no floor is given"]
    if floor is not None:
        # Reported is what the key was derived for, committed what the host cannot roll back
        # below, launch what the guest began under: a fix counts only if it was there in all three.
        named = (
            ("reported", claims.reported_tcb),
            ("committed", claims.committed_tcb),
            ("launch", claims.launch_tcb),
        )
        components = tcb_components(claims.generation)
        below = [
            f"{name} {component} {_component(tcb, component)} < {floor[component]}"
            for name, tcb in named
            # By component: one integer comparison would let a newer microcode hide a rolled-back
            # bootloader.
            for component in components
            if _component(tcb, component) < floor[component]
        ]
    reason = "; ".join(below) if below else f"reported {claims.reported_tcb} is not below the floor"
    return rule_result("tcb", passed=not below, reason=reason, code=Code.APPRAISAL_TCB)


def _component(tcb: Tcb, name: str) -> int:
    value: int | None = getattr(tcb, name)
    return -1 if value is None else value


def _measurement(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    # No measurement listed accepts none.
    passed = verified.measurement in enclave.measurements
    which = "is" if passed else "is not"
    reason = f"{verified.measurement} {which} a measurement of {enclave.name}"
    return rule_result("measurement", passed=passed, reason=reason, code=Code.APPRAISAL_MEASUREMENT)


def _host_data(verified: VerifiedEvidence, host_data: bytes) -> RuleResult:
    passed = hmac.compare_digest(verified.host_data, host_data)
    reason = f"launched for {verified.host_data.hex()}, required is {host_data.hex()}"
    return rule_result("host-data", passed=passed, reason=reason, code=Code.APPRAISAL_HOST_DATA)


def _platform(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    info = verified.claims.report.platform_info
    missing = _missing(info, enclave.required_platform, table=PLATFORM_REQUIREMENTS)
    unknown = info & ~PLATFORM_KNOWN
    # Firmware adds informative bits; unlike those of the policy they are recorded, not refused.
    note = f"; unknown bits {unknown:#x}" if unknown else ""
    reason = (f"lacks {', '.join(missing)}" if missing else "has all that is required") + note
    return rule_result(
        "platform", passed=not missing, reason=f"platform {reason}", code=Code.APPRAISAL_PLATFORM
    )


def _identity(verified: VerifiedEvidence, enclave: AcceptedEnclave) -> RuleResult:
    claims = verified.claims
    if claims.signer is Signer.VLEK:
        passed = claims.csp_id in enclave.csp_ids
        reason = f"VLEK lent to {claims.csp_id}, accepted are {sorted(enclave.csp_ids)}"
    elif enclave.chip_ids is None:
        passed, reason = True, "any chip is accepted"
    else:
        passed = verified.chip_id in enclave.chip_ids
        reason = f"chip {verified.chip_id} {'is' if passed else 'is not'} enrolled"
    return rule_result("identity", passed=passed, reason=reason, code=Code.APPRAISAL_PLATFORM)
