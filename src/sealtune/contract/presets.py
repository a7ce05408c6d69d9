"""Policies to begin with, and why each of their rules is there (spec/attestation §7.4).

`strict` asks for everything that the hardware can give; `cloud` for what rented machines give.
Neither names a measurement: that is what a contract is for. Floors are the ones that vendors'
bulletins and published floors of others name (docs/threat-model.md has the attacks); raise them as
bulletins appear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.snp_report import Generation
from sealtune.contract.enclave import Enclave, TcbComponent
from sealtune.contract.policy import Policy, parse_policy
from sealtune.core.files import read_bounded
from sealtune.core.limits import POLICY_BYTES_MAX
from sealtune.errors import Code, ConfigError


@dataclass(frozen=True, slots=True)
class Note:
    """Why a rule is there, and the attack or mistake that it answers."""

    reason: str
    answers: str


NOTES: Final[Mapping[str, Note]] = {
    "debug": Note(
        "a debugger reads the memory; no policy can allow it",
        "a debug guest has the same measurement as the real one",
    ),
    "measurements": Note(
        "the code that was launched, and no other; none listed accepts none",
        "another image that copies the plaintext out",
    ),
    "registers": Note(
        "what was measured after launch: boot loader, kernel, command line",
        "the agreed firmware with another system above it",
    ),
    "contract_at_launch": Note(
        "the launcher fixed the contract's digest in the hardware's own field",
        "an enclave of one job asked to fetch the keys of another",
    ),
    "minimum_tcb": Note(
        "each component of reported, committed and launch TCB at least this",
        "EntrySign (AMD-SB-3019), CacheWarp, RMPocalypse, StackWarp: fixed by firmware, undone by "
        "rolling it back",
    ),
    "generations": Note(
        "which processors, by the floors that are given",
        "Milan: the seed of its keys can be taken from a chip (BadFuse), at any TCB",
    ),
    "vmpl": Note(
        "the report was asked for by the most privileged software of the guest",
        "less privileged code inside the guest that speaks for all of it",
    ),
    "chip_ids": Note(
        "enrolled chips only; none listed accepts any",
        "a key taken from some other chip (BadFuse, TEE.fail); evidence relayed from elsewhere",
    ),
    "csp_ids": Note(
        "providers whose lent key (VLEK) counts; none listed accepts none",
        "a provider that nobody agreed on",
    ),
    "required_policy": Note(
        "what the guest's own policy forbids the host",
        "Heracles (page swaps), ciphertext side channels, power analysis, SMT neighbours, CXL",
    ),
    "required_platform": Note(
        "what the platform says about itself",
        "BadRAM (alias check), ciphertext side channels, PLATYPUS (RAPL), faults without ECC",
    ),
    "required_mitigations": Note(
        "mitigation bits that must be in effect (reports of version 5)",
        "a fix that the firmware has and that is switched off",
    ),
    "require_crl": Note(
        "AMD's revocation list was looked at and is current",
        "an intermediate key that AMD withdrew",
    ),
    "tcb_statuses": Note(
        "Intel's verdict on this platform",
        "known attacks on microcode, TDX module or quoting enclave that are out of date",
    ),
    "denied_advisories": Note(
        "named weaknesses that are not accepted, whatever the status",
        "an advisory that matters to this job though Intel calls the platform usable",
    ),
    "minimum_evaluation": Note(
        "the verdict is of at least this evaluation",
        "an old verdict, from before an attack was known",
    ),
    "endorsements_max_age_days": Note(
        "Intel's documents are at most this old",
        "a verdict from before the last bulletin, replayed while it is still valid",
    ),
    "platform_ids": Note(
        "enrolled platforms (PPID) only; none listed accepts any",
        "TEE.fail and WireTap: attestation keys taken from some other machine",
    ),
    "platform_flags": Note(
        "what is accepted beyond the strictest: smt, cached-keys, dynamic-platform",
        "neighbours on the same core; keys kept outside the processor; sockets added later",
    ),
    "td_attributes": Note(
        "what is accepted beside SEPT_VE_DISABLE: pks, kl, perfmon",
        "performance counters of the TD as a side channel",
    ),
    "minimum_tee_tcb_svn": Note(
        "security version of the TDX module, by component",
        "the vulnerabilities of TDX module 1.5 that Intel and Google found",
    ),
    "isv_prod_id": Note("which product of this signer", "another enclave of the same signer"),
    "minimum_isv_svn": Note(
        "security version of the enclave", "an old, broken version with the same signer"
    ),
    "ak_digests": Note(
        "attestation keys that somebody looked at", "a key that is in no TPM at all"
    ),
    "accept_certified_ak": Note(
        "attestation keys that a vendor vouches for", "a key that is in no TPM at all"
    ),
    "devices": Note(
        "exactly these devices, each genuine, distinct, asked with this challenge, measured",
        "a GPU left out, named twice, or lent from another machine",
    ),
}

_AMD_FLOORS = {
    Generation.GENOA: {"bl": 0, "tee": 0, "snp": 0x17, "ucode": 0x54},
    Generation.SIENA_BERGAMO: {"bl": 0, "tee": 0, "snp": 0x17, "ucode": 0x19},
    # AMD gives no numbers for Turin; these are the lowest that real evidence of 2026 had.
    Generation.TURIN: {"fmc": 1, "bl": 1, "tee": 1, "snp": 4, "ucode": 0x51},
}
_MILAN_FLOOR = {"bl": 0, "tee": 0, "snp": 0x18, "ucode": 0xDB}
_MILAN = {Generation.MILAN: _MILAN_FLOOR}
_STRICT_SNP: Final[dict[str, Any]] = {
    "minimum_tcb": _AMD_FLOORS,
    "vmpl": (0,),
    "required_policy": (
        "aes-256-xts",
        "ciphertext-hiding-dram",
        "cxl-disallowed",
        "page-swap-disabled",
        "rapl-disabled",
        "smt-disallowed",
    ),
    "required_platform": (
        "alias-check-complete",
        "ciphertext-hiding-dram",
        "ecc",
        "rapl-disabled",
        "smt-disabled",
    ),
    "require_crl": True,
}
_CLOUD_SNP: Final[dict[str, Any]] = {
    "minimum_tcb": {**_AMD_FLOORS, **_MILAN},
    "vmpl": (0,),
    "required_policy": ("cxl-disallowed",),
    "required_platform": ("alias-check-complete", "ecc"),
}
_STRICT_INTEL: Final[dict[str, Any]] = {
    "tcb_statuses": ("UpToDate",),
    "minimum_evaluation": 18,
    "endorsements_max_age_days": 30,
}
_CLOUD_INTEL: Final[dict[str, Any]] = {
    "tcb_statuses": ("UpToDate",),
    "minimum_evaluation": 17,
    "endorsements_max_age_days": 30,
    "platform_flags": ("cached-keys", "dynamic-platform", "smt"),
}
_UNBOUND: Final[dict[str, Any]] = {"contract_at_launch": False}


def _entry(kind: EvidenceKind, **terms: Any) -> Enclave:
    floors = terms.pop("minimum_tcb", {})
    named = {
        generation: {TcbComponent(name): lowest for name, lowest in floor.items()}
        for generation, floor in floors.items()
    }
    return Enclave(name=str(kind), kind=kind, minimum_tcb=named, **terms)  # type: ignore[arg-type]


_PRESETS: Final = {
    "strict": (
        _entry(EvidenceKind.SEV_SNP, **_STRICT_SNP),
        _entry(EvidenceKind.TDX, **_STRICT_INTEL),
        _entry(EvidenceKind.SGX, **_STRICT_INTEL),
    ),
    "cloud": (
        _entry(EvidenceKind.SEV_SNP, **_CLOUD_SNP, **_UNBOUND),
        _entry(EvidenceKind.TDX, **_CLOUD_INTEL, **_UNBOUND),
        _entry(
            EvidenceKind.SGX,
            **{**_CLOUD_INTEL, "tcb_statuses": ("SWHardeningNeeded", "UpToDate")},
            **_UNBOUND,
        ),
        _entry(EvidenceKind.AZURE_SNP, **_CLOUD_SNP, **_UNBOUND),
        _entry(EvidenceKind.AZURE_TDX, **_CLOUD_INTEL, **_UNBOUND),
        _entry(EvidenceKind.NITRO, **_UNBOUND),
    ),
}
PRESETS: Final = tuple(_PRESETS)


def find_policy(name: str) -> Policy:
    """Return the preset `name`, or the policy in the file at that path.

    Raises:
        ConfigError: there is neither.
        FormatError: the file is no policy.
        StorageError: the file cannot be read.
    """
    path = Path(name)
    if name in _PRESETS or not path.exists():
        return preset(name)
    return parse_policy(read_bounded(path, limit=POLICY_BYTES_MAX, what="policy"), what=name)


def preset(name: str) -> Policy:
    """Return the preset policy `name`.

    Raises:
        ConfigError: there is none.
    """
    entries = _PRESETS.get(name)
    if entries is None:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"no policy is called {name!r}",
            remedy=f"there are {', '.join(PRESETS)}; or give a file with [[enclaves]]",
        )
    return Policy(name=name, enclaves=entries, any_measurement=True)
