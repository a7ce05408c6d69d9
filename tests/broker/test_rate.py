"""Rate limits count by address and forget the oldest, not the newest."""

from __future__ import annotations

from sealtune.broker.desk import RefusalGate
from sealtune.broker.rate import Rate, RateLimiter
from sealtune.testing.clock import VirtualClock

RATE = Rate(per_second=2, burst=3)


def test_a_burst_then_the_rate():
    limiter = RateLimiter(RATE)
    assert [limiter.allows("192.0.2.1", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [limiter.allows("192.0.2.1", 0.5) for _ in range(2)] == [True, False]
    assert [limiter.allows("192.0.2.1", 100.0) for _ in range(4)] == [True, True, True, False]


def test_one_address_does_not_use_up_anothers():
    limiter = RateLimiter(RATE)
    for _ in range(5):
        limiter.allows("192.0.2.1", 0.0)
    assert limiter.allows("192.0.2.2", 0.0)


def test_a_network_of_ipv6_addresses_is_one_asker():
    limiter = RateLimiter(RATE)
    for last in range(3):
        assert limiter.allows(f"2001:db8::{last}", 0.0)
    assert not limiter.allows("2001:db8::ffff", 0.0)
    assert limiter.allows("2001:db8:0:1::1", 0.0)


def test_a_clock_that_stands_still_or_goes_back_gives_nothing():
    limiter = RateLimiter(RATE)
    for _ in range(3):
        limiter.allows("unix", 10.0)
    assert not limiter.allows("unix", 0.0)


def test_the_table_of_addresses_is_bounded():
    limiter = RateLimiter(RATE, capacity=10)
    for number in range(1000):
        limiter.allows(f"host-{number}", 0.0)
    assert len(limiter._buckets) == 10


def test_refusals_beyond_the_rate_are_counted_not_kept(clock: VirtualClock):
    gate = RefusalGate(clock)
    admitted = [gate.admit() for _ in range(310)]
    assert admitted == [0] * 300 + [None] * 10
    clock.advance(1)
    assert gate.admit() == 10
    assert gate.admit() is None
