"""Gives a tree the form in which an enclave gets it: regular files below `usr`, and no C library.

Gramine has no symbolic links, and brings a C library of its own, whose calls do not leave the
enclave; a second one beside it could be taken in its place.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from sealtune.core.digest import sha256_file
from sealtune.errors import Code, StorageError
from sealtune.image.sgx.manifest import tree_paths

_LIBRARIES: Final = Path("usr/lib/x86_64-linux-gnu")
_OTHER_LIBRARIES: Final = Path("lib/x86_64-linux-gnu")
_TOP: Final = "usr"
# Debian's libc6, 2.36.
_C_LIBRARY: Final = re.compile(
    r"(?:ld-linux-x86-64|lib(?:BrokenLocale|anl|c|c_malloc_debug|dl|m|memusage|mvec|nsl|nss_[a-z]+"
    r"|pcprofile|pthread|resolv|rt|thread_db|util))\.so(?:\.[0-9]+)*"
)


def settle_tree(root: Path) -> None:
    """Move all libraries into one folder, resolve links, and delete what an enclave has no use for.

    Raises:
        StorageError: a link leads out of the tree or to a folder.
    """
    (root / _LIBRARIES).mkdir(parents=True, exist_ok=True)
    for path in sorted((root / _OTHER_LIBRARIES).glob("*")):
        path.rename(root / _LIBRARIES / path.name)
    for path in sorted(root.iterdir()):
        if path.name != _TOP:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in sorted((root / _LIBRARIES).iterdir()):
        if _C_LIBRARY.fullmatch(path.name):
            path.unlink()
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            _resolve(root, path)


def tree_digests(root: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of the tree `root`, by its path."""
    return {
        path.relative_to(root).as_posix(): sha256_file(path).removeprefix("sha256:")
        for path in tree_paths(root)
    }


def _resolve(root: Path, link: Path) -> None:
    place = link.readlink()
    target = (
        root / place.relative_to("/") if place.is_absolute() else link.parent / place
    ).resolve()
    if not target.is_relative_to(root.resolve()) or not target.is_file():
        message = f"{link.relative_to(root)}: a link to {place}, which is no file of the tree"
        raise StorageError(Code.BUILD_FAILED, message)
    link.unlink()
    shutil.copyfile(target, link)
    shutil.copymode(target, link)
