"""The trustworthiness vector of a result, derived rule by rule (spec/attestation §18.2).

Source: draft-ietf-rats-ar4si-09 §2.3. What nobody looked at stays 0, "no claim", however good the
rest is: nothing here says a word on file systems, storage or sourced data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.reference import AcceptedEnclave
from sealtune.attestation.result import AttestationResult, RuleResult
from sealtune.attestation.verified import Claims


class Aspect(StrEnum):
    """What a value of the vector is about."""

    INSTANCE = "instance-identity"
    CONFIGURATION = "configuration"
    EXECUTABLES = "executables"
    FILE_SYSTEM = "file-system"
    HARDWARE = "hardware"
    RUNTIME = "runtime-opaque"
    STORAGE = "storage-opaque"
    SOURCED = "sourced-data"


class EarStatus(StrEnum):
    """The tiers of values, and what the whole of an appraisal comes to."""

    NONE = "none"
    AFFIRMING = "affirming"
    WARNING = "warning"
    CONTRAINDICATED = "contraindicated"


Vector = Mapping[Aspect, int]

VALUE_MAX: Final = 127
NO_CLAIM: Final = 0
_AFFIRMED: Final = 2
_BOOTED_AS_APPROVED: Final = 3  # executables: what was loaded while booting, nothing about later
_UNSAFE: Final = 32
_UNRECOGNIZED_EXECUTABLES: Final = 33
_CONTRAINDICATED: Final = 96
_UNRECOGNIZED: Final = 97

# What a failed rule says, by its name. A rule that is not listed is about configuration.
_FAILED: Final[Mapping[str, tuple[Aspect, int]]] = {
    "root": (Aspect.HARDWARE, _UNRECOGNIZED),
    "kind": (Aspect.HARDWARE, _UNRECOGNIZED),
    "generation": (Aspect.HARDWARE, _CONTRAINDICATED),
    "tcb": (Aspect.HARDWARE, _CONTRAINDICATED),
    "mitigations": (Aspect.HARDWARE, _CONTRAINDICATED),
    "revocation": (Aspect.HARDWARE, _UNSAFE),
    "tcb-status": (Aspect.HARDWARE, _CONTRAINDICATED),
    "tcb-advisories": (Aspect.HARDWARE, _CONTRAINDICATED),
    "tcb-evaluation": (Aspect.HARDWARE, _UNSAFE),
    "tee-tcb-svn": (Aspect.HARDWARE, _CONTRAINDICATED),
    "endorsements-age": (Aspect.HARDWARE, _UNSAFE),
    "debug": (Aspect.RUNTIME, _CONTRAINDICATED),
    "dcap-debug": (Aspect.RUNTIME, _CONTRAINDICATED),
    "memory": (Aspect.RUNTIME, _CONTRAINDICATED),
    "measurement": (Aspect.EXECUTABLES, _UNRECOGNIZED_EXECUTABLES),
    "registers": (Aspect.EXECUTABLES, _UNRECOGNIZED_EXECUTABLES),
    "boot": (Aspect.EXECUTABLES, _UNRECOGNIZED_EXECUTABLES),
    "isv-prod-id": (Aspect.EXECUTABLES, _UNRECOGNIZED_EXECUTABLES),
    "isv-svn": (Aspect.EXECUTABLES, _UNSAFE),
    "identity": (Aspect.INSTANCE, _UNRECOGNIZED),
    "attestation-key": (Aspect.INSTANCE, _UNRECOGNIZED),
}
_ABOUT_CONFIGURATION: Final = (Aspect.CONFIGURATION, _CONTRAINDICATED)
# Rules about other machines than this one: the vector of a device has a value for them.
_ABOUT_DEVICES: Final = "device"


def status_of(value: int) -> EarStatus:
    """Return the tier of one value of a vector.

    Raises:
        ValueError: it is no such value.
    """
    if not 0 <= value <= VALUE_MAX:
        raise ValueError("a trustworthiness value is 0 to 127")
    if value < _AFFIRMED:
        return EarStatus.NONE
    if value < _UNSAFE:
        return EarStatus.AFFIRMING
    return EarStatus.WARNING if value < _CONTRAINDICATED else EarStatus.CONTRAINDICATED


def worst_status(vector: Vector) -> EarStatus:
    """Return the tier of the worst value; none where nothing is claimed."""
    return status_of(max(vector.values(), default=NO_CLAIM))


def machine_vector(result: AttestationResult, enclave: AcceptedEnclave) -> Vector:
    """Return what `result`, an acceptance by `enclave`, says about the machine."""
    if result.insecure:
        return insecure_vector()
    is_tpm = enclave.kind is EvidenceKind.TPM_VM
    # Accepted though nobody said which: a relying party that reads only the status must not take
    # that for approval.
    measured = enclave.measurements is not None
    return _vector(
        {
            # A virtual machine's TPM is made by the hypervisor: no word on hardware.
            Aspect.HARDWARE: NO_CLAIM if is_tpm else _hardware(result.claims),
            Aspect.CONFIGURATION: _AFFIRMED if _asks_configuration(result) else NO_CLAIM,
            Aspect.EXECUTABLES: _BOOTED_AS_APPROVED if measured else _UNRECOGNIZED_EXECUTABLES,
            # Accepted all the same, so a warning: isolated from other machines, not from operators.
            Aspect.RUNTIME: _AFFIRMED if result.claims.memory_protected else _UNSAFE,
            Aspect.INSTANCE: _AFFIRMED if _enrolled(enclave, result.claims) else NO_CLAIM,
        }
    )


def device_vector(device: Claims, *, insecure: bool) -> Vector:
    """Return what an acceptance says about one device of the machine."""
    if insecure:
        return insecure_vector()
    # `memory_protected` needs reference values that NVIDIA signed, of every measurement.
    referenced = device.memory_protected
    return _vector(
        {
            Aspect.HARDWARE: _AFFIRMED,
            Aspect.EXECUTABLES: _BOOTED_AS_APPROVED if referenced else NO_CLAIM,
            Aspect.RUNTIME: _AFFIRMED if referenced else NO_CLAIM,
        }
    )


def refused_vector(rules: Iterable[RuleResult]) -> Vector:
    """Return what a refusal by `rules` says about the machine: what failed, and nothing good."""
    values = dict.fromkeys(Aspect, NO_CLAIM)
    for rule in rules:
        if not rule.passed and not rule.rule.startswith(_ABOUT_DEVICES):
            aspect, value = _FAILED.get(rule.rule, _ABOUT_CONFIGURATION)
            values[aspect] = max(values[aspect], value)
    return values


def refused_device_vector(rules: Iterable[RuleResult]) -> Vector:
    """Return what a refusal by `rules` says about each device; a rule speaks of all of a kind."""
    failed = any(not rule.passed and rule.rule.startswith(_ABOUT_DEVICES) for rule in rules)
    return _vector({Aspect.HARDWARE: _CONTRAINDICATED if failed else NO_CLAIM})


def insecure_vector() -> Vector:
    """Return what there is to say about a simulation: hardware that nobody knows, open memory."""
    return _vector({Aspect.HARDWARE: _UNRECOGNIZED, Aspect.RUNTIME: _CONTRAINDICATED})


def _vector(values: Mapping[Aspect, int]) -> Vector:
    return {aspect: values.get(aspect, NO_CLAIM) for aspect in Aspect}


def _hardware(claims: Claims) -> int:
    # Intel's judgement of an accepted platform may still be that something is to be mended.
    status = claims.tcb.get("status", "UpToDate")
    return _AFFIRMED if status == "UpToDate" else _UNSAFE


def _asks_configuration(result: AttestationResult) -> bool:
    names = {rule.rule for rule in result.rules}
    # `host-data` alone is an empty word where the contract is not bound at launch.
    about = {name for name in names - _FAILED.keys() if not name.startswith(_ABOUT_DEVICES)}
    return bool(about - {"host-data"})


def _enrolled(enclave: AcceptedEnclave, claims: Claims) -> bool:
    if enclave.snp is not None:
        # A VLEK names a provider, which is no instance.
        return enclave.snp.chip_ids is not None and "csp_id" not in claims.identity
    if enclave.dcap is not None:
        return enclave.dcap.platform_ids is not None
    return enclave.tpm is not None and not enclave.tpm.accept_certified
