"""`image.json`: what an enclave image is, and the one reader that believes none of its files.

Format and members are those of spec/image §6. Reading checks every file against its hash; whether
the image is the one that a contract accepts is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import sha256_digest, sha256_file
from sealtune.core.files import read_bounded, storage_errors
from sealtune.core.limits import GIB, MIB
from sealtune.errors import Code, FormatError, StorageError, VerificationError

FORMAT: Final = "sealtune-image/1"
MANIFEST_NAME: Final = "image.json"
_MANIFEST_BYTES_MAX: Final = 1 * MIB  # 5x one with 60 inputs, 100 of them, and long names
_FILE_BYTES_MAX: Final = 4 * GIB
_INPUTS_MAX: Final = 1024
_TOOLS_MAX: Final = 32
_COMMAND_LINE_MAX: Final = 2047  # the kernel's COMMAND_LINE_SIZE on x86, less the NUL
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_HEX: Final = re.compile(r"[0-9a-f]{2,512}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._@-]{0,199}")
_VERSION: Final = re.compile(r"[!-~]{1,200}")
_COMMAND_LINE: Final = re.compile(r"[ -~]*")
_KINDS: Final = frozenset({"deb", "wheel", "source"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A file of the image folder."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verity:
    """How the root disk is checked; `salt` and `root_hash` in hexadecimal."""

    root_hash: str
    hash_offset: int
    salt: str
    block_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """Something that the image was made of: a package, or sources of sealtune's own."""

    kind: str
    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveCode:
    """sealtune's own Python code in the image; `lines` leaves out empty ones and comments."""

    modules: int
    lines: int
    digest: str


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
    tee: str = "vm"

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """The files beside `image.json`."""
        return (self.kernel, self.initrd, self.root, self.sbom)


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
        FormatError: `image.json` cannot be read.
        StorageError: a file is missing or cannot be read.
        VerificationError: a file is another one; the message names it.
    """
    data = read_bounded(folder / MANIFEST_NAME, limit=_MANIFEST_BYTES_MAX, what="image manifest")
    manifest = parse_manifest(data)
    for file in manifest.files:
        _check_file(folder / file.name, file)
    digest = sha256_digest(data).removeprefix("sha256:")
    return Image(folder=folder, manifest=manifest, digest=digest)


def image_file(path: Path) -> ImageFile:
    """Return the file at `path` as a manifest names it."""
    with storage_errors(path):
        digest = sha256_file(path).removeprefix("sha256:")
        return ImageFile(name=path.name, sha256=digest, bytes=path.stat().st_size)


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
            "format": FORMAT,
            "tee": manifest.tee,
            "created_epoch": manifest.created_epoch,
            "files": {
                "kernel": _plain(manifest.kernel),
                "initrd": _plain(manifest.initrd),
                "root": _plain(manifest.root),
            },
            "sbom": _plain(manifest.sbom),
            "cmdline": manifest.cmdline,
            "verity": {
                "root_hash": manifest.verity.root_hash,
                "hash_offset": manifest.verity.hash_offset,
                "salt": manifest.verity.salt,
                "block_size": manifest.verity.block_size,
            },
            "inputs": [
                {"kind": i.kind, "name": i.name, "version": i.version, "sha256": i.sha256}
                for i in manifest.inputs
            ],
            "tools": dict(manifest.tools),
            "enclave_code": {
                "modules": manifest.enclave_code.modules,
                "lines": manifest.enclave_code.lines,
                "digest": manifest.enclave_code.digest,
            },
        }
    )


def parse_manifest(data: bytes) -> ImageManifest:
    """Return what the `image.json` in `data` says.

    Raises:
        FormatError: it is no manifest of this version, or not in canonical form.
    """
    value = parse_json(data, limit=_MANIFEST_BYTES_MAX, what=MANIFEST_NAME)
    top = _object(value, "it", _TOP)
    if top["format"] != FORMAT:
        raise _malformed(f"its format is not {FORMAT}")
    if top["tee"] != "vm":
        raise _malformed(f"the tee {str(top['tee'])[:40]!r} is not known")
    files = _object(top["files"], "files", ("initrd", "kernel", "root"))
    manifest = ImageManifest(
        created_epoch=_number(top, "created_epoch"),
        kernel=_file(files["kernel"], "kernel"),
        initrd=_file(files["initrd"], "initrd"),
        root=_file(files["root"], "root"),
        sbom=_file(top["sbom"], "sbom"),
        cmdline=_cmdline(top["cmdline"]),
        verity=_verity(top["verity"]),
        inputs=tuple(map(_input, _rows(top["inputs"]))),
        tools=_tools(top["tools"]),
        enclave_code=_enclave_code(top["enclave_code"]),
    )
    _check_whole(manifest)
    # One image, one digest: the same content in another form would have another.
    if manifest_json(manifest) != data:
        raise _malformed("it is not in canonical form")
    return manifest


_TOP: Final = (
    *("cmdline", "created_epoch", "enclave_code", "files", "format", "inputs", "sbom", "tee"),
    *("tools", "verity"),
)


def _check_whole(manifest: ImageManifest) -> None:
    names = [file.name for file in manifest.files]
    if len({*names, MANIFEST_NAME}) != len(names) + 1:
        raise _malformed("two files have one name")
    words = manifest.cmdline.split(" ")
    # The root hash is what ties the root disk to the measured command line.
    for word in (
        f"verity.roothash={manifest.verity.root_hash}",
        f"verity.hashoffset={manifest.verity.hash_offset}",
    ):
        if words.count(word) != 1:
            raise _malformed(f"the command line has not the word {word} once")


def _check_file(path: Path, file: ImageFile) -> None:
    with storage_errors(path):
        if not path.is_file():
            raise StorageError(Code.FILE_MISSING, f"{path}: no such file")
        size = path.stat().st_size
        same = size == file.bytes and sha256_file(path) == f"sha256:{file.sha256}"
    if not same:
        raise VerificationError(
            Code.IMAGE_MISMATCH,
            f"{path}: not the file that {MANIFEST_NAME} names",
            remedy="copy the whole image again, or build it again with `sealtune image build`",
        )


def _plain(file: ImageFile) -> dict[str, Any]:
    return {"name": file.name, "sha256": file.sha256, "bytes": file.bytes}


def _object(value: object, what: str, names: Iterable[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise _malformed(f"{what} has other members than {', '.join(names)}")
    return value


def _rows(value: object) -> list[object]:
    if not isinstance(value, list) or len(value) > _INPUTS_MAX:
        raise _malformed(f"inputs is no list of at most {_INPUTS_MAX}")
    return value


def _number(row: Mapping[str, Any], name: str, *, limit: int = 2**53 - 1) -> int:
    value = row[name]
    if type(value) is not int or not 0 <= value <= limit:
        raise _malformed(f"{name} is no number from 0 to {limit}")
    return value


def _text(row: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = row[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _malformed(f"{name} cannot be one")
    return value


def _file(value: object, what: str) -> ImageFile:
    row = _object(value, what, ("bytes", "name", "sha256"))
    # A name without a slash, not starting with a dot: a file of the image's own folder.
    return ImageFile(
        name=_text(row, "name", _NAME),
        sha256=_text(row, "sha256", _SHA256),
        bytes=_number(row, "bytes", limit=_FILE_BYTES_MAX),
    )


def _cmdline(value: object) -> str:
    if not isinstance(value, str) or not _COMMAND_LINE.fullmatch(value):
        raise _malformed("the command line is no printable ASCII")
    if len(value) > _COMMAND_LINE_MAX:
        raise _malformed(f"the command line is longer than {_COMMAND_LINE_MAX}")
    return value


def _verity(value: object) -> Verity:
    row = _object(value, "verity", ("block_size", "hash_offset", "root_hash", "salt"))
    return Verity(
        root_hash=_text(row, "root_hash", _SHA256),
        hash_offset=_number(row, "hash_offset", limit=_FILE_BYTES_MAX),
        salt=_text(row, "salt", _HEX),
        block_size=_number(row, "block_size", limit=65536),
    )


def _input(value: object) -> ImageInput:
    row = _object(value, "an input", ("kind", "name", "sha256", "version"))
    if row["kind"] not in _KINDS:
        raise _malformed(f"an input has the kind {str(row['kind'])[:40]!r}")
    return ImageInput(
        kind=row["kind"],
        name=_text(row, "name", _NAME),
        version=_text(row, "version", _VERSION),
        sha256=_text(row, "sha256", _SHA256),
    )


def _tools(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _TOOLS_MAX:
        raise _malformed(f"tools is no object of at most {_TOOLS_MAX}")
    if not all(_NAME.fullmatch(name) for name in value):
        raise _malformed("a tool's name cannot be one")
    return {name: _text(value, name, _VERSION) for name in value}


def _enclave_code(value: object) -> EnclaveCode:
    row = _object(value, "enclave_code", ("digest", "lines", "modules"))
    return EnclaveCode(
        modules=_number(row, "modules"),
        lines=_number(row, "lines"),
        digest=_text(row, "digest", _HEX),
    )


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.IMAGE_MALFORMED, f"{MANIFEST_NAME}: {reason}")
