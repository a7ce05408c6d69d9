"""Where finished sealed files go beyond the run's folder, before the worker relies on them.

In a process on the host the folder itself is what stays. In a VM the folder is memory, and what is
to survive has to be on the output disk (spec/worker §3.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from sealtune.tee.output_disk import OutputDisk


class Outbox(Protocol):
    """Keeps finished files."""

    def publish(self, path: Path) -> None:
        """Keep the file at `path`, whole and synced, under its own name.

        Raises:
            StorageError: there is no room, or the disk refuses.
        """
        ...

    def forget(self, names: Iterable[str]) -> None:
        """Keep the files of these names no longer.

        Raises:
            StorageError: the disk refuses.
        """
        ...


class KeptInFolder:
    """The Outbox of a worker whose folder is on a disk: the files are where they have to be."""

    def publish(self, path: Path) -> None:
        """Do nothing: whoever wrote `path` has synced it."""

    def forget(self, names: Iterable[str]) -> None:
        """Do nothing: the files are deleted from the folder."""


class KeptOnDisk:
    """The Outbox of a worker in a VM: copies to the output disk."""

    def __init__(self, disk: OutputDisk) -> None:
        self._disk = disk

    def publish(self, path: Path) -> None:
        """Write the file to the disk and sync it.

        Raises:
            StorageError: there is no room, or the disk refuses.
        """
        self._disk.write_file(path.name, path)

    def forget(self, names: Iterable[str]) -> None:
        """Remove files from the disk.

        Raises:
            StorageError: the disk refuses.
        """
        self._disk.remove(*names)
