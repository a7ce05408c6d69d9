"""What `sealtune attest` reads: evidence, endorsements and terms from files and folders."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

import sealtune
from sealtune.cli.places import about
from sealtune.core.files import read_bounded, storage_errors, write_atomic
from sealtune.core.limits import (
    ENDORSEMENT_BYTES_MAX,
    ENDORSEMENTS_BYTES_MAX,
    EVENT_LOG_BYTES_MAX,
    FOREIGN_EVIDENCE_BYTES_MAX,
)
from sealtune.errors import Code, ConfigError, FormatError, StorageError

if TYPE_CHECKING:
    from sealtune import Evidence, EvidenceKind, TrustAnchors

STDIN: Final = Path("-")
_FOLDER_FILES_MAX: Final = 4096
# What other tools and lists of vectors call the kinds.
_ALIASES: Final = {
    "snp": "sev-snp",
    "azure-vtpm-snp": "azure-snp",
    "azure-vtpm-tdx": "azure-tdx",
    "tpm": "tpm-vm",
    "gpu": "nvidia-gpu",
    "nvswitch": "nvidia-switch",
}
_KINDS: Final = (
    *("sev-snp", "tdx", "sgx", "azure-snp", "azure-tdx", "tpm-vm", "nitro"),
    *("nvidia-gpu", "nvidia-switch"),
)
_HEX_DIGITS: Final = 128


class Kind(click.ParamType["EvidenceKind"]):
    """A kind of evidence by its name, or by one that other tools use."""

    name = "KIND"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> EvidenceKind:
        """Return the kind."""
        name = str(value).lower()
        name = _ALIASES.get(name, name)
        if name not in _KINDS:
            self.fail(f"{value!r} is none of {', '.join(_KINDS)}", param, ctx)
        return sealtune.EvidenceKind(name)


class Moment(click.ParamType[datetime]):
    """A time as UNIX seconds or in RFC 3339."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment, in UTC."""
        text = str(value)
        try:
            if text.isascii() and text.isdigit():
                return datetime.fromtimestamp(int(text), UTC)
            moment = datetime.fromisoformat(text)
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is neither UNIX seconds nor a time like 2026-01-31T09:00:00Z")
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no time zone: write 2026-01-31T09:00:00Z", param, ctx)
        return moment.astimezone(UTC)


class ReportData(click.ParamType[bytes]):
    """The 64 bytes of report_data in hexadecimal."""

    name = "HEX"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Return the bytes."""
        text = str(value).removeprefix("0x")
        try:
            found = bytes.fromhex(text)
        except ValueError:
            found = b""
        if len(found) * 2 != _HEX_DIGITS or len(text) != _HEX_DIGITS:
            self.fail(f"64 bytes in {_HEX_DIGITS} hexadecimal digits belong here", param, ctx)
        return found


def read_input(path: Path) -> bytes:
    """Return the evidence file at `path`, or standard input for `-`.

    Raises:
        FormatError: larger than any evidence.
        StorageError: the file cannot be read.
    """
    if path != STDIN:
        return read_bounded(path, limit=FOREIGN_EVIDENCE_BYTES_MAX, what="evidence")
    data = sys.stdin.buffer.read(FOREIGN_EVIDENCE_BYTES_MAX + 1)
    if len(data) > FOREIGN_EVIDENCE_BYTES_MAX:
        raise FormatError(
            Code.LIMIT_EXCEEDED, f"evidence: larger than {FOREIGN_EVIDENCE_BYTES_MAX} bytes"
        )
    return data


def read_evidence_file(
    path: Path, *, kind: EvidenceKind | None, event_log: Path | None
) -> tuple[Evidence, ...]:
    """Return the evidence in the file at `path`, with the event log in the other file.

    Raises:
        FormatError, VerificationError: as `read_evidence`.
        StorageError: a file cannot be read.
    """
    found = sealtune.read_evidence(read_input(path), kind=kind, what=str(path))
    if event_log is None:
        return found
    log = read_bounded(event_log, limit=EVENT_LOG_BYTES_MAX, what="event log")
    if len(found) != 1:
        raise ConfigError(
            Code.CONFIG_INVALID,
            "an event log belongs to one machine, and the evidence is of several devices",
            remedy="leave --event-log out",
        )
    return (dataclasses.replace(found[0], parts={**found[0].parts, "event_log": log}),)


def require_new(path: Path) -> None:
    """Verify that nothing is at `path`, before anything is made to put there.

    Raises:
        StorageError: something is.
    """
    if path.exists():
        raise StorageError(Code.FILE_EXISTS, f"{path} exists already")


def write_evidence(path: Path, evidence: Evidence) -> None:
    """Write `evidence` in our own JSON to `path`.

    Raises:
        StorageError: the disk refuses.
    """
    write_atomic(path, json.dumps(evidence.to_dict()).encode() + b"\n")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementFiles:
    """Endorsement files as (name, content), and how many in folders were none."""

    files: tuple[tuple[str, bytes], ...]
    skipped: int


def read_endorsement_files(paths: tuple[Path, ...]) -> EndorsementFiles:
    """Return the files at `paths`, those in folders at any depth; there, what is none is skipped.

    Raises:
        FormatError: a named file is too large, or all together are.
        StorageError: a file cannot be read.
    """
    files: list[tuple[str, bytes]] = []
    skipped = 0
    for path in paths:
        if not path.is_dir():
            files.append(
                (
                    str(path),
                    read_bounded(path, limit=ENDORSEMENT_BYTES_MAX, what="endorsement"),
                )
            )
            continue
        for member in _members(path):
            data = _small(member)
            if data is None or not sealtune.is_endorsement(data):
                skipped += 1
            else:
                files.append((str(member), data))
    if sum(len(data) for _, data in files) > ENDORSEMENTS_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "endorsements: too many bytes")
    return EndorsementFiles(files=tuple(files), skipped=skipped)


def _members(folder: Path) -> Iterator[Path]:
    count = 0
    with storage_errors(folder):
        for place, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                count += 1
                if count > _FOLDER_FILES_MAX:
                    raise FormatError(
                        Code.LIMIT_EXCEEDED, f"{folder}: more than {_FOLDER_FILES_MAX} files"
                    )
                yield Path(place, name)


def _small(path: Path) -> bytes | None:
    with storage_errors(path):
        if not path.is_file() or path.stat().st_size > ENDORSEMENT_BYTES_MAX:
            return None
    return read_bounded(path, limit=ENDORSEMENT_BYTES_MAX, what="endorsement")


def contract_digest_of(text: str) -> bytes:
    """Return the 32 bytes of a contract's digest, given as such or as the contract's file.

    Raises:
        SealtuneError: neither a digest nor a contract.
    """
    if text.startswith("sha256:"):
        return sealtune.digest_bytes(sealtune.parse_digest(text))
    path = Path(text)
    with about(path):
        return sealtune.digest_bytes(sealtune.read_contract_file(path).digest)


def with_insecure_root(
    anchors: TrustAnchors, text: str | None, *, kind: EvidenceKind
) -> TrustAnchors:
    """Return `anchors` and the mock root that the caller named, for evidence of `kind`.

    Raises:
        FormatError: no digest.
        ConfigError: a vendor's own root.
    """
    if text is None:
        return anchors
    root = sealtune.parse_digest(text)
    if root in anchors.roots:
        message = "--insecure-root names a root that is trusted already"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="leave --insecure-root out")
    use, product = sealtune.simulated_root_use(kind)
    return anchors.with_insecure_root(root, use=use, product=product)
