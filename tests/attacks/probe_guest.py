"""The program of a probe image: prepares and confines itself as the worker does, then looks around.

It stands in the place of `sealtune.worker.guest`, which is beside it as `agreed_guest` and does all
of the work; what was found leaves as the run's receipt. It never runs on the host.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import signal
import socket  # noqa: F401 - the attempts use it
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sealtune.worker.attempts import KILLED

from sealtune.tee.guest.confine import Cage
from sealtune.tee.guest.confine import confine as agreed_confine
from sealtune.worker import agreed_guest as guest

FOUND: dict[str, Any] = {}
_STATE = ("/proc/sys/kernel/modules_disabled", "/proc/sys/kernel/kexec_load_disabled")
_STATE += ("/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/io_uring_disabled")
_STATE += ("/sys/kernel/security/lockdown", "/proc/mounts", "/proc/cmdline", "/proc/net/route")
_INIT_MODULE, _KEXEC_LOAD, _IOPL = 175, 246, 172
_MODULE = b"\x7fELF" + bytes(60)
libc = ctypes.CDLL(None, use_errno=True)


def look_and_confine(cage: Cage) -> None:
    """Try as root, then in processes that are caged one by one, then be caged oneself."""
    FOUND["state"] = {path: Path(path).read_text() for path in _STATE}
    FOUND["interfaces"] = sorted(path.name for path in Path("/sys/class/net").iterdir())
    FOUND["processes"] = programs()
    FOUND["as_root"] = {name: outcome(attempt) for name, attempt in AS_ROOT.items()}
    FOUND["disks"] = disks()
    FOUND["killed"] = {
        name: caged(cage, lambda program=program: exec(program, globals()))
        for name, program in KILLED.items()
    }
    places = everything()
    FOUND["tried"] = len(places)
    for name, flags in (("read", os.O_RDONLY), ("write", os.O_WRONLY)):
        FOUND[name] = json.loads(caged(cage, lambda f=flags: opened(places, f)))
    FOUND["made"] = {
        place: caged(cage, lambda p=place: make(p))
        for place in ("/", "/usr", "/opt", "/etc", "/run", "/tmp", "/dev", "/dev/shm", "/proc")
    }
    agreed_confine(cage)


def report(prepared: Any, exits: Any) -> None:
    """Look at what holds in the worker's own process, and hand over all that was found."""
    tasks = Path("/proc/self/task").iterdir()
    lines = [path.joinpath("status").read_text().splitlines() for path in tasks]
    fields = ("Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
    FOUND["threads"] = [
        {
            name: value.split()
            for name, value in (line.split(":", 1) for line in task)
            if name in fields
        }
        for task in lines
    ]
    # In the receipt's place: a file that a run has to leave, and that the host takes from its disk.
    place = prepared.output / "receipt.json"
    place.write_text(json.dumps(FOUND))
    prepared.outbox.publish(place)
    exits.finished("sha256:" + "00" * 32, reported=True)


def outcome(attempt: Callable[[], object]) -> str:
    """Return what came of `attempt`, in one word."""
    try:
        said = attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    return said if isinstance(said, str) else "done"


def caged(cage: Cage, attempt: Callable[[], object]) -> str:
    """Return what comes of `attempt` in a process of its own that went into the cage."""
    end, start = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            agreed_confine(cage)
            said = outcome(attempt).encode()
            while said:
                said = said[os.write(start, said) :]
            os._exit(0)
        os._exit(99)
    os.close(start)
    with os.fdopen(end, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return said.decode() if os.WEXITSTATUS(status) == 0 else "not caged"


def call(number: int, *arguments: int | bytes) -> None:
    """Make a system call that is expected to fail."""
    words = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    if libc.syscall(ctypes.c_long(number), *words) == -1:
        raise OSError(ctypes.get_errno(), "")


def make(place: str) -> None:
    """Make a file in the folder `place`."""
    os.close(os.open(f"{place}/made", os.O_WRONLY | os.O_CREAT, 0o600))


AS_ROOT: dict[str, Callable[[], object]] = {
    "write-root": lambda: make("/usr"),
    "change-program": lambda: os.open("/usr/bin/python3.11", os.O_WRONLY),
    "module": lambda: call(_INIT_MODULE, _MODULE, len(_MODULE), b""),
    "kexec": lambda: call(_KEXEC_LOAD, 0, 0, b"", 0),
    "ports": lambda: call(_IOPL, 3),
    "memory-of-the-kernel": lambda: os.open("/proc/kcore", os.O_RDONLY),
    "modules-again": lambda: Path("/proc/sys/kernel/modules_disabled").write_text("0"),
}


def disks() -> dict[str, str]:
    """Return what comes of writing to each disk, as root; nothing is changed by it."""
    found = {}
    for block in Path("/sys/block").glob("vd*"):
        device = f"/dev/{block.name}"

        def rewrite(device: str = device) -> None:
            with Path(device).open("rb") as disk:
                first = disk.read(512)
            descriptor = os.open(device, os.O_WRONLY | os.O_SYNC)
            try:
                os.pwrite(descriptor, first, 0)
            finally:
                os.close(descriptor)

        found[(block / "serial").read_text().strip()] = outcome(rewrite)
    return found


def programs() -> list[str]:
    """Return the numbers of all processes that have a program: those that are not the kernel's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            entry.joinpath("exe").readlink()
            found.append("worker" if int(entry.name) == os.getpid() else entry.name)
    return sorted(found)


def everything() -> list[str]:
    """Return every file and folder of the machine but what the image's root holds in /usr.

    No links: what they lead to is among the others, or in /usr.
    """
    own = {"1", str(os.getpid())}
    found = []
    for folder, inner, files in os.walk("/"):
        if folder == "/":
            inner.remove("usr")
        if folder == "/proc":
            inner[:] = [name for name in inner if not name.isdigit() or name in own]
        places = (Path(folder, name) for name in (*inner, *files))
        found += [str(place) for place in places if not place.is_symlink()]
    return found


def opened(places: list[str], flags: int) -> str:
    """Return those of `places` that can be opened."""
    found = []
    for place in places:
        with contextlib.suppress(OSError):
            os.close(os.open(place, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
            found.append(place)
    return json.dumps(found)


def main() -> int:
    """Do what the agreed guest does, and look around where it would work."""
    guest.confine = look_and_confine
    guest._work = report
    return int(guest.main())


if __name__ == "__main__":
    sys.exit(main())
