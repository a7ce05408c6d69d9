"""Reference values: the enclaves that the parties accept (spec/attestation §7.1).

Plain data; a contract's `[[enclaves]]` become these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.snp_report import Generation
from sealtune.core.digest import Digest

_MEASUREMENT = re.compile(r"[0-9a-f]{96}")
_CHIP_ID = re.compile(r"[0-9a-f]{128}")
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


def tcb_components(generation: Generation) -> tuple[str, ...]:
    """Return the names of the TCB components that a floor for `generation` must give."""
    base = ("bl", "tee", "snp", "ucode")
    return ("fmc", *base) if generation is Generation.TURIN else base


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedEnclave:
    """One enclave that is accepted; what is not listed is not.

    `minimum_tcb` gives a floor by component for each accepted generation. No `measurements` accept
    nothing. A VCEK is accepted from any chip when `chip_ids` is None; a VLEK from the providers in
    `csp_ids` only. With `insecure_accept_simulated`, exactly evidence under the mock root
    `simulated_root` is accepted and no other.

    Raises:
        ValueError: a value that could never match or means nothing.
    """

    name: str
    kind: EvidenceKind
    measurements: frozenset[str]
    minimum_tcb: Mapping[Generation, Mapping[str, int]]
    vmpl: frozenset[int]
    chip_ids: frozenset[str] | None
    csp_ids: frozenset[str]
    required_policy: frozenset[str]
    required_platform: frozenset[str]
    insecure_accept_simulated: bool
    simulated_root: Digest | None

    def __post_init__(self) -> None:
        _require(
            all(_MEASUREMENT.fullmatch(value) for value in self.measurements),
            "a measurement is 96 lower-case hexadecimal digits",
        )
        _require(
            all(_CHIP_ID.fullmatch(value) for value in self.chip_ids or ()),
            "a chip id is 128 lower-case hexadecimal digits",
        )
        _require(self.vmpl <= _VMPLS, "a VMPL is 0, 1, 2 or 3")
        unknown = (self.required_policy - POLICY_REQUIREMENTS.keys()) | (
            self.required_platform - PLATFORM_REQUIREMENTS.keys()
        )
        _require(not unknown, f"unknown requirements: {', '.join(sorted(unknown))}")
        for generation, floor in self.minimum_tcb.items():
            _require_floor(generation, floor)
        _require(
            self.insecure_accept_simulated == (self.simulated_root is not None),
            "insecure_accept_simulated and simulated_root go together",
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
