"""A small HTTP client for vendors' services, from the standard library alone.

https with verified certificates; plain http only to the link-local address of a cloud's metadata
service and, when asked for, to the loopback. No redirects, no cookies, no credentials, no
compression. Proxy variables of the environment are not read: a broker's way out is its firewall's
business, and a variable must not turn it.

Says nothing about content: `sources` checks that it is what was asked for.
"""

from __future__ import annotations

import http.client
import ipaddress
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sealtune.core.clock import Clock
from sealtune.errors import Code, ConfigError, TransportError

# A metadata service of clouds, reachable from inside a VM only, has plain http by design.
LINK_LOCAL_HOST: Final = "169.254.169.254"
TIMEOUT_S: Final = 20.0
ATTEMPTS: Final = 4
WAIT_MAX_S: Final = 60.0  # a service that asks for more is asked again another time, not waited for
INTERVAL_S: Final = 0.25  # between two requests to one host; AMD's answers 429 to bursts
_BACKOFF_S = 0.5  # then twice as long each time
_PIECE_BYTES = 64 * 1024
_URL_MAX = 2_048
_PASSING = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request: GET, or POST where there is a body; `limit` bounds the answer's bytes."""

    url: str
    limit: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """The answer of a service with status 200; names of `headers` are in lower case."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How long to wait for an answer, how often to ask, and how fast one host may be asked.

    `jitter` gives a number from 0 to 1; it spreads the brokers that wait for one service.
    """

    timeout_s: float = TIMEOUT_S
    attempts: int = ATTEMPTS
    interval_s: float = INTERVAL_S
    wait_max_s: float = WAIT_MAX_S
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = lambda: secrets.randbelow(1_000) / 1_000


class NotThereError(TransportError):
    """The service answered 404: it does not know what was asked for. Asking again is no use."""


class _Passing(Exception):
    """An attempt failed in a way that may pass; `wait_s` is what the service asked for."""

    def __init__(self, reason: str, *, throttled: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.throttled = throttled
        self.wait_s = wait_s


class Fetcher:
    """Asks services, one at a time for each host and not too fast. Thread-safe."""

    def __init__(
        self,
        *,
        clock: Clock,
        manners: Manners,
        authorities: Path | None,
        insecure_http: bool,
    ) -> None:
        """Take the certificates of a private authority (PEM), which a PCCS or mirror often has.

        `insecure_http` permits plain http to the loopback, for tests.

        Raises:
            ConfigError: `authorities` holds no certificate.
        """
        self._clock = clock
        self._manners = manners
        self._insecure_http = insecure_http
        self._context = _context(authorities)
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def ask(self, question: Question) -> HttpAnswer:
        """Return the answer to `question`, asked again after a pause where that may help.

        Raises:
            NotThereError: the service does not know what was asked for.
            TransportError: no answer, a status other than 200, more bytes than its limit, fewer
                than it announced, or a service that is asked too often.
            ConfigError: an address that is not permitted.
        """
        url = self._permitted(question.url)
        for number in range(self._manners.attempts):
            try:
                return self._attempt(question, url)
            except _Passing as failure:
                last = number + 1 == self._manners.attempts
                if last or failure.wait_s > self._manners.wait_max_s:
                    raise _given_up(question.url, failure, attempts=number + 1) from failure
                # At least half of the pause, so that a jitter of zero is no hammering.
                pause = _BACKOFF_S * 2**number * (0.5 + self._manners.jitter() / 2)
                self._manners.sleep(max(pause, failure.wait_s))
        raise ValueError("at least one attempt is needed")

    def _permitted(self, text: str) -> SplitResult:
        try:
            url = urlsplit(text)
            port = url.port
        except ValueError:
            raise _refused(text, "is no address") from None
        if len(text) > _URL_MAX or not url.hostname or port == 0 or not text.isascii():
            raise _refused(text, "is no address")
        if "@" in url.netloc:
            raise _refused(url.hostname, "with a user name or password")
        if url.fragment or any(character <= " " for character in text):
            raise _refused(text, "is no plain address")
        if url.scheme == "https" or (url.scheme == "http" and self._plain(url.hostname)):
            return url
        raise _refused(text, "is not https")

    def _plain(self, host: str) -> bool:
        if host == LINK_LOCAL_HOST:
            return True
        try:
            loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False
        return self._insecure_http and loopback

    def _attempt(self, question: Question, url: SplitResult) -> HttpAnswer:
        self._keep_interval(url.netloc)
        deadline = self._clock.monotonic() + self._manners.timeout_s
        try:
            connection = self._connect(url)
            try:
                path = (url.path or "/") + (f"?{url.query}" if url.query else "")
                method = "GET" if question.body is None else "POST"
                headers = {
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                    "User-Agent": "sealtune",
                    **question.headers,
                }
                connection.request(method, path, body=question.body, headers=headers)
                with connection.getresponse() as response:
                    return self._read(response, question, deadline)
            finally:
                connection.close()
        except ssl.SSLCertVerificationError as error:
            reason = f"its TLS certificate is not trusted: {error.verify_message}"
            raise _failed(question.url, reason) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(str(error) or type(error).__name__) from error

    def _connect(self, url: SplitResult) -> http.client.HTTPConnection:
        host, timeout = url.hostname or "", self._manners.timeout_s
        if url.scheme == "http":
            return http.client.HTTPConnection(host, url.port, timeout=timeout)
        return http.client.HTTPSConnection(host, url.port, timeout=timeout, context=self._context)

    def _keep_interval(self, host: str) -> None:
        # One slot after the other: threads that ask at once are spread, not all let through.
        with self._lock:
            now = self._clock.monotonic()
            slot = max(now, self._next.get(host, now))
            self._next[host] = slot + self._manners.interval_s
        if slot > now:
            self._manners.sleep(slot - now)

    def _read(
        self, response: http.client.HTTPResponse, question: Question, deadline: float
    ) -> HttpAnswer:
        self._require_good(response, question.url)
        limit = question.limit
        if (response.length or 0) > limit:
            raise _failed(question.url, f"an answer larger than {limit} bytes")
        pieces, size = [], 0
        while piece := response.read1(_PIECE_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise _failed(question.url, f"an answer larger than {limit} bytes")
            # The socket's timeout bounds each piece; the deadline a peer that sends drops.
            if self._clock.monotonic() > deadline:
                raise _Passing("the answer took too long")
        if response.length:
            raise _Passing(f"the answer was cut: {response.length} bytes are missing")
        headers = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(url=question.url, body=b"".join(pieces), headers=headers)

    def _require_good(self, response: http.client.HTTPResponse, url: str) -> None:
        status = response.status
        if status == HTTPStatus.TOO_MANY_REQUESTS or status in _PASSING:
            wait_s = self._retry_after(response.getheader("Retry-After", ""))
            throttled = status == HTTPStatus.TOO_MANY_REQUESTS
            raise _Passing(f"HTTP status {status}", throttled=throttled, wait_s=wait_s)
        if status == HTTPStatus.NOT_FOUND:
            raise NotThereError(Code.FETCH_FAILED, f"{url}: not known there (HTTP status 404)")
        if 300 <= status < 400:
            raise _failed(url, f"a redirect (HTTP status {status}), which is not followed")
        if status != HTTPStatus.OK:
            raise _failed(url, f"HTTP status {status}")
        if response.getheader("Content-Encoding", "identity") != "identity":
            raise _failed(url, "a compressed answer, which was not asked for")

    def _retry_after(self, text: str) -> float:
        # RFC 9110 §10.2.3: seconds, or a date.
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return 0.0
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - self._clock.now()).total_seconds())


def _context(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        message = f"{authorities}: no certificates of authorities in PEM"
        raise ConfigError(Code.CONFIG_INVALID, message) from error


def _refused(url: str, reason: str) -> ConfigError:
    return ConfigError(
        Code.CONFIG_INVALID,
        f"{url[:200]!r} {reason}",
        remedy="give the address of a service as https://HOST[:PORT]/PATH",
    )


def _failed(url: str, reason: str) -> TransportError:
    return TransportError(Code.FETCH_FAILED, f"{url}: {reason}")


def _given_up(url: str, failure: _Passing, *, attempts: int) -> TransportError:
    if not failure.throttled:
        times = "once" if attempts == 1 else f"{attempts} times"
        return _failed(url, f"{failure.reason} (asked {times})")
    wait = f"; it asks to wait {failure.wait_s:.0f} s" if failure.wait_s else ""
    return TransportError(Code.FETCH_THROTTLED, f"{url}: asked too often{wait}")
