"""A receipt in a file, verified with whatever else the verifier has (docs/spec/receipt.md §5).

The contract and the outputs are optional because a verifier may not have them; what was compared
is in the result, so that nobody mistakes the one for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.forms.endorsement_files import read_evidence_endorsements
from sealtune.attestation.result import RuleResult
from sealtune.contract.contract import SignedContract, verify_contract_signatures_ignoring_validity
from sealtune.contract.files import read_contract_file
from sealtune.core.digest import Digest
from sealtune.core.files import read_bounded
from sealtune.core.limits import RECEIPT_BYTES_MAX
from sealtune.errors import Code, SealtuneError, VerificationError
from sealtune.receipt.outputs import verify_result_bundle, verify_result_folder
from sealtune.receipt.receipt import TrainingReceipt, parse_receipt
from sealtune.receipt.schema import Statement, parse_statement
from sealtune.receipt.verify import (
    VerifiedReceipt,
    verify_receipt,
    verify_receipt_against_contract,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptReport:
    """What was verified about a receipt, for people.

    `contract` is the digest of the contract that the run was compared with, None if it was compared
    with none: then nothing is known about the code that ran. `rules` are those of the appraisal.
    Without `memory_protected` the operator could read whatever the run worked on.
    """

    path: Path
    digest: Digest
    insecure: bool
    statement: Statement
    kind: EvidenceKind
    memory_protected: bool
    measurement: str
    root: Digest
    contract: Digest | None
    rules: tuple[RuleResult, ...]
    outputs: tuple[Path, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "path": str(self.path),
            "digest": self.digest,
            "verified": True,
            "insecure": self.insecure,
            "contract_verified": self.contract,
            "outputs_verified": [str(path) for path in self.outputs],
            "evidence": {
                "kind": str(self.kind),
                "memory_protected": self.memory_protected,
                "measurement": self.measurement,
                "root": self.root,
                "rules": [rule.to_dict() for rule in self.rules],
            },
            "statement": self.statement.model_dump(mode="json", by_alias=True),
        }


def read_receipt_file(path: Path) -> TrainingReceipt:
    """Return the receipt in the file at `path`, unverified.

    Raises:
        StorageError: the file is missing or cannot be read.
        FormatError: it is no receipt.
    """
    data = read_bounded(path, limit=RECEIPT_BYTES_MAX, what="receipt")
    return parse_receipt(data.rstrip(b"\n"), what=str(path))


def read_statement_unverified(path: Path) -> Statement:
    """Return what the receipt at `path` says, whoever made it.

    Raises:
        As `read_receipt_file`.
    """
    return parse_statement(read_receipt_file(path).envelope.payload)


def verify_receipt_file(
    path: Path,
    *,
    contract: Path | None,
    outputs: Sequence[Path],
    anchors: TrustAnchors,
    endorsement_files: Sequence[tuple[str, bytes]],
    now: datetime,
) -> ReceiptReport:
    """Verify the receipt at `path`, against the contract and the outputs that are given.

    `outputs` are sealed results (files) and opened ones (folders); `endorsement_files` are what the
    evidence needs of its vendor, by name and content.

    Raises:
        StorageError, FormatError: a file is missing, cannot be read or is not what it should be.
        VerificationError: the receipt is not authentic under `anchors`, or of another contract, or
            an output is another.
        AppraisalError: the enclave is none that the contract accepts.
    """
    receipt = read_receipt_file(path)
    endorsements = read_evidence_endorsements(endorsement_files, evidence=(receipt.evidence,))
    verified: VerifiedReceipt
    rules: tuple[RuleResult, ...] = ()
    digest = None
    try:
        if contract is None:
            verified = verify_receipt(receipt, anchors=anchors, endorsements=endorsements, now=now)
        else:
            signed = _signed_contract(contract)
            agreed = verify_receipt_against_contract(
                receipt, contract=signed, anchors=anchors, endorsements=endorsements, now=now
            )
            verified, rules, digest = agreed.receipt, agreed.result.rules, signed.digest
    except SealtuneError as error:
        if not error.message.startswith(str(contract)):
            error.message = f"{path}: {error.message.removeprefix('receipt: ')}"
        raise
    for output in outputs:
        check = verify_result_folder if output.is_dir() else verify_result_bundle
        check(verified, output)
    return ReceiptReport(
        path=path,
        digest=verified.digest,
        insecure=verified.insecure,
        statement=verified.statement,
        kind=verified.evidence.kind,
        memory_protected=verified.evidence.claims.memory_protected and not verified.insecure,
        measurement=verified.evidence.measurement,
        root=verified.evidence.root.digest,
        contract=digest,
        rules=rules,
        outputs=tuple(outputs),
    )


def _signed_contract(path: Path) -> SignedContract:
    # spec/receipt §5.2: signatures, but not validity: a receipt outlives its contract.
    read = read_contract_file(path)
    if read.envelope is None:
        message = f"{path}: nobody has signed this contract"
        raise VerificationError(Code.CONTRACT_UNSIGNED, message)
    try:
        return verify_contract_signatures_ignoring_validity(read.envelope)
    except SealtuneError as error:
        error.message = f"{path}: {error.message}"
        raise
