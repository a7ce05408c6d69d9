"""The launcher's parts: events, forwarding, the sandbox's command line."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.errors import Code, ConfigError, SealtuneError, StorageError
from sealtune.tee.events import WorkerError, WorkerEvent, parse_event
from sealtune.tee.forwarder import Forwarder
from sealtune.tee.launcher import RECEIPT_NAME, LaunchSpec, Tee, _check_left, _check_places
from sealtune.tee.sandbox import sandbox_available, sandboxed, worker_environment


@given(st.binary(max_size=200))
def test_event_parser_raises_only_our_errors(line: bytes) -> None:
    try:
        parse_event(line)
    except SealtuneError:
        pass


def test_unknown_event_fields_are_refused() -> None:
    with pytest.raises(SealtuneError):
        parse_event(b'{"event":"phase","record":"x"}')


def test_worker_error_keeps_code_and_status() -> None:
    error = WorkerError(WorkerEvent(event="failed", code="denied-runs", phase="attest"), 7)
    assert error.code is Code.DENIED_RUNS
    assert error.exit_status == 7
    assert "attest" in error.message


@pytest.fixture
def echo_server():
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                while piece := peer.recv(4096):
                    peer.sendall(piece.upper())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def call(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
        return answer


def test_forwarder_carries_bytes_both_ways(tmp_path: Path, echo_server: int) -> None:
    path = tmp_path / "s"
    with Forwarder(path, f"http://127.0.0.1:{echo_server}"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert call(path, b"a" * 300_000) == b"A" * 300_000
        assert call(path, b"again") == b"AGAIN"


def test_a_forwarder_without_a_path_listens_on_loopback(echo_server: int) -> None:
    with (
        Forwarder(None, f"http://127.0.0.1:{echo_server}") as forwarder,
        socket.create_connection(("127.0.0.1", forwarder.port)) as client,
    ):
        port = forwarder.port
        client.sendall(b"abc")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(16) == b"ABC"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_forwarder_to_nobody_just_closes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        Forwarder(tmp_path / "s", f"http://127.0.0.1:{port}"),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(tmp_path / "s"))
        assert client.recv(1) == b""


@pytest.mark.parametrize("address", ["", "127.0.0.1:80", "http://", "https://a:1", "http://a:x"])
def test_bad_addresses_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError):
        Forwarder(tmp_path / "s", address)


def test_the_callers_environment_does_not_reach_the_worker(monkeypatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/evil.so")
    monkeypatch.setenv("PYTHONPATH", "/evil")
    assert not {"LD_PRELOAD", "PYTHONPATH"} & worker_environment().keys()


def test_sandbox_sees_its_inputs_and_nothing_else(tmp_path: Path) -> None:
    bubblewrap = sandbox_available()
    if not bubblewrap:
        pytest.skip("bubblewrap does not work on this host")
    shown, hidden, out = tmp_path / "shown", tmp_path / "hidden", tmp_path / "out"
    shown.write_text("shown")
    hidden.write_text("hidden")
    out.mkdir()
    script = f"""
import os, socket, sealtune
assert open({str(shown)!r}).read() == "shown"
assert not os.path.exists({str(hidden)!r})
assert os.listdir("/home") == [] if os.path.exists("/home") else True
open({str(out / "made")!r}, "w").write("x")
for place in ({str(shown)!r}, sealtune.__file__, "/usr/x"):
    try:
        open(place, "a")
    except OSError:
        pass
    else:
        raise SystemExit(f"{{place}} is writable")
try:
    socket.create_connection(("127.0.0.1", 9), timeout=1)
except OSError:
    pass
else:
    raise SystemExit("there is a network")
assert not os.path.exists("/sys/class/net") or os.listdir("/sys/class/net") == ["lo"]
"""
    command = sandboxed(
        [sys.executable, "-I", "-c", script],
        bubblewrap=bubblewrap,
        readable=[shown],
        writable=[out],
        group=None,
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (out / "made").exists()


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    spec = LaunchSpec(
        contract=tmp_path,
        inputs={"notes": tmp_path / "absent.sealed"},
        brokers={},
        output=tmp_path,
        tee=Tee.SIMULATED,
        tee_files=tmp_path,
    )
    with pytest.raises(StorageError) as refused:
        _check_places(spec)
    assert refused.value.code is Code.FILE_MISSING
    assert "absent.sealed" in refused.value.message


def test_a_worker_that_only_says_it_is_finished_is_not_believed(tmp_path: Path) -> None:
    """A guest that somebody else wrote sends the last event and leaves nothing."""
    with pytest.raises(SealtuneError, match="left no receipt") as refused:
        _check_left(tmp_path)
    assert refused.value.code is Code.WORKER_FAILED
    (tmp_path / RECEIPT_NAME).write_bytes(b"{}")
    _check_left(tmp_path)
