"""Frames on the one channel between a virtual machine and its host (spec/vm §2).

Both ends use this, and neither trusts the other: every rule that bytes alone can break is checked
here, and a broken one ends the job. It does no I/O, keeps at most one unfinished frame, and knows
nothing of what a stream carries.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.errors import Code, FormatError

PROTOCOL = b"sealtune-channel/1"
PORT_NAME = "sealtune.channel"
PAYLOAD_BYTES_MAX = 64 * 1024
STREAMS_MAX = 64  # at the same time; a worker has one per broker, and 64 brokers at most
NAME_BYTES_MAX = 255

_HEADER = struct.Struct("<BII")
HEADER_BYTES = _HEADER.size
_EXIT_BYTES_MAX = 64
_STREAM_MAX = 2**32 - 1


class FrameType(IntEnum):
    """What a frame means (spec/vm §2.3)."""

    HELLO = 0
    OPEN = 1
    DATA = 2
    CLOSE = 3
    RESET = 4
    EVENT = 5
    EXIT = 6


class Side(StrEnum):
    """An end of the channel."""

    GUEST = "guest"
    HOST = "host"


_STREAM_TYPES = frozenset({FrameType.DATA, FrameType.CLOSE, FrameType.RESET})
_SENDS = {
    Side.GUEST: frozenset(FrameType),
    Side.HOST: _STREAM_TYPES | {FrameType.HELLO},
}
# spec/vm §2.3: bytes of payload, at least and at most.
_SIZES = {
    FrameType.HELLO: (len(PROTOCOL), len(PROTOCOL)),
    FrameType.OPEN: (1, NAME_BYTES_MAX),
    FrameType.DATA: (1, PAYLOAD_BYTES_MAX),
    FrameType.CLOSE: (0, 0),
    FrameType.RESET: (0, 0),
    FrameType.EVENT: (1, PAYLOAD_BYTES_MAX),
    FrameType.EXIT: (1, _EXIT_BYTES_MAX),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame; `stream` is 0 where the frame belongs to no stream."""

    type: FrameType
    stream: int = 0
    payload: bytes = b""


class FrameReader:
    """Cuts bytes into frames; holds at most one that is not complete."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes.

        Raises:
            FormatError: an unknown type, or a payload of a size that its type does not have.
        """
        self._held += data
        while len(self._held) >= HEADER_BYTES:
            number, stream, size = _HEADER.unpack_from(self._held)
            kind = _known(number, size)
            end = HEADER_BYTES + size
            if len(self._held) < end:
                return
            payload = bytes(self._held[HEADER_BYTES:end])
            del self._held[:end]
            yield Frame(type=kind, stream=stream, payload=payload)

    def finish(self) -> None:
        """Say that no more bytes come.

        Raises:
            FormatError: within a frame.
        """
        if self._held:
            raise _malformed("it ended within a frame")


class Channel:
    """The rules of both directions, for one end: what may be sent, and what is taken."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._reader = FrameReader()
        # Directions that are still open, per live stream.
        self._live: dict[int, set[Side]] = {}
        self._newest = 0
        self._greeted = dict.fromkeys(Side, False)
        self._ended = False

    @property
    def streams(self) -> frozenset[int]:
        """The live streams."""
        return frozenset(self._live)

    def receive(self, data: bytes) -> Iterator[Frame]:
        """Yield the peer's frames in `data`, without those of streams that are over.

        Raises:
            FormatError: the peer broke a rule; nothing after it may be believed.
        """
        peer = Side.HOST if self._side is Side.GUEST else Side.GUEST
        for frame in self._reader.feed(data):
            late = frame.stream not in self._live and 0 < frame.stream <= self._newest
            if late and frame.type in _STREAM_TYPES:
                # spec/vm §2.6: it was under way when this end reset the stream.
                continue
            self._take(frame, sender=peer)
            yield frame

    def finish(self) -> None:
        """Say that the peer sends no more.

        Raises:
            FormatError: within a frame.
        """
        self._reader.finish()

    def send(self, frame: Frame) -> bytes:
        """Return `frame` as bytes for the peer.

        Raises:
            ValueError: this end may not send it now (a caller's mistake).
        """
        try:
            _known(frame.type, len(frame.payload))
            self._take(frame, sender=self._side)
        except FormatError as error:
            raise ValueError(error.message) from None
        return _HEADER.pack(frame.type, frame.stream, len(frame.payload)) + frame.payload

    def _take(self, frame: Frame, *, sender: Side) -> None:
        if frame.type not in _SENDS[sender]:
            raise _malformed(f"the {sender} may not send {frame.type.name}")
        if self._ended:
            raise _malformed("a frame after EXIT")
        if self._greeted[sender] == (frame.type is FrameType.HELLO):
            raise _malformed("HELLO comes first and once")
        if frame.type in _STREAM_TYPES:
            return self._on_stream(frame, sender)
        if frame.type is FrameType.OPEN:
            return self._open(frame.stream)
        if frame.stream:
            raise _malformed(f"{frame.type.name} on a stream")
        if frame.type is FrameType.HELLO:
            self._greet(frame.payload, sender)
        self._ended = frame.type is FrameType.EXIT

    def _greet(self, payload: bytes, sender: Side) -> None:
        if payload != PROTOCOL:
            raise _malformed("another protocol")
        if sender is Side.HOST and not self._greeted[Side.GUEST]:
            raise _malformed("the guest greets first")
        self._greeted[sender] = True

    def _open(self, stream: int) -> None:
        # spec/vm §2.5: numbers only grow, so that a late frame never meets another stream.
        if not self._newest < stream <= _STREAM_MAX:
            raise _malformed(f"stream {stream} opened after {self._newest}")
        if len(self._live) == STREAMS_MAX:
            raise _malformed(f"more than {STREAMS_MAX} streams")
        if not self._greeted[Side.HOST]:
            raise _malformed("a stream before the host's HELLO")
        self._newest = stream
        self._live[stream] = set(Side)

    def _on_stream(self, frame: Frame, sender: Side) -> None:
        open_directions = self._live.get(frame.stream)
        if open_directions is None:
            raise _malformed(f"{frame.type.name} on stream {frame.stream}, which is not open")
        if frame.type is FrameType.RESET:
            del self._live[frame.stream]
            return
        if sender not in open_directions:
            raise _malformed(f"{frame.type.name} after CLOSE on stream {frame.stream}")
        if frame.type is FrameType.CLOSE:
            open_directions.remove(sender)
            if not open_directions:
                del self._live[frame.stream]


def exit_payload(status: int) -> bytes:
    """Return the payload of EXIT for the worker's exit status (0 to 255)."""
    if not 0 <= status <= 255:
        raise ValueError("an exit status is one byte")
    return canonical_json({"status": status})


def parse_exit(payload: bytes) -> int:
    """Return the exit status that an EXIT frame carries.

    Raises:
        FormatError: not what a worker of this version writes.
    """
    value = parse_json(payload, limit=_EXIT_BYTES_MAX, what="EXIT frame")
    status = value.get("status") if isinstance(value, dict) and len(value) == 1 else None
    if type(status) is not int or not 0 <= status <= 255:
        raise _malformed("EXIT carries no status")
    return status


def _known(number: int, size: int) -> FrameType:
    try:
        kind = FrameType(number)
    except ValueError:
        raise _malformed(f"unknown frame type {number}") from None
    least, most = _SIZES[kind]
    if not least <= size <= most:
        raise _malformed(f"{kind.name} with {size} bytes")
    return kind


def _malformed(how: str) -> FormatError:
    return FormatError(Code.CHANNEL_MALFORMED, f"the channel to the virtual machine: {how}")
