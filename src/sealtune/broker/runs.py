"""What a worker reports about its run: its newest training_checkpoint, at the end the receipt."""

from __future__ import annotations

from sealtune.broker.desk import Desk
from sealtune.broker.events import log_event
from sealtune.broker.store import RunState, Transaction
from sealtune.core.digest import parse_digest, sha256_digest
from sealtune.core.limits import SMALL_MESSAGE_BYTES_MAX
from sealtune.crypto.dsse import Envelope, parse_envelope, verify_envelope
from sealtune.errors import Code, ReleaseDenied, VerificationError
from sealtune.protocol.answers import sign_answer
from sealtune.protocol.messages import (
    ANCHOR_ANSWER_TYPE,
    ANCHOR_REQUEST_TYPE,
    AnchorAnswer,
    AnchorRequest,
    AnchorState,
    parse_message,
)
from sealtune.protocol.session import Anchor


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
    """Keep the receipt of a run, which ends it."""
    raise ReleaseDenied(Code.NOT_AUTHORIZED, "this broker takes no receipts yet")
