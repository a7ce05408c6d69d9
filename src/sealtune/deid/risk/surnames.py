"""Second detector, names: how much a word is spelled like a name, by its letters in threes.

Learned from the lists that Faker carries, names against words of running text, and used for words
that are on no list: what the first detector misses, it misses because a list lacks it.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from sealtune.errors import Code, ConfigError

# Western languages in Latin letters; others are said not to be looked for.
_NAMES: Final = (
    *("en_US", "en_GB", "en_IN", "en_NG", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL"),
    *("sv_SE", "pt_BR", "hu_HU", "tr_TR", "cs_CZ", "vi_VN"),
)
_WORDS: Final = ("en_US", "de_DE", "fr_FR", "es_ES", "nl_NL", "la")
# How words of medicine and of reports end, which names seldom do.
_ENDINGS_LISTED: Final = """
itis osis emia aemia uria pathy plasty ectomy otomy ostomy scopy scopic graphy gram logy logist
mycin cillin pril sartan statin olol azole xone oxacin dipine parin mab nib vir amide oside tion
sion ment ness ance ence ical able ible ous ing ism ist ology iatric iatry ture
"""
_ENDINGS: Final = tuple(_ENDINGS_LISTED.split())
# Words of headings, brands, days and peoples.
_COMMON_LISTED: Final = """
tylenol lasix aspirin insulin warfarin heparin kidney clinic center centre unit ward summary
allergies denies hemoglobin haemoglobin sodium monday tuesday wednesday thursday friday saturday
sunday january february march april june july august september october november december spanish
english french german chinese american african european asian hispanic caucasian christmas easter
covid medicare medicaid
"""
_COMMON: Final = frozenset(_COMMON_LISTED.split())
# Names that signs, illnesses and things carry: alone they are those.
_EPONYMS_LISTED: Final = """
parkinson alzheimer crohn hodgkin foley doppler babinski romberg glasgow apgar cushing graves
addison wilson marfan down turner murphy
"""
_EPONYMS: Final = frozenset(_EPONYMS_LISTED.split())
_ALPHABET: Final = 40  # letters that a next one is drawn from, for smoothing
_SMOOTHING: Final = 0.05
_SCORES_MAX: Final = 50_000  # words that recur; about 5 MB


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How often three letters, and their first two, occur in some words."""

    threes: Counter[str]
    twos: Counter[str]

    @classmethod
    def of(cls, words: Iterable[str]) -> _Spelling:
        threes: Counter[str] = Counter()
        twos: Counter[str] = Counter()
        for word in words:
            for three in _threes(word):
                threes[three] += 1
                twos[three[:2]] += 1
        return cls(threes, twos)

    def logarithm(self, word: str) -> float:
        return sum(
            math.log(
                (self.threes[three] + _SMOOTHING) / (self.twos[three[:2]] + _SMOOTHING * _ALPHABET)
            )
            for three in _threes(word)
        )


@dataclass(frozen=True, slots=True)
class NameLikeness:
    """Compares the spelling of names and of words."""

    names: _Spelling
    words: _Spelling
    known: frozenset[str]
    _scores: dict[str, float] = field(default_factory=dict, repr=False)

    def score(self, word: str) -> float:
        """Return how much more `word` is spelled like a name, as a log ratio per letter.

        A known word, and one that ends as terms do, scores -1 whatever its letters; an eponym
        somewhat more.
        """
        found = self._scores.get(word)
        if found is None:
            if len(self._scores) >= _SCORES_MAX:
                self._scores.clear()
            found = self._scores[word] = self._score(word.lower())
        return found

    def _score(self, small: str) -> float:
        if small in self.known or small in _COMMON or small.endswith(_ENDINGS):
            return -1.0
        if small in _EPONYMS:
            return -0.5
        return (self.names.logarithm(small) - self.words.logarithm(small)) / (len(small) + 1)


@lru_cache(maxsize=1)
def name_likeness() -> NameLikeness:
    """Return the model, learned in about a third of a second.

    Raises:
        ConfigError: Faker is not installed.
    """
    if importlib.util.find_spec("faker") is None:
        message = "the second detector learns from Faker's lists, which is not installed"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy="pip install 'sealtune[deid]'")
    names = {name for place in _NAMES for name in _listed_names(place)}
    words = {word.lower() for place in _WORDS for word in _provider("lorem", place).word_list}
    jobs = _provider("job", "en_US").jobs
    words |= {word.lower() for job in jobs for word in job.replace(",", " ").split()}
    words = {word for word in words if word.isalpha()}
    return NameLikeness(_Spelling.of(names), _Spelling.of(words), frozenset(words))


def _listed_names(place: str) -> Iterable[str]:
    provider = _provider("person", place)
    for kind in ("first_names", "last_names"):
        for name in getattr(provider, kind, ()):
            yield from (part for part in str(name).lower().split() if part.isalpha())


def _provider(kind: str, place: str) -> Any:
    return importlib.import_module(f"faker.providers.{kind}.{place}").Provider


def _threes(word: str) -> Iterable[str]:
    padded = f"^^{word}$"
    return (padded[place : place + 3] for place in range(len(padded) - 2))
