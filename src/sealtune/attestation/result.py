"""Results as data: each rule with its reason, and what an appraisal found (spec/attestation §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sealtune.attestation.evidence import EvidenceKind
from sealtune.core.digest import Digest
from sealtune.errors import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One rule of a decision: `code` says which error a failure is, and is None when it passed."""

    rule: str
    passed: bool
    reason: str
    code: Code | None

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as a JSON object."""
        code = None if self.code is None else str(self.code)
        return {"rule": self.rule, "passed": self.passed, "reason": self.reason, "code": code}


def rule_result(rule: str, *, passed: bool, reason: str, code: Code) -> RuleResult:
    """Return the result of `rule`; `code` is what it means if it did not pass."""
    return RuleResult(rule=rule, passed=passed, reason=reason, code=None if passed else code)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFacts:
    """What the evidence says about the machine and the guest's policy, for people and logs."""

    generation: str
    root: Digest
    signer: str
    csp_id: str
    chip_id: str
    firmware: str
    reported_tcb: str
    committed_tcb: str
    launch_tcb: str
    vmpl: int
    policy: str
    platform_info: str
    unknown_platform_bits: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationResult:
    """Verified evidence that an accepted enclave's reference values match, rule by rule."""

    kind: EvidenceKind
    insecure: bool
    enclave: str
    measurement: str
    host_data: bytes
    platform: PlatformFacts
    rules: tuple[RuleResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a JSON object for logs and receipts."""
        platform = {name: getattr(self.platform, name) for name in PlatformFacts.__slots__}
        platform["unknown_platform_bits"] = list(self.platform.unknown_platform_bits)
        return {
            "kind": str(self.kind),
            "insecure": self.insecure,
            "enclave": self.enclave,
            "measurement": self.measurement,
            "host_data": self.host_data.hex(),
            "platform": platform,
            "rules": [rule.to_dict() for rule in self.rules],
        }
