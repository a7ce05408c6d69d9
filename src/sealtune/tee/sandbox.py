"""The command line that confines a worker process on a host that is not a TEE.

Bubblewrap gives it no network, a read-only file system with only Python and its inputs in it, a
private /tmp, its own process space and an empty environment. It protects the host from the worker
and catches accidents; it does not protect the data from the host, which only a TEE does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import sealtune
from sealtune.core.environment import Place, environment

_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - private to the sandbox
    **environment(Place.PROCESS),
}
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/alternatives")
# The C library asks for it before it asks for huge pages.
_HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage"


def worker_environment() -> dict[str, str]:
    """Return the worker's whole environment; nothing of the caller's passes."""
    return dict(_ENVIRONMENT)


@cache
def sandbox_available() -> str:
    """Return bubblewrap's path if it works on this host, else an empty text."""
    path = shutil.which("bwrap")
    if path is None:
        return ""
    probe = [path, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "/bin/true"]
    try:
        done = subprocess.run(probe, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return path if done.returncode == 0 else ""


def sandboxed(
    command: Sequence[str],
    *,
    bubblewrap: str,
    readable: Sequence[Path],
    writable: Sequence[Path],
    group: tuple[Path, Path] | None,
) -> list[str]:
    """Return `command` wrapped so that it sees Python, `readable`, `writable` and no more.

    `group` is a control group's folder, and where it is shown.
    """
    arguments = [
        bubblewrap,
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        "--cap-drop",
        "ALL",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",  # noqa: S108 - the sandbox's own
    ]
    for name, value in worker_environment().items():
        arguments += ["--setenv", name, value]
    for place in (*_SYSTEM, _HUGE_PAGES, *_python_folders()):
        arguments += ["--ro-bind-try", str(place), str(place)]
    for path in readable:
        arguments += ["--ro-bind", str(path), str(path)]
    if group is not None:
        arguments += ["--ro-bind-try", *map(str, group)]
    for path in writable:
        arguments += ["--bind", str(path), str(path)]
    return [*arguments, "--chdir", "/", "--", *command]


def _python_folders() -> list[Path]:
    # The interpreter, its packages, and our own code where it is installed in place.
    package = Path(sealtune.__file__).resolve().parent
    folders = [Path(sys.base_prefix), Path(sys.prefix), package.parent]
    return sorted({folder.resolve() for folder in folders} | {Path(sys.prefix)})
