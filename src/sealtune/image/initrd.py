"""Makes the initrd: busybox, veritysetup with its libraries, kernel modules and one script.

All of it comes from the pinned packages of the tree `tools` (spec/image §4). Which modules a module
needs is read from the module itself; no depmod runs.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sealtune.errors import Code, StorageError
from sealtune.image.initrd_cpio import Member, cpio, file, folder, link
from sealtune.image.inputs import own_file
from sealtune.image.root_disk import SALT
from sealtune.image.tools import Tree

_VERITYSETUP: Final = "sbin/veritysetup"
_LIBRARIES: Final = "lib/x86_64-linux-gnu"
_LOADER: Final = "ld-linux-x86-64.so.2"
_FOLDERS: Final = ("dev", "newroot", "proc", "run", "sys")
_DEPENDS: Final = re.compile(rb"\0depends=([A-Za-z0-9_,-]*)\0")
_MODULE_BYTES_MAX: Final = 32 * 1024 * 1024  # 10x the largest of the cloud kernel


def make_initrd(
    *, path: Path, tools: Tree, required: Sequence[str], optional: Sequence[str]
) -> None:
    """Write the initrd to `path`.

    Raises:
        StorageError: a module or a library is missing, or zstd failed.
    """
    plain = path.with_suffix(".cpio")
    plain.write_bytes(cpio(_members(tools, required=required, optional=optional)))
    # One thread: with more, zstd divides its input by their number.
    arguments = ("-19", "-T1", "--quiet", "--force", "--no-progress")
    tools.run("usr/bin/zstd", *arguments, str(plain), "-o", str(path))
    plain.unlink()


def _members(tools: Tree, *, required: Sequence[str], optional: Sequence[str]) -> Iterator[Member]:
    script = own_file("initrd_init").replace(b"@SALT@", SALT.encode("ascii"))
    yield file("init", script, executable=True)
    yield file("bin/busybox", (tools.folder / "bin/busybox").read_bytes(), executable=True)
    yield file(_VERITYSETUP, (tools.folder / _VERITYSETUP).read_bytes(), executable=True)
    for library in tools.libraries(_VERITYSETUP):
        yield file(f"{_LIBRARIES}/{library.name}", library.read_bytes(), executable=True)
    yield link(f"lib64/{_LOADER}", f"/{_LIBRARIES}/{_LOADER}")
    yield from map(folder, _FOLDERS)
    yield from _module_members(kernel_modules(tools), required=required, optional=optional)


def kernel_modules(tools: Tree) -> dict[str, Path]:
    """Return the kernel's modules by name, `-` read as `_` as the kernel does."""
    places = (tools.folder / "lib/modules").glob("*/kernel/**/*.ko.xz")
    return {_named(path.name.removesuffix(".ko.xz")): path for path in places}


def _module_members(
    available: dict[str, Path], *, required: Sequence[str], optional: Sequence[str]
) -> Iterator[Member]:
    content: dict[str, bytes] = {}

    def add(name: str) -> list[str]:
        """Return `name` and what it needs, in the order of loading."""
        if name in content:
            return []
        if name not in available:
            raise StorageError(Code.BUILD_FAILED, f"the kernel package has no module {name}")
        content[name] = module = _decompressed(available[name])
        return [*(found for need in _needs(module) for found in add(need)), name]

    for list_name, names in (("required", required), ("optional", optional)):
        order = [found for name in names for found in add(_named(name))]
        text = "".join(f"{name}.ko\n" for name in order)
        yield file(f"lib/modules/{list_name}", text.encode("ascii"), executable=False)
    for name, module in content.items():
        yield file(f"lib/modules/{name}.ko", module, executable=False)


def _needs(module: bytes) -> list[str]:
    found = _DEPENDS.search(module)
    names = found[1].decode("ascii") if found else ""
    return [_named(name) for name in names.split(",") if name]


def _decompressed(path: Path) -> bytes:
    module = lzma.LZMADecompressor().decompress(path.read_bytes(), max_length=_MODULE_BYTES_MAX)
    if not module.startswith(b"\x7fELF") or len(module) == _MODULE_BYTES_MAX:
        raise StorageError(Code.BUILD_FAILED, f"{path.name}: no kernel module")
    return module


def _named(name: str) -> str:
    return name.replace("-", "_")
