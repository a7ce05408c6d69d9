"""Dates with more than a year, and ages over 89."""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.structured.rules import DIGITS, Rule, RuleDetector, around, compiled, words

# Months in English, German, French, Spanish, Italian, Portuguese and Dutch, whole or abbreviated.
_MONTH: Final = words(
    *(
        "january february march april may june july august september october november december"
    ).split(),
    *("jan feb mar apr jun jul aug sep sept oct nov dec").split(),
    *(
        "januar jänner jaenner februar feber märz maerz mai juni juli oktober dezember mrz okt dez"
    ).split(),
    *(
        "janvier février fevrier mars avril juin juillet août aout septembre octobre novembre décembre decembre"
    ).split(),
    *("janv févr fevr avr juil déc").split(),
    *(
        "enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre"
    ).split(),
    *("ene abr ago dic").split(),
    *(
        "gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre gen mag giu lug set ott"
    ).split(),
    *(
        "janeiro fevereiro março marco maio junho julho setembro outubro novembro dezembro fev out"
    ).split(),
    *("januari februari maart mei augustus mrt").split(),
)
_DAY_NAME: Final = (
    r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
    r"|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo)"
)
_YEAR: Final = r"(?:(?:1[89]|20)\d{2}|'?\d{2})"
_FULL_YEAR: Final = r"(?:1[89]|20)\d{2}"
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH_NUMBER: Final = r"(?:0?[1-9]|1[0-2])"
_TIME: Final = r"(?:(?:[T,]\s?|\s{1,2}(?:at\s|um\s|à\s|@\s?)?)(?:[01]?\d|2[0-3])[:.h][0-5]\d(?:[:.][0-5]\d(?:[.,]\d{1,9})?)?(?:\s?[ap]\.?m\.?\b)?(?:\s?(?:Z|UTC|[+-]\d{2}:?\d{2})\b)?)?"
_NAMED: Final = rf"(?:{_DAY_NAME}\.?,?\s{{1,3}})?"
_ORDINAL: Final = r"(?:st|nd|rd|th|er|\.|º|ª)?"
_OF: Final = r"(?:\s{0,2}(?:of|de|del|-|/|\.)?\s{0,2})"

# The separator between day and month is the one before the year: 120/80-2 is no date.
_NUMERIC: Final = compiled(
    rf"(?<![\w./:-]){_NAMED}(?:{_DAY}|{_MONTH_NUMBER})\s?([/.\-])\s?\n?(?:{_DAY}|{_MONTH_NUMBER})\s?\1\s?\n?{_YEAR}(?![\w/]|[.\-]\d){_TIME}"
)
_ISO: Final = compiled(
    rf"(?<![\w./-]){_FULL_YEAR}([-/. ]){_MONTH_NUMBER}\1{_DAY}(?!\d|[/.\-]\d){_TIME}"
)
_COMPACT: Final = compiled(
    r"(?<![\w./-])(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T?[0-2]\d[0-5]\d(?:[0-5]\d)?Z?)?(?![\w-])"
)
_EASTERN: Final = re.compile(r"(?:19|20)?\d{2}\s?[年년]\s?\d{1,2}\s?[月월](?:\s?\d{1,2}\s?[日일])?")
_DAY_MONTH_YEAR: Final = compiled(
    rf"(?<![\w./])(?:{_NAMED}(?:the\s)?{_DAY}{_ORDINAL}{_OF}{_MONTH}\b\.?,?(?:{_OF},?\s{{0,2}}{_YEAR}(?!\d))?){_TIME}"
)
_MONTH_DAY_YEAR: Final = compiled(
    rf"(?<!\w){_NAMED}{_MONTH}\b\.?\s{{0,2}}-?(?:the\s)?{_DAY}{_ORDINAL}(?!\d|[.,]\d{{1,2}}(?!\d))(?:\s?(?:-|to|and|&)\s?{_DAY}{_ORDINAL}(?!\d))?(?:,?\s{{0,3}}-?{_YEAR}(?!\d))?{_TIME}"
)
_MONTH_YEAR: Final = compiled(
    rf"(?<!\w){_MONTH}\b\.?(?:\s?-\s?|\s?/\s?|,?\s{{1,3}}(?:of\s|de\s|del\s)?){_FULL_YEAR}(?!\d)"
)
_SHORT_MONTH_YEAR: Final = compiled(rf"(?<!\w){_MONTH}\b\.?\s?[-'/]\s?\d{{2}}(?!\d)")
_NUMERIC_MONTH_YEAR: Final = compiled(
    rf"(?<![\w./-])(?:0?[1-9]|1[0-2])[/.\-]{_FULL_YEAR}(?![\w/]|[.\-]\d)"
)
_YEAR_MONTH: Final = compiled(rf"(?<![\w./-]){_FULL_YEAR}[-/](?:0[1-9]|1[0-2])(?![\w/]|[.\-]\d)")
# A day and a month alone are also 5/5 for strength, 3/4 for a part: words before them decide.
_DAY_MONTH: Final = compiled(
    rf"(?<![\w./:-])(?:{_MONTH_NUMBER}[/-]{_DAY}|{_DAY}[/.]{_MONTH_NUMBER}\.?)(?![\w/%]|[.\-]\d)"
)
_DAY_MONTH_WORDS: Final = compiled(
    r"\b(?:on|since|until|till|from|by|dated?|dob|born|admitted|admission|discharged?|seen|visit(?:ed)?|due|"
    r"follow[- ]?up|appointment|through|thru|before|after|am|vom|seit|bis|le|el|il|day|scheduled|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?)\b[\s:,.(]{0,3}$"
)
_SCORES: Final = compiled(
    r"\b(?:strength|power|score[ds]?|scale|grade|pain|motor|rated|systolic|murmur|apgar|reflexes|bp|stage|gcs)\b[^.\n]{0,20}$"
)
_LABELLED: Final = compiled(
    r"\b(?:d\.?o\.?b\.?|date of birth|birth ?date|birthday|born|geb(?:oren)?|geburtsdatum|née? le|naissance|nacimiento|nascita|d\.?o\.?d\.?|date of death|admit(?:ted)?|discharged?)"
    r"\s{0,3}(?:am|on|le|el|:|=|\(|-)?\s{0,3}(\d{1,4}[ /.\-]\d{1,2}[ /.\-]\d{1,4}|\d{6}(?:\d{2})?)(?!\d)"
)
# A month without day or year, where a preposition shows that it is one (`May` is a verb too).
_MONTH_ALONE: Final = re.compile(
    r"\b(?:[Ii]n|[Ss]ince|[Ll]ast|[Nn]ext|[Uu]ntil|[Bb]y|[Ee]arly|[Ll]ate|[Mm]id|[Dd]uring|[Tt]his|[Ff]rom|[Ii]m|[Ss]eit|[Ee]n|[Dd]e)[ -]{1,2}(?:of )?"
    r"((?:January|February|March|April|May|June|July|August|September|October|November|December|Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember))\b"
)
_TENS: Final = words("ninety", "hundred")
_ONES: Final = words("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_OVER_89: Final = r"(?:9\d|1[0-2]\d)"
_AGE: Final = compiled(
    rf"(?<![\w./-])({_OVER_89})(?:\s?[-\u2013]?\s?(?:y(?:ea)?rs?|yo|y/o|y\.o\.?|jahre?|ans|años|anni|anos|jaar)(?:[- ]{{1,2}}(?:of[- ]age|olds?|alte[rnms]?|alt|oud))?\b|(?:y|yo)\b)"
)
_AGE_LABEL: Final = compiled(
    rf"\b(?:aged?|alter|âge|edad|età|idade|leeftijd)\b\s{{0,3}}(?:of|is|at|was|:|=|-|,)?\s{{0,3}}(?:of\s)?({_OVER_89})(?!\d|[./]\d|\s?(?:%|mg|ml|kg|cm|mm))"
)
_AGE_SEX: Final = compiled(
    rf"(?<![\w./-])({_OVER_89})\s?(?:[MF]\b|(?:male|female|man|woman|gentleman|lady)\b)"
)
_AGE_WORDS: Final = compiled(
    rf"\b((?:ninety(?:[- ]{_ONES})?|(?:one|a) hundred(?:(?: and)?[- ](?:{_ONES}|ten|eleven|twelve))?))[- ]years?(?:[- ]olds?| of age)?\b"
)
_IN_NINETIES: Final = compiled(
    r"\bin (?:his|her|their) (?:(?:early|mid|late)[- ])?(nineties|90'?s)\b"
)


def _plausible(value: str) -> bool:
    return not value.startswith(("00",))


_D, _A = EntityType.DATE, EntityType.AGE
DATE_RULES: Final = (
    Rule(_LABELLED, _D, "labelled", 0.97, group=1),
    Rule(_NUMERIC, _D, "numeric", 0.95),
    Rule(_ISO, _D, "iso", 0.97),
    Rule(_COMPACT, _D, "compact", 0.7),
    Rule(_EASTERN, _D, "eastern", 0.95),
    Rule(_DAY_MONTH_YEAR, _D, "day-month", 0.93),
    Rule(_MONTH_DAY_YEAR, _D, "month-day", 0.93),
    Rule(_MONTH_YEAR, _D, "month-year", 0.95),
    Rule(_SHORT_MONTH_YEAR, _D, "month-year", 0.85),
    Rule(_NUMERIC_MONTH_YEAR, _D, "month-year", 0.85),
    Rule(_YEAR_MONTH, _D, "year-month", 0.8),
    Rule(_DAY_MONTH, _D, "day-and-month", 0.8, context=_DAY_MONTH_WORDS, reach=30),
    Rule(_AGE, _A, "over-89", 0.95, group=1),
    Rule(_AGE_LABEL, _A, "over-89", 0.95, group=1),
    Rule(_AGE_SEX, _A, "over-89", 0.85, group=1),
    Rule(_IN_NINETIES, _A, "over-89", 0.9, group=1),
)


def date_detectors() -> tuple[RuleDetector, ...]:
    """Return the detectors of dates and of ages over 89."""
    return (
        RuleDetector("rules", DATE_RULES, DIGITS),
        RuleDetector(
            "rules",
            (
                Rule(_AGE_WORDS, _A, "over-89", 0.95, group=1),
                Rule(_IN_NINETIES, _A, "over-89", 0.9, group=1),
            ),
            around(compiled(r"ninet(?:y|ies)|\bhundred")),
        ),
        RuleDetector("rules", (Rule(_MONTH_ALONE, _D, "month", 0.6, group=1),), _months),
    )


def _months(text: str) -> list[tuple[int, int]]:
    return [(0, len(text))] if _MONTH_ALONE.search(text) else []
