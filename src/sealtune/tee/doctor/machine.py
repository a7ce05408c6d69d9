"""The `Machine` that probes look at, and the one that this process runs on.

Every answer is bounded and made printable here, so that no probe has to fear what it reads: a file
may be missing, forbidden, endless, a pipe, or full of escape sequences.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import shutil
import signal
import stat
import subprocess
import threading
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from sealtune.core.limits import KIB, MIB

READ_BYTES_MAX: Final = 64 * KIB  # 20x the first processor of /proc/cpuinfo
CONFIG_BYTES_MAX: Final = 1 * MIB  # 3x the largest kernel configuration of a distribution
OUTPUT_BYTES_MAX: Final = 64 * KIB
CHILDREN_MAX: Final = 4_096  # PCI functions of a large host: about 1,000
COMMAND_SECONDS: Final = 10.0  # nvidia-smi takes about 3 s where it has to load the driver first
_CPUID_BYTES: Final = 16

# Everything that may be run; a probe names one of these lines and nothing else.
COMMANDS: Final = (
    "qemu-system-x86_64 --version",
    "qemu-kvm --version",
    "dpkg-query -W ovmf ovmf-amdsev ovmf-inteltdx",
    "rpm -q edk2-ovmf",
    "gramine-sgx --version",
    "swtpm --version",
    "bwrap --unshare-all --ro-bind / / --proc /proc /bin/true",
    "tpm2_getcap --version",
    "tpm2_getcap handles-nv-index",
    "snphost show version",
    "nvidia-smi conf-compute -f",
    "nvidia-smi conf-compute -d",
    "nvidia-smi conf-compute -grs",
)


class Access(StrEnum):
    """How an attempt to look at something ended."""

    OK = "ok"
    ABSENT = "absent"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The first bytes of a file as printable text, or why there are none."""

    access: Access
    text: str = ""
    why: str = ""
    cut: bool = False

    @property
    def value(self) -> str:
        """The first line, for files that hold one value."""
        return " ".join(self.text.strip().partition("\n")[0].split())[:200]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A device file or folder: who may use it, and whether this user may read and write it."""

    access: Access
    mode: int = 0
    owner: str = ""
    group: str = ""
    usable: bool = False

    @property
    def permissions(self) -> str:
        """Mode, owner and group for people."""
        return f"{self.mode:04o} {self.owner}:{self.group}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended: `status` is None where it is not installed or could not be run."""

    status: int | None
    output: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuidLeaf:
    """The four registers of one CPUID leaf."""

    eax: int
    ebx: int
    ecx: int
    edx: int


class Machine(Protocol):
    """What probes may ask; paths are absolute, of Linux, whatever tree they are looked up in."""

    @property
    def root_user(self) -> bool:
        """Whether the one who asks is root."""

    def read(self, path: str, *, limit: int = READ_BYTES_MAX) -> Reading:
        """Return the first `limit` bytes of the regular file at `path` as printable text."""

    def read_bytes(self, path: str, *, limit: int) -> tuple[Access, bytes]:
        """Return the first `limit` bytes of the regular file at `path` as they are."""

    def present(self, path: str) -> Access:
        """Return whether anything is at `path`."""

    def children(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder; none where it cannot be read."""

    def node(self, path: str) -> Node:
        """Return who may use the device or folder at `path`."""

    def run(self, command: str) -> Outcome:
        """Run one of `COMMANDS`."""

    def cpuid(self, leaf: int, subleaf: int = 0) -> CpuidLeaf | None:
        """Return a CPUID leaf, or None: Linux shows them to root where the module is loaded."""

    def has_bindings(self) -> bool | None:
        """Return whether this Python has NVML's bindings, `pynvml`, or None if that is unknown."""


def printable(data: bytes) -> str:
    """Return `data` as text that no terminal obeys: lines, tabs and printable characters."""
    text = data.decode("utf-8", errors="replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def failure(error: OSError) -> Access:
    """Return what an OSError means."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return Access.ABSENT
    return Access.DENIED if error.errno in (errno.EACCES, errno.EPERM) else Access.FAILED


def read_start(path: Path, *, limit: int) -> bytes:
    """Return at most `limit` bytes of a regular file; never waits for a pipe or a device.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(limit)


def as_reading(access: Access, data: bytes, *, why: str, limit: int) -> Reading:
    """Return `data`, read with room for one byte more than `limit`, as a Reading."""
    return Reading(access=access, text=printable(data[:limit]), why=why, cut=len(data) > limit)


@dataclass(frozen=True, slots=True)
class LiveMachine:
    """The machine that this process runs on."""

    @property
    def root_user(self) -> bool:
        """Whether this process is root."""
        return os.geteuid() == 0

    def read(self, path: str, *, limit: int = READ_BYTES_MAX) -> Reading:
        """See `Machine`."""
        try:
            data = read_start(Path(path), limit=limit + 1)
        except OSError as error:
            why = error.strerror or type(error).__name__
            return as_reading(failure(error), b"", why=why, limit=limit)
        return as_reading(Access.OK, data, why="", limit=limit)

    def read_bytes(self, path: str, *, limit: int) -> tuple[Access, bytes]:
        """See `Machine`."""
        try:
            return Access.OK, read_start(Path(path), limit=limit)
        except OSError as error:
            return failure(error), b""

    def present(self, path: str) -> Access:
        """See `Machine`."""
        try:
            Path(path).stat()
        except OSError as error:
            return failure(error)
        return Access.OK

    def children(self, path: str) -> tuple[str, ...]:
        """See `Machine`."""
        return list_folder(Path(path))

    def node(self, path: str) -> Node:
        """See `Machine`."""
        try:
            status = Path(path).stat()
        except OSError as error:
            return Node(access=failure(error))
        return Node(
            access=Access.OK,
            mode=stat.S_IMODE(status.st_mode),
            owner=_user_name(status.st_uid),
            group=_group_name(status.st_gid),
            # The kernel's own answer: it knows the ACLs that a login session is given.
            usable=os.access(path, os.R_OK | os.W_OK, effective_ids=True),
        )

    def run(self, command: str) -> Outcome:
        """See `Machine`."""
        if command not in COMMANDS:
            raise ValueError("not one of the commands that probes may run")
        name, *arguments = command.split(" ")
        path = shutil.which(name)
        if path is None:
            return Outcome(status=None, why="not installed")
        return _run([path, *arguments])

    def cpuid(self, leaf: int, subleaf: int = 0) -> CpuidLeaf | None:
        """See `Machine`."""
        try:
            descriptor = os.open("/dev/cpu/0/cpuid", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            # drivers: arch/x86/kernel/cpuid.c takes leaf and subleaf as the two halves of offset
            data = os.pread(descriptor, _CPUID_BYTES, leaf | subleaf << 32)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
        if len(words) != 4:
            return None
        return CpuidLeaf(eax=words[0], ebx=words[1], ecx=words[2], edx=words[3])

    def has_bindings(self) -> bool | None:
        """See `Machine`."""
        return find_spec("pynvml") is not None  # finds it without running it


def list_folder(path: Path) -> tuple[str, ...]:
    """Return at most `CHILDREN_MAX` printable names in a folder, sorted."""
    names: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if len(names) == CHILDREN_MAX:
                    break
                if entry.name.isprintable():
                    names.append(entry.name)
    except OSError:
        return ()
    return tuple(sorted(names))


def _run(command: list[str]) -> Outcome:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Outcome(status=None, why=error.strerror or "cannot be run")
    late = threading.Event()

    def stop() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(COMMAND_SECONDS, stop)
    timer.start()
    try:
        with process:
            data = process.stdout.read(OUTPUT_BYTES_MAX) if process.stdout else b""
            if len(data) == OUTPUT_BYTES_MAX:
                _kill(process)
    finally:
        timer.cancel()
    if late.is_set():
        return Outcome(status=None, why=f"gave no answer in {COMMAND_SECONDS:.0f} s")
    return Outcome(status=process.returncode, output=printable(data).strip())


def _kill(process: subprocess.Popen[bytes]) -> None:
    # The whole group: what it started may hold the pipe open.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
