"""What every `image.json` says, and how its members are read (spec/image §6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sealtune.core.canonical import parse_json
from sealtune.core.digest import sha256_file
from sealtune.core.files import read_bounded, storage_errors
from sealtune.core.limits import GIB, MIB
from sealtune.errors import Code, FormatError, StorageError, VerificationError

FORMAT: Final = "sealtune-image/1"
MANIFEST_NAME: Final = "image.json"
MANIFEST_BYTES_MAX: Final = 1 * MIB  # 5x one with 60 inputs, 100 of them, and long names
FILE_BYTES_MAX: Final = 4 * GIB
SHA256: Final = re.compile(r"[0-9a-f]{64}")
HEX: Final = re.compile(r"[0-9a-f]{2,512}")
_INPUTS_MAX: Final = 1024
_TOOLS_MAX: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._@-]{0,199}")
_VERSION: Final = re.compile(r"[!-~]{1,200}")
_KINDS: Final = frozenset({"deb", "wheel", "source"})
CONTENTS: Final = ("created_epoch", "enclave_code", "format", "inputs", "sbom", "tee", "tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A file of the image folder."""

    name: str
    sha256: str
    bytes: int


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
class Contents:
    """Of what an image was made, and when."""

    created_epoch: int
    sbom: ImageFile
    inputs: tuple[ImageInput, ...]
    tools: Mapping[str, str]
    enclave_code: EnclaveCode


def image_file(path: Path) -> ImageFile:
    """Return the file at `path` as a manifest names it."""
    with storage_errors(path):
        digest = sha256_file(path).removeprefix("sha256:")
        return ImageFile(name=path.name, sha256=digest, bytes=path.stat().st_size)


def read_manifest(folder: Path) -> bytes:
    """Return the bytes of the `image.json` in `folder`, which nobody has parsed.

    Raises:
        FormatError: it is too large to be one.
        StorageError: it is missing or cannot be read.
    """
    return read_bounded(folder / MANIFEST_NAME, limit=MANIFEST_BYTES_MAX, what="image manifest")


def image_tee(data: bytes) -> str:
    """Return what the image with this `image.json` is for; nothing else of it is checked.

    Raises:
        FormatError: it says neither format nor TEE.
    """
    value = parse_json(data, limit=MANIFEST_BYTES_MAX, what=MANIFEST_NAME)
    if not isinstance(value, dict) or not isinstance(value.get("tee"), str):
        raise malformed("it does not say what the image is for")
    return str(value["tee"])


def parse_members(data: bytes, *, tee: str, members: Iterable[str]) -> dict[str, Any]:
    """Return the members of the `image.json` in `data`: those of `Contents` and `members`.

    Raises:
        FormatError: it is no manifest of this version, or of an image for something else.
    """
    value = parse_json(data, limit=MANIFEST_BYTES_MAX, what=MANIFEST_NAME)
    top = object_of(value, "it", sorted((*CONTENTS, *members)))
    if top["format"] != FORMAT:
        raise malformed(f"its format is not {FORMAT}")
    if top["tee"] != tee:
        raise malformed(f"the tee {str(top['tee'])[:40]!r} is not known")
    return top


def contents_json(contents: Contents, *, tee: str) -> dict[str, Any]:
    """Return the members of `image.json` that every image has."""
    code = contents.enclave_code
    return {
        "format": FORMAT,
        "tee": tee,
        "created_epoch": contents.created_epoch,
        "sbom": file_json(contents.sbom),
        "inputs": [
            {"kind": i.kind, "name": i.name, "version": i.version, "sha256": i.sha256}
            for i in contents.inputs
        ],
        "tools": dict(contents.tools),
        "enclave_code": {"modules": code.modules, "lines": code.lines, "digest": code.digest},
    }


def parse_contents(top: Mapping[str, Any]) -> Contents:
    """Return what the members that every image has say.

    Raises:
        FormatError: one of them cannot be one.
    """
    return Contents(
        created_epoch=number(top, "created_epoch"),
        sbom=parse_file(top["sbom"], "sbom"),
        inputs=tuple(map(_input, _rows(top["inputs"]))),
        tools=_tools(top["tools"]),
        enclave_code=_enclave_code(top["enclave_code"]),
    )


def check_names(files: Iterable[ImageFile]) -> None:
    """See that each file has a name of its own.

    Raises:
        FormatError: two have one.
    """
    names = [file.name for file in files]
    if len({*names, MANIFEST_NAME}) != len(names) + 1:
        raise malformed("two files have one name")


def check_file(path: Path, file: ImageFile) -> None:
    """See that the file at `path` is `file`.

    Raises:
        StorageError: it is missing or cannot be read.
        VerificationError: it is another.
    """
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


def file_json(file: ImageFile) -> dict[str, Any]:
    """Return `file` as `image.json` has it."""
    return {"name": file.name, "sha256": file.sha256, "bytes": file.bytes}


def object_of(value: object, what: str, names: Iterable[str]) -> dict[str, Any]:
    """Return `value` if it is an object with the members `names` and no other."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise malformed(f"{what} has other members than {', '.join(names)}")
    return value


def _rows(value: object) -> list[object]:
    if not isinstance(value, list) or len(value) > _INPUTS_MAX:
        raise malformed(f"inputs is no list of at most {_INPUTS_MAX}")
    return value


def number(row: Mapping[str, Any], name: str, *, limit: int = 2**53 - 1) -> int:
    """Return the member `name` if it is a number from 0 to `limit`."""
    value = row[name]
    if type(value) is not int or not 0 <= value <= limit:
        raise malformed(f"{name} is no number from 0 to {limit}")
    return value


def text(row: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    """Return the member `name` if it is a text of `pattern`."""
    value = row[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise malformed(f"{name} cannot be one")
    return value


def parse_file(value: object, what: str) -> ImageFile:
    """Return the file that `value` describes."""
    row = object_of(value, what, ("bytes", "name", "sha256"))
    # A name without a slash, not starting with a dot: a file of the image's own folder.
    return ImageFile(
        name=text(row, "name", _NAME),
        sha256=text(row, "sha256", SHA256),
        bytes=number(row, "bytes", limit=FILE_BYTES_MAX),
    )


def _input(value: object) -> ImageInput:
    row = object_of(value, "an input", ("kind", "name", "sha256", "version"))
    if row["kind"] not in _KINDS:
        raise malformed(f"an input has the kind {str(row['kind'])[:40]!r}")
    return ImageInput(
        kind=row["kind"],
        name=text(row, "name", _NAME),
        version=text(row, "version", _VERSION),
        sha256=text(row, "sha256", SHA256),
    )


def _tools(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _TOOLS_MAX:
        raise malformed(f"tools is no object of at most {_TOOLS_MAX}")
    if not all(_NAME.fullmatch(name) for name in value):
        raise malformed("a tool's name cannot be one")
    return {name: text(value, name, _VERSION) for name in value}


def _enclave_code(value: object) -> EnclaveCode:
    row = object_of(value, "enclave_code", ("digest", "lines", "modules"))
    return EnclaveCode(
        modules=number(row, "modules"),
        lines=number(row, "lines"),
        digest=text(row, "digest", HEX),
    )


def malformed(reason: str) -> FormatError:
    """Return the error that says why an `image.json` is none."""
    return FormatError(Code.IMAGE_MALFORMED, f"{MANIFEST_NAME}: {reason}")
