"""Lists of names and places from the locales of `faker`, and what is known of each word.

Read once in a process. A word's flags decide nothing alone: `people` and `detector` weigh them
with titles, contexts and neighbours.
"""

from __future__ import annotations

import importlib
import pkgutil
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, Final

from sealtune.deid.names import places, words
from sealtune.errors import Code, ConfigError

COMMON: Final = 1  # an ordinary word
FIRST: Final = 2  # a given name
LAST: Final = 4  # a family name
PLACE: Final = 8  # a place's whole name, or (PLACE_PART) the first word of a longer one
PLACE_PART: Final = 16
MEDICAL: Final = 32  # an eponym, drug, organism or abbreviation
AMBIGUOUS: Final = 64  # word and name
PLAIN: Final = 128  # a given name that stands for itself in lower case, too
KNOWN_PLACE: Final = 256  # a place that is known everywhere: found in lower case, too
NAME: Final = FIRST | LAST

_PLACE_TABLES: Final = tuple(
    """
    cities city_names real_city_names states provinces counties regions countries wilayas
    districts settlements villages cantons municipalities communes departments estados distritos
    concelhos prefectures localities metropolitan_cities boroughs region_republics amphoes
    area_names freguesias bairros cap_city_province
    """.split()  # noqa: SIM905 - a table of attributes
)
_NAME_TABLES: Final = {"first": FIRST, "middle": FIRST, "last": LAST, "prefix": 0}
# Locales whose given names readers write in lower case in English prose.
_PLAIN_LOCALES: Final = ("en_US", "en_GB")
_PLACE_WORDS_MAX: Final = 5


class Lexicon:
    """Flags of words, and the names of places by their first word."""

    __slots__ = ("flags", "places")

    def __init__(self) -> None:
        self.flags: dict[str, int] = {}
        self.places: dict[str, tuple[tuple[str, ...], ...]] = {}


@cache
def read_lexicon() -> Lexicon:
    """Return what is known of words.

    Raises:
        ConfigError: `faker` is not installed.
    """
    try:
        person = importlib.import_module("faker.providers.person")
        address = importlib.import_module("faker.providers.address")
        lorem = importlib.import_module("faker.providers.lorem.en_US")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "faker":
            raise
        message = "names: the lists of names come from the package faker, which is not installed"
        remedy = "pip install 'sealtune[deid]'"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy) from None
    lexicon = Lexicon()
    for locale, provider in _providers(person):
        _add_names(lexicon.flags, locale, provider)
    values = {value for _, provider in _providers(address) for value in _places(provider)}
    _add_places(lexicon, values.union(places.PLACES))
    for place in places.PLACES:
        if place.isalpha():
            lexicon.flags[plain(place)] |= KNOWN_PLACE
    _add_words(lexicon.flags, lorem.Provider.word_list)
    return lexicon


@cache
def street_suffixes() -> frozenset[str]:
    """Return words with which streets end in English, `way` and the like among them."""
    provider = importlib.import_module("faker.providers.address.en_US").Provider
    return frozenset(plain(word) for word in provider.street_suffixes)


@cache
def running_words() -> frozenset[str]:
    """Return words of running text in the languages of which `faker` has some in Latin letters."""
    found: set[str] = set()
    for _, provider in _providers(importlib.import_module("faker.providers.lorem")):
        found.update(plain(word) for word in provider.word_list)
    return frozenset(word for word in found if word.isalpha() and word.isascii())


def plain(text: str) -> str:
    """Return `text` in lower case without accents, as lists are compared."""
    return text.lower() if text.isascii() else _without_accents(text)


@lru_cache(maxsize=16_384)
def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in parts if not "\u0300" <= letter <= "\u036f")


def _providers(package: ModuleType) -> Iterator[tuple[str, Any]]:
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        if module.ispkg:
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            yield module.name, loaded.Provider


def _add_names(flags: dict[str, int], locale: str, provider: Any) -> None:
    for table in dir(provider):
        flag = _NAME_TABLES.get(table.partition("_")[0])
        if not flag or "name" not in table:
            continue
        if locale in _PLAIN_LOCALES and flag == FIRST:
            flag |= PLAIN
        for value in _strings(getattr(provider, table)):
            parts = value.replace("-", " ").split()
            for part in parts:
                if len(part) > 1 and part not in words.PARTICLES:
                    key = plain(part.strip(".,'"))
                    flags[key] = flags.get(key, 0) | flag


def _strings(values: Any) -> Iterator[str]:
    if not isinstance(values, (tuple, list, dict)):
        return
    for value in values:
        if isinstance(value, str) and "{" not in value:
            yield value
        elif isinstance(value, tuple):
            yield from (part for part in value if isinstance(part, str))


def _places(provider: Any) -> Iterator[str]:
    for table in _PLACE_TABLES:
        yield from _strings(getattr(provider, table, ()))


def _add_places(lexicon: Lexicon, values: Iterable[str]) -> None:
    longer: dict[str, set[tuple[str, ...]]] = {}
    for value in values:
        # Italian ones are `postal code/name/province`.
        name = value.split("/")[1] if value.count("/") == 2 else value
        parts = tuple(plain(name).replace("-", " ").replace("(", " ").replace(")", " ").split())
        if not parts or len(parts) > _PLACE_WORDS_MAX or len(parts[0]) < 2:
            continue
        flag = PLACE if len(parts) == 1 else PLACE_PART
        lexicon.flags[parts[0]] = lexicon.flags.get(parts[0], 0) | flag
        if len(parts) > 1:
            longer.setdefault(parts[0], set()).add(parts)
    for first, found in longer.items():
        lexicon.places[first] = tuple(sorted(found, key=len, reverse=True))


def _add_words(flags: dict[str, int], lorem: Iterable[str]) -> None:
    tables = (
        (words.COMMON, COMMON),
        (lorem, COMMON),
        (words.TITLES, COMMON),
        (words.AMBIGUOUS, COMMON | AMBIGUOUS),
        (words.EPONYMS, MEDICAL),
        (words.MEDICAL, MEDICAL | COMMON),
    )
    for table, flag in tables:
        for word in table:
            key = plain(word)
            flags[key] = flags.get(key, 0) | flag
