"""What goes on behind an address that was found: number, floor, town, postal code, country.

Where a street ends, its rule knows; the town behind it may be any word. So the text behind each
address is read part by part, as long as a part looks like one of an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.names import words

_PARTS_MAX: Final = 5
_CONFIDENCE: Final = 0.6
_SURE: Final = 0.5  # less sure addresses have no tail
CODE: Final = (
    r"(?:(?:[A-Z]{1,2}-)?\d{4,5}(?:-\d{3,4})?|\d{3} \d{2}|\d{2}-\d{3}|\d{5}-\d{3}|\d{6,8}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"
    r"|[A-Z]\d[A-Z] ?\d[A-Z]\d|[A-Z]\d{2} ?[A-Z\d]{4}|\d{4} ?[A-Z]{2})(?![\w%]|[.,/]\d)"
)
PARTICLE: Final = (
    r"(?:d[eiou]s?|da|das|del|della|dell'|van|von|der|den|am|an|im|in|la|le|les|las|los|lo|el|do|dos|und"
    r"|and|the|of|i|y|e|nad|pod|na|pri|v|sur|sous|en|aan|bij|ob|bei|sul|al|el-|al-|és|og|och|altos|bajos|lui|sub)(?![\w.])"
)
_CAPITAL: Final = r"[A-Z\u00c0-\u00de\u0100-\u024f\u0391-\u03a9\u0410-\u042f]"
WORD: Final = rf"(?:{_CAPITAL}[\w'\u2019.\-]{{0,30}}|{PARTICLE})"
NAME: Final = rf"{_CAPITAL}[\w'\u2019.\-]{{0,30}}(?:[ ]{WORD}){{0,6}}+"
SEPARATOR: Final = r"[ \t]{0,3}(?:,[ \t]{0,3}(?:\n[ \t>]{0,12})?|\n[ \t>]{0,12}(?:, ?)?)"
UNIT: Final = (
    r"(?i:apt|apartment|suite|ste|unit|flat|room|rm|floor|fl|bldg|building|lot|rd|piso|puerta|esc|escalera|pta"
    r"|edif|depto|int|interior|local|piano|interno|scala|appartamento|bl|sc|et|ap|et\.|ajtó|emelet|kat|daire"
    r"|no|nr|top|stiege|tür|stock|og|eg|bât|étage|appt|oficina|planta|bajo|m\.|lok|box|bus|byt|d)\.?"
)
_REST: Final = re.compile(
    rf"(?:[ ,]{{1,2}}\d{{1,4}}[A-Za-z]?(?:[/-]\d{{1,4}}[A-Za-z]?)?(?=[ ]?(?:[,.;?!)\n]|$)|[ ,]{{1,3}}{UNIT}))?"
    rf"(?:[ ,]{{1,3}}{UNIT}[ :#]{{0,2}}(?:\d{{1,5}}[A-Za-z]?|[A-Z])(?!\w)){{0,4}}"
)
_HEAD: Final = re.compile(r"(?:^|[\s,:(])(?P<v>\d{1,4}[A-Za-z]?),?[ ]$")
_PART: Final = re.compile(
    rf"(?:{SEPARATOR}(?:nan\n[ \t]{{0,12}})?)(?:(?P<code>{CODE})(?:[ ](?P<town>{NAME})(?P<area> / [A-Z]{{2}}\b| \([A-Z]{{2}}\))?)?"
    rf"|(?P<state>[A-Z]{{2,3}})[ ](?P<coded>{CODE})|(?P<name>{NAME})(?:[ ,]{{1,3}}(?P<behind>{CODE}))?(?P<region> / [A-Z]{{2}}\b| \([A-Z]{{2}}\))?)(?!\w)"
)
_BEHIND: Final = re.compile(
    rf"[ ](?:(?P<name>{NAME}),? (?P<behind>{CODE})|(?P<code>(?=[A-Z]){CODE})(?:[ ](?P<town>{NAME}))?)"
)
_TOWN: Final = re.compile(
    rf"[ ](?P<name>{NAME})(?P<area> / [A-Z]{{2}}\b)?(?=[ ]{{0,2}}(?:[,.;?!)\n]|$)| [a-z])"
)
_LINE_ENDS: Final = re.compile(r"[ \t]{0,4}(?:\n|$|[,.;?!)]|[a-z])")
_ENDS_CODED: Final = re.compile(r"(?:^|\D)(?:\d{4,5}|\d{2}-\d{3}|\d{3} \d{2}|\d{4,5}-\d{3})$")
_GEOGRAPHIC: Final = frozenset(
    """
    new north south east west lake port saint st st. fort mount san united great upper lower old big
    little grand royal cape isle isles sri el la los las le les the republic northern southern eastern
    western central french british dutch virgin territory guinea jersey grenada mobile reading nice cork orange park city beach hill bay
    """.split()
)


def iter_tails(text: str, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the rest of the addresses in `findings`: its towns, codes and countries."""
    for finding in findings:
        if finding.entity is EntityType.ADDRESS and finding.confidence >= _SURE:
            yield from _tail(text, finding)


def _tail(text: str, finding: Finding) -> Iterator[Finding]:
    at = finding.end
    head = (
        None
        if text[finding.start].isdigit()
        else _HEAD.search(text, max(0, finding.start - 9), finding.start)
    )
    if head:
        yield _found(head.start("v"), head.end("v"), EntityType.ADDRESS)
    rest = _REST.match(text, at)
    if rest and rest.end() > at:
        yield _found(at, rest.end(), EntityType.ADDRESS)
        at = rest.end()
    coded = _ENDS_CODED.search(text, max(finding.start, at - 12), at)
    match = (_TOWN if coded else _BEHIND).match(text, at)
    for _ in range(_PARTS_MAX):
        if match is None:
            match = _PART.match(text, at)
        if match is None or not all(map(is_place, filter(None, _names(match)))):
            return
        if "\n" in match.group()[:16] and not _LINE_ENDS.match(text, match.end()):
            return  # the next line is a sentence or has a label
        for group, span in ((g, match.span(g)) for g, v in match.groupdict().items() if v):
            place = group not in ("code", "behind", "coded")
            yield _found(*span, EntityType.LOCATION if place else EntityType.POSTAL_CODE)
        at, match = match.end(), None


def _names(match: re.Match[str]) -> tuple[str | None, ...]:
    return tuple(match.groupdict().get(group) for group in ("name", "town"))


def is_place(name: str) -> bool:
    """Return whether `name` may be one of a place: no words of every day, as in headings."""
    parts = [word.strip(".'") for word in name.lower().split()]
    if not parts or any(part in _NO_PLACES for part in parts):
        return False
    first = parts[0] in words.COMMON and parts[0] not in _GEOGRAPHIC
    return not first and not all(
        p in words.COMMON or p in words.MEDICAL or p in words.EPONYMS for p in parts
    )


_NO_PLACES: Final = frozenset(
    """
    phone tel telephone mobile cell fax email e-mail mail web dear patient name date dob mrn mr mrs ms
    dr re regarding best follow-up regards member beneficiary subscriber thanks attn attention cc account invoice order total subject hi hello desk
    """.split()
)


def _found(start: int, end: int, entity: EntityType) -> Finding:
    return Finding(start, end, entity, _CONFIDENCE, "rules", "address-tail")
