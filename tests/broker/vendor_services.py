"""A local HTTP server in the place of vendors' services: says what it was told, faults included."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Says:
    """One answer. `cut` sends that many bytes fewer than it announces; `drip` pauses between bytes;
    `delay` waits before the first."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0
    delay: float = 0.0
    drip: float = 0.0
    announce: bool = True


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Route = Callable[[Asked], Says]


class VendorServices:
    """Answers by path (with its query); a list of answers is used up, its last one stays."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.routes: dict[str, Route | Says | list[Says]] = {}
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            # Handshakes happen in the threads: one that fails ends its own connection only.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        # A client that goes away is what many of these tests are about.
        self._server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def answer(self, asked: Asked) -> Says:
        with self._lock:
            self.asked.append(asked)
            said = self.routes.get(asked.path, Says(status=404))
            if isinstance(said, list):
                said = said.pop(0) if len(said) > 1 else said[0]
        return said if isinstance(said, Says) else said(asked)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        services = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._respond()

            def do_POST(self) -> None:
                self._respond()

            def _respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                said = services.answer(Asked(self.command, self.path, headers, body))
                time.sleep(said.delay)
                with contextlib.suppress(OSError):
                    self._say(said)

            def _say(self, said: Says) -> None:
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                if said.announce:
                    self.send_header("Content-Length", str(len(said.body)))
                self.send_header("Connection", "close")
                self.end_headers()
                for piece in _pieces(said):
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(said.drip)
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def _pieces(said: Says) -> Iterator[bytes]:
    sent = said.body[: len(said.body) - said.cut]
    if not said.drip:
        yield sent
        return
    for octet in sent:
        yield bytes([octet])
