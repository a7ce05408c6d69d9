"""What a measurement gives, as data: the same for `--json`, the terminal and the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealtune.testing.bench.figures import Pair, RunFigures
from sealtune.testing.bench.settings import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """Medians over `pairs` pairs of runs; None where nothing was compared.

    `ratio` is the median of the pairs' ratios, ours by peer's, and `ratio_min` and `ratio_max` its
    spread. `tokens_per_second` counts tokens that are not padding in the `steps` optimizer steps
    after the warm-up; the peaks are the largest resident sets of a process. `gemm_share` is the
    FLOP/s that the engine needs for its matrix products by those that large ones reach on this
    machine. `time_to_first_step_seconds` goes from the start of the process (of the launcher, in a
    sealed run) to the end of the first optimizer step.
    """

    model: str
    data: str
    compare: str
    sealed: bool
    insecure_simulated: bool
    tokens_per_second: float
    peer_tokens_per_second: float | None
    ratio: float | None
    ratio_min: float | None
    ratio_max: float | None
    peak_memory_bytes: int
    peer_peak_memory_bytes: int | None
    peer_setting: str | None
    peer_trials: tuple[Trial, ...]
    peer_padding: float | None
    time_to_first_step_seconds: float
    peer_time_to_first_step_seconds: float | None
    pairs: int
    steps: int
    gemm_flops_per_second: float
    gemm_share: float
    settings: Mapping[str, Any]
    machine: Mapping[str, Any]
    runs: tuple[Pair | RunFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossReport:
    """The loss of each optimizer step of both, and how far they are apart by the peer's."""

    model: str
    data: str
    steps: int
    largest_relative_difference: float
    mean_relative_difference: float
    final_loss: float
    peer_final_loss: float
    losses: tuple[float, ...]
    peer_losses: tuple[float, ...]
    settings: Mapping[str, Any]
    machine: Mapping[str, Any]
