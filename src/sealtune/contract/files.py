"""A contract in a file, in any of its three forms (docs/spec/contract.md §1).

Reads and writes; what is signed and verified, `contract` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sealtune.contract.contract import (
    CONTRACT_PAYLOAD_TYPE,
    VerifiedContract,
    canonical_contract,
    contract_digest,
    missing_signers,
    parse_contract,
    sign_contract,
    verify_contract,
)
from sealtune.contract.draft import draft_contract
from sealtune.contract.schema import Contract
from sealtune.core.canonical import parse_json
from sealtune.core.digest import Digest
from sealtune.core.files import read_bounded, write_atomic
from sealtune.core.limits import ENVELOPE_BYTES_MAX
from sealtune.crypto.dsse import Envelope, envelope_from_dict
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractFile:
    """A contract as it was read; nobody has checked its signatures.

    `envelope` is None for a draft; `missing` are the parties who must sign and have not.
    """

    path: Path
    contract: Contract
    digest: Digest
    envelope: Envelope | None
    missing: tuple[str, ...]


def read_contract_file(path: Path) -> ContractFile:
    """Return the contract in the file at `path`: a TOML draft, canonical JSON or an envelope.

    Raises:
        StorageError: the file is missing or cannot be read.
        FormatError: it is no contract in any form; the message names the place.
        VerificationError: it is another signed document.
    """
    if path.suffix == ".toml":
        return _contract_file(path, draft_contract(path), None)
    data = read_bounded(path, limit=ENVELOPE_BYTES_MAX, what="contract")
    value = parse_json(data, limit=ENVELOPE_BYTES_MAX, what=str(path))
    if not isinstance(value, dict) or not {"payloadType", "purpose"} & value.keys():
        remedy = "give a contract's TOML file, or what `sealtune contract draft` or `sign` wrote"
        raise FormatError(Code.CONTRACT_MALFORMED, f"{path}: not a contract", remedy=remedy)
    if "payloadType" not in value:
        # An editor's final line end is not what anybody signs.
        return _contract_file(path, parse_contract(data.rstrip(b"\n"), what=str(path)), None)
    envelope = envelope_from_dict(value, what=str(path))
    if envelope.payload_type != CONTRACT_PAYLOAD_TYPE:
        message = f"{path}: not a contract: signed as {envelope.payload_type[:80]!a}"
        raise VerificationError(Code.ENVELOPE_TYPE, message)
    return _contract_file(path, parse_contract(envelope.payload, what=str(path)), envelope)


def write_contract_draft(draft: Path, output: Path) -> ContractFile:
    """Resolve the TOML file `draft` and write its canonical JSON to `output`.

    Raises:
        As `draft_contract`; and StorageError if `output` cannot be written.
    """
    contract = draft_contract(draft)
    write_atomic(output, canonical_contract(contract) + b"\n")
    return _contract_file(output, contract, None)


def sign_contract_file(path: Path, output: Path, *, identity: Identity) -> ContractFile:
    """Add `identity`'s signature to the contract at `path` and write the envelope to `output`.

    Raises:
        As `read_contract_file` and `sign_contract`. FormatError: `path` is a TOML file, whose
            meaning depends on files beside it: draft it first, so that all sign the same bytes.
    """
    if path.suffix == ".toml":
        remedy = f"sealtune contract draft {path} -o contract.json, then sign that file"
        message = f"{path}: a draft is not signed, its canonical JSON is"
        raise FormatError(Code.CONTRACT_MALFORMED, message, remedy=remedy)
    read = read_contract_file(path)
    try:
        envelope = sign_contract(read.envelope or read.contract, identity)
    except SealtuneError as error:
        raise type(error)(error.code, f"{path}: {error.message}", remedy=error.remedy) from error
    write_atomic(output, envelope.to_json() + b"\n")
    return _contract_file(output, read.contract, envelope)


def verify_contract_file(path: Path, *, now: datetime) -> VerifiedContract:
    """Return the contract in the file at `path` once all have signed it and it is valid at `now`.

    Raises:
        As `read_contract_file` and `verify_contract`.
    """
    read = read_contract_file(path)
    if read.envelope is None:
        message = f"{path}: nobody has signed it yet; {', '.join(read.missing)} must"
        remedy = "each of them runs `sealtune contract sign`"
        raise VerificationError(Code.CONTRACT_UNSIGNED, message, remedy=remedy)
    try:
        return verify_contract(read.envelope, now=now)
    except SealtuneError as error:
        raise type(error)(error.code, f"{path}: {error.message}", remedy=error.remedy) from error


def _contract_file(path: Path, contract: Contract, envelope: Envelope | None) -> ContractFile:
    missing = list(contract.signers) if envelope is None else missing_signers(envelope, contract)
    return ContractFile(
        path=path,
        contract=contract,
        digest=contract_digest(contract),
        envelope=envelope,
        missing=tuple(missing),
    )
