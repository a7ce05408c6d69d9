"""The rules by which an authentic SNP report is appraised (spec/attestation §7.2).

Each is a pure function of the claims and the terms for AMD's hardware, and says why it passed or
failed.
"""

from __future__ import annotations

from collections.abc import Mapping

from sealtune.attestation.reference import (
    PLATFORM_REQUIREMENTS,
    POLICY_REQUIREMENTS,
    SnpTerms,
    tcb_components,
)
from sealtune.attestation.result import RuleResult, rule_result
from sealtune.attestation.snp_report import Signer, Tcb
from sealtune.attestation.verified import SnpClaims
from sealtune.errors import Code

_POLICY_ONE = 17  # reserved, must be one
_POLICY_MIGRATE_MA = 18
_POLICY_KNOWN = (1 << 26) - 1
PLATFORM_KNOWN = (1 << 8) - 1


def snp_rules(claims: SnpClaims, terms: SnpTerms) -> tuple[RuleResult, ...]:
    """Return every rule's result, in the order of spec/attestation §7.2."""
    return (
        _migration(claims),
        _policy_known(claims),
        _policy_required(claims, terms),
        _vmpl(claims, terms),
        _generation(claims, terms),
        _tcb(claims, terms),
        _mitigations(claims, terms),
        _platform(claims, terms),
        _identity(claims, terms),
        _revocation(claims, terms),
    )


def _bit(value: int, number: int) -> int:
    return value >> number & 1


def _migration(claims: SnpClaims) -> RuleResult:
    passed = not _bit(claims.report.policy, _POLICY_MIGRATE_MA)
    reason = "no migration agent" if passed else "a migration agent may move this guest"
    return rule_result("migration", passed=passed, reason=reason, code=Code.APPRAISAL_POLICY)


def _policy_known(claims: SnpClaims) -> RuleResult:
    # An unknown policy bit may be the next DEBUG.
    policy = claims.report.policy
    passed = not policy & ~_POLICY_KNOWN and bool(_bit(policy, _POLICY_ONE))
    reason = f"policy {policy:#x}: reserved bits are {'as' if passed else 'not as'} specified"
    return rule_result("policy-known", passed=passed, reason=reason, code=Code.APPRAISAL_POLICY)


def _policy_required(claims: SnpClaims, terms: SnpTerms) -> RuleResult:
    missing = _missing(claims.report.policy, terms.required_policy, table=POLICY_REQUIREMENTS)
    reason = f"policy lacks {', '.join(missing)}" if missing else "policy has all that is required"
    return rule_result(
        "policy-required", passed=not missing, reason=reason, code=Code.APPRAISAL_POLICY
    )


def _missing(
    value: int, required: frozenset[str], *, table: Mapping[str, tuple[int, int]]
) -> list[str]:
    return [name for name in sorted(required) if _bit(value, table[name][0]) != table[name][1]]


def _vmpl(claims: SnpClaims, terms: SnpTerms) -> RuleResult:
    vmpl = claims.report.vmpl
    reason = f"VMPL {vmpl}, accepted are {sorted(terms.vmpl)}"
    return rule_result("vmpl", passed=vmpl in terms.vmpl, reason=reason, code=Code.APPRAISAL_VMPL)


def _generation(claims: SnpClaims, terms: SnpTerms) -> RuleResult:
    generation = claims.generation
    reason = f"{generation}, accepted are {', '.join(sorted(terms.minimum_tcb)) or 'none'}"
    passed = generation in terms.minimum_tcb
    return rule_result("generation", passed=passed, reason=reason, code=Code.APPRAISAL_PLATFORM)


def _tcb(claims: SnpClaims, terms: SnpTerms) -> RuleResult:
    floor = terms.minimum_tcb.get(claims.generation)
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


def _mitigations(claims: SnpClaims, terms: SnpTerms) -> RuleResult:
    # Reports before version 5 have no vector and read as zero, which satisfies only a zero mask.
    missing = terms.minimum_mitigations & ~claims.report.current_mitigations
    reason = f"mitigations {missing:#x} are not in effect" if missing else "all required are there"
    return rule_result("mitigations", passed=not missing, reason=reason, code=Code.APPRAISAL_TCB)


def _component(tcb: Tcb, name: str) -> int:
    value: int | None = getattr(tcb, name)
    return -1 if value is None else value


def _platform(claims: SnpClaims, terms: SnpTerms) -> RuleResult:
    info = claims.report.platform_info
    missing = _missing(info, terms.required_platform, table=PLATFORM_REQUIREMENTS)
    unknown = info & ~PLATFORM_KNOWN
    # Firmware adds informative bits; unlike those of the policy they are recorded, not refused.
    note = f"; unknown bits {unknown:#x}" if unknown else ""
    reason = (f"lacks {', '.join(missing)}" if missing else "has all that is required") + note
    return rule_result(
        "platform", passed=not missing, reason=f"platform {reason}", code=Code.APPRAISAL_PLATFORM
    )


def _identity(claims: SnpClaims, terms: SnpTerms) -> RuleResult:
    if claims.signer is Signer.VLEK:
        # A lent key says nothing of the chip, but the report does: where chips are enrolled, this
        # one must be too, or `chip_ids` would bind only those who use their chip's own key.
        chip = claims.report.chip_id.hex()
        enrolled = terms.chip_ids is None or chip in terms.chip_ids
        passed = claims.csp_id in terms.csp_ids and enrolled
        reason = f"VLEK lent to {claims.csp_id}, accepted are {sorted(terms.csp_ids)}"
        reason += "" if enrolled else f"; chip {chip} is not enrolled"
    elif terms.chip_ids is None:
        passed, reason = True, "any chip is accepted"
    else:
        passed = claims.report.chip_id.hex() in terms.chip_ids
        reason = f"chip {claims.report.chip_id.hex()} {'is' if passed else 'is not'} enrolled"
    return rule_result("identity", passed=passed, reason=reason, code=Code.APPRAISAL_PLATFORM)


def _revocation(claims: SnpClaims, terms: SnpTerms) -> RuleResult:
    # That no list was there may be a decision of whoever delivered the endorsements.
    passed = bool(claims.crls) or not terms.require_crl
    count = len(claims.crls)
    reason = f"{count} of AMD's revocation lists consulted" if count else "no revocation list"
    return rule_result(
        "revocation", passed=passed, reason=reason, code=Code.APPRAISAL_ENDORSEMENT_AGE
    )
