"""Appraisal: is this genuine enclave one that the parties accept? (spec/attestation §7)

Pure: verified evidence and reference values in, a result with every rule's reason out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sealtune.attestation.anchors import Product, RootUse, TrustAnchors, vendor_anchors
from sealtune.attestation.azure_claims import AzureClaims
from sealtune.attestation.azure_rules import azure_rules
from sealtune.attestation.dcap_claims import DcapClaims
from sealtune.attestation.dcap_rules import dcap_rules
from sealtune.attestation.device_rules import device_rules
from sealtune.attestation.evidence import DEVICE_KINDS, EvidenceKind
from sealtune.attestation.general_rules import first_rules, last_rules
from sealtune.attestation.nitro_document import NitroDocument
from sealtune.attestation.reference import (
    DCAP_KINDS,
    SNP_KINDS,
    AcceptedEnclave,
)
from sealtune.attestation.result import AttestationResult, RuleResult
from sealtune.attestation.snp_rules import snp_rules
from sealtune.attestation.tpm_claims import TpmClaims
from sealtune.attestation.tpm_rules import tpm_rules
from sealtune.attestation.verified import SnpClaims, VerifiedEvidence
from sealtune.errors import AppraisalError, Code

__all__ = ["AcceptedEnclave", "AppraisalRefused", "anchors_for", "appraise"]

HOST_DATA_BYTES = 32


class AppraisalRefused(AppraisalError):
    """No accepted enclave matches; `rules` are those of the entry that came closest."""

    def __init__(self, rules: tuple[RuleResult, ...], failed: RuleResult) -> None:
        super().__init__(failed.code or Code.INTERNAL, f"{failed.rule}: {failed.reason}")
        self.rules = rules


def anchors_for(accepted: Iterable[AcceptedEnclave]) -> TrustAnchors:
    """Return the vendors' roots, and the mock roots of entries that accept simulated evidence."""
    anchors = vendor_anchors()
    for enclave in accepted:
        # Reference values have a mock root only together with `insecure_accept_simulated`.
        root = enclave.simulated_root
        if root is not None and root not in anchors.roots:
            use, product = simulated_root_use(enclave.kind)
            anchors = anchors.with_insecure_root(root, use=use, product=product)
    return anchors


def simulated_root_use(kind: EvidenceKind) -> tuple[RootUse, Product | None]:
    """Return what the mock root of simulated evidence of `kind` stands for."""
    if kind in SNP_KINDS:
        return RootUse.AMD_ARK, Product.GENOA
    if kind in DCAP_KINDS:
        return RootUse.INTEL_SGX, None
    if kind in DEVICE_KINDS:
        return RootUse.NVIDIA_DEVICE, None
    return (RootUse.AWS_NITRO if kind is EvidenceKind.NITRO else RootUse.TPM), None


def appraise(
    verified: VerifiedEvidence, *, accepted: Sequence[AcceptedEnclave], host_data: bytes | None
) -> AttestationResult:
    """Return the result for the first entry of `accepted` that `verified` satisfies in every rule.

    `host_data` is what the guest must have been launched for, 32 bytes. None, where nobody says,
    satisfies no entry that asks.

    Raises:
        AppraisalRefused: no entry is satisfied; the code is that of the first rule that failed in
            the entry which failed the fewest.
        ValueError: `host_data` is not 32 bytes.
    """
    if host_data is not None and len(host_data) != HOST_DATA_BYTES:
        raise ValueError(f"host_data has {HOST_DATA_BYTES} bytes")
    attempts = [_rules(verified, enclave, host_data) for enclave in accepted]
    for enclave, rules in zip(accepted, attempts, strict=True):
        if all(rule.passed for rule in rules):
            return _result(verified, enclave, rules)
    raise _refused(attempts)


def _rules(
    verified: VerifiedEvidence, enclave: AcceptedEnclave, host_data: bytes | None
) -> tuple[RuleResult, ...]:
    first = first_rules(verified, enclave)
    if verified.kind is not enclave.kind:
        # The entry's terms are for other hardware: nothing more can be asked.
        return first
    return (
        *first,
        *_hardware_rules(verified.detail, enclave),
        *last_rules(verified, enclave, host_data=host_data),
        *device_rules(verified.devices, enclave.devices),
    )


def _hardware_rules(detail: object, enclave: AcceptedEnclave) -> tuple[RuleResult, ...]:
    # Reference values have terms for exactly the hardware of their kind.
    if isinstance(detail, SnpClaims) and enclave.snp is not None:
        return snp_rules(detail, enclave.snp)
    if isinstance(detail, DcapClaims) and enclave.dcap is not None:
        return dcap_rules(detail, enclave.dcap)
    if isinstance(detail, AzureClaims):
        return (*_hardware_rules(detail.hardware, enclave), *azure_rules(detail.vtpm, enclave))
    if isinstance(detail, TpmClaims) and enclave.tpm is not None:
        return tpm_rules(detail, enclave.tpm)
    if isinstance(detail, NitroDocument):
        return ()  # what there is to ask, debug and measurements, is asked of every kind
    raise AssertionError(f"no rules for {enclave.kind}")


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
        root=verified.root.digest,
        claims=verified.claims,
        devices=tuple(device.claims for device in verified.devices),
        rules=rules,
    )
