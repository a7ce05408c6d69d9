"""Token buckets: how often one address may ask, how fast refusals may fill the log."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

ADDRESSES_MAX: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many per second on average, so many at once after a pause."""

    per_second: float
    burst: float


class TokenBucket:
    """Lets `rate.burst` events through at once, then `rate.per_second`. Not thread-safe."""

    __slots__ = ("_rate", "_tokens", "_when")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._when = now

    def take(self, now: float) -> bool:
        """Return whether one more event may pass at `now` (monotonic seconds)."""
        gained = max(0.0, now - self._when) * self._rate.per_second
        self._tokens = min(self._rate.burst, self._tokens + gained)
        self._when = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class RateLimiter:
    """One bucket for each address; those seen longest ago are forgotten. Thread-safe."""

    def __init__(self, rate: Rate, *, capacity: int = ADDRESSES_MAX) -> None:
        self._rate = rate
        self._capacity = capacity
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, address: str, now: float) -> bool:
        """Return whether `address` may ask at `now` (monotonic seconds)."""
        group = address_group(address)
        with self._lock:
            bucket = self._buckets.pop(group, None) or TokenBucket(self._rate, now)
            self._buckets[group] = bucket
            if len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
            return bucket.take(now)


def address_group(address: str) -> str:
    """Return what counts as one asker: an address, or a /64 of IPv6, which one host usually has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
