"""The inputs of an image: which they are, each by SHA-256, and a cache that holds them.

`files/inputs.lock.json` names every package; a file that has another hash is not used, whatever
mirror it came from (spec/image §2). With all of them in the cache a build needs no network.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, Final

from sealtune.core.canonical import parse_json
from sealtune.core.digest import sha256_file
from sealtune.core.files import storage_errors
from sealtune.core.limits import GIB, MIB
from sealtune.errors import Code, FormatError, StorageError

LOCK_FORMAT: Final = "sealtune-image-inputs/1"
_LOCK_BYTES_MAX: Final = 1 * MIB  # about 70 inputs of 200 bytes each
_INPUTS_MAX: Final = 512
_INPUT_BYTES_MAX: Final = 1 * GIB  # torch is the largest, about 190 MB
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,99}")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.:~_-]{0,99}")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.~_%-]{0,199}\.(?:deb|whl)")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class InputKind(StrEnum):
    """What an input is, and so who downloads it."""

    DEB = "deb"
    WHEEL = "wheel"


class Use(StrEnum):
    """What a Debian package is for."""

    ROOT = "root"
    TOOLS = "tools"
    KERNEL = "kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedInput:
    """One file that a build takes in; a wheel has no `uses`."""

    kind: InputKind
    name: str
    version: str
    file: str
    sha256: str
    bytes: int
    uses: frozenset[Use] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """`files/packages.toml`: what an image is made of, before versions are pinned."""

    suites: tuple[str, ...]
    architecture: str
    created_epoch: int
    root: tuple[str, ...]
    tools: tuple[str, ...]
    kernel: str
    required_modules: tuple[str, ...]
    optional_modules: tuple[str, ...]
    wheels: tuple[str, ...]
    abis: tuple[str, ...]
    platforms: tuple[str, ...]
    drop: tuple[str, ...]


def own_file(name: str) -> bytes:
    """Return the content of `name` in this package's folder `files`."""
    return resources.files("sealtune.image").joinpath("files", name).read_bytes()


def read_packages() -> Packages:
    """Return what this version's images are made of."""
    table = tomllib.loads(own_file("packages.toml").decode("utf-8"))
    lists = {name: tuple(value) for name, value in table.items() if isinstance(value, list)}
    return Packages(**{**table, **lists})


def read_lock() -> tuple[PinnedInput, ...]:
    """Return this version's pinned inputs."""
    return parse_lock(own_file("inputs.lock.json"))


def parse_lock(data: bytes) -> tuple[PinnedInput, ...]:
    """Return the inputs that a lock file names, sorted by kind and name.

    Raises:
        FormatError: it is no lock file of this version.
    """
    value = parse_json(data, limit=_LOCK_BYTES_MAX, what="inputs.lock.json")
    if not isinstance(value, dict) or set(value) != {"format", "inputs"}:
        raise _malformed("it has other members than format and inputs")
    if value["format"] != LOCK_FORMAT:
        raise _malformed(f"its format is not {LOCK_FORMAT}")
    rows = value["inputs"]
    if not isinstance(rows, list) or len(rows) > _INPUTS_MAX:
        raise _malformed(f"inputs is not a list of at most {_INPUTS_MAX}")
    inputs = [_input(row) for row in rows]
    if len({item.file for item in inputs}) != len(inputs):
        raise _malformed("a file is named twice")
    return tuple(sorted(inputs, key=lambda item: (item.kind, item.name, item.version)))


def lock_json(inputs: tuple[PinnedInput, ...]) -> Mapping[str, Any]:
    """Return the lock file of `inputs` as JSON types."""
    return {"format": LOCK_FORMAT, "inputs": [_row(item) for item in inputs]}


def default_cache() -> Path:
    """Return where inputs are kept: the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "sealtune" / "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """A folder of inputs by name; nothing in it is believed before its hash is checked."""

    folder: Path

    def path(self, item: PinnedInput) -> Path:
        """Return where `item` is, or will be."""
        return self.folder / item.file

    def missing(self, inputs: tuple[PinnedInput, ...]) -> tuple[PinnedInput, ...]:
        """Return those of `inputs` that are not here whole; a file with another hash is deleted."""
        return tuple(item for item in inputs if not self._holds(item))

    def fill(
        self,
        inputs: tuple[PinnedInput, ...],
        *,
        download: Callable[[tuple[PinnedInput, ...], Path], None],
    ) -> None:
        """See that all `inputs` are here, with their hashes; `download` brings what is missing.

        Raises:
            StorageError: a file could not be had, or is another one than the lock file names.
        """
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            missing = self.missing(inputs)
            if missing:
                download(missing, self.folder)
                self._check(missing)

    def _check(self, downloaded: tuple[PinnedInput, ...]) -> None:
        for item in downloaded:
            path = self.path(item)
            if not path.exists():
                raise StorageError(
                    Code.BUILD_FAILED,
                    f"{item.file} is not there after the download",
                    remedy=_remedy(self.folder),
                )
            if not self._holds(item):
                raise StorageError(
                    Code.BUILD_FAILED,
                    f"{item.file}: what was downloaded has another SHA-256 than inputs.lock.json"
                    " names, so it is not used",
                    remedy=_remedy(self.folder),
                )

    def _holds(self, item: PinnedInput) -> bool:
        path = self.path(item)
        if not path.is_file():
            return False
        if path.stat().st_size == item.bytes and sha256_file(path) == f"sha256:{item.sha256}":
            return True
        path.unlink()
        return False


def _remedy(folder: Path) -> str:
    return f"put the file with the pinned hash into {folder} yourself, or use a newer sealtune"


def _row(item: PinnedInput) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": item.kind.value,
        "name": item.name,
        "version": item.version,
        "file": item.file,
        "sha256": item.sha256,
        "bytes": item.bytes,
    }
    return {**row, "uses": sorted(item.uses)} if item.kind is InputKind.DEB else row


def _input(row: object) -> PinnedInput:
    if not isinstance(row, dict):
        raise _malformed("an input is no object")
    wanted = {"kind", "name", "version", "file", "sha256", "bytes"}
    kind = row.get("kind")
    if kind not in tuple(InputKind):
        raise _malformed(f"an input has the kind {str(kind)[:40]!r}")
    if set(row) != wanted | ({"uses"} if kind == InputKind.DEB else set()):
        raise _malformed("an input has other members than it should")
    size = row["bytes"]
    if type(size) is not int or not 0 < size <= _INPUT_BYTES_MAX:
        raise _malformed("an input's bytes are no size")
    return PinnedInput(
        kind=InputKind(kind),
        name=_text(row, "name", _NAME),
        version=_text(row, "version", _VERSION),
        file=_text(row, "file", _FILE),
        sha256=_text(row, "sha256", _SHA256),
        bytes=size,
        uses=_uses(row.get("uses", [])),
    )


def _uses(value: object) -> frozenset[Use]:
    if not isinstance(value, list) or any(use not in tuple(Use) for use in value):
        raise _malformed("an input has a use that is not known")
    return frozenset(map(Use, value))


def _text(row: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = row[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _malformed(f"an input's {name} cannot be one")
    return value


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.IMAGE_MALFORMED, f"inputs.lock.json: {reason}")
