"""Opening a broker's answer: signed by the key that the contract names, for this very request.

A worker believes nothing about a broker but its signatures (docs/spec/protocol.md §4), so that the
transport may be anything and the operator may sit in it.
"""

from __future__ import annotations

from typing import TypeVar

from sealtune.core.digest import sha256_digest
from sealtune.core.limits import MESSAGE_BYTES_MAX
from sealtune.crypto.dsse import Envelope, parse_envelope, sign_envelope, verify_envelope
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, FormatError, ReleaseDenied, SealtuneError, VerificationError
from sealtune.protocol.messages import REFUSAL_TYPE, Answer, Refusal, parse_message

M = TypeVar("M", bound=Answer)


def open_answer(
    model: type[M], data: bytes, *, payload_type: str, broker: VerifyingKey, request: bytes
) -> M:
    """Return the broker's answer to `request` (the posted bytes) once its signature holds.

    Raises:
        ReleaseDenied: the broker itself, provably, refuses; `code` is its reason.
        VerificationError: BROKER_IDENTITY: not signed by `broker`, or an answer to other bytes.
        FormatError: BROKER_ANSWER: no answer of this protocol.
    """
    envelope = _envelope(data)
    if envelope.payload_type == REFUSAL_TYPE:
        raise _refused(envelope, broker=broker, request=request)
    answer = _verified(model, envelope, payload_type=payload_type, broker=broker)
    _same_request(answer, request)
    return answer


def sign_answer(answer: Answer, *, payload_type: str, key: SigningKey) -> bytes:
    """Return `answer` signed by the broker's `key`, as the bytes to send."""
    return sign_envelope(answer.encode(), payload_type=payload_type, keys=[key]).to_json()


def _refused(envelope: Envelope, *, broker: VerifyingKey, request: bytes) -> ReleaseDenied:
    refusal = _verified(Refusal, envelope, payload_type=REFUSAL_TYPE, broker=broker)
    _same_request(refusal, request)
    try:
        code = Code(refusal.code)
    except ValueError:
        code = Code.BROKER_ANSWER  # a newer broker's reason, which this version has no name for
    rule = f" ({refusal.rule})" if refusal.rule else ""
    return ReleaseDenied(code, f"the broker refuses{rule}: {refusal.message}")


def _envelope(data: bytes) -> Envelope:
    try:
        return parse_envelope(data, what="broker's answer")
    except FormatError as error:
        raise FormatError(Code.BROKER_ANSWER, error.message) from None


def _verified(model: type[M], envelope: Envelope, *, payload_type: str, broker: VerifyingKey) -> M:
    try:
        verified = verify_envelope(envelope, payload_type=payload_type, required=[broker])
    except SealtuneError as error:
        raise VerificationError(
            Code.BROKER_IDENTITY,
            f"the answer is not from the broker that the contract names: {error.message}",
            remedy="check the broker's address; somebody may stand between",
        ) from None
    try:
        return parse_message(
            model, verified.payload, limit=MESSAGE_BYTES_MAX, what="broker's answer"
        )
    except FormatError as error:
        raise FormatError(Code.BROKER_ANSWER, error.message) from None


def _same_request(answer: Answer, request: bytes) -> None:
    # spec/protocol §4.2: a genuine answer to other bytes is an old one, or one meant for another.
    if answer.request != sha256_digest(request):
        raise VerificationError(
            Code.BROKER_IDENTITY, "the answer is the broker's, but to another request"
        )
