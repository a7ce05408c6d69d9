"""The door to verification: one function for every kind of evidence (spec/attestation §1)."""

from __future__ import annotations

import dataclasses
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.binding import REPORT_DATA_BYTES, device_challenge, tpm_challenge
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import DEVICE_KINDS, Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence, VerifiedEvidence
from sealtune.attestation.verifiers.azure import verify_azure_snp, verify_azure_tdx
from sealtune.attestation.verifiers.dcap import verify_sgx, verify_tdx
from sealtune.attestation.verifiers.nitro import verify_nitro
from sealtune.attestation.verifiers.nvidia import verify_nvidia
from sealtune.attestation.verifiers.snp import verify_snp
from sealtune.attestation.verifiers.tpm import verify_tpm
from sealtune.errors import Code, FormatError, FreshnessError, VerificationError


class _Verifier(Protocol):
    def __call__(
        self,
        evidence: Evidence,
        *,
        anchors: TrustAnchors,
        endorsements: Endorsements,
        now: datetime,
        steps: Steps,
    ) -> AuthenticEvidence: ...


_VERIFIERS: dict[EvidenceKind, _Verifier] = {
    EvidenceKind.SEV_SNP: verify_snp,
    EvidenceKind.TDX: verify_tdx,
    EvidenceKind.SGX: verify_sgx,
    EvidenceKind.AZURE_SNP: verify_azure_snp,
    EvidenceKind.AZURE_TDX: verify_azure_tdx,
    EvidenceKind.TPM_VM: verify_tpm,
    EvidenceKind.NITRO: verify_nitro,
    EvidenceKind.NVIDIA_GPU: verify_nvidia,
    EvidenceKind.NVIDIA_SWITCH: verify_nvidia,
}
_REQUEST_NONCE = slice(4, 36)  # spec/attestation §16.1
_QUOTED_BY_TPM = frozenset({EvidenceKind.AZURE_SNP, EvidenceKind.AZURE_TDX, EvidenceKind.TPM_VM})


def authenticate_evidence(
    evidence: Evidence,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    """Verify that `evidence`, and that of each of its devices, is authentic at `now`.

    Says nothing about freshness: whatever is released must go through `verify_evidence`. Does no
    I/O; `steps` notes what has passed.

    Raises:
        FormatError: malformed, or of a kind that nobody here verifies.
        VerificationError: a signature, chain, binding or validity does not hold, or an endorsement
            is missing or stale.
        AppraisalError: the hardware itself says that this is no protected guest.
        ValueError: `now` has no time zone.
    """
    verify = _Authenticator(anchors=anchors, endorsements=endorsements, now=now, steps=steps)
    return verify.with_devices(verify.machine(evidence), evidence.devices)


def verify_evidence(
    evidence: Evidence,
    *,
    report_data: bytes,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> VerifiedEvidence:
    """Verify that `evidence` is authentic at `now` and binds all 64 bytes of `report_data`.

    Devices must answer the challenge that follows from `report_data` (spec/attestation §3.5).

    Raises:
        FormatError, VerificationError, AppraisalError: as `authenticate_evidence`.
        FreshnessError: it, or one of its devices, binds something else than `report_data`.
        ValueError: `report_data` is not 64 bytes, or `now` has no time zone.
    """
    if len(report_data) != REPORT_DATA_BYTES:
        raise ValueError(f"report_data has {REPORT_DATA_BYTES} bytes")
    verify = _Authenticator(anchors=anchors, endorsements=endorsements, now=now, steps=steps)
    machine = verify.machine(evidence)
    # Before its devices: evidence that anybody could have copied from somewhere must not buy the
    # verification of thirty devices.
    _require_fresh(machine, report_data)
    for device in evidence.devices:
        _require_asked(device, report_data)
    authentic = verify.with_devices(machine, evidence.devices)
    # spec/attestation §5.5: last, so that this failure means "genuine, but not the answer to us".
    return require_fresh(authentic, report_data=report_data, steps=steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authenticator:
    """What each piece of one message's evidence is verified with."""

    anchors: TrustAnchors
    endorsements: Endorsements
    now: datetime
    steps: Steps

    def machine(self, evidence: Evidence) -> AuthenticEvidence:
        """Verify `evidence` without its devices."""
        if self.now.tzinfo is None:
            raise ValueError("a time without zone is ambiguous")
        verifier = _VERIFIERS.get(evidence.kind)
        if verifier is None:
            raise FormatError(Code.EVIDENCE_KIND, "evidence of a kind that nobody here verifies")
        return verifier(
            evidence,
            anchors=self.anchors,
            endorsements=self.endorsements,
            now=self.now,
            steps=self.steps,
        )

    def with_devices(
        self, machine: AuthenticEvidence, devices: tuple[Evidence, ...]
    ) -> AuthenticEvidence:
        """Return `machine` with each of its `devices`, verified."""
        if not devices:
            return machine
        if len({device.certificates[:1] for device in devices}) < len(devices):
            # By the leaf, before any is verified; by the device's own key once they are.
            raise VerificationError(
                Code.DEVICE_DUPLICATE, "two devices with one certificate: one stands for several"
            )
        return dataclasses.replace(machine, devices=tuple(map(self.machine, devices)))


def require_fresh(
    authentic: AuthenticEvidence, *, report_data: bytes, steps: Steps
) -> VerifiedEvidence:
    """Verify that `authentic` evidence, and each of its devices, binds `report_data`.

    Raises:
        FreshnessError: one binds something else.
        ValueError: `report_data` is not 64 bytes.
    """
    if len(report_data) != REPORT_DATA_BYTES:
        raise ValueError(f"report_data has {REPORT_DATA_BYTES} bytes")
    for one in (authentic, *authentic.devices):
        _require_fresh(one, report_data)
    steps.passed("freshness", "binds this challenge, key and contract")
    return VerifiedEvidence(authentic=authentic)


def without_challenge(authentic: AuthenticEvidence, *, steps: Steps) -> VerifiedEvidence:
    """Take `authentic` for an answer where nobody asked, so that a look at it can be appraised.

    It may be old or another machine's: for `examine` alone. Nothing may be released on it.
    """
    steps.skipped("freshness", "not compared, no challenge was given: it may be old")
    return VerifiedEvidence(authentic=authentic)


def expected_freshness(kind: EvidenceKind, report_data: bytes) -> bytes:
    """Return what evidence of `kind` must bind to answer `report_data` (spec/attestation §3)."""
    if kind in DEVICE_KINDS:
        return device_challenge(report_data)
    return tpm_challenge(report_data) if kind in _QUOTED_BY_TPM else report_data


def _require_asked(device: Evidence, report_data: bytes) -> None:
    # Read from where the device signs it, and compared again once that signature holds.
    if not hmac.compare_digest(device.report[_REQUEST_NONCE], device_challenge(report_data)):
        raise FreshnessError(
            Code.FRESHNESS, f"{device.kind}: does not bind this challenge, key and contract"
        )


def _require_fresh(authentic: AuthenticEvidence, report_data: bytes) -> None:
    expected = expected_freshness(authentic.kind, report_data)
    if not hmac.compare_digest(authentic.freshness, expected):
        raise FreshnessError(
            Code.FRESHNESS,
            f"{authentic.kind}: does not bind this challenge, key and contract",
        )
