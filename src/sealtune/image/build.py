"""Builds an enclave image: from pinned inputs, a folder with kernel, initrd, root and manifest.

The same inputs and the same sealtune give the same bytes, whoever builds and where (spec/image §1).
The folder appears when it is whole: an interrupted build leaves none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sealtune.core.digest import sha256_digest
from sealtune.core.files import storage_errors, sync_folder, write_atomic
from sealtune.core.limits import GIB
from sealtune.errors import Code, StorageError
from sealtune.image import initrd, root, root_disk
from sealtune.image.inputs import (
    Cache,
    InputKind,
    Packages,
    PinnedInput,
    Use,
    own_file,
    read_lock,
    read_packages,
)
from sealtune.image.inputs_fetch import Sources
from sealtune.image.manifest import (
    MANIFEST_NAME,
    EnclaveCode,
    Image,
    ImageFile,
    ImageInput,
    ImageManifest,
    Verity,
    command_line,
    image_file,
    manifest_json,
    read_image,
)
from sealtune.image.root import SourceFile
from sealtune.image.sbom import SBOM_NAME, sbom_json
from sealtune.image.tools import Tree

_WORK_BYTES: Final = 2 * GIB  # the trees and what is made of them take about 1.4 GB
_KERNEL, _INITRD, _ROOT = "vmlinuz", "initrd.zst", "root.squashfs"
# sealtune's own files that shape the image beside its modules.
_OWN_FILES: Final = ("guest_init.py", "initrd_init", "packages.toml")
_TOOLS: Final = ("cryptsetup-bin", "python3.11-minimal", "squashfs-tools", "zstd")


class Phase(StrEnum):
    """What builds do, in this order."""

    INPUTS = "inputs"
    PACKAGES = "packages"
    WHEELS = "wheels"
    COMPILE = "compile"
    INITRD = "initrd"
    SQUASHFS = "squashfs"
    VERITY = "verity"
    TEMPLATE = "template"
    CHECK = "check"


_TREE_PHASES: Final = (Phase.INPUTS, Phase.PACKAGES, Phase.WHEELS, Phase.COMPILE)
VM_PHASES: Final = (*_TREE_PHASES, Phase.INITRD, Phase.SQUASHFS, Phase.VERITY, Phase.CHECK)
SGX_PHASES: Final = (*_TREE_PHASES, Phase.TEMPLATE, Phase.CHECK)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveSources:
    """sealtune's own modules for the image, and how they are counted and named."""

    version: str
    files: tuple[SourceFile, ...]
    code: EnclaveCode


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """What a build takes in beside the pinned inputs; `work` None means beside the image."""

    sources: EnclaveSources
    cache: Path
    fetch: Sources
    work: Path | None
    jobs: int


Report = Callable[[Phase], None]


def build_image(folder: Path, plan: BuildPlan, *, report: Report) -> Image:
    """Build an image in `folder`, which must not exist or be empty; `report` hears of each phase.

    Raises:
        ConfigError: a tool is missing, or apt here knows no mirror.
        StorageError: the disk is full, an input cannot be had, or a tool failed.
    """
    with new_folder(folder, plan.work) as (made, work):
        _build(made, plan, work=work, report=report)
        report(Phase.CHECK)
        read_image(made)
    return read_image(folder)


@contextlib.contextmanager
def new_folder(folder: Path, work: Path | None) -> Iterator[tuple[Path, Path]]:
    """Yield a folder that becomes `folder` if the block ends well, and one to work in.

    Raises:
        StorageError: `folder` is there already, or there is no room.
    """
    _require_free(folder)
    with _work_folder(folder, work) as place:
        made = place / "image"
        made.mkdir()
        yield made, place
        _move(made, folder)


def make_tree(
    plan: BuildPlan, lock: tuple[PinnedInput, ...], *, work: Path, report: Report
) -> Tree:
    """Make the tree of interpreter, libraries, wheels and sealtune's modules, compiled.

    Raises:
        ConfigError, StorageError: as `build_image`.
    """
    cache, keep = Cache(folder=plan.cache), root.keeper(read_packages().drop)
    report(Phase.INPUTS)
    cache.fill(lock, download=plan.fetch.download)
    report(Phase.PACKAGES)
    tree = root.extract_packages(
        used_inputs(lock, Use.ROOT), cache=cache, folder=work / "root", work=work
    )
    report(Phase.WHEELS)
    root.strip(tree.folder, keep=keep)
    root.install_wheels(tree.folder, wheels_of(lock), cache=cache, keep=keep)
    root.install_sources(tree.folder, plan.sources.files)
    report(Phase.COMPILE)
    root.compile_modules(tree, jobs=plan.jobs)
    return tree


def _build(made: Path, plan: BuildPlan, *, work: Path, report: Report) -> None:
    packages, lock = read_packages(), read_lock()
    tree = make_tree(plan, lock, work=work, report=report)
    root.install_guest(tree.folder)
    root.normalize(tree.folder)
    report(Phase.INITRD)
    tools = root.extract_packages(
        used_inputs(lock, Use.TOOLS, Use.KERNEL),
        cache=Cache(folder=plan.cache),
        folder=work / "tools",
        work=work,
    )
    shutil.copyfile(_kernel(tools), made / _KERNEL)
    initrd.make_initrd(
        path=made / _INITRD,
        tools=tools,
        required=packages.required_modules,
        optional=packages.optional_modules,
    )
    report(Phase.SQUASHFS)
    root_disk.make_squashfs(
        tree.folder,
        path=made / _ROOT,
        tools=tools,
        epoch=packages.created_epoch,
        jobs=plan.jobs,
    )
    report(Phase.VERITY)
    disk = root_disk.append_verity(made / _ROOT, tools=tools)
    _describe(made, disk, packages=packages, lock=lock, sources=plan.sources)


def _describe(
    made: Path,
    disk: root_disk.RootDisk,
    *,
    packages: Packages,
    lock: tuple[PinnedInput, ...],
    sources: EnclaveSources,
) -> None:
    """Write the bill of materials, and last `image.json`."""
    own = own_inputs(sources)
    bill = sbom_json(lock, own=own, version=sources.version, epoch=packages.created_epoch)
    write_atomic(made / SBOM_NAME, bill)
    verity = Verity(
        root_hash=disk.root_hash,
        hash_offset=disk.hash_offset,
        salt=root_disk.SALT,
        block_size=root_disk.BLOCK,
    )
    manifest = ImageManifest(
        created_epoch=packages.created_epoch,
        kernel=image_file(made / _KERNEL),
        initrd=image_file(made / _INITRD),
        root=image_file(made / _ROOT),
        sbom=image_file(made / SBOM_NAME),
        cmdline=command_line(verity),
        verity=verity,
        inputs=(*map(image_input, lock), *own),
        tools={item.name: item.version for item in lock if item.name in _TOOLS},
        enclave_code=sources.code,
    )
    for file in manifest.files:
        settle(made, file)
    write_atomic(made / MANIFEST_NAME, manifest_json(manifest))


def own_inputs(
    sources: EnclaveSources, *, files: tuple[str, ...] = _OWN_FILES
) -> tuple[ImageInput, ...]:
    """Return sealtune's own sources as inputs of an image: its modules as one, and each file."""
    listed = b"".join(
        f"{sha256_digest(file.source)} {file.path}\n".encode()
        for file in sorted(sources.files, key=lambda file: file.path)
    )
    content = {"sealtune": listed, **{name: own_file(name) for name in files}}
    return tuple(
        ImageInput(
            kind="source",
            name=name,
            version=sources.version,
            sha256=sha256_digest(data).removeprefix("sha256:"),
        )
        for name, data in content.items()
    )


def image_input(item: PinnedInput) -> ImageInput:
    """Return `item` as `image.json` has it."""
    return ImageInput(
        kind=item.kind.value, name=item.name, version=item.version, sha256=item.sha256
    )


def used_inputs(lock: tuple[PinnedInput, ...], *uses: Use) -> list[PinnedInput]:
    """Return the Debian packages that are for one of `uses`."""
    return [item for item in lock if item.uses & set(uses)]


def wheels_of(lock: tuple[PinnedInput, ...]) -> list[PinnedInput]:
    """Return the wheels."""
    return [item for item in lock if item.kind is InputKind.WHEEL]


def _kernel(tools: Tree) -> Path:
    found = list((tools.folder / "boot").glob("vmlinuz-*"))
    if len(found) != 1:
        raise StorageError(Code.BUILD_FAILED, "the kernel package has not one kernel")
    return found[0]


def settle(made: Path, file: ImageFile) -> None:
    """See that `file` of the folder `made` is on the disk, readable by all."""
    path = made / file.name
    path.chmod(0o644)
    with storage_errors(path), path.open("rb+") as opened:
        # `image.json` must not be on the disk before what it names.
        os.fsync(opened.fileno())


def _require_free(folder: Path) -> None:
    with storage_errors(folder):
        if not folder.parent.is_dir():
            raise StorageError(Code.FILE_MISSING, f"{folder.parent}: no such folder")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StorageError(
                Code.FILE_EXISTS,
                f"{folder} exists already",
                remedy="give a new folder, or delete this one",
            )


@contextlib.contextmanager
def _work_folder(folder: Path, work: Path | None) -> Iterator[Path]:
    place = folder.parent if work is None else work
    with storage_errors(place):
        if shutil.disk_usage(place).free < _WORK_BYTES:
            raise StorageError(
                Code.DISK_FULL,
                f"{place}: a build needs {_WORK_BYTES // GIB} GiB while it runs",
                remedy="make room, or name a folder on another disk with --work",
            )
        with tempfile.TemporaryDirectory(dir=place, prefix=f".{folder.name}.") as scratch:
            yield Path(scratch).resolve()


def _move(made: Path, folder: Path) -> None:
    """Make `made` the folder `folder`; across disks through a copy beside it."""
    with storage_errors(folder):
        if made.stat().st_dev == folder.parent.stat().st_dev:
            made.chmod(0o755)
            made.replace(folder)
            sync_folder(folder.parent)
            return
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as near:
            copied = Path(near) / "image"
            shutil.copytree(made, copied)
            _move(copied, folder)
