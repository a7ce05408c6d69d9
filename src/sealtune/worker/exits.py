"""The worker's only door for plaintext: every byte that leaves is one event of a known class.

Classes (docs/spec/protocol.md, "What leaves the enclave"):

* `phase`, `finished`, `failed`: always; they say nothing that the operator does not see anyway.
* `progress`, `rates`, `loss`, `evaluation`: only when the contract's telemetry names them; what
  `planned` says of the arithmetic goes with `rates`.

Everything else that a library prints is thrown away: the standard streams are closed to it. After a
key has been released an error leaves as its code alone, because its text may describe the data.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sealtune.core.limits import MIB
from sealtune.core.memory import memory_in_use
from sealtune.errors import (
    Code,
    ReleaseDenied,
    SealtuneError,
    StorageError,
    TransportError,
    VerificationError,
)

PHASES = (
    "contract",
    "inputs",
    "attest",
    "open",
    "train",
    "gate",
    "seal",
    "receipt",
    "report",
)
# A mean over less would tell the length of single batches; people read no faster than a second.
_RATES_SECONDS: Final = 1.0
_RATES_STEPS: Final = 4
_PLANNED: Final = ("precision", "lean", "tokens", "recompute", "streamed")
# Their texts name brokers, rules, digests, sizes and the operator's own paths, never a record.
_SPEAKS_OF_NO_DATA = (TransportError, StorageError, ReleaseDenied, VerificationError)


class Exits:
    """Writes events as JSON lines to one place; threads may share it."""

    def __init__(
        self,
        place: int | Callable[[bytes], None],
        *,
        insecure: bool,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a descriptor, or what takes one line in a call; `seconds` measures rates."""
        self._write_line = _to_descriptor(place) if isinstance(place, int) else place
        self._lock = threading.Lock()
        self._telemetry: frozenset[str] = frozenset()
        self._keys_present = False
        self._insecure = insecure
        self._rates = _Rates(seconds)
        self.current_phase = ""

    def allow(self, telemetry: frozenset[str]) -> None:
        """Let out the telemetry that the verified contract names."""
        self._telemetry = telemetry

    def keys_released(self) -> None:
        """From now on plaintext is in memory: errors leave as codes only."""
        self._keys_present = True

    def phase(self, name: str) -> None:
        """Say that phase `name`, one of `PHASES`, begins."""
        if name not in PHASES:
            raise ValueError(f"{name} is not a classified phase")
        self.current_phase = name
        self._write({"event": "phase", "phase": name})

    def progress(self, step: int, total: int, tokens: int) -> None:
        """Say how far training is and how fast, each if the contract lets that out."""
        self._optional("progress", {"step": step, "total": total})
        speed = self._rates.speed(step, tokens)
        if speed is not None:
            # In whole MiB: finer, it would follow the content of single batches.
            used = -(-memory_in_use() // MIB) * MIB
            self._optional("rates", {"tokens_per_second": speed, "memory_bytes": used})

    def loss(self, step: int, value: float) -> None:
        """Say the training loss, if the contract lets that out."""
        self._optional("loss", {"step": step, "loss": round(value, 4)})

    def evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Say evaluation figures, if the contract lets those out."""
        rounded = {name: round(value, 4) for name, value in metrics.items()}
        self._optional("evaluation", {"step": step, "metrics": rounded})

    def planned(self, plan: Mapping[str, Any]) -> None:
        """Say how the run is computed, if the contract lets rates out; its reasons stay inside."""
        if "rates" in self._telemetry:
            shown = {name: plan["choices"][name] for name in _PLANNED}
            self._write({"event": "planned", "plan": shown})

    def not_anchored(self) -> None:
        """Say that no broker confirmed the latest training checkpoint."""
        self._write({"event": "checkpoint-not-anchored"})

    def finished(self, receipt: str, *, reported: bool) -> None:
        """Say that the receipt with digest `receipt` stands, and whether every broker has it."""
        self._write({"event": "finished", "receipt": receipt, "reported": reported})

    def failed(self, error: BaseException) -> int:
        """Say what stopped the job and return the exit status of its family."""
        if not isinstance(error, SealtuneError):
            # Its text is unknown, so it stays inside.
            code = Code.MEMORY_EXCEEDED if _lacks_memory(error) else Code.INTERNAL
            self._write({"event": "failed", "code": code, "phase": self.current_phase})
            return 1
        event = {"event": "failed", "code": error.code, "phase": self.current_phase}
        if not self._keys_present or isinstance(error, _SPEAKS_OF_NO_DATA):
            event |= {"message": error.message, "remedy": error.remedy}
        self._write(event)
        return error.exit_status

    def _optional(self, name: str, fields: dict[str, Any]) -> None:
        if name in self._telemetry:
            self._write({"event": name, **fields})

    def _write(self, event: dict[str, Any]) -> None:
        if self._insecure:
            event["insecure"] = True
        line = json.dumps(event).encode() + b"\n"
        # A reader that went away must not stop a run whose state is sealed and resumable.
        with self._lock, contextlib.suppress(OSError):
            self._write_line(line)


def _lacks_memory(error: BaseException) -> bool:
    # torch has no class of its own for it on a processor.
    return isinstance(error, MemoryError) or "DefaultCPUAllocator: can't allocate" in str(error)


class _Rates:
    """Tokens per second since the last time that it was worth saying."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        # At first, since a resumed run begins in the middle, there is nothing to compare with.
        self._last: tuple[float, int, int] | None = None

    def speed(self, step: int, tokens: int) -> int | None:
        now = self._seconds()
        if self._last is None:
            self._last = now, step, tokens
            return None
        passed = now - self._last[0]
        # Both: steps of a large model take longer than a second each.
        if passed < _RATES_SECONDS or step - self._last[1] < _RATES_STEPS:
            return None
        speed = round((tokens - self._last[2]) / passed)
        self._last = now, step, tokens
        return speed


def _to_descriptor(descriptor: int) -> Callable[[bytes], None]:
    def write(line: bytes) -> None:
        while line:
            line = line[os.write(descriptor, line) :]

    return write


def close_standard_streams() -> int:
    """Point the standard streams at nothing; return a descriptor of the real standard output.

    Libraries, warnings and tracebacks would otherwise print what they handle.
    """
    descriptor = os.dup(1)
    os.set_inheritable(descriptor, False)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
    return descriptor
