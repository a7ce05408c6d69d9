"""SIGTERM ends a command as Ctrl-C does, and what it started with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path


def test_a_terminated_demo_leaves_no_broker(tmp_path: Path) -> None:
    folder = tmp_path / "demo-run"
    command = [sys.executable, "-m", "sealtune.cli.main", "demo", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as demo:
        deadline = time.monotonic() + 60
        while not _processes(folder) and demo.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        demo.send_signal(signal.SIGTERM)
        _, said = demo.communicate(timeout=60)
    assert demo.returncode == 130, said.decode()
    assert not _processes(folder)


def _processes(folder: Path) -> list[str]:
    """The command lines of broker processes that serve from `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text and "serve_broker" in text:
            found.append(text)
    return found
