"""Results as data: each rule with its reason, and what an appraisal found (spec/attestation §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.verified import Claims
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
class AttestationResult:
    """Verified evidence that an accepted enclave's reference values match, rule by rule.

    `devices` are the claims of the machine's devices, in the order of its evidence.
    """

    kind: EvidenceKind
    insecure: bool
    enclave: str
    root: Digest
    claims: Claims
    devices: tuple[Claims, ...]
    rules: tuple[RuleResult, ...]

    @property
    def measurement(self) -> str:
        """What was launched, in hexadecimal."""
        return self.claims.measurement

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a JSON object for logs and receipts."""
        return {
            "kind": str(self.kind),
            "insecure": self.insecure,
            "enclave": self.enclave,
            "root": self.root,
            "claims": self.claims.to_dict(),
            "devices": [device.to_dict() for device in self.devices],
            "rules": [rule.to_dict() for rule in self.rules],
        }
