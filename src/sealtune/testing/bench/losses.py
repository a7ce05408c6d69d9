"""Whether the engine learns what the peer does: both loss curves in fp32, step by step.

Same weights, same records in the same order, same optimizer and schedule. Both adapters start from
the same values: the engine trains one step at a rate of nearly 0, which moves no value of A and B
by as much as fp32 can hold beside them, and exports the adapter; PEFT loads that. The engine's own
run draws the same values again, from the same seed.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from sealtune.errors import Code, TrainingError
from sealtune.testing.bench.children import run_child
from sealtune.testing.bench.data import read_records, write_records
from sealtune.testing.bench.ids import load_rows, save_rows
from sealtune.testing.bench.machine import describe_machine
from sealtune.testing.bench.prepare import BenchOptions, Prepared, prepare
from sealtune.testing.bench.report import LossReport
from sealtune.testing.bench.run import OnProgress, run_folder
from sealtune.testing.bench.settings import Arithmetic, PeerSetting
from sealtune.training.recipe import Precision

_STANDSTILL: Final = 1e-30  # the lowest rate that a recipe may have


def check_losses(options: BenchOptions, *, on_progress: OnProgress) -> LossReport:
    """Train both and compare their losses.

    Raises:
        ConfigError: as `prepare`.
        TrainingError: `BENCH_FAILED`: a run stopped, or one took other steps than the other.
    """
    with run_folder(options.work_dir) as folder:
        prepared = prepare(
            options,
            folder,
            precision=Precision.FP32,
            warmup=0,
            progress=lambda done, total: on_progress("weights", done, total),
        )
        on_progress("adapter before training", 0, 0)
        adapter = _initial_adapter(prepared, folder)
        on_progress("sealtune", 0, 0)
        ours, _ = run_child("plain", prepared.job, folder=folder / "ours")
        on_progress("Trainer and PEFT", 0, 0)
        theirs = _peer_losses(prepared, adapter, folder)
    return _compare(options, prepared, ours["losses"], theirs)


def _initial_adapter(prepared: Prepared, folder: Path) -> Path:
    first = read_records(Path(prepared.job.records))[: prepared.job.records_per_step]
    records = write_records(first, folder / "first.jsonl")
    recipe = {**prepared.job.recipe, "learning_rate": _STANDSTILL}
    job = replace(prepared.job, records=str(records.resolve()), recipe=recipe, steps=1)
    run_child("plain", job, folder=folder / "initial")
    return folder.resolve() / "initial" / "output"


def _peer_losses(prepared: Prepared, adapter: Path, folder: Path) -> list[float]:
    rows = load_rows(Path(prepared.job.encoded))
    ordered = folder.resolve() / "ordered.npz"
    save_rows([rows[index] for step in prepared.order for index in step], ordered)
    setting = PeerSetting(
        arithmetic=Arithmetic.FP32, micro=prepared.job.records_per_step, grouped=False
    )
    job = replace(prepared.job, encoded=str(ordered), peer=setting.text, adapter=str(adapter))
    result, _ = run_child("peer", job, folder=folder / "peer")
    losses: list[float] = result["losses"]
    return losses


def _compare(
    options: BenchOptions, prepared: Prepared, ours: Sequence[float], theirs: Sequence[float]
) -> LossReport:
    if len(ours) != len(theirs):
        message = f"sealtune took {len(ours)} optimizer steps, the peer {len(theirs)}"
        raise TrainingError(Code.BENCH_FAILED, message)
    apart = [abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True)]
    return LossReport(
        model=options.model,
        data=options.data,
        steps=len(ours),
        largest_relative_difference=max(apart),
        mean_relative_difference=statistics.mean(apart),
        final_loss=ours[-1],
        peer_final_loss=theirs[-1],
        losses=tuple(ours),
        peer_losses=tuple(theirs),
        settings={
            "recipe": prepared.job.recipe,
            "records_per_step": prepared.job.records_per_step,
        },
        machine=describe_machine(),
    )
