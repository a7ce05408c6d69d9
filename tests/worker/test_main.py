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


def test_a_worker_does_without_torch_until_it_has_its_keys():
    # An attested start is quick; and what is imported later is imported in the cage, in a VM.
    program = "import sys, sealtune.worker.__main__, sealtune.worker.guest\n"
    program += "import sealtune.worker.job\nprint({'torch', 'transformers'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
