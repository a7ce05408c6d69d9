"""A small HTTP client for brokers, over TCP or a unix socket, from the standard library alone.

It runs inside the enclave, so it is small: no redirects, no cookies, no proxies, no TLS (the
broker's answers are signed and the keys in them sealed; docs/spec/protocol.md §2). It believes no
status line: what counts is the signed answer, which `session` verifies.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sealtune.attestation.evidence import Evidence
from sealtune.core.limits import ANSWER_BYTES_MAX
from sealtune.errors import Code, ConfigError, TransportError
from sealtune.protocol.session import BrokerSession, ReleasedKeys, SessionTerms, VerifiedChallenge

TIMEOUT_S = 20.0  # a broker answers in milliseconds; its queue under full load in seconds
ATTEMPTS = 5
_BACKOFF_S = 0.2  # then twice as long each time
_PIECE_BYTES = 64 * 1024
_HTTP_ADDRESS = re.compile(r"http://(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})/?")

Attest = Callable[[VerifiedChallenge], Evidence]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for an answer and how often to ask."""

    timeout_s: float = TIMEOUT_S
    attempts: int = ATTEMPTS
    sleep: Callable[[float], None] = time.sleep


class BrokerClient:
    """Posts bytes to one broker and returns the bytes of its answer."""

    def __init__(self, address: str, *, patience: Patience = Patience()) -> None:
        """Take an address: `http://HOST:PORT` or `unix:/PATH`.

        Raises:
            ConfigError: `address` is neither.
        """
        self.address = address
        self._connect = _connector(address, patience.timeout_s)
        self._patience = patience

    def post(self, path: str, body: bytes) -> bytes:
        """Return the answer to `body`, asked once.

        Raises:
            TransportError: no answer of a broker came, in time and within the size limit.
        """
        deadline = time.monotonic() + self._patience.timeout_s
        try:
            connection = self._connect()
            try:
                headers = {"Content-Type": "application/json", "Connection": "close"}
                connection.request("POST", path, body=body, headers=headers)
                with connection.getresponse() as response:
                    answer = _read_bounded(response, deadline)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        return self._final(response.status, answer)

    def ask(self, path: str, body: bytes) -> bytes:
        """Return the answer to `body`, asked again after a pause while no answer comes.

        Only for requests that may arrive twice: the broker counts none of them double.

        Raises:
            TransportError: the last attempt failed as well.
        """
        return self.persist(lambda: self.post(path, body))

    def persist(self, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns, tried again after a pause when the transport fails."""
        for number in range(self._patience.attempts - 1):
            try:
                return attempt()
            except TransportError:
                self._patience.sleep(_BACKOFF_S * 2**number)
        return attempt()

    def _final(self, status: int, answer: bytes) -> bytes:
        # A signed refusal is an answer. Anything else that is not 200 was made by whoever stands
        # between, or by a broker that cannot answer now: both may pass.
        if status == http.client.OK or b'"payloadType"' in answer:
            return answer
        if status == http.client.TOO_MANY_REQUESTS:
            raise TransportError(
                Code.RATE_LIMITED,
                f"broker {self.address}: too many requests from here",
                remedy="wait a minute and try again",
            )
        raise self._unreachable(f"HTTP status {status}{_reason(answer)}")

    def _unreachable(self, reason: str) -> TransportError:
        return TransportError(
            Code.BROKER_UNREACHABLE,
            f"broker {self.address}: {reason}",
            remedy="check that the broker runs and that this address reaches it",
        )


def fetch_keys(client: BrokerClient, *, terms: SessionTerms, attest: Attest) -> ReleasedKeys:
    """Run sessions with the broker until one has brought its answer (spec/protocol §5).

    A lost answer costs neither a run nor a resume: the next session shows the same worker keys.

    Raises:
        TransportError: the broker was not reached, in several attempts.
        ReleaseDenied, VerificationError, FormatError: as `BrokerSession`.
    """

    def attempt() -> ReleasedKeys:
        session = BrokerSession(terms)
        challenge = session.on_challenge(client.post("/v1/challenge", session.start()))
        request = session.request(attest(challenge))
        return session.on_release(client.post("/v1/release", request))

    return client.persist(attempt)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, *, timeout: float) -> None:
        super().__init__("broker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _connector(address: str, timeout: float) -> Callable[[], http.client.HTTPConnection]:
    if address.startswith("unix:/"):
        path = Path(address.removeprefix("unix:"))
        return lambda: _UnixConnection(path, timeout=timeout)
    matched = _HTTP_ADDRESS.fullmatch(address)
    if not matched or not 0 < int(matched[2]) < 65536:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"not a broker's address: {address[:200]!r}",
            remedy="write http://HOST:PORT or unix:/PATH",
        )
    host, port = matched[1].strip("[]"), int(matched[2])
    return lambda: http.client.HTTPConnection(host, port, timeout=timeout)


def _read_bounded(response: http.client.HTTPResponse, deadline: float) -> bytes:
    # The socket's own timeout bounds each piece; the deadline bounds a peer that sends drops.
    pieces, size = [], 0
    while piece := response.read1(_PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise http.client.HTTPException(f"an answer larger than {ANSWER_BYTES_MAX} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("the answer took too long")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _reason(answer: bytes) -> str:
    # Unsigned, so only a hint for people; bounded and stripped of control characters.
    try:
        fields = json.loads(answer[:2000])
        code = Code(fields["code"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return f" ({code})"
