"""Writes a cpio archive in the kernel's form (newc), the same bytes for the same members.

The kernel's own description: Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

_TRAILER: Final = "TRAILER!!!"
_NAME_MAX: Final = 4095  # the kernel's PATH_MAX, less the NUL


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file, folder or symbolic link of the archive; `data` is a link's target."""

    name: str
    mode: int
    data: bytes = b""


def file(name: str, data: bytes, *, executable: bool) -> Member:
    """Return a regular file."""
    return Member(name=name, mode=stat.S_IFREG | (0o755 if executable else 0o644), data=data)


def link(name: str, target: str) -> Member:
    """Return a symbolic link."""
    return Member(name=name, mode=stat.S_IFLNK | 0o777, data=target.encode("ascii"))


def folder(name: str) -> Member:
    """Return a folder."""
    return Member(name=name, mode=stat.S_IFDIR | 0o755)


def cpio(members: Iterable[Member]) -> bytes:
    """Return the archive of `members`, sorted by name, with the folders above each.

    All belong to root and have the time 0, so that the bytes depend on nothing else.

    Raises:
        ValueError: a name is absolute, leaves the archive or is there twice.
    """
    found: dict[str, Member] = {}
    for member in members:
        _check_name(member.name)
        if member.name in found:
            raise ValueError(f"{member.name} is there twice")
        found[member.name] = member
    for name in list(found):
        for parent in PurePosixPath(name).parents:
            if str(parent) != ".":
                found.setdefault(str(parent), folder(str(parent)))
    ordered = [found[name] for name in sorted(found, key=lambda name: name.split("/"))]
    parts = [_entry(number, member) for number, member in enumerate(ordered, start=1)]
    archive = b"".join([*parts, _entry(0, Member(name=_TRAILER, mode=0))])
    return archive + bytes(-len(archive) % 512)


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    if not name.isascii() or len(name) > _NAME_MAX or name == _TRAILER:
        raise ValueError(f"no name for a member: {name!r}")
    if path.is_absolute() or ".." in path.parts or str(path) != name or name == ".":
        raise ValueError(f"a name must be plain and relative: {name!r}")


def _entry(number: int, member: Member) -> bytes:
    name = member.name.encode("ascii") + b"\0"
    links = 2 if stat.S_ISDIR(member.mode) else 1
    # ino, mode, uid, gid, nlink, mtime, size, device (2), rdevice (2), name's length, check
    values = (number, member.mode, 0, 0, links, 0, len(member.data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % value for value in values)
    head = header + name
    return head + bytes(-len(head) % 4) + member.data + bytes(-len(member.data) % 4)
