"""`sealtune open`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import done, emit, rows, size
from sealtune.cli.parameters import PATH, output_option, passphrase_file_option
from sealtune.cli.passphrases import load_key
from sealtune.cli.places import about
from sealtune.cli.progress import waiting

if TYPE_CHECKING:
    from sealtune import OpenSummary


@click.command(
    "open",
    cls=Command,
    examples=["sealtune open run/result.sealed -o adapter --key clinic.key"],
)
@click.argument("file", type=PATH)
@output_option("The new folder")
@click.option("--key", type=PATH, required=True, help="The recipient's .key file.")
@passphrase_file_option
def open_(file: Path, output: Path, key: Path, passphrase_file: Path | None) -> None:
    """Decrypt a sealed file into a new folder.

    The folder appears only when every byte has been verified.
    """
    recipient = load_key(key, passphrase_file)
    with about(file), waiting("opening"):
        summary = sealtune.open_to_folder(file, output, recipient=recipient)
    emit(summary, _lines)


def _lines(summary: OpenSummary) -> Iterable[str]:
    yield done(f"opened {summary.kind.value} into {summary.folder}")
    yield from rows(
        [
            ("holds", _holds(summary)),
            ("files", "\n".join(summary.files)),
            ("digest", summary.digest),
            ("owner", summary.owner.text),
        ]
    )


def _holds(summary: OpenSummary) -> str:
    counts = {"records": summary.records, "tensors": summary.tensors}
    parts = [f"{count:,} {name}" for name, count in counts.items() if count]
    return ", ".join([*parts, size(summary.bytes)])
