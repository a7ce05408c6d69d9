"""An image folder for SGX: every file of the tree is compared, and none may be more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image.folders import write_image
from image.sgx_folders import ENCLAVE, TREE, describe, write_sgx_image
from sealtune.core.canonical import canonical_json
from sealtune.core.limits import GIB
from sealtune.errors import Code, SealtuneError, StorageError
from sealtune.image.manifest import Image, read_image
from sealtune.image.sgx import manifest as manifest_module
from sealtune.image.sgx.manifest import (
    SgxImage,
    parse_sgx_manifest,
    read_any_image,
    read_sgx_image,
    sgx_manifest_json,
    tree_paths,
)
from sealtune.image.sgx.template import TEMPLATE_NAME, Enclave, template_text
from sealtune.image.sgx.tree import settle_tree, tree_digests
from sealtune.image.sgx.verify import compare_sgx_images

PYTHON = "root/usr/bin/python3.11"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sgx_image(tmp_path / "image")
    return tmp_path / "image"


def refused(folder: Path) -> Code:
    with pytest.raises(SealtuneError) as caught:
        read_sgx_image(folder)
    return caught.value.code


def test_what_was_written_is_read(folder: Path) -> None:
    image = read_sgx_image(folder)
    assert parse_sgx_manifest(sgx_manifest_json(image.manifest)) == image.manifest
    assert image.manifest.enclave == ENCLAVE
    assert image.manifest.tree_files == len(TREE)
    assert isinstance(read_any_image(folder), SgxImage)


def test_images_of_both_kinds_are_told_apart(folder: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "vm")
    assert isinstance(read_any_image(tmp_path / "vm"), Image)
    with pytest.raises(SealtuneError) as caught:
        read_image(folder)
    assert caught.value.code is Code.CONFIG_INVALID
    assert refused(tmp_path / "vm") is Code.IMAGE_MALFORMED


def _write(name: str, data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def _link(folder: Path) -> None:
    (folder / PYTHON).rename(folder / "python")
    (folder / PYTHON).symlink_to(folder / "python")


def _linked_folder(folder: Path) -> None:
    (folder / "root/usr").rename(folder / "usr")
    (folder / "root/usr").symlink_to(folder / "usr")


CHANGES: dict[str, tuple[Callable[[Path], None], Code]] = {
    "a-changed-byte": (_write(PYTHON, b"\x7fELG"), Code.IMAGE_MISMATCH),
    "a-longer-file": (_write(PYTHON, b"\x7fELF "), Code.IMAGE_MISMATCH),
    "a-missing-file": (lambda folder: (folder / PYTHON).unlink(), Code.FILE_MISSING),
    "a-file-more": (_write("root/usr/bin/sh", b"#!"), Code.IMAGE_MISMATCH),
    "a-file-beside-usr": (_write("root/motd", b""), Code.IMAGE_MISMATCH),
    "a-link": (_link, Code.IMAGE_MISMATCH),
    "a-linked-folder": (_linked_folder, Code.IMAGE_MISMATCH),
    "a-pipe": (lambda folder: os.mkfifo(folder / "root/usr/pipe"), Code.IMAGE_MISMATCH),
    "a-changed-bill": (_write("sbom.cdx.json", b"[]"), Code.IMAGE_MISMATCH),
    "a-missing-template": (lambda folder: (folder / TEMPLATE_NAME).unlink(), Code.FILE_MISSING),
    "a-changed-template": (_write(TEMPLATE_NAME, b"sgx = 1"), Code.IMAGE_MISMATCH),
    "no-image": (lambda folder: (folder / "image.json").unlink(), Code.FILE_MISSING),
}


@pytest.mark.parametrize(("change", "code"), CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_folder_is_refused(
    folder: Path, change: Callable[[Path], None], code: Code
) -> None:
    change(folder)
    assert refused(folder) is code


def test_the_changed_file_is_named(folder: Path) -> None:
    (folder / PYTHON).write_bytes(b"other")
    with pytest.raises(SealtuneError, match=r"python3\.11"):
        read_sgx_image(folder)


def test_what_gramine_adds_beside_the_tree_is_no_part_of_it(folder: Path) -> None:
    before = read_sgx_image(folder).digest
    (folder / "sealtune.sig").write_bytes(b"signed")
    assert read_sgx_image(folder).digest == before


def test_a_template_for_another_enclave_is_refused(folder: Path) -> None:
    files = tree_digests(folder / "root")
    for other in (Enclave(bytes=4 * GIB, threads=2), Enclave(bytes=8 * GIB, threads=3)):
        (folder / TEMPLATE_NAME).write_bytes(template_text(files, other))
        describe(folder)
        assert refused(folder) is Code.IMAGE_MALFORMED


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        for name in path[:-1]:
            value = value[name]
        value[path[-1]] = to

    return change


MALFORMED = {
    "another-tee": _set("tee", to="nitro"),
    "a-member-more": _set("cmdline", to="quiet"),
    "another-format": _set("format", to="sealtune-image/2"),
    "another-count": _set("tree", "files", to=4),
    "another-size": _set("tree", "bytes", to=4),
    "too-many-files": _set("tree", "files", to=10**6),
    "an-odd-enclave": _set("enclave", "bytes", to=3 * GIB),
    "no-threads": _set("enclave", "threads", to=0),
    "another-enclave": _set("enclave", "bytes", to=4 * GIB),
    "another-template": _set("files", "template", "name", to="other"),
    "one-name-twice": _set("sbom", "name", to=TEMPLATE_NAME),
    "a-kernel": _set("files", "kernel", to={}),
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
def test_another_image_json_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    value = json.loads((folder / "image.json").read_bytes())
    change(value)
    (folder / "image.json").write_bytes(canonical_json(value))
    assert refused(folder) in (Code.IMAGE_MALFORMED, Code.IMAGE_MISMATCH)
    with pytest.raises(SealtuneError):
        read_any_image(folder)


def test_another_form_is_refused(folder: Path) -> None:
    value = json.loads((folder / "image.json").read_bytes())
    (folder / "image.json").write_text(json.dumps(value, indent=1))
    assert refused(folder) is Code.IMAGE_MALFORMED


def test_more_files_than_an_image_may_hold_are_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_module, "FILES_MAX", 2)
    with pytest.raises(SealtuneError, match="more than"):
        tree_paths(folder / "root")


# -- the tree --------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What packages leave: two folders of libraries, links, and more than an enclave needs."""
    files = {
        "usr/bin/python3.11": b"python",
        "lib/x86_64-linux-gnu/libz.so.1.2.13": b"zlib",
        "lib/x86_64-linux-gnu/libc.so.6": b"a C library",
        "lib/x86_64-linux-gnu/libcrypt.so.1": b"no C library",
        "usr/lib/x86_64-linux-gnu/libffi.so.8.1.2": b"ffi",
        "etc/passwd": b"root",
    }
    root = tmp_path / "root"
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / "lib/x86_64-linux-gnu/libz.so.1").symlink_to("libz.so.1.2.13")
    (root / "usr/lib/x86_64-linux-gnu/libffi.so.8").symlink_to("libffi.so.8.1.2")
    (root / "lib64").mkdir()
    (root / "lib64/ld-linux-x86-64.so.2").symlink_to("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    (root / "usr/bin/python").symlink_to("/usr/bin/python3.11")
    (root / "usr/bin/python3.11").chmod(0o755)
    return root


def test_a_settled_tree_has_plain_files_below_usr_and_no_c_library(tree: Path) -> None:
    settle_tree(tree)
    found = {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree_paths(tree)}
    libraries = "usr/lib/x86_64-linux-gnu"
    assert found == {
        "usr/bin/python3.11": b"python",
        "usr/bin/python": b"python",
        f"{libraries}/libz.so.1.2.13": b"zlib",
        f"{libraries}/libz.so.1": b"zlib",
        f"{libraries}/libcrypt.so.1": b"no C library",
        f"{libraries}/libffi.so.8.1.2": b"ffi",
        f"{libraries}/libffi.so.8": b"ffi",
    }
    assert (tree / "usr/bin/python").stat().st_mode & 0o111


@pytest.mark.parametrize("target", ["../../../../../etc/hostname", "/etc", "/missing", "../lib"])
def test_a_link_out_of_the_tree_ends_the_build(tree: Path, target: str) -> None:
    (tree / "usr/bin/odd").symlink_to(target)
    with pytest.raises(StorageError) as caught:
        settle_tree(tree)
    assert caught.value.code is Code.BUILD_FAILED


# -- comparing -------------------------------------------------------------------------------------


def test_equal_images_are_equal_and_the_cause_of_a_difference_is_named(
    folder: Path, tmp_path: Path
) -> None:
    write_sgx_image(tmp_path / "rebuilt")
    rebuilt = read_sgx_image(tmp_path / "rebuilt")
    compare_sgx_images(read_sgx_image(folder), rebuilt)
    (folder / PYTHON).write_bytes(b"\x7fELG")
    files = tree_digests(folder / "root")
    (folder / TEMPLATE_NAME).write_bytes(template_text(files, ENCLAVE))
    describe(folder)
    with pytest.raises(SealtuneError, match=r"python3\.11 differs from byte 3") as caught:
        compare_sgx_images(read_sgx_image(folder), rebuilt)
    assert caught.value.code is Code.IMAGE_MISMATCH


def test_other_settings_are_a_difference(folder: Path, tmp_path: Path) -> None:
    write_sgx_image(tmp_path / "rebuilt")
    text = (folder / TEMPLATE_NAME).read_bytes()
    (folder / TEMPLATE_NAME).write_bytes(text.replace(b'"error"', b'"all"'))
    describe(folder)
    with pytest.raises(SealtuneError, match="other settings"):
        compare_sgx_images(read_sgx_image(folder), read_sgx_image(tmp_path / "rebuilt"))
