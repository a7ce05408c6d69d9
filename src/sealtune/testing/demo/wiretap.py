"""A TCP proxy that keeps every byte: the operator's ear on the line between worker and broker.

Insecure by purpose. Records each connection's two directions into files of a folder.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_PIECE = 64 * 1024
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What one connection carried."""

    request: bytes
    answer: bytes

    @property
    def path(self) -> str:
        """The path of the HTTP request, or nothing."""
        words = self.request.split(b"\r\n", 1)[0].split(b" ")
        return words[1].decode("ascii", "replace") if len(words) == 3 else ""

    @property
    def body(self) -> bytes:
        """The body of the HTTP request."""
        return self.request.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        """The status of the HTTP answer, or 0."""
        words = self.answer[:64].split(b" ")
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


class Wiretap:
    """Listens on a free loopback port, connects each caller to `target`; a context manager."""

    def __init__(self, folder: Path, *, target: str) -> None:
        """Record into `folder`; `target` is the broker's address, `http://HOST:PORT`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        parts = urlsplit(target)
        if not parts.hostname or not parts.port:
            raise ValueError(f"not http://HOST:PORT: {target}")
        self._target = (parts.hostname, parts.port)
        self._numbers = itertools.count(1)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._carriers: list[threading.Thread] = []

    @property
    def address(self) -> str:
        """Where to connect instead of to the broker: `http://127.0.0.1:PORT`."""
        host, port = self._server.getsockname()[:2]
        return f"http://{host}:{port}"

    def __enter__(self) -> Wiretap:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._listener.join()
        for carrier in self._carriers:
            carrier.join(_CONNECT_SECONDS)

    def exchanges(self) -> list[Exchange]:
        """Return what was heard so far, oldest connection first."""
        heard = []
        for request in sorted(self._folder.glob("*-request.bin")):
            answer = request.with_name(request.name.replace("-request", "-answer"))
            heard.append(Exchange(request=request.read_bytes(), answer=answer.read_bytes()))
        return heard

    def last(self, path: str) -> Exchange:
        """Return the newest exchange on the HTTP path `path` that was answered with success.

        Raises:
            LookupError: there was none.
        """
        for exchange in reversed(self.exchanges()):
            if exchange.path == path and exchange.status == 200:
                return exchange
        raise LookupError(f"nothing was heard on {path}")

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._server.accept()
            except OSError:
                return
            stem = self._folder / f"{next(self._numbers):04d}"
            carrier = threading.Thread(target=self._carry, args=(caller, stem), daemon=True)
            self._carriers.append(carrier)
            carrier.start()

    def _carry(self, caller: socket.socket, stem: Path) -> None:
        request, answer = (
            stem.with_name(f"{stem.name}-{way}.bin") for way in ("request", "answer")
        )
        request.touch()
        answer.touch()
        with caller:
            try:
                callee = socket.create_connection(self._target, timeout=_CONNECT_SECONDS)
            except OSError:
                return  # the broker is down: the caller sees a closed connection
            callee.settimeout(None)
            with callee:
                back = threading.Thread(target=_record, args=(callee, caller, answer), daemon=True)
                back.start()
                _record(caller, callee, request)
                back.join()


def _record(source: socket.socket, sink: socket.socket, path: Path) -> None:
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while piece := source.recv(_PIECE):
            file.write(piece)
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
