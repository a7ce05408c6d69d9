"""The first process of the guest's root: closes the kernel, starts the worker, powers off.

Runs as root in the virtual machine, from the verified read-only root (spec/image §5), and uses the
standard library only. It never runs on the machine that builds or starts an image. There is no
shell beside it: what it does not do, nobody does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8  # linux/mount.h
_POWER_OFF, _RESTART = 0x4321FEDC, 0x01234567  # linux/reboot.h
_TMPFS = "mode=0755,size=25%"
_MOUNTS = (
    # What may be written is memory of this machine, and gone with it.
    ("tmpfs", "/run", _TMPFS),
    ("tmpfs", "/tmp", "mode=1777,size=50%"),  # noqa: S108 - the guest's own memory
    ("tmpfs", "/dev/shm", "mode=1777,size=50%"),  # noqa: S108 - the guest's own
    ("configfs", "/sys/kernel/config", ""),  # where the kernel makes TEE reports
    ("securityfs", "/sys/kernel/security", ""),  # the firmware's event log
)
_SETTINGS = {
    "kernel/modules_disabled": "1",  # no way back
    "kernel/kexec_load_disabled": "1",
    "kernel/sysrq": "0",
    "kernel/dmesg_restrict": "1",
    "kernel/kptr_restrict": "2",
    "kernel/perf_event_paranoid": "3",
    "kernel/unprivileged_bpf_disabled": "1",
    "kernel/io_uring_disabled": "2",
    "kernel/yama/ptrace_scope": "3",
    "kernel/core_pattern": "",
    "fs/suid_dumpable": "0",
    "user/max_user_namespaces": "0",
}
_WORKER = ("/usr/bin/python3", "-I", "-B", "-m", "sealtune.worker.guest")
_ALLOCATOR = (
    "glibc.malloc.mmap_threshold=67108864:"
    "glibc.malloc.trim_threshold=134217728:glibc.malloc.hugetlb=1"
)
_ENVIRONMENT = {
    "HOME": "/run",
    "PATH": "/nonexistent",
    "TMPDIR": "/tmp",  # noqa: S108
    # As `sealtune.core.environment` has them, with reasons: nothing of ours is imported here.
    "LANG": "C.UTF-8",
    "GLIBC_TUNABLES": _ALLOCATOR,
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "1000",
}


def main() -> None:
    """Run one job to its end and turn the machine off."""
    try:
        _mount_all()
        for name, value in _SETTINGS.items():
            Path("/proc/sys", name).write_text(f"{value}\n", encoding="ascii")
        _wait_for(_start_worker())
    finally:
        # Also when something above failed: a machine that is not closed runs no worker.
        os.sync()
        # Without ACPI nothing can switch the machine off; QEMU ends where it would start again.
        end = _RESTART if _named(b"acpi=off") else _POWER_OFF
        _LIBC.reboot(ctypes.c_uint(end))


def _mount_all() -> None:
    for kind, place, options in _MOUNTS:
        if place == "/dev/shm":  # noqa: S108
            Path(place).mkdir(mode=0o755, exist_ok=True)
        flags = _NOSUID | _NODEV | _NOEXEC
        arguments = (kind.encode(), place.encode(), kind.encode(), flags, options.encode())
        if _LIBC.mount(*arguments) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), place)


def _start_worker() -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        _set_standard_streams()
        os.execve(_WORKER[0], _WORKER, _ENVIRONMENT)  # noqa: S606 - there is no shell
    finally:
        os._exit(127)


def _set_standard_streams() -> None:
    # The console is the host's: in production the command line names none and the worker says
    # nothing there. Naming one, for a trial, is another command line and another measurement.
    debug = _named(b"console=")
    place = "/dev/console" if debug else "/dev/null"
    null, out = os.open("/dev/null", os.O_RDONLY), os.open(place, os.O_WRONLY)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)


def _named(start: bytes) -> bool:
    """Whether a word of the command line, which is measured, begins so."""
    words = Path("/proc/cmdline").read_bytes().split()
    return any(word.startswith(start) for word in words)


def _wait_for(worker: int) -> None:
    while True:
        child, _status = os.wait()
        if child == worker:
            break
    with contextlib.suppress(ProcessLookupError):  # usually nobody is left
        os.kill(-1, signal.SIGKILL)


if __name__ == "__main__":
    main()
