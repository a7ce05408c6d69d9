"""What verification yields: the only type that appraisal accepts."""

from __future__ import annotations

from dataclasses import dataclass

from sealtune.attestation.anchors import Root
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.snp_report import Generation, Signer, SnpReport, Tcb


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpClaims:
    """An authentic SNP report with what its endorsement adds; TCB versions by component."""

    report: SnpReport
    generation: Generation
    signer: Signer
    csp_id: str
    reported_tcb: Tcb
    committed_tcb: Tcb
    current_tcb: Tcb
    launch_tcb: Tcb


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEvidence:
    """Evidence whose signature chain, endorsement and report_data hold; not yet accepted.

    Made by `verify_evidence` alone.
    """

    kind: EvidenceKind
    root: Root
    claims: SnpClaims

    @property
    def insecure(self) -> bool:
        """Whether this hangs on a mock root, so that it proves nothing."""
        return self.root.insecure

    @property
    def measurement(self) -> str:
        """The launch measurement, 96 hexadecimal digits."""
        return self.claims.report.measurement.hex()

    @property
    def host_data(self) -> bytes:
        """The 32 bytes that the launcher fixed at launch."""
        return self.claims.report.host_data

    @property
    def chip_id(self) -> str:
        """The chip's identity, 128 hexadecimal digits; zeros where the firmware masks it."""
        return self.claims.report.chip_id.hex()
