"""Reference values: the enclaves that the parties accept (spec/attestation §7.1).

Plain data; a contract's `[[enclaves]]` become these. What every kind of evidence has stands in
AcceptedEnclave, what one family of hardware has in its terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sealtune.attestation.evidence import DEVICE_KINDS, EvidenceKind
from sealtune.attestation.snp_report import Generation
from sealtune.core.digest import Digest

_HEX = re.compile(r"[0-9a-f]{2,256}")
_REGISTER = re.compile(r"[a-z][a-z0-9_]{1,31}")
# PCRs 16 to 23 can be reset and extended anew by whoever runs in the machine.
_RESETTABLE = re.compile(r"pcr(?:1[6-9]|2[0-3])(?:_[a-z0-9]+)?")
_CHIP_ID = re.compile(r"[0-9a-f]{128}")
_AK_DIGEST = re.compile(r"[0-9a-f]{64}")
_ADVISORY = re.compile(r"[A-Z0-9][A-Z0-9-]{1,63}")
_VMPLS = frozenset(range(4))

# Names of bits: (bit, the value that satisfies the requirement). spec/attestation §5.6, §5.7.
POLICY_REQUIREMENTS: Mapping[str, tuple[int, int]] = {
    "smt-disallowed": (16, 0),
    "single-socket": (20, 1),
    "cxl-disallowed": (21, 0),
    "aes-256-xts": (22, 1),
    "rapl-disabled": (23, 1),
    "ciphertext-hiding-dram": (24, 1),
    "page-swap-disabled": (25, 1),
}
PLATFORM_REQUIREMENTS: Mapping[str, tuple[int, int]] = {
    "smt-disabled": (0, 0),
    "tsme": (1, 1),
    "ecc": (2, 1),
    "rapl-disabled": (3, 1),
    "ciphertext-hiding-dram": (4, 1),
    "alias-check-complete": (5, 1),
    "iommu-write-safe": (6, 1),
    "sev-tio-disabled": (7, 0),
}
# Intel's words for a platform, TCB info v3; what an entry does not list, it does not accept. A
# revoked TCB is refused when the quote is verified, so no entry can list it.
TCB_STATUSES = frozenset(
    {
        "UpToDate",
        "SWHardeningNeeded",
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
        "OutOfDate",
        "OutOfDateConfigurationNeeded",
        "TDRelaunchAdvised",
        "TDRelaunchAdvisedConfigurationNeeded",
    }
)
PLATFORM_FLAGS = frozenset({"dynamic-platform", "cached-keys", "smt"})
TD_ATTRIBUTES = frozenset({"pks", "kl", "perfmon"})
GPU_ARCHITECTURES = frozenset({"hopper", "blackwell", "ls10"})

# Hexadecimal digits of the measurement by kind: SHA-384, but for SGX; a TPM has registers alone.
MEASUREMENT_DIGITS: Mapping[EvidenceKind, int] = {
    EvidenceKind.SEV_SNP: 96,
    EvidenceKind.TDX: 96,
    EvidenceKind.SGX: 64,
    EvidenceKind.AZURE_SNP: 96,
    EvidenceKind.AZURE_TDX: 96,
    EvidenceKind.NITRO: 96,
    EvidenceKind.TPM_VM: 0,
}
# What was measured of the boot above the firmware. The launch measurement of these kinds is the
# firmware's (Azure: the paravisor's, the same for every tenant), so without these any kernel that
# the operator likes would pass under it.
BOOT_REGISTERS: Mapping[EvidenceKind, tuple[str, ...]] = {
    EvidenceKind.TDX: ("rtmr1", "rtmr2"),
    EvidenceKind.AZURE_SNP: ("pcr4", "pcr9"),
    EvidenceKind.AZURE_TDX: ("pcr4", "pcr9"),
    EvidenceKind.TPM_VM: ("pcr4", "pcr9"),
}
SNP_KINDS = frozenset({EvidenceKind.SEV_SNP, EvidenceKind.AZURE_SNP})
DCAP_KINDS = frozenset({EvidenceKind.TDX, EvidenceKind.SGX, EvidenceKind.AZURE_TDX})
TPM_KINDS = frozenset({EvidenceKind.TPM_VM})
# Kinds whose evidence has a field that the launcher fixes and that can carry the contract.
LAUNCH_BOUND_KINDS = frozenset({EvidenceKind.SEV_SNP, EvidenceKind.TDX, EvidenceKind.SGX})


def missing_boot_registers(kind: EvidenceKind, registers: Iterable[str]) -> tuple[str, ...]:
    """Return the boot registers of `kind` that `registers` names in no bank."""
    asked = {name.partition("_")[0] for name in registers}
    return tuple(name for name in BOOT_REGISTERS.get(kind, ()) if name not in asked)


def tcb_components(generation: Generation) -> tuple[str, ...]:
    """Return the names of the TCB components that a floor for `generation` must give."""
    base = ("bl", "tee", "snp", "ucode")
    return ("fmc", *base) if generation is Generation.TURIN else base


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpTerms:
    """What is accepted of AMD's hardware.

    `minimum_tcb` gives a floor by component for each accepted generation. A VCEK is accepted from
    any chip when `chip_ids` is None; a VLEK from the providers in `csp_ids` only.
    `minimum_mitigations` is a mask of CURRENT_MIT_VECTOR bits that must be set.

    Raises:
        ValueError: a value that could never match or means nothing.
    """

    minimum_tcb: Mapping[Generation, Mapping[str, int]]
    vmpl: frozenset[int]
    chip_ids: frozenset[str] | None
    csp_ids: frozenset[str]
    required_policy: frozenset[str]
    required_platform: frozenset[str]
    minimum_mitigations: int
    require_crl: bool

    def __post_init__(self) -> None:
        _require(
            self.chip_ids is None or all(_CHIP_ID.fullmatch(chip) for chip in self.chip_ids),
            "a chip id is 128 lower-case hexadecimal digits",
        )
        _require(self.vmpl <= _VMPLS, "a VMPL is 0, 1, 2 or 3")
        unknown = (self.required_policy - POLICY_REQUIREMENTS.keys()) | (
            self.required_platform - PLATFORM_REQUIREMENTS.keys()
        )
        _require(not unknown, f"unknown requirements: {', '.join(sorted(unknown))}")
        _require(0 <= self.minimum_mitigations < 2**64, "mitigations are 64 bits")
        for generation, floor in self.minimum_tcb.items():
            _require_floor(generation, floor)


@dataclass(frozen=True, slots=True, kw_only=True)
class DcapTerms:
    """What is accepted of Intel's hardware, TDX and SGX.

    `platform_ids` are PPIDs (None: any). `platform_flags` and `td_attributes` list what is accepted
    beyond the strictest. `minimum_tee_tcb_svn` is compared by component; empty asks for nothing.
    `isv_prod_id` (None: any) and `minimum_isv_svn` are SGX's.

    Raises:
        ValueError: a value that could never match or means nothing.
    """

    tcb_statuses: frozenset[str]
    denied_advisories: frozenset[str]
    minimum_evaluation: int
    platform_ids: frozenset[str] | None
    platform_flags: frozenset[str]
    td_attributes: frozenset[str]
    minimum_tee_tcb_svn: tuple[int, ...]
    endorsements_max_age_days: int
    isv_prod_id: int | None
    minimum_isv_svn: int

    def __post_init__(self) -> None:
        unknown = (self.tcb_statuses - TCB_STATUSES) | (self.platform_flags - PLATFORM_FLAGS)
        unknown |= self.td_attributes - TD_ATTRIBUTES
        _require(not unknown, f"unknown words: {', '.join(sorted(unknown))}")
        _require(
            all(_ADVISORY.fullmatch(name) for name in self.denied_advisories),
            "an advisory is named as Intel does: INTEL-SA-00837",
        )
        _require(
            self.platform_ids is None or all(_HEX.fullmatch(value) for value in self.platform_ids),
            "a platform id is lower-case hexadecimal",
        )
        _require(self.endorsements_max_age_days >= 1, "an age is at least a day")
        _require(
            self.minimum_evaluation >= 0 and self.minimum_isv_svn >= 0, "a minimum is not negative"
        )
        _require(
            len(self.minimum_tee_tcb_svn) <= 16
            and all(0 <= value <= 255 for value in self.minimum_tee_tcb_svn),
            "TEE_TCB_SVN has 16 components of 0 to 255",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmTerms:
    """What is accepted of a TPM: attestation keys by SHA-256 of their SubjectPublicKeyInfo.

    With `accept_certified`, any key that has a certificate chain to an anchored root as well.

    Raises:
        ValueError: nothing could ever be accepted, or a digest is none.
    """

    ak_digests: frozenset[str]
    accept_certified: bool

    def __post_init__(self) -> None:
        _require(
            all(_AK_DIGEST.fullmatch(digest) for digest in self.ak_digests),
            "the digest of an attestation key is 64 lower-case hexadecimal digits",
        )
        _require(
            self.accept_certified or bool(self.ak_digests), "terms that accept no attestation key"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTerms:
    """How many devices of one kind a machine has, exactly, and which.

    Empty `drivers` and `vbios` accept any version whose reference measurements (RIM) verify.

    Raises:
        ValueError: a value that could never match or means nothing.
    """

    kind: EvidenceKind
    count: int
    architectures: frozenset[str]
    drivers: frozenset[str]
    vbios: frozenset[str]
    protected_pcie: bool
    ocsp: bool

    def __post_init__(self) -> None:
        _require(self.kind in DEVICE_KINDS, "terms for something that is no device")
        _require(self.count >= 1, "a count is at least one")
        unknown = self.architectures - GPU_ARCHITECTURES
        _require(
            bool(self.architectures) and not unknown,
            f"architectures are of {', '.join(sorted(GPU_ARCHITECTURES))}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedEnclave:
    """One enclave that is accepted; what is not listed is not.

    Empty `measurements` accept nothing; None accepts any, which only a look at evidence may do
    (`policy`): a contract cannot say it. Each named register must have one of its values. With
    `contract_at_launch`, the launcher must have fixed the contract's digest in the evidence's field
    for host data. With `insecure_accept_simulated`, exactly evidence under the mock root
    `simulated_root` is accepted and no other.

    Raises:
        ValueError: a value that could never match or means nothing.
    """

    name: str
    kind: EvidenceKind
    measurements: frozenset[str] | None
    registers: Mapping[str, frozenset[str]]
    contract_at_launch: bool
    snp: SnpTerms | None
    dcap: DcapTerms | None
    tpm: TpmTerms | None
    devices: tuple[DeviceTerms, ...]
    insecure_accept_simulated: bool
    simulated_root: Digest | None

    def __post_init__(self) -> None:
        _require(self.kind in MEASUREMENT_DIGITS, "a device is accepted with its machine only")
        self._require_measurements()
        self._require_terms()
        _require(
            not self.contract_at_launch or self.kind in LAUNCH_BOUND_KINDS,
            f"{self.kind} evidence has no field that a launcher fixes: contract_at_launch = false",
        )
        kinds = [terms.kind for terms in self.devices]
        _require(len(set(kinds)) == len(kinds), "devices of one kind have one entry")
        _require(
            self.insecure_accept_simulated == (self.simulated_root is not None),
            "insecure_accept_simulated and simulated_root go together",
        )

    def _require_measurements(self) -> None:
        digits = MEASUREMENT_DIGITS[self.kind]
        for value in self.measurements or ():
            _require(
                len(value) == digits and bool(_HEX.fullmatch(value)),
                f"a measurement of {self.kind} is {digits} lower-case hexadecimal digits",
            )
        for name, values in self.registers.items():
            _require(bool(_REGISTER.fullmatch(name)), f"no register is called {name!r}")
            _require(
                not _RESETTABLE.fullmatch(name),
                f"register {name} can be set by whoever runs in the machine: it proves nothing",
            )
            _require(
                bool(values) and all(_HEX.fullmatch(value) for value in values),
                f"register {name} needs values in lower-case hexadecimal",
            )

    def _require_terms(self) -> None:
        wanted = {
            "AMD": (self.kind in SNP_KINDS, self.snp),
            "Intel": (self.kind in DCAP_KINDS, self.dcap),
            "TPM": (self.kind is EvidenceKind.TPM_VM, self.tpm),
        }
        for family, (applies, terms) in wanted.items():
            _require(
                applies == (terms is not None),
                f"{self.kind} evidence {'needs' if applies else 'has no'} terms for {family}",
            )


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise ValueError(reason)


def _require_floor(generation: Generation, floor: Mapping[str, int]) -> None:
    names = tcb_components(generation)
    _require(
        floor.keys() == set(names), f"a floor for {generation} gives each of {', '.join(names)}"
    )
    _require(all(0 <= value <= 255 for value in floor.values()), "a TCB component is 0 to 255")
