"""What one input does: the error that comes out, processor time, and memory.

Time is the processor's, in this process, the least of up to four runs: a busy machine makes a run
longer, never shorter. Memory is the peak of what Python allocates during the call (tracemalloc),
beyond what was there before; what libraries take elsewhere shows in `grown`, the growth of the
process in a child of its own.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import resource
import time
import traceback
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

from fuzz_targets import Target

from sealtune.errors import SealtuneError

SECONDS_MAX = 0.1
BYTES_MAX = 64 * 1024 * 1024
_RUNS = 3
_SOURCE = f"{os.sep}sealtune{os.sep}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: the processor's seconds, and what came out that may not ("" for nothing)."""

    seconds: float
    escaped: str


@functools.cache
def _caches() -> tuple[functools._lru_cache_wrapper[object], ...]:
    """Return the caches of our own functions; an input must not be cheap for having been seen."""
    return tuple(
        found
        for found in gc.get_objects()
        # By type alone: asking some libraries' objects for more runs their code.
        if type(found) is functools._lru_cache_wrapper
        and str(getattr(found, "__module__", "")).startswith("sealtune.")
        and ".testing." not in str(found.__module__)
    )


def _forget() -> None:
    for found in _caches():
        found.cache_clear()


def run_once(target: Target, data: bytes) -> Run:
    """Give `data` to `target` and say what happened."""
    case = target.case(data)
    _forget()
    start = time.process_time_ns()
    escaped = ""
    try:
        case()
    except SealtuneError as error:
        # Logs and terminals take it as it is.
        if not error.message.isprintable():
            escaped = f"a message that is not printable: {_place_of(error)}"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a native library is no Exception
        escaped = _place_of(error)
    return Run(seconds=(time.process_time_ns() - start) / 1e9, escaped=escaped)


def run_steadily(target: Target, data: bytes) -> Run:
    """Give `data` to `target`; if that takes too long, three times more: the least time counts."""
    first = run_once(target, data)
    if first.seconds <= SECONDS_MAX:
        return first
    again = min((run_once(target, data) for _ in range(_RUNS)), key=lambda run: run.seconds)
    return again if again.seconds < first.seconds else first


def allocated(target: Target, data: bytes) -> int:
    """Return the peak of what Python allocates while `target` reads `data`, in bytes."""
    case = target.case(data)
    _forget()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        _quietly(case)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


def grown(target: Target, data: bytes) -> int:
    """Return by how much a process grows while `target` reads `data`, in bytes.

    In a child, whose memory is what this process has and no more.
    """
    case = target.case(data)
    _forget()
    gc.collect()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        before = _resident()
        _quietly(case)
        os.write(writer, str(_status("VmHWM") - before).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return int(text or BYTES_MAX)  # a child that died said nothing


def _resident() -> int:
    """Return what is in memory now, and let the peak be counted from here on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _quietly(case: object) -> None:
    try:
        case()  # type: ignore[operator]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001, S110 - `run_once` looks at it
        pass


def _place_of(error: BaseException) -> str:
    """Return the error's type and the last line of ours that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _SOURCE in frame.filename] or frames
    last = ours[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno} ({last.name})"
