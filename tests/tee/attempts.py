"""What code that took a worker over might try; each attempt has to end its process (spec/vm §5.5).

Tried natively, and once more in a booted machine. Programs have `os`, `socket` and `libc`.
"""

from __future__ import annotations

KILLED = {
    "fork": "os.fork()",
    "fork-by-clone": "libc.syscall(56, 17, 0, 0, 0, 0)",
    "fork-that-shares-memory": "libc.syscall(56, 0x100 | 17, 0, 0, 0, 0)",
    "vfork": "libc.syscall(58)",
    "posix-spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "exec": "os.execv('/bin/true', ['true'])",
    "exec-from-memory": "libc.syscall(322, 0, b'', None, None, 0x1000)",
    "internet": "socket.socket(socket.AF_INET)",
    "internet-6": "socket.socket(socket.AF_INET6)",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "packets": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "vsock": "socket.socket(socket.AF_VSOCK)",
    "pair-of-another-family": "libc.syscall(53, 2, 1, 0, 0)",
    "ptrace": "libc.syscall(101, 0, 0, 0, 0)",
    "other-memory": "libc.syscall(310, 1, 0, 0, 0, 0, 0)",
    "mount": "libc.syscall(165, 0, b'/', b'tmpfs', 0, 0)",
    "new-mount": "libc.syscall(430, b'tmpfs', 0)",
    "namespace": "libc.syscall(272, 0x10000000)",
    "namespace-with-a-thread": "libc.syscall(56, 0x10000000 | 0x10f00, 0, 0, 0, 0)",
    "become-root": "os.setresuid(0, 0, 0)",
    "capabilities": "libc.syscall(126, 0, 0)",
    "device": "libc.syscall(133, b'x', 0o20666, 259)",
    "bpf": "libc.syscall(321, 0, 0, 0)",
    "perf": "libc.syscall(298, 0, 0, 0, 0, 0)",
    "module": "libc.syscall(313, 0, 0, 0)",
    "kexec": "libc.syscall(320, 0, 0, 0, 0, 0)",
    "reboot": "libc.syscall(169, 0, 0, 0, 0)",
    "io-uring": "libc.syscall(425, 1, 0)",
    "userfaultfd": "libc.syscall(323, 0)",
    "keys": "libc.syscall(250, 0, 0)",
    "x32": "libc.syscall(0x40000000 + 39)",
}
