"""The disk on which a virtual machine leaves its sealed files (spec/vm §3).

The guest writes it and the host reads it, also after a crash at any moment: a file is on it whole
or not at all. The disk is the operator's. Everything on it is sealed or signed already; the digests
here find accidents, and an older disk put in its place is found by what the brokers remember.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Self

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import Digest, parse_digest
from sealtune.core.files import PRIVATE_MODE, atomic_writer, storage_errors
from sealtune.errors import Code, FormatError, StorageError

BLOCK = 512
TABLE_BYTES = 64 * 1024
DATA_START = 2 * TABLE_BYTES
FILES_MAX = 64  # a run has its result, its receipt and two training checkpoints at a time
SIZE_MAX = 2**53 - BLOCK

_MAGIC = b"SEALOUT1"
_HEAD = struct.Struct("<8sQI")
_DIGEST_BYTES = 32
_PAYLOAD_MAX = TABLE_BYTES - _HEAD.size - _DIGEST_BYTES
_GENERATION_MAX = 2**63
_PIECE = 1024 * 1024
_NAME = re.compile(r"checkpoint-[0-9]{8,13}\.sealed|result\.sealed|receipt\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """Where a finished file lies; the digest is of its `bytes` bytes."""

    offset: int
    bytes: int
    sha256: Digest

    @property
    def end(self) -> int:
        """The first block after it."""
        return self.offset + -(-self.bytes // BLOCK) * BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    slot: int
    generation: int
    files: Mapping[str, StoredFile]


class OutputDisk:
    """An open output disk. Use it as a context; one writer at a time."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        """Open the disk, a file or a block device.

        Raises:
            FormatError: not a formatted output disk, or not one that we wrote.
            StorageError: it cannot be read.
        """
        self._path = path
        with storage_errors(path):
            mode = os.O_RDWR if writable else os.O_RDONLY
            self._descriptor = os.open(path, mode | os.O_CLOEXEC)
        try:
            with storage_errors(path):
                self.size = os.lseek(self._descriptor, 0, os.SEEK_END) // BLOCK * BLOCK
                self._table = self._newest_table()
        except BaseException:
            self.close()
            raise
        self._uncertain = False

    @staticmethod
    def format(path: Path, size: int) -> None:
        """Make an empty output disk of `size` bytes at `path`, as a sparse file.

        Raises:
            StorageError: the disk under it is full or refuses; `path` is as it was.
        """
        if not DATA_START < size <= SIZE_MAX or size % BLOCK:
            raise ValueError("an output disk is whole blocks, more than its tables")
        with atomic_writer(path, mode=PRIVATE_MODE) as file:
            file.write(_encode(generation=1, files={}))
            file.truncate(size)

    def files(self) -> Mapping[str, StoredFile]:
        """Return the finished files by name."""
        return MappingProxyType(dict(self._table.files))

    def write_file(self, name: str, content: bytes | Path) -> None:
        """Put a whole file on the disk, in place of one of that name.

        Raises:
            StorageError: no room, or the disk refuses; the files on it are as they were.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name of an output file")
        with storage_errors(self._path):
            if isinstance(content, bytes):
                self._write(name, BytesIO(content), len(content))
                return
            with content.open("rb") as source:
                self._write(name, source, os.fstat(source.fileno()).st_size)

    def remove(self, *names: str) -> None:
        """Forget files; names that are not there are no error.

        Raises:
            StorageError: the disk refuses.
        """
        kept = {name: file for name, file in self._table.files.items() if name not in names}
        if kept != self._table.files:
            with storage_errors(self._path):
                self._commit(kept)

    def extract(self, name: str, to: Path) -> None:
        """Copy a file to `to`, which then has all of it or is as it was.

        Raises:
            FormatError: what lies there is not what its digest says.
            StorageError: no such file, or a disk refuses.
        """
        stored = self._table.files.get(name)
        if stored is None:
            raise StorageError(Code.FILE_MISSING, f"{self._path}: holds no {name}")
        state = hashlib.sha256()
        with atomic_writer(to) as sink:
            for piece in self._pieces(stored):
                state.update(piece)
                sink.write(piece)
            if stored.sha256 != f"sha256:{state.hexdigest()}":
                raise _malformed(self._path, f"{name} differs from its digest")

    def close(self) -> None:
        """Let go of the disk."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, name: str, source: BinaryIO, size: int) -> None:
        files = dict(self._table.files)
        if not size:
            raise ValueError(f"{name} is empty")
        # The file of that name stays until the table says otherwise.
        offset = self._room(size)
        if name not in files and len(files) == FILES_MAX:
            raise self._full(f"{FILES_MAX} files")
        state = hashlib.sha256()
        done = 0
        while piece := source.read(min(_PIECE, size - done)):
            _write_all(self._descriptor, piece, offset + done)
            state.update(piece)
            done += len(piece)
        if done != size:
            raise StorageError(Code.IO_FAILED, f"{name} became shorter while it was copied")
        # spec/vm §3.4: the content has to be on the disk before a table names it.
        os.fsync(self._descriptor)
        digest = Digest(f"sha256:{state.hexdigest()}")
        files[name] = StoredFile(offset=offset, bytes=size, sha256=digest)
        self._commit(files)

    def _room(self, size: int) -> int:
        """The first gap between live files that takes `size` bytes."""
        start = DATA_START
        largest = 0
        live = sorted((file.offset, file.end) for file in self._table.files.values())
        for offset, end in [*live, (self.size, self.size)]:
            largest = max(largest, offset - start)
            if offset - start >= size:
                return start
            start = end
        raise self._full(f"{size} bytes wanted, {largest} free in one piece")

    def _full(self, how: str) -> StorageError:
        remedy = "run the same command again with a larger --output-size; finished files are kept"
        return StorageError(Code.DISK_FULL, f"the output disk is full: {how}", remedy=remedy)

    def _commit(self, files: Mapping[str, StoredFile]) -> None:
        if self._uncertain:
            # An fsync that failed may have left either table: only opening it again can tell.
            raise StorageError(Code.IO_FAILED, f"{self._path}: an earlier write failed")
        table = _Table(
            slot=1 - self._table.slot, generation=self._table.generation + 1, files=dict(files)
        )
        self._uncertain = True
        data = _encode(generation=table.generation, files=table.files)
        _write_all(self._descriptor, data, table.slot * TABLE_BYTES)
        os.fsync(self._descriptor)
        self._uncertain = False
        self._table = table

    def _newest_table(self) -> _Table:
        tables = [table for slot in (0, 1) if (table := self._read_table(slot)) is not None]
        if not tables:
            raise _malformed(self._path, "no whole table")
        if len({table.generation for table in tables}) != len(tables):
            raise _malformed(self._path, "two tables of one generation")
        return max(tables, key=lambda table: table.generation)

    def _read_table(self, slot: int) -> _Table | None:
        data = _read_all(self._descriptor, TABLE_BYTES, slot * TABLE_BYTES)
        if len(data) < _HEAD.size + _DIGEST_BYTES:
            return None
        magic, generation, length = _HEAD.unpack_from(data)
        start = _HEAD.size + _DIGEST_BYTES
        digest, payload = data[_HEAD.size : start], data[start : start + length]
        # spec/vm §3.3: a torn table is ignored. The digest covers the generation too, or half a
        # header could make an old table the newest.
        if magic != _MAGIC or digest != _digest(data[: _HEAD.size], payload):
            return None
        if not 0 < generation < _GENERATION_MAX or len(payload) != length:
            raise _malformed(self._path, "a table of no generation")
        return _Table(slot=slot, generation=generation, files=self._parse(payload))

    def _parse(self, payload: bytes) -> dict[str, StoredFile]:
        try:
            value = parse_json(payload, limit=_PAYLOAD_MAX, what="table")
            entries = value.get("files") if isinstance(value, dict) and len(value) == 1 else None
            if not isinstance(entries, dict) or len(entries) > FILES_MAX:
                raise _malformed(self._path, "a table without files")
            files = {name: self._entry(name, entry) for name, entry in entries.items()}
        except FormatError as error:
            if error.code is Code.OUTPUT_DISK_MALFORMED:
                raise
            raise _malformed(self._path, error.message) from error
        end = DATA_START
        for file in sorted(files.values(), key=lambda file: file.offset):
            if file.offset < end:
                raise _malformed(self._path, "a file over another one or over the tables")
            end = file.end
        return files

    def _entry(self, name: str, entry: Any) -> StoredFile:
        if not _NAME.fullmatch(name):
            raise _malformed(self._path, "a name that is not an output file's")
        if not isinstance(entry, dict) or entry.keys() != {"offset", "bytes", "sha256"}:
            raise _malformed(self._path, f"{name} is not described")
        offset, size = entry["offset"], entry["bytes"]
        if type(offset) is not int or type(size) is not int:
            raise _malformed(self._path, f"{name} lies nowhere")
        stored = StoredFile(offset=offset, bytes=size, sha256=parse_digest(entry["sha256"]))
        if offset % BLOCK or size < 1 or stored.end > self.size:
            raise _malformed(self._path, f"{name} lies outside")
        return stored

    def _pieces(self, stored: StoredFile) -> Iterator[bytes]:
        for start in range(0, stored.bytes, _PIECE):
            size = min(_PIECE, stored.bytes - start)
            yield _read_all(self._descriptor, size, stored.offset + start)


def _encode(*, generation: int, files: Mapping[str, StoredFile]) -> bytes:
    payload = canonical_json(
        {
            "files": {
                name: {"bytes": file.bytes, "offset": file.offset, "sha256": file.sha256}
                for name, file in files.items()
            }
        }
    )
    head = _HEAD.pack(_MAGIC, generation, len(payload))
    return head + _digest(head, payload) + payload


def _digest(head: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(head + payload).digest()


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _read_all(descriptor: int, size: int, offset: int) -> bytes:
    data = bytearray()
    while len(data) < size and (
        piece := os.pread(descriptor, size - len(data), offset + len(data))
    ):
        data += piece
    return bytes(data)


def _malformed(path: Path, how: str) -> FormatError:
    return FormatError(
        Code.OUTPUT_DISK_MALFORMED,
        f"{path}: not an output disk: {how}",
        remedy="give a new folder with --output; files already extracted from this one are whole",
    )
