"""Verification of receipts, offline and without I/O (docs/spec/receipt.md §5.1, §5.2).

First by itself: is it authentic? Then against the contract: was it the agreed enclave that did the
agreed work? Comparing the files that came out is `outputs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.appraisal import appraise
from sealtune.attestation.binding import receipt_report_data
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.result import AttestationResult
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import VerifiedEvidence
from sealtune.attestation.verify import verify_evidence
from sealtune.contract.contract import SignedContract
from sealtune.contract.fields import json_document
from sealtune.contract.schema import Contract
from sealtune.core.clock import parse_time
from sealtune.core.digest import Digest, digest_bytes, sha256_digest
from sealtune.crypto.dsse import verify_envelope
from sealtune.errors import Code, FreshnessError, VerificationError
from sealtune.receipt.receipt import RECEIPT_PAYLOAD_TYPE, TrainingReceipt
from sealtune.receipt.schema import Predicate, Statement, parse_statement
from sealtune.receipt.statement import contract_inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """A receipt that some guest on an anchored vendor's hardware made.

    Which code ran in that guest, and whether anybody could look into it, is not known: only an
    AgreedReceipt says that. With `insecure`, the hardware was simulated and nothing is proved.
    """

    digest: Digest
    statement: Statement
    evidence: VerifiedEvidence
    insecure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedReceipt:
    """A verified receipt of a run that obeyed `contract`, in an enclave that it accepts."""

    receipt: VerifiedReceipt
    contract: SignedContract
    result: AttestationResult

    @property
    def insecure(self) -> bool:
        """Whether the hardware was simulated, so that nothing is proved."""
        return self.receipt.insecure


def verify_receipt(
    receipt: TrainingReceipt,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
) -> VerifiedReceipt:
    """Verify that `receipt` is authentic at `now` (spec/receipt §5.1); appraises nothing.

    Raises:
        FormatError: the statement or the evidence is malformed.
        VerificationError: another payload type, not the worker's signature, evidence that is not
            authentic under `anchors`, or RECEIPT_BINDING: evidence of something else.
    """
    envelope = receipt.envelope
    if envelope.payload_type != RECEIPT_PAYLOAD_TYPE:
        shown = ascii(envelope.payload_type[:80])
        raise VerificationError(Code.ENVELOPE_TYPE, f"not a receipt: signed as {shown}")
    statement = parse_statement(envelope.payload)
    predicate = statement.predicate
    verify_envelope(
        envelope, payload_type=RECEIPT_PAYLOAD_TYPE, required=[predicate.worker.signing]
    )
    evidence = _verify_binding(
        receipt, predicate, anchors=anchors, endorsements=endorsements, now=now
    )
    return VerifiedReceipt(
        digest=receipt.digest, statement=statement, evidence=evidence, insecure=evidence.insecure
    )


def verify_receipt_against_contract(
    receipt: TrainingReceipt,
    *,
    contract: SignedContract,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
) -> AgreedReceipt:
    """Verify `receipt` and that the run was what `contract` agrees on (spec/receipt §5.2).

    Raises:
        FormatError, VerificationError: as `verify_receipt`; RECEIPT_CONTRACT: the run was another
            one, the message says in what.
        AppraisalError: the enclave is none that the contract accepts.
    """
    verified = verify_receipt(receipt, anchors=anchors, endorsements=endorsements, now=now)
    predicate, terms = verified.statement.predicate, contract.contract
    reference = (predicate.contract_digest, predicate.contract.name)
    if reference != (contract.digest, terms.name):
        raise _other("it is of another contract")
    _check_work(predicate, terms)
    _check_result(predicate, terms)
    _check_releases(predicate, terms)
    _check_time(predicate, terms)
    result = appraise(
        verified.evidence,
        accepted=terms.accepted_enclaves,
        host_data=digest_bytes(contract.digest),
    )
    return AgreedReceipt(receipt=verified, contract=contract, result=result)


def _verify_binding(
    receipt: TrainingReceipt,
    predicate: Predicate,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
) -> VerifiedEvidence:
    report_data = receipt_report_data(
        statement=sha256_digest(receipt.envelope.payload),
        worker=predicate.worker_keys,
        contract=predicate.contract_digest,
    )
    try:
        evidence = verify_evidence(
            receipt.evidence,
            report_data=report_data,
            anchors=anchors,
            endorsements=endorsements,
            now=now,
            steps=Steps(),
        )
    except FreshnessError:
        reason = "the evidence binds another statement, worker or contract"
        raise VerificationError(Code.RECEIPT_BINDING, f"receipt: {reason}") from None
    if evidence.insecure != predicate.insecure_simulated:
        # spec/receipt §5.1 step 7: a simulated run must say so wherever its receipt is shown, by
        # software that reads nothing but the statement too.
        reason = "it says otherwise than its evidence whether the run was simulated"
        raise VerificationError(Code.RECEIPT_BINDING, f"receipt: {reason}")
    return evidence


def _check_work(predicate: Predicate, terms: Contract) -> None:
    stated = [json_document(item) for item in predicate.inputs]
    if stated != contract_inputs(terms):
        raise _other("its inputs are not the contract's")
    if predicate.recipe != terms.recipe:
        raise _other("its recipe is not the contract's")
    kept_in = set(predicate.metrics) - set(terms.receipt.metrics)
    kept_in |= set(predicate.counts) - set(terms.receipt.counts)
    if kept_in:
        raise _other(f"it states {', '.join(sorted(kept_in))}, which the contract keeps in")


def _check_result(predicate: Predicate, terms: Contract) -> None:
    result, outputs = predicate.result, terms.outputs
    if result.kind not in outputs.kinds:
        raise _other(f"its result is a {result.kind}, which the contract does not let out")
    if result.bytes > outputs.max_bytes:
        raise _other(f"its result has {result.bytes} bytes, more than the contract lets out")
    if result.recipients != outputs.recipients:
        raise _other("its result is for other recipients")


def _check_releases(predicate: Predicate, terms: Contract) -> None:
    stated = sorted((item.broker, item.signing_key) for item in predicate.releases)
    agreed = sorted((name, broker.signing_key) for name, broker in terms.brokers.items())
    if stated != agreed:
        raise _other("its keys were released by other brokers")


def _check_time(predicate: Predicate, terms: Contract) -> None:
    # spec/receipt §5.2 step 14: the worker's clock, so this stops mistakes rather than malice.
    moments = [predicate.started, *(item.time for item in predicate.releases)]
    for moment in map(parse_time, moments):
        if not terms.validity.start <= moment < terms.validity.end:
            raise _other("it ran outside the contract's time")


def _other(reason: str) -> VerificationError:
    return VerificationError(Code.RECEIPT_CONTRACT, f"receipt: {reason}")
