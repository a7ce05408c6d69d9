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
from sealtune.core.limits import GIB
from sealtune.image.manifest import VM, Image
from sealtune.image.sgx.manifest import SGX, SgxImage, read_any_image


@click.command("show", cls=Command, examples=["sealtune image show image --inputs"])
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--inputs", "list_inputs", is_flag=True, help="List every input with its hash.")
def show(folder: Path, list_inputs: bool) -> None:
    """Show what the image in DIR is, if its files are those of image.json."""
    image = read_any_image(folder)
    facts = image_facts(image)
    if list_inputs:
        facts["inputs"] = image.manifest.contents.inputs
    emit(facts, image_lines)


def image_facts(image: Image | SgxImage) -> dict[str, Any]:
    """Return what is printed of an image."""
    contents = image.manifest.contents
    facts: dict[str, Any] = {
        "folder": image.folder,
        "image": f"sha256:{image.digest}",
        "files": {file.name: file for file in image.manifest.files},
        "input_counts": dict(sorted(Counter(i.kind for i in contents.inputs).items())),
        "enclave_code": contents.enclave_code,
    }
    listed = sum(file.bytes for file in image.manifest.files)
    if isinstance(image, Image):
        return facts | {"tee": VM, "bytes": listed, "cmdline": image.manifest.cmdline}
    tree = {"files": image.manifest.tree_files, "bytes": image.manifest.tree_bytes}
    enclave = {"enclave": image.manifest.enclave, "tree": tree}
    return facts | {"tee": SGX, "bytes": listed + image.manifest.tree_bytes} | enclave


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
            *_tee_rows(facts),
        ]
    )
    if "inputs" in facts:
        body = [(i.kind, i.name, i.version, i.sha256) for i in facts["inputs"]]
        yield ""
        yield from table(("kind", "name", "version", "sha256"), body)


def _tee_rows(facts: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if facts["tee"] == VM:
        yield "command line", facts["cmdline"]
        return
    enclave, tree = facts["enclave"], facts["tree"]
    yield "tree", f"{tree['files']:,} files, {size(tree['bytes'])}"
    yield "enclave", f"{enclave.bytes // GIB} GiB, {enclave.threads} computing threads"
