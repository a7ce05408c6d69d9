"""The host's end of the channel: streams to named brokers, events, exit status (spec/vm §2).

It sees ciphertext and signed messages, opens connections to the given brokers and to nothing else,
and bounds what it keeps. A guest that breaks a rule is refused; a broker that does not take what it
is sent loses that one stream.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sealtune.core.limits import KIB, MESSAGE_BYTES_MAX, MIB
from sealtune.errors import Code, FormatError
from sealtune.tee.events import WorkerEvent, parse_event
from sealtune.tee.frames import (
    PAYLOAD_BYTES_MAX,
    PROTOCOL,
    Channel,
    Frame,
    FrameType,
    Side,
    parse_exit,
)

# One request with its HTTP header; each stream carries one.
STREAM_HELD_MAX = MESSAGE_BYTES_MAX + 64 * KIB
HELD_MAX = 4 * STREAM_HELD_MAX
# Brokers are read no further while the guest has this much to take.
GUEST_HELD_MAX = 1 * MIB


@dataclass(slots=True, kw_only=True, eq=False)
class _Stream:
    number: int
    connection: socket.socket
    # What the guest sent and the broker has not taken.
    held: bytearray = field(default_factory=bytearray)
    guest_closed: bool = False
    broker_closed: bool = False


class Relay:
    """Carries one guest's frames; a context that closes every connection it made."""

    def __init__(
        self,
        guest: socket.socket,
        *,
        brokers: Mapping[str, Path],
        on_event: Callable[[WorkerEvent], None],
    ) -> None:
        """Take the channel's socket, and for each broker the unix socket of its Forwarder."""
        self._guest = guest
        self._brokers = brokers
        self._on_event = on_event
        self._rules = Channel(Side.HOST)
        self._streams: dict[int, _Stream] = {}
        self._to_guest = bytearray()
        self._selector = selectors.DefaultSelector()
        self.greeted = False
        self.status: int | None = None
        self.ended = False
        guest.setblocking(False)
        self._selector.register(guest, selectors.EVENT_READ)

    def step(self, seconds: float) -> None:
        """Carry what there is to carry, waiting at most `seconds` for it.

        Raises:
            FormatError: the guest broke a rule of the channel.
        """
        for key, events in self._selector.select(seconds):
            stream: _Stream | None = key.data
            if stream is None:
                self._serve_guest(events)
            elif stream.number in self._streams:
                self._serve_broker(stream, events)
        self._choose()

    def close(self) -> None:
        """Close every connection."""
        for stream in list(self._streams.values()):
            self._drop(stream)
        self._selector.close()
        self._guest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve_guest(self, events: int) -> None:
        data = b""
        try:
            if events & selectors.EVENT_WRITE:
                del self._to_guest[: self._guest.send(self._to_guest)]
            if events & selectors.EVENT_READ:
                data = self._guest.recv(PAYLOAD_BYTES_MAX)
                self.ended = not data
        except BlockingIOError:
            return
        except OSError:
            self.ended = True
        for frame in self._rules.receive(data):
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        match frame.type:
            case FrameType.HELLO:
                self.greeted = True
                self._send(Frame(type=FrameType.HELLO, payload=PROTOCOL))
            case FrameType.EVENT:
                self._on_event(parse_event(frame.payload))
            case FrameType.EXIT:
                self.status = parse_exit(frame.payload)
                for stream in list(self._streams.values()):
                    self._drop(stream)
            case FrameType.OPEN:
                self._open(frame)
            case FrameType.DATA | FrameType.CLOSE | FrameType.RESET:
                self._on_stream(frame)

    def _open(self, frame: Frame) -> None:
        name = frame.payload.decode("utf-8", errors="replace")
        if name not in self._brokers:
            message = "the virtual machine asked for a broker that is not this run's"
            raise FormatError(Code.CHANNEL_MALFORMED, message)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        stream = _Stream(number=frame.stream, connection=connection)
        self._streams[stream.number] = stream
        try:
            connection.connect(str(self._brokers[name]))
        except OSError:
            return self._reset(stream)
        self._selector.register(connection, selectors.EVENT_READ, stream)

    def _on_stream(self, frame: Frame) -> None:
        # The rules let through only frames of live streams.
        stream = self._streams[frame.stream]
        if frame.type is FrameType.RESET:
            return self._drop(stream)
        stream.held += frame.payload
        stream.guest_closed = frame.type is FrameType.CLOSE
        all_held = sum(len(each.held) for each in self._streams.values())
        if len(stream.held) > STREAM_HELD_MAX or all_held > HELD_MAX:
            return self._reset(stream)
        self._to_broker(stream)

    def _serve_broker(self, stream: _Stream, events: int) -> None:
        # One at a time: the first may end the stream. Writing stops where the broker takes no more.
        if events & selectors.EVENT_WRITE:
            self._to_broker(stream)
        else:
            self._from_broker(stream)

    def _to_broker(self, stream: _Stream) -> None:
        try:
            while stream.held:
                del stream.held[: stream.connection.send(stream.held[:PAYLOAD_BYTES_MAX])]
            if stream.guest_closed:
                stream.connection.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            return self._reset(stream)
        self._drop_if_over(stream)

    def _from_broker(self, stream: _Stream) -> None:
        try:
            piece = stream.connection.recv(PAYLOAD_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            return self._reset(stream)
        if piece:
            return self._send(Frame(type=FrameType.DATA, stream=stream.number, payload=piece))
        stream.broker_closed = True
        self._send(Frame(type=FrameType.CLOSE, stream=stream.number))
        self._drop_if_over(stream)

    def _drop_if_over(self, stream: _Stream) -> None:
        if stream.broker_closed and stream.guest_closed and not stream.held:
            self._drop(stream)

    def _reset(self, stream: _Stream) -> None:
        if stream.number in self._rules.streams:
            self._send(Frame(type=FrameType.RESET, stream=stream.number))
        self._drop(stream)

    def _drop(self, stream: _Stream) -> None:
        del self._streams[stream.number]
        with contextlib.suppress(KeyError):
            self._selector.unregister(stream.connection)
        stream.connection.close()

    def _send(self, frame: Frame) -> None:
        self._to_guest += self._rules.send(frame)

    def _choose(self) -> None:
        """Wait for what can be carried on, and for nothing else."""
        self._want(self._guest, None, read=True, write=bool(self._to_guest))
        room = len(self._to_guest) <= GUEST_HELD_MAX
        for stream in self._streams.values():
            read = room and not stream.broker_closed
            self._want(stream.connection, stream, read=read, write=bool(stream.held))

    def _want(
        self, connection: socket.socket, stream: _Stream | None, *, read: bool, write: bool
    ) -> None:
        events = selectors.EVENT_READ * read | selectors.EVENT_WRITE * write
        registered = self._selector.get_map().get(connection)
        if registered is None:
            if events:
                self._selector.register(connection, events, stream)
        elif not events:
            self._selector.unregister(connection)
        elif registered.events != events:
            self._selector.modify(connection, events, stream)
