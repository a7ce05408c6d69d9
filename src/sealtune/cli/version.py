"""`sealtune version`."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version as installed

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import emit, rows


@click.command("version", cls=Command, examples=["sealtune version --json"])
def version() -> None:
    """Show the versions of sealtune and what it rests on."""
    packages = {name: installed(name) for name in ("cryptography", "pydantic", "click")}
    found = {"sealtune": sealtune.__version__, "python": platform.python_version(), **packages}
    emit(found, _lines)


def _lines(found: dict[str, str]) -> Iterable[str]:
    yield f"sealtune {found['sealtune']}"
    yield from rows([(name, text) for name, text in found.items() if name != "sealtune"])
