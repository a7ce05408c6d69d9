"""Employers, hospitals, insurers and places that what stands beside them announces.

A company's name can be any words; what tells is "works as a clerk at", `Pharmacy:`, `Ltd` or "and
Sons". Names of persons with a degree behind them are here, too: `Ji-woo Park, RN`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.names import words
from sealtune.deid.names.lists import COMMON, MEDICAL, NAME, Lexicon, plain
from sealtune.deid.patterns import LedPatterns, Words, iter_near, words_of

_Found = tuple[int, int, EntityType, float, str]
_ORG, _PLACE, _PERSON = EntityType.ORGANIZATION, EntityType.LOCATION, EntityType.PERSON
_CAP: Final = r"(?:[A-Z\u00c0-\u00de][\w'\u2019&\-]{0,30}\.?|&|\d{1,3}(?=[ ][A-Z]))"
_SEQUENCE: Final = (
    rf"(?:the )?(?P<v>{_CAP}(?: (?:(?:of|the|and|for|de|du|des|la|del|di|y) ){{0,2}}{_CAP}){{0,6}})"
)
# Only an organization can follow; one word is enough.
_SURE: Final = re.compile(
    r"\b(?i:(?:(?:(?:work|teach|volunteer|train)(?:s|es|ed|ing)?|employed|job|position|shift|staff"
    r"|intern(?:ed|ship)?|employee|apprentice)(?: (?:as|part[ -]time|full[ -]time|nights|currently)"
    r"(?: (?!at\b|for\b|with\b)[a-z\-]{1,16}){0,5})? (?:at|for|with|by)"
    r"|(?:is|was|as) an? (?:[a-z\-]{2,20} ){1,3}at"
    r"|(?:retired|laid off|fired|resigned|graduated|degree|diploma|pension) (?:from|by)"
    r"|(?:ceo|cfo|cto|founder|owner|president|chairman|employee|member|director|manager|head|chief)"
    r" (?:of|at)|hired by|accounts? (?:with|at)|(?:insured|covered|insurance|coverage)"
    r" (?:by|with|through|via)|banks? (?:with|at)|(?:stud(?:ies|ied|ying)|student|enrolled|professor"
    r"|nurse|lecturer|teacher) (?:at|in)|(?:contract|interview|appointment) with|order from"
    r"|(?:attends|attending|attended|joined|owns|founded))\s)" + _SEQUENCE
)
# A ward or a person can follow, too: two words at least, or one that says what it is.
_LIKELY: Final = re.compile(
    r"\b(?i:(?:(?:transferred|admitted|referred|discharged|sent|presented|brought|taken|returned|flown)"
    r" (?:to|from|by|back to)|(?:records?|labs?|results?|films|imaging|notes?|letter|report|referral)"
    r" (?:from|at)|(?:seen|treated|followed|hospitali[sz]ed|dialysis|surgery|clinic|inpatient"
    r"|outpatient|care|rehab|resident|delivered|performed|done|born|stay|visit|year|years|month"
    r"|months) at|later became|spokes(?:man|woman|person) (?:for|of))\s"
    r")" + _SEQUENCE
)
_LABEL: Final = re.compile(
    r"(?i)(?<![\w])(?:(?:current |previous |preferred |referring |primary |secondary |home )?(?:employer"
    r"|company|organi[sz]ation|insurer|insurance(?: company| provider| carrier)?|carrier|payer|payor"
    r"|pharmacy|school|hospital|facility|clinic|laboratory|bank|church|workplace|place of work"
    r"|university|college|firm|business|agency|works at|institution|practice|nursing home|hospice))"
    r"(?: name)?\s?[:=][ \t]{0,4}(?P<v>[^\s:;,.()\d][^\n:;,()]{1,60}?)(?=[ \t]{0,3}(?:[\n;,(]|\.(?:\s|$)|$)"
    r"| {2}| - )"
)
_PLACE_LABEL: Final = re.compile(
    r"(?i)(?<![\w])(?:city|home ?town|town|country|province|county|birth ?place|place of birth|state"
    r"|residence|village|region|city of birth|country of (?:birth|origin)|lives in|from)"
    r"\s?[:=][ \t]{0,4}(?P<v>[^\W\d_][^\n:;,()\d]{1,40}?)(?=[ \t]{0,3}(?:[\n;,(]|\.(?:\s|$)|$)| {2}| - )"
)
_FORM: Final = (
    r" (?:Inc|LLC|L\.L\.C|LLP|Ltd|Limited|PLC|plc|Corp|Co|GmbH(?: & Co\.? KG(?:aA)?)?|AG"
    r"|SE|e\.V|KG|OHG|S\.?A\.?S?|S\.?r\.?l|S\.?p\.?A|B\.?V|N\.?V|AB|Oyj?|ApS|A/S|Pty|Pvt|Bhd|K\.?K"
    r"|Kft|Zrt|s\.r\.o|Sp\. z o\.o|d\.o\.o|Lda|Ltda|PLLC|PC|P\.C|& Co|(?:&|and) Sons|(?:and|&) Daughters"
    r"|(?:&|and) Associates|(?:&|and) Partners|Brothers|Bros)\b"
)
_FORM_HERE: Final = re.compile(_FORM)
_SUFFIXED: Final = re.compile(rf"\b{_SEQUENCE},?{_FORM}\.?")
_PAIR: Final = re.compile(
    r"\b[A-Z\u00c0-\u00de][\w'\-]{2,24}(?:, [A-Z][\w'\-]{2,24})? & [A-Z][\w'\-]{2,24}(?: [A-Z][\w\-]{2,20})?"
)
_LOWER: Final = re.compile(
    r"\b(?:at|to|from|in|near|with|by|called) (?:the )?(?P<v>(?:[a-z'\u2019.]{2,20} ){1,3}"
    r"(?:hospital|clinic|medical cent(?:er|re)|health cent(?:er|re)|pharmacy|university|college"
    r"|high school|elementary|bank|church|infirmary|hospice|nursing home|inc|llc|ltd|gmbh))\b"
)
_GENERIC: Final = words.MEDICAL | frozenset(
    """
    unit department ward icu floor care emergency er ed or pacu intensive intensivist clinic
    outpatient inpatient room surgery medicine cardiology neurology oncology radiology rehab
    none unknown same self private yes no not denies normal na nil other medicaid medicare see
    the a an his her their our local general community outside another this that same new any
    hospital pharmacy school insurance company bank university college church home day monday
    tuesday wednesday thursday friday saturday sunday stage table figure group phase level
    """.split()  # noqa: SIM905 - a table of words
)
_DEGREES: Final = frozenset(
    """
    md do rn np pa phd ph lpn lcsw dds dmd pharmd fnp aprn msw bsn crna rd pt dpt ot otr cna cnm
    facs facp mph mbbs frcp mrcp psyd slp rph anp lvn emt jd esq
    """.split()  # noqa: SIM905 - a table of words
)
_FORMS: Final = frozenset(
    """
    inc llc llp ltd limited plc corp co gmbh ag se kg ohg sa sas srl spa bv nv ab oy oyj aps pty pvt
    bhd kk kft zrt sp lda ltda pllc pc sons daughters associates partners brothers bros
    """.split()  # noqa: SIM905 - a table of words
)
_LOWER_KEYS: Final = frozenset(
    """
    hospital clinic medical health pharmacy university college school elementary bank church
    infirmary hospice nursing inc llc ltd gmbh
    """.split()  # noqa: SIM905 - a table of words
)
_LANDMARKS: Final = frozenset(
    """
    lake mount mt fort ft port cape loch isle gulf bay county parish valley township village beach
    island islands province borough peninsula mountains falls heights springs prefecture oblast
    creek canyon harbor harbour
    """.split()  # noqa: SIM905 - a table of words
)
_DEGREE_HERE: Final = re.compile(
    r" (?:M\.?D|D\.?O|RN|NP|PA|Ph\.?D|LPN|LCSW|DDS|DMD|PharmD|FNP|APRN|MSW|BSN|CRNA|RD|PT|DPT|OT|OTR"
    r"|CNA|CNM|FACS|FACP|MPH|MBBS|FRCP|MRCP|PsyD|SLP|RPh|ANP|LVN|EMT|JD|Esq)\b"
)
_CREDENTIAL: Final = re.compile(
    r"\b(?P<v>[A-Z\u00c0-\u00de][\w'\u2019\-]{1,24}(?: [A-Z\u00c0-\u00de][\w'\u2019\-]{0,24}\.?){0,3})"
    r"(?:, (?:MD|M\.D|DO|D\.O|RN|NP|PA|PA-C|PhD|Ph\.D|LPN|LCSW|DDS|DMD|PharmD|FNP|APRN|MSW|BSN"
    r"|CRNA|RD|PT|DPT|OT|OTR|CNA|CNM|FACS|FACP|MPH|MBBS|FRCP|MRCP|PsyD|SLP|RPh|ANP|LVN|EMT|JD|Esq)"
    r"| (?:MD|M\.D|RN|NP|PhD|Ph\.D|LPN|LCSW|DDS|PharmD|APRN|CRNA|MBBS))\b"
)
_LANDMARK: Final = re.compile(
    r"\b(?:(?:Lake|Mount|Mt\.?|Fort|Ft\.?|Port|Cape|Loch|Isle of|Gulf of|Bay of) [A-Z][\w'\-]{2,24}"
    r"|(?:[A-Z][\w'\-]{2,24} ){1,2}(?:County|Parish|Valley|Township|Village|Beach|Islands?|Province"
    r"|Borough|Peninsula|Mountains|Falls|Heights|Springs|Prefecture|Oblast|Creek|Canyon|Harbou?r))\b"
)
_JOINED: Final = re.compile(
    r"\b(?:in|from|near|visited) (?P<v>[A-Z\u00c0-\u00de][^\W\d_]{2,20}(?:-[a-z]{2,4}){0,2}-[A-Z][^\W\d_]{2,20}"
    r"|(?:[A-Z\u00c0-\u00de][\w'\u2019]{1,20} (?:nad|am|an der|upon|on|sur|de la|del|ob|pod|bei|im|en) )"
    r"(?:the )?[A-Z][\w'\u2019]{1,20}(?: \d(?!\w|[.,]\d))?)"
)
_FAMILY: Final = re.compile(
    r"\b(?:wife|husband|son|daughter|mother|father|brother|sister|aunt|uncle|cousin|nephew|niece"
    r"|grandson|granddaughter|girlfriend|boyfriend|fianc[eé]e?|partner|friend|neighbou?r|roommate)"
    r",? \(?(?P<v>[A-Z\u00c0-\u00de][a-z\u00df-\u024f]{2,20})(?= |,|\)|\.|'s)"
)
_LED: Final = LedPatterns(
    {
        "sure": _SURE,
        "likely": _LIKELY,
        "label": _LABEL,
        "place-label": _PLACE_LABEL,
        "joined": _JOINED,
        "family": _FAMILY,
    }
)
_Led = dict[str, list[re.Match[str]]]


class BesideRules:
    """The rules with the list of ordinary words."""

    def __init__(self, lexicon: Lexicon) -> None:
        """Take the lists."""
        self._flags = lexicon.flags

    def find(self, text: str) -> Iterator[_Found]:
        """Yield what is announced in `text`."""
        said = words_of(text)
        led = _LED.matches(text, said)
        for name, least in (("sure", 1), ("likely", 2)):
            for match in led.get(name, ()):
                span = self._named(text, *match.span("v"), least=least)
                if span:
                    yield (*span, _ORG, 0.6, "organization-beside")
        yield from self._labelled(led)
        yield from self._written(text, said)
        yield from self._places(text, said, led)
        yield from self._people(text, said.known, led)

    def _people(self, text: str, known: set[str], led: _Led) -> Iterator[_Found]:
        titled = not known.isdisjoint(_DEGREES)
        for match in _near(_CREDENTIAL, text, _DEGREE_HERE, 110) if titled else ():
            if self._telling(match.group("v"), COMMON | MEDICAL, least=1):
                end = match.end("v") if text[match.end("v")] == "," else match.end()
                yield match.start("v"), end, _PERSON, 0.7, "before-degree"
        for match in led.get("family", ()):
            if self._flags.get(plain(match.group("v")), 0) & NAME or self._telling(
                match.group("v"), COMMON | MEDICAL, least=1
            ):
                yield (*match.span("v"), _PERSON, 0.7, "relative")

    def _labelled(self, led: _Led) -> Iterator[_Found]:
        for name, entity in (("label", _ORG), ("place-label", _PLACE)):
            for match in led.get(name, ()):
                value = match.group("v")
                if len(value.split()) > 6 or value.split()[0].lower() in _GENERIC:
                    continue
                capitals = sum(word[0].isupper() for word in value.split())
                if capitals > 1 or self._telling(value, COMMON | MEDICAL, least=1):
                    yield (*match.span("v"), entity, 0.6, "after-label")

    def _written(self, text: str, said: Words) -> Iterator[_Found]:
        formed = not said.known.isdisjoint(_FORMS)
        for match in _near(_SUFFIXED, text, _FORM_HERE, 300) if formed else ():
            if self._is_company(match.group("v"), text[match.end("v") : match.end()]):
                yield match.start("v"), match.end(), _ORG, 0.75, "company-form"
        if " & " in text:
            for match in _PAIR.finditer(text):
                names = re.findall(r"[\w'-]{2,30}", match.group())
                if any(plain(name) in words.TITLES for name in names):
                    continue
                if any(
                    self._flags.get(plain(n), 0) & NAME or plain(n) not in self._flags
                    for n in names
                ):
                    yield (*match.span(), _ORG, 0.6, "pair")
        lower = [at for at in said.spans(said.known & _LOWER_KEYS) if text[at[0]].islower()]
        for match in iter_near(_LOWER, text, lower, 90):
            value = match.group("v").split()
            while value and (value[0] in _GENERIC or value[0] in _SMALL):
                value = value[1:]
            if len(value) > 1 and any(self._proper(w) for w in value[:-1]):
                yield match.end() - len(" ".join(value)), match.end(), _ORG, 0.5, "lower-case"

    def _places(self, text: str, said: Words, led: _Led) -> Iterator[_Found]:
        landmarks = [at for at in said.spans(said.known & _LANDMARKS) if text[at[0]].isupper()]
        for match in iter_near(_LANDMARK, text, landmarks, 54):
            if not all(plain(w) in _GENERIC for w in match.group().split()):
                yield (*match.span(), _PLACE, 0.6, "landmark")
        for match in led.get("joined", ()):
            parts = re.findall(r"[^\W\d_]{2,24}", match.group("v"))
            if not any(
                self._flags.get(plain(p), 0) & (COMMON | MEDICAL) for p in parts[:1] + parts[-1:]
            ):
                yield (*match.span("v"), _PLACE, 0.5, "joined")

    def _is_company(self, value: str, form: str) -> bool:
        if any(letter.isdigit() for letter in value) or re.search(r"[a-z]{3}\. ", value):
            return False
        # SE is a standard error, AG an antigen, PC a computer, unless a name stands before it.
        short = form.strip(" ,.").isupper() and len(form.strip(" ,.")) < 4
        if short and (value.isupper() or not self._telling(value, COMMON | MEDICAL, least=1)):
            return False
        return self._telling(value, MEDICAL, least=1)

    def _proper(self, word: str) -> bool:
        flags = self._flags.get(plain(word.strip(".'")), 0)
        return word in _SAINTLY or not flags & (COMMON | MEDICAL)

    def _named(self, text: str, start: int, end: int, *, least: int) -> tuple[int, int] | None:
        """Return the span of a name of an organization, or None where the words are a ward's."""
        value = text[start:end]
        if value.endswith(".") and not re.search(r"\b(?:Inc|Co|Ltd|Corp)\.$", value):
            value, end = value[:-1], end - 1
        # A sentence may have ended within.
        stop = re.search(r"[^\W\d_]{4,30}\. ", value)
        if stop:
            end = start + stop.end() - 2
            value = text[start:end]
        found = [plain(word.strip(".,'")) for word in value.split()]
        if not found or all(word in _GENERIC or word in words.TITLES for word in found):
            return None
        if found[0] in words.TITLES or (len(found) == 1 and not self._alone(value, least)):
            return None
        ward = least > 1 and len(found) == 2 and found[1] in _GENERIC
        return (
            None if ward and not self._telling(value, COMMON | MEDICAL, least=1) else (start, end)
        )

    def _alone(self, value: str, least: int) -> bool:
        if least > 1 and "'" not in value:
            return False
        if value.isupper() and 1 < len(value) < 7:
            return plain(value) not in _GENERIC
        return len(value) > 2 and self._telling(value, COMMON | MEDICAL, least=1)

    def _telling(self, value: str, flags: int, *, least: int) -> bool:
        """Return whether `least` words of `value` are none of the lists that `flags` names."""
        found = re.findall(r"[^\W\d_][\w'\u2019-]{1,40}", value)
        return sum(1 for w in found if not self._flags.get(plain(w), 0) & flags) >= least


def _near(
    pattern: re.Pattern[str], text: str, anchor: re.Pattern[str], reach: int
) -> Iterator[re.Match[str]]:
    return iter_near(pattern, text, map(re.Match.span, anchor.finditer(text)), reach)


_SMALL: Final = frozenset(["of", "and", "or", "for", "to", "in", "with", "my", "your", "its"])
_SAINTLY: Final = frozenset(
    ["st", "st.", "saint", "mercy", "memorial", "providence", "trinity", "holy", "sacred", "grace"]
)
