"""The tutorial's commands, in its order, do what it says; its refusals are refusals."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
_BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORTS = ("8701", "8702")
_PRELUDE = r"""
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
wait_for() {
    for _ in $(seq 600); do (: > "/dev/tcp/127.0.0.1/$1") 2> /dev/null && return; sleep 0.1; done
    exit 1
}
must_refuse() {
    if output=$(attempt 2>&1); then echo "NOT REFUSED, expected $1: $output"; exit 1; fi
    grep -q -- "$1" <<< "$output" || { echo "refused, but not with $1: $output"; exit 1; }
    echo "REFUSED $1"
}
"""


def _script(text: str) -> str:
    parts = [_PRELUDE]
    for kind, info, body in _BLOCK.findall(text):
        if kind == "toml":
            parts.append(f"cat > {info} <<'END'\n{body}END\n")
        elif kind == "sh" and info.startswith("refused "):
            parts.append(f"attempt() {{\n{body}}}\nmust_refuse {info.removeprefix('refused ')}\n")
        elif kind == "sh":
            waited = r"\1 > /dev/null 2>> brokers.log &\nwait_for \2"
            parts.append(re.sub(r"^(.* --port (\d+).*) &$", waited, body, flags=re.MULTILINE))
    script = "\n".join(parts)
    for port in _PORTS:
        script = script.replace(port, _free_port())
    return script


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the whole tutorial was played, and what was printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", _script(TUTORIAL.read_text())],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return folder, done.stdout + done.stderr


def test_the_tutorial_ends_with_an_adapter_and_every_refusal(played: tuple[Path, str]) -> None:
    folder, output = played
    assert (folder / "recipient" / "adapter" / "adapter_model.safetensors").is_file()
    expected = re.findall(r"^```sh refused (.+)$", TUTORIAL.read_text(), re.MULTILINE)
    assert re.findall(r"^REFUSED (.+)$", output, re.MULTILINE) == expected
    assert len(expected) >= 6


def test_every_screen_of_a_simulated_run_says_insecure(played: tuple[Path, str]) -> None:
    _, output = played
    assert output.upper().count("INSECURE") >= 3
