"""What verification yields, in one vocabulary for every kind of evidence (spec/attestation §7.1).

`AuthenticEvidence` is what a verifier makes: signatures, chains and endorsements hold. It may be
old. `VerifiedEvidence` answers this very challenge too, and is the only type that appraisal takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealtune.attestation.anchors import Root
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.snp_report import Generation, Signer, SnpReport, Tcb
from sealtune.core.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What authentic evidence says, in the words that all kinds share.

    `measurement` is what was launched, in hexadecimal; `registers` are the other measurements by
    name (`rtmr0`, `pcr4`, `mrsigner`). `host_data` is None where a TEE has no field that the
    launcher fixes. `memory_protected` is False where the operator can read the memory. `fields`
    holds every decoded field of the evidence as JSON values.
    """

    vendor: str
    platform: str
    generation: str
    signer: str
    tcb: Mapping[str, Any]
    debug: bool
    memory_protected: bool
    measurement: str
    registers: Mapping[str, str]
    host_data: bytes | None
    identity: Mapping[str, str]
    fields: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the claims as a JSON object, without `fields`."""
        return {
            "vendor": self.vendor,
            "platform": self.platform,
            "generation": self.generation,
            "signer": self.signer,
            "tcb": dict(self.tcb),
            "debug": self.debug,
            "memory_protected": self.memory_protected,
            "measurement": self.measurement,
            "registers": dict(self.registers),
            "host_data": None if self.host_data is None else self.host_data.hex(),
            "identity": dict(self.identity),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpClaims:
    """An authentic SNP report with what its endorsement adds; TCB versions by component.

    `crls` are the digests of the revocation lists that were consulted.
    """

    report: SnpReport
    generation: Generation
    signer: Signer
    csp_id: str
    reported_tcb: Tcb
    committed_tcb: Tcb
    current_tcb: Tcb
    launch_tcb: Tcb
    crls: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticEvidence:
    """Evidence whose signatures, chains and endorsements hold; fresh or replayed, nobody asked.

    Made by the verifiers alone. `detail` is the typed form of one kind (`SnpClaims`, ...), which
    its rules read. `freshness` is what the evidence binds, as it stands there.
    """

    kind: EvidenceKind
    root: Root
    claims: Claims
    detail: object
    freshness: bytes
    devices: tuple[AuthenticEvidence, ...]

    @property
    def insecure(self) -> bool:
        """Whether any of it hangs on a mock root, so that it proves nothing."""
        return self.root.insecure or any(device.insecure for device in self.devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEvidence:
    """Authentic evidence that answers the verifier's challenge, key and contract; not yet accepted.

    Made by `verify` alone.
    """

    authentic: AuthenticEvidence

    @property
    def kind(self) -> EvidenceKind:
        """The format of the evidence."""
        return self.authentic.kind

    @property
    def root(self) -> Root:
        """The root that it hangs on."""
        return self.authentic.root

    @property
    def claims(self) -> Claims:
        """What it says."""
        return self.authentic.claims

    @property
    def detail(self) -> object:
        """What it says in the terms of its kind."""
        return self.authentic.detail

    @property
    def devices(self) -> tuple[AuthenticEvidence, ...]:
        """The devices of the machine, each of which answered a challenge derived from its own."""
        return self.authentic.devices

    @property
    def insecure(self) -> bool:
        """Whether any of it hangs on a mock root, so that it proves nothing."""
        return self.authentic.insecure

    @property
    def measurement(self) -> str:
        """What was launched, in hexadecimal."""
        return self.claims.measurement

    @property
    def host_data(self) -> bytes | None:
        """What the launcher fixed at launch; None where this TEE has no such field."""
        return self.claims.host_data
