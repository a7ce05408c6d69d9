"""`sealtune image show`, and how an image is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from sealtune.cli.framework import Command
from sealtune.cli.output import emit, rows, size, table
from sealtune.cli.parameters import PATH
from sealtune.image.manifest import Image, read_image


@click.command("show", cls=Command, examples=["sealtune image show image --inputs"])
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--inputs", "list_inputs", is_flag=True, help="List every input with its hash.")
def show(folder: Path, list_inputs: bool) -> None:
    """Show what the image in DIR is, if its files are those of image.json."""
    image = read_image(folder)
    facts = image_facts(image)
    if list_inputs:
        facts["inputs"] = image.manifest.inputs
    emit(facts, image_lines)


def image_facts(image: Image) -> dict[str, Any]:
    """Return what is printed of an image."""
    manifest = image.manifest
    return {
        "folder": image.folder,
        "image": f"sha256:{image.digest}",
        "tee": manifest.tee,
        "bytes": sum(file.bytes for file in manifest.files),
        "files": {file.name: file for file in manifest.files},
        "cmdline": manifest.cmdline,
        "input_counts": dict(sorted(Counter(i.kind for i in manifest.inputs).items())),
        "enclave_code": manifest.enclave_code,
    }


def image_lines(facts: dict[str, Any]) -> Iterable[str]:
    """Yield the lines that show `facts` to people."""
    code, counts = facts["enclave_code"], facts["input_counts"]
    yield from rows(
        [
            ("image", facts["image"]),
            *((name, f"{size(file.bytes):>10}") for name, file in facts["files"].items()),
            ("in all", f"{size(facts['bytes']):>10}"),
            ("inputs", ", ".join(f"{number} {kind}s" for kind, number in counts.items())),
            ("own code", f"{code.modules} modules, {code.lines:,} lines"),
            ("command line", facts["cmdline"]),
        ]
    )
    if "inputs" in facts:
        body = [(i.kind, i.name, i.version, i.sha256) for i in facts["inputs"]]
        yield ""
        yield from table(("kind", "name", "version", "sha256"), body)
