"""Addresses that only their surroundings give away: behind a phrase, or as a block of lines.

Streets of most countries have no word that says so (`Reyes Católicos 17`, `22 Ibirapita`), but
somebody "lives at" them, and a block of short lines that ends with a postal code is an address.
"""

from __future__ import annotations

import re
import string
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.names import words
from sealtune.deid.patterns import LedPatterns, Words, any_of, iter_led, leading_words, words_of
from sealtune.deid.structured import postal, tails

_LINES_MAX: Final = 6
_TOKENS_MAX: Final = 16
_LINE_CHARACTERS_MAX: Final = 60
_LEAD: Final = re.compile(
    r"(?i)\b(?:address(?:es)?(?: to| with| is|'s)?\??|(?:now |once )?liv(?:es?|ed|ing) (?:at|in|on)"
    r"|resid(?:es?|ed|ing) (?:at|in|on)|moved to|located (?:at|on)|(?:return(?: it)?|ship|send|mail"
    r"|deliver(?:ed)?|sent|shipped|mailed|forward) (?:it )?to|(?:house|home|office|shop|store"
    r"|apartment|flat) (?:is )?(?:at|on)|zip (?:code )?(?:for|of)|dirección|adresse|indirizzo"
    r"|endereço|adres)\b[?:]?(?: it is| is| are|,? here they are)?[:,]?\s{1,8}"
)
_LEADING: Final = (  # one of these is in each of them
    *(
        "address",
        "live ",
        "lives ",
        "lived ",
        "living ",
        "reside",
        "residing",
        "moved to",
        "located ",
    ),
    *(
        "return to",
        "return it",
        "ship",
        "send",
        "mail",
        "deliver",
        "sent ",
        "forward",
        "house ",
        "home ",
    ),
    *(
        "office ",
        "shop ",
        "store ",
        "apartment ",
        "flat ",
        "zip",
        "dirección",
        "adres",
        "indirizzo",
    ),
    "endereço",
)
_STANDING: Final = (
    *(
        "left ",
        "fire ",
        "branch",
        "parking",
        "stay",
        "party",
        "property",
        "accident",
        "arrived",
        "wedding",
    ),
    *(
        "pick",
        "parked",
        "standing",
        "waiting",
        "directions",
        "drive ",
        "taxi",
        "cab ",
        "sold ",
        "burglary",
    ),
    *(
        "collision",
        "building",
        "near",
        "next door",
        "opposite",
        "return",
        "post",
        "bring",
        "dispatch",
        "bill",
    ),
)
# Weaker ones: what follows begins with a number or a capital, and is no ordinary word.
_DIRECTED: Final = re.compile(
    r"(?i)\b(?:address(?:es)?(?: [a-z]{2,12}){1,6}? (?:to|is|was|at|as)|(?:deliver|ship|send|mail|forward|return|post"
    r"|bring|refund|courier|dispatch|invoice|bill)(?:ed|s|ing)?(?: [\w'\u2019]{1,16}){1,4} to"
    r"|(?:has|have|had|be|is|was|were|been) (?:moved|relocated|transferred|delivered|sent|shipped) to)"
    r"[:,]?[ \n](?=(?-i:[A-Z0-9\u00c0-\u024f]|(?:rue|via|calle|plac|ul|al|os|av|rua|chemin|avenue|boulevard|place|strada"
    r"|ulica|viale|corso|piazza|plaza|avenida|largo)\b))"
)
_AT_WORDS: Final = (
    r"\b(?:left|fire|branch|store|shop|parking|staying|stays?|stayed|party|apartment|property|house|office|accident"
    r"|delivered|arrived|wedding|pick(?:ed)? (?:me|us|it|him|her) up|parked|standing|waiting|directions|drive|taxi|cab"
    r"|sold|burglary|collision|building|flat|home|lives?|lived|living|located|resides?|near|nearest|next door|opposite)"
    r" (?:at|near|to|on|from|is)"
)
_AT: Final = re.compile(
    rf"(?i)(?:{_AT_WORDS}|[a-z] at) (?=(?-i:[A-Z0-9\u00c0-\u024f]|(?:plac|ul\.|al\.|os\.|rue|via) ))"
)
_DIRECTED_LED: Final = leading_words(_DIRECTED)
_AT_LED: Final = leading_words(re.compile(f"(?i){_AT_WORDS}"))
_POSTAL: Final = re.compile(tails.CODE)
_NUMBER_DIGITS_MAX: Final = 8
_LEAD_MAX: Final = 60  # characters from a phrase to the number of what it announces
_HOUSE: Final = r"\d{1,5}[A-Za-z]?(?:[-/]\d{1,5}[A-Za-z]?)?\.?"
_BEFORE_CODE: Final = re.compile(
    rf"(?<![\w.,/-])(?P<v>(?:{_HOUSE},?[ ]{tails.NAME}(?:,?[ ]{_HOUSE})?|(?:ul\.|al\.|os\.|pl\.|plac|rue|via)?[ ]?{tails.NAME},?"
    rf"[ ](?:(?i:nr|no|n[°ºo]|č)\.?[ ]?)?{_HOUSE})"
    rf"(?:[ ,]{{1,3}}{tails.UNIT}[ :#]{{0,2}}\d{{1,5}}[A-Za-z]?){{0,4}})"
    rf"(?:{tails.SEPARATOR}(?:{tails.NAME}|nan)){{0,3}}[ ]{{0,2}}(?:,[ ]?|\n[ \t]{{0,12}})?$"
)
_BEFORE_MAX: Final = 140
_HOUSE_WORD: Final = re.compile(_HOUSE)
_LOWER_END: Final = re.compile(rf"{tails.PARTICLE}|\D{{1,10}}\d")  # `an der`, `apt.4`
_TOKEN: Final = re.compile(r"[ \t]{0,6}([^\s]{1,40})")
_BREAK: Final = re.compile(r"[ \t]{0,4}\n[ \t?>,]{0,12}(?:\n[ \t]{0,8})?")
_NUMBER: Final = re.compile(r"\d{1,5}[A-Za-z]?(?:[-/]\d{1,4}[A-Za-z]?)?[.,]?")
_CODE: Final = re.compile(r"\d{4,6}(?:-\d{3,4})?[.,;!?]?")
_UNIT: Final = frozenset(["apt", "apartment", "suite", "ste", "unit", "flat", "no", "nr", "bldg"])
# What no line of an address has, and what begins the rest of the sentence.
_STOPS: Final = frozenset(
    """
    for and with please if phone tel telephone mobile cell desk fax email e-mail dob ssn mrn is was
    are were the a an my his her he she it they who because since when where but or by from to
    at about after before until during per as that which this has have had work home hospital
    of clinic hours days weeks months years hz mg ml mmhg mm cm kg percent o'clock am pm patients
    group level stage grade type phase day week month year age aged then in on than degrees
    """.split()
)
_CODE_LINE: Final = re.compile(
    r"(?m)^[ \t?,]{0,8}(?:[^\W\d_]{2,20}[ ,]{1,2}){0,4}(?P<v>\d{4,6}(?:-\d{3,4})?)(?=[ .]{0,3}$)"
)
_HOUSE_LINE: Final = re.compile(
    r"[ \t?>,]{0,8}(?:\d{1,5}[A-Za-z]?,?(?: \d{1,5})?,?(?: [^\s\d]{1,24}){1,5}(?: \d{1,5}[A-Za-z]?)?"
    r"(?: [^\s\d]{1,10} \d{1,5}[A-Za-z]?)?|[^\W\d][^\s\d]{1,24}(?: [^\s\d]{1,24}){0,4} \d{1,5}"
    r"[A-Za-z]?(?:,? [^\s\d]{1,10}\.? ?\d{1,5}[A-Za-z]?)?)[ .,]{0,3}"
)
_CORNER: Final = re.compile(
    r"\b(?:the )?(?i:corner of|intersection of) [A-Z][\w'.\-]{1,24}(?: [A-Z0-9][\w'.\-]{0,24}){0,3}"
    r" (?:and|&) [A-Z0-9][\w'.\-]{1,24}(?: [A-Z][\w'.\-]{1,24}){0,3}"
)


_STREET_HERE: Final = re.compile(
    rf"(?P<v>{_HOUSE},?[ ]{tails.NAME}(?:,?[ ]{_HOUSE})?|(?:plac|ul\\.|al\\.|os\\.|rue|via)?[ ]?{tails.NAME},?[ ]{_HOUSE})"
    rf"(?:[ ,]{{1,3}}{tails.UNIT}[ :#]{{0,2}}\d{{1,5}}[A-Za-z]?){{0,4}}"
    r"(?=[ ]{0,2}(?:[,.?!;)\n]|$)| (?:in|is|to|by|and|last|for|with|until|was|has|on|at|please)\b)"
)
_LETTERS: Final = re.compile(r"[^\W\d_]{2,40}")
_HALF: Final = re.compile(r"[ -]\d{2}")
_TOWN_STATE: Final = re.compile(
    r"(?:,\s|\n|\. |^)(?P<v>[^\W\d_][\w'\u2019.\-]{0,24}(?: [^\W\d_][\w'\u2019.\-]{0,24}){0,2})"
    rf",? (?i:{postal.STATES}),? $"
)
_STATE_ENDS: Final = re.compile(rf" (?i:{any_of(postal.STATES)}),? $")
_YEAR: Final = re.compile(r"(?:19|20)\d\d$")
_DIGIT: Final = re.compile(r"\d")
_LATIN: Final = string.ascii_letters
_LED: Final = LedPatterns({"lead": _LEAD, "corner": _CORNER})


class BlockDetector:
    """Addresses behind a phrase and blocks of lines."""

    name = "rules"

    def find(self, text: str) -> Iterator[Finding]:
        """Yield what is found in `text`."""
        said = words_of(text)
        if not said.numbers and (text.isascii() or not any(map(str.isdigit, text))):
            return
        led = _LED.matches(text, said)
        for lead in led.get("lead", ()):
            sure = lead.group()[0] in "aAdDiIeE"
            end = _address_end(text, lead.end(), sure=sure)
            if end:
                yield self._found(lead.end(), end, 0.75, "address-phrase")
        houses, codes = _numbers(text, said)
        if houses:
            yield from self._led(text, houses, said)
        yield from self._coded(text, codes)
        if "\n" in text:
            yield from self._blocks(text)
        for corner in led.get("corner", ()):
            yield self._found(*corner.span(), 0.8, "corner")

    def _led(self, text: str, houses: list[tuple[int, int]], said: Words) -> Iterator[Finding]:
        """Yield what phrases in the spans of `houses` announce."""
        directed = said.starts(_DIRECTED_LED)
        at = sorted([*said.starts(_AT_LED), *(max(start - 2, 0) for start in said.places["at"])])
        for first, last in houses:
            for lead in iter_led(_DIRECTED, text, _between(directed, first, last), last):
                end = _address_end(text, lead.end(), sure=True)
                if end and _says_where(text):
                    yield self._found(lead.end(), end, 0.7, "address-phrase")
            for lead in iter_led(_AT, text, _between(at, first, last), last):
                street = _STREET_HERE.match(text, lead.end())
                placed = street and tails.is_place(" ".join(_LETTERS.findall(street.group("v"))))
                if street and placed and _says_where(text):
                    yield self._found(*street.span("v"), 0.6, "address-at")

    def _coded(self, text: str, codes: list[int]) -> Iterator[Finding]:
        """Yield streets without a word that says so, a town and its postal code behind them."""
        for code in filter(None, (_POSTAL.match(text, at) for at in codes)):
            town = None
            if _STATE_ENDS.search(text, max(0, code.start() - 6), code.start()):
                town = _TOWN_STATE.search(text, max(0, code.start() - 64), code.start())
            if town and tails.is_place(town.group("v")):
                start, end = town.span("v")
                yield Finding(start, end, EntityType.LOCATION, 0.85, self.name, "before-state-zip")
            if _YEAR.match(code.group()) and not text.startswith(" ", code.end()):
                continue
            window = text[max(0, code.start() - _BEFORE_MAX) : code.start()]
            apart = ("," in window or "\n" in window) and _may_end_street(window)
            street = _BEFORE_CODE.search(window) if apart and _DIGIT.search(window) else None
            if street and tails.is_place(" ".join(_LETTERS.findall(street.group("v")))):
                start, end = street.span("v")
                first = code.start() - len(window)
                yield self._found(first + start, first + end, 0.7, "before-code")

    def _blocks(self, text: str) -> Iterator[Finding]:
        for code in _CODE_LINE.finditer(text):
            start = _block_start(text, code.start())
            if start is not None:
                yield self._found(start, code.end("v"), 0.75, "address-block")

    def _found(self, start: int, end: int, confidence: float, kind: str) -> Finding:
        return Finding(start, end, EntityType.ADDRESS, confidence, self.name, kind)


def _between(places: list[int], first: int, last: int) -> list[int]:
    return places[bisect_left(places, first) : bisect_left(places, last)]


def _says_where(text: str) -> bool:
    """Return whether a word of addresses is in `text`."""
    lower = text.lower()
    return " at " in text or any(map(lower.__contains__, (*_LEADING, *_STANDING)))


def _numbers(text: str, said: Words) -> tuple[list[tuple[int, int]], list[int]]:
    """Return where phrases before numbers of houses may stand, apart, and where postal codes may."""
    houses: list[tuple[int, int]] = []
    codes: list[int] = []
    for start, end in said.numbers:
        first = start
        while first > start - 3 and text[first - 1 : first].isupper():
            first -= 1
        if first and text[first - 1] not in " \n,":
            continue
        end = min(end, start + _NUMBER_DIGITS_MAX)
        end += text[end : end + 1] in _LATIN and end < len(text)
        # `276 82`, `99-628`: a short number is half of a code.
        before = text[first - 2 : first - 1]
        if first > 1 and text[first - 1] == " " and not (before.isalnum() or before in ",\n"):
            continue  # what a label announces
        if end - first > 3 or (end - first > 1 and (first < start or _HALF.match(text, end))):
            codes.append(first)
        if first == start and (
            text[end : end + 3].lstrip(" ,")[:1].isupper() or _named(text, start)
        ):
            begin = max(0, start - _LEAD_MAX)
            if houses and houses[-1][1] >= begin:
                begin = houses.pop()[0]
            houses.append((begin, start + 1))
    return houses, codes


def _may_end_street(window: str) -> bool:
    """Return whether the last words may be of a street, its number, its town: most are not."""
    parts = window.rsplit(None, 2)
    last = parts[-1].rstrip(",").rpartition(",")[2] if parts else ""
    if last[:1].isdigit():
        return _HOUSE_WORD.fullmatch(last) is not None and not parts[-2:][0][0].isdigit()
    if last[:1].islower():
        return last == "nan" or _LOWER_END.match(last) is not None
    return True


def _named(text: str, at: int) -> bool:
    """Return whether the word before `at` begins with a capital."""
    before = text[max(0, at - 30) : at].split()
    return bool(before) and before[-1][0].isupper()


def _block_start(text: str, at: int) -> int | None:
    """Return where the line with a house number begins, a few lines above `at`."""
    best = None
    for _ in range(_LINES_MAX):
        if at <= 0:
            return best
        start = text.rfind("\n", max(0, at - 1 - _LINE_CHARACTERS_MAX), at - 1) + 1
        if start == 0 and at - 1 > _LINE_CHARACTERS_MAX:
            return best
        line = text[start : at - 1]
        if ":" in line or not _STOPS.isdisjoint(line.lower().split()):
            return best
        written = line.strip(" \t?>,")
        if _HOUSE_LINE.fullmatch(line) and written.partition(" ")[0].lower() not in _LABELS:
            best = start + len(line) - len(line.lstrip(" \t?>,"))
            if written[0].isdigit():
                return best
        at = start
    return best


_LABELS: Final = frozenset(["apt", "apt.", "suite", "unit", "box"])


def _address_end(text: str, start: int, *, sure: bool) -> int | None:
    """Return where the address that begins at `start` ends, if one does."""
    at, end, numbers, count = start, 0, 0, 0
    for _ in range(_TOKENS_MAX):
        token = _TOKEN.match(text, at)
        if token is None:
            line = _BREAK.match(text, at)
            token = _TOKEN.match(text, line.end()) if line and count else None
            if token is None:
                break
        written = token.group(1)
        word = written.strip(".,;:!?()").lower()
        if word in _STOPS or "@" in written or (count < 2 and not _may_open(written, count, sure)):
            break
        count += bool(word)
        numbers += any(letter.isdigit() for letter in word)
        at = token.end()
        end = token.start(1) + len(written.rstrip(".,;:!?()"))
        if _ends(written, count, numbers):
            break
    return end if numbers and count > 1 and end > start else None


def _may_open(written: str, count: int, sure: bool) -> bool:
    """Return whether a word can be the first (`count` 0) or the second of an address."""
    if written[0].isdigit():
        return _NUMBER.fullmatch(written) is not None
    word = written.strip(".,").lower()
    if written[0].isupper():
        return len(word) > 2 or sure or count == 1 or word in _UNIT
    return (sure or count == 1) and word not in words.COMMON


def _ends(written: str, count: int, numbers: int) -> bool:
    """Return whether an address ends with this word: a postal code, or a full stop behind one."""
    if written[-1] in ";!?:":
        return True
    if _CODE.fullmatch(written) and count > 3 and numbers > 1:
        return True
    last = written.rstrip(".")
    return written[-1] == "." and len(last) > 5 and not last[-1].isdigit()
