"""What a measured VM finds, made of ordinary files: sysfs, disks, and a port that is a terminal.

The host's end speaks the channel with its own few lines, so that the guest's are not tested against
themselves. Nothing of it isolates or measures anything.
"""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import socket
import struct
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.tee.frames import PORT_NAME, PROTOCOL
from sealtune.tee.output_disk import OutputDisk

SECTOR = 512
OUTPUT_BYTES = 8 * 1024 * 1024
HELLO, OPEN, DATA, CLOSE, RESET, EVENT, EXIT = range(7)

# Runs the guest's entry on the machine at argv[1], attested by the mock at argv[2].
PROGRAM = """
import os, sys
from pathlib import Path
from sealtune.tee.guest.attest import GuestAttester
from sealtune.tee.simulated import InsecureSimulatedAttester
from sealtune.worker.exits import close_standard_streams
from sealtune.worker.guest import Machine, run_guest
from sealtune.worker.process import keep_memory_private

root, mock = Path(sys.argv[1]), Path(sys.argv[2])
attester = InsecureSimulatedAttester(mock)
close_standard_streams()
keep_memory_private()
machine = Machine(
    ports=root / "ports",
    blocks=root / "block",
    devices=root / "dev",
    command_line=root / "cmdline",
    folder=root / "run",
    user=os.getuid(),
    attester=lambda tee, folder: GuestAttester(attester=attester, files=[]),
)
sys.exit(run_guest(machine))
"""


def frame(kind: int, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack("<BII", kind, stream, len(payload)) + payload


def write_job(path: Path, value: Mapping[str, Any]) -> None:
    data = canonical_json(value)
    content = b"SEALJOB1" + len(data).to_bytes(8, "little") + data
    path.write_bytes(content.ljust(-(-len(content) // SECTOR) * SECTOR, b"\0"))


@dataclass
class GuestMachine:
    """The files that a guest sees, and the host's end of its channel."""

    root: Path
    brokers: Mapping[str, str]
    events: list[dict[str, Any]] = field(default_factory=list)
    status: int | None = None
    opened: list[str] = field(default_factory=list)
    on_event: Callable[[dict[str, Any]], None] = lambda event: None
    master: int = -1
    deaf: bool = False
    said: bytes = b""
    job: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _pending: dict[int, socket.socket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, job: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
        """Lay out job, inputs (by serial number) and an output disk, unless there is one."""
        for name in ("dev", "block", "ports/vport1p1"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "cmdline").write_text("panic=-1 quiet\n")
        (self.root / "ports/vport1p1/name").write_text(PORT_NAME + "\n")
        self.job = dict(job)
        self.make_job()
        for number, (serial, path) in enumerate(sorted(inputs.items())):
            name = f"vd{chr(ord('c') + number)}"
            content = path.read_bytes()
            # Not zeros, so that a reader beyond the true length would notice.
            padding = -len(content) % SECTOR
            (self.root / "dev" / name).write_bytes(content + b"\xee" * padding)
            self.describe(name, serial)
        if not self.output.exists():
            OutputDisk.format(self.output, OUTPUT_BYTES)
        self.describe("vda", "out")

    def make_job(self, **changes: Any) -> None:
        """Write the job disk, with `changes`."""
        write_job(self.root / "dev/vdb", self.job | changes)
        self.describe("vdb", "job")

    @property
    def output(self) -> Path:
        return self.root / "dev/vda"

    def describe(self, name: str, serial: str) -> None:
        folder = self.root / "block" / name
        folder.mkdir(exist_ok=True)
        (folder / "serial").write_text(serial)
        size = (self.root / "dev" / name).stat().st_size
        (folder / "size").write_text(f"{size // SECTOR}\n")

    @contextlib.contextmanager
    def port(self) -> Iterator[None]:
        """Offer the port; its other end is `master`."""
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        link = self.root / "dev/vport1p1"
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(slave))
        try:
            yield
        finally:
            os.close(slave)
            os.close(self.master)

    def run(self, mock: Path, *, program: str = PROGRAM, timeout: float = 240) -> int:
        """Run the guest to its end and return its process's status."""
        shutil.rmtree(self.root / "run", ignore_errors=True)
        with self.port():
            command = [sys.executable, "-I", "-B", "-c", program, str(self.root), str(mock)]
            process = self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            reader = threading.Thread(target=self.serve, daemon=True)
            reader.start()
            try:
                said, _ = process.communicate(timeout=timeout)
            finally:
                process.kill()
                process.wait()
            self.said = said
            reader.join(5)
        return process.returncode

    def serve(self) -> None:
        """Answer frames until EXIT or the end of the port."""
        held = b""
        while self.status is None and not self.deaf:
            try:
                held += os.read(self.master, 65536)
            except OSError:
                return
            while len(held) >= 9:
                kind, stream, size = struct.unpack("<BII", held[:9])
                if len(held) < 9 + size:
                    break
                payload, held = held[9 : 9 + size], held[9 + size :]
                self.take(kind, stream, payload)

    def take(self, kind: int, stream: int, payload: bytes) -> None:
        if kind == HELLO:
            assert payload == PROTOCOL
            self.send(frame(HELLO, 0, PROTOCOL))
        elif kind == EVENT:
            event = parse_json(payload, limit=16384, what="event")
            self.events.append(event)
            self.on_event(event)
        elif kind == EXIT:
            self.status = parse_json(payload, limit=64, what="exit")["status"]
        elif kind == OPEN:
            self.opened.append(payload.decode())
            target = urlsplit(self.brokers[payload.decode()])
            try:
                connection = socket.create_connection((target.hostname, target.port), timeout=20)
            except OSError:
                return self.send(frame(RESET, stream))
            self._pending[stream] = connection
            threading.Thread(target=self._back, args=(stream, connection), daemon=True).start()
        elif stream in self._pending:
            with contextlib.suppress(OSError):
                if kind == DATA:
                    self._pending[stream].sendall(payload)
                else:
                    self._pending.pop(stream).shutdown(socket.SHUT_WR)

    def _back(self, stream: int, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while piece := connection.recv(16384):
                self.send(frame(DATA, stream, piece))
            self.send(frame(CLOSE, stream))

    def send(self, data: bytes) -> None:
        with self._lock, contextlib.suppress(OSError):
            left = memoryview(data)
            while left:
                left = left[os.write(self.master, left) :]
