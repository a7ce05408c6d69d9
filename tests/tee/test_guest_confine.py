"""The cage around the worker in a VM, tried from inside: each attempt in its own process."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sealtune.tee.guest import seccomp
from sealtune.tee.guest.confine import landlock_wanted
from sealtune.tee.guest.landlock import landlock_version
from tee.attempts import KILLED

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the filter of system calls is x86-64's"
)
needs_landlock = pytest.mark.skipif(
    landlock_version() == 0, reason="this kernel has no Landlock, or it is switched off"
)

# Confines itself to `own` (may write) and Python, then runs the attempt.
CAGED = """
import ctypes, errno, os, socket, sys, threading
from pathlib import Path
from sealtune.tee.guest.confine import Cage, confine
own, landlock = Path(sys.argv[1]), sys.argv[2] == "yes"
libc = ctypes.CDLL(None, use_errno=True)
code = [Path(name) for name in (sys.prefix, sys.base_prefix, *sys.path, "/usr", "/lib", "/lib64")]
code += [Path(name) for name in ("/proc/self", "/proc/cpuinfo", "/dev/urandom")]
os.environ |= {"TMPDIR": str(own), "USER": "worker"}  # as the guest's entry does
outside = socket.socket(socket.AF_UNIX)
confine(Cage(user=os.getuid(), readable=code, writable=[own], landlock=landlock))
def refused(number, call):
    try:
        call()
    except OSError as error:
        assert error.errno == number, error
    else:
        raise SystemExit("it was allowed")
"""


def caged(
    tmp_path: Path, attempt: str, *, landlock: bool = True
) -> subprocess.CompletedProcess[str]:
    folder = tmp_path / "own"
    folder.mkdir(exist_ok=True)
    program = CAGED + textwrap.dedent(attempt) + "\nprint('still here')\n"
    command = [sys.executable, "-I", "-B", "-c", program, str(folder), "yes" if landlock else "no"]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def goes_on(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stdout.split("\n")[-2:]) == (0, ["still here", ""]), done.stderr


@pytest.mark.parametrize("name", KILLED)
def test_what_no_worker_needs_ends_the_process(name: str, tmp_path: Path) -> None:
    done = caged(tmp_path, KILLED[name], landlock=False)
    assert done.returncode == -signal.SIGSYS, done.stdout + done.stderr
    assert done.stdout == ""


def test_the_32_bit_calls_end_the_process(tmp_path: Path) -> None:
    # int 0x80 with number 20, getpid for a 32-bit program; for a 64-bit one it would be writev.
    attempt = """
    import mmap
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("b814000000cd80c3"))
    ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    """
    assert caged(tmp_path, attempt, landlock=False).returncode == -signal.SIGSYS


def test_what_is_unknown_is_answered_as_by_an_older_kernel(tmp_path: Path) -> None:
    attempt = """
    # clone3, memfd, timerfd, symlink, chmod, chown, a newer one, none
    for number in (435, 319, 283, 88, 90, 92, 461, 9999):
        assert libc.syscall(number, 0, 0, 0) == -1
        assert ctypes.get_errno() == errno.ENOSYS, number
    """
    goes_on(caged(tmp_path, attempt, landlock=False))


def test_only_harmless_controls_pass(tmp_path: Path) -> None:
    attempt = """
    import fcntl
    os.set_blocking(outside.fileno(), False)
    refused(errno.ENOTTY, lambda: fcntl.ioctl(outside.fileno(), 0x8912, bytes(16)))  # SIOCGIFCONF
    assert libc.prctl(15, b"worker", 0, 0, 0) == 0
    assert libc.prctl(4, 1, 0, 0, 0) == -1 and ctypes.get_errno() == errno.EPERM  # dumpable
    """
    goes_on(caged(tmp_path, attempt, landlock=False))


def test_nothing_of_a_privilege_is_left(tmp_path: Path) -> None:
    attempt = """
    fields = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").open())
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    if os.getuid() == 0:
        assert int(fields["CapBnd"], 16) == 0
        assert fields["Groups"].strip() == ""
    assert fields["NoNewPrivs"].strip() == "1"
    import resource
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] <= 1
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 1024
    assert libc.prctl(3, 0, 0, 0, 0) == 0  # not dumpable
    """
    goes_on(caged(tmp_path, attempt, landlock=False))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_root_becomes_the_workers_user(tmp_path: Path) -> None:
    program = """
import os
from pathlib import Path
from sealtune.tee.guest.confine import Cage, confine
os.setgroups([0, 5])
confine(Cage(user=1000, readable=[], writable=[], landlock=False))
fields = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").open())
assert fields["Uid"].split() == fields["Gid"].split() == ["1000"] * 4, fields
assert not fields["Groups"].strip()
try:
    open("/etc/shadow")
except PermissionError:
    print("still here")
"""
    command = [sys.executable, "-I", "-B", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    goes_on(done)


@needs_landlock
def test_only_the_given_files_open(tmp_path: Path) -> None:
    (tmp_path / "beside").write_text("x")
    attempt = """
    refused(errno.EACCES, lambda: open("/etc/passwd"))
    refused(errno.EACCES, lambda: os.listdir("/"))
    refused(errno.EACCES, lambda: open(own.parent / "beside"))
    refused(errno.EACCES, lambda: open(own.parent / "new", "w"))
    refused(errno.EACCES, lambda: open(Path(sys.prefix) / "new", "w"))
    refused(errno.EACCES, lambda: open(os.__file__, "r+"))
    refused(errno.EACCES, lambda: open("/dev/zero", "rb"))
    refused(errno.EACCES, lambda: open("/proc/1/environ", "rb"))
    refused(errno.EACCES, lambda: outside.bind(str(own / "socket")))
    file = own / "a"
    file.write_text("x")
    file.rename(own / "b")
    (own / "c").mkdir()
    (own / "c").rmdir()
    assert (own / "b").read_text() == "x"
    (own / "b").unlink()
    """
    goes_on(caged(tmp_path, attempt))


LANDLOCK_ALONE = """
import ctypes, errno, os, signal, socket, sys
from pathlib import Path
from sealtune.tee.guest.landlock import landlock_version, restrict_files
ctypes.CDLL(None).prctl(38, *map(ctypes.c_ulong, (1, 0, 0, 0)))
own = Path(sys.argv[1])
(own / "read").write_text("x")
restrict_files(readable=[own / "read", Path("/usr"), Path("/lib64"), own / "none"], writable=[])
def refused(number, call):
    try:
        call()
    except OSError as error:
        assert error.errno == number, error
    else:
        raise SystemExit("it was allowed")
assert (own / "read").read_text() == "x"
refused(errno.EACCES, lambda: os.truncate(own / "read", 0))
refused(errno.EACCES, lambda: os.execv("/usr/bin/true", ["true"]))
refused(errno.EACCES, lambda: os.link(own / "read", own / "other"))
refused(errno.EACCES, lambda: os.symlink("a", own / "b"))
refused(errno.EACCES, lambda: os.mkfifo(own / "c"))
refused(errno.EACCES, lambda: (own / "read").unlink())
if landlock_version() >= 4:
    refused(errno.EACCES, lambda: socket.socket().bind(("127.0.0.1", 0)))
    refused(errno.EACCES, lambda: socket.socket().connect(("127.0.0.1", 1)))
if landlock_version() >= 6:
    refused(errno.EPERM, lambda: os.kill(os.getppid(), 0))
    refused(errno.EPERM, lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[2]))
print("still here")
"""


@needs_landlock
def test_landlock_refuses_by_itself_what_the_filter_does(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as outside:
        name = f"sealtune-test-{os.getpid()}"
        outside.bind(f"\0{name}")
        outside.listen()
        # In an argument the leading zero byte cannot stand.
        program = LANDLOCK_ALONE.replace("sys.argv[2]", f"'\\0{name}'")
        command = [sys.executable, "-I", "-B", "-W", "ignore", "-c", program, str(tmp_path)]
        goes_on(subprocess.run(command, capture_output=True, text=True, check=False))


@needs_landlock
def test_threads_start_and_a_model_is_trained(tmp_path: Path) -> None:
    attempt = """
    import numpy, torch
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    inputs, wanted = torch.randn(64, 8), torch.randn(64, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    def train():
        for _ in range(20):
            loss = torch.nn.functional.mse_loss(model(inputs), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert len(losses) == 20 and losses[-1] < losses[0]
    (own / "state").write_bytes(inputs.numpy().tobytes())
    """
    goes_on(caged(tmp_path, attempt))


@needs_landlock
def test_what_a_new_thread_does_is_confined_too(tmp_path: Path) -> None:
    attempt = """
    def attempt():
        refused(errno.EACCES, lambda: open("/etc/passwd"))
        os.fork()
    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()  # an interpreter that is ending would refuse the fork by itself
    """
    assert caged(tmp_path, attempt).returncode == -signal.SIGSYS


@pytest.mark.parametrize("step", ["_drop_privileges", "_forbid_new_privileges", "filter_calls"])
def test_a_cage_that_did_not_shut_is_found(step: str, tmp_path: Path) -> None:
    program = f"""
import os
from sealtune.errors import ConfigError
from sealtune.tee.guest import confine as module
module.{step} = lambda *_: None
try:
    module.confine(module.Cage(user=os.getuid() or 1000, readable=[], writable=[], landlock=False))
except ConfigError as error:
    print(error.code)
"""
    command = [sys.executable, "-I", "-B", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if os.getuid() and step == "_drop_privileges":
        assert done.stdout == ""  # nothing was to drop
    else:
        assert done.stdout == "tee-unavailable\n"


def test_a_process_with_threads_is_refused(tmp_path: Path) -> None:
    program = """
import os, threading
from sealtune.errors import ConfigError
from sealtune.tee.guest.confine import Cage, confine
stop = threading.Event()
threading.Thread(target=stop.wait).start()
try:
    confine(Cage(user=os.getuid(), readable=[], writable=[], landlock=False))
except ConfigError as error:
    print(error.code, error.message)
stop.set()
"""
    command = [sys.executable, "-I", "-B", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tee-unavailable")
    assert "thread" in done.stdout


def test_a_kernel_without_landlock_is_refused_unless_measured_otherwise(tmp_path: Path) -> None:
    program = """
import os
from sealtune.errors import ConfigError
from sealtune.tee.guest import confine as module
module.landlock_version = lambda: 0
try:
    module.confine(module.Cage(user=os.getuid(), readable=[], writable=[], landlock=True))
except ConfigError as error:
    print(error.code, error.message)
module.confine(module.Cage(user=os.getuid(), readable=[], writable=[], landlock=False))
print("confined")
"""
    command = [sys.executable, "-I", "-B", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("tee-unavailable")
    assert "Landlock" in first
    assert second == "confined"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("panic=-1 quiet", True),
        ("panic=-1 sealtune.landlock=off quiet", False),
        ("sealtune.landlock=off", False),
        ("xsealtune.landlock=off", True),
        ("sealtune.landlock=offx", True),
        ("sealtune.landlock=on", True),
        ("", True),
    ],
)
def test_only_the_measured_command_line_does_without_it(
    line: str, wanted: bool, tmp_path: Path
) -> None:
    path = tmp_path / "cmdline"
    path.write_text(line + "\n")
    assert landlock_wanted(path) is wanted


def test_no_call_is_in_two_lists() -> None:
    assert not seccomp.ALLOWED.keys() & seccomp.KILLED.keys()
    numbers = [*seccomp.ALLOWED.values(), *seccomp.KILLED.values()]
    assert len(set(numbers)) == len(numbers)


def test_the_numbers_are_the_kernels() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.is_file():
        pytest.skip(f"{header} is absent (package linux-libc-dev)")
    words = (line.split() for line in header.read_text().splitlines())
    kernel = {line[1].removeprefix("__NR_"): int(line[2]) for line in words if len(line) == 3}
    ours = {**seccomp.ALLOWED, **seccomp.KILLED}
    assert {name: kernel.get(name) for name in ours} == ours
