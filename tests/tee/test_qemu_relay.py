"""The host's end of the channel against guests and brokers of every kind."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealtune.core.limits import KIB
from sealtune.errors import Code, FormatError
from sealtune.tee.events import WorkerEvent
from sealtune.tee.forwarder import Forwarder
from sealtune.tee.frames import (
    PAYLOAD_BYTES_MAX,
    PROTOCOL,
    STREAMS_MAX,
    Channel,
    Frame,
    FrameType,
    Side,
    exit_payload,
)
from sealtune.tee.qemu import relay as relay_module
from sealtune.tee.qemu.relay import Relay

HELLO = Frame(type=FrameType.HELLO, payload=PROTOCOL)
EXIT = Frame(type=FrameType.EXIT, payload=exit_payload(0))
Serve = Callable[[socket.socket], None]


class Broker:
    """Listens on a unix socket as a Forwarder does, and serves each caller in a thread."""

    def __init__(self, path: Path, serve: Serve) -> None:
        self.path, self.serve = path, serve
        self.callers = 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(STREAMS_MAX)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            self.callers += 1
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            try:
                self.serve(caller)
            except OSError:
                pass

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def shout(caller: socket.socket) -> None:
    """Answer everything at once, then close."""
    while piece := caller.recv(65536):
        caller.sendall(piece.upper())


def collect(caller: socket.socket) -> None:
    """Read to the end first, then answer."""
    whole = b""
    while piece := caller.recv(65536):
        whole += piece
    caller.sendall(b"%d" % len(whole))


def hang(caller: socket.socket) -> None:
    """Take nothing and say nothing."""
    time.sleep(60)


def wait_and_collect(caller: socket.socket) -> None:
    time.sleep(0.3)
    collect(caller)


def say_and_leave(caller: socket.socket) -> None:
    caller.sendall(b"bye")
    caller.shutdown(socket.SHUT_WR)
    while caller.recv(65536):
        pass


class Guest:
    """A guest's end with a reader of its own; the test says what it sends."""

    def __init__(self, channel: socket.socket) -> None:
        self.socket = channel
        self.rules = Channel(Side.GUEST)
        self.frames: list[Frame] = []
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := self.socket.recv(65536):
                with self.changed:
                    self.frames += self.rules.receive(data)
                    self.changed.notify_all()
        except OSError:
            return

    def send(self, *frames: Frame) -> None:
        for frame in frames:
            with self.changed:
                if frame.type is FrameType.DATA and frame.stream not in self.rules.streams:
                    # The host reset it meanwhile.
                    return
                data = self.rules.send(frame)
            self.socket.sendall(data)

    def open(self, number: int, name: str = "a") -> None:
        self.send(Frame(type=FrameType.OPEN, stream=number, payload=name.encode()))

    def data(self, number: int, payload: bytes) -> None:
        for start in range(0, len(payload), PAYLOAD_BYTES_MAX):
            piece = payload[start : start + PAYLOAD_BYTES_MAX]
            self.send(Frame(type=FrameType.DATA, stream=number, payload=piece))

    def finish(self, number: int) -> None:
        self.send(Frame(type=FrameType.CLOSE, stream=number))

    def received(self, number: int) -> bytes:
        return b"".join(frame.payload for frame in self.frames if frame.stream == number)

    def wait(self, ready: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(ready, timeout=10), self.frames[-5:]

    def wait_for(self, kind: FrameType, number: int) -> None:
        self.wait(lambda: any(f.type is kind and f.stream == number for f in self.frames))


class Host:
    """A relay that runs in a thread until its guest is gone or broke a rule."""

    def __init__(self, channel: socket.socket, brokers: dict[str, Path]) -> None:
        self.events: list[WorkerEvent] = []
        self.error: FormatError | None = None
        self.relay = Relay(channel, brokers=brokers, on_event=self.events.append)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with self.relay:
            try:
                while not (self.stopped.is_set() or self.relay.ended):
                    if self.relay.status is not None:
                        return
                    self.relay.step(0.05)
            except FormatError as error:
                self.error = error

    def join(self) -> None:
        self.thread.join(10)
        assert not self.thread.is_alive()


@contextmanager
def scene(*serves: Serve) -> Iterator[tuple[Guest, Host, list[Broker]]]:
    """A guest that has greeted, a relay, and brokers "a", "b" ... that serve as told."""
    inside, outside = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix="r-") as folder:
        brokers = [Broker(Path(folder, "ab"[n]), serve) for n, serve in enumerate(serves)]
        host = Host(outside, {broker.path.name: broker.path for broker in brokers})
        guest = Guest(inside)
        try:
            guest.send(HELLO)
            guest.wait(lambda: HELLO in guest.frames)
            yield guest, host, brokers
        finally:
            host.stopped.set()
            host.join()
            inside.close()
            for broker in brokers:
                broker.close()


def test_bytes_go_both_ways_and_each_side_closes_by_itself() -> None:
    with scene(shout, collect) as (guest, host, _):
        guest.open(1, "a")
        guest.open(2, "b")
        guest.data(1, b"x" * 300_000)
        guest.data(2, b"y" * 200_000)
        guest.finish(2)
        guest.wait_for(FrameType.CLOSE, 2)
        assert guest.received(2) == b"200000"
        guest.data(1, b"end")
        guest.finish(1)
        guest.wait_for(FrameType.CLOSE, 1)
        assert guest.received(1) == b"X" * 300_000 + b"END"
        assert guest.rules.streams == frozenset()
        guest.send(EXIT)
        host.join()
        assert (host.relay.status, host.error) == (0, None)


def test_a_broker_that_closes_first_still_hears_the_guest() -> None:
    with scene(say_and_leave) as (guest, host, _):
        guest.open(1)
        guest.wait_for(FrameType.CLOSE, 1)
        guest.data(1, b"z" * 500_000)
        guest.finish(1)
        guest.wait(lambda: not guest.rules.streams)
        guest.open(2)
        guest.wait_for(FrameType.CLOSE, 2)
        assert host.error is None


def test_a_slow_broker_gets_everything_in_the_end() -> None:
    with scene(wait_and_collect) as (guest, host, _):
        guest.open(1)
        guest.data(1, b"x" * 3_000_000)
        guest.finish(1)
        guest.wait_for(FrameType.CLOSE, 1)
        assert guest.received(1) == b"3000000"
        assert host.error is None


def test_a_broker_that_closed_gets_what_was_on_its_way() -> None:
    got = threading.Event()

    def close_and_collect(caller: socket.socket) -> None:
        time.sleep(0.3)
        caller.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        size = 0
        while piece := caller.recv(65536):
            size += len(piece)
        if size == 3_000_000:
            got.set()

    with scene(close_and_collect) as (guest, host, _):
        guest.open(1)
        guest.data(1, b"x" * 3_000_000)
        guest.finish(1)
        assert got.wait(10)
        assert host.error is None


def test_many_connections_one_after_another() -> None:
    with scene(shout) as (guest, host, brokers):
        for number in range(1, 200):
            guest.open(number)
            guest.data(number, b"q")
            guest.finish(number)
            guest.wait_for(FrameType.CLOSE, number)
        assert brokers[0].callers == 199
        assert host.error is None
        assert host.relay._streams == {}


def test_a_broker_that_died_ends_the_stream_and_not_the_machine() -> None:
    with scene(shout) as (guest, host, brokers):
        guest.open(1)
        guest.data(1, b"q")
        guest.wait(lambda: guest.received(1) == b"Q")
        brokers[0].path.unlink()
        guest.open(2)
        guest.wait_for(FrameType.RESET, 2)
        assert host.error is None
        assert guest.rules.streams == {1}


def test_a_broker_that_breaks_off_resets_the_stream() -> None:
    def break_off(caller: socket.socket) -> None:
        caller.recv(1)

    with scene(break_off) as (guest, host, _):
        guest.open(1)
        guest.data(1, b"q" * 100_000)
        guest.wait(lambda: any(f.stream == 1 for f in guest.frames))
        # Some systems say that its unread bytes are lost only to the next write.
        guest.data(1, b"q" * 100_000)
        guest.wait_for(FrameType.RESET, 1)
        assert host.error is None


def test_a_guest_that_resets_lets_the_broker_go() -> None:
    gone = threading.Event()

    def until_gone(caller: socket.socket) -> None:
        while caller.recv(65536):
            pass
        gone.set()

    with scene(until_gone) as (guest, host, _):
        guest.open(1)
        guest.data(1, b"q")
        guest.send(Frame(type=FrameType.RESET, stream=1))
        assert gone.wait(10)
        guest.open(2)
        assert host.error is None


def test_a_broker_that_takes_nothing_loses_its_stream_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "STREAM_HELD_MAX", 512 * KIB)
    with scene(hang, shout) as (guest, host, _):
        guest.open(1, "a")
        guest.open(2, "b")
        guest.data(1, bytes(40 * PAYLOAD_BYTES_MAX))
        guest.wait_for(FrameType.RESET, 1)
        guest.data(2, b"still here")
        guest.wait(lambda: guest.received(2) == b"STILL HERE")
        assert host.error is None


def test_what_all_streams_hold_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "HELD_MAX", 512 * KIB)
    with scene(hang) as (guest, host, _):
        for number in range(1, 12):
            guest.open(number)
            guest.data(number, bytes(300_000))
        guest.wait(lambda: any(f.type is FrameType.RESET for f in guest.frames))
        assert sum(len(each.held) for each in host.relay._streams.values()) <= 512 * KIB
        assert host.error is None


def test_brokers_wait_for_a_guest_that_does_not_read() -> None:
    sent = []

    def flood(caller: socket.socket) -> None:
        caller.settimeout(1)
        while True:
            caller.sendall(bytes(65536))
            sent.append(65536)

    inside, outside = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix="r-") as folder, inside:
        broker = Broker(Path(folder, "a"), flood)
        host = Host(outside, {"a": broker.path})
        rules = Channel(Side.GUEST)
        inside.sendall(rules.send(HELLO))
        list(rules.receive(inside.recv(100)))
        inside.sendall(rules.send(Frame(type=FrameType.OPEN, stream=1, payload=b"a")))
        time.sleep(1.5)
        assert 0 < len(host.relay._to_guest) <= relay_module.GUEST_HELD_MAX + 2 * PAYLOAD_BYTES_MAX
        assert sum(sent) < 4 * relay_module.GUEST_HELD_MAX
        host.stopped.set()
        host.join()
        broker.close()


def test_events_come_out_and_the_status() -> None:
    with scene() as (guest, host, _):
        guest.send(Frame(type=FrameType.EVENT, payload=b'{"event":"phase","phase":"attest"}'))
        guest.send(Frame(type=FrameType.EXIT, payload=exit_payload(7)))
        host.join()
        assert host.events == [WorkerEvent(event="phase", phase="attest")]
        assert host.relay.status == 7


def raw(number: int, stream: int = 0, payload: bytes = b"") -> bytes:
    sizes = stream.to_bytes(4, "little") + len(payload).to_bytes(4, "little")
    return bytes([number]) + sizes + payload


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (raw(9), Code.CHANNEL_MALFORMED),
        (raw(FrameType.DATA, 5, b"x"), Code.CHANNEL_MALFORMED),
        (raw(FrameType.OPEN, 1, b"another"), Code.CHANNEL_MALFORMED),
        (raw(FrameType.OPEN, 1, b"\xff"), Code.CHANNEL_MALFORMED),
        (raw(FrameType.EVENT, 0, b'{"event":"x","y":1}'), Code.MESSAGE_MALFORMED),
        (raw(FrameType.EVENT, 0, b"x"), Code.JSON_MALFORMED),
        (raw(FrameType.EVENT, 0, bytes(17 * KIB)), Code.LIMIT_EXCEEDED),
        (raw(FrameType.EXIT, 0, b"{}"), Code.CHANNEL_MALFORMED),
        (bytes([FrameType.DATA]) + b"\1\0\0\0" + b"\xff\xff\xff\xff", Code.CHANNEL_MALFORMED),
        (raw(FrameType.EXIT, 0, exit_payload(0)) + raw(FrameType.EVENT, 0, b"{}"), None),
    ],
    ids=[
        *("type", "stream", "broker", "broker-text", "event-field", "event-text", "event-long"),
        *("exit", "oversize", "after-exit"),
    ],
)
def test_a_guest_that_breaks_a_rule_is_refused(sent: bytes, code: Code | None) -> None:
    with scene(shout) as (guest, host, brokers):
        guest.socket.sendall(sent)
        host.join()
        assert host.error is not None
        assert host.error.code is (code or Code.CHANNEL_MALFORMED)
        assert brokers[0].callers == 0


def test_a_guest_that_floods_opens_meets_the_bound() -> None:
    with scene(hang) as (guest, host, _):
        sent = b"".join(raw(FrameType.OPEN, n, b"a") for n in range(1, STREAMS_MAX + 2))
        guest.socket.sendall(sent)
        host.join()
        assert host.error is not None


@pytest.mark.parametrize("left", [b"", b"\2", raw(FrameType.EVENT, 0, b"x" * 9)[:12]], ids=len)
def test_a_guest_that_goes_is_an_end_and_no_violation(left: bytes) -> None:
    with scene(shout) as (guest, host, _):
        guest.open(1)
        guest.socket.sendall(left)
        guest.socket.shutdown(socket.SHUT_WR)
        host.join()
        assert host.error is None
        assert host.relay.ended
        assert host.relay.status is None


def test_it_goes_through_a_forwarder_to_tcp() -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        peer, _ = server.accept()
        with peer:
            shout(peer)

    thread = threading.Thread(target=serve)
    thread.start()
    inside, outside = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix="r-") as folder, server, inside:
        path = Path(folder, "broker0")
        with Forwarder(path, f"http://127.0.0.1:{server.getsockname()[1]}"):
            host = Host(outside, {"hospital-broker": path})
            guest = Guest(inside)
            guest.send(HELLO)
            guest.wait(lambda: HELLO in guest.frames)
            guest.open(1, "hospital-broker")
            guest.data(1, b"hello")
            guest.finish(1)
            guest.wait_for(FrameType.CLOSE, 1)
            assert guest.received(1) == b"HELLO"
            guest.send(EXIT)
            host.join()
            thread.join()
