"""What the worker may still open: Landlock, through its three system calls (landlock(7)).

There is no wrapper in libc or Python, hence ctypes. Once set it holds for this thread and all that
it starts, and nothing takes it back.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1  # flag of create_ruleset: which version is this?
_PATH_BENEATH: Final = 1

_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_TRUNCATE: Final = 1 << 14
# Rights by the version that knows them; all are taken away, and few given back (linux/landlock.h).
_FILE_RIGHTS: Final = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: 1 << 15}
_NETWORK_RIGHTS: Final = 0b11  # version 4: bind and connect TCP
_SCOPES: Final = 0b11  # version 6: abstract unix sockets and signals of others
_READ: Final = _READ_FILE | _READ_DIR
# Files alone: no folder, device, socket, pipe or link is made or run.
_OF_FILES: Final = _WRITE_FILE | _READ_FILE | _TRUNCATE
_CHANGE: Final = _READ | _OF_FILES | 1 << 5 | 1 << 8 | 1 << 4 | 1 << 7  # remove and make both kinds


def landlock_version() -> int:
    """Return the version of this kernel's Landlock, 0 where it has none or it is switched off."""
    return max(0, _system_call(_CREATE_RULESET, None, 0, _VERSION))


def restrict_files(*, readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Leave this thread only the given files and what lies beneath the given folders.

    What does not exist is left out. Nothing may be executed, not even what may be read.

    Raises:
        OSError: the kernel refuses.
    """
    version = landlock_version()
    handled = 0
    for since, rights in _FILE_RIGHTS.items():
        handled |= rights if version >= since else 0
    attributes = struct.pack(
        "<QQQ", handled, _NETWORK_RIGHTS if version >= 4 else 0, _SCOPES if version >= 6 else 0
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _checked(_system_call(_CREATE_RULESET, attributes, size, 0))
    try:
        for path in readable:
            _allow(ruleset, path, handled & _READ)
        for path in writable:
            _allow(ruleset, path, handled & _CHANGE)
        _checked(_system_call(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("<Qi", rights, descriptor)
        _checked(_system_call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _system_call(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return int(libc.syscall(ctypes.c_long(number), *words))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
