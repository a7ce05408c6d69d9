"""Hostile input to a real broker process: too large, too deep, too slow, too often.

Nobody has to authenticate to send bytes to a broker, so every byte is the enemy's until the
signatures hold. After each attempt the broker must still serve an honest worker.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sealtune.core.limits import MIB
from sealtune.crypto.dsse import parse_envelope, sign_envelope
from sealtune.errors import SealtuneError
from sealtune.protocol.client import BrokerClient, Patience, fetch_keys
from sealtune.protocol.messages import KEY_REQUEST_TYPE, REFUSAL_TYPE
from sealtune.protocol.session import BrokerSession, WorkerSecrets
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import BrokerProcess, Scene, make_scene, new_run_id

BROKER = "hospital-broker"
PATHS = ("/v1/keys", "/v1/contracts", "/v1/challenge", "/v1/release", "/v1/anchor", "/v1/receipt")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    now = datetime.now(UTC)
    mock = MockAmd.generate(now=now)
    folder = tmp_path_factory.mktemp("flood")
    scene = make_scene(folder, mock=mock, now=now, max_runs=1000)
    config = scene.broker_folder(BROKER) / "broker.toml"
    config.write_text(config.read_text().replace("burst = 400.0", "burst = 100000.0"))
    return scene


@pytest.fixture(scope="module")
def broker(scene: Scene) -> Iterator[BrokerProcess]:
    with BrokerProcess(scene.broker_folder(BROKER)) as broker:
        client = BrokerClient(broker.address)
        for registration in scene.registrations(BROKER):
            client.ask("/v1/keys", registration)
        client.ask("/v1/contracts", scene.envelope.to_json())
        yield broker
        assert broker.stop() == 0


@pytest.fixture(autouse=True)
def still_serves(scene: Scene, broker: BrokerProcess) -> Iterator[None]:
    """Whatever the test did, an honest worker gets its key afterwards."""
    yield
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    client = BrokerClient(broker.address, patience=Patience(attempts=1))
    assert fetch_keys(client, terms=terms, attest=scene.attest).run == "new"


def post(broker: BrokerProcess, path: str, body: bytes) -> tuple[int, bytes]:
    host, port = broker.address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        with contextlib.suppress(ConnectionError):
            connection.request("POST", path, body=body)
        try:
            with connection.getresponse() as response:
                return response.status, response.read()
        except (ConnectionError, http.client.HTTPException):
            return 0, b""  # hung up on while still sending
    finally:
        connection.close()


def test_evidence_of_10_megabytes(scene: Scene, broker: BrokerProcess):
    """A request that looks right but for the size of its evidence."""
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    session = BrokerSession(terms)
    client = BrokerClient(broker.address)
    challenge = session.on_challenge(client.post("/v1/challenge", session.start()))
    body = session.request(scene.attest(challenge))
    padded = body[:-1] + b',"padding":"' + b"A" * (10 * MIB) + b'"}'
    assert post(broker, "/v1/release", padded)[0] in (0, 413)


@pytest.mark.parametrize("path", PATHS)
def test_brackets_without_end(broker: BrokerProcess, path: str):
    """Deep nesting exhausts a recursive parser's stack, or a linear one's patience."""
    for opening in (b"[", b'{"a":', b'[{"a":'):
        status, answer = post(broker, path, opening * (15_000 // len(opening)))
        assert status == 400
        assert json.loads(parse_envelope(answer).payload)["code"] == "json-malformed"


def test_nesting_inside_a_signed_request(scene: Scene, broker: BrokerProcess):
    """The outer envelope is flat; the bomb is in the signed payload's evidence."""
    worker = WorkerSecrets.generate()
    payload = b'{"evidence":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}"
    envelope = sign_envelope(payload, payload_type=KEY_REQUEST_TYPE, keys=[worker.signing])
    status, answer = post(broker, "/v1/release", envelope.to_json())
    assert status == 400
    assert json.loads(parse_envelope(answer).payload)["code"] == "json-malformed"


def test_junk_in_every_place(scene: Scene, broker: BrokerProcess):
    """Bytes of a genuine request, flipped, cut and repeated: always an answer, never a failure."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    print(f"seed {seed}")
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    session = BrokerSession(terms)
    client = BrokerClient(broker.address)
    challenge = session.on_challenge(client.post("/v1/challenge", session.start()))
    genuine = session.request(scene.attest(challenge))
    bodies = [genuine, scene.envelope.to_json(), scene.registrations(BROKER)[0]]
    for _ in range(60):
        body = bytearray(dice.choice(bodies))
        for _ in range(dice.randint(1, 4)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        if dice.random() < 0.3:
            del body[dice.randrange(len(body)) :]
        status, answer = post(broker, dice.choice(PATHS), bytes(body))
        assert status in (200, 400, 403, 404, 413), answer
        if status not in (200, 413):
            assert parse_envelope(answer).payload_type == REFUSAL_TYPE


def test_connections_that_say_nothing(broker: BrokerProcess):
    """Two hundred sockets are opened and left; the honest worker comes through beside them."""
    host, port = broker.address.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
        client = BrokerClient(broker.address, patience=Patience(attempts=1))
        with pytest.raises(SealtuneError):
            client.post("/v1/challenge", b"{}") and client.post("/v1/nothing", b"")


def test_nothing_of_it_is_in_the_running_log(broker: BrokerProcess, scene: Scene):
    """What a stranger sends is not repeated, so nobody can write the operator's log for them."""
    post(broker, "/v1/challenge", b'{"contract":"\\u001b[2JPLANTED","run_id":"PLANTED"}')
    text = (scene.broker_folder(BROKER) / "broker.log").read_text()
    assert "PLANTED" not in text
    assert "\x1b" not in text
    assert "exception" not in text
