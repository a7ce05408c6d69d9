"""Counters by keyed hash in bounded memory: a fair sample of the keys once they are too many.

When a table is full, it keeps the keys whose hash has one more low bit of zero. Which keys stay
depends on their hashes alone, so that tables of parts of the data merge into the table of all of
it, two tables of one key compare on the keys that both would keep, and counts of kept keys are
exact. The key keeps a reader of the state from trying names against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, Self

_HASH_BYTES: Final = 8
_KEY_BYTES_MIN: Final = 32
_CACHED_MAX: Final = 50_000  # words of a language that recur; about 5 MB


class KeyedHash:
    """64-bit hashes of text under a key, which stays out of `repr`."""

    def __init__(self, key: bytes) -> None:
        if len(key) < _KEY_BYTES_MIN:
            raise ValueError("the key of a risk meter is 32 bytes or more")
        self._key = hashlib.blake2b(key, digest_size=32, person=b"sealtune-risk").digest()
        self._known: dict[str, int] = {}

    def of(self, text: str) -> int:
        """Return the hash of `text`."""
        found = self._known.get(text)
        if found is None:
            found = self.of_long(text)
            if len(self._known) >= _CACHED_MAX:
                self._known.clear()
            self._known[text] = found
        return found

    def of_long(self, text: str) -> int:
        """Return the same for a text that will hardly come again."""
        data = text.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(data, digest_size=_HASH_BYTES, key=self._key).digest()
        return int.from_bytes(digest, "big")

    def __repr__(self) -> str:
        return "KeyedHash(hidden)"

    def __getstate__(self) -> bytes:
        return self._key  # what was hashed last is text: it stays here

    def __setstate__(self, key: bytes) -> None:
        self._key = key
        self._known = {}


class Sketch:
    """`width` counters per key, and the number of the first record that had it."""

    def __init__(self, *, width: int, limit: int) -> None:
        self.width = width
        self.limit = limit
        self.level = 0
        self._entries: dict[int, list[int]] = {}

    def add(self, key: int, counter: int, *, record: int) -> None:
        """Count one more of `key`."""
        if key & ((1 << self.level) - 1):
            return
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = [0] * self.width + [record]
            entry[counter] = 1
            self._shrink()
        else:
            entry[counter] += 1

    def merge(self, other: Self, *, offset: int) -> None:
        """Add the counts of `other`, whose records come `offset` later."""
        self.level = max(self.level, other.level)
        for key, theirs in other._entries.items():
            entry = self._entries.get(key)
            if entry is None:
                self._entries[key] = [*theirs[:-1], theirs[-1] + offset]
                continue
            for counter in range(self.width):
                entry[counter] += theirs[counter]
            entry[-1] = min(entry[-1], theirs[-1] + offset)
        self._keep()
        self._shrink()

    def counts(self, key: int) -> list[int]:
        """Return the counters of `key`, all 0 where it never came or is not kept."""
        entry = self._entries.get(key)
        return [0] * self.width if entry is None else entry[: self.width]

    def items(self) -> Iterator[tuple[int, list[int], int]]:
        """Yield each kept key with its counters and first record, in order of the first record."""
        ordered = sorted(self._entries.items(), key=lambda item: (item[1][-1], item[0]))
        for key, entry in ordered:
            yield key, entry[:-1], entry[-1]

    def keeps(self, key: int) -> bool:
        """Return whether `key` would be kept."""
        return not key & ((1 << self.level) - 1)

    @property
    def share(self) -> float:
        """Which share of all keys is kept."""
        return 1 / (1 << self.level)

    def __len__(self) -> int:
        return len(self._entries)

    def _shrink(self) -> None:
        while len(self._entries) > self.limit:
            self.level += 1
            self._keep()

    def _keep(self) -> None:
        mask = (1 << self.level) - 1
        if mask:
            self._entries = {key: entry for key, entry in self._entries.items() if not key & mask}
