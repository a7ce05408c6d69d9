"""Ratios are of pairs, medians of ratios, and the clock starts after the warm-up."""

from __future__ import annotations

import pytest

from sealtune.testing.bench.figures import Pair, RunFigures, medians, ratios, steady
from sealtune.testing.bench.plain import by_step


def _run(rate: float, *, peak: int = 1, first: float = 1.0) -> RunFigures:
    return RunFigures(
        tokens=1_000,
        seconds=1_000 / rate,
        peak_memory_bytes=peak,
        time_to_first_step_seconds=first,
    )


def test_the_ratio_is_the_median_of_the_pairs_and_not_of_the_sides() -> None:
    rates = [(20, 10), (30, 10), (8, 2), (100, 90), (6, 5)]
    pairs = [Pair(ours=_run(ours), peer=_run(peer)) for ours, peer in rates]
    found = ratios(pairs)
    assert found.median == pytest.approx(2.0)  # the medians of the sides are 20 and 10 here too
    assert (found.least, found.most) == (pytest.approx(100 / 90), pytest.approx(4.0))
    slow = [Pair(ours=_run(o), peer=_run(p)) for o, p in [(10, 10), (40, 10), (90, 30)]]
    assert ratios(slow).median == pytest.approx(3.0)  # of the sides: 40 / 10


def test_rates_are_medians_and_the_peak_is_the_highest() -> None:
    found = medians([_run(1, peak=7, first=3), _run(5, peak=9, first=1), _run(3, peak=8, first=2)])
    assert found.tokens_per_second == pytest.approx(3.0)
    assert found.peak_memory_bytes == 9
    assert found.time_to_first_step_seconds == 2


def test_the_warm_up_does_not_count() -> None:
    assert steady([10.0, 11.0, 13.0, 14.0], [1, 2, 4, 8], warmup=2) == (12, 3.0)


@pytest.mark.parametrize(
    ("stamps", "tokens", "warmup"),
    [([1.0, 2.0], [1], 1), ([1.0, 2.0], [1, 1], 2), ([1.0, 2.0], [1, 1], 0)],
)
def test_figures_that_do_not_fit_are_a_mistake(
    stamps: list[float], tokens: list[int], warmup: int
) -> None:
    with pytest.raises(ValueError, match="of warm-up"):
        steady(stamps, tokens, warmup=warmup)


def test_tokens_so_far_become_tokens_of_steps() -> None:
    assert by_step([5, 5, 12]) == [5, 0, 7]
    assert by_step([]) == []
