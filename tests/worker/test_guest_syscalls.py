"""The worker's system calls stay within those of Gramine, where it has to run too (spec/worker §5).

A worker runs under strace, which answers every call that Gramine 1.9 lacks as Gramine does. What it
asked for is then read from the log: libraries may try a call that fails, our design may not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.conftest import chain_mock, tiny_encoder, world  # noqa: F401
from chain.enclaves import laid_out, manifest_environment, signed_copy
from chain.world import World
from sealtune.bundle.open import open_to_folder
from sealtune.tee import launcher
from sealtune.tee.launcher import Sandbox
from tee.fakes_gramine import WORKER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

# Found to fail under gramine-direct 1.9, or not in its table of system calls.
LACKING = frozenset(
    """
    io_uring_setup io_uring_enter io_uring_register prctl mremap memfd_create timerfd_create
    timerfd_settime timerfd_gettime getrusage symlink symlinkat link linkat utime utimes utimensat
    futimesat flock inotify_init inotify_init1 fanotify_init signalfd signalfd4 splice tee vmsplice
    userfaultfd ptrace perf_event_open bpf process_vm_readv process_vm_writev name_to_handle_at
    open_by_handle_at unshare setns mount umount2 chroot pivot_root shmget shmat shmctl semget semop
    semctl msgget msgsnd msgrcv mq_open fork vfork pwritev execveat renameat2 sync syncfs
    sync_file_range times timer_create seccomp landlock_create_ruleset pkey_alloc pidfd_open
    epoll_pwait2 process_madvise setxattr fsetxattr getxattr fgetxattr listxattr io_setup
    """.split()  # noqa: SIM905
)
# Asked for, and done without: other forms of calls that Gramine has. `preadv` asks the reader of
# bundles, which then takes pread.
NEWER_FORMS = frozenset(
    """
    clone3 preadv preadv2 pwritev2 statx rseq membarrier faccessat2 openat2 close_range
    copy_file_range mbind set_mempolicy get_mempolicy
    """.split()  # noqa: SIM905
)
# Asked for by ourselves, and not needed: cores of an enclave are ciphertext (core/process.py).
TOLERATED = {"prctl": "PR_SET_DUMPABLE"}
_CALL = re.compile(r"^\d+ +([a-z_0-9]+)\((.*)$")


def calls(log: Path) -> Iterator[tuple[str, str]]:
    """Yields each call's name and the rest of its line."""
    with log.open(errors="replace") as lines:
        for line in lines:
            if matched := _CALL.match(line):
                yield matched[1], matched[2]


def _strace(log: Path) -> list[str]:
    missing = ",".join(f"?{name}" for name in sorted(LACKING | NEWER_FORMS))
    strace = ["strace", "-f", "-qq", "-o", str(log)]
    return [*strace, "-e", f"inject={missing}:error=ENOSYS"]


@pytest.fixture(scope="module")
def traced(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:  # noqa: F811
    """The log of a whole job whose every missing call failed, and the job's folder."""
    folder = tmp_path_factory.mktemp("traced")
    contract = world.agree("traced", recipe={"checkpoint_every_steps": 2})
    command = launcher._command
    strace = _strace(folder / "log")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher, "_command", lambda *given: [*strace, *command(*given)])
        outcome = world.run(contract, folder / "run", sandbox=Sandbox.OFF)
    assert outcome.reported
    return folder / "log", folder / "run"


def test_the_log_is_that_of_a_worker(traced: tuple[Path, Path]) -> None:
    names = {name for name, _ in calls(traced[0])}
    assert {"openat", "mmap", "futex", "fsync", "connect", "execve"} <= names
    injected = {name for name, rest in calls(traced[0]) if rest.endswith("(INJECTED)")}
    assert "clone3" in injected


def test_no_call_is_made_that_gramine_lacks(traced: tuple[Path, Path]) -> None:
    made = {
        (name, rest)
        for name, rest in calls(traced[0])
        if name in LACKING and not rest.startswith(TOLERATED.get(name, "\n"))
    }
    assert not made


def test_it_is_one_process_that_makes_threads_only(traced: tuple[Path, Path]) -> None:
    made = list(calls(traced[0]))
    assert sum(name in {"execve", "execveat"} for name, _ in made) == 1
    clones = [rest for name, rest in made if name in {"clone", "clone3"}]
    assert clones
    assert all("CLONE_THREAD" in rest for rest in clones)


def test_it_reaches_its_brokers_and_nothing_else(traced: tuple[Path, Path]) -> None:
    families = {rest.split(",")[0] for name, rest in calls(traced[0]) if name == "socket"}
    assert families == {"AF_UNIX"}


def test_it_writes_no_shared_memory(traced: tuple[Path, Path]) -> None:
    opened = [rest for name, rest in calls(traced[0]) if name in {"open", "openat"}]
    assert opened
    assert not [rest for rest in opened if "/dev/shm" in rest]


def test_the_result_is_the_same_as_with_all_calls(
    traced: tuple[Path, Path],
    world: World,  # noqa: F811
    tmp_path: Path,
) -> None:
    plain = tmp_path / "plain"
    world.run(world.agree("untraced", recipe={"checkpoint_every_steps": 2}), plain)
    adapters = []
    for number, run in enumerate((traced[1], plain)):
        folder = tmp_path / str(number)
        open_to_folder(run / "result.sealed", folder, recipient=world.identities["clinic"])
        adapters.append((folder / "adapter_model.safetensors").read_bytes())
    assert adapters[0] == adapters[1]


# -- the enclave's entry ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def traced_enclave(
    world: World,  # noqa: F811
    chain_mock: tuple[Path, str],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The log of a job through the entry that Gramine starts, with every missing call failing."""
    place = tmp_path_factory.mktemp("enclave")
    image = signed_copy(place, place / "image")
    contract = world.agree("traced-enclave", recipe={"checkpoint_every_steps": 2})
    laid_out(world, contract, image, place / "work")
    command = [*_strace(place / "log"), sys.executable, "-I", "-B", "-c", WORKER]
    done = subprocess.run(
        [*command, str(chain_mock[0])],
        cwd=place / "work",
        env=manifest_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert '"event": "finished"' in done.stdout
    return place / "log"


def test_an_enclave_makes_no_call_that_gramine_lacks(traced_enclave: Path) -> None:
    made = list(calls(traced_enclave))
    assert len(made) > 1000
    # The C library's realloc asks for mremap, and copies where there is none. The environment
    # of other workers keeps its blocks out of such mappings; nobody measured that in an enclave.
    lacking = {
        (name, rest)
        for name, rest in made
        if name in LACKING - {"mremap"} and not rest.startswith(TOLERATED.get(name, "\n"))
    }
    assert not lacking
    assert all("CLONE_THREAD" in rest for name, rest in made if name in {"clone", "clone3"})


def test_an_enclave_reaches_its_brokers_by_tcp_and_nothing_else(traced_enclave: Path) -> None:
    families = {rest.split(",")[0] for name, rest in calls(traced_enclave) if name == "socket"}
    assert families == {"AF_INET"}
