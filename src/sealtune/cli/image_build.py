"""`sealtune image build`, `verify` and `lock`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from sealtune.cli.framework import Command
from sealtune.cli.image_plan import (
    BuildProgress,
    build_options,
    build_plan,
    mirror_options,
    sources,
)
from sealtune.cli.image_show import image_facts, image_lines
from sealtune.cli.output import done, emit, hint
from sealtune.cli.parameters import PATH, output_option
from sealtune.cli.progress import waiting
from sealtune.core.files import write_atomic
from sealtune.image.build import build_image
from sealtune.image.inputs import lock_json
from sealtune.image.verify import verify_image


@click.command(
    "build",
    cls=Command,
    examples=["sealtune image build -o image", "sealtune image build --jobs 4 -o image"],
)
@click.option(
    "--tee", type=click.Choice(["vm"]), default="vm", help="What the image is for: vm is any VM."
)
@output_option("The image's folder")
@build_options
def build(output: Path, tee: str, **options: Any) -> None:
    """Build the image that a confidential virtual machine boots.

    Every input is pinned by its hash: the same version of sealtune makes the same bytes anywhere.
    Inputs that are not in the cache are downloaded through apt and pip of this machine.
    """
    del tee  # one image for SEV-SNP, TDX and vTPM
    plan = build_plan(**options)
    with BuildProgress() as progress:
        made = build_image(output, plan, report=progress)
    emit(
        image_facts(made),
        lambda facts: [
            done(f"built {output}"),
            *image_lines(facts),
            hint(f"sealtune image measure {output}"),
        ],
    )


@click.command("verify", cls=Command, examples=["sealtune image verify image"])
@click.argument("folder", metavar="DIR", type=PATH)
@build_options
def verify(folder: Path, **options: Any) -> None:
    """Build the image in DIR again and compare, byte for byte.

    The message names the first difference, and its cause where that is an input.
    """
    plan = build_plan(**options)
    with BuildProgress() as progress:
        verified = verify_image(folder, plan, report=progress)
    emit(
        {**image_facts(verified.image), "verified": True},
        lambda facts: [
            done(f"{folder} is what its pinned inputs and this sealtune make"),
            *image_lines(facts),
        ],
    )


@click.command("lock", cls=Command, examples=["sealtune image lock -o inputs.lock.json"])
@output_option("The new lock file")
@mirror_options
def lock(output: Path, mirror: str | None, security_mirror: str | None) -> None:
    """Pin the newest inputs, for who maintains sealtune.

    Downloads what the package list names, with apt checking the archive's signature, and writes
    a lock file; an image takes it in when it stands in the sources.
    """
    with waiting("downloading"), tempfile.TemporaryDirectory() as scratch:
        found = sources(mirror=mirror, security_mirror=security_mirror).pin(Path(scratch))
    write_atomic(output, json.dumps(lock_json(found), indent=1).encode("ascii") + b"\n")
    emit({"inputs": len(found), "path": output}, _lock_lines)


def _lock_lines(facts: dict[str, Any]) -> Iterable[str]:
    yield done(f"pinned {facts['inputs']} inputs in {facts['path']}")
