"""`sealtune worker`: the worker in a confidential VM that the caller is inside of already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.output import done, emit, hint, rows
from sealtune.cli.parameters import job_parameters, unique
from sealtune.cli.progress import RunProgress
from sealtune.core.clock import SystemClock

if TYPE_CHECKING:
    from sealtune import RunOutcome


@click.group("worker", cls=Group)
def worker() -> None:
    """Work inside a confidential VM or enclave that you are in already."""


@worker.command(
    "run",
    examples=[
        "sealtune worker run contract.json -o run \\\n"
        "    --input notes=notes.sealed --input encoder=encoder.sealed \\\n"
        "    --broker hospital-broker=http://broker.hospital.example:8701 \\\n"
        "    --broker modelworks-broker=http://broker.modelworks.example:8701"
    ],
)
@job_parameters
@click.option(
    "--tee",
    default="auto",
    metavar="NAME",
    help="sev-snp, tdx, azure, tpm-vm, or auto; with +nvidia-gpu, its GPUs too.",
)
@click.option(
    "--timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="Stop it after this time."
)
def run(
    contract: Path,
    inputs: Sequence[tuple[str, str]],
    brokers: Sequence[tuple[str, str]],
    output: Path,
    tee: str,
    timeout: float | None,
) -> None:
    """Run a contract in the confidential VM that this machine is.

    For a VM of a cloud provider, in which you install sealtune yourself. Its evidence says which
    firmware the provider started; it does not say which worker runs. The how-to "Run in a cloud VM"
    tells what is measured there and by whom: read it before you accept such a VM in a contract.
    """
    spec = sealtune.LaunchSpec(
        contract=contract,
        inputs={name: Path(place) for name, place in unique(inputs, option="--input").items()},
        brokers=unique(brokers, option="--broker"),
        output=output,
        tee=sealtune.Tee.HERE,
        attester=tee,
        sandbox=sealtune.Sandbox.OFF,
        timeout_seconds=timeout,
    )
    with RunProgress(simulated=False) as progress:
        outcome = sealtune.run_contract(spec, clock=SystemClock(), on_event=progress)
    emit(outcome, _lines)


def _lines(outcome: RunOutcome) -> Iterator[str]:
    yield done("the run is finished; its result is sealed to the recipients")
    reported = "every broker has it" if outcome.reported else "NOT every broker has it yet"
    phases = [f"{name} {seconds:.1f} s" for name, seconds in outcome.seconds_by_phase.items()]
    yield from rows(
        [
            ("result", str(outcome.result)),
            ("receipt", f"{outcome.receipt}  ({reported})"),
            ("contract", outcome.contract),
            ("run", outcome.run_id),
            ("phases", ", ".join(phases)),
        ]
    )
    if not outcome.reported:
        yield hint("give the same command again to report the receipt to the other brokers")
