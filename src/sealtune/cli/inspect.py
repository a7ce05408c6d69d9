"""`sealtune inspect`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import emit, plain, rows, size
from sealtune.cli.parameters import PATH
from sealtune.cli.places import about
from sealtune.cli.progress import waiting


@click.command(
    "inspect",
    cls=Command,
    examples=["sealtune inspect notes.sealed", "sealtune inspect notes.sealed --verify"],
)
@click.argument("file", type=PATH)
@click.option("--verify", is_flag=True, help="Read the whole body too and compare its digest.")
def inspect(file: Path, verify: bool) -> None:
    """Show what a sealed file tells everybody; needs no key.

    The signatures are verified always. What the file holds (names, shapes, counts) is encrypted.
    """
    with about(file), waiting("reading"):
        if verify:
            sealtune.verify_body(file)
        found = {**plain(sealtune.inspect_bundle(file)), "body_verified": verify}
    emit(found, _lines)


def _lines(found: dict[str, Any]) -> Iterable[str]:
    body = "whole, as its owner signed it" if found["body_verified"] else "not read; see --verify"
    yield f"{found['path']}: a sealed {found['kind']}, {size(found['size'])}"
    yield from rows(
        [
            ("digest", found["digest"]),
            ("owner", found["owner"]),
            ("opens for", "\n".join(found["recipients"])),
            ("body", f"{size(found['body_length'])}, {body}"),
        ]
    )
