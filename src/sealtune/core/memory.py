"""How much memory this process may use, and how much it uses: what Linux says in its files.

The smallest of what binds is the limit: a control group (both versions), a resource limit, or the
machine. In a virtual machine and in an SGX enclave that is their own memory. What cannot be read
does not bind. Nothing here decides about trust: whoever lies about memory makes a run slow or ends
it, which the operator can do anyway.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.core.limits import GIB, KIB

CGROUPS: Final = Path("/sys/fs/cgroup")
PROC: Final = Path("/proc")
_FILE_BYTES_MAX: Final = 64 * KIB  # /proc/meminfo is the largest, a few KiB
# Version 1 says "no limit" with a number close to 2^63, as pages allow.
_UNLIMITED_BYTES: Final = 2**60
_MACHINE: Final = re.compile(r"^MemTotal:\s+([0-9]{1,15}) kB$", re.MULTILINE)
_NUMBER: Final = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLimit:
    """A number of bytes, and what sets it: `machine`, `RLIMIT_DATA`, or a control group's file."""

    bytes: int
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """A folder of the control groups' file system whose `file` limits this process's memory."""

    folder: Path
    file: str
    bytes: int


def memory_available() -> int:
    """Return how many bytes of memory this process may use at most."""
    return memory_limit().bytes


def memory_limit(*, proc: Path = PROC, cgroups: Path = CGROUPS) -> MemoryLimit:
    """Return the limit that binds first.

    Raises:
        OSError: the machine does not even say how much memory it has.
    """
    limits = [MemoryLimit(bytes=_machine_bytes(proc), origin="machine")]
    for name in ("RLIMIT_AS", "RLIMIT_DATA"):
        soft, _ = resource.getrlimit(getattr(resource, name))
        if soft != resource.RLIM_INFINITY:
            limits.append(MemoryLimit(bytes=soft, origin=name))
    group = tightest_group(proc=proc, cgroups=cgroups)
    if group is not None:
        limits.append(MemoryLimit(bytes=group.bytes, origin=str(group.folder / group.file)))
    return min(limits, key=lambda limit: limit.bytes)


def tightest_group(*, proc: Path = PROC, cgroups: Path = CGROUPS) -> ControlGroup | None:
    """Return the control group, of those around this process, with the smallest limit; or None."""
    groups = []
    for folder, file in group_folders(proc=proc, cgroups=cgroups):
        limit = parse_group_limit(_read(folder / file))
        if limit is not None:
            groups.append(ControlGroup(folder=folder, file=file, bytes=limit))
    return min(groups, key=lambda group: group.bytes, default=None)


def group_folders(*, proc: Path = PROC, cgroups: Path = CGROUPS) -> Iterator[tuple[Path, str]]:
    """Yield each folder that may limit this process, the innermost first, with its file's name."""
    unified, legacy = parse_own_groups(_read(proc / "self/cgroup"))
    for mount, path, file in (
        (cgroups, unified, "memory.max"),
        (cgroups / "unified", unified, "memory.max"),
        (cgroups / "memory", legacy, "memory.limit_in_bytes"),
    ):
        if path is None:
            continue
        inner = mount.joinpath(*path)
        for folder in (inner, *inner.parents):
            if (folder / file).is_file():
                yield folder, file
            if folder == mount:
                break


def memory_in_use(*, proc: Path = PROC) -> int:
    """Return how many bytes of memory this process has in use; 0 where the system does not say."""
    words = _read(proc / "self/statm").split()
    if len(words) < 2 or not _NUMBER.fullmatch(words[1]):
        return 0
    return int(words[1]) * resource.getpagesize()


def parse_machine(text: str) -> int | None:
    """Return the bytes that a /proc/meminfo gives the machine, or None."""
    found = _MACHINE.search(text)
    return int(found[1]) * KIB if found else None


def parse_group_limit(text: str) -> int | None:
    """Return the limit that a group's file names, or None where it names none."""
    text = text.strip()
    if not _NUMBER.fullmatch(text) or int(text) >= _UNLIMITED_BYTES:
        return None
    return int(text)


def parse_own_groups(text: str) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return the path in the unified hierarchy and in version 1's memory, of a /proc/self/cgroup.

    A group outside of what this process may see has a path with `..`: the outermost that it sees is
    taken then.
    """
    unified = legacy = None
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = tuple(name for name in path.split("/") if name)
        parts = () if ".." in names else names
        if number == "0" and not controllers:
            unified = parts
        elif "memory" in controllers.split(","):
            legacy = parts
    return unified, legacy


def size_text(size: int) -> str:
    """Return `size` bytes for people."""
    return f"{size / GIB:.2f} GiB"


def _machine_bytes(proc: Path) -> int:
    total = parse_machine(_read(proc / "meminfo"))
    if total is None:
        total = os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()
    return total


def _read(path: Path) -> str:
    # A guest's worker may not see them, a container may lack them.
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(_FILE_BYTES_MAX).decode("ascii", errors="replace")
    return ""
