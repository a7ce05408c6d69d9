"""All elements of dates but the year alone, and ages over 89 (45 CFR 164.514(b)(2)(i)(C))."""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.patterns import any_of
from sealtune.deid.structured.rules import BESIDE, Rule, words

_MONTHS: Final = (
    "january february march april may june july august september october november december"
    " jan feb mar apr jun jul aug sep sept oct nov dec"
    " januar jänner februar märz mai juni juli oktober dezember okt dez mrz"
    " janvier février fevrier mars avril juin juillet août aout septembre octobre novembre décembre"
    " decembre janv févr avr juil déc"
    " enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre"
    " diciembre ene abr ago dic"
    " gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre gen mag giu lug set"
    " ott"
    " janeiro fevereiro março maio junho julho setembro outubro novembro dezembro fev out"
    " januari februari maart mei augustus mrt"
    " januari maj augusti stycznia lutego marca kwietnia maja czerwca lipca sierpnia września"
    " października listopada grudnia"
)
_WEEKDAYS: Final = (
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tues?|wed|thur?s?|fri|sat|sun"
    "|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|lundi|mardi|mercredi|jeudi"
    "|vendredi|samedi|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo"
)
_MONTH: Final = rf"(?i:{any_of('|'.join(_MONTHS.split()))})"
WEEKDAY: Final = rf"(?i:{any_of(_WEEKDAYS)})"
_YEAR: Final = r"(?:(?:1[89]|20)\d{2}|['\u2019]\d{2})(?!\d)"
_TIME: Final = (
    r"(?:(?:T|,? at |,? |[ ]?@[ ]?|,? um )\d{1,2}(?:(?::\d{2}){1,2}|(?= ?[aApP]\.?[mM]\b))(?:[.,]\d{1,9})?"
    r"(?: ?(?i:[ap]\.?m\b\.?|hrs|h|uhr|Z|UTC|GMT))?(?:[+-]\d{2}:?\d{2})?Z?)?"
)
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_SUFFIX: Final = r"(?i:st|nd|rd|th|er|º|ª|°|\.)?"
_END: Final = r"(?![\w])"
# What two digits behind a month count, rather than being its year.
_COUNTED: Final = (
    r"(?i:mg|ml|mcg|kg|g|mm|cm|am|pm|h|hrs?|hours?|days?|weeks?|months?|years?|min|minutes?|units?|x"
    r"|patients?|cases?|men|women|children|subjects?|people|persons?|others?|more|were|of|to)\b"
)


_BETWEEN: Final = re.compile(r"[-/. ]+")


def _day_and_month(text: str) -> bool:
    parts = [int(part) for part in _BETWEEN.split(text.split(":")[0])[:3] if part.isdigit()]
    return len(parts) < 2 or min(parts[0], parts[1]) <= 12


def _month_word(text: str) -> bool:
    # "may 5" is no date unless it is written as one.
    return not re.match(r"(?:may|mar|set|out|sun|march|mars|dec|gen|mag) \d{1,2}$", text)


_DATED_WORDS: Final = any_of(
    "on|since|until|till|from|dated?|by|seen|visit|admitted|admit|admission|discharged?"
    "|through|thru|between|dos|dob|born|d/c|starting|started|last|next|before|after|am|le|el|il|op"
    "|to|follow up|followed up|f/u|visits?|appointment|appt|yesterday|tomorrow|as of|dc"
    "|signed|collected|received|scheduled|due|exam|surgery|follow-?up|labs?|ct|mri|x-?ray"
    "|comparison|comparison with|comparison to|compared with|compared to|made with|made to|seen with"
    "|seen to|visit of|adm|disch|of birth|d.o.b.?|performed|read|birth ?date|notes?|rn|nsg|addendum"
    "|progress|update|today|birthday|birthday is|birthday was|birthday falls on|see you|sees you|clinic"
    "|office|hospital"
)
_DATED: Final = re.compile(
    r"(?i)(?:\d{1,2}[/-]\d{1,2}(?:,| to| and| through| -| or|-)?"
    rf"|\b(?:{_DATED_WORDS}|(?:mon|tues?|wed|thur?s?|fri|sat|sun)[a-z]{{0,6}}))"
    r"[\"']?\s{0,2}[:(,]?\s{0,3}[\"']?$|(?:\A|\n)[ \t]{0,3}$|\d{2}:?\d{2}(?: ?hrs)?[ ,]{1,2}$"
)
_AGE: Final = r"(?P<v>(?:9\d|1[0-3]\d))(?!\d)"
_ANY_MONTH: Final = frozenset(_MONTHS.split())
_DAYS: Final = frozenset(_WEEKDAYS.replace("?", "").split("|")) | {"tue", "thu", "thur"}
_DAY_MONTH: Final = (
    r"(?<![\w/.])"
    + _DAY
    + r"(?!\d)"
    + _SUFFIX
    + r"(?i: of| de| day of)?[ \-/.]{0,2}"
    + rf"(?=[^\W\d_]){_MONTH}(?![^\W\d_])"
    + r"\.?(?:(?i:,? | de | del |[-/. ]){1}"
    + rf"(?:{_YEAR}|(?<=[-/])\d{{2}}(?!\d)|(?<= )\d{{2}}(?![\d%]|[:/.,]\d| ?{_COUNTED})))?"
    + _TIME
)
_LETTER_OPENS: Final = (
    r"(?=[ \t]{0,4}\n\s{0,4}(?i:dear|to|re|hi|hello|regarding|subject|sehr|liebe[rs]?|cher|chère"
    r"|madame|monsieur|estimad[oa])\b)"
)
RULES: Final = (
    Rule(
        kind="date-iso",
        entity=EntityType.DATE,
        confidence=0.97,
        starts=(4,),
        pattern=re.compile(
            r"(?:1[89]|20)\d{2}(?P<sep>[-/.])(?:0?[1-9]|1[0-2])(?P=sep)" + _DAY + r"(?!\d)" + _TIME
        ),
    ),
    Rule(
        kind="date-numeric",
        entity=EntityType.DATE,
        confidence=0.95,
        starts=(1, 2),
        check=_day_and_month,
        pattern=re.compile(
            _DAY
            + r"(?P<sep> ?[-/.] ?)"
            + _DAY
            + r"(?P=sep)(?:(?:1[89]|20)\d{2}|['\u2019]?\d{2})(?![\d]|[.,/-]\d)"
            + _TIME
        ),
    ),
    Rule(
        kind="date-month-year",
        entity=EntityType.DATE,
        confidence=0.8,
        starts=(1, 2),
        pattern=re.compile(r"(?:0?[1-9]|1[0-2])[/.-](?:19|20)\d{2}(?![\d/.-]?\d)"),
    ),
    Rule(
        kind="date-year-month",
        entity=EntityType.DATE,
        confidence=0.6,
        starts=(4,),
        pattern=re.compile(r"(?:19|20)\d{2}[-/](?:0[1-9]|1[0-2])(?![\d/.-]?\d)"),
    ),
    Rule(
        kind="date-compact",
        entity=EntityType.DATE,
        confidence=0.5,
        starts=(8, 12, 14),
        pattern=re.compile(
            r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[0-5]\d){0,3}T?\d{0,6}Z?"
            + _END
        ),
    ),
    Rule(
        kind="date-month-day",
        entity=EntityType.DATE,
        confidence=0.6,
        starts=(1, 2),
        context=_DATED,
        window=BESIDE,
        check=_day_and_month,
        pattern=re.compile(
            _DAY
            + r"[/-]"
            + _DAY
            + r"(?![\d/%]|[.-]\d| ?(?i:mm ?hg|strength|pain|scale|motor|edema|murmur|hours?|days?|weeks?|months?|mg|ml|times|tab))"
        ),
    ),
    Rule(
        kind="date-month-day-time",
        entity=EntityType.DATE,
        confidence=0.6,
        starts=(1, 2),
        check=_day_and_month,
        pattern=re.compile(_DAY + "[/-]" + _DAY + r"(?=[ ,]{1,2}(?:at )?\d{1,2}:\d{2}(?![\d:]))"),
    ),
    Rule(
        kind="date-month-day-letter",  # `Spokane, 2/4` on a line of its own
        entity=EntityType.DATE,
        confidence=0.6,
        starts=(1, 2),
        context=re.compile(r"(?:\A|\n)[ \t]{0,8}[^\W\d_][^\n,\d]{2,24}, $"),
        window=BESIDE,
        check=_day_and_month,
        pattern=re.compile(_DAY + "[/-]" + _DAY + _LETTER_OPENS),
    ),
    Rule(
        kind="date-day-month-word",
        entity=EntityType.DATE,
        confidence=0.95,
        starts=(1, 2),
        pattern=re.compile(_DAY_MONTH),
    ),
    Rule(
        kind="date-day-month-word",
        entity=EntityType.DATE,
        confidence=0.95,
        words=_DAYS | {"the", "den", "le", "el"},
        leads=True,
        pattern=re.compile(rf"(?:\b{WEEKDAY}\.?,? )?(?:\b(?i:the|den|le|el) )?" + _DAY_MONTH),
    ),
    Rule(
        kind="date-year-month-word",
        entity=EntityType.DATE,
        confidence=0.95,
        starts=(4,),
        pattern=re.compile(
            rf"(?:1[89]|20)\d{{2}}[ \-/.,]{{1,2}}{_MONTH}\.?[ \-/.]{{1,2}}{_DAY}(?!\d)" + _TIME
        ),
    ),
    Rule(
        kind="date-ordinal-word",
        entity=EntityType.DATE,
        confidence=0.95,
        words=words("first second third fourth fifth sixth seventh eighth ninth tenth")
        | words("eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth")
        | words("eighteenth nineteenth twentieth twenty thirtieth thirty"),
        gate=re.compile(rf"(?:st|nd|rd|th) (?:day )?of {_MONTH}"),
        pattern=re.compile(
            r"(?<!\w)(?i:(?:twenty|thirty)-)?(?i:[a-z]{2,9}(?:st|nd|rd|th)) (?i:of|day of) "
            rf"{_MONTH}(?![^\W\d_])(?:,? {_YEAR})?"
        ),
    ),
    Rule(
        kind="date-month-word-day",
        entity=EntityType.DATE,
        confidence=0.95,
        words=_ANY_MONTH | _DAYS,
        leads=True,
        check=_month_word,
        pattern=re.compile(
            rf"(?:\b{WEEKDAY}\.?,? )?(?<![^\W_]){_MONTH}\.?[ \-]{{1,2}}(?:(?i:the) )?"
            + _DAY
            + r"(?i:st|nd|rd|th)?(?![\d]|[.:/]\d|%| ?(?i:mg|ml|mcg)\b)(?:(?:,? ?|-)"
            + _YEAR
            + ")?"
            + _TIME
        ),
    ),
    Rule(
        kind="date-month-word-day-after",
        entity=EntityType.DATE,
        confidence=0.7,
        words=words("may mar march dec"),
        leads=True,
        context=_DATED,
        pattern=re.compile(r"(?i:may|mar|march|dec) " + _DAY + r"(?![\w%]|[.:/,-]\d)"),
    ),
    Rule(
        kind="date-month-word-year",
        entity=EntityType.DATE,
        confidence=0.93,
        words=_ANY_MONTH,
        leads=True,
        pattern=re.compile(rf"(?<![^\W_]){_MONTH}\.?,?(?i: of| de)?[ \-/]{{1,2}}{_YEAR}"),
    ),
    Rule(
        kind="date-joined",
        entity=EntityType.DATE,
        confidence=0.93,
        starts=(1, 2),
        pattern=re.compile(
            _DAY + rf"(?P<sep>-?){_MONTH}(?P=sep)(?:(?:19|20)\d{{2}}|\d{{2}})" + _END
        ),
    ),
    Rule(
        kind="date-compact-labelled",
        entity=EntityType.DATE,
        confidence=0.9,
        words=words("dob birth born date geboren né née"),
        pattern=re.compile(
            r"(?<![A-Za-z])(?i:dob|d\.o\.b\.?|date of birth|birth ?date|born|date)\s{0,2}[:=]?\s{0,2}"
            r"(?P<v>\d{6}|\d{8}|\d{1,2} \d{1,2} (?:19|20)?\d{2})(?!\d)"
        ),
    ),
    Rule(
        kind="date-line",
        entity=EntityType.DATE,
        confidence=0.6,
        starts=(1, 2),
        check=_day_and_month,
        pattern=re.compile(
            r"(?<![^\s(])(?:0?[1-9]|1[0-2])/"
            + _DAY
            + r"(?=(?::| at \d{1,2}[: ]?\d{0,2} ?(?i:am|pm)| (?i:through|thru|until|appointment"
            r"|visit|appt|admission|discharge|surgery|note|labs?|ct|mri|clinic)\b)(?!\d))"
        ),
    ),
    Rule(
        kind="date-dotted",
        entity=EntityType.DATE,
        confidence=0.6,
        starts=(1, 2),
        check=_day_and_month,
        pattern=re.compile(r"(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.(?![\w]|\d)"),
    ),
    Rule(
        kind="date-week",
        entity=EntityType.DATE,
        confidence=0.8,
        starts=(4,),
        pattern=re.compile(r"(?:19|20)\d{2}-W[0-5]\d(?:-\d)?(?!\w)"),
    ),
    Rule(
        kind="holiday",
        entity=EntityType.DATE,
        confidence=0.85,
        words=words(
            "christmas thanksgiving easter halloween independence memorial labor labour new"
            " valentine valentine's boxing veterans diwali hanukkah ramadan eid passover juneteenth"
            " mother's father's weihnachten ostern"
        ),
        leads=True,
        pattern=re.compile(
            r"(?i:(?:christmas|thanksgiving|easter|boxing|independence|memorial|labou?r|veterans|new"
            r" year'?s?|valentine'?s?|mother'?s|father'?s)(?: (?:eve|day|sunday|monday|morning"
            r"|weekend))?|halloween|diwali|hanukkah|ramadan|eid(?: al-\w{3,5})?|passover|juneteenth"
            r"|weihnachten|ostern)(?:,? (?i:of )?" + _YEAR + r"|(?<=[Dd]ay|[Ee]ve))(?!\w)"
        ),
    ),
    Rule(
        kind="date-part-of-month",
        entity=EntityType.DATE,
        confidence=0.8,
        words=words("mid early late end beginning start middle"),
        leads=True,
        pattern=re.compile(
            r"(?P<v>(?i:mid|early|late|(?:end|beginning|start|middle) of)[ -](?:(?i:in|the) )?"
            r"[A-Z][a-z]{2,8})(?!\w)"
        ),
        check=lambda text: re.split(r"[ -]", text.lower())[-1] in _ANY_MONTH,
    ),
    Rule(
        kind="date-roman",
        entity=EntityType.DATE,
        confidence=0.9,
        starts=(1, 2),
        pattern=re.compile(
            _DAY + r"(?P<sep>[./-] ?)(?:I{1,3}|IV|VI{0,3}|IX|XI{0,2})(?P=sep)(?:19|20)\d{2}(?!\d)"
        ),
    ),
    Rule(
        kind="age-over-89",
        entity=EntityType.AGE,
        confidence=0.95,
        starts=(2, 3),
        pattern=re.compile(
            _AGE
            + r"[ \-]{0,2}\n?(?i:years?|yrs?|y/ ?o|y\.? ?o\b|yo[mf]?\b|y\b|jahre|jährig|ans\b|años|anni|anos)"
        ),
    ),
    Rule(
        kind="age-labelled",
        entity=EntityType.AGE,
        confidence=0.93,
        words=words("age aged ages alter âge edad età turned turning"),
        pattern=re.compile(
            r"(?<![^\W_])(?i:aged?|ages|alter|âge|edad|età|turned|turning)(?: (?i:of|is|was|at)| ?(?i:(?:in )?(?:years?|yrs?))(?=\s?[:=])| ?(?i:at ?[a-z]{2,12})(?=\s?[:=]))?"
            r"\s{0,2}[:=(]?\s{0,2}(?P<v>(?:9\d|1[0-3]\d)(?:\.\d{1,2})?)(?!\d|[.]\d|%)"
        ),
    ),
    Rule(
        kind="age-and-sex",
        entity=EntityType.AGE,
        confidence=0.9,
        starts=(2, 3),
        pattern=re.compile(
            r"(?<!\d)(?<![Tt]emp )(?<!\b[Tt] )(?<![Tt]emperature )(?<! of )(?<! to )(?<! at )(?<![Tt]max )(?<!: )"
            + _AGE
            + r"(?= ?(?:[MF]|(?i:male|female|man|woman|gentleman|lady))\b(?:,| (?i:with|w/|who|presents?|presenting|p/w|admitted|s/p|c/o|here|from|hx|h/o|pmh|brought|found|seen)\b))"
        ),
    ),
    Rule(
        kind="age-reached",
        entity=EntityType.AGE,
        confidence=0.9,
        words=words("lived reached"),
        leads=True,
        pattern=re.compile(
            r"(?i:lived|reached)(?: (?i:to|to be|until|till|the age of))? "
            + _AGE
            + r"(?![.]\d|%| ?[a-z/])"
        ),
    ),
    # Of somebody who is over 89 the year of birth says so.
    Rule(
        kind="birth-year",
        entity=EntityType.DATE,
        confidence=0.9,
        words=words("b born geb geboren né née nacido nacida nato nata geboren"),
        leads=True,
        pattern=re.compile(
            r"(?i:b\.|born|geb\.?|geboren|née?|nacid[oa]|nat[oa])(?: (?i:in|im jahr|en|el|nel))?(?: (?i:year|jahr))? (?P<v>(?:18\d|19[0-3])\d)(?![\d/.-]\d|\d)"
        ),
    ),
    Rule(
        kind="age-words",
        entity=EntityType.AGE,
        confidence=0.93,
        words=words("ninety hundred"),
        pattern=re.compile(
            r"\b(?P<v>(?i:ninety(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?"
            r"|(?:one|a) hundred(?:(?: and)?[ -](?:one|two|three|four|five|six|seven|eight|nine|ten))?))[ -]{1,2}(?i:years?|yrs?|y/o)"
        ),
    ),
    Rule(
        kind="age-told",
        entity=EntityType.AGE,
        confidence=0.9,
        words=words("aged age turned turning"),
        leads=True,
        pattern=re.compile(
            r"(?i:aged?|turned|turning) (?P<v>(?i:ninety(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?"
            r"|(?:one|a) hundred(?:(?: and)?[ -](?:one|two|three|four|five|six|seven|eight|nine|ten))?))(?!\w)"
        ),
    ),
    Rule(
        kind="age-decade",
        entity=EntityType.AGE,
        confidence=0.9,
        words=words("his her their my"),
        leads=True,
        pattern=re.compile(
            r"(?i:his|her|their|my) (?:(?i:early|mid|late)[ -])?(?P<v>(?i:nineties)|90'?s)\b"
        ),
    ),
)
