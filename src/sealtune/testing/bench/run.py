"""One measurement: ours and its peer in alternation, each run a process of its own.

Peer, ours; ours, peer; and so on, so that a machine that slows down does so for both. The clock
runs from the end of the warm-up's last optimizer step to the end of the last one; loading and
tokenizing are before that. Before each pair the machine's large matrix products are timed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sealtune.errors import Code, ConfigError
from sealtune.testing.bench.children import run_child
from sealtune.testing.bench.figures import Pair, RunFigures, medians, ratios
from sealtune.testing.bench.machine import describe_machine
from sealtune.testing.bench.parties import Parties, sealed_parties
from sealtune.testing.bench.prepare import BenchOptions, Compare, Prepared, prepare
from sealtune.testing.bench.report import BenchReport
from sealtune.testing.bench.settings import AUTO, PeerSetting, Trial, fastest_setting
from sealtune.testing.bench.sides import CHECKPOINT_EVERY, Side
from sealtune.training.recipe import Precision

WARMUP_STEPS: Final = 2
_TRIAL_WARMUP: Final = 1
_TRIAL_STEPS: Final = 3  # the warm-up among them
OnProgress = Callable[[str, int, int], None]  # what, done, in all (0: not counted)


def bench_train(options: BenchOptions, *, on_progress: OnProgress) -> BenchReport:
    """Measure as `options` say.

    Raises:
        ConfigError: an unknown model, data or setting, or a comparison that makes no sense.
        StorageError: the medical abstracts are missing, or the disk refuses.
        TrainingError: `BENCH_FAILED`: a run stopped.
    """
    _check(options)
    with run_folder(options.work_dir) as folder, contextlib.ExitStack() as stack:
        prepared = prepare(
            options,
            folder,
            precision=Precision.BF16,
            warmup=WARMUP_STEPS,
            progress=lambda done, total: on_progress("weights", done, total),
        )
        parties = None
        if options.sealed:
            on_progress("sealing", 0, 0)
            parties = stack.enter_context(_parties(prepared, folder))
        bench = _Bench(
            options=options,
            prepared=prepared,
            parties=parties,
            folder=folder,
            on_progress=on_progress,
        )
        ours = bench.engine("ours", memory_limit=options.memory_limit)
        peer, trials = bench.peer()
        return bench.report(bench.measure(ours, peer), peer=peer, trials=trials)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """All runs: ours alone too, for there may be no peer."""

    pairs: tuple[Pair, ...]
    ours: tuple[RunFigures, ...]
    gemm_flops_per_second: float
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What all steps of a measurement share."""

    options: BenchOptions
    prepared: Prepared
    parties: Parties | None
    folder: Path
    on_progress: OnProgress

    def engine(self, name: str, *, memory_limit: int) -> Side:
        """Return the engine as it is to be run, sealed or in plaintext."""
        if self.parties is None:
            return Side.plain(self.prepared, name=name, memory_limit=memory_limit)
        return Side.sealed(
            self.prepared,
            self.parties,
            name=name,
            memory_limit=memory_limit,
            runs=self.options.pairs,
        )

    def peer(self) -> tuple[Side | None, tuple[Trial, ...]]:
        """Return what ours is compared with, and the settings that were tried for it."""
        limit = self.options.memory_limit
        if self.options.compare is Compare.PLAINTEXT:
            return Side.plain(self.prepared, name="plaintext", memory_limit=limit), ()
        if self.options.compare is Compare.RESIDENT:
            side = self.engine("resident", memory_limit=0)
            return replace(side, label=f"{side.label}, no memory limit"), ()
        if self.options.compare is Compare.NONE:
            return None, ()
        setting, trials = self._setting()
        return Side.peer(self.prepared, setting, steps=self.prepared.job.steps), trials

    def measure(self, ours: Side, peer: Side | None) -> _Measured:
        """Run all pairs."""
        pairs, singles, gemms, threads = [], [], [], 0
        for number in range(self.options.pairs):
            self.on_progress("pairs", number, self.options.pairs)
            place = self.folder / f"pair-{number}"
            gemm, _ = run_child("gemm", self.prepared.job, folder=place / "gemm")
            gemms.append(gemm["flops_per_second"])
            threads = gemm["threads"]
            sides = [side for side in (peer, ours) if side is not None]
            if number % 2:
                sides.reverse()
            found = {side.name: side.run(place / side.name, warmup=WARMUP_STEPS) for side in sides}
            singles.append(found[ours.name])
            if peer is not None:
                pairs.append(Pair(ours=found[ours.name], peer=found[peer.name]))
        return _Measured(
            pairs=tuple(pairs),
            ours=tuple(singles),
            gemm_flops_per_second=statistics.median(gemms),
            threads=threads,
        )

    def report(
        self, measured: _Measured, *, peer: Side | None, trials: tuple[Trial, ...]
    ) -> BenchReport:
        """Return what it all comes to."""
        ours = medians(measured.ours)
        theirs = medians([pair.peer for pair in measured.pairs]) if measured.pairs else None
        spread = ratios(measured.pairs) if measured.pairs else None
        needed = self.prepared.flop_per_token * ours.tokens_per_second
        return BenchReport(
            model=self.options.model,
            data=self.options.data,
            compare=self.options.compare.value,
            sealed=self.options.sealed,
            insecure_simulated=self.options.sealed,
            tokens_per_second=ours.tokens_per_second,
            peer_tokens_per_second=theirs.tokens_per_second if theirs else None,
            ratio=spread.median if spread else None,
            ratio_min=spread.least if spread else None,
            ratio_max=spread.most if spread else None,
            peak_memory_bytes=ours.peak_memory_bytes,
            peer_peak_memory_bytes=theirs.peak_memory_bytes if theirs else None,
            peer_setting=peer.label if peer else None,
            peer_trials=trials,
            peer_padding=theirs.padding if theirs else None,
            time_to_first_step_seconds=ours.time_to_first_step_seconds,
            peer_time_to_first_step_seconds=theirs.time_to_first_step_seconds if theirs else None,
            pairs=self.options.pairs,
            steps=self.prepared.job.steps - WARMUP_STEPS,
            gemm_flops_per_second=measured.gemm_flops_per_second,
            gemm_share=needed / measured.gemm_flops_per_second,
            settings=self._settings(measured),
            machine=describe_machine(),
            runs=measured.pairs or measured.ours,
        )

    def _setting(self) -> tuple[PeerSetting, tuple[Trial, ...]]:
        per_step = self.prepared.job.records_per_step
        if self.options.peer_setting != AUTO:
            return PeerSetting.parse(self.options.peer_setting).fill(per_step), ()
        steps = min(_TRIAL_STEPS, self.prepared.job.steps)

        def rate(setting: PeerSetting) -> float:
            self.on_progress(f"peer: {setting.text}", 0, 0)
            place = self.folder / "trials" / setting.text.replace("/", "-")
            trial = Side.peer(self.prepared, setting, steps=steps)
            return trial.run(place, warmup=_TRIAL_WARMUP).tokens_per_second

        return fastest_setting(rate, records_per_step=per_step, varies=self.prepared.data.varies)

    def _settings(self, measured: _Measured) -> dict[str, Any]:
        prepared = self.prepared
        return {
            "recipe": prepared.job.recipe,
            "records_per_step": prepared.job.records_per_step,
            "warmup_steps": WARMUP_STEPS,
            "checkpoint_every_steps": CHECKPOINT_EVERY if self.options.sealed else 0,
            "memory_limit": self.options.memory_limit,
            "memory_cap": measured.ours[0].memory_cap,
            "threads": measured.threads,
            "flop_per_token": prepared.flop_per_token,
            "supervised_share": prepared.supervised_share,
            "mean_length": statistics.mean(prepared.lengths),
            "median_length": statistics.median(prepared.lengths),
        }


def _check(options: BenchOptions) -> None:
    if options.compare is Compare.PLAINTEXT and not options.sealed:
        message = "--compare plaintext compares the sealed path with it: --plain leaves nothing"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="leave --plain out")
    if options.compare is Compare.RESIDENT and not options.memory_limit:
        message = "--compare resident compares a run under a memory limit with one without"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="add --memory-limit BYTES")
    if options.peer_setting != AUTO:
        PeerSetting.parse(options.peer_setting)


def _parties(prepared: Prepared, folder: Path) -> contextlib.AbstractContextManager[Parties]:
    return sealed_parties(
        folder / "stage",
        records=Path(prepared.job.records),
        model=Path(prepared.job.model),
        task=prepared.job.recipe["task"],
        labels=prepared.labels,
    )
