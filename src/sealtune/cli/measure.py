"""`sealtune measure`: what a contract lists as the measurement of an enclave."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.measure_snp import measure_snp
from sealtune.cli.output import emit, insecure, rows, table


class _CodeByDefault(Group):
    """A group that takes `measure` and `measure --modules` for `measure code`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the default command where none is given."""
        named = bool(args) and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        # Completion asks what could stand here: every command.
        if not named and not ctx.resilient_parsing:
            args = ["code", *args]
        return super().parse_args(ctx, args)


@click.group("measure", cls=_CodeByDefault)
def measure() -> None:
    """Compute the measurement that a contract lists for an enclave.

    Without a command: `code`.
    """


@measure.command("code", examples=["sealtune measure code", "sealtune measure code --modules"])
@click.option("--modules", "list_modules", is_flag=True, help="List the modules too.")
def code(list_modules: bool) -> None:
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


measure.add_command(measure_snp)


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
