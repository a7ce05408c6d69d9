"""A challenge works once, soon, and for what it was given for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from sealtune.broker.challenges import CHALLENGE_LIFE_S, ChallengeBook
from sealtune.core.digest import sha256_digest
from sealtune.errors import Code, FreshnessError, TransportError
from sealtune.testing.clock import VirtualClock

CONTRACT = sha256_digest(b"contract")
RUN = "0a" * 16


@pytest.fixture
def book(clock: VirtualClock) -> ChallengeBook:
    return ChallengeBook(clock, capacity=3)


def issue(book: ChallengeBook) -> bytes:
    return book.issue(contract=CONTRACT, run_id=RUN).challenge


def test_32_fresh_bytes_that_work_once(book: ChallengeBook):
    first, second = issue(book), issue(book)
    assert len(first) == 32
    assert first != second
    book.consume(first, contract=CONTRACT, run_id=RUN)
    with pytest.raises(FreshnessError) as caught:
        book.consume(first, contract=CONTRACT, run_id=RUN)
    assert caught.value.code is Code.CHALLENGE_UNKNOWN
    book.consume(second, contract=CONTRACT, run_id=RUN)


@pytest.mark.parametrize(
    "other",
    [
        {"contract": sha256_digest(b"other"), "run_id": RUN},
        {"contract": CONTRACT, "run_id": "0b" * 16},
    ],
)
def test_for_one_contract_and_run_and_used_up_by_a_wrong_try(book: ChallengeBook, other):
    challenge = issue(book)
    with pytest.raises(FreshnessError):
        book.consume(challenge, **other)
    with pytest.raises(FreshnessError):
        book.consume(challenge, contract=CONTRACT, run_id=RUN)


def test_a_challenge_that_was_never_given_is_unknown(book: ChallengeBook):
    with pytest.raises(FreshnessError):
        book.consume(bytes(32), contract=CONTRACT, run_id=RUN)


def test_its_life_is_short(book: ChallengeBook, clock: VirtualClock):
    in_time, late = issue(book), issue(book)
    clock.advance(CHALLENGE_LIFE_S - 0.01)
    book.consume(in_time, contract=CONTRACT, run_id=RUN)
    clock.advance(0.01)
    with pytest.raises(FreshnessError):
        book.consume(late, contract=CONTRACT, run_id=RUN)


def test_its_end_is_told(book: ChallengeBook, clock: VirtualClock):
    issued = book.issue(contract=CONTRACT, run_id=RUN)
    assert issued.expires == clock.now() + timedelta(seconds=CHALLENGE_LIFE_S)


def test_their_number_is_bounded_and_time_makes_room(book: ChallengeBook, clock: VirtualClock):
    for _ in range(3):
        issue(book)
    with pytest.raises(TransportError) as caught:
        issue(book)
    assert caught.value.code is Code.RATE_LIMITED
    clock.advance(CHALLENGE_LIFE_S)
    for _ in range(3):
        issue(book)


def test_of_many_that_try_one_challenge_one_succeeds(clock: VirtualClock):
    book = ChallengeBook(clock)
    challenge = issue(book)

    def attempt(_: int) -> bool:
        try:
            book.consume(challenge, contract=CONTRACT, run_id=RUN)
        except FreshnessError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(64))) == 1
