"""Runs one worker process, relays what it says, and leaves nothing of it running.

The process may be a worker itself, a sandbox around one, or what starts an enclave.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sealtune.core.memory import size_text
from sealtune.errors import Code, SealtuneError
from sealtune.tee.events import LINE_BYTES_MAX, WorkerError, WorkerEvent, parse_event
from sealtune.tee.memory_cap import MemoryCap

RESUMES = "run the same command again: the run resumes from its last sealed training checkpoint"
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProcess:
    """What is started, where, and with which environment.

    `log` is where its standard error goes; None means nowhere. `cap` limits its memory.
    """

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path | None = None
    cap: MemoryCap | None = None


def supervise(
    process: WorkerProcess,
    *,
    timeout_seconds: float | None,
    on_event: Callable[[WorkerEvent], None],
) -> tuple[WorkerEvent, dict[str, float]]:
    """Run `process` to its end; return its last event and its seconds in each phase.

    Raises:
        FormatError: it says something else than events.
        WorkerError: it stopped; its code says why.
        SealtuneError: it ended without saying why, or for want of memory.
    """
    seconds: dict[str, float] = {}
    phase, since = "", time.monotonic()
    last = WorkerEvent(event="")
    with _started(process, timeout=timeout_seconds) as worker:
        for event in _events(worker):
            if event.event == "phase":
                seconds[phase] = seconds.get(phase, 0.0) + time.monotonic() - since
                phase, since = event.phase, time.monotonic()
            last = event
            on_event(event)
        status = worker.wait()
    seconds[phase] = seconds.get(phase, 0.0) + time.monotonic() - since
    seconds.pop("", None)
    if status == 0 and last.event == "finished":
        return last, seconds
    if last.event == "failed":
        raise WorkerError(last, status if status > 0 else 1)
    if process.cap is not None and process.cap.was_hit():
        raise _exceeded(process.cap, phase)
    raise _unexplained(status, phase, process.log)


def _unexplained(status: int, phase: str, log: Path | None) -> SealtuneError:
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    message = f"the worker {how} without saying why"
    if phase:
        message += f" in phase {phase}"
    remedy = RESUMES if log is None else f"{RESUMES}; what started it said more in {log}"
    return SealtuneError(Code.WORKER_FAILED, message, remedy=remedy)


def _exceeded(cap: MemoryCap, phase: str) -> SealtuneError:
    message = f"the worker was killed in phase {phase or 'none'}: it needed more memory than its"
    message += f" limit of {size_text(cap.bytes)} ({cap.kind})"
    return SealtuneError(Code.MEMORY_EXCEEDED, message, remedy="raise --memory-limit")


@contextlib.contextmanager
def _started(process: WorkerProcess, *, timeout: float | None) -> Iterator[subprocess.Popen[bytes]]:
    with _error_stream(process.log) as errors:
        worker = subprocess.Popen(
            process.command if process.cap is None else process.cap.wrap(process.command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=dict(process.environment),
            cwd=process.folder,
            start_new_session=True,
        )
    timer = threading.Timer(timeout or 0, _stop, (worker,))
    try:
        if timeout is not None:
            timer.start()
        yield worker
    finally:
        timer.cancel()
        _stop(worker)
        _wait_for_silence(worker)


def _error_stream(log: Path | None) -> contextlib.AbstractContextManager[BinaryIO | int]:
    return contextlib.nullcontext(subprocess.DEVNULL) if log is None else log.open("wb")


def _stop(worker: subprocess.Popen[bytes]) -> None:
    # The whole group: a sandbox is a parent of the worker, and nothing may stay behind.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGTERM)
    try:
        worker.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def _wait_for_silence(worker: subprocess.Popen[bytes]) -> None:
    # A sandbox's inner processes die after the outer one; the last of them closes the pipe.
    stream = worker.stdout
    if stream is None:
        return
    deadline = time.monotonic() + _STOP_SECONDS
    with stream:
        while select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
            if not os.read(stream.fileno(), LINE_BYTES_MAX):
                return


def _events(worker: subprocess.Popen[bytes]) -> Iterator[WorkerEvent]:
    stream = worker.stdout
    if stream is None:
        raise RuntimeError("the worker was started without a pipe")
    while line := stream.readline(LINE_BYTES_MAX + 1):
        yield parse_event(line)
