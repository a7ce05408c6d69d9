"""What is told to a broker beside key requests: registrations, training_checkpoints, receipts.

Each function makes the bytes to post or opens the answer to them; no I/O (docs/spec/protocol.md
§6 to §8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealtune.core.digest import Digest
from sealtune.crypto.dsse import envelope_from_dict, sign_envelope
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, VerificationError
from sealtune.protocol.answers import open_answer
from sealtune.protocol.messages import (
    ANCHOR_ANSWER_TYPE,
    ANCHOR_REQUEST_TYPE,
    RECEIPT_ANSWER_TYPE,
    REGISTRATION_ANSWER_TYPE,
    AnchorAnswer,
    AnchorRequest,
    ReceiptAnswer,
    ReceiptReport,
    RegistrationAnswer,
)
from sealtune.protocol.session import Anchor, anchor_from
from sealtune.translog.chain import VerifiedHead, verify_head


def anchor_request(anchor: Anchor, *, contract: Digest, run_id: str, signing: SigningKey) -> bytes:
    """Return the signed AnchorRequest to post to `/v1/anchor` (spec/protocol §6)."""
    message = AnchorRequest(
        contract=contract, run_id=run_id, step=anchor.step, digest=anchor.digest
    )
    envelope = sign_envelope(message.encode(), payload_type=ANCHOR_REQUEST_TYPE, keys=[signing])
    return envelope.to_json()


def open_anchor_answer(answer: bytes, *, request: bytes, broker: VerifyingKey) -> Anchor:
    """Return what the broker now remembers, once its signature on that holds (spec/protocol §6).

    Raises:
        ReleaseDenied: the broker refuses, for one because it remembers a later step.
        VerificationError: not the broker's answer to `request`.
        FormatError: no answer of this protocol.
    """
    message = open_answer(
        AnchorAnswer, answer, payload_type=ANCHOR_ANSWER_TYPE, broker=broker, request=request
    )
    return anchor_from(message.anchor)


def receipt_report(receipt: Mapping[str, Any], *, contract: Digest, run_id: str) -> bytes:
    """Return the ReceiptReport to post to `/v1/receipt` (spec/protocol §7)."""
    return ReceiptReport(contract=contract, run_id=run_id, receipt=dict(receipt)).encode()


def open_receipt_answer(
    answer: bytes, *, request: bytes, receipt: Digest, broker: VerifyingKey
) -> VerifiedHead:
    """Return the log head under which the broker has recorded the receipt (spec/protocol §7).

    Raises:
        ReleaseDenied: the broker refuses the receipt.
        VerificationError: not the broker's answer to `request`, or about another receipt.
        FormatError: no answer of this protocol.
    """
    message = open_answer(
        ReceiptAnswer, answer, payload_type=RECEIPT_ANSWER_TYPE, broker=broker, request=request
    )
    if message.receipt != receipt:
        raise VerificationError(Code.BROKER_IDENTITY, "the answer is about another receipt")
    return verify_head(envelope_from_dict(message.log_head), log=broker)


def open_registration_answer(
    answer: bytes, *, request: bytes, digest: Digest, broker: VerifyingKey
) -> VerifiedHead:
    """Return the log head under which the broker keeps a key or contract (spec/protocol §8).

    Raises:
        ReleaseDenied: the broker refuses the registration.
        VerificationError: not the broker's answer to `request`, or about something else.
        FormatError: no answer of this protocol.
    """
    message = open_answer(
        RegistrationAnswer,
        answer,
        payload_type=REGISTRATION_ANSWER_TYPE,
        broker=broker,
        request=request,
    )
    if message.digest != digest:
        raise VerificationError(Code.BROKER_IDENTITY, "the answer is about something else")
    return verify_head(envelope_from_dict(message.log_head), log=broker)
