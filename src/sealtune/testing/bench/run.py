"""One measurement: ours and its peer in alternation, each run a process of its own.

Peer, ours; ours, peer; and so on, so that a machine that slows down does so for both. The clock
runs from the end of the warm-up's last optimizer step to the end of the last one; loading,
tokenizing and compiling are before that. Before each pair the machine's matrix products are timed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sealtune.errors import Code, ConfigError, TrainingError
from sealtune.testing.bench.cap import memory_cap
from sealtune.testing.bench.children import run_child
from sealtune.testing.bench.figures import Pair, RunFigures, ratios, side, steady
from sealtune.testing.bench.job import Job
from sealtune.testing.bench.machine import describe_machine
from sealtune.testing.bench.parties import Parties, sealed_parties
from sealtune.testing.bench.prepare import (
    WARMUP_STEPS,
    BenchOptions,
    Compare,
    Prepared,
    prepare,
    with_limit,
)
from sealtune.testing.bench.report import BenchReport
from sealtune.testing.bench.settings import PeerSetting, Trial, fastest_setting
from sealtune.training.recipe import Precision

CHECKPOINT_EVERY: Final = 2  # optimizer steps; far more often than anybody would
_TRIAL_WARMUP: Final = 1
_TRIAL_STEPS: Final = 2
_SPARE_RUNS: Final = 1
OnProgress = Callable[[str, int, int], None]  # what, done, in all


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runner:
    """One side: how it is run; `tokens_per_step` is None where the run itself tells."""

    name: str
    program: str
    job: Job
    tokens_per_step: tuple[int, ...] | None
    memory_limit: int = 0


def bench_train(options: BenchOptions, *, on_progress: OnProgress) -> BenchReport:
    """Measure as `options` say.

    Raises:
        ConfigError, StorageError: as `prepare`; or a comparison that makes no sense.
        TrainingError: `BENCH_FAILED`: a run stopped.
    """
    _check(options)
    with run_folder(options.work_dir) as folder, contextlib.ExitStack() as stack:
        prepared = prepare(
            options,
            folder,
            precision=Precision.BF16,
            progress=lambda done, total: on_progress("weights", done, total),
        )
        parties = None
        if options.sealed:
            on_progress("sealing", 0, 0)
            parties = stack.enter_context(_parties(prepared, folder))
        ours = _ours(options, prepared, parties)
        peer, trials = _peer(options, prepared, parties, folder, on_progress)
        pairs, singles, gemms = _measure(options, prepared, ours, peer, folder, on_progress)
        return _report(options, prepared, peer, trials, pairs, singles, gemms)


@contextlib.contextmanager
def run_folder(work_dir: Path) -> Iterator[Path]:
    """Yield a new folder in `work_dir`; it stays only where a run failed, for its log."""
    folder = work_dir / f"run-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        # Sealed models are as large as models, and of no use to whoever reads the log.
        shutil.rmtree(folder / "stage", ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _check(options: BenchOptions) -> None:
    if options.compare is Compare.PLAINTEXT and not options.sealed:
        message = "--compare plaintext compares the sealed path with it: --plain leaves nothing"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="leave --plain out")
    if options.compare is Compare.RESIDENT and not options.memory_limit:
        message = "--compare resident compares a run under a memory limit with one without"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="add --memory-limit BYTES")
    if options.peer_setting != "auto":
        PeerSetting.parse(options.peer_setting)


def _parties(prepared: Prepared, folder: Path) -> contextlib.AbstractContextManager[Parties]:
    return sealed_parties(
        folder / "stage",
        records=Path(prepared.job.records),
        model=Path(prepared.job.model),
        task=prepared.job.recipe["task"],
        labels=prepared.labels,
    )


def _ours(options: BenchOptions, prepared: Prepared, parties: Parties | None) -> _Runner:
    return _engine(options, prepared, parties, name="ours", limit=options.memory_limit)


def _engine(
    options: BenchOptions, prepared: Prepared, parties: Parties | None, *, name: str, limit: int
) -> _Runner:
    recipe = with_limit(prepared.job.recipe, limit)
    if parties is None:
        job, program = replace(prepared.job, recipe=recipe), "plain"
    else:
        recipe["checkpoint_every_steps"] = CHECKPOINT_EVERY
        agreed = parties.agree(recipe, name=name, runs=options.pairs + _SPARE_RUNS)
        job, program = replace(prepared.job, recipe=recipe, **agreed), "sealed"
    return _Runner(
        name=name,
        program=program,
        job=job,
        tokens_per_step=prepared.tokens_per_step,
        memory_limit=limit,
    )


def _peer(
    options: BenchOptions,
    prepared: Prepared,
    parties: Parties | None,
    folder: Path,
    on_progress: OnProgress,
) -> tuple[_Runner | None, tuple[Trial, ...]]:
    if options.compare is Compare.NONE:
        return None, ()
    if options.compare is Compare.PLAINTEXT:
        return _engine(options, prepared, None, name="plaintext", limit=options.memory_limit), ()
    if options.compare is Compare.RESIDENT:
        return _engine(options, prepared, parties, name="resident", limit=0), ()
    setting, trials = _setting(options, prepared, folder, on_progress)
    job = replace(prepared.job, peer=setting.text)
    return _Runner(name="hf-peft", program="peer", job=job, tokens_per_step=None), trials


def _setting(
    options: BenchOptions, prepared: Prepared, folder: Path, on_progress: OnProgress
) -> tuple[PeerSetting, tuple[Trial, ...]]:
    if options.peer_setting != "auto":
        return PeerSetting.parse(options.peer_setting), ()
    job = replace(prepared.job, steps=min(_TRIAL_WARMUP + _TRIAL_STEPS, prepared.job.steps))

    def rate(setting: PeerSetting) -> float:
        on_progress(f"peer: {setting.text}", 0, 0)
        runner = _Runner(
            name="trial",
            program="peer",
            job=replace(job, peer=setting.text),
            tokens_per_step=None,
        )
        place = folder / "trials" / setting.text.replace("/", "-")
        return _run(runner, place, warmup=_TRIAL_WARMUP).tokens_per_second

    return fastest_setting(
        rate, records_per_step=prepared.job.records_per_step, varies=prepared.data.varies
    )


def _measure(
    options: BenchOptions,
    prepared: Prepared,
    ours: _Runner,
    peer: _Runner | None,
    folder: Path,
    on_progress: OnProgress,
) -> tuple[list[Pair], list[RunFigures], list[float]]:
    pairs: list[Pair] = []
    singles: list[RunFigures] = []
    gemms: list[float] = []
    for number in range(options.pairs):
        on_progress("pairs", number, options.pairs)
        place = folder / f"pair-{number}"
        gemm, _ = run_child("gemm", prepared.job, folder=place / "gemm")
        gemms.append(gemm["flops_per_second"])
        if peer is None:
            singles.append(_run(ours, place / "ours", warmup=WARMUP_STEPS))
            continue
        order = (peer, ours) if number % 2 == 0 else (ours, peer)
        found = {
            runner.name: _run(runner, place / runner.name, warmup=WARMUP_STEPS) for runner in order
        }
        pairs.append(Pair(ours=found[ours.name], peer=found[peer.name]))
        singles.append(found[ours.name])
    return pairs, singles, gemms


def _run(runner: _Runner, folder: Path, *, warmup: int) -> RunFigures:
    with memory_cap(runner.memory_limit) as cap:
        job = replace(runner.job, cgroup=cap.cgroup, data_limit=cap.data_limit)
        result, start = run_child(runner.program, job, folder=folder)
    per_step: Sequence[int] = runner.tokens_per_step or result["tokens_per_step"]
    if "tokens" in result and result["tokens"] != sum(per_step):
        message = f"{runner.name} trained on {result['tokens']} tokens, not {sum(per_step)}"
        raise TrainingError(Code.BENCH_FAILED, message)
    tokens, seconds = steady(result["stamps"], per_step, warmup=warmup)
    return RunFigures(
        tokens=tokens,
        seconds=seconds,
        peak_memory_bytes=result["peak"],
        time_to_first_step_seconds=result["stamps"][0] - start,
        padding=_padding(result),
    )


def _padding(result: dict[str, Any]) -> float:
    positions = sum(result.get("positions_per_step", ()))
    return 1.0 - sum(result["tokens_per_step"]) / positions if positions else 0.0


def _report(
    options: BenchOptions,
    prepared: Prepared,
    peer: _Runner | None,
    trials: tuple[Trial, ...],
    pairs: list[Pair],
    singles: list[RunFigures],
    gemms: list[float],
) -> BenchReport:
    ours = side(singles)
    theirs = side([pair.peer for pair in pairs]) if pairs else None
    spread = ratios(pairs) if pairs else None
    gemm = statistics.median(gemms)
    return BenchReport(
        model=options.model,
        data=options.data,
        compare=options.compare.value,
        sealed=options.sealed,
        insecure_simulated=options.sealed,
        tokens_per_second=ours.tokens_per_second,
        peer_tokens_per_second=theirs.tokens_per_second if theirs else None,
        ratio=spread.median if spread else None,
        ratio_min=spread.least if spread else None,
        ratio_max=spread.most if spread else None,
        peak_memory_bytes=ours.peak_memory_bytes,
        peer_peak_memory_bytes=theirs.peak_memory_bytes if theirs else None,
        peer_setting=_setting_name(peer),
        peer_trials=trials,
        peer_padding=theirs.padding if theirs else None,
        time_to_first_step_seconds=ours.time_to_first_step_seconds,
        peer_time_to_first_step_seconds=theirs.time_to_first_step_seconds if theirs else None,
        pairs=options.pairs,
        steps=prepared.job.steps - WARMUP_STEPS,
        gemm_flops_per_second=gemm,
        gemm_share=prepared.flop_per_token * ours.tokens_per_second / gemm,
        settings=_settings(options, prepared),
        machine=describe_machine(),
        runs=tuple(pairs) or tuple(singles),
    )


def _setting_name(peer: _Runner | None) -> str | None:
    if peer is None:
        return None
    return peer.job.peer or {"plaintext": "sealtune in plaintext"}.get(
        peer.name, "sealtune without a memory limit"
    )


def _settings(options: BenchOptions, prepared: Prepared) -> dict[str, Any]:
    recipe = dict(prepared.job.recipe)
    return {
        "recipe": recipe,
        "records_per_step": prepared.job.records_per_step,
        "warmup_steps": WARMUP_STEPS,
        "checkpoint_every_steps": CHECKPOINT_EVERY if options.sealed else 0,
        "memory_limit": options.memory_limit,
        "threads": options.threads,
        "flop_per_token": prepared.flop_per_token,
        "supervised_share": prepared.supervised_share,
        "mean_length": statistics.mean(prepared.lengths),
        "median_length": statistics.median(prepared.lengths),
    }
