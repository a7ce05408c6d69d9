"""Starts a run as a process of its own and returns what it gave.

Nothing of one run (allocator, caches, imported libraries) is left for the next, and its peak memory
is its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from sealtune.errors import Code, TrainingError
from sealtune.tee.sandbox import worker_environment
from sealtune.testing.bench.job import Job

_PACKAGE: Final = "sealtune.testing.bench"
_TAIL: Final = 400  # characters of what a failed program said last


def run_child(program: str, job: Job, *, folder: Path) -> tuple[dict[str, Any], float]:
    """Run `program` (a module of this package) on `job` in `folder`.

    Returns its result and the time, of the monotonic clock, at which it was started.

    Raises:
        TrainingError: `BENCH_FAILED`: it stopped; its last words are in the message.
    """
    folder.mkdir(parents=True)
    job = job.at(folder)
    path = job.write(folder / "job.json")
    log = folder / "log.txt"
    start = time.monotonic()
    with log.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-m", f"{_PACKAGE}.{program}", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=_environment(program),
            check=False,
        )
    if done.returncode or not Path(job.result).is_file():
        raise _failed(program, done.returncode, log)
    return json.loads(Path(job.result).read_text()), start


def _environment(program: str) -> dict[str, str]:
    if program == "peer":
        # As its users have it, save that it asks no server for anything.
        return {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    # The settings that a worker runs with, in plaintext runs too: they are not what is compared.
    own = worker_environment()
    if "PYTHONPATH" in os.environ:
        own["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return own


def _failed(program: str, status: int, log: Path) -> TrainingError:
    code = Code.BENCH_FAILED
    if status == -signal.SIGKILL:
        code = Code.MEMORY_EXCEEDED
        how = "was killed, as what exceeds its memory is"
    elif status < 0:
        how = f"was stopped by signal {-status}"
    else:
        lines = log.read_text(errors="replace").strip().splitlines()
        how = f"ended with status {status}: {lines[-1][-_TAIL:] if lines else 'no word'}"
    # The records are random words or public abstracts: its words can quote nothing private.
    message = f"the run of {program!r} {how}"
    return TrainingError(code, message, remedy=f"see {log}")
