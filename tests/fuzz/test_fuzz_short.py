"""The harness of `make fuzz`, for a moment: some changes of each seed, and all that once failed.

Without coverage's guidance, and always the same changes (of seeds that are signed anew each time).
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

import fuzz_measure
import fuzz_targets
import harness
import pytest

from sealtune.errors import Code, FormatError

CHANGES = 300
NAMES = [target.name for target in fuzz_targets.TARGETS]
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def changed(seeds: list[bytes], *, chance: random.Random) -> bytes:
    """Return one of `seeds` after one to four changes."""
    data = chance.choice(seeds)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data) + 1)
        data = data[:place] + change(data[place:], seeds, chance=chance)
    return data


def change(tail: bytes, seeds: list[bytes], *, chance: random.Random) -> bytes:
    """Return `tail` with another beginning."""
    match chance.randrange(6):
        case 0:
            return bytes((chance.randrange(256),)) + tail[1:]
        case 1:
            return tail[chance.randrange(64) :]
        case 2:
            return b""
        case 3:
            other = chance.choice(seeds)
            start = chance.randrange(len(other) + 1)
            return other[start : start + chance.randrange(200)] + tail
        case 4:
            return tail[: chance.randrange(64)] * chance.randrange(4) + tail
        case _:
            size, order = chance.choice((1, 2, 4)), chance.choice(("little", "big"))
            number = chance.choice(NUMBERS) & ((1 << 8 * size) - 1)
            return number.to_bytes(size, order) + tail[size:]


def require_ours(name: str, data: bytes) -> None:
    escaped = fuzz_measure.run_once(fuzz_targets.BY_NAME[name], data).escaped
    assert not escaped, f"{name}: {escaped} at {base64.b64encode(data).decode()}"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_our_errors_comes_out_of_changed_input(name: str) -> None:
    chance = random.Random(name)
    seeds = list(fuzz_targets.BY_NAME[name].seeds())
    for _ in range(CHANGES):
        require_ours(name, changed(seeds, chance=chance))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_our_errors_comes_out_of_what_failed_once(name: str) -> None:
    for data in harness.regressions(name):
        require_ours(name, data)


def test_every_folder_of_what_failed_once_is_of_a_target() -> None:
    folders = harness.REGRESSIONS.iterdir() if harness.REGRESSIONS.is_dir() else ()
    assert {folder.name for folder in folders} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_mutations_start_from_input_that_is_taken(name: str) -> None:
    """A seed that is refused at its first byte would test nothing but that byte."""
    target = fuzz_targets.BY_NAME[name]
    codes = {outcome(target, seed) for seed in target.seeds()}
    # A token of a verification service is never taken: this is how far one gets.
    assert (Code.EVIDENCE_KIND if name == "nvidia-eat" else None) in codes


def outcome(target: fuzz_targets.Target, data: bytes) -> Code | None:
    try:
        target.case(data)()
    except fuzz_targets.SealtuneError as refusal:
        return refusal.code
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_hardest_input_stays_within_64_mib(name: str) -> None:
    target = fuzz_targets.BY_NAME[name]
    for number, data in enumerate(target.hardest()):
        require_ours(name, data)
        assert fuzz_measure.allocated(target, data) < fuzz_measure.BYTES_MAX, number


# -- the harness notices ---------------------------------------------------------------------------


def of(*outcomes: object) -> fuzz_targets.Target:
    """Return a target whose calls end in `outcomes`, one after the other."""
    left: Iterator[object] = iter(outcomes)

    def call() -> None:
        outcome = next(left)
        if isinstance(outcome, BaseException):
            raise outcome

    return fuzz_targets.Target(
        name="test", case=lambda _: call, seeds=lambda: (), hardest=lambda: (), bytes_max=1
    )


def test_an_error_of_ours_is_no_finding_and_any_other_is() -> None:
    assert fuzz_measure.run_once(of(None), b"").escaped == ""
    ours = FormatError(Code.JSON_MALFORMED, "test")
    assert fuzz_measure.run_once(of(ours), b"").escaped == ""
    ours = FormatError(Code.JSON_MALFORMED, "test \x1b[2J")
    assert fuzz_measure.run_once(of(ours), b"").escaped.startswith("a message that is not print")
    assert fuzz_measure.run_once(of(KeyError("x")), b"").escaped.startswith("KeyError in ")
    # What a native library throws where it panics is no `Exception`.
    assert fuzz_measure.run_once(of(BaseException("panic")), b"").escaped.startswith("BaseExc")


def test_what_python_allocates_is_measured() -> None:
    target = fuzz_targets.Target(
        name="test",
        case=lambda data: lambda: bytearray(len(data) << 20),
        seeds=lambda: (),
        hardest=lambda: (),
        bytes_max=1,
    )
    assert 3 << 20 <= fuzz_measure.allocated(target, b"abc") < 4 << 20


def test_an_input_must_not_be_cheap_for_having_been_seen() -> None:
    target = fuzz_targets.BY_NAME["crl"]
    (seed, *_) = target.seeds()
    fuzz_targets.parse_crl(seed)
    fuzz_measure.run_once(target, seed)
    assert fuzz_targets.parse_crl.cache_info().hits == 0


def test_a_longer_input_than_a_parser_takes_is_tried_as_well() -> None:
    for target in fuzz_targets.TARGETS:
        assert target.max_len > target.bytes_max
