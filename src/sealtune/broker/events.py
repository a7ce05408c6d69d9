"""The broker's running log: one JSON object for each line on stderr.

For operators, not for auditors (that is the decision log). Events carry names, digests and codes;
no key, share, challenge or evidence is ever passed to it. Whatever concerns simulated evidence says
INSECURE.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

_LOGGER = logging.getLogger("sealtune.broker")


def log_event(event: str, *, insecure: bool = False, **fields: str | int | bool | None) -> None:
    """Write one line about `event`; `insecure` adds the word that nobody may overlook."""
    marked = {"warning": "INSECURE: simulated evidence"} if insecure else {}
    level = logging.WARNING if insecure else logging.INFO
    _LOGGER.log(level, event, extra={"fields": {**fields, **marked}})


def log_failure(event: str) -> None:
    """Write one line about the exception being handled: where it arose, not what it says."""
    _LOGGER.error(event, exc_info=True)


def configure_logging() -> None:
    """Send this process's log, uvicorn's warnings included, to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(logging.INFO)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: value for name, value in fields.items() if value is not None},
        }
        if record.exc_info:
            # The place of a defect, not its values: a message might quote what it choked on.
            line["exception"] = _frames(record)
        return json.dumps(line)


def _frames(record: logging.LogRecord) -> list[str]:
    kind, _, trace = record.exc_info or (None, None, None)
    frames = [kind.__name__ if kind else "exception"]
    while trace is not None and len(frames) < 40:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames
