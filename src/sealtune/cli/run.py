"""`sealtune run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import done, emit, hint, insecure, rows
from sealtune.cli.parameters import PATH, Size, job_parameters, unique
from sealtune.cli.progress import RunProgress
from sealtune.cli.run_sgx import sgx_launch
from sealtune.cli.run_vm import QuoteService, VmOptions, vm_launch
from sealtune.core.clock import SystemClock

if TYPE_CHECKING:
    from sealtune import RunOutcome, SgxLaunch, Tee, VmLaunch


@click.command(
    "run",
    cls=Command,
    examples=[
        "sealtune run contract.json -o run \\\n"
        "    --input notes=notes.sealed --input encoder=encoder.sealed \\\n"
        "    --broker hospital-broker=http://127.0.0.1:8701 \\\n"
        "    --broker modelworks-broker=http://127.0.0.1:8702 \\\n"
        "    --tee simulated --tee-files tee",
        "sealtune run contract.json -o run --input notes=notes.sealed \\\n"
        "    --broker hospital-broker=http://127.0.0.1:8701 --tee auto --image image",
    ],
)
@job_parameters
@click.option(
    "--tee",
    type=click.Choice(["auto", "sev-snp", "tdx", "sgx", "vm", "simulated"]),
    required=True,
    help="Where it runs; auto is the strongest that the contract accepts and this host has.",
)
@click.option("--tee-files", type=PATH, metavar="DIR", help="A simulated TEE's folder.")
@click.option("--image", type=PATH, metavar="DIR", help="The enclave image, unless simulated.")
@click.option("--vcpu-type", metavar="MODEL", help="SEV-SNP: the processor's model, as measured.")
@click.option(
    "--quotes",
    type=QuoteService(),
    help="TDX: the host's quote service, unix:PATH or vsock:CID:PORT.",
)
@click.option(
    "--tpm",
    type=PATH,
    metavar="DIR",
    help="vm: its TPM, made if it is new; left out, one in the run's folder.",
)
@click.option(
    "--firmware", type=PATH, metavar="FILE", help="The VM's OVMF; left out, the installed one."
)
@click.option(
    "--variables",
    type=PATH,
    metavar="FILE",
    help="vm: the empty store of variables of --firmware, if it is not beside it.",
)
@click.option(
    "--memory", type=click.IntRange(512), default=4096, metavar="MIB", help="The VM's memory."
)
@click.option(
    "--output-size",
    type=click.IntRange(1),
    default=4096,
    metavar="MIB",
    help="The VM's output disk, which takes room only as it is used; a new run may enlarge it.",
)
@click.option(
    "--processors",
    type=click.IntRange(1, 512),
    default=1,
    help="The VM's processors; measured for SEV-SNP.",
)
@click.option(
    "--acpi/--no-acpi",
    default=True,
    help="SEV-SNP: let the guest take ACPI tables, which are not measured, from the host.",
)
@click.option(
    "--sandbox",
    type=click.Choice(["auto", "require", "off"]),
    default="auto",
    help="Confine the worker with bubblewrap: where it works, always, or never.",
)
@click.option(
    "--memory-limit",
    type=Size(),
    metavar="SIZE",
    help="A hard limit on the worker's memory, as 1536M or 1.5G; for --tee simulated.",
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
    tee_files: Path | None,
    image: Path | None,
    sandbox: str,
    memory_limit: int | None,
    timeout: float | None,
    **vm: Any,
) -> None:
    """Run a contract in an enclave, or resume its run.

    Needs no secret: the worker fetches the keys by itself. A run that was stopped goes on from its
    last sealed training checkpoint when the same command is given again.
    """
    chosen = _chosen(tee, contract)
    options = VmOptions(**vm)
    if tee_files is not None and chosen is not sealtune.Tee.SIMULATED:
        raise click.UsageError("--tee-files is for --tee simulated")
    if chosen is sealtune.Tee.SIMULATED and (image is not None or options.given):
        raise click.UsageError("--image and what describes a VM are not for --tee simulated")
    if memory_limit is not None and chosen is not sealtune.Tee.SIMULATED:
        raise click.UsageError("--memory-limit is for --tee simulated: a VM has --memory")
    spec = sealtune.LaunchSpec(
        contract=contract,
        inputs={name: Path(place) for name, place in unique(inputs, option="--input").items()},
        brokers=unique(brokers, option="--broker"),
        output=output,
        tee=chosen,
        tee_files=tee_files,
        vm=_vm(chosen, image, run=output, options=options),
        sgx=_sgx(chosen, image, options=options),
        sandbox=sealtune.Sandbox(sandbox),
        timeout_seconds=timeout,
        memory_limit=memory_limit,
    )
    with RunProgress(simulated=spec.tee is sealtune.Tee.SIMULATED) as progress:
        outcome = sealtune.run_contract(spec, clock=SystemClock(), on_event=progress)
    emit(outcome, _lines)


def _vm(tee: Tee, image: Path | None, *, run: Path, options: VmOptions) -> VmLaunch | None:
    if image is None or tee is sealtune.Tee.SGX:
        return None
    return vm_launch(tee, image, run=run, options=options)


def _sgx(tee: Tee, image: Path | None, *, options: VmOptions) -> SgxLaunch | None:
    if image is None or tee is not sealtune.Tee.SGX:
        return None
    return sgx_launch(image, options=options)


def _chosen(name: str, contract: Path) -> Tee:
    if name != "auto":
        return sealtune.Tee(name)
    from sealtune.tee.doctor.machine import LiveMachine

    enclaves = sealtune.read_contract_file(contract).contract.enclaves
    real = {entry.kind for entry in enclaves if not entry.insecure_accept_simulated}
    chosen = sealtune.choose_tee(real, machine=LiveMachine())
    click.echo(hint(f"--tee auto takes {chosen}"), err=True)
    return chosen


def _lines(outcome: RunOutcome) -> Iterator[str]:
    if outcome.insecure:
        yield insecure("simulated enclave: this run was protected from nobody")
    if outcome.tee is sealtune.Tee.VM:
        yield insecure("measured VM: what ran is proved, its memory was NOT protected from you")
    yield done("the run is finished; its result is sealed to the recipients")
    phases = [f"{name} {seconds:.1f} s" for name, seconds in outcome.seconds_by_phase.items()]
    reported = "every broker has it" if outcome.reported else "NOT every broker has it yet"
    yield from rows(
        [
            ("result", str(outcome.result)),
            ("receipt", f"{outcome.receipt}  ({reported})"),
            ("contract", outcome.contract),
            ("run", outcome.run_id),
            ("TEE", outcome.tee),
            ("confined", _confinement(outcome)),
            *([("memory", f"at most {outcome.memory_cap}")] if outcome.memory_cap else []),
            ("phases", ", ".join(phases)),
        ]
    )
    if not outcome.reported:
        yield hint("give the same command again to report the receipt to the other brokers")
    yield hint(f"a recipient opens it: sealtune open {outcome.result} -o adapter --key KEY")


def _confinement(outcome: RunOutcome) -> str:
    if outcome.tee is sealtune.Tee.SGX:
        return "an SGX enclave of its own"
    if outcome.tee is not sealtune.Tee.SIMULATED:
        return "a virtual machine of its own"
    return "bubblewrap" if outcome.sandboxed else "none: the worker was not confined"
