"""What a worker reports about its run: its newest training_checkpoint, at the end the receipt."""

from __future__ import annotations

from sealtune.broker.desk import Desk
from sealtune.broker.events import log_event
from sealtune.broker.store import RunState, SignedHead, Transaction
from sealtune.core.digest import Digest, parse_digest, sha256_digest
from sealtune.core.limits import MESSAGE_BYTES_MAX, SMALL_MESSAGE_BYTES_MAX
from sealtune.crypto.dsse import Envelope, parse_envelope, verify_envelope
from sealtune.errors import Code, ReleaseDenied, VerificationError
from sealtune.protocol.answers import sign_answer
from sealtune.protocol.messages import (
    ANCHOR_ANSWER_TYPE,
    ANCHOR_REQUEST_TYPE,
    RECEIPT_ANSWER_TYPE,
    AnchorAnswer,
    AnchorRequest,
    AnchorState,
    ReceiptAnswer,
    ReceiptReport,
    parse_message,
)
from sealtune.protocol.session import Anchor
from sealtune.receipt.receipt import receipt_from_dict
from sealtune.receipt.schema import Predicate
from sealtune.receipt.verify import verify_receipt_against_contract


def remember_anchor(desk: Desk, body: bytes) -> bytes:
    """Remember the newest training_checkpoint of a run (spec/protocol §6).

    Steps only go up, so that an operator who puts an old checkpoint back is found out. The same
    step with the same digest is a repeated request and fine.

    Raises:
        FormatError: no such message.
        ReleaseDenied: NOT_AUTHORIZED: not signed by the worker of the run's latest release;
            DENIED_RUN_CLOSED; ANCHOR_ROLLBACK: a later checkpoint, or another one of this step, is
            remembered.
    """
    envelope = parse_envelope(body, what="anchor request")
    message = parse_message(
        AnchorRequest, envelope.payload, limit=SMALL_MESSAGE_BYTES_MAX, what="anchor request"
    )
    anchor = Anchor(step=message.step, digest=parse_digest(message.digest))

    def remember(transaction: Transaction) -> None:
        run = transaction.run(parse_digest(message.contract), message.run_id)
        _advance(transaction, _worker_of(run, envelope), anchor)

    desk.store.write(remember)
    log_event("anchor", contract=message.contract, run_id=message.run_id, step=anchor.step)
    answer = AnchorAnswer(
        request=sha256_digest(body),
        contract=message.contract,
        run_id=message.run_id,
        anchor=AnchorState(step=anchor.step, digest=anchor.digest),
    )
    return sign_answer(answer, payload_type=ANCHOR_ANSWER_TYPE, key=desk.identity.signing)


def _worker_of(run: RunState | None, envelope: Envelope) -> RunState:
    # An unknown run and a stranger's signature read the same: run ids are not for guessing.
    refused = ReleaseDenied(
        Code.NOT_AUTHORIZED, "not signed by the worker that this run's keys were last released to"
    )
    if run is None:
        raise refused
    try:
        verify_envelope(envelope, payload_type=ANCHOR_REQUEST_TYPE, required=[run.worker.signing])
    except VerificationError:
        raise refused from None
    return run


def _advance(transaction: Transaction, run: RunState, anchor: Anchor) -> None:
    if run.receipt is not None:
        raise ReleaseDenied(Code.DENIED_RUN_CLOSED, "the run has ended: its receipt was reported")
    if run.anchor == anchor:
        return
    if run.anchor is not None and anchor.step <= run.anchor.step:
        raise ReleaseDenied(
            Code.ANCHOR_ROLLBACK,
            f"step {run.anchor.step} is remembered; {anchor.step} is not later",
        )
    transaction.set_anchor(run, anchor)
    entry = {"contract": run.contract, "run_id": run.run_id}
    transaction.append("anchor", {**entry, "step": anchor.step, "digest": anchor.digest})


def close_run(desk: Desk, body: bytes) -> bytes:
    """Verify the receipt of a run, keep it and end the run (spec/protocol §7).

    Anybody may report it: a receipt proves itself. The same receipt again is fine.

    Raises:
        FormatError, VerificationError, AppraisalError: no receipt, or not of the agreed work in an
            accepted enclave.
        ReleaseDenied: an unknown contract, or DENIED_RUN_CLOSED: the run has another receipt.
        StorageError: the disk refuses; the run is still open.
    """
    message = parse_message(ReceiptReport, body, limit=MESSAGE_BYTES_MAX, what="receipt report")
    receipt = receipt_from_dict(message.receipt)
    contract = desk.contracts.find(parse_digest(message.contract))
    now = desk.clock.now()
    agreed = verify_receipt_against_contract(
        receipt,
        contract=contract,
        anchors=desk.anchors(contract),
        endorsements=desk.endorsements(),
        now=now,
    )
    predicate = agreed.receipt.statement.predicate
    if predicate.run_id != message.run_id:
        raise _another_run()

    def close(transaction: Transaction) -> SignedHead:
        run = _run_of(desk, transaction, contract.digest, predicate)
        if run.receipt == receipt.digest:
            return transaction.current_head()
        if run.receipt is not None:
            raise ReleaseDenied(Code.DENIED_RUN_CLOSED, "the run has ended with another receipt")
        transaction.close_run(run, receipt=receipt.digest, data=receipt.to_json())
        entry = {
            "contract": run.contract,
            "run_id": run.run_id,
            "receipt": receipt.digest,
            "result": agreed.receipt.statement.bundle,
            "insecure": agreed.insecure,
        }
        return transaction.append("receipt", entry)

    head = desk.store.write(close)
    log_event("receipt", insecure=agreed.insecure, receipt=receipt.digest, run_id=message.run_id)
    answer = ReceiptAnswer(
        request=sha256_digest(body),
        contract=contract.digest,
        run_id=message.run_id,
        receipt=receipt.digest,
        log_head=head.envelope.to_dict(),
    )
    return sign_answer(answer, payload_type=RECEIPT_ANSWER_TYPE, key=desk.identity.signing)


def _run_of(
    desk: Desk, transaction: Transaction, contract: Digest, predicate: Predicate
) -> RunState:
    run = transaction.run(contract, predicate.run_id)
    # A receipt of a worker that a later one has taken over from is not this run's result.
    if run is None or run.worker != predicate.worker_keys:
        raise _another_run()
    # The receipt pins our log at the release; a receipt that pins another log is of a fork.
    pinned = {
        (item.log_size, item.log_head)
        for item in predicate.releases
        if item.signing_key == desk.key.text
    }
    for size, head in pinned:
        if transaction.log_hash(size) != head:
            raise VerificationError(
                Code.LOG_FORKED, "the receipt pins a decision log that is not this broker's"
            )
    return run


def _another_run() -> VerificationError:
    return VerificationError(
        Code.RECEIPT_CONTRACT, "the receipt is not of the worker that this run's keys went to"
    )
