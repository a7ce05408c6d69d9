"""What runs give and what follows from it: rates, ratios of pairs, medians."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """One run of one program: the steps after the warm-up, and the whole process's peak.

    `tokens` are those that are not padding; `padding` is the share of all positions that were
    computed which padding took, 0 where that is unknown; `memory_cap` says how
    memory was limited, `plan` what the engine tells about how it computes, where it can.
    """

    tokens: int
    seconds: float
    peak_memory_bytes: int
    time_to_first_step_seconds: float
    padding: float = 0.0
    memory_cap: str = "none"
    plan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tokens_per_second(self) -> float:
        """Real tokens by the seconds that their steps took."""
        return self.tokens / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two runs, one after the other on the same machine in about the same state."""

    ours: RunFigures
    peer: RunFigures

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer ours is."""
        return self.ours.tokens_per_second / self.peer.tokens_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Medians:
    """The medians of one side's runs; of the peaks the highest."""

    tokens_per_second: float
    peak_memory_bytes: int
    time_to_first_step_seconds: float
    padding: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """The median of the pairs' ratios, and the least and the largest of them."""

    median: float
    least: float
    most: float


def medians(runs: Sequence[RunFigures]) -> Medians:
    """Return the medians of `runs`."""
    return Medians(
        tokens_per_second=statistics.median(run.tokens_per_second for run in runs),
        peak_memory_bytes=max(run.peak_memory_bytes for run in runs),
        time_to_first_step_seconds=statistics.median(
            run.time_to_first_step_seconds for run in runs
        ),
        padding=statistics.median(run.padding for run in runs),
    )


def ratios(pairs: Sequence[Pair]) -> Ratios:
    """Return median and spread of the pairs' ratios.

    Not the ratio of medians: a machine that slows down does so for both runs of a pair.
    """
    values = [pair.ratio for pair in pairs]
    return Ratios(median=statistics.median(values), least=min(values), most=max(values))


def steady(stamps: Sequence[float], tokens: Sequence[int], *, warmup: int) -> tuple[int, float]:
    """Return tokens and seconds of the steps after the first `warmup`.

    `stamps` are the times at which each optimizer step ended, `tokens` what each had.

    Raises:
        ValueError: there are not as many of the one as of the other, or none is left.
    """
    if len(stamps) != len(tokens) or not 1 <= warmup < len(stamps):
        raise ValueError(f"{len(stamps)} steps, {len(tokens)} counts, {warmup} of warm-up")
    return sum(tokens[warmup:]), stamps[-1] - stamps[warmup - 1]
