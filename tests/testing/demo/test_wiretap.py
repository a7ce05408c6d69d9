"""The wiretap carries and keeps every byte of both directions."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sealtune.testing.demo.canaries import CanarySearch
from sealtune.testing.demo.wiretap import Wiretap
from sealtune.testing.notes import make_canary


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.path == "/good" else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def _post(address: str, path: str, body: bytes) -> bytes:
    parts = urlsplit(address)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request("POST", path, body=body, headers={"Connection": "close"})
        return connection.getresponse().read()
    finally:
        connection.close()


def test_both_directions_are_carried_and_kept(tmp_path: Path, target: str) -> None:
    large = bytes(range(256)) * 4096
    with Wiretap(tmp_path, target=target) as tap:
        assert _post(tap.address, "/good", large) == large[::-1]
        assert _post(tap.address, "/bad", b"second") == b"dnoces"
    first, second = tap.exchanges()
    assert (first.path, first.status, first.body) == ("/good", 200, large)
    assert first.answer.endswith(large[::-1])
    assert (second.path, second.status, second.body) == ("/bad", 403, b"second")
    assert tap.last("/good") == first
    with pytest.raises(LookupError):
        tap.last("/bad")


def test_a_canary_on_the_wire_is_found_in_either_direction(tmp_path: Path, target: str) -> None:
    sent, answered = make_canary(), make_canary()
    with Wiretap(tmp_path, target=target) as tap:
        _post(tap.address, "/good", sent.encode() + answered.encode()[::-1])
    search = CanarySearch({"sent": sent.encode(), "answered": answered.encode()})
    found, _ = search.search_folder(tmp_path)
    assert {finding.secret for finding in found} == {"sent", "answered"}
    assert {"request" in finding.where for finding in found} == {True, False}


def test_a_broker_that_is_down_looks_like_one(tmp_path: Path) -> None:
    with Wiretap(tmp_path, target="http://127.0.0.1:9") as tap, pytest.raises(ConnectionError):
        _post(tap.address, "/good", b"x")
    assert tap.exchanges()[0].answer == b""
