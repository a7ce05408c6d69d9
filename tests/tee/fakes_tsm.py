"""A model of the kernel's configfs-tsm, and two ways to it: function calls, and a FUSE mount.

The model follows drivers/virt/coco/tsm.c: which attributes there are, what counts as a generation,
when a report is made, which errors come back. Through FUSE the Attester's own system calls meet it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sealtune.tee.configfs_tsm import TsmFiles

INBLOB_BYTES_MAX = 64
OUTBLOB_BYTES_MAX = 32 * 1024
TEXTS_READ = ("generation", "provider", "privlevel_floor")
READABLE = (*TEXTS_READ, "outblob", "auxblob")
WRITABLE = ("inblob", "privlevel")

# Makes a report and its auxiliary blob of inblob and privilege level, as the TSM would.
MakeReport = Callable[[bytes, int], tuple[bytes, bytes]]


@dataclass(slots=True)
class _Entry:
    inblob: bytes = b""
    privlevel: int = 0
    written: int = 0  # write_generation
    made: int = 0  # read_generation
    outblob: bytes | None = None
    auxblob: bytes = b""


@dataclass(slots=True)
class FakeTsm:
    """The state behind /sys/kernel/config/tsm/report; `before` sees each step and may raise.

    `before` is called with what happens ("read outblob") and the entry's name.
    """

    make_report: MakeReport
    provider: str = "sev_guest"
    floor: int = 0
    hidden: frozenset[str] = frozenset()
    before: Callable[[str, str], None] = lambda _step, _name: None
    entries: dict[str, _Entry] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def make(self, name: str) -> None:
        self.before("make", name)
        if not self.provider:
            raise OSError(errno.ENXIO, "no provider")
        if name in self.entries:
            raise OSError(errno.EEXIST, name)
        self.entries[name] = _Entry()
        self.seen.append(name)

    def remove(self, name: str) -> None:
        self.before("remove", name)
        self.entry(name)
        del self.entries[name]

    def attributes(self) -> tuple[str, ...]:
        return tuple(item for item in (*READABLE, *WRITABLE) if item not in self.hidden)

    def entry(self, name: str) -> _Entry:
        if name not in self.entries:
            raise OSError(errno.ENOENT, name)
        return self.entries[name]

    def read(self, name: str, attribute: str) -> bytes:
        entry = self._checked(name, attribute, "read")
        if attribute == "generation":
            return b"%d\n" % entry.written
        if attribute == "provider":
            return self.provider.encode() + b"\n"
        if attribute == "privlevel_floor":
            return b"%d\n" % self.floor
        if attribute not in READABLE:
            raise OSError(errno.EACCES, attribute)
        self._make_report(entry)
        blob = entry.outblob or b"" if attribute == "outblob" else entry.auxblob
        if len(blob) > OUTBLOB_BYTES_MAX:
            raise OSError(errno.EFBIG, attribute)
        return blob

    def write(self, name: str, attribute: str, data: bytes) -> None:
        entry = self._checked(name, attribute, "write")
        if attribute == "inblob":
            if len(data) > INBLOB_BYTES_MAX:
                raise OSError(errno.EFBIG, attribute)
            entry.inblob = data
        elif attribute == "privlevel":
            if not data.isdigit() or not self.floor <= int(data) <= 3:
                raise OSError(errno.EINVAL, attribute)
            entry.privlevel = int(data)
        else:
            raise OSError(errno.EACCES, attribute)
        entry.written += 1

    def _checked(self, name: str, attribute: str, verb: str) -> _Entry:
        if attribute not in self.attributes():
            raise OSError(errno.ENOENT, attribute)
        self.before(f"{verb} {attribute}", name)
        return self.entry(name)

    def _make_report(self, entry: _Entry) -> None:
        if not entry.inblob:
            raise OSError(errno.EINVAL, "no inblob")
        if entry.outblob is not None and entry.made == entry.written:
            return
        entry.outblob = None
        if len(entry.inblob) != INBLOB_BYTES_MAX:
            raise OSError(errno.EINVAL, "inblob")
        entry.outblob, entry.auxblob = self.make_report(entry.inblob, entry.privlevel)
        entry.made = entry.written


class FakeTsmFiles(TsmFiles):
    """The model by function calls, for machines without FUSE and for errors at exact moments."""

    def __init__(self, tsm: FakeTsm) -> None:
        self.tsm = tsm

    def make(self, directory: Path) -> None:
        self.tsm.make(directory.name)

    def remove(self, directory: Path) -> None:
        self.tsm.remove(directory.name)

    def read(self, path: Path, *, limit: int) -> bytes:
        return self.tsm.read(path.parent.name, path.name)

    def write(self, path: Path, data: bytes) -> None:
        self.tsm.write(path.parent.name, path.name, data)
