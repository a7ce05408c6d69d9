"""A file is whole or not there, whatever happens to its writer."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sealtune.core.files import atomic_writer, read_bounded, write_atomic
from sealtune.errors import Code, FormatError, StorageError


def test_write_replaces_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")
    write_atomic(target, b"new", mode=0o600)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")
    with pytest.raises(RuntimeError, match="stop"), atomic_writer(target) as file:
        file.write(b"half")
        raise RuntimeError("stop")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    script = """
        import resource, signal, sys
        from pathlib import Path
        from sealtune.core.files import write_atomic
        from sealtune.errors import StorageError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            write_atomic(Path(sys.argv[1]), b"x" * 100_000)
        except StorageError as error:
            print(error.code)
    """
    target = tmp_path / "file"
    target.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(target)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == Code.DISK_FULL
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from sealtune.core.files import atomic_writer
        with atomic_writer(Path(sys.argv[1])) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    target = tmp_path / "file"
    target.write_bytes(b"old")
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(target)], check=False)
    assert target.read_bytes() == b"old"


def test_too_large_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"x" * 11)
    with pytest.raises(FormatError) as caught:
        read_bounded(target, limit=10, what="test")
    assert caught.value.code is Code.LIMIT_EXCEEDED


def test_missing_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        read_bounded(tmp_path / "absent", limit=10, what="test")
    assert caught.value.code is Code.FILE_MISSING
    assert "absent" in caught.value.message
