"""Runs the programs that build an image, and says what to do where one is missing or fails.

What a program prints is kept and its last lines are shown only if it fails. When the call ends, by
a Ctrl-C as well, nothing that it started is left: a build deletes its folder then.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.errors import Code, ConfigError, StorageError

_LINES_SHOWN: Final = 4
_LOOK_SECONDS: Final = 0.2
_END_SECONDS: Final = 5.0
_FULL: Final = ("No space left on device", "Disk quota exceeded")
_LOADER: Final = "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
_LIBRARIES: Final = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
# Nothing of the caller's environment reaches a program that shapes the image.
_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8", "PATH": "/nonexistent", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A folder of extracted packages whose programs run here, with their own C library.

    The versions that the machine has installed do not matter, nor does who runs this.
    """

    folder: Path

    def run(self, program: str, *arguments: str, stop: threading.Event | None = None) -> str:
        """Run `program`, a path in this tree, and return its standard output.

        Who runs it in a thread sets `stop` to end it: no signal reaches it there.

        Raises:
            StorageError: it failed, was stopped, or the disk is full.
        """
        command = [*self._loader(), str(self.folder / program), *arguments]
        return _run(command, what=Path(program).name, environment=_ENVIRONMENT, stop=stop)

    def libraries(self, program: str) -> list[Path]:
        """Return the loader and the libraries that `program` needs, sorted, all in this tree."""
        command = [*self._loader(), "--list", str(self.folder / program)]
        text = _run(command, what=program, environment=_ENVIRONMENT)
        names = {Path(line.split()[0]).name for line in text.splitlines() if line.strip()}
        names.discard("linux-vdso.so.1")
        places = [self.folder / place / name for name in names for place in _LIBRARIES]
        found = sorted(place for place in places if place.exists())
        if {path.name for path in found} != names:
            missing = ", ".join(sorted(names - {path.name for path in found}))
            raise StorageError(Code.BUILD_FAILED, f"{program}: no library {missing}")
        return found

    def _loader(self) -> list[str]:
        libraries = ":".join(str(self.folder / place) for place in _LIBRARIES)
        return [str(self.folder / _LOADER), "--library-path", libraries]


def require(program: str, *, package: str) -> str:
    """Return where `program` is on this machine.

    Raises:
        ConfigError: it is not installed; the remedy names the Debian package.
    """
    # sbin is on root's path only, and some of these programs are there.
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    path = shutil.which(program, path=places)
    if path is None:
        raise ConfigError(
            Code.TOOL_MISSING,
            f"{program} is not installed",
            remedy=f"install the package {package} (`apt-get install {package}`)",
        )
    return path


def run(command: Sequence[str], *, what: str, folder: Path | None = None) -> str:
    """Run a program of this machine and return its standard output; `what` names it in errors.

    Raises:
        StorageError: it failed (its last lines are in the message), or the disk is full.
    """
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return _run(command, what=what, environment=environment, folder=folder)


def _run(
    command: Sequence[str],
    *,
    what: str,
    environment: Mapping[str, str],
    folder: Path | None = None,
    stop: threading.Event | None = None,
) -> str:
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
            # A Ctrl-C on the terminal is ours to answer, or the program's failure would come first.
            start_new_session=True,
        ) as process:
            try:
                printed, complaints = _wait(process, what=what, stop=stop)
            except BaseException:
                _end(process)
                raise
    except OSError as error:
        raise StorageError(Code.BUILD_FAILED, f"{what}: {error.strerror or error}") from error
    if process.returncode:
        raise _failed(what, process.returncode, complaints + b"\n" + printed)
    return printed.decode("utf-8", "replace")


def _wait(
    process: subprocess.Popen[bytes], *, what: str, stop: threading.Event | None
) -> tuple[bytes, bytes]:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=None if stop is None else _LOOK_SECONDS)
        if stop is not None and stop.is_set():
            raise StorageError(Code.BUILD_FAILED, f"{what} was stopped")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and all that it started, which would go on writing where it was."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Each of them holds the pipes until it is gone.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_END_SECONDS)


def _failed(what: str, status: int, printed: bytes) -> StorageError:
    text = printed.decode("utf-8", "replace")
    if any(words in text for words in _FULL):
        return StorageError(
            Code.DISK_FULL,
            f"{what}: the disk is full",
            remedy="make room, or name another disk with --work; nothing half-built was kept",
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = "; ".join(lines[-_LINES_SHOWN:]) or "it printed nothing"
    return StorageError(Code.BUILD_FAILED, f"{what} ended with status {status}: {last}")
