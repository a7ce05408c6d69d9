"""Writes a SealedBundle in one pass, front to back (spec/bundle §2, §3).

Entries of any size go through one buffer of ciphertext. Makes no file and syncs none: the caller
gives an open one, as a rule that of `core.files.atomic_writer`, so that nothing half-written stays.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import blake3

from sealtune.bundle.format import (
    BUNDLE_ID_BYTES,
    MAGIC,
    BundleKind,
    Footer,
    Header,
    entry_context,
    manifest_context,
)
from sealtune.bundle.manifest import Entry, Manifest, Media, entry_from_dict
from sealtune.bundle.registration import seal_header, seal_slots
from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.limits import BUNDLE_ENTRIES_MAX, BUNDLE_MANIFEST_BYTES_MAX, MIB
from sealtune.crypto.hpke import RecipientPublicKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey
from sealtune.crypto.stream import CHUNK_BYTES, StreamSealer, ciphertext_length, seal_bytes
from sealtune.errors import Code, FormatError

Buffer = bytes | bytearray | memoryview

# Measured (benchmarks/bundle.py): large enough that the calls cost nothing, small enough that
# ciphertext is still in the cache when it is hashed and written.
_STEP_BYTES = MIB // 2


class BundleWriter:
    """Seals entries to a file, then its manifest, header and key slots.

    One ContentKey seals one bundle: give each writer a fresh one. After an exception the writer and
    what it wrote are good for nothing.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        kind: BundleKind,
        owner: SigningKey,
        key: ContentKey,
        bundle_id: bytes | None = None,
    ) -> None:
        """Begin a bundle at the present position of `file`; `bundle_id` is random unless given.

        Raises:
            ValueError: `bundle_id` is not 16 bytes.
        """
        self._bundle_id = secrets.token_bytes(BUNDLE_ID_BYTES) if bundle_id is None else bundle_id
        if len(self._bundle_id) != BUNDLE_ID_BYTES:
            raise ValueError(f"a bundle id has {BUNDLE_ID_BYTES} bytes")
        self._file = file
        self._kind = kind
        self._owner = owner
        self._key = key
        self._entries: list[Entry] = []
        self._names: set[str] = set()
        self._body = blake3.blake3()
        self._body_length = 0
        self._usable = True
        # A step may complete a chunk that an earlier one began.
        self._buffer = memoryview(bytearray(ciphertext_length(_STEP_BYTES + CHUNK_BYTES)))
        file.write(MAGIC)

    def add_entry(
        self,
        name: str,
        data: Buffer | Iterable[Buffer],
        *,
        media: Media,
        dtype: str = "",
        shape: Sequence[int] = (),
        count: int = 0,
    ) -> Entry:
        """Seal `data`, whole or in pieces of any size, as the next entry; return it.

        A tensor needs `dtype` and `shape`, a shard of records its `count`.

        Raises:
            FormatError: the name is unsafe or used, or dtype and shape do not give the length.
            RuntimeError: the writer is finished or has failed.
        """
        self._begin()
        if name in self._names or len(self._entries) == BUNDLE_ENTRIES_MAX:
            raise FormatError(
                Code.MANIFEST_MALFORMED, f"entry {name[:80]!r}: twice, or one too many"
            )
        index, offset = len(self._entries), self._body_length
        length = self._seal(_pieces(data), index=index)
        draft = Entry(
            index=index,
            name=name,
            media=Media(media),
            length=length,
            offset=offset,
            dtype=dtype,
            shape=tuple(shape),
            count=count,
        )
        # The reader's own rules: what it would refuse is not written.
        entry = entry_from_dict(draft.to_dict(), index=index, offset=offset)
        self._entries.append(entry)
        self._names.add(name)
        self._usable = True
        return entry

    def finish(
        self,
        *,
        facts: Mapping[str, Any],
        recipients: Sequence[RecipientPublicKey],
        deidentification: Digest | None = None,
    ) -> Header:
        """Write manifest, header, slots for `recipients` and footer; return the signed header.

        `deidentification` is the digest of the report on a dataset's records, if there is one.

        Raises:
            ValueError: there is no entry, or no recipient, or one twice; or a report on what is no
                dataset.
            FormatError: names and facts take more than a manifest may.
            RuntimeError: the writer is finished or has failed.
        """
        self._begin()
        if not self._entries:
            raise ValueError("a bundle has at least one entry")
        if deidentification is not None and self._kind is not BundleKind.DATASET:
            raise ValueError("a de-identification report is of a dataset only")
        manifest = self._manifest(facts)
        header = Header(
            kind=self._kind,
            bundle_id=self._bundle_id,
            owner=self._owner.public,
            body_length=self._body_length,
            body_digest=f"blake3:{self._body.hexdigest()}",
            manifest_length=len(manifest),
            manifest_digest=sha256_digest(manifest),
            deidentification=deidentification,
        )
        header_block = seal_header(header, owner=self._owner)
        slots_block = seal_slots(
            header, owner=self._owner, key=self._key, recipients=tuple(recipients)
        )
        footer = Footer(header_length=len(header_block), slots_length=len(slots_block))
        for part in (manifest, header_block, slots_block, footer.to_bytes()):
            self._file.write(part)
        return header

    def _begin(self) -> None:
        if not self._usable:
            raise RuntimeError("this BundleWriter is finished or has failed")
        self._usable = False

    def _manifest(self, facts: Mapping[str, Any]) -> bytes:
        plaintext = Manifest(entries=tuple(self._entries), facts=facts).to_plaintext()
        if ciphertext_length(len(plaintext)) > BUNDLE_MANIFEST_BYTES_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, "too many or too long entry names and facts")
        context = manifest_context(bundle_id=self._bundle_id, kind=self._kind)
        return seal_bytes(self._key, plaintext, context=context)

    def _seal(self, pieces: Iterable[memoryview], *, index: int) -> int:
        context = entry_context(bundle_id=self._bundle_id, kind=self._kind, index=index)
        sealer = StreamSealer(self._key, context=context)
        length = 0
        for piece in pieces:
            length += len(piece)
            self._emit(self._buffer[: sealer.update_into(piece, self._buffer)])
        self._emit(sealer.finalize())
        return length

    def _emit(self, ciphertext: bytes | memoryview) -> None:
        self._body.update(ciphertext)
        self._file.write(ciphertext)
        self._body_length += len(ciphertext)


def _pieces(data: Buffer | Iterable[Buffer]) -> Iterator[memoryview]:
    chunks = [data] if isinstance(data, bytes | bytearray | memoryview) else data
    for chunk in chunks:
        view = memoryview(chunk)
        if view.nbytes == 0:
            continue  # an empty view of several dimensions cannot be cast
        view = view.cast("B")
        for start in range(0, len(view), _STEP_BYTES):
            yield view[start : start + _STEP_BYTES]
