"""The cage around the worker inside a measured VM (spec/vm §5).

An unprivileged user without capabilities, a seccomp filter and Landlock. It protects the host and
the parties from code that a hostile input might have taken over: what it leaves is the channel, the
given disks and memory. It does not protect the worker from the kernel or the host.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.core.process import forbid_core_dumps
from sealtune.errors import Code, ConfigError
from sealtune.tee.guest.landlock import landlock_version, restrict_files
from sealtune.tee.guest.seccomp import filter_calls

WITHOUT_LANDLOCK: Final = "sealtune.landlock=off"  # on the command line, which is measured
COMMAND_LINE: Final = Path("/proc/cmdline")
_COMMAND_LINE_BYTES_MAX: Final = 4096
_TASKS: Final = Path("/proc/self/task")
_STATUS: Final = Path("/proc/self/status")
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 23, 24, 38
_CAPABILITIES: Final = 64
_CAPSET, _CAPABILITY_VERSION = 126, 0x20080522
_FILES_MAX: Final = 1024
_PROCESSES_MAX: Final = 512  # the threads of this user


@dataclass(frozen=True, slots=True, kw_only=True)
class Cage:
    """Whom the worker becomes, and what it may open then; open descriptors stay."""

    user: int
    readable: Sequence[Path]
    writable: Sequence[Path]
    landlock: bool


def landlock_wanted(command_line: Path = COMMAND_LINE) -> bool:
    """Return whether Landlock has to be there; only the measured command line may say no."""
    with command_line.open("rb") as file:
        words = file.read(_COMMAND_LINE_BYTES_MAX).split()
    return WITHOUT_LANDLOCK.encode() not in words


def confine(cage: Cage) -> None:
    """Lock this process in, for good; it must still have one thread.

    Raises:
        ConfigError: this machine cannot do all of it; part of it may hold by then.
    """
    if platform.machine() != "x86_64":
        raise _cannot(f"no filter of system calls for {platform.machine()}")
    if cage.landlock and not landlock_version():
        raise _cannot("no Landlock in this kernel")
    # Landlock and capabilities belong to threads: one that is there already would stay free.
    if len(list(_TASKS.iterdir())) != 1:
        raise _cannot("more than one thread already")
    try:
        _limit_resources()
        _drop_privileges(cage.user)
        forbid_core_dumps()
        _forbid_new_privileges()
        if cage.landlock:
            restrict_files(readable=[*cage.readable, _STATUS], writable=cage.writable)
        filter_calls()
    except OSError as error:
        raise _cannot(str(error)) from error
    _verify(cage.user)


def _limit_resources() -> None:
    limits = {resource.RLIMIT_NOFILE: _FILES_MAX, resource.RLIMIT_NPROC: _PROCESSES_MAX}
    for limit, wanted in limits.items():
        most = resource.getrlimit(limit)[1]
        value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(limit, (value, value))


def _drop_privileges(user: int) -> None:
    if os.geteuid() == 0:
        # First what nobody may ever get back, while this process still may.
        for capability in range(_CAPABILITIES):
            if _prctl(_PR_CAPBSET_READ, capability) == 1 and _prctl(_PR_CAPBSET_DROP, capability):
                raise OSError(ctypes.get_errno(), f"capability {capability} cannot be dropped")
        os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # Leaving user 0 takes the capabilities too, but not those that were made inheritable.
    libc = ctypes.CDLL(None, use_errno=True)
    header, nothing = struct.pack("=II", _CAPABILITY_VERSION, 0), bytes(24)
    if libc.syscall(ctypes.c_long(_CAPSET), header, nothing):
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def _forbid_new_privileges() -> None:
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        raise OSError(ctypes.get_errno(), "no_new_privs")


def _verify(user: int) -> None:
    """Ask the kernel, and not what was called, whether the cage is shut."""
    fields = dict(line.split(":\t", 1) for line in _STATUS.read_text().splitlines())
    ids = "\t".join([str(user)] * 4)
    wanted = {"Uid": ids, "Gid": ids, "NoNewPrivs": "1", "Seccomp": "2"}
    wanted |= dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), "0" * 16)
    for name, value in wanted.items():
        if fields.get(name) != value:
            raise _cannot(f"{name} is {fields.get(name)!r}")


def _prctl(option: int, value: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))))


def _cannot(why: str) -> ConfigError:
    return ConfigError(
        Code.TEE_UNAVAILABLE,
        f"the worker cannot be confined: {why}",
        remedy="use the kernel of the image; `sealtune image build` takes one that can",
    )
