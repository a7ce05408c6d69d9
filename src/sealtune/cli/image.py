"""`sealtune image`: build, measure and verify what a confidential virtual machine boots."""

from __future__ import annotations

import click

from sealtune.cli.framework import LazyGroup

# By name, as at the root: measuring loads what the overview of all commands must not.
_COMMANDS = {
    "build": "sealtune.cli.image_build:build",
    "show": "sealtune.cli.image_show:show",
    "measure": "sealtune.cli.image_measure:measure",
    "verify": "sealtune.cli.image_build:verify",
    "reference-values": "sealtune.cli.image_measure:reference_values",
    "lock": "sealtune.cli.image_build:lock",
}


@click.command("image", cls=LazyGroup, sections={"Commands": _COMMANDS})
def image() -> None:
    """Build, show, measure and verify the image that an enclave boots."""
