"""What owners and recipients do with a whole bundle: look at it, open it to a folder, rewrap it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sealtune.bundle.file import manifest_ciphertext, signed_blocks
from sealtune.bundle.format import MAGIC, BundleKind, Footer, Header
from sealtune.bundle.manifest import Entry, Media
from sealtune.bundle.model import WEIGHTS_NAME
from sealtune.bundle.reader import BundleReader, open_bundle_file
from sealtune.bundle.registration import seal_slots
from sealtune.bundle.safetensors import safetensors_header
from sealtune.bundle.seal import refuse_existing, slot_keys
from sealtune.core.digest import Digest
from sealtune.core.files import PRIVATE_MODE, atomic_writer, storage_errors, sync_folder
from sealtune.crypto.identity import Identity, PublicIdentity
from sealtune.crypto.signing import VerifyingKey
from sealtune.errors import Code, FormatError, StorageError

RECORDS_NAME = "records.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleInfo:
    """What a bundle tells everybody; sizes are in bytes."""

    path: Path
    digest: Digest
    kind: BundleKind
    owner: VerifyingKey
    bundle_id: str
    size: int
    body_length: int
    manifest_length: int
    recipients: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSummary:
    """What was opened to `folder`: the names of its files, and `bytes` of plaintext."""

    folder: Path
    digest: Digest
    kind: BundleKind
    owner: VerifyingKey
    files: tuple[str, ...]
    records: int
    tensors: int
    bytes: int


def inspect_bundle(path: Path) -> BundleInfo:
    """Return what the bundle at `path` shows without a key; header, slots and manifest verified.

    Raises:
        StorageError, FormatError, VerificationError: as `open_bundle_file`.
    """
    with open_bundle_file(path) as bundle:
        header = bundle.header
        return BundleInfo(
            path=path,
            digest=bundle.digest,
            kind=bundle.kind,
            owner=bundle.owner,
            bundle_id=header.bundle_id.hex(),
            size=bundle.size,
            body_length=header.body_length,
            manifest_length=header.manifest_length,
            recipients=tuple(slot.recipient for slot in bundle.slots),
        )


def open_to_folder(path: Path, folder: Path, *, recipient: Identity) -> OpenSummary:
    """Decrypt the bundle at `path` to files in the new folder `folder`.

    Records become `records.jsonl`, tensors `model.safetensors`, files what they were. The folder
    appears only when every byte of the bundle is verified (spec/bundle §7.4).

    Raises:
        StorageError: `folder` exists, or the disk refuses or is full; then nothing is left.
        ConfigError: the bundle is not sealed to `recipient`.
        VerificationError: a byte of the bundle was changed.
        FormatError: it is no bundle, or is cut.
    """
    with open_bundle_file(path) as bundle:
        reader = bundle.unlock(bundle.unwrap(recipient.recipient))
        with _new_folder(folder) as staged:
            _write_entries(reader, staged)
            files = tuple(sorted(item.name for item in staged.iterdir()))
        return OpenSummary(
            folder=folder,
            digest=bundle.digest,
            kind=bundle.kind,
            owner=bundle.owner,
            files=files,
            records=sum(entry.count for entry in reader.entries),
            tensors=sum(entry.media is Media.TENSOR for entry in reader.entries),
            bytes=sum(entry.length for entry in reader.entries),
        )


def rewrap(
    path: Path, output: Path, *, owner: Identity, recipients: Sequence[PublicIdentity]
) -> Header:
    """Copy the bundle at `path` to `output` with key slots for `owner` and `recipients` instead.

    The body is not encrypted again and the digest stays, so contracts that name it still do. Who
    had a slot before may have kept the key: this adds recipients, it does not revoke any.

    Raises:
        VerificationError: the bundle is another owner's, or a byte of it was changed.
        ConfigError: the owner has no slot.
        StorageError: `output` exists, or the disk refuses or is full; then nothing is left.
    """
    refuse_existing(output)
    with open_bundle_file(path) as bundle:
        bundle.expect_owner(owner.signing.public)
        key = bundle.unwrap(owner.recipient)
        slots = seal_slots(
            bundle.header, owner=owner.signing, key=key, recipients=slot_keys(owner, recipients)
        )
        manifest = manifest_ciphertext(bundle.file, bundle.header)
        header_block, _ = signed_blocks(bundle.file)
        footer = Footer(header_length=len(header_block), slots_length=len(slots))
        with atomic_writer(output) as file:
            file.write(MAGIC)
            for piece in bundle.read_body():
                file.write(piece)
            for part in (manifest, header_block, slots, footer.to_bytes()):
                file.write(part)
        return bundle.header


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    if folder.exists() or folder.is_symlink():
        remedy = "give the name of a folder that does not exist yet"
        raise StorageError(Code.FILE_EXISTS, f"{folder} exists already", remedy=remedy)
    with storage_errors(folder):
        name = tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent)
        staged = Path(name)
        try:
            yield staged
            sync_folder(staged)
            staged.rename(folder)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        sync_folder(folder.parent)


def _write_entries(reader: BundleReader, folder: Path) -> None:
    """Write every entry in one pass over the body; returns only if the body's digest holds."""
    made = {_output_name(entry) for entry in reader.entries if entry.media is not Media.FILE}
    with contextlib.ExitStack() as stack:
        outputs: dict[str, BinaryIO] = {}
        room = memoryview(bytearray(max(entry.length for entry in reader.entries)))
        for entry in reader.read_all_into(lambda entry: room[: entry.length]):
            name = _output_name(entry)
            if entry.media is Media.FILE and name in made:
                message = f"entry {name!r} would overwrite another"
                raise FormatError(Code.ENTRY_NAME_UNSAFE, message)
            if name not in outputs:
                outputs[name] = stack.enter_context(_new_file(folder / name))
                if entry.media is Media.TENSOR:
                    outputs[name].write(_weights_header(reader.entries))
            outputs[name].write(room[: entry.length])
        for file in outputs.values():
            file.flush()
            os.fsync(file.fileno())


def _output_name(entry: Entry) -> str:
    return {Media.TENSOR: WEIGHTS_NAME, Media.RECORDS: RECORDS_NAME}.get(entry.media, entry.name)


def _weights_header(entries: Sequence[Entry]) -> bytes:
    rows = {}
    start = 0
    for entry in entries:
        if entry.media is Media.TENSOR:
            offsets = [start, start + entry.length]
            rows[entry.name] = {
                "dtype": entry.dtype,
                "shape": list(entry.shape),
                "data_offsets": offsets,
            }
            start += entry.length
    return safetensors_header(rows)


def _new_file(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, PRIVATE_MODE), "wb")
