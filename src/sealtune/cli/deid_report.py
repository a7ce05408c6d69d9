"""`sealtune deid-report`: what a de-identification report says, once its signature holds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import count, done, emit, printable, rows
from sealtune.cli.parameters import PATH

if TYPE_CHECKING:
    from sealtune.deid.report import DeidReport

_WIDTH: Final = 80


@click.command(
    "deid-report",
    cls=Command,
    examples=[
        "sealtune deid-report clean.jsonl.report.json --owner hospital.pub",
        "sealtune deid-report clean.jsonl.report.json --owner hospital.pub --html report.html",
    ],
)
@click.argument("path", metavar="REPORT", type=PATH)
@click.option(
    "--owner", type=PATH, required=True, metavar="PUB", help="Who must have signed it: a .pub file."
)
@click.option(
    "--html", "page", type=PATH, metavar="FILE", help="Write it as a page with pictures, too."
)
def deid_report(path: Path, owner: Path, page: Path | None) -> None:
    """Verify a report of deidentify and show it; asks nobody else.

    It proves who says so and about which bytes, not that it is so: the owner measured its own data.
    The page needs no script and no network, and holds no content of any record.
    """
    public = sealtune.load_public_identity(owner)
    verified = sealtune.read_report_file(path, owner=public.signing)
    if page is not None:
        sealtune.write_report_page(verified, page)
    shown = {
        "report": verified.report.digest,
        "verified": True,
        "owner": public.name,
        "page": page,
        "statement": verified.report.to_dict(),
    }
    emit(shown, partial(_lines, report=verified.report))


def _lines(shown: dict[str, Any], *, report: DeidReport) -> Iterable[str]:
    statement = shown["statement"]
    made, files = statement["predicate"], statement["subject"][0]["digest"]
    risk, said = made["risk"], made["statement"]
    k = "not measured" if report.k is None else f"{report.k:,} {report.k_of}"
    yield done(f"signed by {shown['owner']} on {made['time']}")
    records = f"{count(made['records'], 'record', 'records')}, {made['changed_records']:,} changed"
    found = ", ".join(f"{number:,} {name}" for name, number in made["found"].items())
    yield from rows(
        [
            ("what remains", "\n".join(_wrapped(said["text"]))),
            ("residual", f"{risk['residual_per_10000']:g} per 10,000 records"),
            ("k", k),
            (
                "not sought",
                "\n".join(line for text in said["not_looked_for"] for line in _wrapped(text)),
            ),
            ("holds", records),
            ("found", "\n".join(_wrapped(found or "nothing"))),
            ("profile", printable(made["configuration"]["profile"])),
            ("looked with", printable(", ".join(made["modes"]))),
            *(("note", "\n".join(_wrapped(note))) for note in made["notes"]),
            ("report", shown["report"]),
            ("output", f"sha256:{files['sha256']}"),
            ("records", f"sha256:{files['sealtuneRecords']}"),
            ("reversible", "yes, with the vault and its key" if made["reversible"] else "no"),
            *[("page", str(shown["page"]))] * bool(shown["page"]),
        ]
    )


def _wrapped(text: str) -> list[str]:
    return wrap(printable(text), _WIDTH)
