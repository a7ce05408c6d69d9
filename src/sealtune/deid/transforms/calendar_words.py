"""Names of months and days in seven languages, and the words that stand between parts of a date."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

_FULL, _SHORT, _SHORTER = range(3)

# Full names, then short ones, then a second short form where one is common. From January; Monday.
_MONTHS: Final = {
    "en": (
        "January February March April May June July August September October November December",
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "Jan Feb Mar Apr May June July Aug Sept Oct Nov Dec",
    ),
    "de": (
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
        "Jänner Feber Mrz Apr Mai Jun Jul Aug Sept Okt Nov Dez",
    ),
    "fr": (
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "janv févr mars avr mai juin juil août sept oct nov déc",
        "jan fév mar avr mai jun jul aoû sep oct nov déc",
    ),
    "es": (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene feb mar abr may jun jul ago sep oct nov dic",
        "ene feb mar abr may jun jul ago sept oct nov dic",
    ),
    "it": (
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre"
        " dicembre",
        "gen feb mar apr mag giu lug ago set ott nov dic",
        "genn febbr mar apr magg giu lug ago sett ott nov dic",
    ),
    "pt": (
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "jan fev mar abr mai jun jul ago set out nov dez",
        "jan fev mar abr mai jun jul ago set out nov dez",
    ),
    "nl": (
        "januari februari maart april mei juni juli augustus september oktober november december",
        "jan feb mrt apr mei jun jul aug sep okt nov dec",
        "jan feb maa apr mei jun jul aug sept okt nov dec",
    ),
}
_DAYS: Final = {
    "en": (
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "Mon Tue Wed Thu Fri Sat Sun",
        "Mon Tues Weds Thurs Fri Sat Sun",
    ),
    "de": (
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
        "Mo Di Mi Do Fr Sa So",
        "Mo Di Mi Do Fr Sonnabend So",
    ),
    "fr": (
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        "lun mar mer jeu ven sam dim",
        "lun mar mer jeu ven sam dim",
    ),
    "es": (
        "lunes martes miércoles jueves viernes sábado domingo",
        "lun mar mié jue vie sáb dom",
        "lun mar mié jue vie sáb dom",
    ),
    "it": (
        "lunedì martedì mercoledì giovedì venerdì sabato domenica",
        "lun mar mer gio ven sab dom",
        "lun mar mer gio ven sab dom",
    ),
    "pt": (
        "segunda terça quarta quinta sexta sábado domingo",
        "seg ter qua qui sex sáb dom",
        "seg ter qua qui sex sáb dom",
    ),
    "nl": (
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
        "ma di wo do vr za zo",
        "ma di wo do vr za zo",
    ),
}
FILLERS: Final = frozenset(
    "of the on at de del den der do da di du le la el am um von vom il lo op à a o Uhr h"
    " feira 年 月 日 년 월 일".casefold().split()
)
ORDINALS: Final = frozenset(["st", "nd", "rd", "th", "er", "ère", "o", "e"])
_COMMON_LANGUAGES: Final = tuple(_MONTHS)


@dataclass(frozen=True, slots=True)
class CalendarWord:
    """A month (0 is January) or a day (0 is Monday) as a language has it, in one of its forms."""

    language: str
    is_month: bool
    index: int
    form: int

    def other(self, index: int) -> str:
        """Return the month or day `index` in the same language and form."""
        table = _MONTHS if self.is_month else _DAYS
        return table[self.language][self.form].split()[index]


def plain(word: str) -> str:
    """Return `word` in lower case without accents."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _words() -> dict[str, tuple[CalendarWord, ...]]:
    found: dict[str, list[CalendarWord]] = {}
    for is_month, table in ((True, _MONTHS), (False, _DAYS)):
        for language, forms in table.items():
            for form in (_FULL, _SHORT, _SHORTER):
                for index, word in enumerate(forms[form].split()):
                    known = found.setdefault(plain(word), [])
                    known.append(CalendarWord(language, is_month, index, form))
    return {word: tuple(known) for word, known in found.items()}


_WORDS: Final = _words()


def calendar_words(words: list[str], *, language: str) -> list[CalendarWord | None]:
    """Return what each of `words` is in the one language that knows most of them.

    `language` wins where several do; a month before a day (French `mar` is both).
    """
    known = [_WORDS.get(plain(word), ()) for word in words]
    order = [language, *_COMMON_LANGUAGES]

    def score(candidate: str) -> tuple[int, int]:
        hits = sum(any(item.language == candidate for item in items) for items in known)
        return hits, -order.index(candidate)

    best = max(_COMMON_LANGUAGES, key=score)
    return [next((item for item in items if item.language == best), None) for items in known]
