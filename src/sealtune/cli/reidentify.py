"""`sealtune reidentify`: originals back in the place of what stands for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import count, done, emit, hint, rows
from sealtune.cli.parameters import PATH, output_option
from sealtune.cli.progress import waiting


@click.command(
    "reidentify",
    cls=Command,
    examples=[
        "sealtune reidentify clean.jsonl -o originals.jsonl --vault clean.jsonl.vault \\\n"
        "    --key hospital.deid-key"
    ],
)
@click.argument("path", metavar="INPUT", type=PATH)
@output_option("The new file, readable by its owner alone")
@click.option(
    "--vault", type=PATH, required=True, metavar="FILE", help="What deidentify wrote beside it."
)
@click.option(
    "--key", type=PATH, required=True, metavar="FILE", help="The key that it was made with."
)
def reidentify(path: Path, output: Path, vault: Path, key: Path) -> None:
    """Put originals back, for who has the vault and its key.

    There is a vault only where the profile is reversible. What was redacted or generalized does not
    come back, and a replacement that stands for several originals stays.
    """
    secret = sealtune.load_deid_key(key)
    with waiting("putting originals back"):
        restored = sealtune.reidentify(path, output, vault=vault, key=secret)
    result = {
        "output": output,
        "records": restored.records,
        "replaced": restored.replaced,
        "ambiguous": restored.ambiguous,
        "same_output": restored.same_output,
    }
    emit(result, _lines)


def _lines(result: dict[str, Any]) -> Iterable[str]:
    yield done(f"re-identified into {result['output']}")
    yield from rows(
        [
            ("read", count(result["records"], "record or line", "records or lines")),
            ("put back", count(result["replaced"], "original", "originals")),
            ("left", f"{result['ambiguous']:,} that stand for several originals"),
        ]
    )
    if not result["same_output"]:
        text = "the vault was made with another file: surrogates are put back wherever they stand"
        yield hint(f"{text}, and chance words may match")
    yield hint(f"{result['output']} holds originals: keep it where they are kept")
