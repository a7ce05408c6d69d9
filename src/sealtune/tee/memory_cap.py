"""A hard limit on a worker's memory, for runs on this machine itself.

A control group where the launcher may make one, which counts what is really used; a resource limit
on the process's data elsewhere. Whoever exceeds the former is killed, the latter refuses memory.
Either holds for all processes of the worker from its first instruction. In a virtual machine and in
an enclave their own size is the limit.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sealtune.core.limits import KIB
from sealtune.core.memory import CGROUPS, PROC, group_folders, tightest_group
from sealtune.errors import Code, ConfigError

# The shell moves itself ("0") and then becomes the worker: no moment without the limit.
_MOVE: Final = 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"'
_LIMIT: Final = 'ulimit -d "$1" && shift && exec "$@"'
_SHELL: Final = "/bin/sh"
_ATTEMPTS: Final = 50
_PAUSE_S: Final = 0.02
_TRIAL_S: Final = 10.0


class CapKind(StrEnum):
    """What enforces a limit."""

    UNIFIED = "cgroup v2"
    LEGACY = "cgroup v1"
    RESOURCE = "RLIMIT_DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCap:
    """A limit in force; `folder` is its control group, if it has one."""

    kind: CapKind
    bytes: int
    folder: Path | None

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Return `command` so that it runs below the limit, or not at all."""
        if self.folder is None:
            return [_SHELL, "-c", _LIMIT, "sh", str(self.bytes // KIB), *command]
        return [_SHELL, "-c", _MOVE, "sh", str(self.folder), *command]

    def was_hit(self) -> bool:
        """Whether a process was killed for exceeding it."""
        if self.folder is None:
            return False
        name = "memory.events" if self.kind is CapKind.UNIFIED else "memory.oom_control"
        with contextlib.suppress(OSError):
            return killed_count((self.folder / name).read_text("ascii")) > 0
        return False


@contextlib.contextmanager
def memory_cap(
    limit: int | None, *, proc: Path = PROC, cgroups: Path = CGROUPS
) -> Iterator[MemoryCap | None]:
    """Yield a limit of `limit` bytes in force while the block lasts, or None without one.

    Raises:
        ConfigError: there is no shell to set it with.
    """
    if limit is None:
        yield None
        return
    if not Path(_SHELL).exists():
        message = f"a memory limit needs {_SHELL}, which this machine lacks"
        raise ConfigError(Code.CONFIG_INVALID, message)
    cap = _group_cap(limit, proc=proc, cgroups=cgroups)
    try:
        yield cap or MemoryCap(kind=CapKind.RESOURCE, bytes=limit, folder=None)
    finally:
        if cap is not None and cap.folder is not None:
            _remove(cap.folder)


def group_shown(cap: MemoryCap | None) -> tuple[Path, Path] | None:
    """Return the folder that says the worker's limit, and where a sandbox shows it; or None.

    A sandbox has a file system of its own, in which its worker would see no limit at all.
    """
    folder, file = None, ""
    if cap is not None and cap.folder is not None:
        folder = cap.folder
        file = "memory.max" if cap.kind is CapKind.UNIFIED else "memory.limit_in_bytes"
    elif (group := tightest_group()) is not None:
        folder, file = group.folder, group.file
    if folder is None:
        return None
    return folder, CGROUPS if file == "memory.max" else CGROUPS / "memory"


def killed_count(text: str) -> int:
    """Return how many processes a group's file says were killed for want of memory."""
    for line in text.splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill" and count.isdigit():
            return int(count)
    return 0


def _group_cap(limit: int, *, proc: Path, cgroups: Path) -> MemoryCap | None:
    # The innermost first: further out other groups of this machine are siblings.
    for parent, file in [*group_folders(proc=proc, cgroups=cgroups), *_roots(cgroups)]:
        folder = parent / f"sealtune-{secrets.token_hex(6)}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if _set(folder, file, limit):
            kind = CapKind.UNIFIED if file == "memory.max" else CapKind.LEGACY
            return MemoryCap(kind=kind, bytes=limit, folder=folder)
        _remove(folder)
    return None


def _roots(cgroups: Path) -> Iterator[tuple[Path, str]]:
    # The root of version 2 has no limit of its own, and its groups may.
    if (cgroups / "cgroup.controllers").is_file():
        yield cgroups, "memory.max"


def _set(folder: Path, file: str, limit: int) -> bool:
    # Swapping would make the limit soft, and the host's disk a part of the enclave's memory.
    values = {file: str(limit)}
    if file == "memory.max":
        values["memory.swap.max"] = "0"
    else:
        values["memory.memsw.limit_in_bytes"] = str(limit)
    try:
        for name, value in values.items():
            # Without swapping in the kernel there is nothing to forbid. No limit is another matter.
            if name == file or (folder / name).exists():
                with (folder / name).open("r+", encoding="ascii") as setting:
                    setting.write(value)
    except OSError:
        return False
    # Whether a process may be moved into it depends on all folders in between: a trial says it.
    trial = [_SHELL, "-c", _MOVE, "sh", str(folder), "true"]
    try:
        done = subprocess.run(trial, capture_output=True, check=False, timeout=_TRIAL_S)
    except subprocess.TimeoutExpired:  # a group that is frozen, say
        return False
    return done.returncode == 0


def _remove(folder: Path) -> None:
    # Its processes have ended; the kernel may take a moment to notice.
    for _ in range(_ATTEMPTS):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_PAUSE_S)
        else:
            return
