"""Running a broker: load, audit, listen, say so, serve until told to stop.

uvicorn with the gaps closed that a public port needs: a deadline for request heads (it has one for
idle connections only) and bounds on connections, not just on requests, in all and for one address.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sealtune.broker.app import Gateway, make_app
from sealtune.broker.audit import audit_store
from sealtune.broker.config import BrokerConfig, load_config
from sealtune.broker.desk import Desk
from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.events import configure_logging, log_event
from sealtune.broker.rate import address_group
from sealtune.broker.store import Store
from sealtune.broker.vault import load_vault
from sealtune.core.clock import SystemClock
from sealtune.core.limits import KIB
from sealtune.core.process import forbid_core_dumps
from sealtune.crypto.identity import load_identity
from sealtune.errors import Code, ConfigError

HEAD_TIMEOUT_S: Final = 10.0
HEAD_BYTES_MAX: Final = 16 * KIB
IDLE_TIMEOUT_S: Final = 15
SHUTDOWN_TIMEOUT_S: Final = 10
CONNECTIONS_MAX: Final = 1024
CONNECTIONS_EACH_MAX: Final = CONNECTIONS_MAX // 4  # of one address: two for each of its requests
_BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """A broker that is ready: where it listens, who it is, and whether it is insecure."""

    address: str
    name: str
    signing_key: str
    log_size: int
    insecure_accept_simulated: bool

    def to_dict(self) -> dict[str, Any]:
        """Return this as a JSON object, for scripts that start a broker."""
        return {
            "event": "ready",
            "address": self.address,
            "name": self.name,
            "signing_key": self.signing_key,
            "log_size": self.log_size,
            "insecure_accept_simulated": self.insecure_accept_simulated,
        }


def serve_broker(
    directory: Path,
    *,
    host: str,
    port: int,
    insecure_accept_simulated: bool,
    passphrase: bytes | None,
    ready: Callable[[Listening], None],
) -> None:
    """Serve the broker in `directory` until SIGTERM or SIGINT; port 0 takes any free one.

    `ready` is called once it listens. Call it from the main thread of a process of its own: it
    handles that process's signals and takes away its core dumps.

    Raises:
        ConfigError: the folder's configuration cannot work, or the address cannot be had.
        StorageError: the store is missing, or STORE_DAMAGED: it disagrees with its log.
    """
    # Before any key is read: the store's and the identity's are in this process's memory.
    forbid_core_dumps()
    config = load_config(directory)
    configure_logging()
    listener = _listen(host, port)
    try:
        desk = open_desk(
            config, insecure_accept_simulated=insecure_accept_simulated, passphrase=passphrase
        )
        try:
            _serve(desk, config, listener, ready)
        finally:
            desk.store.close()
    finally:
        listener.close()


def open_desk(
    config: BrokerConfig, *, insecure_accept_simulated: bool, passphrase: bytes | None
) -> Desk:
    """Return the broker of `config`, its store opened and audited.

    Raises:
        ConfigError, FormatError: a key file cannot be used.
        StorageError: a file is missing, or STORE_DAMAGED: the store disagrees with its log.
    """
    identity = load_identity(config.identity, passphrase=passphrase)
    clock = SystemClock()
    vault = load_vault(config.store_key)
    store = Store(config.store, vault=vault, key=identity.signing, clock=clock)
    try:
        store.inspect(lambda connection: audit_store(connection, log=identity.signing.public))
    except BaseException:
        store.close()
        raise
    return Desk(
        identity=identity,
        owners=frozenset(config.owners),
        store=store,
        clock=clock,
        accepts_insecure=insecure_accept_simulated,
        endorsements=EndorsementCache(config.endorsements).everything,
    )


def _serve(
    desk: Desk,
    config: BrokerConfig,
    listener: socket.socket,
    ready: Callable[[Listening], None],
) -> None:
    size = desk.store.write(lambda transaction: transaction.current_head()).head.size
    listening = Listening(
        address=_address(listener),
        name=desk.identity.name,
        signing_key=desk.key.text,
        log_size=size,
        insecure_accept_simulated=desk.accepts_insecure,
    )

    def announce() -> None:
        log_event("ready", insecure=desk.accepts_insecure, address=listening.address)
        ready(listening)

    gateway = Gateway(desk, rate=config.rate)
    try:
        server = _Server(_uvicorn_config(make_app(gateway)), announce)
        server.run(sockets=[listener])
    finally:
        gateway.close()
    log_event("stopped")


def _uvicorn_config(app: Any) -> Any:
    return uvicorn.Config(
        app,
        http=_BoundedProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=IDLE_TIMEOUT_S,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
    )


class _Server(uvicorn.Server):  # type: ignore[misc] # uvicorn is not typed strictly
    """uvicorn that says when it listens and ends with status 0 when told to stop."""

    def __init__(self, config: Any, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._announce()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        with self.capture_signals():
            await self._serve(sockets)
            # uvicorn raises the signal again when it is done; a stop that was asked for is no
            # failure, so it is forgotten.
            self._captured_signals.clear()


class _BoundedProtocol(H11Protocol):  # type: ignore[misc] # uvicorn is not typed strictly
    """HTTP/1.1 with a deadline for each request's head and bounds on connections."""

    _deadline: asyncio.TimerHandle | None = None
    _group = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._group = address_group(self.client[0]) if self.client else ""
        if len(self.connections) > CONNECTIONS_MAX or self._own() > CONNECTIONS_EACH_MAX:
            # Not counted any more: of a burst that comes at once, only what stays takes a place.
            self.connections.discard(self)
            transport.abort()
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        if not self._busy():
            self._arm()
        super().data_received(data)
        if self._busy():
            self._disarm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _own(self) -> int:
        # Counted anew each time: a tally kept beside the connections might drift from them.
        return sum(other._group == self._group for other in self.connections)

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _arm(self) -> None:
        # From the first byte: who sends one byte a minute gets no more time.
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if not self._busy():
            self.transport.abort()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}",
            remedy="choose another --host or --port; port 0 takes a free one",
        ) from error
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
