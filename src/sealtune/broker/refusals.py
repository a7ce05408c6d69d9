"""Turning an error into what the caller gets: a signed refusal, or "not now" (spec/protocol §4.3).

A refusal is final, bound to the posted bytes and signed. What may pass (a full disk, too many
requests) or is a defect of ours is unsigned, so that the worker tries again.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from sealtune.broker.events import log_event
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.crypto.signing import SigningKey
from sealtune.errors import (
    Code,
    FormatError,
    SealtuneError,
    StorageError,
    TransportError,
)
from sealtune.protocol.answers import sign_answer
from sealtune.protocol.messages import REFUSAL_TYPE, Refusal

_MESSAGE_CHARACTERS_MAX: Final = 500
_STATUS: Final = {
    Code.LIMIT_EXCEEDED: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.CONTRACT_UNKNOWN: HTTPStatus.NOT_FOUND,
    Code.ANCHOR_ROLLBACK: HTTPStatus.CONFLICT,
    Code.DENIED_RUN_CLOSED: HTTPStatus.CONFLICT,
    Code.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP status and the bytes that go with it."""

    status: HTTPStatus
    body: bytes


def refuse_request(error: SealtuneError, *, body: bytes, key: SigningKey) -> Reply:
    """Return the reply to the posted `body` that `error` means."""
    log_event("refused", code=str(error.code), family=type(error).__name__)
    if isinstance(error, StorageError):
        # Which file and why is the operator's business, not the caller's.
        log_event("store", code=str(error.code), reason=error.message)
        return not_now(error.code, HTTPStatus.SERVICE_UNAVAILABLE)
    if isinstance(error, TransportError):
        return not_now(error.code, _STATUS.get(error.code, HTTPStatus.SERVICE_UNAVAILABLE))
    message = "".join(mark if mark.isprintable() else "?" for mark in error.message)
    refusal = Refusal(
        request=sha256_digest(body),
        code=str(error.code),
        rule=getattr(error, "rule", ""),
        message=message[:_MESSAGE_CHARACTERS_MAX],
    )
    default = HTTPStatus.BAD_REQUEST if isinstance(error, FormatError) else HTTPStatus.FORBIDDEN
    return Reply(
        status=_STATUS.get(error.code, default),
        body=sign_answer(refusal, payload_type=REFUSAL_TYPE, key=key),
    )


def not_now(code: Code, status: HTTPStatus) -> Reply:
    """Return an unsigned reply that says only `code`."""
    return Reply(status=status, body=canonical_json({"code": str(code)}))
