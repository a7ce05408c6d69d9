"""Record linkage: can the output be matched with the input?

A sample of records that their hashes choose; of each only hashed words are kept, of the input and
of the output. Attackers score every output record of the sample by the rare words in common with
what they know. Whoever has the whole original text nearly always succeeds, with any
de-identification that leaves the story readable; the figure says so rather than hide it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sealtune.deid.risk.residual import LinkageFigures
from sealtune.deid.risk.sketch import KeyedHash
from sealtune.deid.risk.words import Replacement, spelled, texts

SAMPLE: Final = 2_000  # 8 MB; the success rate is then known to 2 points
WORDS_MAX: Final = 256  # of a record
_COMMON_SHARE: Final = 0.2  # a word in more of the records tells nothing
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Sampled:
    """One record: its words in the input and in the output, and those of its identifiers."""

    known: Hashes
    identifiers: Hashes
    published: Hashes


class Smallest:
    """The smallest priorities in all shards that a process worked on.

    A record above them is in no sample of all records, so that its words need not be hashed.
    """

    def __init__(self, size: int = SAMPLE) -> None:
        self._size = size
        self._heap: list[int] = []  # negative: the largest first

    def admits(self, priority: int) -> bool:
        """Count `priority` and return whether it may still be among the smallest of all."""
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, -priority)
        elif -priority > self._heap[0]:
            heapq.heapreplace(self._heap, -priority)
        return -priority >= self._heap[0]


class LinkageMeter:
    """Keeps the sample; merges with others'."""

    def __init__(
        self, hashed: KeyedHash, *, size: int = SAMPLE, seen: Smallest | None = None
    ) -> None:
        self._hashed = hashed
        self._size = size
        self._seen = Smallest(size) if seen is None else seen
        self._heap: list[tuple[int, int, _Sampled]] = []  # largest priority first

    def add(
        self,
        before: Mapping[str, object],
        after: Sequence[str],
        changes: Iterable[Replacement],
        *,
        record: int,
    ) -> None:
        """Take the record into the sample if its hash is among the smallest."""
        priority = self._hashed.of_long("\n".join(after))
        if not self._seen.admits(priority):
            return
        sampled = _Sampled(
            known=self._words(texts(dict(before))),
            identifiers=self._words(change.original for change in changes),
            published=self._words(after),
        )
        self._push((-priority, -record, sampled))

    def merge(self, other: LinkageMeter, *, offset: int) -> None:
        """Add the sample of `other`, whose records come `offset` later."""
        for priority, record, sampled in other._heap:
            self._push((priority, record - offset, sampled))

    def result(self) -> LinkageFigures | None:
        """Return how often the attackers succeed; None for fewer than two records."""
        ordered = sorted(self._heap, key=lambda item: item[:2])
        sample = [sampled for _, _, sampled in ordered]
        if len(sample) < 2:
            return None
        attack = _Attack([item.published for item in sample])
        return LinkageFigures(
            sample=len(sample),
            chance=1 / len(sample),
            whole_text=attack.success([item.known for item in sample]),
            identifiers=attack.success([item.identifiers for item in sample]),
        )

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_seen": None}  # of this process; a merged meter adds no records

    def _push(self, item: tuple[int, int, _Sampled]) -> None:
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, item)
        elif item[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, item)

    def _words(self, found: Iterable[str]) -> Hashes:
        hashes = {self._hashed.of(word) for text in found for word in _telling(text)}
        return np.array(sorted(hashes)[:WORDS_MAX], dtype=np.uint64)


def _telling(text: str) -> Iterable[str]:
    yield from (word.lower() for word in spelled(text) if len(word) > 2)
    parts = (part for part in text.split() if not part.isalpha())
    yield from (part for part in parts if any(map(str.isdigit, part)))


class _Attack:
    """Scores published records by the rare words that they share with what is known."""

    def __init__(self, published: Sequence[Hashes]) -> None:
        count = len(published)
        owners = np.repeat(np.arange(count), [len(words) for words in published])
        merged = np.concatenate(published) if published else np.zeros(0, dtype=np.uint64)
        order = np.argsort(merged, kind="stable")
        self._vocabulary, starts = np.unique(merged[order], return_index=True)
        self._postings = np.split(owners[order], starts[1:])
        shares = np.array([len(posting) for posting in self._postings]) / count
        self._weights = np.where(shares <= max(_COMMON_SHARE, 1 / count), -np.log(shares), 0.0)
        norms = np.zeros(count)
        for posting, weight in zip(self._postings, self._weights, strict=True):
            norms[posting] += weight
        self._norms = np.sqrt(np.maximum(norms, 1e-9))

    def success(self, known: Sequence[Hashes]) -> float:
        """Return the expected share of records that are matched right, ties drawn by lot."""
        rates = [self._rate(target, words) for target, words in enumerate(known)]
        return float(np.mean(rates))

    def _rate(self, target: int, words: Hashes) -> float:
        scores = np.zeros(len(self._norms))
        found = np.searchsorted(self._vocabulary, words)
        words, found = words[found < len(self._vocabulary)], found[found < len(self._vocabulary)]
        found = found[self._vocabulary[found] == words]
        for place in found[self._weights[found] > 0]:  # common words weigh nothing
            scores[self._postings[place]] += self._weights[place]
        scores /= self._norms
        best = scores.max()
        ties = int(np.count_nonzero(scores >= best - 1e-12))
        return 1 / ties if scores[target] >= best - 1e-12 else 0.0
