"""`sealtune plan`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import emit, hint, rows, size, table
from sealtune.cli.parameters import PATH, Named, Size, passphrase_file_option, unique
from sealtune.cli.passphrases import load_key
from sealtune.cli.progress import waiting

if TYPE_CHECKING:
    from sealtune import JobPlan


@click.command(
    "plan",
    cls=Command,
    examples=[
        "sealtune plan contract.json --input notes=notes.sealed --input encoder=encoder.sealed",
        "sealtune plan contract.json --input notes=notes.sealed --input encoder=encoder.sealed \\\n"
        "    --key modelworks.key --memory-limit 1.5G",
    ],
)
@click.argument("contract", type=PATH)
@click.option(
    "--input",
    "inputs",
    type=Named(),
    multiple=True,
    metavar="NAME=FILE",
    help="Where an input of the contract is.",
)
@click.option(
    "--memory-limit",
    type=Size(),
    metavar="SIZE",
    help="What the enclave has, as 512M or 1.5G; the recipe's own limit counts beside it.",
)
@click.option(
    "--key",
    "keys",
    type=PATH,
    multiple=True,
    help="A .key file that opens the model, or the records too. Give it once for each.",
)
@passphrase_file_option
@click.option(
    "--scratch/--no-scratch",
    default=True,
    help="Whether the enclave has a disk for activations, which it encrypts.",
)
def plan(
    contract: Path,
    inputs: Sequence[tuple[str, str]],
    memory_limit: int | None,
    keys: Sequence[Path],
    passphrase_file: Path | None,
    scratch: bool,
) -> None:
    """Show how much memory a contract's run takes, and how it is computed.

    Without a key it estimates from the sizes of the sealed files, on the safe side. With the key of
    the model's owner it shows the plan that the worker will make: the parts of the predicted peak,
    what is chosen and why. It refuses, with figures, what does not fit.
    """
    identities = [load_key(key, passphrase_file) for key in keys]
    places = {name: Path(place) for name, place in unique(inputs, option="--input").items()}
    with waiting("planning"):
        found = sealtune.plan_job(
            sealtune.read_contract_file(contract).contract,
            places,
            keys=identities,
            memory_limit=memory_limit or 0,
            has_scratch=scratch,
        )
    emit(found, _lines)


def _lines(found: JobPlan) -> Iterator[str]:
    body = [(name, size(part)) for name, part in _by_size(found.predicted_parts)]
    yield from table(("memory", ""), [*body, ("together", size(found.predicted_peak_bytes))])
    yield ""
    limit = size(found.memory_limit_bytes) if found.memory_limit_bytes else "none given"
    chosen = [(name.replace("_", " "), _word(value)) for name, value in found.choices.items()]
    yield from rows([("known", found.known.value), ("limit", limit), *chosen])
    yield ""
    for reason in found.reasons:
        yield hint(reason)


def _by_size(parts: Any) -> list[tuple[str, int]]:
    return sorted(parts.items(), key=lambda part: part[1], reverse=True)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
