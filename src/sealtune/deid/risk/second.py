"""Second detector over the output: `digits` for structured identifiers, spelling for names.

Whether a capitalized word is a name shows only when all records were seen: a word that the dataset
also writes small is none, and one that many records share is a term. So words are counted by their
keyed hash and judged at the end. Text that was just written by a transform is masked out before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.risk.digits import Residual, Token, sniff
from sealtune.deid.risk.residual import PLACES_MAX, SecondFigures
from sealtune.deid.risk.sketch import KeyedHash, Sketch
from sealtune.deid.risk.surnames import NameLikeness, name_likeness
from sealtune.deid.risk.words import Word

WORDS_MAX: Final = 1 << 16  # about 16 MB
_SMALL, _ALONE, _PAIRED, _TITLED = range(4)
_TITLES_LISTED: Final = """
mr mrs ms miss dr prof professor sr sra herr frau monsieur madame mme mlle signor signora dhr mevr
"""
_TITLES: Final = frozenset(_TITLES_LISTED.split())
_LETTERS_MIN: Final = 3
_ALONE_SCORE: Final = 0.6  # 1 in 40 words of medicine is spelled so, and every third rare name
_PAIR_SCORE: Final = 0.8  # of both together
_TERM_SHARE: Final = 0.02  # a word in more of the records is of the subject matter
_TERM_RECORDS_MIN: Final = 5


class SecondDetector:
    """Looks at one record after the other; merges with what others saw."""

    def __init__(self, hashed: KeyedHash, *, kept: Collection[EntityType]) -> None:
        self._hashed = hashed
        self._kept = frozenset(kept)  # types that the owner lets stay: their presence is no leak
        self._words = Sketch(width=4, limit=WORDS_MAX)
        self._sure: Counter[EntityType] = Counter()
        self._possible: Counter[EntityType] = Counter()
        self._places: dict[EntityType, list[int]] = {}

    def structured(
        self, text: str, tokens: Sequence[Token], *, record: int, safe: bool
    ) -> list[Residual]:
        """Count what looks like a structured identifier in masked `text`; return what surely does.

        In a field that the owner named `safe` nothing is sure: its dates and numbers may be what
        the records are about.
        """
        found = [item for item in sniff(text, tokens) if item.entity not in self._kept]
        found = [replace(item, sure=item.sure and not safe) for item in found]
        for item in found:
            (self._sure if item.sure else self._possible)[item.entity] += 1
            if item.sure:
                _place(self._places.setdefault(item.entity, []), record)
        return [item for item in found if item.sure]

    def names(self, text: str, words: Sequence[Word], *, record: int) -> None:
        """Count the `words` of masked `text` as evidence for names."""
        model = name_likeness()
        before: Word | None = None
        for word in words:
            if word.text.islower():
                self._count(word, _SMALL, record)
            elif word.capitalized and len(word.text) >= _LETTERS_MIN:
                near = before if before is not None and _adjacent(text, before, word) else None
                kind = _evidence(model, word, near)
                if kind is not None:
                    self._count(word, kind, record)
            before = word

    def merge(self, other: SecondDetector, *, offset: int) -> None:
        """Add what `other` saw in records that come `offset` later."""
        self._words.merge(other._words, offset=offset)
        self._sure += other._sure
        self._possible += other._possible
        for entity, places in other._places.items():
            mine = self._places.setdefault(entity, [])
            for place in places:
                _place(mine, place + offset)

    def written_small(self, key: int) -> bool:
        """Return whether the dataset also writes the word behind `key` small."""
        return self._words.counts(key)[_SMALL] > 0

    def result(self, records: int) -> SecondFigures:
        """Return what was found in `records` records."""
        sure, possible = Counter(self._sure), Counter(self._possible)
        places = {entity.value: tuple(found) for entity, found in self._places.items()}
        if EntityType.PERSON not in self._kept:
            named, maybe, where = self._named(records)
            sure[EntityType.PERSON] += named
            possible[EntityType.PERSON] += maybe
            if where:
                places[EntityType.PERSON.value] = where
        return SecondFigures(
            sure={entity.value: sure[entity] for entity in sorted(sure) if sure[entity]},
            possible={entity.value: n for entity, n in sorted(possible.items()) if n},
            places=dict(sorted(places.items())),
            words_examined=self._words.share,
        )

    def _named(self, records: int) -> tuple[int, int, tuple[int, ...]]:
        common = max(_TERM_RECORDS_MIN, _TERM_SHARE * records)
        sure = possible = 0
        where: list[int] = []
        for _, (small, alone, paired, titled), first in self._words.items():
            if small:
                continue
            term = alone + paired > common
            certain = titled + (0 if term else paired)
            sure += certain
            possible += 0 if term else alone
            if certain:
                _place(where, first)
        scale = 1 / self._words.share
        return round(sure * scale), round(possible * scale), tuple(where)

    def _count(self, word: Word, kind: int, record: int) -> None:
        self._words.add(self._hashed.of(word.text.casefold()), kind, record=record)


def _evidence(model: NameLikeness, word: Word, before: Word | None) -> int | None:
    """Return what speaks for `word` being a name; `before` is the word beside it, if any is."""
    if before is not None and before.text.lower() in _TITLES:
        return _TITLED
    score = model.score(word.text)
    if before is not None and before.capitalized:
        first = model.score(before.text)
        if min(first, score) > 0 and first + score >= _PAIR_SCORE:
            return _PAIRED
    return _ALONE if score >= _ALONE_SCORE and not word.opens else None


def _adjacent(text: str, before: Word, word: Word) -> bool:
    return text[before.end : word.start] in {" ", ". ", "-", "."}


def _place(places: list[int], record: int) -> None:
    if len(places) < PLACES_MAX and (not places or places[-1] < record):
        places.append(record)
