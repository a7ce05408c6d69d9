"""Names and places that a word before them announces, in any case ("my name is tracy", "Pt: KIM").

Each rule has words of which one must be in the text at all; only then its pattern is tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.names import words
from sealtune.deid.names.lists import (
    COMMON,
    FIRST,
    KNOWN_PLACE,
    LAST,
    MEDICAL,
    NAME,
    PLACE,
    PLAIN,
    Lexicon,
    plain,
)
from sealtune.deid.patterns import (
    LedPatterns,
    Words,
    any_of,
    iter_led,
    iter_near,
    line_starts,
    words_of,
)

_WORD: Final = re.compile(r"[^\W\d_]{1,40}(?:['\u2019-][^\W\d_]{1,40}){0,3}")
_GAP: Final = re.compile(r"\.?[ ]{1,2}|,[ ]")
_VALUE_TOKENS_MAX: Final = 5
_PERSON, _PLACE, _ORG = EntityType.PERSON, EntityType.LOCATION, EntityType.ORGANIZATION
_TITLES: Final = "|".join(sorted(words.TITLES - {"miss", "father", "sister", "lord", "don", "pan"}))
# What stands between a title and a name in German: "Dr. med.", "Frau Kollegin".
_DEGREES: Final = (
    r"(?:(?:med|dent|habil|phil|jur|rer|nat|kolleg(?:e|en|in)|prof|dr)\b\.? {1,2}){0,4}"
)
_WHOSE: Final = any_of(
    "patient|pt|client|member|customer|full|first|last|middle|maiden|family|given"
)
_ONES: Final = any_of(
    "patient|pt|attending|surgeon|physician|provider|nurse|resident|author|from|to|cc|bcc|attn"
    "|signed|signed by|dictated by|electronically signed by|seen by|reviewed by|reported by"
    "|transcribed by|prepared by|contact|emergency contact|next of kin|spouse|mother|father"
    "|wife|husband|guardian|referred by|pcp|witness|sender|recipient|billing address"
    "|shipping address|address|beneficiary|account holder|cardholder|nombre|nom|vorname"
    "|nachname|paciente|имя|фамилия|пациент|όνομα|ασθενής"
)
_LABELS: Final = rf"(?:{_WHOSE}(?:'s)? )?name|{_ONES}"


@dataclass(frozen=True, slots=True)
class _Rule:
    keys: frozenset[str]
    pattern: re.Pattern[str]
    entity: EntityType
    kind: str
    sure: bool  # whether an unknown word in lower case counts, too


def _rule(keys: str, pattern: str, entity: EntityType, kind: str, *, sure: bool) -> _Rule:
    compiled = re.compile(pattern, re.IGNORECASE)
    return _Rule(frozenset(keys.split()), compiled, entity, kind, sure)


_RULES: Final = (
    _rule(
        "name surname nickname lastname firstname",
        r"\b(?:sur|nick|last|first|maiden )?names?(?:'s)?"
        r"(?: (?:is|was|are)(?![\w'\u2019])|:|\?) {0,2}",
        _PERSON,
        "after-name-is",
        sure=True,
    ),
    # Not sure: "der Name ist bekannt".
    _rule(
        "name naam appelle llamo llama chiamo chiama heiße heisse heißt heisst heet",
        r"\b(?:name (?:ist|war|lautet)|naam is|appelle|(?:me|se) llam[oa]|(?:mi|si) chiam[oa]"
        r"|(?:ich|er|sie) hei(?:ß|ss)(?:e|t)|(?:ik|hij|zij) heet) ",
        _PERSON,
        "after-name-is",
        sure=False,
    ),
    _rule(
        "called named",
        r"\b(?:i am|i'm|is|was|being|he's|she's) (?:called|named) ",
        _PERSON,
        "after-called",
        sure=True,
    ),
    _rule("call", r"\bcalls? me ", _PERSON, "after-called", sure=False),
    _rule(
        " ".join(words.TITLES),
        rf"\b(?:{_TITLES})\b\.? {{1,2}}{_DEGREES}",
        _PERSON,
        "after-title",
        sure=False,
    ),
    _rule(
        "dear hello hi hey thanks regards sincerely cheers",
        r"\b(?:dear|hello|hi|hey|thanks|(?:best |kind |warm )?regards|sincerely|cheers),?\s{1,3}",
        _PERSON,
        "after-greeting",
        sure=False,
    ),
    _rule("am this", r"\b(?:i am|i'm|this is) ", _PERSON, "after-i-am", sure=False),
    _rule(
        "given told asked saw met gave",
        r"\b(?:given|told|asked|met|gave) (?=\S{3,40} (?:his|her"
        r"|their|the|a|that|to)\b)",
        _PERSON,
        "after-verb",
        sure=True,
    ),
    _rule(
        "lives lived born grew moved resident residing native transferred",
        r"\b(?:live[sd]? in|born in|grew up in|moved (?:here )?(?:from|to)|resident of|residing in"
        r"|native of|transferred from) ",
        _PLACE,
        "after-lives-in",
        sure=True,
    ),
    _rule(
        "lebt lebte wohnt wohnte wohnhaft geboren gebürtig aufgewachsen stammt",
        r"\b(?:lebte?|wohnte?|wohnhaft|geboren|gebürtig|aufgewachsen|stammt)"
        r"(?: [^\W\d_]{2,14}){0,5}? (?:in|aus|bei) ",
        _PLACE,
        "after-lives-in",
        sure=False,
    ),
    _rule(
        "work works worked working employed employer",
        r"\b(?:work(?:s|ed|ing)? (?:for|at)|employed (?:by|at)|employer:) ",
        _ORG,
        "after-works-for",
        sure=False,
    ),
)
_LED: Final = LedPatterns({at: rule.pattern for at, rule in enumerate(_RULES)})
_LABEL: Final = re.compile(rf"(?:{_LABELS})\s?$", re.IGNORECASE)
_LABEL_CHARACTERS: Final = 26  # "electronically signed by" and a blank
# How a label ends that is in ASCII: most colons stand behind something else.
_LABEL_ENDS: Final = tuple(
    """
    name patient pt attending surgeon physician provider nurse resident author from to cc attn
    signed by contact kin spouse mother father wife husband guardian pcp witness sender recipient
    address beneficiary holder nombre nom paciente
    """.split()  # noqa: SIM905 - a table of words
)
_LINE: Final = re.compile(r"(?m)^[ \t?>*-]{0,8}([^\W\d_][^\n\d:;!?]{2,50})[ \t]{0,4},?$")


_CITY: Final = r"([^\W\d_][^\W\d_]{1,30}(?:[ '.-]{1,2}[^\W\d_]{1,30}){0,4}(?: \([^\W\d_]{2,30}\))?)"
_STREET_END: Final = re.compile(
    rf"(?m), (?:(?<=[0-9], )|(?<=[0-9][A-Za-z], )){_CITY}(?=[ \t]{{0,4}}\.?$|,[ ])"
)
_CITY_LINE: Final = re.compile(
    rf"(?m)[0-9][A-Za-z]?\.?[ \t,]{{0,4}}\n\s{{0,12}}{_CITY}"
    r"[ \t]{0,4},?(?:[ ]{1,3}\d{1,3})?(?=\s{0,8}$)"
)
_COMMA: Final = re.compile(r", [A-Z]")
_REACH: Final = 64  # characters of a name before it
# A search that begins with a class of letters leaps from one to the next; what may not stand before
# the letter is asked behind it, which \b would not allow.
_TURNED: Final = re.compile(
    r"([A-Z](?<!\w[A-Z])[^\W\d_]{1,30}(?:['-][^\W\d_]{1,30})?), ([A-Z][^\W\d_]{2,30})"
    r"(?: [A-Z]\b\.?)?"
)
_NUMERALS: Final = frozenset({"II", "III", "IV", "VI", "VII", "VIII", "IX"})  # lists have them
# Scripts without spaces or case: what stands behind a label or before a form of address.
_EAST_ASIAN: Final = (
    re.compile(
        r"(?:患者|病人|姓名|氏名|名前|お名前|主治医|担当医|환자|성명|이름)[:\uff1a\s]{0,2}(?:は|是|叫)?"
        r"([\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7a3]{2,4})"
    ),
    re.compile(r"([\u4e00-\u9fff]{2,4})[ ]?(?:先生|女士|小姐|医生|大夫|さん|様|氏|くん|ちゃん)"),
    re.compile(r"([\uac00-\ud7a3]{2,4})[ ]?(?:씨|님|선생|환자|교수)"),
)
_FIRM: Final = re.compile(
    r"([A-Z](?<!\w[A-Z])[^\W\d_]{2,30}), ([A-Z][^\W\d_]{2,30}),? (?:and|&) ([A-Z][^\W\d_]{2,30})"
)


class ContextRules:
    """The rules with the lists."""

    def __init__(self, lexicon: Lexicon) -> None:
        """Take the lists that say what an ordinary word is."""
        self._flags = lexicon.flags
        self._places = lexicon.places
        self._plain = frozenset(
            word
            for word, flags in lexicon.flags.items()
            if flags & PLAIN and not flags & (COMMON | MEDICAL) and len(word) > 3
        )
        self._lower_places = frozenset(
            w
            for w, f in lexicon.flags.items()
            if f & KNOWN_PLACE and not f & (COMMON | MEDICAL | FIRST) and len(w) > 3
        )

    def find(self, text: str) -> Iterator[tuple[int, int, EntityType, float, str]]:
        """Yield what is announced in `text`."""
        said = words_of(text)
        led = _LED.matches(text, said)
        for at, rule in enumerate(_RULES):
            matches = led.get(at)
            if matches and not said.known.isdisjoint(rule.keys):
                for match in matches:
                    span = self._value(text, match.end(), rule.entity, sure=rule.sure)
                    if span:
                        yield (*span, rule.entity, 0.8, rule.kind)
        yield from self._labelled(text)
        yield from self._listed(text, said)
        yield from self._lines(text)
        yield from self._after_street(text)
        commas = [match.span() for match in _COMMA.finditer(text)]
        if commas:
            if "and" in said.known or " & " in text:
                yield from self._firms(text, commas)
            yield from self._turned(text, commas)
        if not text.isascii():
            for pattern in _EAST_ASIAN:
                for match in pattern.finditer(text):
                    yield match.start(1), match.end(1), _PERSON, 0.6, "east-asian"

    def _labelled(self, text: str) -> Iterator[tuple[int, int, EntityType, float, str]]:
        at = text.find(":")
        while at >= 0:
            label = _label_before(text, at)
            if label and not text[label.start() - 1 : label.start()].isalnum():
                start = at + 1
                while start < len(text) and text[start] in " \t" and start < at + 8:
                    start += 1
                span = self._value(text, start, _PERSON, sure=True)
                if span:
                    yield (*span, _PERSON, 0.85, "after-label")
            at = text.find(":", at + 1)

    def _listed(self, text: str, said: Words) -> Iterator[tuple[int, int, EntityType, float, str]]:
        """Yield listed given names and places in lower case, and names in scripts without case."""
        listed = said.known & self._plain
        if not text.isascii():
            listed |= {word for word in said.known if self._is_caseless_name(word)}
        for word in sorted(listed):
            for start, end in _as_written(text, word, said):
                wider = self._value(text, start, _PERSON, sure=False)
                yield start, max(end, wider[1] if wider else 0), _PERSON, 0.5, "listed"
        for word in sorted(said.known & self._lower_places):
            for start, end in _as_written(text, word, said):
                yield start, end, _PLACE, 0.45, "listed"

    def _is_caseless_name(self, word: str) -> bool:
        if word.isascii() or len(word) < 2 or word.isupper() or word != word.upper():
            return False
        return bool(self._flags.get(plain(word), 0) & NAME)

    def _lines(self, text: str) -> Iterator[tuple[int, int, EntityType, float, str]]:
        """Yield lines that are a name and nothing else, as in addresses and signatures."""
        if "\n" not in text:
            return
        for match in iter_led(_LINE, text, line_starts(text)):
            tokens = match.group(1).split()
            if not 2 <= len(tokens) <= 4:
                continue
            flags = [self._flags.get(plain(token.strip(".,")), 0) for token in tokens]
            if any(f & FIRST for f in flags) and not any(
                f & COMMON and not f & NAME for f in flags
            ):
                yield match.start(1), match.end(1), _PERSON, 0.6, "name-line"

    def _after_street(self, text: str) -> Iterator[tuple[int, int, EntityType, float, str]]:
        """Yield what ends a line behind a house number, and lines between one and a postal code."""
        for pattern in (_STREET_END, _CITY_LINE) if "\n" in text else (_STREET_END,):
            for match in pattern.finditer(text):
                flags = [self._flags.get(plain(w), 0) for w in match.group(1).split()]
                if not any(f & COMMON and not f & (PLACE | NAME) for f in flags):
                    yield match.start(1), match.end(1), _PLACE, 0.5, "address-line"

    def _turned(
        self, text: str, commas: list[tuple[int, int]]
    ) -> Iterator[tuple[int, int, EntityType, float, str]]:
        """Yield names with the family name first: `SMITH, JOHN A.`."""
        for match in iter_near(_TURNED, text, commas, _REACH):
            family, given = (self._flags.get(plain(name), 0) for name in match.groups())
            listed = family & LAST and match.group(1) not in _NUMERALS
            if given & FIRST and not given & COMMON and (listed or not family):
                yield match.start(), match.end(), _PERSON, 0.8, "family-name-first"

    def _firms(
        self, text: str, commas: list[tuple[int, int]]
    ) -> Iterator[tuple[int, int, EntityType, float, str]]:
        """Yield partners as firms are called: `Hubbard, Fox and Gillespie`."""
        for match in iter_near(_FIRM, text, commas, _REACH):
            known = [self._flags.get(plain(name), 0) & LAST for name in match.groups()]
            if sum(map(bool, known)) > 1:
                yield match.start(), match.end(), _ORG, 0.6, "firm"

    def _value(
        self, text: str, start: int, entity: EntityType, *, sure: bool
    ) -> tuple[int, int] | None:
        """Return the span of the name that begins at `start`, if one does."""
        at = end = start
        for _ in range(_VALUE_TOKENS_MAX):
            match = _WORD.match(text, at)
            if match is None or not self._may_follow(
                match.group(), entity, sure=sure, inside=at > start
            ):
                break
            end = match.end()
            gap = _GAP.match(text, end)
            if gap is None or (
                gap.group()[0] in ".," and end - match.start() > 1 and not text[start:end].isupper()
            ):
                break
            at = gap.end()
        found = text[start:end]
        return (start, end) if end - start > 1 and found not in words.PARTICLES else None

    def _may_follow(self, word: str, entity: EntityType, *, sure: bool, inside: bool) -> bool:
        flags = self._flags.get(plain(word), 0)
        if word in words.PARTICLES:
            return True
        if flags & MEDICAL and not flags & NAME:
            return False
        if flags & COMMON:
            named = bool(flags & NAME) and entity is not _ORG
            return named and (word[0].isupper() or bool(sure and flags & LAST and inside))
        listed = flags & NAME if entity is _PERSON else flags & PLACE
        return bool(sure or listed or word[0].isupper())


def _label_before(text: str, at: int) -> re.Match[str] | None:
    """Return the label that ends at `at`."""
    if text[at - 1 : at].isdigit():  # a time of day
        return None
    first = max(0, at - _LABEL_CHARACTERS)
    before = text[first:at].rstrip()
    if before.isascii() and not before.lower().endswith(_LABEL_ENDS):
        return None
    return _LABEL.search(text, first, at)


def _as_written(text: str, word: str, said: Words) -> Iterator[tuple[int, int]]:
    """Yield where `word` stands in lower case, with no digit beside it."""
    for start in said.places[word]:
        end = start + len(word)
        beside = text[start - 1 : start] + text[end : end + 1]
        if text.startswith(word, start) and not any(map(str.isalnum, beside)):
            yield start, end
