"""Carries bytes between a socket that the worker sees and a broker's TCP address.

Runs on the untrusted host. It sees ciphertext and signed messages only; a worker in a sandbox
without network, in a VM with a serial line, or in an enclave, which has no unix sockets of the
host's, reaches its brokers through it and nothing else.
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
_BACKLOG = 16


class Forwarder:
    """A context in which callers of the socket at `path` reach `address` (`http://HOST:PORT`).

    Without a `path` it is a TCP port of this host's loopback. Whoever works on this host can call
    that too, and learns no more than what the broker tells anybody.
    """

    def __init__(self, path: Path | None, address: str) -> None:
        self._target = _host_and_port(address)
        self._server = _listening(path)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        """The TCP port, of one without a path."""
        return int(self._server.getsockname()[1])

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


def _listening(path: Path | None) -> socket.socket:
    if path is None:
        return socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    path.chmod(0o600)
    server.listen(_BACKLOG)
    return server


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
