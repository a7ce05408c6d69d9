"""A hard limit on memory: who exceeds it is killed or refused; it is never left out in silence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sealtune.core.limits import MIB
from sealtune.core.memory import memory_limit
from sealtune.errors import Code, SealtuneError
from sealtune.tee import memory_cap as memory_cap_module
from sealtune.tee.memory_cap import CapKind, MemoryCap, group_shown, killed_count, memory_cap
from sealtune.tee.supervise import WorkerProcess, supervise

LIMIT = 192 * MIB
# One process that touches what it takes, as a worker would.
GREEDY = "room = bytearray({} << 20); room[::4096] = b'x' * len(room[::4096]); print('had it')"


def run(cap: MemoryCap, script: str) -> subprocess.CompletedProcess[str]:
    command = cap.wrap([sys.executable, "-I", "-c", script])
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(params=["group", "resource"])
def cap(request: pytest.FixtureRequest, tmp_path: Path):
    """A limit of either kind in force."""
    if request.param == "resource":
        # A machine that has no control groups.
        with memory_cap(LIMIT, cgroups=tmp_path) as made:
            assert made is not None
            assert made.kind is CapKind.RESOURCE
            yield made
        return
    with memory_cap(LIMIT) as made:
        assert made is not None
        if made.folder is None:
            pytest.skip("no control group can be made here")
        yield made
    assert not made.folder.exists()


def test_what_fits_runs_and_sees_its_limit(cap: MemoryCap) -> None:
    done = run(cap, GREEDY.format(64))
    assert done.stdout == "had it\n", done.stderr
    assert not cap.was_hit()
    script = "from sealtune.core.memory import memory_limit as m; print(m().bytes, m().origin)"
    command = cap.wrap([sys.executable, "-c", script])
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(LIMIT))
    assert memory_limit().bytes > LIMIT


def test_what_does_not_fit_is_stopped(cap: MemoryCap) -> None:
    done = run(cap, GREEDY.format(512))
    assert done.returncode != 0
    assert "had it" not in done.stdout
    if cap.folder is None:
        assert "MemoryError" in done.stderr
    else:
        assert done.returncode == -9
        assert cap.was_hit()


def test_a_killed_worker_is_said_to_have_needed_more(cap: MemoryCap) -> None:
    if cap.folder is None:
        pytest.skip("a resource limit kills nobody: the worker says it itself")
    process = WorkerProcess(
        command=[sys.executable, "-I", "-c", GREEDY.format(512)],
        folder=Path("/"),
        environment={},
        cap=cap,
    )
    with pytest.raises(SealtuneError) as stopped:
        supervise(process, timeout_seconds=None, on_event=lambda event: None)
    assert stopped.value.code is Code.MEMORY_EXCEEDED
    assert "0.19 GiB" in stopped.value.message


def test_a_group_that_takes_nobody_in_runs_nothing(tmp_path: Path) -> None:
    cap = MemoryCap(kind=CapKind.UNIFIED, bytes=LIMIT, folder=tmp_path / "absent")
    done = run(cap, "print('ran')")
    assert done.returncode != 0
    assert done.stdout == ""


def test_a_folder_that_is_no_control_group_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    with memory_cap(LIMIT, cgroups=tmp_path) as cap:
        assert cap is not None
        assert cap.kind is CapKind.RESOURCE
    assert [path.name for path in tmp_path.iterdir()] == ["cgroup.controllers"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\n", 3),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 1),
        ("oom_kill_disable 0\nunder_oom 0\n", 0),
        ("", 0),
    ],
)
def test_kills_are_counted(text: str, count: int) -> None:
    assert killed_count(text) == count


def test_no_limit_is_none() -> None:
    with memory_cap(None) as cap:
        assert cap is None


def test_a_sandbox_is_shown_the_workers_group(tmp_path: Path) -> None:
    new = MemoryCap(kind=CapKind.UNIFIED, bytes=1, folder=tmp_path)
    old = MemoryCap(kind=CapKind.LEGACY, bytes=1, folder=tmp_path)
    assert group_shown(new) == (tmp_path, Path("/sys/fs/cgroup"))
    assert group_shown(old) == (tmp_path, Path("/sys/fs/cgroup/memory"))


def test_a_group_that_answers_to_no_trial_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frozen(command: list[str], **options: object) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    folder = tmp_path / "group"
    folder.mkdir()
    (folder / "memory.max").write_text("max")
    monkeypatch.setattr(subprocess, "run", frozen)
    assert not memory_cap_module._set(folder, "memory.max", LIMIT)
