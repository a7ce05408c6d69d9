"""Progress on standard error, for people only: phases, rates and the time that remains.

Nothing is shown, and rich is not loaded, where standard error is no terminal.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from sealtune.cli.output import insecure

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from sealtune import WorkerEvent


@contextlib.contextmanager
def bytes_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for (bytes done, bytes in all) that draws a bar with rate and ETA."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _silent(done: int, total: int) -> None:
    """Show nothing."""


class RunProgress:
    """Draws a worker's events: each phase as it begins and ends, steps with rate and ETA."""

    def __init__(self, *, simulated: bool) -> None:
        self._simulated = simulated
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._phase, self._since = "", 0.0

    def __enter__(self) -> RunProgress:
        if sys.stderr.isatty():
            self._progress = _run_bar()
            self._progress.start()
            if self._simulated:
                click.echo(
                    insecure("simulated enclave: this run is protected from nobody"), err=True
                )
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._progress is None:
            return
        self._end_phase("✓" if error is None else "✗")
        self._progress.stop()

    def __call__(self, event: WorkerEvent) -> None:
        """Draw `event`."""
        if self._progress is None:
            return
        if event.event == "phase":
            self._end_phase("✓")
            self._phase, self._since = event.phase, time.monotonic()
            self._task = self._progress.add_task(event.phase, total=None, note="")
        elif self._task is not None and event.event == "progress":
            self._progress.update(self._task, completed=event.step, total=event.total)
        elif self._task is not None:
            note = _note(event)
            if note:
                self._progress.update(self._task, note=note)

    def _end_phase(self, mark: str) -> None:
        if self._progress is None or self._task is None:
            return
        seconds = time.monotonic() - self._since
        self._progress.remove_task(self._task)
        self._task = None
        self._progress.console.print(f"{mark} {self._phase:<10} {seconds:6.1f} s", highlight=False)


def _run_bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    )


def _note(event: WorkerEvent) -> str:
    if event.event == "loss":
        return f"loss {event.loss:.4f}"
    if event.event == "evaluation":
        return " ".join(f"{name} {value:.4f}" for name, value in sorted(event.metrics.items()))
    return ""
