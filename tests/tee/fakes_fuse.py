"""Mounts a model of configfs-tsm through /dev/fuse, with the kernel's protocol and no package.

Source: include/uapi/linux/fuse.h. One thread serves one request after the other. As in configfs, a
value is fixed when it is first read, and a blob is taken over when it is closed.
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import shutil
import socket
import stat
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tee.fakes_tsm import INBLOB_BYTES_MAX, WRITABLE, FakeTsm

LOOKUP, FORGET, GETATTR, SETATTR, MKDIR, RMDIR, OPEN, READ = 1, 2, 3, 4, 9, 11, 14, 15
WRITE, RELEASE, FLUSH, INIT, INTERRUPT, BATCH_FORGET = 16, 18, 25, 26, 36, 42
_HEADER = struct.Struct("<IIQQIIII")
_UNANSWERED = frozenset({FORGET, INTERRUPT, BATCH_FORGET})
_ROOT = 1
_DIRECT_IO = 1
_REQUEST_BYTES = 256 * 1024
_MAX_WRITE = 64 * 1024


class _Server:
    def __init__(self, tsm: FakeTsm, device: int) -> None:
        self._tsm = tsm
        self._device = device
        # A node is the root, an entry's directory or an attribute of one.
        self._nodes: dict[int, tuple[str, str]] = {_ROOT: ("", "")}
        self._handles: dict[int, tuple[int, bytearray | None]] = {}
        self._content: dict[int, bytes] = {}
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            INIT: self._init,
            LOOKUP: lambda node, body: self._look_up(node, _name(body)),
            GETATTR: self._get_attributes,
            SETATTR: self._get_attributes,
            MKDIR: self._make,
            RMDIR: self._remove,
            OPEN: self._open,
            READ: self._read,
            WRITE: self._write,
            FLUSH: self._flush,
            RELEASE: self._release,
        }

    def serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, _REQUEST_BYTES)
            except InterruptedError:
                continue
            except OSError:
                return  # unmounted
            _, code, unique, node, *_ = _HEADER.unpack_from(request)
            if code in _UNANSWERED:
                continue
            error, answer = self._answer(code, node, request[_HEADER.size :])
            head = struct.pack("<IiQ", 16 + len(answer), -error, unique)
            with contextlib.suppress(FileNotFoundError):  # the caller was interrupted
                os.write(self._device, head + answer)

    def _answer(self, code: int, node: int, body: bytes) -> tuple[int, bytes]:
        if code not in self._answers:
            return errno.ENOSYS, b""
        try:
            return 0, self._answers[code](node, body)
        except OSError as error:
            return error.errno or errno.EIO, b""
        except Exception:  # a caller must not wait for ever for a mistake of this server
            return errno.EIO, b""

    def _init(self, _node: int, body: bytes) -> bytes:
        major, _minor, readahead, _flags = struct.unpack_from("<IIII", body)
        limits = (0, 0, _MAX_WRITE, 1, 0, 0, 0)
        return struct.pack("<IIIIHHIIHHI28x", major, 31, readahead, 0, *limits)

    def _look_up(self, parent: int, name: str) -> bytes:
        entry, attribute = self._nodes[parent]
        key = (entry, name) if entry else (name, "")
        if attribute:
            raise NotADirectoryError(errno.ENOTDIR, name)
        self._tsm.entry(key[0])
        if key[1] and key[1] not in self._tsm.attributes():
            raise FileNotFoundError(errno.ENOENT, name)
        node = max(self._nodes) + 1
        self._nodes[node] = key
        # Nothing is cached: each name and each size is asked for again.
        return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + self._attributes(node)

    def _attributes(self, node: int) -> bytes:
        entry, attribute = self._nodes[node]
        mode = stat.S_IFDIR | 0o755
        if attribute:
            mode = stat.S_IFREG | (0o200 if attribute in WRITABLE else 0o444)
        if entry:
            self._tsm.entry(entry)
        numbers = (0, 0, 0, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0)
        return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, *numbers)

    def _get_attributes(self, node: int, _body: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._attributes(node)

    def _make(self, parent: int, body: bytes) -> bytes:
        self._tsm.make(_name(body[8:]))
        return self._look_up(parent, _name(body[8:]))

    def _remove(self, _parent: int, body: bytes) -> bytes:
        self._tsm.remove(_name(body))
        return b""

    def _open(self, node: int, body: bytes) -> bytes:
        flags = struct.unpack_from("<I", body)[0] & os.O_ACCMODE
        attribute = self._nodes[node][1]
        if flags != (os.O_WRONLY if attribute in WRITABLE else os.O_RDONLY):
            raise PermissionError(errno.EACCES, attribute)
        handle = max(self._handles, default=0) + 1
        self._handles[handle] = (node, bytearray() if flags == os.O_WRONLY else None)
        return struct.pack("<QII", handle, _DIRECT_IO, 0)

    def _read(self, node: int, body: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", body)
        if handle not in self._content:
            self._content[handle] = self._tsm.read(*self._nodes[node])
        return self._content[handle][offset : offset + size]

    def _write(self, node: int, body: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", body)
        buffer = self._handles[handle][1]
        assert buffer is not None
        if offset + size > INBLOB_BYTES_MAX:
            raise OSError(errno.EFBIG, "inblob")
        data = body[40 : 40 + size]
        if self._nodes[node][1] == "privlevel":
            self._tsm.write(*self._nodes[node], data)  # a text is taken over at once
        else:
            buffer[offset : offset + size] = data
        return struct.pack("<II", size, 0)

    def _flush(self, node: int, body: bytes) -> bytes:
        (handle,) = struct.unpack_from("<Q", body)
        buffer = self._handles[handle][1]
        if buffer:
            # configfs takes a blob over here and tells nobody whether that worked.
            with contextlib.suppress(OSError):
                self._tsm.write(*self._nodes[node], bytes(buffer))
            buffer.clear()
        return b""

    def _release(self, _node: int, body: bytes) -> bytes:
        (handle,) = struct.unpack_from("<Q", body)
        del self._handles[handle]
        self._content.pop(handle, None)
        return b""


def _name(body: bytes) -> str:
    return body.split(b"\0", 1)[0].decode()


@contextlib.contextmanager
def mounted(tsm: FakeTsm, folder: Path) -> Iterator[Path]:
    """Mount `tsm` at `folder`; skips where this machine lets nobody mount FUSE."""
    program = shutil.which("fusermount3")
    if program is None or not Path("/dev/fuse").exists():
        pytest.skip("no FUSE here: run tests/tee/install-tools.sh, with /dev/fuse in the container")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            [program, "-o", "fsname=tsm,subtype=sealtune-test", "--", str(folder)],
            env=os.environ | {"_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=(theirs.fileno(),),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"FUSE cannot be mounted here: {done.stderr.strip()}")
        _, passed, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
    device = array.array("i", passed[0][2])[0]
    server = threading.Thread(target=_Server(tsm, device).serve, daemon=True)
    server.start()
    try:
        yield folder
    finally:
        subprocess.run([program, "-u", "-z", str(folder)], check=True)
        server.join()
        os.close(device)
