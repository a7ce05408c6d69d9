"""The peer's settings: their names, and that the search finds the fastest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sealtune.errors import Code, ConfigError, TrainingError
from sealtune.testing.bench.settings import (
    Arithmetic,
    PeerSetting,
    fastest_setting,
    micro_sizes,
)


@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_a_name_is_read_back(arithmetic: Arithmetic) -> None:
    for grouped in (True, False):
        setting = PeerSetting(arithmetic=arithmetic, micro=8, grouped=grouped)
        assert PeerSetting.parse(setting.text) == setting
    assert arithmetic.explained


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fp32",
        "fp64/micro-1/random",
        "fp32/micro-0/random",
        "fp32/micro-x/random",
        "fp32/micro-1/",
    ],
)
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        PeerSetting.parse(text)
    assert refused.value.code is Code.CONFIG_INVALID


def test_a_micro_batch_has_to_fill_a_step() -> None:
    setting = PeerSetting.parse("fp32/micro-4/random")
    assert setting.fill(16) == setting
    with pytest.raises(ConfigError) as refused:
        setting.fill(6)
    assert "1, 2" in refused.value.remedy


@pytest.mark.parametrize(
    ("records", "sizes"), [(1, (1,)), (8, (1, 2, 4, 8)), (12, (1, 2, 4)), (7, (1,))]
)
def test_micro_batches_divide_a_step(records: int, sizes: tuple[int, ...]) -> None:
    assert micro_sizes(records) == sizes


@pytest.mark.parametrize(
    "wanted",
    [
        "bf16-weights-autocast/micro-16/grouped",
        "bf16-autocast/micro-1/grouped",
        "fp32-medium/micro-4/random",
        "bf16-weights/micro-8/grouped",
    ],
)
def test_the_fastest_is_found(wanted: str) -> None:
    best = PeerSetting.parse(wanted)
    asked = []

    def rate(setting: PeerSetting) -> float:
        asked.append(setting)
        near = abs(setting.micro.bit_length() - best.micro.bit_length())
        right = 100.0 if setting.arithmetic is best.arithmetic else 50.0
        order = 1.0 if setting.grouped == best.grouped else 0.8
        return right * order * 0.8**near

    found, trials = fastest_setting(rate, records_per_step=16, varies=True)
    assert found == best
    assert len(asked) == len(set(asked)) == len(trials)
    assert max(trials, key=lambda trial: trial.tokens_per_second).setting == wanted


def test_records_of_one_length_are_not_grouped() -> None:
    found, trials = fastest_setting(lambda _: 1.0, records_per_step=8, varies=False)
    assert not found.grouped
    assert not any("grouped" in trial.setting for trial in trials)


def _needs(most: int, *, code: Code = Code.MEMORY_EXCEEDED) -> Callable[[PeerSetting], float]:
    def rate(setting: PeerSetting) -> float:
        if setting.micro > most:
            raise TrainingError(code, "killed")
        return 10.0 + setting.micro

    return rate


def test_what_is_killed_for_memory_is_not_the_fastest() -> None:
    found, trials = fastest_setting(_needs(2), records_per_step=16, varies=True)
    assert found.micro == 2
    assert {trial.tokens_per_second for trial in trials if "micro-4" in trial.setting} == {0.0}


def test_a_peer_that_fits_at_no_setting_or_fails_otherwise_is_an_error() -> None:
    for rate, code in (
        (_needs(0), Code.MEMORY_EXCEEDED),
        (_needs(2, code=Code.BENCH_FAILED), Code.BENCH_FAILED),
    ):
        with pytest.raises(TrainingError) as caught:
            fastest_setting(rate, records_per_step=16, varies=True)
        assert caught.value.code is code
