"""The client: bounded, patient, and believing nothing but what the session verifies."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sealtune.core.limits import ANSWER_BYTES_MAX
from sealtune.errors import Code, ConfigError, TransportError
from sealtune.protocol.client import BrokerClient, Patience

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answer = Callable[[socket.socket], None]


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def saying(data: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        read_request(connection)
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)

    return answer


@contextlib.contextmanager
def listening(listener: socket.socket, answers: list[Answer]) -> Iterator[None]:
    """A peer that answers one connection after the other."""

    def run() -> None:
        for answer in answers:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    answer(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
        listener.close()


@contextlib.contextmanager
def peer(*answers: Answer) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    with listening(listener, list(answers)):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def patience(attempts: int = 1, timeout_s: float = 10) -> tuple[Patience, list[float]]:
    pauses: list[float] = []
    return Patience(timeout_s=timeout_s, attempts=attempts, sleep=pauses.append), pauses


def test_it_posts_and_returns_the_answer():
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    with peer(answer) as address:
        assert BrokerClient(address).post("/v1/release", b"body") == b"ok"
    assert seen[0].startswith(b"POST /v1/release HTTP/1.1\r\n")
    assert seen[0].endswith(b"\r\n\r\nbody")


def test_a_unix_socket_works_the_same(tmp_path: Path):
    path = tmp_path / "broker.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    with listening(listener, [saying(OK)]):
        assert BrokerClient(f"unix:{path}").post("/x", b"") == b"ok"


def test_a_lost_answer_is_asked_for_again():
    broken = [
        saying(b""),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"),
        saying(b"junk"),
    ]
    patient, pauses = patience(attempts=4)
    with peer(*broken, saying(OK)) as address:
        assert BrokerClient(address, patience=patient).ask("/x", b"") == b"ok"
    assert pauses == [0.2, 0.4, 0.8]


def test_it_gives_up_in_the_end():
    patient, pauses = patience(attempts=3)
    silent = [saying(b"")] * 3
    with peer(*silent) as address, pytest.raises(TransportError) as caught:
        BrokerClient(address, patience=patient).ask("/x", b"")
    assert caught.value.code is Code.BROKER_UNREACHABLE
    assert caught.value.remedy
    assert len(pauses) == 2


def test_nobody_there_is_a_transport_error(tmp_path: Path):
    patient, _ = patience()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}", f"unix:{tmp_path}/nothing"):
        with pytest.raises(TransportError):
            BrokerClient(address, patience=patient).post("/x", b"")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (ANSWER_BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
)
def test_an_endless_answer_is_cut_off(head: bytes):
    patient, _ = patience()
    endless = saying(head + b"x" * (ANSWER_BYTES_MAX + 100_000))
    with peer(endless) as address, pytest.raises(TransportError) as caught:
        BrokerClient(address, patience=patient).post("/x", b"")
    assert "larger" in caught.value.message


def test_an_answer_that_never_comes_times_out():
    patient, _ = patience(timeout_s=0.1)
    done = threading.Event()
    with peer(lambda connection: done.wait(5) and None) as address:
        with pytest.raises(TransportError):
            BrokerClient(address, patience=patient).post("/x", b"")
        done.set()


def test_an_answer_in_drops_times_out():
    patient, _ = patience(timeout_s=0.3)
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        read_request(connection)
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while not done.wait(0.05):
                connection.sendall(b"x")

    with peer(drip) as address:
        with pytest.raises(TransportError) as caught:
            BrokerClient(address, patience=patient).post("/x", b"")
        done.set()
    assert "too long" in caught.value.message


@pytest.mark.parametrize("status", [b"500", b"502", b"503", b"404", b"301"])
def test_what_is_not_the_brokers_signature_may_pass(status: bytes):
    patient, _ = patience()
    body = b'{"code":"disk-full","message":"\\u001b[2J"}'
    data = b"HTTP/1.1 %s X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
    with peer(saying(data)) as address, pytest.raises(TransportError) as caught:
        BrokerClient(address, patience=patient).post("/x", b"")
    assert "\x1b" not in caught.value.message
    assert "(disk-full)" in caught.value.message or status == b"301"


def test_a_signed_refusal_is_an_answer_whatever_the_status():
    body = b'{"payload":"","payloadType":"x","signatures":[]}'
    data = b"HTTP/1.1 403 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with peer(saying(data)) as address:
        assert BrokerClient(address).post("/x", b"") == body


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "http://host",
        "http://host:0",
        "http://host:99999",
        "https://host:1",
        "http://user@host:1",
        "http://host:1/path",
        "http://ho st:1",
        "http://host:1\r\nX: y",
        "unix:relative",
        "file:///etc/passwd",
    ],
)
def test_an_odd_address_is_the_callers_mistake(address: str):
    with pytest.raises(ConfigError) as caught:
        BrokerClient(address)
    assert caught.value.code is Code.CONFIG_INVALID


def test_an_ipv6_address_is_understood():
    assert BrokerClient("http://[::1]:8443").address == "http://[::1]:8443"
