"""The enclaves that a contract accepts, as data (docs/spec/contract.md §3.5).

Which fields belong to which kind of evidence is `checks`'; what they mean is spec/attestation §7.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.reference import (
    DCAP_KINDS,
    SNP_KINDS,
    AcceptedEnclave,
    DcapTerms,
    DeviceTerms,
    SnpTerms,
    TpmTerms,
)
from sealtune.attestation.snp_report import Generation
from sealtune.contract.fields import (
    ChipId,
    DigestText,
    Distinct,
    Name,
    PrintableText,
    Section,
    SecurityVersion,
    Vmpl,
)
from sealtune.core.digest import Digest
from sealtune.core.limits import (
    CONTRACT_CHIPS_MAX,
    CONTRACT_MEASUREMENTS_MAX,
    DEVICES_MAX,
)

MachineKind = Literal[
    EvidenceKind.SEV_SNP,
    EvidenceKind.TDX,
    EvidenceKind.SGX,
    EvidenceKind.AZURE_SNP,
    EvidenceKind.AZURE_TDX,
    EvidenceKind.TPM_VM,
    EvidenceKind.NITRO,
]
DeviceKind = Literal[EvidenceKind.NVIDIA_GPU, EvidenceKind.NVIDIA_SWITCH]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{2,256}$")]
Values = Annotated[
    tuple[Hex, ...], Field(min_length=1, max_length=CONTRACT_MEASUREMENTS_MAX), Distinct
]
RegisterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]
Words = Annotated[tuple[Word, ...], Field(max_length=CONTRACT_MEASUREMENTS_MAX), Distinct]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$")]
Versions = Annotated[tuple[Version, ...], Field(max_length=CONTRACT_MEASUREMENTS_MAX), Distinct]
Days = Annotated[int, Field(ge=1, le=3650)]


class TcbComponent(StrEnum):
    """The parts of a processor's firmware that have a security version of their own."""

    FMC = "fmc"
    BOOTLOADER = "bl"
    TEE = "tee"
    SNP = "snp"
    MICROCODE = "ucode"


class Devices(Section):
    """How many devices of one kind the machine has, exactly, and which (§3.5.5)."""

    kind: DeviceKind
    count: Annotated[int, Field(ge=1, le=DEVICES_MAX)]
    architectures: Annotated[Words, Field(min_length=1)]
    drivers: Versions = ()
    vbios: Versions = ()
    protected_pcie: bool = False
    ocsp: bool = True

    def terms(self) -> DeviceTerms:
        """Return the terms that appraisal takes.

        Raises:
            ValueError: a value that could never match.
        """
        return DeviceTerms(
            kind=self.kind,
            count=self.count,
            architectures=frozenset(self.architectures),
            drivers=frozenset(self.drivers),
            vbios=frozenset(self.vbios),
            protected_pcie=self.protected_pcie,
            ocsp=self.ocsp,
        )


class Enclave(Section):
    """One acceptable kind of enclave."""

    name: Name
    kind: MachineKind
    measurements: Annotated[
        tuple[Hex, ...], Field(max_length=CONTRACT_MEASUREMENTS_MAX), Distinct
    ] = ()
    registers: Annotated[dict[RegisterName, Values], Field(default_factory=dict, max_length=32)]
    contract_at_launch: bool = True
    # AMD (§3.5.2)
    minimum_tcb: Annotated[
        dict[Generation, dict[TcbComponent, SecurityVersion]], Field(default_factory=dict)
    ]
    vmpl: Annotated[tuple[Vmpl, ...], Distinct] = ()
    chip_ids: Annotated[tuple[ChipId, ...], Field(max_length=CONTRACT_CHIPS_MAX), Distinct] = ()
    csp_ids: Annotated[
        tuple[PrintableText, ...], Field(max_length=CONTRACT_CHIPS_MAX), Distinct
    ] = ()
    required_policy: Annotated[tuple[Name, ...], Distinct] = ()
    required_platform: Annotated[tuple[Name, ...], Distinct] = ()
    required_mitigations: Annotated[tuple[Annotated[int, Field(ge=0, le=63)], ...], Distinct] = ()
    require_crl: bool = False
    # Intel (§3.5.3)
    tcb_statuses: Words = ()
    denied_advisories: Words = ()
    minimum_evaluation: Annotated[int, Field(ge=0, le=2**31)] = 0
    platform_ids: Annotated[tuple[Hex, ...], Field(max_length=CONTRACT_CHIPS_MAX), Distinct] = ()
    platform_flags: Words = ()
    td_attributes: Words = ()
    minimum_tee_tcb_svn: Annotated[tuple[SecurityVersion, ...], Field(max_length=16)] = ()
    endorsements_max_age_days: Days = 30
    isv_prod_id: Annotated[int, Field(ge=0, le=65535)] | None = None
    minimum_isv_svn: Annotated[int, Field(ge=0, le=65535)] = 0
    # TPM (§3.5.4)
    ak_digests: Annotated[tuple[Hex, ...], Field(max_length=CONTRACT_CHIPS_MAX), Distinct] = ()
    accept_certified_ak: bool = False
    devices: Annotated[tuple[Devices, ...], Field(max_length=2)] = ()
    insecure_accept_simulated: bool = False
    simulated_root: DigestText | None = None

    def accepted(self) -> AcceptedEnclave:
        """Return the reference values that appraisal takes.

        Raises:
            ValueError: a value that could never match or means nothing.
        """
        return AcceptedEnclave(
            name=self.name,
            kind=self.kind,
            measurements=frozenset(self.measurements),
            registers={name: frozenset(values) for name, values in self.registers.items()},
            contract_at_launch=self.contract_at_launch,
            snp=self._snp() if self.kind in SNP_KINDS else None,
            dcap=self._dcap() if self.kind in DCAP_KINDS else None,
            tpm=self._tpm() if self.kind is EvidenceKind.TPM_VM else None,
            devices=tuple(device.terms() for device in self.devices),
            insecure_accept_simulated=self.insecure_accept_simulated,
            simulated_root=None if self.simulated_root is None else Digest(self.simulated_root),
        )

    def _snp(self) -> SnpTerms:
        return SnpTerms(
            minimum_tcb={
                generation: {str(name): lowest for name, lowest in floor.items()}
                for generation, floor in self.minimum_tcb.items()
            },
            vmpl=frozenset(self.vmpl),
            # An empty list names no chip in particular; None accepts any.
            chip_ids=frozenset(self.chip_ids) or None,
            csp_ids=frozenset(self.csp_ids),
            required_policy=frozenset(self.required_policy),
            required_platform=frozenset(self.required_platform),
            minimum_mitigations=sum(1 << bit for bit in self.required_mitigations),
            require_crl=self.require_crl,
        )

    def _dcap(self) -> DcapTerms:
        return DcapTerms(
            tcb_statuses=frozenset(self.tcb_statuses),
            denied_advisories=frozenset(self.denied_advisories),
            minimum_evaluation=self.minimum_evaluation,
            platform_ids=frozenset(self.platform_ids) or None,
            platform_flags=frozenset(self.platform_flags),
            td_attributes=frozenset(self.td_attributes),
            minimum_tee_tcb_svn=self.minimum_tee_tcb_svn,
            endorsements_max_age_days=self.endorsements_max_age_days,
            isv_prod_id=self.isv_prod_id,
            minimum_isv_svn=self.minimum_isv_svn,
        )

    def _tpm(self) -> TpmTerms:
        return TpmTerms(
            ak_digests=frozenset(self.ak_digests), accept_certified=self.accept_certified_ak
        )
