"""How a worker's process is set up before it reads anything, wherever it runs."""

from __future__ import annotations

import os
import sys
from typing import Final

from sealtune.core.environment import LIBRARY_SETTINGS
from sealtune.core.process import forbid_core_dumps

_SWITCH_SECONDS: Final = 1e-4


def keep_memory_private() -> None:
    """Keep plaintext out of cores, and libraries from fetching anything."""
    # A core would be plaintext on the host's disk.
    forbid_core_dumps()
    os.environ |= LIBRARY_SETTINGS


def let_threads_take_turns() -> None:
    """Keep a thread that decrypts from waiting for one that runs Python.

    Decrypting gives the interpreter away for each chunk of 16 KiB and wants it back after: beside a
    thread that runs Python alone each takes a switch interval, measured 1.9 s for 32 MiB with the
    default of 5 ms, and 0.04 to 0.08 s with this one. Beside torch, which keeps the interpreter for
    microseconds, nothing changes.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
