"""A contract as lines that a signer reads before signing (docs/spec/contract.md §3.5.1, §5.3).

Text only, no colour; the CLI prints it. Everything that is signed appears, keys as fingerprints.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sealtune.attestation.reference import DCAP_KINDS, SNP_KINDS, TPM_KINDS
from sealtune.contract.contract import contract_digest
from sealtune.contract.enclave import Devices, Enclave
from sealtune.contract.fields import json_document
from sealtune.contract.schema import Contract, Keys
from sealtune.crypto.identity import PublicIdentity
from sealtune.deid.agreed import DeidTerms

INSECURE_LINE = (
    "INSECURE: this contract accepts a SIMULATED enclave. Nothing in it is protected from the "
    "operator. For trials only."
)


def contract_lines(contract: Contract) -> list[str]:
    """Return `contract` as readable lines; the first one says so if it is insecure."""
    lines = [INSECURE_LINE, ""] if contract.insecure else []
    lines += [f"Contract {contract.name}", f"  digest   {contract_digest(contract)}"]
    lines += [f"  purpose  {contract.purpose}", "", "Parties"]
    for name, party in sorted(contract.parties.items()):
        signs = "must sign" if party.must_sign else "does not sign"
        lines += [f"  {name}: {', '.join(party.roles)} ({signs})", *_keys(name, party)]
    lines += ["", "Brokers"]
    for name, broker in sorted(contract.brokers.items()):
        lines += [f"  {name}, of {broker.owner}", *_keys(name, broker)]
    lines += ["", "Inputs"]
    for entry in contract.inputs:
        lines += [f"  {entry.name}: {entry.kind} of {entry.owner}, key released by {entry.broker}"]
        lines += [f"    {entry.digest}", *_deidentified(entry.deidentification)]
    lines += ["", "Recipe", *_table(json_document(contract)["recipe"])]
    for enclave in contract.enclaves:
        lines += ["", *_enclave(enclave)]
    return [*lines, *_terms(contract)]


def _deidentified(terms: DeidTerms | None) -> list[str]:
    if terms is None:
        return []
    return [
        f"    de-identified by {' or '.join(terms.profiles)}, as its owner's report says",
        f"    at most {terms.max_residual_per_10000:g} residual findings per 10,000 records;"
        f" k from {terms.min_k} up; detectors: {_words(terms.detectors)}",
    ]


def _keys(name: str, keys: Keys) -> list[str]:
    public = PublicIdentity(name=name, signing=keys.signing, recipient=keys.recipient)
    groups = public.fingerprint.split()
    half = len(groups) // 2
    return [
        f"    fingerprint {' '.join(groups[:half])}",
        f"                {' '.join(groups[half:])}",
    ]


def _enclave(enclave: Enclave) -> list[str]:
    lines = [f"Enclave {enclave.name}: {enclave.kind}"]
    if enclave.insecure_accept_simulated:
        lines += [f"  INSECURE: simulated evidence accepted under root {enclave.simulated_root}"]
    lines += [f"  measurement {measurement}" for measurement in enclave.measurements]
    for name, values in sorted(enclave.registers.items()):
        lines += [f"  register {name} is {' or '.join(values)}"]
    if not enclave.contract_at_launch:
        lines += ["  not bound to this contract at launch, only when it asks for keys"]
    if enclave.kind in SNP_KINDS:
        lines += _amd(enclave)
    if enclave.kind in DCAP_KINDS:
        lines += _intel(enclave)
    if enclave.kind in TPM_KINDS:
        lines += ["  the operator can read its memory: measured boot, no memory protection"]
        lines += [f"  attestation key {digest}" for digest in enclave.ak_digests]
        lines += ["  any certified attestation key"] if enclave.accept_certified_ak else []
    return lines + [line for device in enclave.devices for line in _devices(device)]


def _amd(enclave: Enclave) -> list[str]:
    lines = []
    for generation, floor in sorted(enclave.minimum_tcb.items()):
        lowest = ", ".join(f"{name} {value}" for name, value in sorted(floor.items()))
        lines.append(f"  on {generation} from versions {lowest} up")
    lines += [f"  only chip {chip}" for chip in enclave.chip_ids] or ["  any chip"]
    return [
        *lines,
        f"  at VMPL {', '.join(map(str, enclave.vmpl))}",
        f"  with a provider's key (VLEK) of: {_words(enclave.csp_ids)}",
        f"  guest policy must have: {_words(enclave.required_policy)}",
        f"  platform must have: {_words(enclave.required_platform)}",
        f"  mitigations that must be in effect: {_words(map(str, enclave.required_mitigations))}",
        f"  AMD's revocation list: {'required' if enclave.require_crl else 'used where present'}",
    ]


def _intel(enclave: Enclave) -> list[str]:
    lines = [f"  only platform {platform}" for platform in enclave.platform_ids]
    lines = lines or ["  any platform"]
    svn = ".".join(map(str, enclave.minimum_tee_tcb_svn)) or "any"
    return [
        *lines,
        f"  TCB status must be one of: {_words(enclave.tcb_statuses)}",
        f"  advisories that are not accepted: {_words(enclave.denied_advisories)}",
        f"  TCB evaluation number from {enclave.minimum_evaluation} up",
        f"  Intel's documents at most {enclave.endorsements_max_age_days} days old",
        f"  accepted of the platform: {_words(enclave.platform_flags)}",
        f"  accepted TD attributes: {_words(enclave.td_attributes)}; TDX module from {svn} up",
        f"  enclave product {'any' if enclave.isv_prod_id is None else enclave.isv_prod_id},"
        f" version from {enclave.minimum_isv_svn} up",
    ]


def _devices(devices: Devices) -> list[str]:
    return [
        f"  with {devices.count} {devices.kind}, of {_words(devices.architectures)}",
        f"    drivers: {_words(devices.drivers)}; VBIOS: {_words(devices.vbios)}"
        " (nothing: any that NVIDIA vouches for)",
        f"    protected PCIe {'required' if devices.protected_pcie else 'not required'},"
        f" revocation (OCSP) {'required' if devices.ocsp else 'used where present'}",
    ]


def _terms(contract: Contract) -> list[str]:
    outputs, validity = contract.outputs, contract.validity
    return [
        "",
        "What may leave",
        f"  results    {_words(outputs.kinds)}, at most {outputs.max_bytes:,} bytes",
        f"  sealed to  {_words(outputs.recipients)}",
        f"  telemetry  {_words(contract.telemetry.allowed)}",
        f"  receipt    metrics: {_words(contract.receipt.metrics)};"
        f" counts: {_words(contract.receipt.counts)}",
        "",
        "Terms",
        f"  valid      from {validity.not_before} until {validity.not_after}",
        f"  runs       {contract.max_runs}, each resumed at most {contract.max_resumes} times",
    ]


def _words(values: Iterable[str]) -> str:
    return ", ".join(values) or "none"


def _table(values: dict[str, Any]) -> list[str]:
    width = max(map(len, values))
    lines = []
    for name, value in sorted(values.items()):
        # Each element whole: what a signer does not see, a signer does not agree to.
        shown = ", ".join(map(_quoted, value)) if isinstance(value, list) else _whole(value)
        lines.append(f"  {name:{width}}  {shown or 'none'}")
    return lines


def _quoted(value: Any) -> str:
    # Quoted, so that an element with a comma in it does not pass for two.
    return f'"{_whole(value)}"'


def _whole(value: Any) -> str:
    text = str(value)
    return text if text.isprintable() else ascii(text)
