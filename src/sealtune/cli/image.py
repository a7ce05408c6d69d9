"""`sealtune image`: build, measure and verify what an enclave is started from."""

from __future__ import annotations

import click

from sealtune.cli.framework import LazyGroup

# By name, as at the root: measuring loads what the overview of all commands must not.
_COMMANDS = {
    "build": "sealtune.cli.image_build:build",
    "show": "sealtune.cli.image_show:show",
    "sign": "sealtune.cli.image_sgx:sign",
    "measure": "sealtune.cli.image_measure:measure",
    "verify": "sealtune.cli.image_build:verify",
    "reference-values": "sealtune.cli.image_measure:reference_values",
    "lock": "sealtune.cli.image_build:lock",
}


@click.command("image", cls=LazyGroup, sections={"Commands": _COMMANDS})
def image() -> None:
    """Build, show, sign, measure and verify what an enclave starts from."""
