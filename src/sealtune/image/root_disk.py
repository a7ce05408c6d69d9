"""Makes the root disk: a squashfs, and after it in the same file the hash tree of dm-verity.

The disk has no verity superblock (spec/image §3): what says how to check it is the measured initrd.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.errors import Code, StorageError
from sealtune.image.tools import Tree

BLOCK: Final = 4096
# Fixed, so that the same tree has the same root hash: SHA-256("sealtune/v1/verity-salt").
SALT: Final = "4a201803abad79e01e4b715f2054c20411af476714d833ac6dfcf4d141926f47"
_ROOT_HASH: Final = re.compile(r"^Root hash:\s+([0-9a-f]{64})$", re.MULTILINE)
_ZSTD_LEVEL: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RootDisk:
    """What the command line says about the root disk."""

    root_hash: str
    hash_offset: int


def make_squashfs(root: Path, *, path: Path, tools: Tree, epoch: int, jobs: int) -> None:
    """Write the tree `root` to `path` as a squashfs, all of it root's and of the time `epoch`.

    Raises:
        StorageError: mksquashfs failed.
    """
    tools.run(
        "usr/bin/mksquashfs",
        *(str(root), str(path), "-noappend", "-no-progress", "-quiet"),
        *("-comp", "zstd", "-Xcompression-level", str(_ZSTD_LEVEL), "-b", "128K"),
        *("-all-root", "-no-xattrs", "-no-exports", "-reproducible"),
        *("-mkfs-time", str(epoch), "-all-time", str(epoch), "-processors", str(jobs)),
    )


def append_verity(path: Path, *, tools: Tree) -> RootDisk:
    """Append the hash tree to the squashfs at `path`.

    Raises:
        StorageError: veritysetup failed.
    """
    size = path.stat().st_size
    if size % BLOCK:
        raise StorageError(Code.BUILD_FAILED, f"{path}: not whole blocks of {BLOCK} bytes")
    text = tools.run(
        "sbin/veritysetup",
        *("format", str(path), str(path), "--no-superblock", "--format=1", "--hash=sha256"),
        *(f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}", f"--salt={SALT}"),
        *(f"--data-blocks={size // BLOCK}", f"--hash-offset={size}"),
    )
    found = _ROOT_HASH.search(text)
    if found is None:
        raise StorageError(Code.BUILD_FAILED, "veritysetup printed no root hash")
    return RootDisk(root_hash=found[1], hash_offset=size)
