"""The HTTP interface on a real socket: bounded in size, time, rate and number."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sealtune.broker import app as app_module
from sealtune.broker import server as server_module
from sealtune.broker.app import ROUTES, Gateway, make_app
from sealtune.broker.desk import Desk
from sealtune.broker.rate import Rate
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import KEY_REQUEST_BYTES_MAX, MIB, SMALL_MESSAGE_BYTES_MAX
from sealtune.crypto.dsse import parse_envelope
from sealtune.errors import Code, ReleaseDenied, StorageError, TransportError
from sealtune.protocol.answers import open_answer
from sealtune.protocol.client import BrokerClient, Patience, fetch_keys
from sealtune.protocol.messages import REFUSAL_TYPE, Refusal
from sealtune.protocol.session import BrokerSession, WorkerSecrets
from sealtune.testing.scene import Scene, new_run_id

BROKER = "hospital-broker"
PLENTY = Rate(per_second=1e5, burst=1e5)
MINE, YOURS = "127.0.0.1", "127.0.0.2"
ONCE = Patience(timeout_s=20, attempts=1)


@contextlib.contextmanager
def serving(
    desk: Desk, *, rate: Rate = PLENTY, listener: socket.socket | None = None
) -> Iterator[tuple[str, int]]:
    """The broker on a socket, in a thread of this process."""
    gateway = Gateway(desk, rate=rate)
    listener = listener or server_module._listen("127.0.0.1", 0)
    ready = threading.Event()
    config = server_module._uvicorn_config(make_app(gateway))
    server = server_module._Server(config, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert ready.wait(20)
        yield listener.getsockname()[:2]
    finally:
        server.should_exit = True
        thread.join()
        gateway.close()
        listener.close()


@pytest.fixture
def place(desk: Desk) -> Iterator[tuple[str, int]]:
    with serving(desk) as place:
        yield place


def post(
    place: tuple[str, int], path: str, body: bytes, *, address: str = MINE
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*place, timeout=20, source_address=(address, 0))
    try:
        connection.request("POST", path, body=body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def get(place: tuple[str, int], path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*place, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def raw(place: tuple[str, int], *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send bytes as they are and return all that comes until the broker hangs up."""
    with socket.create_connection(place, timeout=20) as connection:
        received = b""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while data := connection.recv(65536):
                received += data
        return received


def connect(place: tuple[str, int], address: str) -> socket.socket:
    return socket.create_connection(place, timeout=20, source_address=(address, 0))


def begin(place: tuple[str, int], address: str) -> tuple[socket.socket, int]:
    """Begin a request whose body does not come; return what the broker says to that."""
    connection = connect(place, address)
    head = b"POST /v1/release HTTP/1.1\r\nHost: b\r\nContent-Length: 1000\r\n"
    # It says 100 when it starts to read the body: the request is surely being held then.
    connection.sendall(head + b"Expect: 100-continue\r\n\r\n")
    return connection, int(connection.recv(65536).split()[1])


def status_if_any(place: tuple[str, int], address: str) -> int:
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        return post(place, "/v1/challenge", b"{}", address=address)[0]
    return 0


def wait_for(status: int, ask: Callable[[], int]) -> None:
    deadline = time.monotonic() + 20
    while ask() != status:
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def code_of(body: bytes) -> str:
    code: str = json.loads(body)["code"]
    return code


def test_a_release_over_tcp(place: tuple[str, int], scene: Scene):
    client = BrokerClient("http://{}:{}".format(*place))
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    released = fetch_keys(client, terms=terms, attest=scene.attest)
    notes = scene.inputs["notes"]
    assert released.keys[notes.digest].reveal() == notes.key.reveal()


def test_a_refusal_is_signed_and_bound_to_what_was_posted(
    place: tuple[str, int], scene: Scene, desk: Desk
):
    other = scene.agree(name="never-registered")
    terms = other.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    body = BrokerSession(terms).start()
    status, answer = post(place, "/v1/challenge", body)
    assert status == 404
    assert parse_envelope(answer).payload_type == REFUSAL_TYPE
    with pytest.raises(ReleaseDenied) as caught:
        open_answer(Refusal, answer, payload_type=REFUSAL_TYPE, broker=desk.key, request=body)
    assert caught.value.code is Code.CONTRACT_UNKNOWN
    client = BrokerClient("http://{}:{}".format(*place), patience=ONCE)
    with pytest.raises(ReleaseDenied):
        fetch_keys(client, terms=terms, attest=scene.attest)


def test_a_body_beyond_its_limit_is_not_read(place: tuple[str, int]):
    for route in ROUTES:
        length = route.limit + 1
        head = f"POST {route.path} HTTP/1.1\r\nHost: b\r\nContent-Length: {length}\r\n\r\n"
        answer = raw(place, head.encode())
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer.lower()


def test_evidence_of_10_megabytes_is_turned_away(place: tuple[str, int]):
    connection = http.client.HTTPConnection(*place, timeout=20)
    with contextlib.suppress(ConnectionError):
        connection.request("POST", "/v1/release", body=b"x" * (10 * MIB))
    with contextlib.suppress(ConnectionError):
        assert connection.getresponse().status == 413
    connection.close()


def test_a_chunked_body_is_counted_as_it_comes(place: tuple[str, int]):
    head = b"POST /v1/challenge HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    answer = raw(place, head, *[chunk] * (SMALL_MESSAGE_BYTES_MAX // 1024 + 1))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_of_exactly_the_limit_is_read(place: tuple[str, int]):
    status, answer = post(place, "/v1/release", b"x" * KEY_REQUEST_BYTES_MAX)
    assert status == 400
    assert parse_envelope(answer).payload_type == REFUSAL_TYPE


def test_an_odd_length_is_refused(place: tuple[str, int]):
    for length in (b"-1", b"abc", b"1e3", b"99999999999999999999999"):
        head = b"POST /v1/release HTTP/1.1\r\nHost: b\r\nContent-Length: " + length
        assert raw(place, head + b"\r\n\r\n").split()[1] in (b"400", b"413")


def test_deep_nesting_is_a_signed_refusal(place: tuple[str, int], desk: Desk):
    malformed, too_much = (400, Code.JSON_MALFORMED), (413, Code.LIMIT_EXCEEDED)
    for path, body, (expected, code) in (
        ("/v1/release", b"[" * 200_000, too_much),
        ("/v1/contracts", b'{"a":' * 500_000, too_much),
        ("/v1/contracts", b"[" * 1_000, malformed),
        ("/v1/challenge", b"[" * 16_000, malformed),
    ):
        status, answer = post(place, path, body)
        assert status == expected
        with pytest.raises(ReleaseDenied) as caught:
            open_answer(Refusal, answer, payload_type=REFUSAL_TYPE, broker=desk.key, request=body)
        assert caught.value.code is code


def test_no_bytes_make_an_endpoint_fail(place: tuple[str, int]):
    bodies = [b"", b"{}", b"null", b"\xff\xfe", b'{"a":1,"a":2}', b"NaN"]
    for route, body in itertools.product(ROUTES, bodies):
        status, answer = post(place, route.path, body)
        assert (route.path, status) == (route.path, 400)
        assert parse_envelope(answer).payload_type == REFUSAL_TYPE


def test_a_slow_body_is_cut_off(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(app_module, "BODY_TIMEOUT_S", 0.2)
    with serving(desk) as place:
        head = b"POST /v1/release HTTP/1.1\r\nHost: b\r\nContent-Length: 100\r\n\r\n"
        assert raw(place, head + b"x").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "pieces",
    [[b""], [b"POST /v1/rel"], [bytes([byte]) for byte in b"POST /v1/release HTTP/1.1\r\n"]],
)
def test_a_slow_head_is_hung_up_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
):
    monkeypatch.setattr(server_module, "HEAD_TIMEOUT_S", 0.3)
    with serving(desk) as place:
        began = time.monotonic()
        assert raw(place, *pieces, pause=0.05) == b""
        assert time.monotonic() - began < 5


def test_a_connection_that_works_is_not_hung_up_on(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "HEAD_TIMEOUT_S", 0.3)
    with serving(desk) as place:
        connection = http.client.HTTPConnection(*place, timeout=20)
        for _ in range(4):
            connection.request("GET", "/v1/broker")
            assert connection.getresponse().read()
            time.sleep(0.15)
        connection.close()


def test_the_number_of_connections_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "CONNECTIONS_MAX", 3)
    with serving(desk) as place, contextlib.ExitStack() as stack:
        for _ in range(3):
            connection = stack.enter_context(socket.create_connection(place, timeout=20))
            # A request, so that the broker has surely taken the connection.
            connection.sendall(b"GET /v1/broker HTTP/1.1\r\nHost: b\r\n\r\n")
            assert connection.recv(100)
        assert raw(place, b"GET /v1/broker HTTP/1.1\r\nHost: b\r\n\r\n") == b""


def test_idle_connections_of_one_address_leave_room_for_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server_module, "CONNECTIONS_MAX", 4)
    monkeypatch.setattr(server_module, "CONNECTIONS_EACH_MAX", 2)
    with serving(desk) as place, contextlib.ExitStack() as stack:
        flood = [stack.enter_context(connect(place, MINE)) for _ in range(8)]
        for refused in flood[2:]:
            with contextlib.suppress(ConnectionError):
                assert refused.recv(1) == b""
        assert post(place, "/v1/challenge", b"{}", address=YOURS)[0] == 400
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            post(place, "/v1/challenge", b"{}", address=MINE)
        for connection in flood:
            connection.close()
        wait_for(400, lambda: status_if_any(place, MINE))


def test_of_a_burst_of_connections_only_those_that_stay_count(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server_module, "CONNECTIONS_MAX", 4)
    monkeypatch.setattr(server_module, "CONNECTIONS_EACH_MAX", 2)
    listener = server_module._listen("127.0.0.1", 0)
    place = listener.getsockname()[:2]
    with contextlib.ExitStack() as stack:
        # All wait when the broker begins to take connections, the honest one last.
        for _ in range(8):
            stack.enter_context(connect(place, MINE))
        honest = stack.enter_context(connect(place, YOURS))
        honest.sendall(b"GET /v1/broker HTTP/1.1\r\nHost: b\r\n\r\n")
        with serving(desk, listener=listener):
            assert honest.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_an_address_that_asks_too_often_is_told_to_wait(desk: Desk):
    with serving(desk, rate=Rate(per_second=0.001, burst=2)) as place:
        assert [post(place, "/v1/challenge", b"{}")[0] for _ in range(2)] == [400, 400]
        status, body = post(place, "/v1/challenge", b"{}")
        assert status == 429
        assert code_of(body) == "rate-limited"
        client = BrokerClient("http://{}:{}".format(*place), patience=ONCE)
        with pytest.raises(TransportError) as caught:
            client.post("/v1/challenge", b"{}")
        assert caught.value.code is Code.RATE_LIMITED


def test_the_number_of_requests_in_work_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(app_module, "PENDING_MAX", 0)
    with serving(desk) as place:
        status, body = post(place, "/v1/challenge", b"{}")
    assert status == 503
    assert code_of(body) == "rate-limited"


def test_slow_bodies_of_one_address_leave_room_for_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(app_module, "PENDING_MAX", 4)
    monkeypatch.setattr(app_module, "PENDING_EACH_MAX", 2)
    with serving(desk) as place:
        flood = [begin(place, MINE) for _ in range(8)]
        assert [status for _, status in flood] == [100] * 2 + [429] * 6
        assert code_of(post(place, "/v1/challenge", b"{}", address=MINE)[1]) == "rate-limited"
        assert post(place, "/v1/challenge", b"{}", address=YOURS)[0] == 400
        for connection, _ in flood:
            connection.close()
        wait_for(400, lambda: post(place, "/v1/challenge", b"{}", address=MINE)[0])


def test_the_bytes_of_bodies_are_bounded_for_each_address(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(app_module, "BODY_BYTES_EACH_MAX", 1000)
    with serving(desk) as place:
        connection, _ = begin(place, MINE)
        connection.sendall(b"x" * 999)
        wait_for(429, lambda: post(place, "/v1/challenge", b"{}", address=MINE)[0])
        assert post(place, "/v1/challenge", b"{}", address=YOURS)[0] == 400
        connection.close()
        wait_for(400, lambda: post(place, "/v1/challenge", b"{}", address=MINE)[0])


def test_the_bytes_of_all_bodies_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(app_module, "BODY_BYTES_MAX", 1000)
    with serving(desk) as place:
        connection, _ = begin(place, MINE)
        connection.sendall(b"x" * 999)
        wait_for(503, lambda: post(place, "/v1/challenge", b"{}", address=YOURS)[0])
        connection.close()
        wait_for(400, lambda: post(place, "/v1/challenge", b"{}", address=YOURS)[0])


def test_64_workers_behind_one_address_are_within_its_share():
    # The largest request that a worker makes often, from all of them at once.
    assert app_module.PENDING_EACH_MAX >= 64
    assert app_module.BODY_BYTES_EACH_MAX >= 64 * KEY_REQUEST_BYTES_MAX
    assert server_module.CONNECTIONS_EACH_MAX >= 64


def test_no_address_has_more_than_a_quarter():
    assert app_module.PENDING_EACH_MAX * 4 <= app_module.PENDING_MAX
    assert app_module.BODY_BYTES_EACH_MAX * 4 <= app_module.BODY_BYTES_MAX
    assert server_module.CONNECTIONS_EACH_MAX * 4 <= server_module.CONNECTIONS_MAX


def failing(error: Exception) -> Callable[[Desk, bytes], bytes]:
    def handler(_: Desk, __: bytes) -> bytes:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageError(Code.DISK_FULL, "/secret/path: the disk is full"), 503),
        (TransportError(Code.RATE_LIMITED, "later"), 429),
        (KeyError("hunter2"), 500),
    ],
)
def test_what_may_pass_is_not_signed_and_says_no_more_than_its_code(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
):
    route = app_module._Route(path="/v1/challenge", handler=failing(error), limit=1000)
    monkeypatch.setattr(app_module, "ROUTES", (route,))
    with serving(desk) as place:
        answered, body = post(place, "/v1/challenge", b"{}")
    assert answered == status
    assert json.loads(body).keys() == {"code"}
    assert b"secret" not in body
    assert b"hunter2" not in body
    assert "hunter2" not in caplog.text or isinstance(error, KeyError)


def test_there_is_nothing_else(place: tuple[str, int]):
    assert post(place, "/v1/log", b"{}")[0] == 404
    assert get(place, "/v1/log")[0] == 404
    assert get(place, "/docs")[0] == 404
    assert get(place, "/v1/release")[0] == 405


def test_who_it_is(place: tuple[str, int], desk: Desk):
    status, body = get(place, "/v1/broker")
    facts = json.loads(body)
    assert status == 200
    assert facts["signing_key"] == desk.key.text
    assert facts["insecure_accept_simulated"] is True
    assert facts["fingerprint"] == desk.identity.public.fingerprint


def test_a_broker_whose_store_is_gone_says_so(desk: Desk):
    with serving(desk) as place:
        desk.store.close()
        status, body = get(place, "/v1/broker")
    assert status == 503
    assert code_of(body) == "io-failed"


def test_the_openapi_document_describes_every_endpoint(place: tuple[str, int]):
    status, body = get(place, "/openapi.json")
    assert status == 200
    document = json.loads(body)
    assert set(document["paths"]) == {route.path for route in ROUTES} | {"/v1/broker"}
    for route in ROUTES:
        operation = document["paths"][route.path]["post"]
        assert operation["summary"]
        assert operation["requestBody"]["content"]["application/json"]["schema"]["type"] == "object"
        assert {"200", "403", "413", "429", "503"} <= operation["responses"].keys()
    assert "$defs" not in body.decode()
    assert "#/$defs" not in body.decode()


def test_no_answer_is_stored_on_the_way(place: tuple[str, int]):
    connection = http.client.HTTPConnection(*place, timeout=20)
    connection.request("POST", "/v1/challenge", body=b"{}")
    response = connection.getresponse()
    assert response.getheader("cache-control") == "no-store"
    assert response.getheader("server") is None
    response.read()
    connection.close()


def test_a_signed_refusal_answers_the_bytes_that_were_posted(place: tuple[str, int]):
    body = b'{"contract": "x"}'
    _, answer = post(place, "/v1/challenge", body)
    assert json.loads(parse_envelope(answer).payload)["request"] == sha256_digest(body)
