"""Builds the tree of the guest's root file system, as any user, without running what is in it.

Packages are extracted and wheels unpacked; no maintainer script, set-up code or installer runs.
The one program of the tree that runs is its interpreter, which compiles modules (spec/image §3).
"""

from __future__ import annotations

import fnmatch
import re
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from sealtune.errors import Code, StorageError
from sealtune.image.inputs import Cache, InputKind, PinnedInput, own_file
from sealtune.image.tools import Tree, require, run

PYTHON: Final = "usr/bin/python3.11"
SITE: Final = PurePosixPath("usr/lib/python3/dist-packages")
INIT: Final = "opt/sealtune/init.py"
_STANDARD: Final = PurePosixPath("usr/lib/python3.11")
_MOUNT_POINTS: Final = ("dev", "proc", "run", "sys", "tmp")
_NOBODY_LOGS_IN: Final = {
    "etc/passwd": "root:x:0:0::/:/nonexistent\nsealtune:x:1000:1000::/run:/nonexistent\n",
    "etc/group": "root:x:0:\nsealtune:x:1000:\n",
}
# Compiled one after the other, each by one process: what the compiler writes depends on what the
# same process compiled before, so a folder is never divided between two.
_COMPILED_ALONE: Final = ("torch", "transformers", "sympy")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One module of sealtune for the image; `path` is relative to where packages are."""

    path: str
    source: bytes


def extract_packages(
    inputs: Iterable[PinnedInput], *, cache: Cache, folder: Path, work: Path
) -> Tree:
    """Extract the Debian packages `inputs` into `folder`, and nothing else.

    Raises:
        ConfigError: mmdebstrap is missing.
        StorageError: it failed.
    """
    repository = work / f"{folder.name}-packages"
    repository.mkdir(parents=True)
    entries = []
    for number, item in enumerate(inputs):
        name = f"{number:03}.deb"
        shutil.copyfile(cache.path(item), repository / name)
        # No Depends: exactly these are extracted. apt checks the hash once more.
        entries.append(
            f"Package: {item.name}\nVersion: {item.version}\nArchitecture: amd64\n"
            f"Filename: ./{name}\nSize: {item.bytes}\nSHA256: {item.sha256}\n"
        )
    (repository / "Packages").write_text("\n".join(entries), encoding="utf-8")
    names = ",".join(item.name for item in inputs)
    command = [require("mmdebstrap", package="mmdebstrap"), "--mode=chrootless", "--quiet"]
    command += ["--variant=extract", "--format=directory", f"--include={names}"]
    command += ["--architectures=amd64", '--aptopt=APT::Sandbox::User "root"']
    # `trusted`: the index was written a moment ago from hashes that the lock file pins.
    line = f"deb [trusted=yes] copy:{quote(str(repository))} ./"
    run([*command, "bookworm", str(folder), line], what="mmdebstrap")
    shutil.rmtree(repository)
    return Tree(folder=folder)


def install_wheels(root: Path, wheels: Iterable[PinnedInput], *, cache: Cache, keep: Keep) -> None:
    """Unpack `wheels` into the tree `root`, all but what is not kept.

    Raises:
        StorageError: a wheel is damaged or names a file outside of its folder.
    """
    for item in wheels:
        if item.kind is not InputKind.WHEEL:
            raise ValueError(f"{item.file} is no wheel")
        try:
            with zipfile.ZipFile(cache.path(item)) as archive:
                for member in archive.infolist():
                    _unpack(archive, member, root=root, keep=keep)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise StorageError(Code.BUILD_FAILED, f"{item.file}: {error}") from error


def install_sources(root: Path, sources: Iterable[SourceFile]) -> None:
    """Put sealtune's own modules into the tree `root`."""
    for source in sources:
        _write(root / SITE / source.path, source.source)


def install_guest(root: Path) -> None:
    """Put what a guest needs to start into the tree `root`: its first process, users, folders."""
    _write(root / INIT, own_file("guest_init.py"))
    for name, text in _NOBODY_LOGS_IN.items():
        _write(root / name, text.encode("ascii"))
    (root / "usr/bin/python3").symlink_to("python3.11")
    for name in _MOUNT_POINTS:
        (root / name).mkdir(exist_ok=True)


def strip(root: Path, *, keep: Keep) -> None:
    """Delete from the tree `root` what is not kept, and folders that are empty then."""
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif not keep(path.relative_to(root).as_posix()):
            path.unlink()


def compile_modules(tree: Tree, *, jobs: int) -> None:
    """Compile every module of the tree with its own interpreter.

    Raises:
        StorageError: a module does not compile.
    """
    site = tree.folder / SITE
    alone = [site / name for name in _COMPILED_ALONE if (site / name).is_dir()]
    others = sorted(path for path in site.iterdir() if path not in alone)
    groups = [[path] for path in alone] + [others, [tree.folder / _STANDARD]]

    def compile_group(paths: Sequence[Path]) -> None:
        # A hash in place of a time, and one that is never compared: the root cannot change.
        arguments = ["-s", "-B", "-m", "compileall", "-q", "-j1"]
        arguments += ["--invalidation-mode=unchecked-hash", "-s", str(tree.folder), "-p", "/"]
        tree.run(PYTHON, *arguments, *map(str, paths), stop=stop)

    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        running = [pool.submit(compile_group, paths) for paths in groups]
        try:
            for done in as_completed(running):
                done.result()
        except BaseException:
            # The pool waits for what runs; after a failure or a Ctrl-C nobody else does.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def normalize(root: Path) -> None:
    """Give every file of the tree `root` one of two modes; owners and times come from squashfs.

    Raises:
        StorageError: there is a file that is neither regular, folder nor symbolic link.
    """
    for path in (root, *root.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise StorageError(Code.BUILD_FAILED, f"{path}: not a file that an image may hold")
        # No set-user-ID bit survives this.
        path.chmod(0o755 if stat.S_ISDIR(mode) or mode & 0o111 else 0o644)


Keep = Callable[[str], bool]


def keeper(drop: Iterable[str]) -> Keep:
    """Return a function that says whether a path relative to the root is kept."""
    pattern = re.compile("|".join(map(fnmatch.translate, drop)) or r"(?!)")
    return lambda path: pattern.match(path) is None


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, root: Path, keep: Keep) -> None:
    place = _installed_place(member.filename)
    if member.is_dir() or place is None or not keep(place):
        return
    target = root / place
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1024 * 1024)
    target.chmod(0o755 if member.external_attr >> 16 & 0o111 else 0o644)


def _installed_place(name: str) -> str | None:
    """Return where a wheel's member goes, or None: scripts and headers are not kept."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise StorageError(Code.BUILD_FAILED, f"a wheel names the file {name!r}")
    first = path.parts[0]
    if not first.endswith(".data"):
        return (SITE / path).as_posix()
    if path.parts[1:2] in (("purelib",), ("platlib",)):
        return SITE.joinpath(*path.parts[2:]).as_posix()
    return None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
