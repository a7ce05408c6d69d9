"""A hard limit on a run's memory: what goes beyond it is killed, not slowed down.

A control group of version 1 or 2 where we may make one; it counts every page that the run touches,
its page cache included. Elsewhere RLIMIT_DATA, which counts private memory whether touched or not,
and at which allocations fail.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.testing.bench.job import Job

_ROOTS: Final = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),  # version 1
    (Path("/sys/fs/cgroup"), "memory.max"),  # version 2
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """How a run is limited; `kind` says it to people."""

    kind: str = "none"
    cgroup: str = ""
    data_limit: int = 0


@contextlib.contextmanager
def memory_cap(limit: int) -> Iterator[Cap]:
    """Yield a cap of `limit` bytes, 0 for none, and take it away again."""
    if not limit:
        yield Cap()
        return
    for root, file in _ROOTS:
        group = _make(root, file, limit)
        if group is None:
            continue
        try:
            yield Cap(kind=f"cgroup {file}", cgroup=str(group))
        finally:
            # The kernel keeps the last pages of a group a moment longer; an empty one is harmless.
            with contextlib.suppress(OSError):
                group.rmdir()
        return
    yield Cap(kind="RLIMIT_DATA", data_limit=limit)


def enter(job: Job) -> None:
    """Put this process, and whatever it starts from now on, under the job's cap."""
    if job.cgroup:
        (Path(job.cgroup) / "cgroup.procs").write_text(str(os.getpid()))
    if job.data_limit:
        resource.setrlimit(resource.RLIMIT_DATA, (job.data_limit, job.data_limit))


def _make(root: Path, file: str, limit: int) -> Path | None:
    if not (root / "cgroup.procs").exists():
        return None
    group = root / f"sealtune-bench-{os.getpid()}"
    try:
        group.mkdir()
        (group / file).write_text(str(limit))
        # Version 2 makes memory.swap.max, version 1 memory.memsw; without swap neither matters.
        swap = group / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        return None
    return group
