"""`sealtune key`: identities and their fingerprints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.output import done, emit, grouped_fingerprint, hint, rows
from sealtune.cli.parameters import PATH, passphrase_file_option
from sealtune.cli.passphrases import load_key, new_passphrase


@click.group("key", cls=Group)
def key() -> None:
    """Make and show identities."""


@key.command(
    "create",
    examples=[
        "sealtune key create clinic --dir keys --passphrase",
        "sealtune key create clinic-broker",
    ],
)
@click.argument("name")
@click.option("--dir", "folder", type=PATH, default=Path(), help="Where the files go.")
@click.option("--passphrase", "ask", is_flag=True, help="Ask for a passphrase on the terminal.")
@click.option(
    "--passphrase-file",
    type=PATH,
    metavar="FILE",
    help="Protect the key with the first line of FILE.",
)
def create(name: str, folder: Path, ask: bool, passphrase_file: Path | None) -> None:
    """Make an identity: NAME.key (private) and NAME.pub (public).

    It holds a recipient key, to which others seal, and a signing key. A key file is never
    overwritten. NAME has lower-case letters, digits, dots and dashes.
    """
    passphrase = new_passphrase(ask=ask, file=passphrase_file)
    public = sealtune.create_identity(name, folder=folder, passphrase=passphrase)
    made = {
        "name": public.name,
        "fingerprint": public.fingerprint,
        "private_file": folder / f"{name}.key",
        "public_file": folder / f"{name}.pub",
        "passphrase": passphrase is not None,
    }
    emit(made, _created)


@key.command("show", examples=["sealtune key show clinic.pub"])
@click.argument("file", type=PATH)
@passphrase_file_option
def show(file: Path, passphrase_file: Path | None) -> None:
    """Show an identity's fingerprint and public keys.

    FILE is a .pub file, or a .key file (which needs its passphrase).
    Two people compare the fingerprint by voice before they trust a .pub file.
    """
    if file.suffix == ".key":
        public = load_key(file, passphrase_file).public
    else:
        public = sealtune.load_public_identity(file)
    shown = {
        "name": public.name,
        "fingerprint": public.fingerprint,
        "signing_key": public.signing.text,
        "recipient_key": public.recipient.text,
        "recipient_id": public.recipient.key_id,
    }
    emit(shown, _shown)


def _created(made: dict[str, Any]) -> Iterable[str]:
    protection = "with a passphrase" if made["passphrase"] else "no passphrase"
    yield done(f"identity {made['name']}")
    yield from rows(
        [
            ("private", f"{made['private_file']}  (mode 0600, {protection}; keep it)"),
            ("public", f"{made['public_file']}  (give it to the other parties)"),
            ("fingerprint", grouped_fingerprint(made["fingerprint"])),
        ]
    )
    yield hint("read the fingerprint aloud to whoever receives the public file")


def _shown(shown: dict[str, Any]) -> Iterable[str]:
    recipient = shown["recipient_key"]
    yield shown["name"]
    yield from rows(
        [
            ("fingerprint", grouped_fingerprint(shown["fingerprint"])),
            ("recipient id", f"{shown['recipient_id']}  (as `inspect` lists it)"),
            ("signing key", shown["signing_key"]),
            ("recipient key", f"{recipient[:47]}…  ({len(recipient)} characters; --json has all)"),
        ]
    )
