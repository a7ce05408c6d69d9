"""`sealtune endorsements`: what vendors signed about hardware, kept for brokers and verifiers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.output import count, done, emit, hint, refused, rows, table
from sealtune.cli.parameters import PATH, output_option, passphrase_file_option
from sealtune.cli.passphrases import load_key
from sealtune.cli.progress import EventProgress
from sealtune.core.clock import SystemClock, format_time

if TYPE_CHECKING:
    from sealtune import (
        EndorsementListing,
        EndorsementRow,
        EndorsementsExported,
        EndorsementsFetched,
        EndorsementsImported,
    )

_TIME_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"
_cache = click.option(
    "--cache", "folder", type=PATH, required=True, metavar="DIR", help="The folder they are in."
)


@click.group("endorsements", cls=Group)
def endorsements() -> None:
    """Fetch, keep and carry what vendors signed about their hardware."""


@endorsements.command(
    "fetch",
    examples=[
        "sealtune endorsements fetch evidence.json --cache broker/endorsements",
        "sealtune endorsements fetch quote.bin --cache cache --pccs https://pccs.example:8081",
        "sealtune endorsements fetch --cache broker/endorsements",
    ],
)
@click.argument("evidence", type=PATH, nargs=-1)
@_cache
@click.option("--kds", metavar="URL", help="A mirror of AMD's service.")
@click.option(
    "--pccs",
    metavar="URL",
    multiple=True,
    help="A PCCS to ask instead of Intel's service; the next one is asked where one fails.",
)
@click.option("--rim", metavar="URL", help="A mirror of NVIDIA's RIM service.")
@click.option("--ocsp", metavar="URL", help="A mirror of NVIDIA's OCSP service.")
@click.option(
    "--thim",
    is_flag=True,
    show_default=False,
    help="Ask Azure's metadata service for this machine's certificate, from inside the VM.",
)
@click.option(
    "--tls-ca", type=PATH, metavar="FILE", help="Trust these TLS authorities (PEM) and no others."
)
@click.option(
    "--insecure-http",
    is_flag=True,
    show_default=False,
    help="Permit plain http to this machine itself.",
)
def fetch(
    evidence: tuple[Path, ...],
    folder: Path,
    kds: str | None,
    pccs: tuple[str, ...],
    rim: str | None,
    ocsp: str | None,
    thim: bool,
    tls_ca: Path | None,
    insecure_http: bool,
) -> None:
    """Fetch what EVIDENCE needs and the cache does not have for long.

    EVIDENCE is a file with evidence of any kind that `sealtune` verifies. Without one, what the
    cache holds is renewed before it ends: run that every day. Only what was asked for and signed
    by the vendor is kept.
    """
    services = sealtune.endorsement_services(kds=kds, pccs=pccs, rim=rim, ocsp=ocsp, thim=thim)
    with EventProgress() as progress:
        fetched = sealtune.fetch_endorsements(
            evidence,
            folder=folder,
            services=services,
            anchors=sealtune.vendor_anchors(),
            clock=SystemClock(),
            authorities=tls_ca,
            insecure_http=insecure_http,
            note=progress.begin,
        )
    emit(fetched, _fetched)


@endorsements.command(
    "list",
    examples=[
        "sealtune endorsements list --cache broker/endorsements",
        "sealtune endorsements list --cache broker/endorsements --at 2026-12-24T00:00:00Z",
    ],
)
@_cache
@click.option(
    "--at",
    type=click.DateTime(formats=[_TIME_FORM]),
    metavar="TIME",
    help="Say what is valid then, as 2026-01-31T09:00:00Z; now, if left out.",
)
def list_(folder: Path, at: datetime | None) -> None:
    """List what a cache holds, until when, and since when it is stale."""
    moment = SystemClock().now() if at is None else at.replace(tzinfo=UTC)
    emit(sealtune.list_endorsements(folder, at=moment), _listed)


@endorsements.command(
    "export",
    examples=["sealtune endorsements export --cache cache --key ops.key -o endorsements.json"],
)
@_cache
@click.option(
    "--key", type=PATH, required=True, metavar="KEY", help="The .key file of who vouches for it."
)
@output_option("The bundle")
@passphrase_file_option
def export(folder: Path, key: Path, output: Path, passphrase_file: Path | None) -> None:
    """Write what is valid in a cache to one signed file.

    For a broker that no network reaches: carry the file there and import it.
    """
    signing = load_key(key, passphrase_file).signing
    now = SystemClock().now()
    emit(sealtune.export_endorsements(folder, key=signing, output=output, now=now), _exported)


@endorsements.command(
    "import",
    examples=[
        "sealtune endorsements import endorsements.json --cache broker/endorsements \\\n"
        "  --trusted-key ops.pub",
    ],
)
@click.argument("file", type=PATH)
@_cache
@click.option(
    "--trusted-key",
    type=PATH,
    required=True,
    metavar="PUB",
    help="The .pub file of whoever exported it; nobody else's file is taken.",
)
def import_(file: Path, folder: Path, trusted_key: Path) -> None:
    """Put what `export` wrote into a cache: all of it or nothing."""
    trusted = sealtune.load_public_identity(trusted_key).signing
    now = SystemClock().now()
    imported = sealtune.import_endorsements(file, folder=folder, trusted_key=trusted, now=now)
    emit(imported, _imported)


def _fetched(fetched: EndorsementsFetched) -> Iterator[str]:
    yield done(f"fetched {_number(fetched.fetched)} into {fetched.folder}")
    yield from _table(fetched.fetched)
    for what, reason in fetched.postponed:
        yield refused(f"could not renew {what}: {reason}")
    if fetched.postponed:
        yield hint("these are valid still; run the same command again before they end")


def _listed(listing: EndorsementListing) -> Iterator[str]:
    yield f"{_number(listing.endorsements)} in {listing.folder} at {format_time(listing.at)}"
    yield from _table(listing.endorsements)
    for path, reason in listing.damaged:
        yield refused(f"damaged, not used: {path}: {reason}")
    if any(row.state != "valid" for row in listing.endorsements):
        yield hint(f"renew: sealtune endorsements fetch --cache {listing.folder}")


def _exported(exported: EndorsementsExported) -> Iterator[str]:
    yield done(f"wrote {_number(exported.endorsements)} to {exported.file}")
    yield from rows([("signed by", exported.signing_key.text)])
    yield from _table(exported.endorsements)
    for row in exported.left_out:
        yield refused(f"left out: {row.what} is {_state(row)}")


def _imported(imported: EndorsementsImported) -> Iterator[str]:
    yield done(f"took {_number(imported.written)} into {imported.folder}")
    made = format_time(imported.created)
    yield from rows([("made", made), ("signed by", imported.signing_key.text)])
    yield from _table(imported.written)
    for row in imported.kept:
        yield hint(f"kept a newer one of: {row.what}")


def _table(found: Sequence[EndorsementRow]) -> Iterator[str]:
    if found:
        body = [(row.what, format_time(row.ends), _state(row)) for row in found]
        yield from table(("what", "valid until", "state"), body)


def _state(row: EndorsementRow) -> str:
    return {
        "stale": f"STALE since {format_time(row.ends)}",
        "early": f"not valid before {format_time(row.begins)}",
        "due": "valid, renew soon",
    }.get(str(row.state), "valid")


def _number(found: Sequence[EndorsementRow]) -> str:
    return count(len(found), "endorsement", "endorsements")
