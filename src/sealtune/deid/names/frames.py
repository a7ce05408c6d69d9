"""Names by the frame that they stand in: forms, JSON, letter heads, signatures, addresses.

What a list does not know, its place gives away: what stands behind `"city":`, before a state and a
ZIP code, under `Best,` and over a telephone number, or in front of `Nursing Home`. Case counts only
where the frame is weak.
"""

from __future__ import annotations

import re
import string
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.names import firm_words, firms, sentences, words
from sealtune.deid.patterns import any_of
from sealtune.deid.structured.rules import Beside, Check, Rule, RuleDetector

_P, _O, _L = EntityType.PERSON, EntityType.ORGANIZATION, EntityType.LOCATION
_W: Final = r"[^\W\d_][\w'\u2019.\-]{0,24}"  # a word in any case
_C: Final = r"[A-Z\u00c0-\u00de\u0100-\u017f][\w'\u2019\-]{0,24}"  # a capitalized one
_WORD_MAX: Final = 26  # characters, and a blank
_LINE_MAX: Final = 256
_LINKS: Final = r"(?:of|de|du|des|del|de la|la|le|von|van|and|&|y|et|für|d[ei]|the)"
_PARTICLE: Final = r"(?:(?i:de la|de los|del|de|du|la|le|van der|van den|van de|van|von der|von den|von|ter|ten|zu|di|da|dos|al|el|ap|bin|ibn|mac|mc|st)[ \-]){0,2}"
_NAME: Final = rf"{_PARTICLE}{_W}"
# `X. Y`, `Y, X Z.`, `X Y Z` in any case: only behind a label.
_ANY_NAME: Final = rf"(?:{_NAME}, {_W}(?: {_W})?|[^\W\d_]\.? {_NAME}(?:-{_W})?|{_W} (?:[^\W\d_]\.? )?{_NAME}(?: {_W})?|{_W})"
_SPECIALTIES: Final = (
    "medicine|oncology|neurology|psychiatry|urology|cardiology|pediatrics|orthopedics|orthopaedics|dermatology|radiology"
    "|nephrology|surgery|obstetrics|gynecology|ophthalmology|endocrinology|rheumatology|gastroenterology|dental"
)
_SPECIALTY: Final = any_of(_SPECIALTIES)
_HEAD: Final = (
    r"(?:hôpital|clinique|polyclinique|centre hospitalier(?: universitaire)?|chu|hospital(?: (?:general|universitario|clínico))?"
    r"|clínica|policlínico|ospedale|azienda ospedaliera|klinikum|krankenhaus|klinik|praxisklinik|praxis|university|universität"
    r"|université|universidad|college|bank|church|school|st\.)"
)
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_FIRST: Final = re.compile(r"[^\W\d_]+\.?")
_PART_END: Final = re.compile(r"(?m)[\n<)]|, \d|$| - ")
_SHORT: Final = frozenset(
    "the a an this that our your his her their my no any each every dear".split()
)


def _uncommon(text: str) -> bool:
    """Whether `text` is not made of everyday words alone."""
    parts = _LETTERS.findall(text.lower())
    return _named(text) and not all(map(_everyday, parts))


def _named(text: str) -> bool:
    first = _FIRST.search(text.lower())
    return first is not None and first.group() not in _SHORT


def _placed(text: str) -> bool:
    parts = re.findall(r"[^\W\d_]{2,}", text.lower())
    return text in ("Minnesota", "Iowa") or (len(parts) > 1 and not all(map(_everyday, parts[1:])))


def _spoken(text: str) -> bool:
    """Whether every word may be one of a name: only persons say and ask."""
    parts = re.findall(r"[^\W\d_]{2,}", text.lower())
    return bool(parts) and not any(_everyday(part) or part in words.TITLES for part in parts)


def _middled(text: str) -> bool:
    """Whether neither end of `Vitamin B Complex` is a word of every day or a term."""
    parts = re.findall(r"[^\W\d_]{2,}", text.lower())
    return len(parts) > 1 and not any(
        _everyday(part) or part.endswith(words.MEDICAL_ENDINGS[:60])
        for part in (parts[0], parts[-1])
    )


def _everyday(word: str) -> bool:
    known = word in words.COMMON or word in words.MEDICAL or word in words.EPONYMS
    return len(word) == 1 or (known and word not in words.AMBIGUOUS)


def _after_capital(text: str, start: int, _end: int) -> bool:
    """Whether the word right before may have a capital."""
    word = text[max(0, start - 60) : start].rstrip(" ").rpartition(" ")[2]
    return not word.isascii() or word != word.lower()


def _on_new_line(text: str, start: int, _end: int) -> bool:
    return text[start - 1 : start] == "\n"


def _before_bracket(text: str, _start: int, end: int) -> bool:
    return text[end : end + 1] == ")"


def _ends_part(text: str, _start: int, end: int) -> bool:
    return _PART_END.match(text, end) is not None


def _frame(
    kind: str,
    entity: EntityType,
    confidence: float,
    pattern: str,
    *,
    leads: str = "",
    on: str = "",
    marks: str = "",
    gate: str = "",
    uncommon: bool = False,
    check: Check | None = None,
    near: str = "",
    beside: Beside | None = None,
    reach: int | None = None,
) -> Rule:
    """Return the rule: `leads` are the words that it begins with, `on` those that it needs.

    `near` are those, or their beginnings with `*`, of which one has to stand as `beside` says.
    """
    return Rule(
        kind=kind,
        entity=entity,
        confidence=confidence,
        pattern=re.compile(pattern),
        words=frozenset((leads or on).split()),
        leads=bool(leads),
        marks=tuple(marks.split("|")) if marks else (),
        gate=re.compile(gate) if gate else None,
        cased=bool(gate),
        near=tuple(f" {word} ".replace("* ", "") for word in near.split()),
        beside=beside,
        reach=reach,
        check=check or (_uncommon if uncommon else _named),
    )


# Chinese, Korean and Vietnamese family names, which stand first.
_EAST: Final = (
    "park|kim|lee|choi|chan|wong|huang|chen|li|wang|zhang|liu|lin|wu|zhou|xu|sun|ma|zhu|hu|guo|gao|luo|zheng|liang|xie"
    "|tang|deng|han|feng|cao|peng|jung|kang|cho|yoon|jang|lim|shin|seo|kwon|hwang|song|hong|yang|ahn|ryu|ko|moon|son"
    "|bae|baek|nam|cheung|lau|leung|ho|tam|lam|ng|yip|chow|kwok|tsang|mak|yeung|nguyen|tran|pham|vo|dang|bui|ngo"
)
# Names of countries (ISO 3166 and its like) with small words or brackets in them.
_COUNTRIES: Final = (
    r"Holy See \(Vatican City State\)|Bouvet Island \(Bouvetoya\)|Antigua and Barbuda|Bosnia and Herzegovina|Trinidad and Tobago|Saint Pierre and Miquelon|Saint Kitts and Nevis|St\. Kitts and Nevis"
    r"|Saint Vincent and the Grenadines|St\. Vincent and the Grenadines|Sao Tome and Principe|São Tomé and Príncipe|Turks and Caicos Islands"
    r"|Wallis and Futuna|Svalbard and Jan Mayen|Svalbard & Jan Mayen Islands|South Georgia and the South Sandwich Islands"
    r"|Heard Island and McDonald Islands|British Indian Ocean Territory|Falkland Islands \(Malvinas\)|Isle of Man|Holy See"
    r"|Lao People's Democratic Republic|Libyan Arab Jamahiriya|Syrian Arab Republic|Republic of Korea|Republic of Ireland"
    r"|People's Republic of China|Democratic Republic of the Congo|Côte d'Ivoire|Cote d'Ivoire|Virgin Islands|United States of America"
    r"|United States Minor Outlying Islands|Bouvet Island|Slovak Republic|Palestinian Territory|French Southern Territories"
    r"|Northern Mariana Islands|Cocos \(Keeling\) Islands|Netherlands Antilles|Kyrgyz Republic|Russian Federation|Christmas Island"
)
_KIND: Final = any_of(firm_words.KINDS)
_LAST_WORDS: Final = " ".join(sorted({kind.split()[-1] for kind in firm_words.KINDS.split("|")}))
_LABELS: Final = any_of(
    "patient|patient name|pt|guarantor|insured|subscriber|member|re|regarding|ordering|ordering provider|attending|referring"
    "|referring physician|emergency contact|next of kin|charted by|dictated by|signed by|seen by|reviewed by|transcribed by"
    "|speaking with|caller|bill to|signed|provider|ref md|docteur|dr|dra|attn|name|full name|patiente|paciente|to|from|cc|contact"
)
_FRAMES: Final = (
    _frame("json-name", _P, 0.9, rf"(?i:\"(?:full |patient |first |last |given |family |contact )?name\"\s?:\s?\")(?P<v>{_ANY_NAME})(?=\")", marks='name"'),
    _frame("json-city", _L, 0.9, r"(?i:\"(?:city|town|county|place|birth ?place)\"\s?:\s?\")(?P<v>[^\"\d]{2,40})(?=\")", marks='city"|town"|county"|place"'),
    _frame("table-name", _P, 0.85, rf"(?i:\b(?:name|patient|guarantor|insured)\b[ \t]{{0,3}}[|\t:]\s{{0,3}})(?P<v>{_ANY_NAME})(?=[ \t]{{0,3}}(?:[|<\n,;(]|$))", leads="name patient guarantor insured", uncommon=True),
    _frame("labelled-initial", _P, 0.85, rf"(?i:(?<![\w]){_LABELS}\b[:\s(\-]{{1,4}})(?P<v>[^\W\d_]\.[ ]?{_NAME}(?:-{_W})?)", leads="patient pt guarantor insured subscriber member re regarding ordering attending referring emergency next charted dictated signed seen reviewed transcribed speaking caller bill attn name full patiente paciente to from cc contact"),
    _frame("labelled-last-first", _P, 0.85, rf"(?i:(?<![\w]){_LABELS}\s?[:\-]\s{{0,3}}|(?<!\w)(?:this is|ask|see|speaking with|calling|by) )(?P<v>{_NAME}, {_W}(?: [^\W\d_](?:\.|\b))?)(?=[\s|<\").,?]|$)", leads="patient pt guarantor insured subscriber member re regarding ordering attending referring emergency next charted dictated signed seen reviewed transcribed speaking caller bill attn name full patiente paciente to from cc contact this ask see calling by", uncommon=True),
    _frame("labelled-full", _P, 0.75, rf"(?i:(?<![\w])(?:guarantor|patient name|pt|full name|next of kin|emergency contact|charted by|dictated by|bill to|speaking with|regarding|re|name)\s?[:\-]?\s{{1,3}})(?P<v>{_C} (?:{_C}\.? ){{0,2}}{_PARTICLE}{_C})", leads="guarantor patient pt full next emergency charted dictated bill speaking regarding re name", uncommon=True),
    _frame("title", _P, 0.8, rf"(?<![\w.])(?i:m\.|mme|mlle|frau|herr|madame|monsieur|sra?\.|docteur|doctor|dr\.?|miss|mrs\.?|mr\.?|ms\.?|prof\.?|señora?|don|doña|sig\.(?:ra)?) (?P<v>(?!(?:med|dent|vet|phil|rer|jur|habil)\b)(?:[^\W\d_]\. )?{_NAME}(?: {_C})?)", leads="m mme mlle frau herr madame monsieur sr sra docteur doctor dr miss mrs mr ms prof señor señora don doña sig", uncommon=True),
    _frame("introduced", _P, 0.75, rf"(?i:\b(?:hi,? it'?s|hello,? it'?s|it'?s|its|this is|my name is|i am called|thanks,|cheers,|regards,|best,))\s{{1,2}}(?P<v>{_W}(?: {_NAME})?)(?=[,.!?\n]|$)", leads="hi hello it its this my i thanks cheers regards best", uncommon=True),
    _frame("over-telephone", _P, 0.85, rf"(?m)^(?P<v>(?:{_C}\.? ){{1,3}}{_PARTICLE}{_C}|{_C}\. {_PARTICLE}{_C}|{_C}, {_C}(?: {_C}\.?)?)\n(?=(?i:tel|phone|ph\b|mobile|cell|e-?mail|fax))", on="tel telephone phone ph mobile cell email mail fax", near="tel* phone* ph mobile* cell* e email* fax*", beside=_on_new_line, reach=_LINE_MAX),
    _frame("middle-initial", _P, 0.6, rf"(?P<v>{_C} [A-Z]\.? {_PARTICLE}[A-Z\u00c0-\u017f][\w'\u2019\-]{{1,30}})(?![\w@])", marks=" ", gate=r" [A-Z](?=\.? )", reach=_WORD_MAX, check=_middled),
    _frame("last-first-initial", _P, 0.6, rf"(?P<v>{_C}, {_C} [A-Z])(?![\w'])", marks=", ", gate=rf", {_C} [A-Z]", reach=_WORD_MAX, check=_middled),
    _frame("role", _P, 0.7, rf"(?<![\w])(?i:wife|husband|daughter|son|mother|father|brother|sister|spouse|partner|aunt|uncle|cousin|guardian|caregiver|nephew|niece|neighbou?r|friend|family|pt|patient|provider|contact|caller|docteur|dra?\.)(?:,| is|:)? \(?(?P<v>{_PARTICLE}{_C}(?:(?:,? {_C}\.?){{0,2}},? {_C})?)", leads="wife husband daughter son mother father brother sister spouse partner aunt uncle cousin guardian caregiver nephew niece neighbor neighbour friend family pt patient provider contact caller docteur dr dra", uncommon=True),
    _frame("before-role", _P, 0.65, rf"(?P<v>{_C}(?: {_C}){{0,2}}) \((?:his |her |the )?(?i:daughter|son|wife|husband|mother|father|brother|sister|spouse|partner|aunt|uncle|cousin|guardian|caregiver|friend|neighbou?r)\)", on="daughter son wife husband mother father brother sister spouse partner aunt uncle cousin guardian caregiver friend neighbor neighbour", near="daughter son wife husband mother father brother sister spouse partner aunt uncle cousin guardian caregiver friend neighbor neighbour", beside=_before_bracket, reach=4 * _WORD_MAX, uncommon=True),
    _frame("before-saying", _P, 0.5, rf"(?<![\w])(?P<v>{_C}(?: {_C})?)(?= (?:c/o|denies|complains|says|said|told|asked|replied|laughed|smiled|nodded|shouted|whispered|called)\b|'s (?:wife|husband|son|daughter|brother|sister|mother|father|parents|friend|boss|employer|address|account|birthday|house)\b)", on="denies complains says said told asked replied laughed smiled nodded shouted whispered called wife husband son daughter brother sister mother father parents friend boss employer address account birthday house", marks="c/o", near="denies complains says said told asked replied laughed smiled nodded shouted whispered called wife husband son daughter brother sister mother father parents friend boss employer address account birthday house c", beside=_after_capital, reach=3 * _WORD_MAX, check=_spoken),
    _frame("east-asian", _P, 0.8, rf"(?<![\w])(?P<v>(?i:{_EAST}) [A-Z\u00c0-\u017f][\w]{{1,8}}-[\w]{{1,8}})(?![\w])", leads=_EAST.replace("|", " ")),
    _frame("initial", _P, 0.65, rf"(?P<v>[A-Z](?<![\w.'\-][A-Z])\.(?:-[A-Z]\.)? {_PARTICLE}[A-Z\u00c0-\u017f][\w'\u2019\-]{{2,30}})(?![\w@])", leads=" ".join(string.ascii_lowercase), uncommon=True),
    _frame("specialty-last", _O, 0.7, rf"(?:^|\n|[-\u2013>(,] |\bat |\bfor |\bcalling )(?P<v>{_C}(?: {_C}){{1,4}}? (?i:{_SPECIALTY}))(?=[\n,.<)]|$| - )", on=_SPECIALTIES.replace("|", " "), near=_SPECIALTIES.replace("|", " "), beside=_after_capital, reach=6 * _WORD_MAX),
    _frame("kind-last-line", _O, 0.7, uncommon=True, pattern= rf"(?m)(?:^|, |- |\()(?:<h1>)?(?P<v>[a-z][a-z'. \-]{{3,40}} (?:{_KIND}|{_SPECIALTY}))(?=\n|<|, \d|$|\)| - )", on=_LAST_WORDS + " " + _SPECIALTIES.replace("|", " "), near=_LAST_WORDS + " op " + _SPECIALTIES.replace("|", " "), beside=_ends_part, reach=4 * _WORD_MAX),
    _frame("kind-first", _O, 0.8, rf"(?<![\w])(?P<v>(?i:{_HEAD})(?: (?i:{_LINKS})){{0,2}}(?! (?i:no|id|course|record|number|unit|day|stay)\b)(?:[ \-]{_C}){{1,3}})", leads="hôpital clinique polyclinique centre chu hospital clínica policlínico ospedale azienda klinikum krankenhaus klinik praxisklinik praxis university universität université universidad college bank church school st"),
    _frame("kind-first-line", _O, 0.7, rf"(?:\n|, |- )(?P<v>(?:hôpital|clinique|polyclinique|centre hospitalier|hospital general|klinikum|st\. {_W}-hospital)(?: {_W}){{1,3}})(?=\n|,|$)", on="hôpital clinique polyclinique hospitalier klinikum"),
    _frame("employer", _O, 0.7, rf"(?i:\b(?:employer|employed (?:by|at)|works? (?:at|for)|worked (?:at|for)|worker at|working (?:at|for)|company)[,:]? )(?P<v>{_C}(?: (?:{_C}|&|{_LINKS})){{0,4}})", leads="employer employed work works worked worker working company", uncommon=True),
    _frame("compass", _L, 0.55, rf"(?:(?<=\bin )|(?<=\bto )|(?<=\bat )|(?<=from )|(?<=near )|(?<=\w, )|(?<=^))(?P<v>(?:New|North|South|East|West|Lake|Port|Saint|Upper|Lower|Great|San|Santa|Minnesota|Iowa)(?: {_C})?)(?=[ ]{{0,2}}(?:[,.?!;)\n]|$)| (?:on|is|for|and|with|last|this|was|by|to|are|will|in|at)\b)", leads="new north south east west lake port saint upper lower great san santa minnesota iowa", check=_placed),
    _frame("country", _L, 0.85, rf"(?:{_COUNTRIES})(?!\w)", leads=" ".join(sorted({re.findall(r"[^\W\d_]+", name)[0].lower() for name in _COUNTRIES.split("|")}))),
    _frame("county", _L, 0.85, rf"(?<!\w)(?P<v>{_C}(?: {_C})? (?:[Cc]ounty|COUNTY|[Pp]arish|PARISH|[Tt]ownship|TOWNSHIP|[Bb]orough))(?!\w)", on="county parish township borough"),
    _frame("born-there", _L, 0.6, rf"(?:in|aus) (?P<v>(?:Bad )?{_C})(?= (?:geboren|aufgewachsen|wohnhaft|wohnt|lebt|stammt)\b)", leads="in aus", uncommon=True),
    _frame("spa-town", _L, 0.6, rf"(?:in|aus|nach|bei|von) (?P<v>Bad {_C})", leads="in aus nach bei von"),
    _frame("from", _L, 0.6, rf"\b(?i:(?:comes?|came|is|originally|moved|native|widow|widower|teacher|farmer|resident|miner|man|woman|patient|old) (?:from|of|to)|lives? in|born in|living in|raised in) (?P<v>{_C}(?: {_C}){{0,2}})(?=[.,;\n]|$| [a-z])", leads="comes come came is originally moved native widow widower teacher farmer resident miner man woman patient old live lives born living raised", uncommon=True),
)  # fmt: skip


def frame_detector() -> RuleDetector:
    """Return the detector of names by their frames; to reports it is one with the lists."""
    return RuleDetector((*_FRAMES, *firms.RULES, *sentences.RULES), name="names")
