"""`sealtune image build`, `verify` and `lock`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from sealtune.cli.framework import Command
from sealtune.cli.image_plan import (
    BuildProgress,
    build_options,
    build_plan,
    mirror_options,
    sgx_plan,
    sources,
)
from sealtune.cli.image_sgx import EnclaveOptions, enclave_options
from sealtune.cli.image_show import image_facts, image_lines
from sealtune.cli.output import done, emit, hint
from sealtune.cli.parameters import PATH, output_option
from sealtune.cli.progress import waiting
from sealtune.core.files import write_atomic
from sealtune.image.build import SGX_PHASES, build_image
from sealtune.image.inputs import lock_json
from sealtune.image.manifest import VM, Image
from sealtune.image.manifest_parts import image_tee, read_manifest
from sealtune.image.sgx.build import build_sgx_image
from sealtune.image.sgx.manifest import SGX, SgxImage
from sealtune.image.sgx.verify import verify_sgx_image
from sealtune.image.verify import verify_image


@click.command(
    "build",
    cls=Command,
    examples=[
        "sealtune image build -o image",
        "sealtune image build --tee sgx --enclave-size 8G --threads 4 -o sgx-image",
        "sealtune image build --tee sgx --job contract.json -o sgx-image \\\n"
        "    --input notes=notes.sealed --input encoder=encoder.sealed",
    ],
)
@click.option(
    "--tee",
    type=click.Choice([VM, SGX]),
    default=VM,
    help="What the image is for: vm is any VM, sgx is Gramine.",
)
@output_option("The image's folder")
@enclave_options
@build_options
def build(
    output: Path,
    tee: str,
    enclave_size: int | None,
    threads: int | None,
    job: Path | None,
    inputs: Sequence[tuple[str, str]],
    **options: Any,
) -> None:
    """Build what a confidential virtual machine or SGX enclave starts from.

    Every input is pinned by its hash: the same version of sealtune makes the same bytes anywhere.
    Inputs that are not in the cache are downloaded through apt and pip of this machine.
    """
    plan = build_plan(**options)
    described = EnclaveOptions(enclave_size=enclave_size, threads=threads, job=job, inputs=inputs)
    made: Image | SgxImage
    if tee == SGX:
        enclave = described.enclave()
        with BuildProgress(SGX_PHASES) as progress:
            made = build_sgx_image(output, sgx_plan(plan), enclave=enclave, report=progress)
        following = f"sealtune image sign {output} --key sgx.pem"
    else:
        if described.given:
            raise click.UsageError("what describes an enclave is for --tee sgx")
        with BuildProgress() as progress:
            made = build_image(output, plan, report=progress)
        following = f"sealtune image measure {output}"
    emit(
        image_facts(made),
        lambda facts: [done(f"built {output}"), *image_lines(facts), hint(following)],
    )


@click.command("verify", cls=Command, examples=["sealtune image verify image"])
@click.argument("folder", metavar="DIR", type=PATH)
@build_options
def verify(folder: Path, **options: Any) -> None:
    """Build the image in DIR again and compare, byte for byte.

    The message names the first difference, and its cause where that is an input.
    """
    plan = build_plan(**options)
    verified: Image | SgxImage
    if image_tee(read_manifest(folder)) == SGX:
        with BuildProgress(SGX_PHASES) as progress:
            verified = verify_sgx_image(folder, sgx_plan(plan), report=progress)
    else:
        with BuildProgress() as progress:
            verified = verify_image(folder, plan, report=progress).image
    emit(
        {**image_facts(verified), "verified": True},
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
