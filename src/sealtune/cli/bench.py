"""`sealtune bench`: how fast the engine trains here, beside what else there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.output import emit, insecure, rows, size, table
from sealtune.cli.parameters import PATH
from sealtune.cli.progress import EventProgress

if TYPE_CHECKING:
    from sealtune import BenchReport, LossReport

_COMPARISONS: Final = ("hf-peft", "plaintext", "resident", "none")
_LOSS: Final = "loss"
_LOSS_DATA, _LOSS_STEPS, _LOSS_RECORDS = "fixed:128", 200, 4
_SIMULATED: Final = "the enclave of the sealed runs was simulated; a real one has costs of its own"


@click.group("bench", cls=Group)
def bench() -> None:
    """Measure on this machine."""


@bench.command(
    "train",
    examples=[
        "sealtune bench train --model smollm2-135m --data chat",
        "sealtune bench train --model qwen2.5-0.5b --data fixed:512 --compare plaintext --json",
        "sealtune bench train --model smollm2-135m --check loss",
    ],
)
@click.option(
    "--model",
    required=True,
    metavar="SHAPE",
    help="smollm2-135m, qwen2.5-0.5b, llama-3.2-1b or llama-3.1-8b (random weights of the true "
    "shape), or minilm (the real one).",
)
@click.option(
    "--data",
    metavar="DATA",
    help="fixed:N (records of N tokens), chat or medical.  [default: fixed:512]",
)
@click.option(
    "--compare",
    type=click.Choice(_COMPARISONS),
    default="hf-peft",
    help="Beside Hugging Face Trainer with PEFT in plaintext at its fastest stock setting; the "
    "engine in plaintext; the engine without the memory limit; or nothing.",
)
@click.option(
    "--sealed/--plain",
    default=True,
    help="Train through the whole sealed chain, in a simulated enclave, or in plaintext.",
)
@click.option("--pairs", type=click.IntRange(1, 100), default=5, help="How many pairs of runs.")
@click.option(
    "--steps",
    type=click.IntRange(1, 100_000),
    help="Optimizer steps that count.  [default: the data's]",
)
@click.option(
    "--records-per-step",
    type=click.IntRange(1, 65_536),
    help="Records in an optimizer step.  [default: the data's]",
)
@click.option(
    "--threads", type=click.IntRange(0, 1024), default=0, help="Of both sides; 0 takes every core."
)
@click.option(
    "--memory-limit",
    type=click.IntRange(2**20),
    metavar="BYTES",
    help="A hard limit on the engine's memory, and what its planner is told.",
)
@click.option(
    "--peer-setting",
    default="auto",
    metavar="NAME",
    help="A setting as an earlier report names it; auto tries them and takes the fastest.",
)
@click.option(
    "--work-dir",
    type=PATH,
    default=Path("bench-out"),
    help="Where models are written once, and runs for as long as they last.",
)
@click.option("--data-dir", type=PATH, metavar="DIR", help="The folder of the medical abstracts.")
@click.option(
    "--check",
    type=click.Choice([_LOSS]),
    help="Compare the loss curve with the peer's in fp32, instead of times.",
)
def train(
    model: str,
    data: str | None,
    compare: str,
    sealed: bool,
    pairs: int,
    steps: int | None,
    records_per_step: int | None,
    threads: int,
    memory_limit: int | None,
    peer_setting: str,
    work_dir: Path,
    data_dir: Path | None,
    check: str | None,
) -> None:
    """Measure a LoRA fine-tune beside its peer, in alternation.

    Each run is a process of its own; what counts are tokens that are not padding, after a warm-up.
    It needs what `pip install 'sealtune[dev]'` installs, and takes from minutes to hours.
    """
    losses = check == _LOSS
    options = sealtune.BenchOptions(
        model=model,
        data=data or (_LOSS_DATA if losses else "fixed:512"),
        compare=sealtune.Compare(compare),
        sealed=sealed,
        work_dir=work_dir,
        data_dir=data_dir,
        pairs=pairs,
        steps=steps or (_LOSS_STEPS if losses else 0),
        records_per_step=records_per_step or (_LOSS_RECORDS if losses else 0),
        threads=threads,
        memory_limit=memory_limit or 0,
        peer_setting=peer_setting,
    )
    with EventProgress() as progress:

        def show(what: str, done: int, total: int) -> None:
            if total:
                progress.count(what, done, total)
            else:
                progress.begin(what)

        if losses:
            found = sealtune.check_losses(options, on_progress=show)
        else:
            report = sealtune.bench_train(options, on_progress=show)
    if losses:
        emit(found, _loss_lines)
    else:
        emit(report, _lines)


def _lines(report: BenchReport) -> Iterator[str]:
    if report.insecure_simulated:
        yield insecure(_SIMULATED)
    header = ("", "tokens/s", "peak memory", "first step")
    ours = "sealtune, sealed" if report.sealed else "sealtune, plaintext"
    body = [
        (
            ours,
            f"{report.tokens_per_second:,.0f}",
            size(report.peak_memory_bytes),
            f"{report.time_to_first_step_seconds:.1f} s",
        )
    ]
    if report.peer_tokens_per_second is not None:
        body.append(
            (
                str(report.peer_setting),
                f"{report.peer_tokens_per_second:,.0f}",
                size(report.peer_peak_memory_bytes or 0),
                f"{report.peer_time_to_first_step_seconds or 0:.1f} s",
            )
        )
    yield from table(header, body)
    yield ""
    yield from rows(_facts(report))


def _facts(report: BenchReport) -> list[tuple[str, str]]:
    facts = [("measured", f"{report.model} on {report.data}, {report.steps} optimizer steps")]
    if report.ratio is not None:
        spread = f"({report.ratio_min:.2f} to {report.ratio_max:.2f}, {report.pairs} pairs)"
        facts.append(("ratio", f"{report.ratio:.2f} {spread}"))
    gemm = f"{report.gemm_flops_per_second / 1e12:.2f} TFLOP/s of large bf16 matrix products"
    facts.append(("of the machine", f"{report.gemm_share:.0%} of {gemm}"))
    facts.append(("processor", f"{report.machine['processor']}, {report.machine['cores']} cores"))
    return facts


def _loss_lines(report: LossReport) -> Iterator[str]:
    yield from rows(
        [
            ("measured", f"{report.model} on {report.data}, {report.steps} optimizer steps, fp32"),
            (
                "loss",
                f"{report.losses[0]:.4f} to {report.final_loss:.4f}; Trainer and PEFT "
                f"{report.peer_losses[0]:.4f} to {report.peer_final_loss:.4f}",
            ),
            ("apart at most", f"{report.largest_relative_difference:.4%}"),
            ("on average", f"{report.mean_relative_difference:.4%}"),
        ]
    )
