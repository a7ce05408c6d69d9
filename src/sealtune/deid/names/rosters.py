"""Lists of the owner's own: whoever and whatever they name is found wherever it occurs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sealtune.core.files import read_bounded
from sealtune.core.limits import MIB
from sealtune.deid.config import Roster
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.folding import fold
from sealtune.deid.names.lists import plain
from sealtune.errors import Code, ConfigError

ROSTER_BYTES_MAX: Final = 64 * MIB  # a million names of staff and patients
VALUE_TOKENS_MAX: Final = 12
_TOKEN: Final = re.compile(r"[^\W_]{1,100}")
_GAP: Final = re.compile(r"[\s.,'\u2019_-]{0,4}")
_CONFIDENCE: Final = 0.95


class RosterDetector:
    """Finds the values of one roster: whole words, in any case, names in either order."""

    def __init__(self, name: str, entity: EntityType, values: list[str]) -> None:
        """Take `values` as the file has them."""
        self.name = f"roster:{name}"
        self._entity = entity
        self._values: dict[str, list[tuple[str, ...]]] = {}
        for value in values:
            for order in _orders(value, entity):
                known = self._values.setdefault(order[0], [])
                if order not in known:
                    known.append(order)
        for known in self._values.values():
            known.sort(key=len, reverse=True)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield each value in `text`."""
        matches = list(_TOKEN.finditer(text))
        words = [plain(match.group()) for match in matches]
        at = 0
        while at < len(words):
            length = self._length(text, matches, words, at)
            if length:
                start, end = matches[at].start(), matches[at + length - 1].end()
                yield Finding(start, end, self._entity, _CONFIDENCE, self.name, "roster")
            at += length or 1

    def _length(self, text: str, matches: list[re.Match[str]], words: list[str], at: int) -> int:
        for value in self._values.get(words[at], ()):
            end = at + len(value)
            if tuple(words[at:end]) == value and all(
                _GAP.fullmatch(text, matches[i].end(), matches[i + 1].start())
                for i in range(at, end - 1)
            ):
                return len(value)
        return 0


def _orders(value: str, entity: EntityType) -> Iterator[tuple[str, ...]]:
    tokens = tuple(plain(token) for token in _TOKEN.findall(value))[:VALUE_TOKENS_MAX]
    if not tokens:
        return
    yield tokens
    if entity is EntityType.PERSON and len(tokens) > 1:
        yield (*tokens[1:], tokens[0])
        yield (tokens[-1], *tokens[:-1])


def read_roster(roster: Roster) -> RosterDetector:
    """Return the detector of the values in `roster`'s file, one a line.

    Raises:
        ConfigError: the file is not UTF-8.
        StorageError: the file is missing or cannot be read.
    """
    path = Path(roster.file)
    data = read_bounded(path, limit=ROSTER_BYTES_MAX, what="roster")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(Code.CONFIG_INVALID, f"{path}: roster: not UTF-8") from None
    values = [fold(line.strip()).text for line in lines if line.strip()]
    return RosterDetector(roster.name, roster.entity, values)
