"""Memory limits as Linux tells them: real texts of each kind, and a tree of files around them."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sealtune.core.limits import GIB, MIB
from sealtune.core.memory import (
    memory_available,
    memory_in_use,
    memory_limit,
    parse_group_limit,
    parse_machine,
    parse_own_groups,
    tightest_group,
)

MEMINFO = """MemTotal:       24683640 kB
MemFree:        23604396 kB
MemAvailable:   24269396 kB
SwapTotal:             0 kB
"""
LEGACY = """9:name=systemd:/
4:memory:/docker/5a24
3:cpuset:/
1:cpu,cpuacct:/
0::/
"""
UNIFIED = "0::/user.slice/user-1000.slice/session-2.scope\n"
NO_LIMIT = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MEMINFO, 24683640 * 1024),
        ("", None),
        ("MemTotal: lots kB\n", None),
        ("SwapTotal: 5 kB\n", None),
    ],
)
def test_the_machines_memory(text: str, expected: int | None) -> None:
    assert parse_machine(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max\n", None),
        (NO_LIMIT, None),
        ("1610612736\n", 1610612736),
        ("0\n", 0),
        ("", None),
        ("-1\n", None),
        ("1e9\n", None),
        ("9" * 30, None),
    ],
)
def test_a_groups_limit(text: str, expected: int | None) -> None:
    assert parse_group_limit(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LEGACY, ((), ("docker", "5a24"))),
        (UNIFIED, (("user.slice", "user-1000.slice", "session-2.scope"), None)),
        ("0::/../../other.scope\n", ((), None)),
        ("4:hugetlb,memory:/x:y\n", (None, ("x:y",))),
        ("", (None, None)),
        ("nonsense\n::\n", (None, None)),
    ],
)
def test_the_own_groups(text: str, expected: object) -> None:
    assert parse_own_groups(text) == expected


class Machine:
    """A /proc and a /sys/fs/cgroup in a folder."""

    def __init__(self, folder: Path, *, own: str, **limits: str) -> None:
        self.proc, self.cgroups = folder / "proc", folder / "cgroup"
        self.write("proc/meminfo", MEMINFO, folder)
        self.write("proc/self/cgroup", own, folder)
        for path, text in limits.items():
            self.write(f"cgroup/{path}", text, folder)

    @staticmethod
    def write(path: str, text: str, folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    def limit(self) -> tuple[int, str]:
        found = memory_limit(proc=self.proc, cgroups=self.cgroups)
        return found.bytes, found.origin


@pytest.mark.parametrize(
    ("own", "files", "expected", "where"),
    [
        (UNIFIED, {}, 24683640 * 1024, "machine"),
        (UNIFIED, {"user.slice/memory.max": "max\n"}, 24683640 * 1024, "machine"),
        # An outer group binds the inner ones.
        (
            UNIFIED,
            {
                "user.slice/memory.max": "1000\n",
                "user.slice/user-1000.slice/session-2.scope/memory.max": "2000\n",
            },
            1000,
            "user.slice/memory.max",
        ),
        (
            LEGACY,
            {
                "memory/memory.limit_in_bytes": NO_LIMIT,
                "memory/docker/5a24/memory.limit_in_bytes": "3000\n",
            },
            3000,
            "memory/docker/5a24/memory.limit_in_bytes",
        ),
        # In a container the own path may not exist below what is mounted there.
        (LEGACY, {"memory/memory.limit_in_bytes": "4000\n"}, 4000, "memory/memory.limit_in_bytes"),
        ("0::/../x\n", {"memory.max": "5000\n"}, 5000, "memory.max"),
        # A sibling's limit is not ours.
        (UNIFIED, {"system.slice/memory.max": "1\n"}, 24683640 * 1024, "machine"),
        # More than the machine has.
        (UNIFIED, {"memory.max": f"{2**50}\n"}, 24683640 * 1024, "machine"),
    ],
)
def test_what_binds_first(
    tmp_path: Path, own: str, files: dict[str, str], expected: int, where: str
) -> None:
    machine = Machine(tmp_path, own=own, **files)
    found, origin = machine.limit()
    assert found == expected
    assert origin.endswith(where)
    group = tightest_group(proc=machine.proc, cgroups=machine.cgroups)
    assert (group is not None and group.bytes == expected) == (where != "machine")


def test_a_resource_limit_binds() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_DATA, (3 * 2**29, 3 * 2**29));"
        "from sealtune.core.memory import memory_limit; print(memory_limit())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert str(3 * GIB // 2) in done.stdout
    assert "RLIMIT_DATA" in done.stdout


def test_this_machine_answers() -> None:
    room = bytearray(64 * MIB)
    room[:] = b"x" * len(room)
    in_use = memory_in_use()
    assert 64 * MIB < in_use < resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 * 2
    assert in_use < memory_available()


def test_a_system_that_does_not_say_is_no_error(tmp_path: Path) -> None:
    assert memory_in_use(proc=tmp_path) == 0
    assert memory_limit(proc=tmp_path, cgroups=tmp_path).bytes > 0
