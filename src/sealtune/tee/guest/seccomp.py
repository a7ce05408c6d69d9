"""Which system calls the worker may still make: a seccomp filter, assembled here (seccomp(2)).

Three answers: what the worker needs is allowed; what only an attacker's code would ask for kills
the process; all else is answered as by a kernel that lacks it (ENOSYS), for libraries try new calls
and fall back. x86-64 only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Final

# linux/bpf_common.h, linux/seccomp.h, linux/audit.h
_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_SET, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000
_X86_64: Final = 0xC000003E
_X32: Final = 0x40000000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_SECCOMP: Final = 317
_SET_FILTER, _ALL_THREADS = 1, 1

_AF_UNIX: Final = 1
# What a thread shares with its process; a call without all of them would make a process.
_THREAD_FLAGS: Final = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000  # VM FS FILES SIGHAND THREAD
_NAMESPACE_FLAGS: Final = 0x7E020080  # NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET NEWTIME
_IOCTLS: Final = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # tty or not; FIO*
_PRCTLS: Final = (3, 15, 16)  # get whether dumpable; set and get a thread's name

ALLOWED: Final[Mapping[str, int]] = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7,
    "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13,
    "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "pwrite64": 18, "readv": 19,
    "writev": 20, "access": 21, "pipe": 22, "select": 23, "sched_yield": 24, "mremap": 25,
    "madvise": 28, "dup": 32, "dup2": 33, "nanosleep": 35, "getpid": 39, "connect": 42,
    "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48,
    "bind": 49, "listen": 50, "getsockname": 51, "getpeername": 52, "setsockopt": 54,
    "getsockopt": 55, "exit": 60, "uname": 63, "fcntl": 72, "flock": 73, "fsync": 74,
    "fdatasync": 75, "ftruncate": 77, "getdents": 78, "getcwd": 79, "rename": 82, "mkdir": 83,
    "rmdir": 84, "unlink": 87, "readlink": 89, "umask": 95, "gettimeofday": 96, "getrlimit": 97,
    "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107,
    "getegid": 108, "getppid": 110, "getgroups": 115, "getresuid": 118, "getresgid": 120,
    "sigaltstack": 131, "statfs": 137, "fstatfs": 138, "getpriority": 140, "sched_getparam": 143,
    "sched_getscheduler": 145, "arch_prctl": 158, "gettid": 186, "futex": 202,
    "sched_setaffinity": 203,
    "sched_getaffinity": 204, "getdents64": 217, "set_tid_address": 218, "restart_syscall": 219,
    "fadvise64": 221, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
    "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "tgkill": 234, "mbind": 237,
    "set_mempolicy": 238, "get_mempolicy": 239, "openat": 257, "mkdirat": 258, "newfstatat": 262,
    "unlinkat": 263, "renameat": 264, "readlinkat": 267, "faccessat": 269, "pselect6": 270,
    "ppoll": 271, "set_robust_list": 273, "get_robust_list": 274, "epoll_pwait": 281,
    "fallocate": 285, "accept4": 288, "eventfd2": 290, "epoll_create1": 291, "dup3": 292,
    "pipe2": 293, "preadv": 295, "pwritev": 296, "prlimit64": 302, "getcpu": 309,
    "renameat2": 316, "getrandom": 318, "membarrier": 324, "preadv2": 327, "pwritev2": 328,
    "statx": 332, "rseq": 334, "close_range": 436, "faccessat2": 439,
}  # fmt: skip
KILLED: Final[Mapping[str, int]] = {
    # another process, or another program in this one
    "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "ptrace": 101,
    "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_open": 434, "pidfd_getfd": 438,
    # another view of the file system, or of who one is
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "mount_setattr": 442, "open_by_handle_at": 304, "mknod": 133, "mknodat": 259,
    "setuid": 105, "setgid": 106, "setreuid": 113, "setregid": 114, "setgroups": 116,
    "setresuid": 117, "setresgid": 119, "capset": 126,
    # the kernel itself, and what has been a way into it
    "bpf": 321, "perf_event_open": 298, "init_module": 175, "finit_module": 313,
    "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320, "reboot": 169, "iopl": 172,
    "ioperm": 173, "swapon": 167, "swapoff": 168, "keyctl": 250, "add_key": 248,
    "request_key": 249, "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "modify_ldt": 154, "personality": 135,
}  # fmt: skip
_SOCKET, _SOCKETPAIR, _CLONE, _IOCTL, _PRCTL = 41, 53, 56, 16, 157


def filter_calls() -> None:
    """Set the filter for all threads of this process, for good; needs no_new_privs or root.

    Raises:
        OSError: the kernel refuses.
    """
    program = assemble()
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    result = libc.syscall(*map(ctypes.c_long, (_SECCOMP, _SET_FILTER, _ALL_THREADS)), header)
    if result:
        # A positive number is a thread that could not follow.
        raise OSError(ctypes.get_errno() or errno.EBUSY, f"seccomp: {os.strerror(max(result, 0))}")


def assemble() -> bytes:
    """Return the filter as BPF instructions of 8 bytes each."""
    return b"".join(_instructions())


def _instructions() -> Iterator[bytes]:
    yield _do(_LOAD, _ARCH_AT)
    yield from _when(_JUMP_EQUAL, _X86_64, otherwise=[_do(_RETURN, _KILL)])
    yield _do(_LOAD, _NUMBER_AT)
    # The x32 numbers would reach the same calls past every comparison below.
    yield from _then(_JUMP_ABOVE, _X32, [_do(_RETURN, _KILL)])
    for number in ALLOWED.values():
        yield from _then(_JUMP_EQUAL, number, [_do(_RETURN, _ALLOW)])
    for number in KILLED.values():
        yield from _then(_JUMP_EQUAL, number, [_do(_RETURN, _KILL)])
    for number in (_SOCKET, _SOCKETPAIR):
        yield from _then(_JUMP_EQUAL, number, [*_one_of(0, (_AF_UNIX,), refusal=_KILL)])
    yield from _then(_JUMP_EQUAL, _CLONE, [*_thread_only()])
    refusal = _ERRNO | errno.ENOTTY
    yield from _then(_JUMP_EQUAL, _IOCTL, [*_one_of(1, _IOCTLS, refusal=refusal)])
    refusal = _ERRNO | errno.EPERM
    yield from _then(_JUMP_EQUAL, _PRCTL, [*_one_of(0, _PRCTLS, refusal=refusal)])
    # clone3 among them: its flags lie in memory, where no filter sees them; libc then takes clone.
    yield _do(_RETURN, _ERRNO | errno.ENOSYS)


def _one_of(argument: int, values: tuple[int, ...], *, refusal: int) -> Iterator[bytes]:
    # The kernel takes these arguments as 32 bits, so the low half is all of them.
    yield _do(_LOAD, _ARGUMENTS_AT + 8 * argument)
    for value in values:
        yield from _then(_JUMP_EQUAL, value, [_do(_RETURN, _ALLOW)])
    yield _do(_RETURN, refusal)


def _thread_only() -> Iterator[bytes]:
    yield _do(_LOAD, _ARGUMENTS_AT)
    yield from _then(_JUMP_SET, _NAMESPACE_FLAGS, [_do(_RETURN, _KILL)])
    yield _do(_AND, _THREAD_FLAGS)
    yield from _then(_JUMP_EQUAL, _THREAD_FLAGS, [_do(_RETURN, _ALLOW)])
    yield _do(_RETURN, _KILL)


def _then(jump: int, value: int, block: list[bytes]) -> Iterator[bytes]:
    """Do `block`, which ends with a return, if the comparison holds."""
    yield struct.pack("<HBBI", jump, 0, len(block), value)
    yield from block


def _when(jump: int, value: int, *, otherwise: list[bytes]) -> Iterator[bytes]:
    """Do `otherwise` unless the comparison holds."""
    yield struct.pack("<HBBI", jump, len(otherwise), 0, value)
    yield from otherwise


def _do(operation: int, value: int) -> bytes:
    return struct.pack("<HBBI", operation, 0, 0, value)
