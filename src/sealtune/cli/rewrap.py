"""`sealtune rewrap`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import done, emit, rows
from sealtune.cli.parameters import (
    PATH,
    load_recipients,
    output_option,
    owner_option,
    passphrase_file_option,
    recipients_option,
)
from sealtune.cli.passphrases import load_key
from sealtune.cli.places import about
from sealtune.cli.progress import waiting


@click.command(
    "rewrap",
    cls=Command,
    examples=[
        "sealtune rewrap notes.sealed -o notes-2.sealed --owner hospital.key --to new-broker.pub"
    ],
)
@click.argument("file", type=PATH)
@output_option("The copy")
@owner_option
@recipients_option
@passphrase_file_option
def rewrap(
    file: Path,
    output: Path,
    owner: Path,
    recipients: tuple[Path, ...],
    passphrase_file: Path | None,
) -> None:
    """Copy a sealed file for other recipients, without encrypting it again.

    The digest stays, so contracts that name it still do. It revokes nobody: whoever could open the
    file before may have kept its key.
    """
    identity = load_key(owner, passphrase_file)
    to = load_recipients(recipients)
    with about(file), waiting("copying"):
        header = sealtune.rewrap(file, output, owner=identity, recipients=to)
    names = [identity.name, *(recipient.name for recipient in to)]
    made = {"path": output, "digest": header.digest, "kind": header.kind, "recipients": names}
    emit(made, _lines)


def _lines(made: dict[str, Any]) -> Iterable[str]:
    yield done(f"rewrapped to {made['path']}")
    yield from rows(
        [("digest", f"{made['digest']}  (unchanged)"), ("opens for", ", ".join(made["recipients"]))]
    )
