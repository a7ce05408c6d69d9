"""Opening the inputs: the agreed bundles become tensors and records, in memory only.

Nothing here writes. Every byte of every input is checked against the digest that all parties signed
before training sees any of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Entry, Media
from sealtune.bundle.reader import BundleReader, SealedBundle, open_bundle_file
from sealtune.contract.contract import VerifiedContract
from sealtune.contract.schema import Input
from sealtune.core.canonical import parse_foreign_json, parse_json
from sealtune.core.digest import Digest
from sealtune.core.limits import (
    MODEL_FILE_BYTES_MAX,
    OWNED_JSON_MARKS_MAX,
    RECORD_BYTES_MAX,
    SHARD_BYTES,
)
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, FormatError
from sealtune.training.sources import TensorInfo

_CONFIG = "config.json"


def find_inputs(
    contract: VerifiedContract,
    locations: Mapping[str, Path],
    *,
    lengths: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, SealedBundle]:
    """Return the contract's inputs by name, each with the digest, kind and owner that it names.

    `lengths` says of an input on a disk of its own how many bytes of the disk are the bundle.

    Raises:
        VerificationError: a file is another bundle than the contract's.
        FormatError: it is no bundle.
        StorageError: it is missing.
    """
    return {
        item.name: _agreed_bundle(
            contract, item, locations[item.name], length=lengths.get(item.name)
        )
        for item in contract.contract.inputs
    }


def _agreed_bundle(
    contract: VerifiedContract, item: Input, path: Path, *, length: int | None
) -> SealedBundle:
    bundle = open_bundle_file(path, length=length)
    bundle.expect_digest(item.bundle)
    bundle.expect_owner(contract.contract.parties[item.owner].signing)
    return bundle.expect_kind(BundleKind(item.kind.value))


class BundleWeights:
    """The training engine's WeightSource: each tensor is decrypted where it is wanted."""

    def __init__(self, reader: BundleReader) -> None:
        self._reader = reader
        self._entries: dict[str, Entry] = {}
        self.files: dict[str, bytes] = {}
        self.tensors: dict[str, TensorInfo] = {}
        for entry in reader.entries:
            if entry.media is Media.TENSOR:
                self._entries[entry.name] = entry
                self.tensors[entry.name] = TensorInfo(dtype=entry.dtype, shape=entry.shape)
            elif entry.media is Media.FILE:
                self.files[entry.name] = bytes(reader.read(entry))
        config = self.files.pop(_CONFIG, None)
        if config is None:
            raise FormatError(Code.MODEL_MALFORMED, "the model bundle has no config.json")
        self.config: dict[str, Any] = parse_foreign_json(
            config, limit=MODEL_FILE_BYTES_MAX, marks=OWNED_JSON_MARKS_MAX, what=_CONFIG
        )

    def read_into(self, name: str, destination: memoryview) -> None:
        """Decrypt tensor `name` straight into `destination`."""
        self._reader.read_into(self._entries[name], destination)

    def read_pieces(self, name: str, buffer: memoryview, *, multiple: int) -> Iterator[memoryview]:
        """Decrypt tensor `name` piece by piece into `buffer`; only the end makes it authentic."""
        return self._reader.read_pieces(self._entries[name], buffer, multiple=multiple)


def open_model(bundle: SealedBundle, keys: Mapping[Digest, ContentKey]) -> BundleWeights:
    """Return the model's weights, once its whole body has the agreed digest.

    Tensors are read later, so each is compared with what was checked: the owner, who has the key,
    could otherwise have the host put other authentic bytes in their place in between.

    Raises:
        VerificationError: a byte of the file differs.
    """
    return BundleWeights(bundle.unlock(keys[bundle.digest]).pinned())


class BundleRecords:
    """The training engine's RecordSource: each shard is decrypted when it is wanted."""

    def __init__(self, readers: Sequence[BundleReader]) -> None:
        self._shards = [
            (reader, entry)
            for reader in readers
            for entry in reader.entries
            if entry.media is Media.RECORDS
        ]
        for _, entry in self._shards:
            _check_shard(entry)

    @property
    def shards(self) -> tuple[int, ...]:
        """The number of records in each shard, as the manifests have it."""
        return tuple(entry.count for _, entry in self._shards)

    def read(self, shard: int) -> list[dict[str, Any]]:
        """Decrypt and parse shard number `shard`.

        Raises:
            VerificationError: its bytes are not the agreed ones.
            FormatError: what was sealed is no JSON Lines of objects.
        """
        reader, entry = self._shards[shard]
        return _parse_shard(bytes(reader.read(entry)), entry)


def open_record_source(
    bundles: Sequence[SealedBundle], keys: Mapping[Digest, ContentKey]
) -> BundleRecords:
    """Return the records of dataset bundles, in order, once each whole body has the agreed digest.

    Shards are read later, and more than once, so each is compared with what was checked, as in
    `open_model`.

    Raises:
        VerificationError: a byte of a file differs.
        FormatError: a dataset has no records, or its manifest is not possible.
    """
    readers = [bundle.unlock(keys[bundle.digest]).pinned() for bundle in bundles]
    for reader in readers:
        if not any(entry.count for entry in reader.entries if entry.media is Media.RECORDS):
            raise FormatError(Code.RECORDS_EMPTY, "the dataset has no records")
    return BundleRecords(readers)


def _check_shard(entry: Entry) -> None:
    # Before anything is sized by what an owner's manifest says. A shard is closed by the record
    # that fills it, and a record has at least two bytes, `{}`, and one between it and the next.
    if entry.length > SHARD_BYTES + RECORD_BYTES_MAX:
        limit = SHARD_BYTES + RECORD_BYTES_MAX
        raise FormatError(Code.LIMIT_EXCEEDED, f"{entry.name}: larger than {limit} bytes")
    if 3 * entry.count > entry.length + 1:
        raise FormatError(Code.RECORD_MALFORMED, f"{entry.name}: more records than it has room for")


def _parse_shard(plaintext: bytes, entry: Entry) -> list[dict[str, Any]]:
    lines = plaintext.splitlines()
    if len(lines) != entry.count:
        raise FormatError(Code.RECORD_MALFORMED, f"{entry.name}: another count than its manifest's")
    shard = []
    for number, line in enumerate(lines, start=1):
        what = f"{entry.name} record {number}"
        record = parse_json(line, limit=RECORD_BYTES_MAX, marks=OWNED_JSON_MARKS_MAX, what=what)
        if not isinstance(record, dict):
            raise FormatError(Code.RECORD_MALFORMED, f"{what}: not an object")
        shard.append(record)
    return shard
