"""A process that holds keys leaves no core, neither in a file nor with a handler."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import textwrap

import pytest

_LIMITS = """
    import ctypes, json, resource
    {before}
    from sealtune.core.process import forbid_core_dumps
    {call}
    PR_GET_DUMPABLE = 3
    dumpable = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    print(json.dumps([resource.getrlimit(resource.RLIMIT_CORE), dumpable]))
"""
CALL = "forbid_core_dumps()"


def after(call: str, *, before: str = "") -> tuple[list[int], int]:
    """The core limits of a process of its own after `call`, and whether it is dumpable."""
    program = textwrap.dedent(_LIMITS).format(before=before, call=call)
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    limits, dumpable = json.loads(output.stdout)
    return limits, dumpable


needs_a_hard_limit = pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, reason="the hard limit here is 0 already"
)


@needs_a_hard_limit
def test_neither_a_core_file_nor_a_piped_core():
    # 1, not 0: the one limit that stops a piped core as well.
    assert after(CALL) == ([1, 1], 0)


def test_a_process_is_dumpable_before():
    assert after("")[1] == 1


@needs_a_hard_limit
def test_twice_is_once():
    assert after(f"{CALL}; {CALL}") == ([1, 1], 0)


def test_a_hard_limit_of_zero_stays():
    # Refused as to anybody but root, whatever user runs the test.
    before = textwrap.dedent("""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        def refuse(*_):
            raise ValueError("not allowed to raise maximum limit")
        resource.setrlimit = refuse
    """)
    assert after(CALL, before=before) == ([0, 0], 0)


def test_a_libc_without_prctl_keeps_the_limit():
    before = textwrap.dedent("""
        real, ctypes.CDLL = ctypes.CDLL, lambda _: object()
    """)
    limits, dumpable = after(f"{CALL}; ctypes.CDLL = real", before=before)
    assert max(limits) <= 1
    assert dumpable == 1
