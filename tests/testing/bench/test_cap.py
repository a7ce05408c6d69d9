"""A run under a cap is killed when it takes more, and not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sealtune.testing.bench import cap
from sealtune.testing.bench.cap import Cap, memory_cap
from sealtune.testing.bench.job import Job

MIB = 2**20
LIMIT = 192 * MIB
_TAKE = """
import sys
from sealtune.testing.bench.cap import enter
from sealtune.testing.bench.job import read_job
enter(read_job(sys.argv[1]))
taken = bytearray(int(sys.argv[2]))
taken[::4096] = b"x" * len(taken[::4096])
print("done")
"""


def _take(given: Cap, amount: int, folder: Path) -> subprocess.CompletedProcess[str]:
    job = Job(
        result="",
        output="",
        model="",
        records="",
        encoded="",
        recipe={},
        records_per_step=1,
        steps=1,
        cgroup=given.cgroup,
        data_limit=given.data_limit,
    )
    path = job.write(folder / "job.json")
    command = [sys.executable, "-c", _TAKE, str(path), str(amount)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("groups", [True, False], ids=["best", "rlimit"])
def test_more_than_the_cap_ends_the_run(
    groups: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not groups:
        monkeypatch.setattr(cap, "_ROOTS", ())
    with memory_cap(LIMIT) as given:
        assert given.kind != "none"
        assert _take(given, LIMIT // 2, tmp_path).stdout == "done\n"
        beyond = _take(given, 2 * LIMIT, tmp_path)
    assert beyond.returncode != 0
    assert beyond.stdout == ""
    assert not given.cgroup or not Path(given.cgroup).exists()


def test_no_limit_is_no_cap(tmp_path: Path) -> None:
    with memory_cap(0) as given:
        assert given == Cap()
        assert _take(given, LIMIT, tmp_path).stdout == "done\n"
