"""Progress: drawn on a terminal, silent elsewhere, and never on standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from sealtune.cli.progress import EventProgress, RunProgress, bytes_progress, waiting
from sealtune.tee.events import WorkerEvent


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Return a function that puts a terminal in the place of standard error."""

    def install() -> Terminal:
        # In the test's body: pytest puts its own streams back between set-up and call.
        drawn = Terminal()
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "160")
        monkeypatch.setattr(sys, "stderr", drawn)
        return drawn

    return install


def play(progress: RunProgress) -> None:
    progress(WorkerEvent(event="phase", phase="attest"))
    progress(WorkerEvent(event="phase", phase="train"))
    progress(WorkerEvent(event="progress", step=400, total=1000))
    progress(WorkerEvent(event="progress", step=401, total=1000))
    progress(WorkerEvent(event="rates", tokens_per_second=12345, memory_bytes=3 * 2**29))
    progress(WorkerEvent(event="loss", step=401, loss=0.25))
    progress(WorkerEvent(event="evaluation", step=401, metrics={"accuracy": 0.5}))
    progress(WorkerEvent(event="checkpoint-not-anchored"))
    if progress._progress is not None:
        progress._progress.refresh()  # it draws ten times a second; a test does not wait


def test_a_run_shows_phases_steps_and_that_it_is_insecure(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    with RunProgress(simulated=True) as progress:
        play(progress)
    drawn = screen.getvalue()
    assert "INSECURE" in drawn.splitlines()[0]
    assert "✓ attest" in drawn
    assert "✓ train" in drawn
    assert "401/1000" in drawn
    assert "12,345 tokens/s  1.5 GiB  loss 0.2500  accuracy 0.5000" in drawn
    assert "ETA" in drawn


def test_a_run_that_fails_marks_its_phase(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    with pytest.raises(RuntimeError), RunProgress(simulated=False) as progress:
        play(progress)
        raise RuntimeError
    assert "✗ train" in screen.getvalue()
    assert "INSECURE" not in screen.getvalue()


def test_bytes_show_rate_and_amount(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    with bytes_progress("sealing") as progress:
        progress(1 << 20, 2 << 20)
    assert "1.0/2.0 MiB" in screen.getvalue()


def test_waiting_names_what_goes_on(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    with waiting("opening"):
        pass
    assert "opening" in screen.getvalue()


def test_nothing_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress(simulated=True) as progress:
        play(progress)
    with bytes_progress("sealing") as count:
        count(1, 2)
    with waiting("opening"), EventProgress() as steps:
        steps.count("x", 1, 2)
        steps.note("y")
        steps.end()
    assert capsys.readouterr() == ("", "")
