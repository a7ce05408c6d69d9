"""The guest's end of the one channel out of a measured VM (spec/vm §2).

For each broker there is a unix socket; what comes in there travels as a stream of frames to the
host, which knows the broker's address. Events and the exit status go the same way. The host is
hostile: what it sends is bounded, and the first rule that it breaks ends the worker.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from sealtune.core.limits import ANSWER_BYTES_MAX, KIB
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError
from sealtune.tee.frames import (
    PAYLOAD_BYTES_MAX,
    PORT_NAME,
    PROTOCOL,
    STREAMS_MAX,
    Channel,
    Frame,
    FrameType,
    Side,
    exit_payload,
)

PORTS = Path("/sys/class/virtio-ports")
DEVICES = Path("/dev")
# One answer of a broker with its HTTP header: each stream carries one.
STREAM_BYTES_MAX = ANSWER_BYTES_MAX + 64 * KIB
_GREETING_SECONDS = 30.0
_PORTS_MAX = 64
_NAME_BYTES_MAX = 64


def open_port(*, ports: Path = PORTS, devices: Path = DEVICES) -> int:
    """Return a descriptor of the channel's port, found by its name.

    Raises:
        ConfigError: this machine has no such port, or several.
    """
    found = []
    entries = sorted(ports.iterdir()) if ports.is_dir() else []
    for entry in entries[:_PORTS_MAX]:
        with (entry / "name").open("rb") as file:
            if file.read(_NAME_BYTES_MAX).strip() == PORT_NAME.encode():
                found.append(entry.name)
    if len(found) != 1:
        raise ConfigError(
            Code.TEE_UNAVAILABLE,
            f"this machine has {len(found)} ports named {PORT_NAME}, not one",
            remedy="start it with `sealtune run`",
        )
    return os.open(devices / found[0], os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)


@dataclass(slots=True, kw_only=True, eq=False)
class _Stream:
    number: int
    connection: socket.socket
    # What the host sent and the client has not taken; the empty piece ends it.
    pieces: SimpleQueue[bytes] = field(default_factory=SimpleQueue)
    received: int = 0


class GuestChannel:
    """Sends events and carries the brokers' streams; threads may share it."""

    def __init__(self, descriptor: int, *, on_failure: Callable[[SealtuneError], None]) -> None:
        """Greet the host through the port `descriptor`.

        `on_failure` is called once, from the thread that reads, when the host breaks a rule or goes
        away; it has to end the worker.
        """
        self._descriptor = descriptor
        self._on_failure = on_failure
        self._rules = Channel(Side.GUEST)
        # Two locks: a write that waits for the host must not keep the reader from reading.
        self._writing = threading.Lock()
        self._state = threading.Lock()
        self._streams: dict[int, _Stream] = {}
        self._newest = 0
        self._over = False
        self._greeted = threading.Event()
        self._listeners: list[tuple[str, socket.socket]] = []
        self._send(Frame(type=FrameType.HELLO, payload=PROTOCOL))

    def listen(self, name: str, path: Path) -> None:
        """Make the unix socket at `path` the way to broker `name`, once `start` was called."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(STREAMS_MAX)
        self._listeners.append((name, listener))

    def start(self) -> None:
        """Start the threads that carry; they end with the process."""
        _start(self._read)
        for name, listener in self._listeners:
            _start(self._accept, name, listener)

    def event(self, line: bytes) -> None:
        """Send one line of the worker's events."""
        self._send(Frame(type=FrameType.EVENT, payload=line.rstrip(b"\n")))

    def exit(self, status: int) -> None:
        """Say that the worker is over, with `status`; nothing is sent after it."""
        self._send(Frame(type=FrameType.EXIT, payload=exit_payload(status)))

    def _send(self, frame: Frame) -> bool:
        """Write `frame`, unless what it belongs to is over; return whether it was written."""
        with self._writing:
            with self._state:
                if self._over or (frame.stream and frame.stream not in self._rules.streams):
                    return False
                data = self._rules.send(frame)
                self._over = frame.type is FrameType.EXIT
            self._write(data)
        return True

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def _accept(self, name: str, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            _start(self._carry, name, connection)

    def _carry(self, name: str, connection: socket.socket) -> None:
        with connection:
            stream = self._open(name, connection)
            if stream is None:
                return
            back = _start(self._deliver, stream)
            self._collect(stream)
            back.join()

    def _open(self, name: str, connection: socket.socket) -> _Stream | None:
        # spec/vm §2.5: the host has to greet before the first stream.
        if not self._greeted.wait(_GREETING_SECONDS):
            return None
        with self._writing:
            with self._state:
                if self._over or len(self._rules.streams) == STREAMS_MAX:
                    return None
                self._newest += 1
                stream = _Stream(number=self._newest, connection=connection)
                frame = Frame(type=FrameType.OPEN, stream=stream.number, payload=name.encode())
                data = self._rules.send(frame)
                self._streams[stream.number] = stream
            self._write(data)
        return stream

    def _collect(self, stream: _Stream) -> None:
        """Carry what the client sends."""
        number = stream.number
        try:
            while piece := stream.connection.recv(PAYLOAD_BYTES_MAX):
                if not self._send(Frame(type=FrameType.DATA, stream=number, payload=piece)):
                    return
            self._send(Frame(type=FrameType.CLOSE, stream=number))
        except OSError:
            self._send(Frame(type=FrameType.RESET, stream=number))

    def _deliver(self, stream: _Stream) -> None:
        """Carry what the host sends."""
        try:
            while piece := stream.pieces.get():
                stream.connection.sendall(piece)
            stream.connection.shutdown(socket.SHUT_WR)
        except OSError:
            # The client went away; what still comes is of no use to anybody.
            self._send(Frame(type=FrameType.RESET, stream=stream.number))
        finally:
            with self._state:
                self._streams.pop(stream.number, None)

    def _read(self) -> None:
        try:
            while data := os.read(self._descriptor, PAYLOAD_BYTES_MAX):
                with self._state:
                    frames = list(self._rules.receive(data))
                self._take(frames)
            self._rules.finish()
            raise FormatError(Code.CHANNEL_MALFORMED, "the host closed the channel")
        except FormatError as error:
            self._fail(error)
        except OSError as error:
            message = f"the channel to the host: {error.strerror}"
            self._fail(FormatError(Code.CHANNEL_MALFORMED, message))

    def _fail(self, error: SealtuneError) -> None:
        with self._state:
            over = self._over
        if not over:
            self._on_failure(error)

    def _take(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            if frame.type is FrameType.HELLO:
                self._greeted.set()
                continue
            with self._state:
                stream = self._streams.get(frame.stream)
            if stream is None:
                continue
            stream.received += len(frame.payload)
            if stream.received > STREAM_BYTES_MAX:
                message = f"more than {STREAM_BYTES_MAX} bytes on one stream"
                raise FormatError(Code.CHANNEL_MALFORMED, message)
            if frame.type is FrameType.RESET:
                # Both threads of the stream notice.
                with contextlib.suppress(OSError):
                    stream.connection.shutdown(socket.SHUT_RDWR)
            # No DATA is empty (spec/vm §2.3): CLOSE and RESET put the empty piece.
            stream.pieces.put(frame.payload)


def _start(target: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread
