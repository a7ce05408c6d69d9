"""Ctrl-C during `sealtune image build`: it ends as any command, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from image.built import built_image

pytestmark = pytest.mark.slow
SECONDS = 120.0


def processes(folder: Path) -> list[str]:
    """The command lines of all processes that name a file in `folder`, but for this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text and entry.parent.name != str(os.getpid()):
            found.append(text)
    return found


def to_all(build: subprocess.Popen[str]) -> None:
    """What a terminal does: every process of the foreground hears of it."""
    os.killpg(build.pid, signal.SIGINT)


def to_one(build: subprocess.Popen[str]) -> None:
    """What `kill -INT` does, and with SIGTERM a service manager."""
    build.send_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("during", "send"), [("mmdebstrap", to_all), ("mmdebstrap", to_one), ("compileall", to_one)]
)
def test_an_interrupted_build_leaves_nothing(
    during: str, send: Callable[[subprocess.Popen[str]], None], tmp_path: Path
) -> None:
    """A child works for seconds, with children of its own, in a folder that is to be deleted."""
    built_image()  # now every input is in the cache, and nothing is downloaded
    image = tmp_path / "image"
    command = [sys.executable, "-m", "sealtune.cli.main", "image", "build", "-o", str(image)]
    with subprocess.Popen(
        [*command, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as build:
        deadline = time.monotonic() + SECONDS
        while not any(during in line for line in processes(tmp_path)):
            assert build.poll() is None, build.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)  # in the midst of its work
        send(build)
        out, said = build.communicate(timeout=SECONDS)
    assert (build.returncode, said.strip()) == (130, "")
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert processes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
