"""`image.json` of an image for virtual machines, and its reader, which believes no file.

Format and members are those of spec/image §6. Reading checks every file against its hash; whether
the image is the one that a contract accepts is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.errors import Code, ConfigError
from sealtune.image.manifest_parts import (
    FILE_BYTES_MAX,
    HEX,
    MANIFEST_NAME,
    SHA256,
    Contents,
    EnclaveCode,
    ImageFile,
    ImageInput,
    check_file,
    check_names,
    contents_json,
    file_json,
    image_file,
    image_tee,
    malformed,
    number,
    object_of,
    parse_contents,
    parse_file,
    parse_members,
    read_manifest,
    text,
)

__all__ = [
    "MANIFEST_NAME",
    "EnclaveCode",
    "Image",
    "ImageFile",
    "ImageInput",
    "ImageManifest",
    "Verity",
    "command_line",
    "image_file",
    "manifest_json",
    "parse_manifest",
    "read_image",
]

VM: Final = "vm"
_COMMAND_LINE_MAX: Final = 2047  # the kernel's COMMAND_LINE_SIZE on x86, less the NUL
_COMMAND_LINE: Final = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verity:
    """How the root disk is checked; `salt` and `root_hash` in hexadecimal."""

    root_hash: str
    hash_offset: int
    salt: str
    block_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest:
    """What `image.json` says."""

    created_epoch: int
    kernel: ImageFile
    initrd: ImageFile
    root: ImageFile
    sbom: ImageFile
    cmdline: str
    verity: Verity
    inputs: tuple[ImageInput, ...]
    tools: Mapping[str, str]
    enclave_code: EnclaveCode
    tee: str = VM

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """The files beside `image.json`."""
        return (self.kernel, self.initrd, self.root, self.sbom)

    @property
    def contents(self) -> Contents:
        """What every image says."""
        return Contents(
            created_epoch=self.created_epoch,
            sbom=self.sbom,
            inputs=self.inputs,
            tools=self.tools,
            enclave_code=self.enclave_code,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image folder whose every file is the one that its `image.json` names.

    `digest` is the SHA-256 of `image.json`, which so names the whole image.
    """

    folder: Path
    manifest: ImageManifest
    digest: str

    def path(self, file: ImageFile) -> Path:
        """Return where `file` is."""
        return self.folder / file.name


def read_image(folder: Path) -> Image:
    """Read the image in `folder` and check every file against `image.json`.

    Raises:
        ConfigError: the image is for another TEE.
        FormatError: `image.json` cannot be read.
        StorageError: a file is missing or cannot be read.
        VerificationError: a file is another one; the message names it.
    """
    data = read_manifest(folder)
    if image_tee(data) == "sgx":
        remedy = "give an image that `sealtune image build` made for virtual machines"
        raise ConfigError(Code.CONFIG_INVALID, f"{folder}: an image for SGX", remedy=remedy)
    manifest = parse_manifest(data)
    for file in manifest.files:
        check_file(folder / file.name, file)
    digest = sha256_digest(data).removeprefix("sha256:")
    return Image(folder=folder, manifest=manifest, digest=digest)


def command_line(verity: Verity) -> str:
    """Return the kernel's command line of an image: it names no console, so there is none."""
    # no_timer_check: under emulation on a busy host the kernel's check of its timer takes the
    # host's delays for a broken machine and panics. Under KVM Linux leaves the check out itself.
    return (
        "panic=-1 quiet no_timer_check lockdown=confidentiality"
        f" verity.roothash={verity.root_hash} verity.hashoffset={verity.hash_offset}"
        " rootfs=squashfs"
    )


def manifest_json(manifest: ImageManifest) -> bytes:
    """Return `image.json`, canonical."""
    return canonical_json(
        {
            **contents_json(manifest.contents, tee=manifest.tee),
            "files": {
                "kernel": file_json(manifest.kernel),
                "initrd": file_json(manifest.initrd),
                "root": file_json(manifest.root),
            },
            "cmdline": manifest.cmdline,
            "verity": {
                "root_hash": manifest.verity.root_hash,
                "hash_offset": manifest.verity.hash_offset,
                "salt": manifest.verity.salt,
                "block_size": manifest.verity.block_size,
            },
        }
    )


def parse_manifest(data: bytes) -> ImageManifest:
    """Return what the `image.json` in `data` says.

    Raises:
        FormatError: it is no manifest of this version, or not in canonical form.
    """
    top = parse_members(data, tee=VM, members=("cmdline", "files", "verity"))
    files = object_of(top["files"], "files", ("initrd", "kernel", "root"))
    contents = parse_contents(top)
    manifest = ImageManifest(
        created_epoch=contents.created_epoch,
        kernel=parse_file(files["kernel"], "kernel"),
        initrd=parse_file(files["initrd"], "initrd"),
        root=parse_file(files["root"], "root"),
        sbom=contents.sbom,
        cmdline=_cmdline(top["cmdline"]),
        verity=_verity(top["verity"]),
        inputs=contents.inputs,
        tools=contents.tools,
        enclave_code=contents.enclave_code,
    )
    _check_whole(manifest)
    # One image, one digest: the same content in another form would have another.
    if manifest_json(manifest) != data:
        raise malformed("it is not in canonical form")
    return manifest


def _check_whole(manifest: ImageManifest) -> None:
    check_names(manifest.files)
    words = manifest.cmdline.split(" ")
    # The root hash is what ties the root disk to the measured command line.
    for word in (
        f"verity.roothash={manifest.verity.root_hash}",
        f"verity.hashoffset={manifest.verity.hash_offset}",
    ):
        if words.count(word) != 1:
            raise malformed(f"the command line has not the word {word} once")


def _cmdline(value: object) -> str:
    if not isinstance(value, str) or not _COMMAND_LINE.fullmatch(value):
        raise malformed("the command line is no printable ASCII")
    if len(value) > _COMMAND_LINE_MAX:
        raise malformed(f"the command line is longer than {_COMMAND_LINE_MAX}")
    return value


def _verity(value: object) -> Verity:
    row = object_of(value, "verity", ("block_size", "hash_offset", "root_hash", "salt"))
    return Verity(
        root_hash=text(row, "root_hash", SHA256),
        hash_offset=number(row, "hash_offset", limit=FILE_BYTES_MAX),
        salt=text(row, "salt", HEX),
        block_size=number(row, "block_size", limit=65536),
    )
