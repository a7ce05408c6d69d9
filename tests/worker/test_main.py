"""What a worker's process does before it reads anything."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import ctypes, resource
from sealtune.worker.process import keep_memory_private
keep_memory_private()
PR_GET_DUMPABLE = 3
print(max(resource.getrlimit(resource.RLIMIT_CORE)) <= 1)
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
"""


def test_its_plaintext_is_in_no_core():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "0"]
