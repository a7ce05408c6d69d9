"""Seals an owner's data or model into one SealedBundle, on the owner's machine.

The owner always gets a key slot beside the recipients, so that it can open and rewrap what it has
sealed. The target appears whole or not at all; an existing file is never replaced.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealtune.bundle.dataset import Labels, RecordFields, Task, record_check
from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.model import ModelFolder, read_weights, survey_model
from sealtune.bundle.records import record_line
from sealtune.bundle.safetensors import Tensor, finite_pieces
from sealtune.bundle.sources import find_dataset
from sealtune.bundle.writer import BundleWriter
from sealtune.core.digest import Digest
from sealtune.core.files import atomic_writer, read_bounded
from sealtune.core.limits import MODEL_FILE_BYTES_MAX, SHARD_BYTES
from sealtune.crypto.hpke import RecipientPublicKey
from sealtune.crypto.identity import Identity, PublicIdentity
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, FormatError, StorageError, VerificationError

_SHOWN_MAX = 5
Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidBinding:
    """What ties a bundle to a de-identification report: its digest, and that of its records.

    Made from a verified report (`deid.binding`): `records` is over the lines of all records.
    """

    report: Digest
    records: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSummary:
    """What was sealed: `bytes` are of plaintext; `notes` are words for people.

    `records` is 0 for a model; `labels` are a classification's classes in their order.
    """

    path: Path
    digest: Digest
    kind: BundleKind
    records: int
    bytes: int
    entries: int
    notes: tuple[str, ...]
    labels: tuple[str, ...] = ()
    deidentification: Digest | None = None


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


def seal_data(
    path: Path,
    output: Path,
    *,
    owner: Identity,
    recipients: Sequence[PublicIdentity],
    task: Task | None,
    labels: Sequence[str] | None = None,
    fields: RecordFields | None = None,
    split: str | None = None,
    deidentification: DeidBinding | None = None,
    progress: Progress = no_progress,
) -> SealSummary:
    """Seal the records in the file or folder at `path` (see `sources`) to `output`.

    `task` says which fields each record must have; `labels` are the classes in order, and are
    collected and sorted if None. `split` chooses among the splits of a folder. With
    `deidentification` the header names the report, and the records must be those that it is about.

    Raises:
        FormatError: a record that the task cannot use, or none at all; names file and line.
        VerificationError: DEID_OTHER_RECORDS: the report is about other records.
        StorageError: `output` exists, or the disk refuses or is full; then nothing is left.
        ConfigError: Parquet or Arrow without pyarrow, unusable labels, or a split to be chosen.
    """
    refuse_existing(output)
    task = None if task is None else Task(task)
    classes = Labels(labels)
    check = record_check(task, fields=fields or RecordFields(), labels=classes)
    shards = _Shards()
    dataset = find_dataset(path, split=split)
    total = dataset.bytes
    with atomic_writer(output) as file:
        key = ContentKey.generate()
        writer = BundleWriter(file, kind=BundleKind.DATASET, owner=owner.signing, key=key)
        for place, record in dataset.read():
            check(place, record)
            if shards.add(record_line(place, record)):
                shards.flush(writer)
                progress(place.position, total)
        shards.flush(writer)
        if not shards.records:
            raise FormatError(Code.RECORDS_EMPTY, f"{path}: holds no record")
        _check_records(path, shards, deidentification)
        names = None if task in (None, Task.CAUSAL_LM) else classes.names()
        facts = {
            "records": shards.records,
            "task": None if task is None else task.value,
            "labels": names,
        }
        header = writer.finish(
            facts=facts,
            recipients=slot_keys(owner, recipients),
            deidentification=None if deidentification is None else deidentification.report,
        )
    progress(total, total)
    return SealSummary(
        path=output,
        digest=header.digest,
        kind=header.kind,
        deidentification=header.deidentification,
        records=shards.records,
        bytes=shards.bytes,
        entries=shards.entries,
        notes=(*dataset.notes, *_unseen(classes, names)),
        labels=tuple(names or ()),
    )


def seal_model(
    folder: Path,
    output: Path,
    *,
    owner: Identity,
    recipients: Sequence[PublicIdentity],
    progress: Progress = no_progress,
) -> SealSummary:
    """Seal the Hugging Face model in `folder` (safetensors) to `output`, streaming from its files.

    Raises:
        FormatError: no weights, pickles only, damaged weights, or a NaN or infinity among them.
        StorageError: the folder is missing, `output` exists, or the disk refuses or is full; then
            nothing is left.
    """
    refuse_existing(output)
    model = survey_model(folder)
    tensors = read_weights(model)
    with atomic_writer(output) as file:
        key = ContentKey.generate()
        writer = BundleWriter(file, kind=BundleKind.MODEL, owner=owner.signing, key=key)
        size = _add_files(writer, model) + _add_tensors(writer, tensors, progress)
        facts: dict[str, Any] = {"tensors": len(tensors)}
        header = writer.finish(facts=facts, recipients=slot_keys(owner, recipients))
    return SealSummary(
        path=output,
        digest=header.digest,
        kind=header.kind,
        records=0,
        bytes=size,
        entries=len(model.files) + len(tensors),
        notes=model.notes,
    )


def slot_keys(
    owner: Identity, recipients: Sequence[PublicIdentity]
) -> tuple[RecipientPublicKey, ...]:
    """Return the keys that get a slot: the owner's first, then the others', each once."""
    keys = [owner.public.recipient, *(recipient.recipient for recipient in recipients)]
    return tuple({key.raw: key for key in keys}.values())


def _unseen(classes: Labels, names: Sequence[str] | None) -> tuple[str, ...]:
    unseen = classes.unseen() if names else []
    if not unseen:
        return ()
    shown = ", ".join(unseen[:_SHOWN_MAX]) + (" ..." if len(unseen) > _SHOWN_MAX else "")
    return (f"{len(unseen)} of {len(names or ())} labels are on no record: {shown}",)


def _check_records(path: Path, shards: _Shards, binding: DeidBinding | None) -> None:
    # Of what was sealed, not of the file: it could be another one by the time it is read again.
    if binding is not None and binding.records != shards.digest:
        remedy = "seal the file that `sealtune deidentify` wrote with this report, unchanged"
        message = f"{path}: the de-identification report is about other records"
        raise VerificationError(Code.DEID_OTHER_RECORDS, message, remedy=remedy)


class _Shards:
    """Gathers lines until they fill a shard."""

    def __init__(self) -> None:
        self.records = 0
        self.entries = 0
        self.bytes = 0
        self._lines = bytearray()
        self._count = 0
        self._state = hashlib.sha256()

    @property
    def digest(self) -> Digest:
        """The digest over every line that was sealed."""
        return Digest(f"sha256:{self._state.hexdigest()}")

    def add(self, line: bytes) -> bool:
        """Take a line; return whether the shard is full."""
        self._lines += line
        self._count += 1
        return len(self._lines) >= SHARD_BYTES

    def flush(self, writer: BundleWriter) -> None:
        """Seal what is gathered, if anything."""
        if not self._count:
            return
        name = f"shard-{self.entries:05d}"
        writer.add_entry(name, self._lines, media=Media.RECORDS, count=self._count)
        self._state.update(self._lines)
        self.records += self._count
        self.bytes += len(self._lines)
        self.entries += 1
        self._lines, self._count = bytearray(), 0


def _add_files(writer: BundleWriter, model: ModelFolder) -> int:
    size = 0
    for path in model.files:
        data = read_bounded(path, limit=MODEL_FILE_BYTES_MAX, what="model file")
        size += writer.add_entry(path.name, data, media=Media.FILE).length
    return size


def _add_tensors(
    writer: BundleWriter, tensors: Sequence[tuple[Path, Tensor]], progress: Progress
) -> int:
    total = sum(len(tensor.data) for _, tensor in tensors)
    done = 0
    for path, tensor in tensors:
        for_tensor = _counted(finite_pieces(tensor, path=path), done, total, progress)
        entry = writer.add_entry(
            tensor.name,
            for_tensor,
            media=Media.TENSOR,
            dtype=tensor.dtype,
            shape=tensor.shape,
        )
        done += entry.length
    progress(total, total)
    return total


def _counted(
    pieces: Iterator[memoryview], done: int, total: int, progress: Progress
) -> Iterator[memoryview]:
    for piece in pieces:
        yield piece
        done += len(piece)
        progress(done, total)


def refuse_existing(output: Path) -> None:
    """Return if nothing stands at `output`.

    Raises:
        StorageError: something does.
    """
    # A link to nothing is a name that is taken, too.
    if os.path.lexists(output):
        remedy = "choose another name or remove it; no file is ever replaced"
        raise StorageError(Code.FILE_EXISTS, f"{output} exists already", remedy=remedy)
