"""`sealtune seal`: records and models into SealedBundles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.output import count, done, emit, hint, rows, size
from sealtune.cli.parameters import (
    PATH,
    load_recipients,
    output_option,
    owner_option,
    passphrase_file_option,
    recipients_option,
)
from sealtune.cli.passphrases import load_key
from sealtune.cli.progress import bytes_progress

if TYPE_CHECKING:
    from sealtune import SealSummary

_TASKS = ("causal-lm", "text-classification")


@click.group("seal", cls=Group)
def seal() -> None:
    """Encrypt data or a model into one file."""


@seal.command(
    "data",
    examples=[
        "sealtune seal data notes.jsonl -o notes.sealed --owner hospital.key \\\n"
        "    --to hospital-broker.pub --task text-classification --labels cardiology,neurology"
    ],
)
@click.argument("path", type=PATH)
@output_option("The sealed file")
@owner_option
@recipients_option
@click.option("--task", type=click.Choice(_TASKS), help="Check that each record fits this task.")
@click.option("--labels", metavar="A,B,C", help="The classes in order; else collected and sorted.")
@click.option("--text-field", default="text", metavar="NAME", help="Field with the text.")
@click.option("--label-field", default="label", metavar="NAME", help="Field with the class.")
@click.option("--messages-field", default="messages", metavar="NAME", help="Field with a chat.")
@passphrase_file_option
def data(
    path: Path,
    output: Path,
    owner: Path,
    recipients: tuple[Path, ...],
    task: str | None,
    labels: str | None,
    text_field: str,
    label_field: str,
    messages_field: str,
    passphrase_file: Path | None,
) -> None:
    """Seal records: JSON Lines, CSV or Parquet.

    The owner can always open what it sealed; --to names who else can. Nothing is left behind if a
    record is refused or the disk is full.
    """
    identity = load_key(owner, passphrase_file)
    with bytes_progress("sealing records") as progress:
        summary = sealtune.seal_data(
            path,
            output,
            owner=identity,
            recipients=load_recipients(recipients),
            task=sealtune.Task(task) if task else None,
            labels=labels.split(",") if labels is not None else None,
            fields=sealtune.RecordFields(
                text=text_field, label=label_field, messages=messages_field
            ),
            progress=progress,
        )
    emit(summary, _lines)


@seal.command(
    "model",
    examples=[
        "sealtune seal model ./encoder -o encoder.sealed --owner modelworks.key \\\n"
        "    --to modelworks-broker.pub"
    ],
)
@click.argument("folder", metavar="DIR", type=PATH)
@output_option("The sealed file")
@owner_option
@recipients_option
@passphrase_file_option
def model(
    folder: Path,
    output: Path,
    owner: Path,
    recipients: tuple[Path, ...],
    passphrase_file: Path | None,
) -> None:
    """Seal a Hugging Face model folder with safetensors weights.

    Pickle files are refused, and so is a tensor with NaN or infinity.
    """
    identity = load_key(owner, passphrase_file)
    with bytes_progress("sealing weights") as progress:
        summary = sealtune.seal_model(
            folder,
            output,
            owner=identity,
            recipients=load_recipients(recipients),
            progress=progress,
        )
    emit(summary, _lines)


def _lines(summary: SealSummary) -> Iterable[str]:
    records = count(summary.records, "record", "records") + ", " if summary.records else ""
    entries = count(summary.entries, "entry", "entries")
    yield done(f"sealed {summary.path}")
    yield from rows(
        [
            ("kind", summary.kind.value),
            ("holds", f"{records}{size(summary.bytes)} in {entries}"),
            ("digest", summary.digest),
            *([("labels", ", ".join(summary.labels))] if summary.labels else []),
            *(("note", note) for note in summary.notes),
        ]
    )
    yield hint(f'name it in the contract draft: file = "{summary.path.name}"')
