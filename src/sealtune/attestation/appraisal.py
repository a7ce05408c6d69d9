"""Appraisal: is this genuine enclave one that the parties accept? (spec/attestation §7)

Pure: verified evidence and reference values in, a result with every rule's reason out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sealtune.attestation.anchors import Product, TrustAnchors, amd_anchors
from sealtune.attestation.reference import AcceptedEnclave
from sealtune.attestation.result import AttestationResult, PlatformFacts, RuleResult
from sealtune.attestation.snp_rules import PLATFORM_KNOWN, snp_rules
from sealtune.attestation.verified import VerifiedEvidence
from sealtune.errors import AppraisalError, Code

__all__ = ["AcceptedEnclave", "AppraisalRefused", "anchors_for", "appraise"]

HOST_DATA_BYTES = 32


class AppraisalRefused(AppraisalError):
    """No accepted enclave matches; `rules` are those of the entry that came closest."""

    def __init__(self, rules: tuple[RuleResult, ...], failed: RuleResult) -> None:
        super().__init__(failed.code or Code.INTERNAL, f"{failed.rule}: {failed.reason}")
        self.rules = rules


def anchors_for(accepted: Iterable[AcceptedEnclave]) -> TrustAnchors:
    """Return AMD's roots, and the mock roots of the entries that accept simulated evidence."""
    anchors = amd_anchors()
    for enclave in accepted:
        # Reference values have a mock root only together with `insecure_accept_simulated`.
        root = enclave.simulated_root
        if root is not None and root not in anchors.roots:
            anchors = anchors.with_insecure_root(root, product=Product.GENOA)
    return anchors


def appraise(
    verified: VerifiedEvidence, *, accepted: Sequence[AcceptedEnclave], host_data: bytes
) -> AttestationResult:
    """Return the result for the first entry of `accepted` that `verified` satisfies in every rule.

    `host_data` is what the guest must have been launched for, 32 bytes.

    Raises:
        AppraisalRefused: no entry is satisfied; the code is that of the first rule that failed in
            the entry which failed the fewest.
        ValueError: `host_data` is not 32 bytes.
    """
    if len(host_data) != HOST_DATA_BYTES:
        raise ValueError(f"host_data has {HOST_DATA_BYTES} bytes")
    attempts = [snp_rules(verified, enclave, host_data=host_data) for enclave in accepted]
    for enclave, rules in zip(accepted, attempts, strict=True):
        if all(rule.passed for rule in rules):
            return _result(verified, enclave, rules)
    raise _refused(attempts)


def _refused(attempts: list[tuple[RuleResult, ...]]) -> AppraisalRefused:
    if not attempts:
        # spec/attestation §7.1: an empty policy accepts nothing.
        none = RuleResult(
            rule="kind", passed=False, reason="no enclave is accepted", code=Code.APPRAISAL_KIND
        )
        return AppraisalRefused((none,), none)
    closest = max(attempts, key=lambda rules: sum(rule.passed for rule in rules))
    return AppraisalRefused(closest, next(rule for rule in closest if not rule.passed))


def _result(
    verified: VerifiedEvidence, enclave: AcceptedEnclave, rules: tuple[RuleResult, ...]
) -> AttestationResult:
    return AttestationResult(
        kind=verified.kind,
        insecure=verified.insecure,
        enclave=enclave.name,
        measurement=verified.measurement,
        host_data=verified.host_data,
        platform=_platform_facts(verified),
        rules=rules,
    )


def _platform_facts(verified: VerifiedEvidence) -> PlatformFacts:
    claims = verified.claims
    report = claims.report
    unknown = report.platform_info & ~PLATFORM_KNOWN
    return PlatformFacts(
        generation=str(claims.generation),
        root=verified.root.digest,
        signer=str(claims.signer),
        csp_id=claims.csp_id,
        chip_id=verified.chip_id,
        firmware=".".join(map(str, report.current_version)),
        reported_tcb=str(claims.reported_tcb),
        committed_tcb=str(claims.committed_tcb),
        launch_tcb=str(claims.launch_tcb),
        vmpl=report.vmpl,
        policy=f"{report.policy:#x}",
        platform_info=f"{report.platform_info:#x}",
        unknown_platform_bits=tuple(bit for bit in range(64) if unknown >> bit & 1),
    )
