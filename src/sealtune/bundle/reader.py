"""Reads a SealedBundle: whole-file checks, key slots, random access by entry (spec/bundle §7).

The steps are types: `SealedBundle` has verified signatures and a verified manifest digest,
`BundleReader` a verified manifest. An entry is decrypted straight into the caller's buffer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import blake3

from sealtune.bundle.file import BundleFile, manifest_ciphertext, signed_blocks
from sealtune.bundle.format import (
    FOOTER_BYTES,
    MAGIC,
    BundleKind,
    Header,
    Slot,
    entry_context,
    manifest_context,
    truncated,
)
from sealtune.bundle.manifest import Entry, Manifest, parse_manifest
from sealtune.bundle.pieces import decrypted_pieces, step_length
from sealtune.bundle.registration import SealedRegistration, registration_bytes, verify_blocks
from sealtune.core.digest import Digest
from sealtune.core.limits import MIB
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import VerifyingKey
from sealtune.crypto.stream import StreamOpener, open_bytes
from sealtune.errors import Code, ConfigError, VerificationError

# Measured (benchmarks/bundle.py): what pread copies is still in the cache when it is decrypted.
_STEP_BYTES = MIB // 2


class SealedBundle:
    """A bundle whose signatures hold and whose parts fill the file; its content is still sealed.

    Whoever opened it compares `digest` or `owner` with what it expects: `expect_digest`,
    `expect_owner`, `expect_kind`.
    """

    def __init__(self, file: BundleFile, *, registration: SealedRegistration) -> None:
        """Use `open_bundle_file`; this only remembers what it has verified."""
        self.file = file
        self._registration = registration

    @property
    def header(self) -> Header:
        """The signed header."""
        return self._registration.header

    @property
    def digest(self) -> Digest:
        """The bundle's digest, as a contract names it."""
        return self._registration.digest

    @property
    def kind(self) -> BundleKind:
        """What the bundle holds."""
        return self._registration.kind

    @property
    def owner(self) -> VerifyingKey:
        """The key that signed the bundle."""
        return self._registration.owner

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The recipients' wrapped keys."""
        return self._registration.slots

    @property
    def size(self) -> int:
        """The length of the file in bytes."""
        return self.file.size

    def expect_digest(self, digest: Digest) -> Self:
        """Return this bundle if it is the one named `digest`.

        Raises:
            VerificationError: it is another (swapped, or an older one put back).
        """
        if self.digest != digest:
            message = f"{self.file.path}: another bundle than the one named ({self.digest})"
            remedy = f"give the very file that was sealed as {digest}"
            raise VerificationError(Code.BUNDLE_DIGEST, message, remedy=remedy)
        return self

    def expect_owner(self, owner: VerifyingKey) -> Self:
        """Return this bundle if `owner` signed it.

        Raises:
            VerificationError: somebody else did.
        """
        if self.owner != owner:
            message = f"{self.file.path}: signed by {self.owner.text}, expected {owner.text}"
            raise VerificationError(Code.BUNDLE_OWNER, message)
        return self

    def expect_kind(self, kind: BundleKind) -> Self:
        """Return this bundle if it is of `kind`.

        Raises:
            ConfigError: it is of another.
        """
        if self.kind is not kind:
            message = f"{self.file.path}: a {self.kind.value} bundle, expected a {kind.value}"
            raise ConfigError(Code.BUNDLE_KIND, message)
        return self

    def unwrap(self, recipient: RecipientKey) -> ContentKey:
        """Return the ContentKey from `recipient`'s slot.

        Raises:
            ConfigError: there is no slot for this key.
            VerificationError: the slot does not open with it.
        """
        return self._registration.unwrap(recipient)

    def unlock(self, key: ContentKey) -> BundleReader:
        """Return the reader of this bundle's entries (spec/bundle §7.3).

        Raises:
            VerificationError: `key` is not this bundle's.
            FormatError: the manifest breaks a rule.
        """
        header = self.header
        ciphertext = manifest_ciphertext(self.file, header)
        context = manifest_context(bundle_id=header.bundle_id, kind=header.kind)
        plaintext = open_bytes(key, ciphertext, context=context)
        manifest = parse_manifest(plaintext, body_length=header.body_length)
        return BundleReader(self.file, header=header, manifest=manifest, key=key)

    def read_body(self) -> Iterator[memoryview]:
        """Yield the body's ciphertext in pieces, each valid until the next; needs no key.

        Raises:
            VerificationError: at the end, if the body is not the one that the owner signed.
        """
        state = blake3.blake3()
        length = self.header.body_length
        buffer = memoryview(bytearray(min(_STEP_BYTES, length)))
        for start in range(0, length, _STEP_BYTES):
            piece = buffer[: min(_STEP_BYTES, length - start)]
            self.file.read_into(piece, offset=len(MAGIC) + start)
            state.update(piece)
            yield piece
        _check_body(state, self.header)

    def close(self) -> None:
        """Close the file, for this bundle's readers too."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class BundleReader:
    """Opens the entries of one bundle, in any order and from any thread.

    What `read` and `read_into` return is authentic: that entry of that bundle, whole. `read_all`
    and `verify_body` add that the file as such is the one that the owner made.
    """

    def __init__(
        self, file: BundleFile, *, header: Header, manifest: Manifest, key: ContentKey
    ) -> None:
        """Use `SealedBundle.unlock`; this only remembers what it has verified."""
        self._file = file
        self._header = header
        self._manifest = manifest
        self._key = key
        self._by_name = {entry.name: entry for entry in manifest.entries}
        self._pins: Mapping[int, bytes] = {}
        self._local = threading.local()

    @property
    def header(self) -> Header:
        """The bundle's signed header."""
        return self._header

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries in the order of the body."""
        return self._manifest.entries

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the owner states about the whole (spec/bundle §6.4)."""
        return self._manifest.facts

    def find(self, name: str) -> Entry:
        """Return the entry called `name`.

        Raises:
            ConfigError: there is none.
        """
        entry = self._by_name.get(name)
        if entry is None:
            message = f"{self._file.path}: no entry {name[:80]!r}"
            raise ConfigError(Code.BUNDLE_ENTRY_MISSING, message)
        return entry

    def read(self, entry: Entry) -> bytearray:
        """Return the plaintext of `entry`.

        Raises:
            VerificationError: its bytes were changed, cut or moved.
        """
        plaintext = bytearray(entry.length)
        self.read_into(entry, memoryview(plaintext))
        return plaintext

    def read_into(self, entry: Entry, destination: memoryview) -> None:
        """Decrypt `entry` straight into `destination`, which has exactly its length in bytes.

        On failure `destination` is zeroed.

        Raises:
            VerificationError: the entry's bytes were changed, cut or moved.
            ValueError: `destination` has another length.
        """
        pin = self._pins.get(entry.index)
        if pin is None:
            self._open(entry, destination, _ignore)
            return
        state = blake3.blake3()
        self._open(entry, destination, state.update)
        if state.digest() != pin:
            destination.cast("B")[:] = bytes(destination.nbytes)
            raise _exchanged(self._file.path)

    def read_pieces(
        self, entry: Entry, buffer: memoryview, *, multiple: int = 1
    ) -> Iterator[memoryview]:
        """Yield the plaintext of `entry` in order, each piece in `buffer` and valid until the next.

        For entries larger than the memory that there is for them. Each piece but the last has a
        multiple of `multiple` bytes; the larger `buffer`, the fewer pieces.

        Every piece is authentic and in its place, but provisional (spec/bundle §7.5): only when the
        iterator ends without raising is the entry whole, and the one that `pinned` has seen. What
        was computed from pieces before an error is to be thrown away. On failure `buffer` is
        zeroed.

        Raises:
            VerificationError: the entry's bytes were changed, cut or moved; before its last piece.
            ValueError: `buffer` holds less than `multiple` and 32 KiB more.
        """
        room = buffer.cast("B")
        step = min(_STEP_BYTES, step_length(len(room), multiple=multiple))
        state, pin = blake3.blake3(), self._pins.get(entry.index)

        def check() -> None:
            if pin is not None and state.digest() != pin:
                raise _exchanged(self._file.path)

        return decrypted_pieces(
            self._opener(entry),
            # Not the thread's buffer: another reading may come between two pieces.
            self._ciphertext(entry, memoryview(bytearray(min(step, entry.stored_length)))),
            room,
            multiple=multiple,
            seen=_ignore if pin is None else state.update,
            check=check,
        )

    def pinned(self) -> BundleReader:
        """Return a reader that opens only bytes which the signed body digest covers, now and later.

        One pass over the ciphertext checks that digest and remembers 32 bytes for each entry; each
        reading is compared with them, so that a file exchanged or changed in between is refused
        even if it is authentic under the key (spec/bundle §7.4).

        Raises:
            VerificationError: the body's digest differs.
        """
        state, pins = blake3.blake3(), {}
        for entry in self.entries:
            own = blake3.blake3()
            for piece in self._ciphertext(entry, self._scratch(entry)):
                state.update(piece)
                own.update(piece)
            pins[entry.index] = own.digest()
        _check_body(state, self._header)
        reader = BundleReader(
            self._file, header=self._header, manifest=self._manifest, key=self._key
        )
        reader._pins = pins
        return reader

    def read_all(self) -> Iterator[tuple[Entry, bytearray]]:
        """Yield each entry with its plaintext in one pass that also checks the body's digest.

        Each plaintext is authentic for itself; that the file is whole is certain only when the
        iterator ends without raising.

        Raises:
            VerificationError: an entry's bytes were changed, or the body's digest differs.
        """
        plaintext = bytearray()

        def fresh(entry: Entry) -> memoryview:
            nonlocal plaintext
            plaintext = bytearray(entry.length)
            return memoryview(plaintext)

        for entry in self.read_all_into(fresh):
            yield entry, plaintext

    def read_all_into(self, destination: Callable[[Entry], memoryview]) -> Iterator[Entry]:
        """Decrypt each entry straight into what `destination` gives for it; yield it then.

        The same pass as `read_all`, for callers that have the memory already: fetching fresh memory
        from the system costs as much as decrypting.

        Raises:
            VerificationError: an entry's bytes were changed, or the body's digest differs.
            ValueError: a destination has another length than its entry.
        """
        state = blake3.blake3()
        for entry in self.entries:
            self._open(entry, destination(entry), state.update)
            yield entry
        _check_body(state, self._header)

    def _open(
        self, entry: Entry, destination: memoryview, seen: Callable[[memoryview], object]
    ) -> None:
        if destination.nbytes != entry.length:
            raise ValueError(f"the destination has {destination.nbytes} bytes, not {entry.length}")
        target = destination.cast("B") if entry.length else memoryview(bytearray())
        pieces = self._ciphertext(entry, self._scratch(entry))
        try:
            _decrypt(self._opener(entry), pieces, target, seen)
        except BaseException:
            # spec/bundle §7.5: plaintext is provisional until the stream is finalized.
            target[:] = bytes(len(target))
            raise

    def _opener(self, entry: Entry) -> StreamOpener:
        header = self._header
        context = entry_context(bundle_id=header.bundle_id, kind=header.kind, index=entry.index)
        return StreamOpener(self._key, context=context)

    def _ciphertext(self, entry: Entry, buffer: memoryview) -> Iterator[memoryview]:
        offset, length = len(MAGIC) + entry.offset, entry.stored_length
        for start in range(0, length, len(buffer)):
            piece = buffer[: min(len(buffer), length - start)]
            self._file.read_into(piece, offset=offset + start)
            yield piece

    def _scratch(self, entry: Entry) -> memoryview:
        # One buffer of ciphertext per thread: a fresh one for each entry costs page faults.
        buffer: memoryview | None = getattr(self._local, "buffer", None)
        length = min(entry.stored_length, _STEP_BYTES)
        if buffer is None or len(buffer) < length:
            buffer = self._local.buffer = memoryview(bytearray(length))
        return buffer


def open_bundle_file(path: Path, *, length: int | None = None) -> SealedBundle:
    """Open the bundle at `path` and verify all that needs no key (spec/bundle §7.1, §7.2).

    With `length`, `path` may be a disk whose first `length` bytes are the bundle.

    The signatures show that header and slots are of one owner, not whose: compare `digest` or
    `owner`, or use `open_expected_bundle`.

    Raises:
        StorageError: the file is missing or cannot be read.
        FormatError: it is no bundle, or is cut or grown.
        VerificationError: a signature or the manifest's digest does not hold.
    """
    file = BundleFile(path, length=length)
    try:
        header_block, slots_block = signed_blocks(file)
        registration = verify_blocks(header_block, slots_block)
        header = registration.header
        parts = len(header_block) + len(slots_block) + FOOTER_BYTES
        # spec/bundle §2.4: the parts fill the file, so that no byte of it goes unchecked.
        if len(MAGIC) + header.body_length + header.manifest_length + parts != file.size:
            raise truncated("the file is longer or shorter than its signed header says")
        manifest_ciphertext(file, header)
    except BaseException:
        file.close()
        raise
    return SealedBundle(file, registration=registration)


def open_expected_bundle(path: Path, *, digest: Digest) -> SealedBundle:
    """Open the bundle at `path` if it is the one named `digest`, for instance by a contract.

    Raises:
        VerificationError: it is another, or a signature or the manifest's digest does not hold.
        StorageError: the file is missing or cannot be read.
        FormatError: it is no bundle, or is cut or grown.
    """
    bundle = open_bundle_file(path)
    try:
        return bundle.expect_digest(digest)
    except VerificationError:
        bundle.close()
        raise


def verify_body(path: Path) -> Header:
    """Return the header once the whole body has the digest that the owner signed; needs no key.

    Raises:
        VerificationError: a byte of the body differs, or as `open_bundle_file`.
        FormatError: as `open_bundle_file`.
    """
    with open_bundle_file(path) as bundle:
        for _ in bundle.read_body():
            pass
        return bundle.header


def registration(path: Path, *, report: bytes | None = None) -> bytes:
    """Return the registration of the bundle at `path`: what its owner posts to a broker.

    `report` is the de-identification report that the bundle was sealed with.

    Raises:
        StorageError, FormatError, VerificationError: as `open_bundle_file`.
    """
    with open_bundle_file(path) as bundle:
        return registration_bytes(*signed_blocks(bundle.file), report=report)


def _check_body(state: blake3.blake3, header: Header) -> None:
    if f"blake3:{state.hexdigest()}" != header.body_digest:
        message = "the body is not the one that the owner signed"
        raise VerificationError(Code.BUNDLE_BODY_DIGEST, message)


def _exchanged(path: Path) -> VerificationError:
    message = f"{path}: changed after its body's digest was checked"
    return VerificationError(Code.BUNDLE_BODY_DIGEST, message)


def _decrypt(
    opener: StreamOpener,
    pieces: Iterator[memoryview],
    target: memoryview,
    seen: Callable[[memoryview], object],
) -> None:
    # `pieces` have together the length of a stream of `len(target)` bytes (spec/bundle §3.1), so
    # what they decrypt to fits exactly.
    written = 0
    for piece in pieces:
        seen(piece)
        written += opener.update_into(piece, target[written:])
    target[written:] = opener.finalize()


def _ignore(piece: memoryview) -> None:
    """Look at nothing: the stream authenticates itself."""
