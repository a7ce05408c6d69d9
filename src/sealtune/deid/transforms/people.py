"""Another name for a person, part by part: the same part gets the same one wherever it stands.

So a last name alone still points to the person that the full name pointed to. First names keep
their gender where a list knows it, and unknown ones get a name that says nothing of it; titles,
particles and the way of writing stay. Names on a list are moved along a secret order of that list:
no two of them get the same surrogate and none gets its own. A name on no list gets one by chance,
so two of those (one in a few hundred pairs) may share a part. An initial is moved apart from the
name that it stands for. Frequencies stay: who knows that half of the patients are called Smith
recognizes its surrogate.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from sealtune.deid.folding import fold
from sealtune.deid.transforms.calendar_words import plain
from sealtune.deid.transforms.choice import Chooser
from sealtune.deid.transforms.lists import NEUTRAL, LocaleNames, read_names, script_locale
from sealtune.deid.transforms.replaced import Seen

NAME_CHARACTERS_MAX: Final = 400  # far above a name; a finding longer than that is none
FIRST: Final = "first"
LAST: Final = "last"
_REMEMBERED_MAX: Final = 20_000
_POSSESSIVE: Final = re.compile(r"['\u2019][sS]$")
_WORD: Final = re.compile(r"[^\W\d_](?:[^\W\d_]|['\u2019](?=[^\W\d_])|[\u0300-\u036f])*")
_FAMILY_FIRST: Final = ("zh_CN", "ko_KR")  # one sign of family name, the given name behind it
# Titles stay but at the end, endings but at the beginning, particles between other words or in
# small letters: Le, Do and Pan are names, too.
_TITLES: Final = """mr mrs ms miss mx dr prof professor sir dame lord lady rev reverend fr father
    sister brother judge hon capt captain lt col gen sgt maj major officer nurse pt patient herr
    frau dipl ing med mag monsieur madame mme mlle docteur maitre sr senor senora senorita don dona
    signor signora signorina dott dottore dottoressa sra srta drs mevrouw meneer dhr mevr hr pan
    pani""".split()  # noqa: SIM905 - a table of words
_ENDINGS: Final = """jr sr junior senior ii iii iv md do dds dmd phd mph mba jd esq dpm pharmd dvm
    rn lpn np pa""".split()  # noqa: SIM905
_PARTICLES: Final = """van von der den de del della di da do dos das la le les du zu zur zum ten
    ter bin ibn binti al el abu bint y e und and af av""".split()  # noqa: SIM905


class People:
    """Makes surrogates of names, for one locale and one key."""

    def __init__(self, locale: str, chooser: Chooser) -> None:
        """Read the lists.

        Raises:
            ConfigError: `faker` is not installed.
        """
        self._lists = read_names()
        self._chooser = chooser
        same = [name for name in self._lists.locales if name[:2] == locale[:2]]
        others = [name for name in self._lists.locales if name[:2] != locale[:2]]
        preferred = [name for name in (locale, "en_US") if name in self._lists.locales]
        self._order = list(dict.fromkeys([*preferred, *same, *others]))
        self._ranks = {
            # Beyond the locale's own language no list is nearer than another.
            name: at if at < len(preferred) + len(same) else len(self._order) - 1
            for at, name in enumerate(self._order)
        }
        self._next: dict[tuple[str, str, str], dict[str, str]] = {}
        self.part = lru_cache(_REMEMBERED_MAX)(self._part)

    def surrogate(self, seen: Seen) -> str | None:
        """Return another name in the form of this one, or None where there is none in it."""
        value = seen.value
        if len(value) > NAME_CHARACTERS_MAX:
            return None
        if not value.isascii():
            value = fold(value).text
        tail = _POSSESSIVE.search(value)
        body = value[: tail.start()] if tail else value
        words = _replaceable(list(_WORD.finditer(body)))
        if not words:
            return None
        roles = self._roles(words, seen, body)
        made: list[str] = []
        done = 0
        for match, role in zip(words, roles, strict=True):
            made += [body[done : match.start()], self._word(match.group(), role)]
            done = match.end()
        return "".join([*made, body[done:], tail.group() if tail else ""])

    def knows(self, word: str) -> str | None:
        """Return which part of a name `word` is by the lists alone, or None."""
        key = plain(word)
        return self._listed(key) or (FIRST if key in self._lists.first else None)

    def _word(self, word: str, role: str) -> str:
        locale = script_locale(word)
        if len(word) == 1 and locale is None:
            return self._chooser.alike("initial", word)
        if locale in _FAMILY_FIRST and 1 < len(word) <= 4 and self.knows(word) is None:
            return self.part(word[0], LAST) + self.part(word[1:], FIRST)
        return cased(self.part(plain(word), role), like=word)

    def _roles(self, words: list[re.Match[str]], seen: Seen, body: str) -> list[str]:
        """Return for each word whether it is (part of) a first or a last name.

        Its list decides where only one has it, so that the order of the words matters little.
        """
        comma = body.find(",")
        last_first = words[0].start() < comma < words[-1].start()
        roles = []
        for at, match in enumerate(words):
            listed = self._listed(plain(match.group()))
            if listed is not None:
                roles.append(listed)
            elif len(words) == 1:
                roles.append(_alone(seen, body, listed=self.knows(match.group()) == FIRST))
            elif last_first:
                roles.append(LAST if match.start() < comma else FIRST)
            else:
                roles.append(LAST if at == len(words) - 1 else FIRST)
        return roles

    def _listed(self, key: str) -> str | None:
        """Return which part of a name `key` is where the lists nearest to the locale say one."""
        first, last = self._rank(self._lists.first, key), self._rank(self._lists.last, key)
        return None if first == last else FIRST if first < last else LAST

    def _rank(self, index: dict[str, dict[str, str]], key: str) -> int:
        ranks = [self._ranks[name] for name in index.get(key, ())]
        return min(ranks, default=len(self._order))

    def _part(self, word: str, role: str) -> str:
        """Return the surrogate of one plain part of a name."""
        index = self._lists.first if role == FIRST else self._lists.last
        known = index.get(word)
        if known:
            written = script_locale(word)
            locale = written if written in known else min(known, key=self._order.index)
            return self._successor(locale, role, known[locale], word)
        locale = script_locale(word) or self._order[0]
        names = self._names(locale, role)
        options = names.get(NEUTRAL) or next(iter(names.values()))
        made = self._chooser.pick(f"name/{role}", word, options)
        return made if plain(made) != word else self._successor(locale, role, NEUTRAL, word)

    def _successor(self, locale: str, role: str, gender: str, word: str) -> str:
        table = self._next.get((locale, role, gender))
        if table is None:
            names = self._names(locale, role)[gender]
            order = self._chooser.order(f"order/{locale}/{role}/{gender}", names)
            after = [*order[1:], order[0]]
            table = {plain(one): other for one, other in zip(order, after, strict=True)}
            self._next[locale, role, gender] = table
        return table[word]

    def _names(self, locale: str, role: str) -> dict[str, list[str]]:
        names = self._lists.locales.get(locale, LocaleNames())
        found = names.first if role == FIRST else names.last
        return found or self._names("en_US", role)


def cased(name: str, *, like: str) -> str:
    """Return `name` in capitals, small letters or as it is, as `like` has them."""
    if len(like) > 1 and like.isupper():
        return name.upper()
    return name.lower() if like.islower() else name


def _replaceable(words: list[re.Match[str]]) -> list[re.Match[str]]:
    """Return the words that are parts of a name, and not about it."""
    last = len(words) - 1
    found = []
    for at, match in enumerate(words):
        word = plain(match.group())
        between = 0 < at < last or (at < last and match.group().islower())
        stays = (word in _TITLES and at < last) or (word in _ENDINGS and at > 0)
        if not stays and not (word in _PARTICLES and between):
            found.append(match)
    return found


def _alone(seen: Seen, body: str, *, listed: bool) -> str:
    if "first" in seen.kind or "given" in seen.kind:
        return FIRST
    titled = any(plain(word) in _TITLES for word in _WORD.findall(body))
    titled = titled or plain(seen.before.strip(" .\t\n").rpartition(" ")[2]) in _TITLES
    return FIRST if listed and not titled and "last" not in seen.kind else LAST
