"""Organizations by legal form, by the noun that says what they are, and by what is done with them.

Beside `organizations`, which knows the labels and phrases of notes: here are the forms of companies
of many countries, head nouns of several languages, and phrases of letters, news and talk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.names import firm_words, words
from sealtune.deid.names.known import KNOWN
from sealtune.deid.patterns import any_of, words_of
from sealtune.deid.structured.rules import Check, Rule

_ORG: Final = EntityType.ORGANIZATION
_UP: Final = r"[A-Z\u00c0-\u00de\u0100-\u017f]"
_C: Final = rf"(?:{_UP}[\w'\u2019\-&]{{0,30}}|\d{{1,3}}(?=[ ]{_UP}))"
_LINK: Final = (
    r"(?:of|the|and|for|de|du|des|del|della|di|da|do|dos|la|le|les|las|los|von|van|der|den|und|et|y|e|i|og|och"
    r"|és|en|für|sur|am|&|\+)"
)
SEQUENCE: Final = rf"{_C}(?:(?: {_LINK}){{0,2}}(?: |, (?={_C}(?: {_C})?,? (?:and|&|y|e|et|und|og|och|i|en) )){_C}){{0,6}}"
_LINE_MAX: Final = 300  # characters of six words, and of what links them
_CODED: Final = re.compile(r"\d|-[a-z]")
_WORDS: Final = re.compile(r"[^\W\d_][\w'\u2019]{1,40}")


def _parts(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text)]


def _everyday(word: str) -> bool:
    known = word in words.COMMON or word in words.MEDICAL or word in words.EPONYMS
    return (known and word not in words.AMBIGUOUS) or word in firm_words.NO_OPENING


def _telling(text: str) -> bool:
    """Whether a word before the last one is none of every day, and that one has a capital."""
    last = text.split()[-1]
    return last[0].isupper() and not all(map(_everyday, _parts(text)[:-1] or ["the"]))


def _formed(text: str) -> bool:
    """Whether a word that is not of a legal form is none of every day."""
    return not all(_everyday(part) or part in firm_words.FORM_WORDS for part in _parts(text))


def _kinded(text: str) -> bool:
    parts = _parts(text)
    return bool(parts) and parts[0] not in _DETERMINERS and text.split()[-1][0].isupper()


def _of_something(text: str) -> bool:
    """Whether `The Board of Directors` names one of many boards, rather than its own."""
    if text.isupper():
        return False
    before, _, after = text.partition(" of ")
    alone = before.split()[-1] in ("Ministry", "House", "Church", "Bank", "Department", "Museum")
    return alone or not all(map(_everyday, _parts(after)))


def _mixed(text: str) -> bool:
    return not text.isupper()


def _headed(text: str) -> bool:
    """Whether a heading may be a name: words that are not all of every day, the first one neither."""
    parts = _parts(text)
    return (
        len(parts) > 1 and not all(map(_everyday, parts)) and parts[0] not in firm_words.NO_OPENING
    )


def _opens(text: str) -> bool:
    """Whether `text` may be a name: capitals within a sentence, but no weekday, title, pronoun."""
    parts = _parts(text)
    if not parts or (text.isupper() and len(text) > 6):
        return False
    if parts[0] == "the":
        parts = parts[1:]
    if not parts or parts[0] in firm_words.NO_OPENING or parts[0] in words.TITLES:
        return False
    medical = all(p in words.MEDICAL or p in words.EPONYMS for p in parts)
    # A bacterium, a cell marker: one word that ends like a term or holds a digit.
    term = " " not in text and (parts[0].endswith(words.MEDICAL_ENDINGS) or _CODED.search(text))
    return not medical and not (term and parts[0] not in words.AMBIGUOUS and text not in KNOWN)


def _rule(
    kind: str,
    confidence: float,
    pattern: str,
    *,
    leads: str = "",
    marks: str = "",
    gate: str = "",
    reach: int | None = None,
    check: Check = _opens,
) -> Rule:
    return Rule(
        kind=kind,
        entity=_ORG,
        confidence=confidence,
        pattern=re.compile(pattern),
        words=frozenset(leads.lower().split()),
        leads=bool(leads),
        marks=tuple(marks.split()),
        gate=re.compile(gate) if gate else None,
        reach=reach,
        check=check,
    )


_DETERMINERS: Final = frozenset(
    "the a an this that our your his her their my no any each every dear".split()
)
RULES: Final = (
    _rule("head-first", 0.7, rf"(?<![\w])(?P<v>(?:{firm_words.FIRST_HEADS})(?: {_LINK}){{0,2}}(?:[ \-]{_C}){{1,4}})", leads=" ".join(re.findall(r"[^\W\d_]{2,}", re.sub(r"\[(.)[^\]]*\]", r"\1", firm_words.FIRST_HEADS).replace("s?", "s").replace("e?", "e"))) + " fundacion corporacion compania cafe musee galeria école restaurant laboratoire", check=lambda text: _telling(text + " X")),
    _rule("after-phrase", 0.55, rf"(?<![\w])(?:{firm_words.OBJECT})[ ](?:the )?(?P<v>{SEQUENCE})", leads=firm_words.OBJECT_WORDS),
    _rule("above-address", 0.5, rf"(?m)(?:^|>)[ \t?]{{0,4}}(?P<v>{_C}(?:(?: {_LINK}){{0,2}} {_C}){{0,5}})(?:,? ?\n[ \t?]{{0,4}}|, )(?=(?:\d{{1,6}}[A-Za-z]? (?:[NSEW]{{1,2}}\.? )?{_UP}|P\.? ?O\.? Box|Post Office Box))", marks="0 1 2 3 4 5 6 7 8 9", gate=rf"(?:\n[ \t?]{{0,4}}|, )(?:\d{{1,6}}[A-Za-z]? (?:[NSEW]{{1,2}}\.? )?{_UP}|P\.? ?O\.? Box|Post Office Box)", reach=_LINE_MAX, check=_headed),
    _rule("heading", 0.45, rf"\A(?:[^\n]{{0,40}}\n|<h1>|<[a-z]{{1,8}}>){{0,2}}(?P<v>{_C}(?:(?: {_LINK}){{0,2}} {_C}){{1,5}})(?=\n| - | \u2013 |</h1>)", marks="\n </h1>", check=_headed),
    _rule("in-heading", 0.5, rf"(?:[Nn]ote|NOTE|[Ss]ummary|SUMMARY|[Rr]eport|REPORT|[Ll]etter|LETTER|[Aa]ccount|ACCOUNT|[Ss]tatement|[Dd]epartment of \w{{4,14}}|DEPARTMENT OF \w{{4,14}})(?:, [^\n,A-Z]{{0,4}}[\w\-/. ]{{3,18}})?(?:, | - )(?P<v>{SEQUENCE})(?=\n|$)", leads="note summary report letter account statement department", check=_headed),
    _rule("in-brackets", 0.5, rf"(?:home|hospital|clinic|facility|employer|company|firm|school|hospice|bank|insurer|pharmacy|HOME|HOSPITAL|CLINIC) \((?P<v>(?:[Tt]he )?{SEQUENCE})\)", leads="home hospital clinic facility employer company firm school hospice bank insurer pharmacy", check=_headed),
    _rule("at", 0.4, rf"at(?<=[a-z] at) (?:the )?(?P<v>{SEQUENCE})", leads="at"),
    _rule("from", 0.4, rf"from(?<=[a-z] from) (?:the )?(?P<v>{_C}(?:(?: {_LINK})? {_C}){{1,4}})", leads="from"),
    _rule("known", 0.65, rf"(?<![\w]){any_of('|'.join(KNOWN))}(?![\w])", leads=" ".join(sorted({re.findall(r'[^\W\d_]+', name)[0].lower() for name in KNOWN})), check=lambda _: True),
)  # fmt: skip

_LAST: Final = any_of("|".join(firm_words.LAST_HEADS))
_SHORT: Final = any_of(firm_words.SHORT)
_OFFICES: Final = r"(?:CEO|CFO|CTO|COO|Chairman|Chairwoman|President|Chief)\b"
_RUN: Final = re.compile(SEQUENCE)
# Within a run of capitals: pattern, its confidence, kind and check.
_WITHIN: Final = (
    (re.compile(rf"(?<![\w])(?:{_C}|&)(?:[ \-](?:{_C}|{_LINK})){{0,4}} (?i:{any_of(firm_words.KINDS)})(?![\w])"), 0.8, "kind-last", _kinded),
    (re.compile(rf"(?<![\w])(?:The )?{_C}(?:(?:,|(?: {_LINK}){{1,2}})? {_C}){{0,6}},? {_SHORT}(?![\w'\u2019])"), 0.75, "form", _formed),
    (re.compile(rf"(?<![\w])(?:The )?{_C}(?:(?: {_LINK})? {_C}){{0,4}}? (?i:{_LAST})(?:'s)?(?: (?:(?:of|for|&|and) )?{_C}){{0,2}}(?![\w])"), 0.7, "head-last", _telling),
    (re.compile(rf"(?<![\w])(?:The )?(?:{_C} ){{0,2}}(?:(?:{firm_words.NATIONAL}) ){{1,3}}(?:{firm_words.NATIONAL_HEADS})(?: (?:of|for) (?:the )?{_C}(?: {_C})?)?(?![\w])"), 0.65, "head-national", _opens),
    (re.compile(rf"(?<![\w])(?:The )?(?:{_C} ){{0,2}}(?:{firm_words.OF_HEADS}) of (?:the )?{_C}(?:(?: (?:of|and|&))? {_C}){{0,4}}(?![\w])|Department of (?:{firm_words.GOVERNMENT})(?![\w])"), 0.7, "head-of", _of_something),
    (re.compile(rf"(?:The )?{_C}(?:(?: {_LINK})? {_C}){{0,4}}?(?= {_OFFICES})"), 0.5, "before-office", _opens),
)  # fmt: skip
# Without one of these, the patterns of their kind, which try all of a run, find nothing.
_NEEDED: Final = {
    "form": re.compile(rf" {_SHORT}(?![\w'\u2019])"),
    "before-office": re.compile(f" {_OFFICES}"),
}
_LOWER_HEAD: Final = re.compile(
    rf"{_C}(?: {_C})? (?:universitet|universiteit|universitets(?:sjukhus|sykehus)|högskola|høgskole|sjukhus"
    r"|sykehus|kommune?|yliopisto|sairaala|ziekenhuis|egyetem|kórház)(?![\w])"
)
_TRIGGERS: Final = frozenset(
    " ".join([*firm_words.LAST_HEADS, firm_words.KINDS, firm_words.NATIONAL_HEADS, firm_words.OF_HEADS, firm_words.SHORT, "department authority ceo cfo cto coo chairman chairwoman president chief"]).lower().replace("|", " ").replace("?", "").split()
)  # fmt: skip
_FORM_AFTER: Final = re.compile(rf",? (?:{firm_words.DOTTED})(?!\w)")
_FAMILY_WITHIN: Final = re.compile(
    rf"{_C}(?:,? (?:{_LINK} )?{_C}){{0,5}} {firm_words.FAMILY}(?: (?:{firm_words.SHORT}|{firm_words.DOTTED}))?(?![\w])"
)
_PARTNERS: Final = re.compile(
    rf"(?:The )?{_C}, {_C},? (?:and|&|y|e|et|und|og|och|i) {_C}(?: (?:{firm_words.SHORT}))?"
)
_OWNERS: Final = frozenset(["my ", "ur ", "is ", "er ", "ir "])  # my, our, your, his, her, their
_OWNED: Final = re.compile(
    r" (?:cards?|account|polic(?:y|ies)|subscription|loan|mortgage|order|membership|points|credit card|debit card"
    r"|insurance|plan|voucher|receipt|statement|app|login|password|bill|branch|shares|stock|internship|interview)\b"
)
_AUXILIARIES: Final = frozenset("will does did has is can should do are was could would".split())
_LOWER_NEXT: Final = re.compile(r" [a-z]{2}")
_LOWER_OPENINGS: Final = frozenset(
    "unive högsk høgsk sjukh sykeh kommu yliop saira zieke egyet kórhá".split()
)
_FAMILY_LINKS: Final = frozenset(
    ["y", "e", "&", "et", "und", "og", "och", "i", "és", "en", "ja", "and", "ve"]
)
_FAMILY_AFTER: Final = re.compile(
    rf" (?:{firm_words.FAMILY}(?: (?:{firm_words.SHORT}|{firm_words.DOTTED}))?|mbH)(?![\w])"
)
_FAMILY_OPENINGS: Final = frozenset(
    ["y ", "e ", "& ", "i ", "og", "oc", "un", "et", "és", "en", "ja", "ve", "mb"]
)
_VERB_AFTER: Final = re.compile(rf"(?:['\u2019]s?)?,? {firm_words.VERBS}")
_VERB_MARKS: Final = frozenset(firm_words.VERB_WORDS.split())  # one of them is in the text
# What stands right behind a run before a legal form, a noun in lower case, a verb.
_BEFORE_FORMS: Final = frozenset(" ,./")
_BEFORE_VERBS: Final = frozenset(" ,'\u2019")
_POSSESSED: Final = re.compile(
    r" (?:profits?|revenues?|earnings|shares|stock|CEO|employees|customers|sales|products|headquarters|chief|board"
    r"|lawyers|spokes\w+|debut|album|website|store|stores|branches|offices|market share|warehouse|factory|logo|brand)\b"
)
_NOUN_AFTER: Final = re.compile(
    r" (?:flight|newsletter|card|building|store|branch|website|app|merger|album|concert|exhibition|headquarters|factory|plant|campus|board)\b"
)


class FirmDetector:
    """Organizations among runs of words with capitals, by a word in the run or right behind it."""

    name = "names"

    def find(self, text: str) -> Iterator[Finding]:
        """Yield what the rules find in `text`."""
        said = not _VERB_MARKS.isdisjoint(words_of(text).known)
        for run in _RUN.finditer(text):
            start, end = run.span()
            written = run[0]
            if " " in written:
                parts = _lower_parts(written)
                yield from self._within(text, start, end, parts)
                yield from self._several(text, start, written, parts)
            behind = text[end : end + 1]
            if behind in _BEFORE_FORMS and _may_form(text[end : end + 9]):
                yield from self._behind(text, start, end)
            kind = _before_noun(text, start, written) if behind == " " else ""
            if said and not kind and behind in _BEFORE_VERBS and _VERB_AFTER.match(text, end):
                kind = "before-verb"
            if kind and _opens(written):
                yield self._found(start, end, 0.5, kind)

    def _behind(self, text: str, start: int, end: int) -> Iterator[Finding]:
        """Yield runs behind which a legal form or a head noun in lower case stands."""
        behind = text[end : end + 9]
        if behind[:1] == " " and behind[1:6] in _LOWER_OPENINGS:
            for match in _LOWER_HEAD.finditer(text, start, min(len(text), end + 24)):
                yield self._found(*match.span(), 0.7, "head-lower")
        if behind[:1] in (" ", ",") and ("." in behind[2:] or "/" in behind):
            yield from self._formed(text, start, end, _FORM_AFTER)
        elif behind[:1] in (".", "/"):  # the run took `S` of `S/A`, `Sp` of `Sp. z o.o.`
            last = text.rfind(" ", start, end)
            if start < last > end - 5:
                yield from self._formed(text, start, last, _FORM_AFTER)
        if behind[1:3] in _FAMILY_OPENINGS:
            yield from self._formed(text, start, end, _FAMILY_AFTER)

    def _several(self, text: str, start: int, written: str, parts: list[str]) -> Iterator[Finding]:
        """Yield runs that are names of partners, that `The` opens, or that a question is about."""
        end = start + len(written)
        if "," in written and _PARTNERS.fullmatch(written) and _partnered(written):
            yield self._found(start, end, 0.5, "partners")
        inside = parts[0] == "the" and _within_sentence(text[max(0, start - 2) : start])
        if inside and _opens(written):
            yield self._found(start, end, 0.5, "capital-article")
        if parts[0] in _AUXILIARIES and _LOWER_NEXT.match(text, end):
            first, _, rest = written.partition(" ")
            if _opens(rest):
                yield self._found(start + len(first) + 1, end, 0.4, "asked")

    def _within(self, text: str, start: int, end: int, parts: list[str]) -> Iterator[Finding]:
        if not _TRIGGERS.isdisjoint(parts):
            for pattern, confidence, kind, check in _WITHIN:
                needed = _NEEDED.get(kind)
                if needed and not needed.search(text, start, end):
                    continue
                for match in pattern.finditer(text, start, end):
                    if check(match.group()):
                        yield self._found(*match.span(), confidence, kind)
        if not _FAMILY_LINKS.isdisjoint(parts):
            for match in _FAMILY_WITHIN.finditer(text, start, min(len(text), end + 24)):
                if _formed(match.group()):
                    yield self._found(*match.span(), 0.75, "form-family")

    def _formed(
        self, text: str, start: int, end: int, pattern: re.Pattern[str]
    ) -> Iterator[Finding]:
        form = pattern.match(text, end)
        if form and _formed(text[start:end]):
            yield self._found(start, form.end(), 0.8, "form-dotted")

    def _found(self, start: int, end: int, confidence: float, kind: str) -> Finding:
        return Finding(start, end, _ORG, confidence, self.name, kind)


def _lower_parts(written: str) -> list[str]:
    return written.lower().replace(",", "").replace("'s", "").split()


def _may_form(behind: str) -> bool:
    """Return whether a legal form or a head noun may be what stands behind a run."""
    return (
        behind[0] in "./"
        or "." in behind[2:]
        or "/" in behind
        or behind[1:3] in _FAMILY_OPENINGS
        or (behind[0] == " " and behind[1:6] in _LOWER_OPENINGS)
    )


def _before_noun(text: str, start: int, written: str) -> str:
    """Return a kind if a noun behind the run says that it is one of an organization's things."""
    end = start + len(written)
    before = text[start - 4 : start] if start > 4 else text[:start]
    opened = written[:3].lower() == "the" and _lower_parts(written)[0] == "the"
    owned = (opened or before[:3].lower() == "the") and _NOUN_AFTER.match(text, end)
    owned = owned or (before[-3:] in _OWNERS and _OWNED.match(text, end))
    owned = owned or (written.endswith(("'s", "s'")) and _POSSESSED.match(text, end))
    return "before-noun" if owned else ""


def _partnered(text: str) -> bool:
    return _mixed(text) and sum(map(_everyday, _parts(text))) < 2


def _within_sentence(before: str) -> bool:
    inside = before[:1].islower() or before[:1] == ","
    return before[-1:] == "(" or (before[-1:] == " " and inside)


opens: Final = _opens
