"""What a worker says to its launcher: one JSON object per line, read strictly.

The launcher runs on the untrusted host; nothing here is evidence of anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sealtune.core.canonical import parse_json
from sealtune.errors import Code, FormatError, SealtuneError

LINE_BYTES_MAX = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEvent:
    """One event; fields that its kind does not have keep their empty value."""

    event: str
    phase: str = ""
    step: int = 0
    total: int = 0
    tokens_per_second: int = 0
    memory_bytes: int = 0
    loss: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    message: str = ""
    remedy: str = ""
    receipt: str = ""
    reported: bool = False
    insecure: bool = False


class WorkerError(SealtuneError):
    """The worker stopped; its own code and exit status are kept."""

    def __init__(self, event: WorkerEvent, exit_status: int) -> None:
        text = event.message or (
            "the text of this error stays in the enclave, since it may describe the data"
        )
        where = f" in phase {event.phase}" if event.phase else ""
        super().__init__(_code(event.code), f"worker{where}: {text}", remedy=event.remedy)
        self.exit_status = exit_status


def parse_event(line: bytes) -> WorkerEvent:
    """Return the event in `line`.

    Raises:
        FormatError: not an event that a worker of this version writes.
    """
    value = parse_json(line, limit=LINE_BYTES_MAX, what="worker event")
    known: dict[str, Any] = {item.name: item for item in fields(WorkerEvent)}
    if not isinstance(value, dict) or not value.keys() <= known.keys():
        raise FormatError(Code.MESSAGE_MALFORMED, "worker event: unknown fields")
    try:
        return WorkerEvent(**value)
    except TypeError:
        raise FormatError(Code.MESSAGE_MALFORMED, "worker event: no kind") from None


def _code(text: str) -> Code:
    try:
        return Code(text)
    except ValueError:
        return Code.WORKER_FAILED
