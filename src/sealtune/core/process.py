"""What a process that holds keys or plaintext asks of its kernel.

It keeps memory out of cores. It does not keep it from root, from a hypervisor or out of swap.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def forbid_core_dumps() -> None:
    """Keep this process's memory out of core files and core handlers, for good.

    Other processes of the same user can then neither trace it nor read its memory through /proc;
    most of its files there are root's. A program that it executes has the limit, but is dumpable.
    """
    # Not 0: Linux ignores the limit for a core that it pipes to a handler (core(5)), unless it is
    # exactly 1, its mark for the handler itself (fs/coredump.c). 1 byte is no core file either.
    # Where the hard limit is 0 already, only root may raise it, and the call below must do.
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    # No core of any kind. This may fail: Gramine has no prctl (and what the host could dump of an
    # enclave is ciphertext), other systems' libraries lack the function. The limit still stands.
    with contextlib.suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))
