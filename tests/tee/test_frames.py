"""The channel's frames: every rule of spec/vm §2 that bytes alone can break."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.errors import Code, FormatError
from sealtune.tee.frames import (
    HEADER_BYTES,
    NAME_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    PROTOCOL,
    STREAMS_MAX,
    Channel,
    Frame,
    FrameReader,
    FrameType,
    Side,
    exit_payload,
    parse_exit,
)

HELLO = Frame(type=FrameType.HELLO, payload=PROTOCOL)


def raw(number: int, stream: int = 0, payload: bytes = b"", *, size: int | None = None) -> bytes:
    return struct.pack("<BII", number, stream, len(payload) if size is None else size) + payload


def greeted() -> tuple[Channel, Channel]:
    guest, host = Channel(Side.GUEST), Channel(Side.HOST)
    assert list(host.receive(guest.send(HELLO))) == [HELLO]
    assert list(guest.receive(host.send(HELLO))) == [HELLO]
    return guest, host


def opened(stream: int = 1) -> tuple[Channel, Channel]:
    guest, host = greeted()
    list(host.receive(guest.send(Frame(type=FrameType.OPEN, stream=stream, payload=b"b"))))
    return guest, host


def data(stream: int, payload: bytes = b"x") -> Frame:
    return Frame(type=FrameType.DATA, stream=stream, payload=payload)


def close(stream: int) -> Frame:
    return Frame(type=FrameType.CLOSE, stream=stream)


def reset(stream: int) -> Frame:
    return Frame(type=FrameType.RESET, stream=stream)


def refused(channel: Channel, sent: bytes) -> None:
    with pytest.raises(FormatError) as error:
        list(channel.receive(sent))
    assert error.value.code is Code.CHANNEL_MALFORMED


FRAMES = [
    HELLO,
    Frame(type=FrameType.OPEN, stream=1, payload=b"hospital-broker"),
    data(1, b"\x00" * PAYLOAD_BYTES_MAX),
    close(1),
    reset(1),
    Frame(type=FrameType.EVENT, payload=b'{"event":"phase"}\n'),
    Frame(type=FrameType.EXIT, payload=exit_payload(0)),
]


@given(st.lists(st.integers(1, 5000), max_size=40))
def test_frames_come_out_however_the_bytes_are_cut(cuts: list[int]) -> None:
    sent = b"".join(raw(frame.type, frame.stream, frame.payload) for frame in FRAMES)
    reader, got = FrameReader(), []
    for cut in [*cuts, len(sent)]:
        got += reader.feed(sent[:cut])
        sent = sent[cut:]
    reader.finish()
    assert got == FRAMES


@pytest.mark.parametrize("side", list(Side), ids=str)
@given(received=st.binary(max_size=400))
def test_any_bytes_raise_only_our_error(side: Side, received: bytes) -> None:
    guest, host = opened()
    try:
        list((guest if side is Side.GUEST else host).receive(received))
    except FormatError as error:
        assert error.code is Code.CHANNEL_MALFORMED


def test_a_frame_as_bytes() -> None:
    guest, _ = opened(stream=7)
    assert guest.send(data(7, b"ab")) == bytes.fromhex("02 07000000 02000000") + b"ab"
    assert HEADER_BYTES == 9


@pytest.mark.parametrize(
    ("number", "size"),
    [
        (7, 0),
        (255, 0),
        (FrameType.HELLO, len(PROTOCOL) - 1),
        (FrameType.OPEN, 0),
        (FrameType.OPEN, NAME_BYTES_MAX + 1),
        (FrameType.DATA, 0),
        (FrameType.DATA, PAYLOAD_BYTES_MAX + 1),
        (FrameType.DATA, 2**32 - 1),
        (FrameType.CLOSE, 1),
        (FrameType.RESET, 1),
        (FrameType.EVENT, 0),
        (FrameType.EVENT, PAYLOAD_BYTES_MAX + 1),
        (FrameType.EXIT, 65),
    ],
)
def test_types_and_sizes_are_refused_by_the_header_alone(number: int, size: int) -> None:
    with pytest.raises(FormatError) as error:
        list(FrameReader().feed(raw(number, size=size)))
    assert error.value.code is Code.CHANNEL_MALFORMED


@pytest.mark.parametrize("kept", [1, 8, 9, 20])
def test_an_end_within_a_frame_is_refused(kept: int) -> None:
    _, host = greeted()
    list(host.receive(raw(FrameType.EVENT, payload=b"x" * 30)[:kept]))
    with pytest.raises(FormatError):
        host.finish()


@pytest.mark.parametrize("sent", FRAMES[1:], ids=lambda frame: frame.type.name)
def test_the_guests_first_frame_is_hello(sent: Frame) -> None:
    refused(Channel(Side.HOST), raw(sent.type, sent.stream, sent.payload))


def test_hello_comes_once_and_names_the_protocol() -> None:
    guest, host = greeted()
    refused(host, raw(FrameType.HELLO, payload=PROTOCOL))
    refused(guest, raw(FrameType.HELLO, payload=PROTOCOL))
    refused(Channel(Side.HOST), raw(FrameType.HELLO, payload=b"sealtune-channel/2"))
    refused(Channel(Side.HOST), raw(FrameType.HELLO, 1, PROTOCOL))


def test_the_host_does_not_greet_first() -> None:
    refused(Channel(Side.GUEST), raw(FrameType.HELLO, payload=PROTOCOL))
    with pytest.raises(ValueError, match="greets first"):
        Channel(Side.HOST).send(HELLO)


def test_no_stream_before_the_host_greeted() -> None:
    host = Channel(Side.HOST)
    refused(host, raw(FrameType.HELLO, payload=PROTOCOL) + raw(FrameType.OPEN, 1, b"b"))


@pytest.mark.parametrize("number", [FrameType.OPEN, FrameType.EVENT, FrameType.EXIT])
def test_the_host_may_not_send(number: FrameType) -> None:
    guest, host = greeted()
    payload = exit_payload(0)
    refused(guest, raw(number, 1 if number is FrameType.OPEN else 0, payload))
    with pytest.raises(ValueError, match="may not send"):
        host.send(Frame(type=number, payload=payload))


@pytest.mark.parametrize("number", [FrameType.DATA, FrameType.CLOSE, FrameType.RESET])
@pytest.mark.parametrize("stream", [0, 2, 2**32 - 1])
def test_a_stream_that_was_never_opened(number: FrameType, stream: int) -> None:
    for channel in opened(stream=1):
        refused(channel, raw(number, stream, b"x" if number is FrameType.DATA else b""))


@pytest.mark.parametrize("stream", [0, 4, 5])
def test_stream_numbers_only_grow(stream: int) -> None:
    guest, host = opened(stream=5)
    list(host.receive(guest.send(reset(5))))
    refused(host, raw(FrameType.OPEN, stream, b"b"))
    with pytest.raises(ValueError, match="opened after"):
        guest.send(Frame(type=FrameType.OPEN, stream=stream, payload=b"b"))


def test_streams_are_bounded_at_a_time_and_not_over_time() -> None:
    guest, host = greeted()
    for stream in range(1, STREAMS_MAX + 1):
        opening = Frame(type=FrameType.OPEN, stream=stream, payload=b"b")
        list(host.receive(guest.send(opening)))
    one_more = STREAMS_MAX + 1
    list(guest.receive(host.send(reset(1))))
    list(host.receive(guest.send(Frame(type=FrameType.OPEN, stream=one_more, payload=b"b"))))
    assert len(host.streams) == len(guest.streams) == STREAMS_MAX
    refused(host, raw(FrameType.OPEN, one_more + 1, b"b"))


@pytest.mark.parametrize("number", [FrameType.EVENT, FrameType.EXIT])
def test_events_belong_to_no_stream(number: FrameType) -> None:
    _, host = opened()
    refused(host, raw(number, 1, exit_payload(0)))


def test_nothing_follows_exit() -> None:
    guest, host = opened()
    list(host.receive(guest.send(Frame(type=FrameType.EXIT, payload=exit_payload(0)))))
    refused(host, raw(FrameType.DATA, 1, b"x"))
    with pytest.raises(ValueError, match="after EXIT"):
        guest.send(data(1))


def test_each_direction_closes_by_itself() -> None:
    guest, host = opened()
    assert list(host.receive(guest.send(close(1)))) == [close(1)]
    assert list(guest.receive(host.send(data(1)))) == [data(1)]
    refused(host, raw(FrameType.DATA, 1, b"x"))
    with pytest.raises(ValueError, match="after CLOSE"):
        guest.send(data(1))
    guest, host = opened()
    list(guest.receive(host.send(close(1))))
    refused(guest, raw(FrameType.CLOSE, 1))
    assert list(host.receive(guest.send(close(1)))) == [close(1)]
    assert guest.streams == host.streams == frozenset()


def test_what_was_under_way_when_a_stream_was_reset_is_dropped() -> None:
    guest, host = opened()
    late = guest.send(data(1)) + guest.send(close(1))
    host.send(reset(1))
    assert list(host.receive(late)) == []
    assert host.streams == frozenset()
    assert list(host.receive(guest.send(Frame(type=FrameType.OPEN, stream=2, payload=b"b"))))


@pytest.mark.parametrize("status", [0, 1, 255])
def test_exit_carries_the_status(status: int) -> None:
    assert parse_exit(exit_payload(status)) == status


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b"0",
        b'{"status":256}',
        b'{"status":-1}',
        b'{"status":true}',
        b'{"status":"0"}',
        b'{"status":0,"x":0}',
        b"{",
        b" " * 65,
    ],
)
def test_exit_without_a_status_is_refused(payload: bytes) -> None:
    with pytest.raises(FormatError):
        parse_exit(payload)


def test_a_status_beyond_a_byte_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="one byte"):
        exit_payload(256)
