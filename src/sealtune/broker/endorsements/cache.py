"""A folder with endorsements: one file each, whole or not there, read again and again.

    endorsements/
        amd-key-3f0c….json     {"format", "checksum", "item"}
        .lock                  held by the one process that writes

Any number of processes read while one writes. A file that is damaged, moved or of another version
is left out and reported. Only what is valid is served; whatever is served is verified again by the
verifier, so the folder is no trust anchor: who can write to it can withhold, not forge.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sealtune.attestation.endorsements import Endorsements
from sealtune.broker.endorsements.items import Item
from sealtune.broker.endorsements.records import item_from_dict, item_to_dict
from sealtune.broker.endorsements.subjects import Subject
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import sha256_digest
from sealtune.core.files import read_bounded, storage_errors, write_atomic
from sealtune.core.limits import ENDORSEMENT_BYTES_MAX, ENDORSEMENTS_MAX, KIB, MIB
from sealtune.errors import Code, FormatError, SealtuneError, StorageError

CACHE_BYTES_MAX: Final = 32 * MIB  # 1,024 documents of 32 KiB; the largest kind has about 20
CACHE_ITEMS_MAX: Final = ENDORSEMENTS_MAX
_FILE_BYTES_MAX: Final = ENDORSEMENT_BYTES_MAX * 3 // 2 + 8 * KIB
_FORMAT: Final = "sealtune-endorsement/1"
_FOLDER_MODE: Final = 0o700
_LOCK_FILE: Final = ".lock"
_SETTLED_NS: Final = 1_000_000_000  # longer than any file system's clock tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A file of the cache that is not served, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a cache held at one moment, sorted by subject."""

    items: tuple[Item, ...]
    damaged: tuple[Damaged, ...]

    def find(self, subject: Subject) -> Item | None:
        """Return the item of `subject`, valid or not."""
        return next((item for item in self.items if item.subject == subject), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a `put` wrote, and what it left alone because the cache holds a newer one."""

    written: tuple[Item, ...]
    kept: tuple[Item, ...]


class EndorsementCache:
    """The endorsements in a folder. Thread-safe, and safe among processes."""

    def __init__(
        self,
        folder: Path,
        *,
        items_max: int = CACHE_ITEMS_MAX,
        bytes_max: int = CACHE_BYTES_MAX,
    ) -> None:
        """Take the folder, which `put` makes where it is missing; the bounds are for tests."""
        self.folder = folder
        self._items_max = items_max
        self._bytes_max = bytes_max
        self._mutex = threading.Lock()
        self._last: tuple[tuple[int, int], Contents] | None = None

    def load(self, now: datetime) -> Endorsements:
        """Return what is valid at `now`, and nothing else.

        Raises:
            StorageError: the folder cannot be read; one that is not there holds nothing.
        """
        valid = (item for item in self.read().items if item.window.holds(now))
        return Endorsements(items=tuple(item.endorsement for item in valid))

    def everything(self) -> Endorsements:
        """Return all items, valid or not: a verifier refuses a stale one and says since when.

        Raises:
            StorageError: the folder cannot be read; one that is not there holds nothing.
        """
        return Endorsements(items=tuple(item.endorsement for item in self.read().items))

    def read(self) -> Contents:
        """Return all that the folder holds, valid or not.

        Raises:
            StorageError: the folder cannot be read; one that is not there holds nothing.
        """
        state = self._state()
        if state is None:
            return Contents(items=(), damaged=())
        with self._mutex:
            if self._last is not None and self._last[0] == state:
                return self._last[1]
        contents = self._read()
        # Two renames within one tick leave one time: what was read right after the first is not
        # kept, or the second would never be seen.
        if time.time_ns() - state[1] > _SETTLED_NS:
            with self._mutex:
                self._last = (state, contents)
        return contents

    def put(self, items: Sequence[Item], *, now: datetime) -> Stored:
        """Write `items`, each in place of an older one of its subject.

        An item that begins before the one held is not written: an old revocation list must not
        take the place of a newer one. Where the cache is full, stale items go first, then those
        fetched longest ago.

        Raises:
            VerificationError: one of `items` is not valid at `now`; nothing is written.
            StorageError: the disk refuses.
        """
        for item in items:
            item.require_valid_at(now)
        written, kept = [], []
        with self._writing():
            held = {item.subject: item for item in self._read().items}
            for item in items:
                old = held.get(item.subject)
                if old is not None and old.window.begins > item.window.begins:
                    kept.append(item)
                    continue
                self._make_room(held, item, now=now)
                write_atomic(self._path(item.subject), _encode(item))
                held[item.subject] = item
                written.append(item)
        return Stored(written=tuple(written), kept=tuple(kept))

    def _state(self) -> tuple[int, int] | None:
        with storage_errors(self.folder):
            try:
                found = self.folder.stat()
            except FileNotFoundError:
                return None
        return found.st_ino, found.st_mtime_ns

    def _read(self) -> Contents:
        items: list[Item] = []
        damaged, size = [], 0
        for path in self._files():
            try:
                item = _decode(path)
            except StorageError as error:
                if error.code is not Code.FILE_MISSING:  # else replaced or evicted meanwhile
                    damaged.append(Damaged(path=path, reason=error.message))
                continue
            except SealtuneError as error:
                damaged.append(Damaged(path=path, reason=error.message))
                continue
            size += len(item.endorsement.data)
            if len(items) == self._items_max or size > self._bytes_max:
                # `put` keeps the bounds; whoever else fills the folder does not get past them.
                damaged.append(Damaged(path=path, reason="more than a cache holds"))
                break
            items.append(item)
        items.sort(key=lambda item: item.subject.text)
        return Contents(items=tuple(items), damaged=tuple(damaged))

    def _files(self) -> list[Path]:
        with storage_errors(self.folder):
            names = sorted(os.listdir(self.folder))  # noqa: PTH208 - names, not paths, are sorted
        found = [name for name in names if name.endswith(".json") and not name.startswith(".")]
        return [self.folder / name for name in found[: 2 * CACHE_ITEMS_MAX]]

    def _path(self, subject: Subject) -> Path:
        return self.folder / _file_name(subject)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with storage_errors(self.folder):
            self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            lock = os.open(self.folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Ends with the process, however that ends.
            fcntl.flock(lock, fcntl.LOCK_EX)
            with storage_errors(self.folder):
                # Nobody else writes now, so these are of a process that was killed.
                for leftover in self.folder.glob(".*.part"):
                    leftover.unlink(missing_ok=True)
            yield
        finally:
            os.close(lock)

    def _make_room(self, held: dict[Subject, Item], new: Item, *, now: datetime) -> None:
        others = [item for item in held.values() if item.subject != new.subject]
        size = sum(len(item.endorsement.data) for item in (*others, new))
        count = len(others) + 1
        others.sort(key=lambda item: (item.window.ends >= now, item.fetched_at))
        for item in others:
            if count <= self._items_max and size <= self._bytes_max:
                return
            with storage_errors(self.folder):
                self._path(item.subject).unlink(missing_ok=True)
            del held[item.subject]
            size -= len(item.endorsement.data)
            count -= 1


def _file_name(subject: Subject) -> str:
    return f"{subject.kind}-{hashlib.sha256(subject.text.encode()).hexdigest()[:32]}.json"


def _encode(item: Item) -> bytes:
    written = item_to_dict(item)
    checksum = sha256_digest(canonical_json(written))
    return canonical_json({"format": _FORMAT, "checksum": checksum, "item": written}) + b"\n"


def _decode(path: Path) -> Item:
    data = read_bounded(path, limit=_FILE_BYTES_MAX, what="endorsement")
    value = parse_json(data, limit=_FILE_BYTES_MAX, what=path.name)
    if not isinstance(value, dict) or value.keys() != {"format", "checksum", "item"}:
        raise _damaged("not a file of this cache")
    if value["format"] != _FORMAT:
        raise _damaged("of another version")
    # Bytes that rotted may still read as a certificate; the verifier would then refuse evidence for
    # a reason that nobody finds.
    if value["checksum"] != sha256_digest(canonical_json(value["item"])):
        raise _damaged("its checksum differs")
    item = item_from_dict(value["item"])
    if path.name != _file_name(item.subject):
        raise _damaged("under another item's name")
    return item


def _damaged(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, reason)
