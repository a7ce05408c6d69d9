"""Progress on standard error, for people only: phases, rates and the time that remains.

Nothing is shown, and rich is not loaded, where standard error is no terminal.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

import click

from sealtune.cli.output import insecure
from sealtune.core.limits import GIB

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

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


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that `what` goes on and for how long, where nothing can be counted."""
    if not sys.stderr.isatty():
        yield
        return
    with _bar() as progress:
        progress.add_task(what, total=None)
        yield


def _silent(done: int, total: int) -> None:
    """Show nothing."""


class EventProgress:
    """Draws what is counted below lines that stay; the base of what runs and the demo show."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._start: tuple[int, float] | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._progress = _bar()
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def begin(self, what: str) -> None:
        """Draw `what` as going on, with its time."""
        self.end()
        if self._progress is not None:
            self._progress.columns = _columns(counted=False)
            self._task = self._progress.add_task(what, total=None, note="", rate="")
            self._start = None

    def count(self, what: str, done: int, total: int) -> None:
        """Draw a bar for `what` at `done` of `total`, with rate and ETA."""
        if self._progress is None:
            return
        if self._task is None:
            self.begin(what)
        if self._task is not None:
            if self._start is None:
                # A resumed run begins in the middle: what was done before is no speed.
                self._start = (done, time.monotonic())
                self._progress.columns = _columns(counted=True)
            first, since = self._start
            rate = f"{(done - first) / max(time.monotonic() - since, 0.001):.1f}/s"
            self._progress.update(
                self._task, description=what, completed=done, total=total, rate=rate
            )

    def note(self, text: str) -> None:
        """Draw `text` beside what goes on."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, note=text)

    def end(self) -> None:
        """Draw nothing any more."""
        if self._progress is not None and self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


class RunProgress(EventProgress):
    """Draws a worker's events: a line for each phase that ended, and the one that goes on."""

    def __init__(self, *, simulated: bool) -> None:
        super().__init__()
        self._simulated = simulated
        self._phase, self._since = "", 0.0
        self._notes: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._simulated and sys.stderr.isatty():
            text = "simulated enclave: this run is protected from nobody"
            click.echo(insecure(text), err=True)
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._end_phase("✓" if kind is None else "✗")
        super().__exit__(kind, error, trace)

    def __call__(self, event: WorkerEvent) -> None:
        """Draw `event`."""
        if event.event == "phase":
            self._end_phase("✓")
            self._phase, self._since = event.phase, time.monotonic()
            self._notes.clear()
            self.begin(event.phase)
        elif event.event == "progress":
            self.count(self._phase, event.step, event.total)
        elif note := _note(event):
            self._notes[event.event] = note
            self.note("  ".join(self._notes.values()))

    def _end_phase(self, mark: str) -> None:
        if self._progress is None or not self._phase:
            return
        self.end()
        seconds = time.monotonic() - self._since
        self._progress.console.print(f"{mark} {self._phase:<10} {seconds:6.1f} s", highlight=False)
        self._phase = ""


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(
        *_columns(counted=False),
        console=Console(stderr=True),
        transient=True,
        # Results on standard output stay there if it is a file while the bar is on a terminal.
        redirect_stdout=sys.stdout.isatty(),
    )


def _columns(*, counted: bool) -> tuple[ProgressColumn, ...]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    named = (SpinnerColumn(), TextColumn("{task.description:<10}"), TimeElapsedColumn())
    if not counted:
        return named
    bar = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[rate]} ETA"))
    return (*named, *bar, TimeRemainingColumn(), TextColumn("{task.fields[note]}"))


def _note(event: WorkerEvent) -> str:
    if event.event == "rates":
        used = f"{event.memory_bytes / GIB:.1f} GiB"
        return f"{event.tokens_per_second:,} tokens/s  {used}"
    if event.event == "planned":
        blocks = "streamed" if event.plan.get("streamed") else "in memory"
        tokens = f"{event.plan.get('tokens'):,} tokens at a time"
        return f"{event.plan.get('precision')}, {tokens}, {blocks}"
    if event.event == "loss":
        return f"loss {event.loss:.4f}"
    if event.event == "evaluation":
        return " ".join(f"{name} {value:.4f}" for name, value in sorted(event.metrics.items()))
    return ""
