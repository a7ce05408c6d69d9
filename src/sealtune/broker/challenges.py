"""One-shot challenges: random, short-lived, bound to contract and run (docs/spec/protocol.md §5.1).

They live in memory only: after a restart the broker knows none, and workers ask again.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sealtune.core.clock import Clock
from sealtune.core.digest import Digest
from sealtune.errors import Code, FreshnessError, TransportError
from sealtune.protocol.messages import CHALLENGE_BYTES

CHALLENGE_LIFE_S: Final = 120.0  # a hardware report takes under a second; its queue some more
CHALLENGES_MAX: Final = 65_536  # about 20 MiB; what one address may ask for in 10 minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A challenge that was given out, with its end as people read it."""

    challenge: bytes
    expires: datetime


@dataclass(frozen=True, slots=True)
class _Issued:
    contract: Digest
    run_id: str
    until: float


class ChallengeBook:
    """The challenges that are out and not used."""

    def __init__(self, clock: Clock, *, capacity: int = CHALLENGES_MAX) -> None:
        self._clock = clock
        self._capacity = capacity
        self._lock = threading.Lock()
        self._issued: dict[bytes, _Issued] = {}

    def issue(self, *, contract: Digest, run_id: str) -> Challenge:
        """Return a fresh challenge for one run of `contract`.

        Raises:
            TransportError: too many are out; the oldest expire soon.
        """
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        with self._lock:
            now = self._clock.monotonic()
            self._forget(now)
            if len(self._issued) >= self._capacity:
                raise TransportError(Code.RATE_LIMITED, "too many challenges are out")
            self._issued[challenge] = _Issued(contract, run_id, now + CHALLENGE_LIFE_S)
        expires = self._clock.now() + timedelta(seconds=CHALLENGE_LIFE_S)
        return Challenge(challenge=challenge, expires=expires)

    def consume(self, challenge: bytes, *, contract: Digest, run_id: str) -> None:
        """Use up `challenge`, whatever comes of it.

        Raises:
            FreshnessError: never given out, used before, expired, or given for another contract
                or run.
        """
        with self._lock:
            # Out of the book first: of two requests with one challenge, one finds it.
            issued = self._issued.pop(challenge, None)
            expired = issued is not None and issued.until <= self._clock.monotonic()
        if issued is None or expired:
            raise FreshnessError(
                Code.CHALLENGE_UNKNOWN, "no such challenge is out: never given, used, or expired"
            )
        asked = f"{contract} {run_id}".encode()
        if not hmac.compare_digest(f"{issued.contract} {issued.run_id}".encode(), asked):
            raise FreshnessError(
                Code.CHALLENGE_UNKNOWN, "the challenge was given for another contract or run"
            )

    def _forget(self, now: float) -> None:
        # All live equally long and a dict keeps its order, so the expired ones come first.
        while self._issued:
            oldest = next(iter(self._issued))
            if self._issued[oldest].until > now:
                return
            del self._issued[oldest]
