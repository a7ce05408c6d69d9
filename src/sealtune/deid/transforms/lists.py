"""Names of people from the locales of `faker`, to choose surrogates from.

Read once in a process. Only single words are taken: what they stand for is replaced part by part.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from sealtune.deid.transforms.calendar_words import plain
from sealtune.errors import Code, ConfigError

FEMALE, MALE, NEUTRAL = "f", "m", "n"
_FEW: Final = 12  # a list shorter than this would give everybody the same name
_SCRIPTS: Final = (
    # First and last letter of a script's block, and the locale that has names in it.
    ("\u0370", "\u03ff", "el_GR"),
    ("\u0400", "\u052f", "ru_RU"),
    ("\u0530", "\u058f", "hy_AM"),
    ("\u0590", "\u05ff", "he_IL"),
    ("\u0600", "\u06ff", "ar_SA"),
    ("\u0900", "\u097f", "hi_IN"),
    ("\u0980", "\u09ff", "bn_BD"),
    ("\u0b80", "\u0bff", "ta_IN"),
    ("\u0e00", "\u0e7f", "th_TH"),
    ("\u10a0", "\u10ff", "ka_GE"),
    ("\u3040", "\u30ff", "ja_JP"),
    ("\u4e00", "\u9fff", "zh_CN"),
    ("\uac00", "\ud7af", "ko_KR"),
)


@dataclass(slots=True)
class LocaleNames:
    """The names of one locale: first names by gender, last names by gender where it has them so."""

    first: dict[str, list[str]] = field(default_factory=dict)
    last: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class NameLists:
    """All locales' names, and where each name stands (the locale and gender that come first)."""

    locales: dict[str, LocaleNames]
    first: dict[str, dict[str, str]]  # a plain name -> locale -> gender
    last: dict[str, dict[str, str]]


def script_locale(word: str) -> str | None:
    """Return the locale for names in the script of `word`, or None for Latin and unknown ones."""
    if word.isascii():
        return None
    for letter in word:
        for first, last, locale in _SCRIPTS:
            if first <= letter <= last:
                return locale
    return None


@cache
def read_names() -> NameLists:
    """Return the names of every locale.

    Raises:
        ConfigError: `faker` is not installed.
    """
    try:
        providers = importlib.import_module("faker.providers.person")
    except ImportError as error:
        message = "realistic surrogates need the package faker, which is not installed"
        remedy = "pip install 'sealtune[deid]'"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy) from error
    lists = NameLists({}, {}, {})
    names = sorted(module.name for module in pkgutil.iter_modules(providers.__path__))
    for locale in names:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        known = LocaleNames(_by_gender(provider, "first"), _by_gender(provider, "last"))
        if known.first or known.last:
            lists.locales[locale] = known
            _index(lists.first, locale, known.first)
            _index(lists.last, locale, known.last)
    return lists


def _by_gender(provider: Any, which: str) -> dict[str, list[str]]:
    """Return the lists of a locale; `n` are the names that say nothing of a gender.

    Short ones are left out: the one last name of a list of one would be its own surrogate.
    """
    found = {
        gender: _single(_table(provider, f"{which}_names{ending}"))
        for gender, ending in ((FEMALE, "_female"), (MALE, "_male"))
    }
    everyone = _single(_table(provider, f"{which}_names"))
    if not (found[FEMALE] and found[MALE]):
        return {NEUTRAL: everyone} if len(everyone) >= _FEW else {}
    male = {plain(name) for name in found[MALE]}
    both = {plain(name) for name in found[FEMALE]} & male
    neutral = [name for name in found[FEMALE] if plain(name) in both]
    for gender in (FEMALE, MALE):
        found[gender] = [name for name in found[gender] if plain(name) not in both]
    # Where too few names are anybody's, an unknown name gets one of all.
    found[NEUTRAL] = neutral if len(neutral) >= _FEW else everyone or found[FEMALE] + found[MALE]
    return {gender: names for gender, names in found.items() if len(names) >= _FEW}


def _table(provider: Any, name: str) -> Iterable[str]:
    found = getattr(provider, name, ())
    return found if isinstance(found, tuple | list | dict) else ()


def _single(names: Iterable[str]) -> list[str]:
    words = {plain(name): name for name in names if len(name) > 1 and name.isalpha()}
    words |= {plain(name): name for name in names if len(name) == 1 and script_locale(name)}
    return [words[key] for key in sorted(words)]


def _index(index: dict[str, dict[str, str]], locale: str, names: dict[str, list[str]]) -> None:
    for gender in (FEMALE, MALE, NEUTRAL):
        for name in names.get(gender, ()):
            index.setdefault(plain(name), {}).setdefault(locale, gender)
