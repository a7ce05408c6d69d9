"""Carries bytes between a unix socket that the worker sees and a broker's TCP address.

Runs on the untrusted host. It sees ciphertext and signed messages only; a worker in a sandbox
without network, or in a VM with a serial line, reaches its brokers through it and nothing else.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

from sealtune.errors import Code, ConfigError

_PIECE = 64 * 1024
_CONNECT_SECONDS = 10.0


class Forwarder:
    """A context in which callers of the socket at `path` reach `address` (`http://HOST:PORT`)."""

    def __init__(self, path: Path, address: str) -> None:
        self._target = _host_and_port(address)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        path.chmod(0o600)
        self._server.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Forwarder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Shutting down wakes the accept; closing alone would not.
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        with caller:
            try:
                callee = socket.create_connection(self._target, timeout=_CONNECT_SECONDS)
            except OSError:
                return
            callee.settimeout(None)
            with callee:
                back = threading.Thread(target=_pump, args=(callee, caller), daemon=True)
                back.start()
                _pump(caller, callee)
                back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not address.startswith("http://") or not host or not port:
        message = f"{address[:200]}: a broker's address reads http://HOST:PORT"
        raise ConfigError(Code.CONFIG_INVALID, message)
    return host, port
