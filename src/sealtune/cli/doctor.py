"""`sealtune doctor`."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from sealtune.cli.framework import Command
from sealtune.cli.output import done, emit, emit_json, hint, json_mode, refused
from sealtune.cli.parameters import PATH
from sealtune.tee.doctor.diagnose import Diagnosis, diagnose, require_ready
from sealtune.tee.doctor.finding import Finding, State
from sealtune.tee.doctor.machine import LiveMachine, Machine
from sealtune.tee.doctor.verdicts import TARGETS, Readiness

_WIDTH_MAX: Final = 120
_WIDTH_MIN: Final = 60
_EXAMPLES: Final = (
    "sealtune doctor",
    "sealtune doctor --for sev-snp",
    "sealtune doctor --record my-machine",
    "sealtune doctor --root my-machine --json",
)


@click.command("doctor", cls=Command, examples=_EXAMPLES)
@click.option(
    "--for",
    "target",
    type=click.Choice(TARGETS),
    help="Fail unless the machine is ready for this.",
)
@click.option("--root", type=PATH, metavar="DIR", help="Examine a recorded machine instead.")
@click.option("--record", type=PATH, metavar="DIR", help="Record this machine in a new folder.")
def doctor(target: str | None, root: Path | None, record: Path | None) -> None:
    """Say what this machine is, what it could run as, and what to mend.

    It reads and never writes, needs neither root nor a network, and succeeds whatever it finds,
    unless --for names what has to be ready. What it says is no evidence: a broker believes
    hardware only.

    --record writes what was read, without serial numbers, addresses and names, so that it can be
    attached to a report of a problem; --root examines such a folder.
    """
    if record is not None:
        if target or root:
            raise click.UsageError("--record goes with neither --for nor --root")
        _record(record)
        return
    diagnosis = diagnose(_machine(root))
    if json_mode():
        if target:
            require_ready(diagnosis, target)
        emit_json(diagnosis)
        return
    click.echo("\n".join(_lines(diagnosis, _width())))
    if target:
        require_ready(diagnosis, target)


def _machine(root: Path | None) -> Machine:
    if root is None:
        return LiveMachine()
    from sealtune.tee.doctor.recorded import RecordedMachine

    return RecordedMachine.load(root)


def _record(folder: Path) -> None:
    from sealtune.tee.doctor.recorded import RecordingMachine

    machine = RecordingMachine(LiveMachine())
    diagnose(machine)
    files = machine.write(folder)
    emit({"folder": folder, "files": [path.relative_to(folder) for path in files]}, _recorded)


def _recorded(made: dict[str, Any]) -> Iterable[str]:
    yield done(f"recorded this machine in {made['folder']}: {len(made['files'])} small files")
    yield hint(f"sealtune doctor --root {made['folder']} shows what they say; look before sending")


def _width() -> int:
    return max(_WIDTH_MIN, min(_WIDTH_MAX, shutil.get_terminal_size().columns))


def _lines(diagnosis: Diagnosis, width: int) -> Iterator[str]:
    yield from (click.style(line, bold=True) for line in _wrapped("", 0, diagnosis.kind, width))
    yield from _section("It could run as")
    yield from _verdicts(diagnosis, width)
    problems = _to_mend(diagnosis)
    if problems:
        yield from _section("To mend")
        for number, (item, targets) in enumerate(problems, start=1):
            yield from _problem(number, item, targets, width)
    yield from _section("Looked at")
    yield from _findings(diagnosis, width)
    secret = [item.name for item in diagnosis.findings if item.as_root]
    if secret and not diagnosis.root:
        yield ""
        yield from _wrapped(
            hint(""), 2, f"run as root to learn more about {', '.join(secret)}", width
        )


def _section(title: str) -> tuple[str, str]:
    return "", click.style(title, bold=True)


def _verdicts(diagnosis: Diagnosis, width: int) -> Iterator[str]:
    order = list(Readiness)
    names = max(map(len, TARGETS))
    for verdict in sorted(diagnosis.verdicts, key=lambda item: order.index(item.readiness)):
        label = f"{verdict.readiness.value:<10}  {verdict.target:<{names}}  "
        mark = _warning() if verdict.insecure else _mark(verdict.readiness)
        start = f"  {mark} {label}"
        # What it is matters where it can be had; elsewhere, why it cannot.
        if verdict.readiness is Readiness.IMPOSSIBLE:
            yield from _wrapped(start, 4 + len(label), verdict.reason, width)
            continue
        yield from _wrapped(start, 4 + len(label), verdict.title, width)
        if verdict.readiness is not Readiness.READY:
            yield from _wrapped(" " * (4 + len(label)), 4 + len(label), verdict.reason, width)


def _mark(state: Readiness | State) -> str:
    if state in (Readiness.READY, State.OK):
        return done("").strip()
    if state in (Readiness.IMPOSSIBLE, State.MISSING):
        return refused("").strip()
    if state in (Readiness.FIXABLE, State.DEGRADED):
        return _warning()
    return "?"


def _warning() -> str:
    return click.style("!", fg="yellow")


def _to_mend(diagnosis: Diagnosis) -> list[tuple[Finding, tuple[str, ...]]]:
    # Each finding once, in the order of the first target that it stands in the way of.
    targets: dict[str, list[str]] = {}
    for verdict in diagnosis.verdicts:
        for problem in (*verdict.problems, *verdict.drawbacks):
            targets.setdefault(problem.finding, []).append(verdict.target)
    findings = {item.name: item for item in diagnosis.findings}
    rest = [name for name, item in findings.items() if item.fix and name not in targets]
    named = [(findings[name], tuple(targets.get(name, ()))) for name in (*targets, *rest)]
    return [(item, names) for item, names in named if item.fix]


def _problem(number: int, item: Finding, targets: tuple[str, ...], width: int) -> Iterator[str]:
    purpose = f" (for {', '.join(targets)})" if targets else ""
    start = f"  {number:>2}  "
    yield from _wrapped(start, len(start), f"{item.name}: {item.detail}{purpose}", width)
    yield from _wrapped(" " * len(start) + hint(""), len(start) + 2, item.fix, width)


def _findings(diagnosis: Diagnosis, width: int) -> Iterator[str]:
    shown = [item for item in diagnosis.findings if item.state is not State.NOT_APPLICABLE]
    groups = max(len(item.group.value) for item in shown)
    names = max(len(item.name) for item in shown)
    group = None
    for item in shown:
        title = "" if item.group is group else item.group.value
        group = item.group
        start = f"  {click.style(title.ljust(groups), dim=True)}  {_mark(item.state)} "
        start += f"{item.name:<{names}}  "
        yield from _wrapped(start, groups + names + 8, item.detail, width)
    others = [item.name for item in diagnosis.findings if item.state is State.NOT_APPLICABLE]
    start = f"  {len(others)} more have no place here; --json lists them"
    yield click.style(start, dim=True)


def _wrapped(start: str, column: int, text: str, width: int) -> Iterator[str]:
    """Yield `text` beside `start`, which is `column` wide on the screen, colours not counted."""
    first, *others = textwrap.wrap(text, width - column, break_on_hyphens=False) or [""]
    yield start + first
    yield from (" " * column + line for line in others)
