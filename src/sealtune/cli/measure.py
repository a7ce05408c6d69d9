"""`sealtune measure`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import emit, insecure, rows, table


@click.command("measure", cls=Command, examples=["sealtune measure", "sealtune measure --modules"])
@click.option("--modules", "list_modules", is_flag=True, help="List the modules too.")
def measure(list_modules: bool) -> None:
    """Show the measurement of this installation's worker code.

    A contract for a simulated enclave names it under `measurements`. It covers sealtune's own
    modules only; the measurement of a real enclave comes from its image.
    """
    modules = sealtune.enclave_modules()
    found: dict[str, Any] = {
        "measurement": sealtune.measure_enclave_code(),
        "insecure": True,
        "modules": len(modules),
        "lines": sum(module.lines for module in modules),
    }
    if list_modules:
        found["module_lines"] = {module.name: module.lines for module in modules}
    emit(found, _lines)


def _lines(found: dict[str, Any]) -> Iterable[str]:
    yield insecure("of a simulated enclave: it proves nothing about the machine")
    yield from rows(
        [
            ("measurement", found["measurement"]),
            ("covers", f"{found['modules']} modules, {found['lines']:,} lines of code"),
        ]
    )
    if "module_lines" in found:
        body = [(name, f"{lines:,}") for name, lines in found["module_lines"].items()]
        yield ""
        yield from table(("module", "lines"), body)
