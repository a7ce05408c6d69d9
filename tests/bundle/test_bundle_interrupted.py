"""Sealing that is interrupted: killed, out of room. Nothing half-written has the final name."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sealtune.bundle.open import open_to_folder
from sealtune.bundle.seal import seal_data
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, StorageError

# The subprocess seals a file of records that never ends (a pipe), until it is killed.
SEAL_FOR_EVER = """
import sys
from pathlib import Path
from sealtune.bundle import seal
from sealtune.crypto.identity import Identity
seal.SHARD_BYTES = 100_000
owner = Identity.generate("owner")
seal.seal_data(Path(sys.argv[1]), Path(sys.argv[2]), owner=owner, recipients=[], task=None)
"""
# A limit on the size of files is the disk that is full: the write fails midway.
SEAL_WITH_LIMIT = """
import json, resource, signal, sys
from pathlib import Path
from sealtune.bundle.seal import seal_data
from sealtune.crypto.identity import Identity
from sealtune.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
owner = Identity.generate("owner")
try:
    seal_data(Path(sys.argv[1]), Path(sys.argv[2]), owner=owner, recipients=[], task=None)
except StorageError as error:
    print(json.dumps([error.code, error.remedy]))
"""


def wait_for_part(folder: Path, *, size: int) -> Path:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in folder.glob(".*.part"):
            if path.stat().st_size > size:
                return path
        time.sleep(0.01)
    raise AssertionError("sealing did not begin")


def test_killed_midway_leaves_no_bundle(tmp_path: Path, owner: Identity) -> None:
    source, output = tmp_path / "d.jsonl", tmp_path / "d.bundle"
    os.mkfifo(source)
    command = [sys.executable, "-c", SEAL_FOR_EVER, str(source), str(output)]
    with subprocess.Popen(command) as process, source.open("wb", buffering=0) as pipe:
        for _ in range(40):
            pipe.write(b'{"text":"' + b"x" * 10_000 + b'"}\n')
        part = wait_for_part(tmp_path, size=50_000)
        process.kill()
    assert process.returncode < 0
    assert not output.exists()
    # What is left is ciphertext under a name that nobody opens, and does not hinder the next run.
    assert b"xxxxxxxx" not in part.read_bytes()
    source.unlink()
    source.write_text("{}\n")
    assert seal_data(source, output, owner=owner, recipients=[], task=None).records == 1


def test_an_interrupt_leaves_nothing(tmp_path: Path, owner: Identity) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    source = tmp_path / "d.jsonl"
    source.write_text('{"text":"' + "x" * 5_000_000 + '"}\n')
    with pytest.raises(KeyboardInterrupt):
        seal_data(
            source,
            tmp_path / "d.bundle",
            owner=owner,
            recipients=[],
            task=None,
            progress=interrupt,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    source, output = tmp_path / "d.jsonl", tmp_path / "d.bundle"
    source.write_text('{"text":"' + "x" * 5_000_000 + '"}\n')
    command = [sys.executable, "-c", SEAL_WITH_LIMIT, str(source), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith('["disk-full", "make room')
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


def test_a_disk_that_fills_while_opening_leaves_nothing(
    make_bundle: Callable[..., Path], broker: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_bundle()

    def full(name: Path) -> object:
        name.touch()
        return Path("/dev/full").open("wb")

    monkeypatch.setattr("sealtune.bundle.open._new_file", full)
    with pytest.raises(StorageError) as caught:
        open_to_folder(path, path.parent / "out", recipient=broker)
    assert caught.value.code is Code.DISK_FULL
    assert [item.name for item in path.parent.iterdir()] == [path.name]
