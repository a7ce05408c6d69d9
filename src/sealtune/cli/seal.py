"""`sealtune seal`: records and models into SealedBundles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

_TASKS = ("causal-lm", "text-classification", "token-classification", "image-classification")
_FIELDS = {
    "text": "Field with the text.",
    "label": "Field with the class.",
    "messages": "Field with a chat.",
    "prompt": "Field with a prompt.",
    "completion": "Field with what completes the prompt.",
    "tokens": "Field with a list of words.",
    "tags": "Field with a class for each word.",
    "image": "Field with an image, a JPEG or PNG file in base64.",
}


def _field_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for the name of each field; the contract's recipe names the same."""
    for name, text in reversed(_FIELDS.items()):
        option = click.option(f"--{name}-field", default=name, metavar="NAME", help=text)
        command = option(command)
    return command


@click.group("seal", cls=Group)
def seal() -> None:
    """Encrypt data or a model into one file."""


@seal.command(
    "data",
    examples=[
        "sealtune seal data notes.jsonl -o notes.sealed --owner hospital.key \\\n"
        "    --to hospital-broker.pub --task text-classification --labels cardiology,neurology",
        "sealtune seal data ./xrays -o xrays.sealed --owner hospital.key \\\n"
        "    --to hospital-broker.pub --task image-classification --split train",
    ],
)
@click.argument("path", type=PATH)
@output_option("The sealed file")
@owner_option
@recipients_option
@click.option("--task", type=click.Choice(_TASKS), help="Check that each record fits this task.")
@click.option("--labels", metavar="A,B,C", help="The classes in order; else collected and sorted.")
@click.option("--split", metavar="NAME", help="The split of a folder that has several.")
@click.option(
    "--deidentification",
    "report",
    type=PATH,
    metavar="REPORT",
    help="Your signed de-identification report on these records; the sealed file names it.",
)
@_field_options
@passphrase_file_option
def data(
    path: Path,
    output: Path,
    owner: Path,
    recipients: tuple[Path, ...],
    task: str | None,
    labels: str | None,
    split: str | None,
    report: Path | None,
    passphrase_file: Path | None,
    **fields: str,
) -> None:
    """Seal records: JSON Lines, CSV, Parquet, a dataset or an image folder.

    A folder holds such files by split, or what save_to_disk of Hugging Face's datasets wrote, or
    JPEG and PNG images: in a folder for each class, or named in a metadata.csv or metadata.jsonl.

    The owner can always open what it sealed; --to names who else can. Nothing is left behind if a
    record is refused or the disk is full.
    """
    identity = load_key(owner, passphrase_file)
    binding = sealtune.bind_report_file(report, owner=identity.public.signing) if report else None
    with bytes_progress("sealing records") as progress:
        summary = sealtune.seal_data(
            path,
            output,
            owner=identity,
            recipients=load_recipients(recipients),
            task=sealtune.Task(task) if task else None,
            labels=labels.split(",") if labels is not None else None,
            fields=sealtune.RecordFields(**{name: fields[f"{name}_field"] for name in _FIELDS}),
            split=split,
            deidentification=binding,
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
            *([("report", summary.deidentification)] if summary.deidentification else []),
            *([("labels", ", ".join(summary.labels))] if summary.labels else []),
            *(("note", note) for note in summary.notes),
        ]
    )
    yield hint(f'name it in the contract draft: file = "{summary.path.name}"')
