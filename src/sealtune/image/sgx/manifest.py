"""`image.json` of an image for SGX, and its reader, which believes no file (spec/image §9).

`image.json` names the template by its hash, and the template every file of the tree.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest, sha256_file
from sealtune.core.files import read_bounded, storage_errors
from sealtune.errors import Code, StorageError, VerificationError
from sealtune.image.manifest import Image, read_image
from sealtune.image.manifest_parts import (
    Contents,
    ImageFile,
    check_file,
    check_names,
    contents_json,
    file_json,
    image_tee,
    malformed,
    number,
    object_of,
    parse_contents,
    parse_file,
    parse_members,
    read_manifest,
)
from sealtune.image.sgx.template import (
    ENCLAVE_BYTES_MAX,
    FILES_MAX,
    ROOT_NAME,
    TEMPLATE_BYTES_MAX,
    TEMPLATE_NAME,
    Enclave,
    Template,
    enclave_size_text,
    read_template,
)

SGX: Final = "sgx"
_REMEDY: Final = "copy the whole image again, or build it again with `sealtune image build`"


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxManifest:
    """What the `image.json` of an image for SGX says; `tree_files` is how many files `root` has."""

    contents: Contents
    template: ImageFile
    tree_files: int
    tree_bytes: int
    enclave: Enclave

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """The files beside `image.json` and the tree."""
        return (self.template, self.contents.sbom)


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxImage:
    """An image folder whose every file is the one that `image.json` or the template names."""

    folder: Path
    manifest: SgxManifest
    digest: str

    @property
    def root(self) -> Path:
        """The folder of what the enclave may open."""
        return self.folder / ROOT_NAME

    def path(self, file: ImageFile) -> Path:
        """Return where `file` is."""
        return self.folder / file.name


def read_any_image(folder: Path) -> Image | SgxImage:
    """Read the image in `folder`, whatever it is for, and check every file of it.

    Raises:
        As `read_image` and `read_sgx_image`.
    """
    if image_tee(read_manifest(folder)) == SGX:
        return read_sgx_image(folder)
    return read_image(folder)


def read_sgx_image(folder: Path) -> SgxImage:
    """Read the image in `folder` and check every file of it.

    Raises:
        FormatError: `image.json` or the template cannot be read.
        StorageError: a file is missing or cannot be read.
        VerificationError: a file is another one, or one more; the message names it.
    """
    data = read_manifest(folder)
    manifest = parse_sgx_manifest(data)
    for file in manifest.files:
        check_file(folder / file.name, file)
    text = read_bounded(folder / TEMPLATE_NAME, limit=TEMPLATE_BYTES_MAX, what="template")
    template = read_template(text)
    _check_enclave(manifest, template)
    found = check_tree(folder / ROOT_NAME, template.files)
    if (len(template.files), found) != (manifest.tree_files, manifest.tree_bytes):
        raise malformed("the tree has another number of files or bytes")
    digest = sha256_digest(data).removeprefix("sha256:")
    return SgxImage(folder=folder, manifest=manifest, digest=digest)


def check_tree(root: Path, files: Mapping[str, str]) -> int:
    """See that the tree `root` has `files`, by path and SHA-256, and no other; return its bytes.

    Raises:
        StorageError: a file is missing or cannot be read.
        VerificationError: a file is another one, or one more; the message names it.
    """
    size = 0
    with storage_errors(root):
        present = {path.relative_to(root).as_posix() for path in tree_paths(root)}
        for path in sorted(present - files.keys()):
            raise _mismatch(root / path, "not a file that the template names")
        for path, digest in sorted(files.items()):
            place = root / path
            if path not in present:
                raise StorageError(Code.FILE_MISSING, f"{place}: no such file", remedy=_REMEDY)
            if sha256_file(place) != f"sha256:{digest}":
                raise _mismatch(place, "not the file that the template names")
            size += place.stat().st_size
    return size


def tree_paths(root: Path) -> list[Path]:
    """Return every file below `root`.

    Raises:
        VerificationError: there is something that is neither a regular file nor a folder, or more
            than an image may hold.
    """
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        place = Path(folder)
        for name in (*folders, *names):
            path = place / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise _mismatch(path, "neither a regular file nor a folder")
        found += [place / name for name in names]
        if len(found) > FILES_MAX:
            raise _mismatch(root, f"more than {FILES_MAX} files")
    return found


def sgx_manifest_json(manifest: SgxManifest) -> bytes:
    """Return `image.json`, canonical."""
    return canonical_json(
        {
            **contents_json(manifest.contents, tee=SGX),
            "files": {"template": file_json(manifest.template)},
            "tree": {"files": manifest.tree_files, "bytes": manifest.tree_bytes},
            "enclave": {"bytes": manifest.enclave.bytes, "threads": manifest.enclave.threads},
        }
    )


def parse_sgx_manifest(data: bytes) -> SgxManifest:
    """Return what the `image.json` in `data` says.

    Raises:
        FormatError: it is no manifest of an image for SGX, or not in canonical form.
    """
    top = parse_members(data, tee=SGX, members=("enclave", "files", "tree"))
    files = object_of(top["files"], "files", ("template",))
    tree = object_of(top["tree"], "tree", ("bytes", "files"))
    manifest = SgxManifest(
        contents=parse_contents(top),
        template=parse_file(files["template"], "template"),
        tree_files=number(tree, "files", limit=FILES_MAX),
        tree_bytes=number(tree, "bytes"),
        enclave=_enclave(object_of(top["enclave"], "enclave", ("bytes", "threads"))),
    )
    check_names(manifest.files)
    if manifest.template.name != TEMPLATE_NAME:
        raise malformed(f"the template is not called {TEMPLATE_NAME}")
    if sgx_manifest_json(manifest) != data:
        raise malformed("it is not in canonical form")
    return manifest


def _enclave(row: Mapping[str, Any]) -> Enclave:
    size, threads = number(row, "bytes", limit=ENCLAVE_BYTES_MAX), number(row, "threads")
    try:
        return Enclave(bytes=size, threads=threads)
    except ValueError as error:
        raise malformed(str(error)) from None


def _check_enclave(manifest: SgxManifest, template: Template) -> None:
    enclave = manifest.enclave
    wanted = (enclave_size_text(enclave.bytes), enclave.max_threads)
    if (template.enclave_size, template.max_threads) != wanted:
        raise malformed("the template is of another size or number of threads")


def _mismatch(path: Path, how: str) -> VerificationError:
    return VerificationError(Code.IMAGE_MISMATCH, f"{path}: {how}", remedy=_REMEDY)
