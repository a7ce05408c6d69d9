"""Finds again what was found once in a document: whole, in parts, in any case, in user names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sealtune.core.limits import KIB
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.names import words
from sealtune.deid.names.lists import plain
from sealtune.deid.patterns import lowered, words_of

_WORD: Final = re.compile(r"[^\W\d_]{2,100}")
_SPLIT_CHARACTERS_MAX: Final = 64 * KIB  # what detectors split; more would fill the memory
_SURE: Final = 0.5  # less sure findings do not spread
_PART_CHARACTERS_MIN: Final = 3
_CONFIDENCE: Final = 0.6
_SPREADING: Final = (EntityType.PERSON, EntityType.LOCATION, EntityType.ORGANIZATION)


def iter_recurrences(text: str, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield where names and places of `findings` recur in `text`."""
    parts = _with_plurals(_parts(text, findings))
    if not parts:
        return
    for start, lower in _standing(text, parts):
        word, end = plain(lower), start + len(lower)
        if (word in words.COMMON or word in words.AMBIGUOUS) and not text[start].isupper():
            continue
        if word in words.EPONYMS and _is_eponym(text, end):
            continue
        yield Finding(start, end, parts[word], _CONFIDENCE, "names", "recurrence")


def _standing(text: str, parts: dict[str, EntityType]) -> Iterable[tuple[int, str]]:
    """Return where a word of `parts` stands in `text`, and how in lower case; in order."""
    if len(text) > _SPLIT_CHARACTERS_MAX:
        found = ((match.start(), lowered(match[0])) for match in _WORD.finditer(text))
        return ((start, word) for start, word in found if plain(word) in parts)
    said = words_of(text)
    written = said.known & parts.keys()
    if not text.isascii():
        written |= {word for word in said.known if not word.isascii() and plain(word) in parts}
    return sorted((start, word) for word in written for start in said.places[word])


def _with_plurals(parts: dict[str, EntityType]) -> dict[str, EntityType]:
    plurals = {part + "s": entity for part, entity in parts.items() if len(part) > 3}
    return plurals | parts


def _parts(text: str, findings: Sequence[Finding]) -> dict[str, EntityType]:
    parts: dict[str, EntityType] = {}
    for finding in findings:
        if finding.confidence < _SURE or finding.entity not in _SPREADING:
            continue
        found = [plain(word) for word in _WORD.findall(text, finding.start, finding.end)]
        if finding.entity is EntityType.PERSON:
            parts.update(dict.fromkeys(_of_person(found), finding.entity))
            for name in _user_names(found):
                parts.setdefault(name, EntityType.USERNAME)
        elif len(found) == 1 and _is_telling(found[0]):
            parts.setdefault(found[0], finding.entity)
    return parts


def _of_person(found: list[str]) -> Iterator[str]:
    return (word for word in found if _stands_alone(word, whole=len(found) > 1))


def _user_names(found: list[str]) -> Iterator[str]:
    if len(found) < 2:
        return
    first, last = found[0], found[-1]
    for joined in (first[0] + last, last + first[0], first + last):
        if len(joined) > 4 and joined not in words.COMMON:
            yield joined


def _is_telling(word: str) -> bool:
    return len(word) > _PART_CHARACTERS_MIN and word not in words.COMMON


def _stands_alone(word: str, *, whole: bool) -> bool:
    if len(word) < _PART_CHARACTERS_MIN or word in words.PARTICLES or word in words.TITLES:
        return False
    if word in words.MEDICAL or word in words.ROLES:
        return False
    return whole or word not in words.COMMON


def _is_eponym(text: str, end: int) -> bool:
    match = re.match(r"(?:['\u2019]s)?[ -]([^\W\d_]{1,20})", text[end : end + 24])
    return match is not None and plain(match.group(1)) in words.EPONYM_NOUNS
