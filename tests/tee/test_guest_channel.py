"""The guest's end of the channel: brokers are reached through it, and a hostile host ends it."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealtune.errors import Code, ConfigError, SealtuneError, TransportError
from sealtune.protocol.client import BrokerClient, Patience
from sealtune.tee.frames import (
    PAYLOAD_BYTES_MAX,
    PORT_NAME,
    PROTOCOL,
    STREAMS_MAX,
    Channel,
    Frame,
    FrameType,
    Side,
    parse_exit,
)
from sealtune.tee.guest import channel as module
from sealtune.tee.guest.channel import STREAM_BYTES_MAX, GuestChannel, open_port

HELLO = Frame(type=FrameType.HELLO, payload=PROTOCOL)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Host:
    """The other end: reads frames one by one and sends what it is told to."""

    def __init__(self, folder: Path) -> None:
        ours, self.theirs = socket.socketpair()
        ours.settimeout(10)
        self.socket = ours
        self.rules = Channel(Side.HOST)
        self.frames: Iterator[Frame] = iter(())
        self.failures: list[SealtuneError] = []
        self.failed = threading.Event()
        self.guest = GuestChannel(self.theirs.fileno(), on_failure=self._fail)
        self.path = folder / "b.sock"
        self.guest.listen("hospital-broker", self.path)
        self.guest.start()

    def _fail(self, error: SealtuneError) -> None:
        self.failures.append(error)
        self.failed.set()

    def receive(self) -> Frame:
        while True:
            frame = next(self.frames, None)
            if frame is not None:
                return frame
            data = self.socket.recv(65536)
            assert data, "the guest closed the channel"
            self.frames = iter(list(self.rules.receive(data)))

    def send(self, kind: FrameType, stream: int = 0, payload: bytes = b"") -> None:
        self.socket.sendall(self.rules.send(Frame(type=kind, stream=stream, payload=payload)))

    def greet(self) -> None:
        assert self.receive() == HELLO
        self.send(FrameType.HELLO, payload=PROTOCOL)

    def raw(self, kind: int, stream: int = 0, payload: bytes = b"", size: int = -1) -> None:
        size = len(payload) if size < 0 else size
        self.socket.sendall(struct.pack("<BII", kind, stream, size) + payload)

    def client(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.path))
        return client

    def failure(self) -> SealtuneError:
        assert self.failed.wait(10)
        return self.failures[0]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.guest.exit(0)
    made.socket.close()


@pytest.fixture
def ports(tmp_path: Path) -> tuple[Path, Path]:
    """Folders that look like /sys/class/virtio-ports and /dev, with a port of another purpose."""
    ports, devices = tmp_path / "ports", tmp_path / "dev"
    devices.mkdir()
    for name, text in (("vport0p1", "org.qemu.agent"), ("vport0p2", PORT_NAME)):
        (ports / name).mkdir(parents=True)
        (ports / name / "name").write_text(text + "\n")
        (devices / name).write_text("")
    return ports, devices


def test_the_port_is_found_by_its_name(ports: tuple[Path, Path]) -> None:
    descriptor = open_port(ports=ports[0], devices=ports[1])
    try:
        assert Path(f"/proc/self/fd/{descriptor}").readlink() == ports[1] / "vport0p2"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("text", ["", PORT_NAME + "x", "x" + PORT_NAME])
def test_a_machine_without_the_port_says_so(text: str, ports: tuple[Path, Path]) -> None:
    (ports[0] / "vport0p2/name").write_text(text)
    with pytest.raises(ConfigError) as error:
        open_port(ports=ports[0], devices=ports[1])
    assert error.value.code is Code.TEE_UNAVAILABLE


def test_two_ports_of_that_name_are_none(ports: tuple[Path, Path]) -> None:
    (ports[0] / "vport0p1/name").write_text(PORT_NAME)
    with pytest.raises(ConfigError):
        open_port(ports=ports[0], devices=ports[1])


def test_no_folder_of_ports_is_no_port(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        open_port(ports=tmp_path / "none", devices=tmp_path)


def test_a_broker_is_asked_through_it(host: Host) -> None:
    host.greet()
    asked: list[bytes] = []

    def answer() -> None:
        opened = host.receive()
        assert (opened.type, opened.payload) == (FrameType.OPEN, b"hospital-broker")
        while not asked or not asked[0].endswith(b"x" * 100_000):
            piece = host.receive()
            asked[:] = [b"".join([*asked, piece.payload])]
        host.send(FrameType.DATA, opened.stream, ANSWER[:20])
        host.send(FrameType.DATA, opened.stream, ANSWER[20:])
        host.send(FrameType.CLOSE, opened.stream)

    thread = threading.Thread(target=answer)
    thread.start()
    said = BrokerClient(f"unix:{host.path}").post("/v1/challenge", b"x" * 100_000)
    thread.join(10)
    assert said == b"{}"
    assert asked[0].startswith(b"POST /v1/challenge")
    assert host.receive().type is FrameType.CLOSE


def test_events_and_the_status_leave_by_it(host: Host) -> None:
    assert host.receive() == HELLO
    host.guest.event(b'{"event":"phase"}\n')
    assert host.receive() == Frame(type=FrameType.EVENT, payload=b'{"event":"phase"}')
    host.guest.exit(7)
    assert parse_exit(host.receive().payload) == 7
    # Nothing comes after it, and the end of the channel is no failure any more.
    host.guest.event(b"{}")
    host.socket.shutdown(socket.SHUT_WR)
    assert not host.failed.wait(0.2)


def test_no_stream_is_opened_before_the_host_greets(host: Host) -> None:
    assert host.receive() == HELLO
    with host.client() as client:
        client.sendall(b"x")
        host.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            host.receive()
        host.socket.settimeout(10)
        host.send(FrameType.HELLO, payload=PROTOCOL)
        assert host.receive().type is FrameType.OPEN
        assert host.receive().payload == b"x"


def test_a_host_that_never_greets_costs_a_connection_and_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GREETING_SECONDS", 0.05)
    host = Host(tmp_path)
    client = BrokerClient(f"unix:{host.path}", patience=Patience(attempts=1))
    with pytest.raises(TransportError):
        client.post("/v1/challenge", b"x")
    host.guest.exit(0)
    host.socket.close()


def test_a_reset_by_the_host_ends_the_connection(host: Host) -> None:
    host.greet()
    with host.client() as client:
        stream = host.receive().stream
        host.send(FrameType.RESET, stream)
        assert client.recv(10) == b""
        # The number is used up: the next connection has another.
        with host.client():
            assert host.receive().stream == stream + 1


def test_what_comes_for_a_client_that_left_is_dropped(host: Host) -> None:
    host.greet()
    client = host.client()
    stream = host.receive().stream
    client.close()
    assert host.receive() == Frame(type=FrameType.CLOSE, stream=stream)
    for _ in range(3):
        host.raw(FrameType.DATA, stream, b"late")
    with host.client():
        while host.receive().type is not FrameType.OPEN:
            pass
    assert not host.failures


def test_the_number_of_streams_is_bounded(host: Host) -> None:
    host.greet()
    clients = []
    for _ in range(STREAMS_MAX):
        clients.append(host.client())
        assert host.receive().type is FrameType.OPEN
    with host.client() as one_more:
        assert one_more.recv(10) == b""
    for client in clients:
        client.close()
    assert not host.failures


MALFORMED = {
    "unknown-type": (7, 0, b""),
    "an-event": (FrameType.EVENT, 0, b"{}"),
    "an-exit": (FrameType.EXIT, 0, b'{"status":0}'),
    "a-stream-of-the-hosts": (FrameType.OPEN, 5, b"hospital-broker"),
    "data-for-no-stream": (FrameType.DATA, 9, b"x"),
    "close-of-no-stream": (FrameType.CLOSE, 9, b""),
    "empty-data": (FrameType.DATA, 1, b""),
    "a-second-greeting": (FrameType.HELLO, 0, PROTOCOL),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_host_that_breaks_a_rule_ends_it(name: str, host: Host) -> None:
    host.greet()
    with host.client():
        assert host.receive().type is FrameType.OPEN
        kind, stream, payload = MALFORMED[name]
        host.raw(kind, stream, payload)
        assert host.failure().code is Code.CHANNEL_MALFORMED


def test_a_frame_that_says_it_is_large_ends_it_unread(host: Host) -> None:
    host.greet()
    host.raw(FrameType.DATA, 1, size=PAYLOAD_BYTES_MAX + 1)
    assert host.failure().code is Code.CHANNEL_MALFORMED


def test_another_protocol_ends_it(host: Host) -> None:
    host.raw(FrameType.HELLO, 0, PROTOCOL[:-1] + b"2")
    assert host.failure().code is Code.CHANNEL_MALFORMED


def test_an_endless_answer_ends_it(host: Host) -> None:
    host.greet()
    with host.client():
        stream = host.receive().stream
        # Nobody reads it: only the bound keeps it from filling the memory.
        for _ in range(STREAM_BYTES_MAX // PAYLOAD_BYTES_MAX):
            host.send(FrameType.DATA, stream, bytes(PAYLOAD_BYTES_MAX))
        assert not host.failures
        host.send(FrameType.DATA, stream, b"x")
        assert host.failure().code is Code.CHANNEL_MALFORMED


@pytest.mark.parametrize("held", [b"", b"\0\0\0"])
def test_a_host_that_goes_away_ends_it(held: bytes, host: Host) -> None:
    host.greet()
    host.socket.sendall(held)
    host.socket.shutdown(socket.SHUT_WR)
    assert host.failure().code is Code.CHANNEL_MALFORMED
    assert len(host.failures) == 1
