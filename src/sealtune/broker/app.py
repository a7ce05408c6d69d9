"""The broker's HTTP interface: bounded bytes in, signed bytes out (docs/spec/protocol.md §2).

Here are only limits and routes; what a request means is in `release`, `runs` and `registration`.
Bodies are read as bytes and parsed by `protocol`, not by the framework: the signature and the
digest are over what was sent.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request, Response

from sealtune import __version__
from sealtune.broker.desk import Desk
from sealtune.broker.events import log_event, log_failure
from sealtune.broker.openapi import describe
from sealtune.broker.rate import Rate, RateLimiter
from sealtune.broker.refusals import Reply, not_now, refuse_request
from sealtune.broker.registration import register_contract, register_key
from sealtune.broker.release import issue_challenge, release_keys
from sealtune.broker.room import NoRoom, Room, Take
from sealtune.broker.runs import close_run, remember_anchor
from sealtune.core.canonical import canonical_json
from sealtune.core.limits import (
    KEY_REQUEST_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    MIB,
    SMALL_MESSAGE_BYTES_MAX,
)
from sealtune.errors import Code, SealtuneError

BODY_TIMEOUT_S: Final = 15.0
THREADS: Final = 16  # two cores verify; the others wait for the disk, and share one fsync
# What is held at once: in all, and for one address, so that no single one holds it all. Behind a
# forwarder 64 workers may share an address: twice their requests and their largest key requests.
PENDING_MAX: Final = 512  # requests begun and not answered
PENDING_EACH_MAX: Final = PENDING_MAX // 4
BODY_BYTES_MAX: Final = 256 * MIB  # of those requests' bodies
BODY_BYTES_EACH_MAX: Final = BODY_BYTES_MAX // 4

Handler = Callable[[Desk, bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    path: str
    handler: Handler
    limit: int


ROUTES: Final = (
    _Route(path="/v1/keys", handler=register_key, limit=MESSAGE_BYTES_MAX),
    _Route(path="/v1/contracts", handler=register_contract, limit=MESSAGE_BYTES_MAX),
    _Route(path="/v1/challenge", handler=issue_challenge, limit=SMALL_MESSAGE_BYTES_MAX),
    _Route(path="/v1/release", handler=release_keys, limit=KEY_REQUEST_BYTES_MAX),
    _Route(path="/v1/anchor", handler=remember_anchor, limit=SMALL_MESSAGE_BYTES_MAX),
    _Route(path="/v1/receipt", handler=close_run, limit=MESSAGE_BYTES_MAX),
)


class _TooSlow(Exception):
    pass


class _TooLarge(Exception):
    pass


class Gateway:
    """Bounds what comes in: rate, number, size, time; then runs the handler in a thread."""

    def __init__(self, desk: Desk, *, rate: Rate) -> None:
        self._desk = desk
        self._limiter = RateLimiter(rate)
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="broker")
        self._places = Room(total=PENDING_MAX, each=PENDING_EACH_MAX)
        self._bytes = Room(total=BODY_BYTES_MAX, each=BODY_BYTES_EACH_MAX)

    async def answer(self, request: Request, route: _Route) -> Response:
        """Return the response to one request, whatever goes wrong."""
        address = request.client.host if request.client else "unix"
        if not self._limiter.allows(address, self._desk.clock.monotonic()):
            return _response(not_now(Code.RATE_LIMITED, HTTPStatus.TOO_MANY_REQUESTS), close=True)
        try:
            with self._places.hold(address) as take_places, self._bytes.hold(address) as take_bytes:
                take_places(1)
                body = await _read_body(request, limit=route.limit, take=take_bytes)
                loop = asyncio.get_running_loop()
                handle = functools.partial(_handle, self._desk, route.handler, body)
                return _response(await loop.run_in_executor(self._pool, handle))
        except NoRoom as full:
            status = HTTPStatus.TOO_MANY_REQUESTS if full.own else HTTPStatus.SERVICE_UNAVAILABLE
            return _response(not_now(Code.RATE_LIMITED, status), close=True)
        except _TooLarge:
            reply = not_now(Code.LIMIT_EXCEEDED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return _response(reply, close=True)
        except _TooSlow:
            return _response(not_now(Code.IO_FAILED, HTTPStatus.REQUEST_TIMEOUT), close=True)

    def close(self) -> None:
        """Wait for the handlers that run."""
        self._pool.shutdown(wait=True)


def make_app(gateway: Gateway) -> FastAPI:
    """Return the ASGI application of the broker behind `gateway`."""
    # No interactive pages: they load scripts from elsewhere.
    app = FastAPI(title="sealtune broker", version=__version__, docs_url=None, redoc_url=None)

    app.get(
        "/v1/broker",
        summary="Who this broker is, and that its store works",
        response_class=Response,
        responses={503: {"description": "The store refuses; nothing can be released now"}},
    )(_endpoint(gateway, _Route(path="/v1/broker", handler=describe_broker, limit=0)))
    for route in ROUTES:
        app.post(route.path, response_class=Response, **describe(route.path))(
            _endpoint(gateway, route)
        )
    return app


def describe_broker(desk: Desk, _: bytes) -> bytes:
    """Return what anybody may know: keys to compare, and whether simulated evidence is accepted.

    Raises:
        StorageError: the store refuses, so that nothing can be released now.
    """
    desk.store.write(lambda transaction: transaction.current_head())
    public = desk.identity.public
    facts = {
        "name": public.name,
        "signing_key": public.signing.text,
        "recipient_key": public.recipient.text,
        "fingerprint": public.fingerprint,
        "insecure_accept_simulated": desk.accepts_insecure,
        "version": __version__,
    }
    return canonical_json(facts)


def _endpoint(gateway: Gateway, route: _Route) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await gateway.answer(request, route)

    return endpoint


def _handle(desk: Desk, handler: Handler, body: bytes) -> Reply:
    try:
        return Reply(status=HTTPStatus.OK, body=handler(desk, body))
    except SealtuneError as error:
        return refuse_request(error, body=body, key=desk.identity.signing)
    except Exception:  # noqa: BLE001 - the process edge: a defect must not end the service
        log_failure("defect")
        return not_now(Code.INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR)


async def _read_body(request: Request, *, limit: int, take: Take) -> bytes:
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced[:20]) > limit:
        raise _TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.stream():
                # Counted as it comes: a chunked body announces nothing, and who announces much and
                # sends nothing holds nothing.
                if len(body) + len(piece) > limit:
                    raise _TooLarge
                take(len(piece))
                body += piece
    except TimeoutError:
        raise _TooSlow from None
    return bytes(body)


def _response(reply: Reply, *, close: bool = False) -> Response:
    headers = {"Cache-Control": "no-store"}
    if close:
        # What was not read must not be taken for the next request.
        headers["Connection"] = "close"
        log_event("turned-away", status=int(reply.status))
    return Response(
        reply.body, status_code=reply.status, media_type="application/json", headers=headers
    )
