"""A broker as a process: it says that it is ready, serves, and ends when it is told to."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealtune.broker.server import serve_broker
from sealtune.errors import Code, ConfigError, ReleaseDenied, StorageError
from sealtune.protocol.client import BrokerClient, Patience, fetch_keys
from sealtune.protocol.session import WorkerSecrets
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import BrokerProcess, Scene, make_scene, new_run_id

BROKER = "hospital-broker"


@pytest.fixture
def present(tmp_path: Path, mock: MockAmd) -> Scene:
    """A scene at the real present, which is the only one that another process knows."""
    return make_scene(tmp_path, mock=mock, now=datetime.now(UTC))


def serve(folder: Path, **changes: object) -> None:
    arguments = {"host": "127.0.0.1", "port": 0, "passphrase": None, "ready": print}
    serve_broker(folder, insecure_accept_simulated=False, **(arguments | changes))


def test_ready_serve_log_and_stop(present: Scene):
    folder = present.broker_folder(BROKER)
    with BrokerProcess(folder) as broker:
        assert broker.ready["event"] == "ready"
        assert broker.ready["insecure_accept_simulated"] is True
        client = BrokerClient(broker.address, patience=Patience(attempts=1))
        for registration in present.registrations(BROKER):
            client.post("/v1/keys", registration)
        client.post("/v1/contracts", present.envelope.to_json())
        terms = present.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
        released = fetch_keys(client, terms=terms, attest=present.attest)
        with pytest.raises(ReleaseDenied):
            fetch_keys(
                client,
                terms=terms,
                attest=lambda challenge: present.attest(challenge, vmpl=3),
            )
        assert broker.stop() == 0
    text = (folder / "broker.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == [
        "ready",
        "registered",
        "registered",
        "release",
        "release",
        "refused",
        "stopped",
    ]
    granted = lines[3]
    assert granted["warning"] == "INSECURE: simulated evidence"
    assert granted["run_id"] == terms.run_id
    assert lines[4]["code"] == "appraisal-vmpl"
    assert lines[4]["rule"] == "vmpl"
    for secret in (released.run_share, present.inputs["notes"].key.reveal()):
        assert secret.hex() not in text


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_was_asked_for_is_no_failure(present: Scene, how: signal.Signals):
    with BrokerProcess(present.broker_folder(BROKER)) as broker:
        broker.process.send_signal(how)
        assert broker.process.wait(20) == 0


def test_its_keys_are_in_no_core(present: Scene):
    with BrokerProcess(present.broker_folder(BROKER)) as broker:
        limits = resource.prlimit(broker.process.pid, resource.RLIMIT_CORE)
    assert max(limits) in (0, 1)  # 0 where this machine's hard limit was 0 already


def test_without_the_switch_it_says_that_it_is_not_insecure(present: Scene):
    folder = present.broker_folder(BROKER)
    with BrokerProcess(folder, accepts_insecure=False) as broker:
        assert broker.ready["insecure_accept_simulated"] is False
        broker.stop()
    assert "INSECURE" not in (folder / "broker.log").read_text()


def test_a_port_that_is_taken_is_the_callers_to_change(present: Scene):
    with BrokerProcess(present.broker_folder(BROKER)) as broker:
        port = int(broker.address.rsplit(":", 1)[1])
        with pytest.raises(ConfigError) as caught:
            serve(present.broker_folder("modelworks-broker"), port=port)
    assert caught.value.code is Code.CONFIG_INVALID
    assert "--port" in caught.value.remedy


@pytest.mark.parametrize("missing", ["store.sqlite3", "store.key", "broker.toml"])
def test_a_folder_with_something_missing_does_not_start(present: Scene, missing: str):
    folder = present.broker_folder(BROKER)
    (folder / missing).unlink()
    with pytest.raises(StorageError) as caught:
        serve(folder)
    assert caught.value.code is Code.FILE_MISSING
    assert missing in caught.value.message


def test_another_identity_is_not_this_stores(present: Scene):
    used = present.broker_folder(BROKER)
    with BrokerProcess(used) as broker:
        client = BrokerClient(broker.address)
        client.post("/v1/contracts", present.envelope.to_json())
        broker.stop()
    config = used / "broker.toml"
    config.write_text(config.read_text().replace("hospital-broker.key", "modelworks-broker.key"))
    with pytest.raises(StorageError) as caught:
        serve(used)
    assert caught.value.code is Code.STORE_DAMAGED


def test_the_client_and_session_bring_no_web_server_into_the_enclave():
    program = (
        "import sys, sealtune.protocol.client, sealtune.protocol.reports;"
        "print([n for n in ('fastapi', 'starlette', 'uvicorn', 'httpx', 'sqlite3', 'torch')"
        " if n in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"
