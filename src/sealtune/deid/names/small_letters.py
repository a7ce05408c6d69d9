"""Text in small letters throughout gets the capitals that its names would have.

The rules know names by their capitals. In a paragraph that has none, the lists have to tell: words
of names and places, words beside them, what stands before a legal form. What comes of it is only
looked at by the rules: it has the same length, so that what they find has its place in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sealtune.core.limits import KIB
from sealtune.deid.names import firm_words, words
from sealtune.deid.names.known import KNOWN
from sealtune.deid.names.lists import (
    AMBIGUOUS,
    COMMON,
    FIRST,
    KNOWN_PLACE,
    LAST,
    MEDICAL,
    NAME,
    PLACE,
    PLACE_PART,
    PLAIN,
    Lexicon,
    plain,
    read_lexicon,
    running_words,
    street_suffixes,
)
from sealtune.deid.names.sentences import WORD_PLACES
from sealtune.deid.names.shapes import capitals
from sealtune.deid.patterns import any_of
from sealtune.deid.structured.rules import words as listed

_BREAK: Final = re.compile(r"\n[ \t]{0,80}\n")
_CAPITALS: Final = re.compile(r"[A-Z][a-z]")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_NAME_GAPS: Final = frozenset({" ", "-", ". ", "  "})
_POSSESSIVE: Final = re.compile(r"['\u2019]s?\Z")
_SEEN_MAX: Final = 50_000  # words that are remembered
_SEEN_LETTERS_MAX: Final = 40  # of one: longer ones hardly recur, and would fill the memory
_PIECE_CHARACTERS: Final = 16 * KIB
_LETTERS_MIN: Final = 3
_LONE_LETTERS_MIN: Final = 4  # of a word that nothing beside it says to be a name
_FIRM_WORDS_MAX: Final = 3  # before a legal form
_ENDINGS: Final = ("ing", "ed", "es", "ly", "er", "s", "d", "ies", "ied", "ness", "ment", "al")
_KNOWN: Final = re.compile(
    rf"(?<![\w@./-])(?:{any_of('|'.join(name.lower() for name in KNOWN))})(?![\w@])"
)
_KNOWN_WRITTEN: Final = {name.lower(): name for name in KNOWN}
# Of the legal forms and head nouns those that are no words of every day or of medicine.
_FORMS: Final = listed("""
    inc ltd llc llp plc gmbh corp corporation incorporated limited bv nv ag kg oy oyj pty sarl srl
    ohg ug sas eurl kft zrt lda ltda spa pvt bhd aps asa ab
    """)
# These stand for words as well: only behind a name.
_FORMS_OF_NAMES: Final = listed("hb tmi ky ba tbk kht kkt bt as oy sa sl da ans")
# `leg raise limited to 20 degrees`
_LIMITED: Final = re.compile(r"limited (?:to|by|in|at|on|with|due|because|use|the|a)\b")
_FORMS_BEFORE: Final = listed("pt cv ud pd perum stichting grupo groupe")
_FORM_WRITTEN: Final = {form.lower(): form for form in firm_words.SHORT.split("|")} | {
    form: form.upper() for form in ("pt", "cv", "ud", "pd")
}
_DOTTED: Final = re.compile(r"(?<=[^\W\d_]{3} )(?:[a-z\u015f]\.){2,4}(?![a-z])")
_HEADS: Final = listed("""
    university hospital clinic college school academy bank insurance airlines airways hotel hotels
    restaurant pharmacy church museum institute foundation consulting partners associates
    industries motors records studios pictures entertainment technologies software holdings
    bakery brewery club society magazine bookstore supermarket universität krankenhaus klinikum
    klinik schule université hôpital hospitaal ziekenhuis
    """)
# Others only where they end a line, a bracket, what stands behind `at`: `high plains credit union`.
_FRAMED_HEADS: Final = (
    {kind.split()[-1] for kind in firm_words.KINDS.split("|")} | set(firm_words.LAST_HEADS)
) - listed("imaging labs lab rehab rehabilitation therapy supply lines electric hardware rentals")
_FRAMED_WORDS_MAX: Final = 4
_OPENINGS: Final = (
    *("\n", ">", ", ", "- ", "(", "  ", " at ", "calling ", "works for ", "worked for "),
    *("employed by ", "working for ", "discharged to ", "transferred to ", "transfer to "),
    "admitted to ",
)
_OPENING_MAX: Final = 16
_ANNOUNCING: Final = frozenset({"calling"})
_CLOSING: Final = re.compile(
    r"\.?(?:\s*\Z|[ \t]*\n|  |<|\)| - |, \d|[.;] )"
    r"| (?:and|came|comes|from|on|in|since|where|who|which|is|was|has|for|as|until|with)\b"
)
_WARDS: Final = listed("""
    unit department ward icu floor care emergency er intensive clinic outpatient inpatient room
    surgery medicine rehab primary general community urgent walk local same follow up family group
    public private staff home health patient sleep pain wound day night outside free new old
    """)
# What a place may begin with, and how towns end.
_COMPASS: Final = listed("new north south east west lake port fort mount saint san santa")
_TOWN_ENDS: Final = tuple(
    sorted(
        listed("ville burgh bury mouth fort stad shire haven chester town berg furt borough ton")
    )
)
_TOWN_ENDS_NEAR: Final = ("side", "land", "view", "field", "port", "ham", "ford", "wood")
_TOWN_LETTERS_MIN: Final = 7
_PLACE_BEFORE: Final = listed("in from at near to around visited outside")
_FIRM_BEFORE: Final = frozenset({"for", "at"})
_WORKS: Final = listed("work works worked working employed")
_WORD_PLACES: Final = listed(WORD_PLACES.lower().replace("|", " "))
# What may stand behind a place, and seldom behind a thing that is described: `in nugeri this year`.
_PLACE_AFTER: Final = listed("""
    and or by this last next for on in with where which who when while but since until as
    today yesterday tomorrow every before after is was
    """)
_ADDRESSED: Final = listed("hi hello hey dear ask asked contact regarding kollegin")
_NAME_AFTER: Final = words.PERSON_VERBS | {"and", "or", "from", "at", "in", "on", "for", "to"}
_UPPER_DOTTED: Final = frozenset({"s.a.", "s.l.", "s.c.", "s.l.l.", "n.v.", "b.v.", "a.\u015f."})
_NUMBER_REACH: Final = 10
_NUMBER_BEFORE: Final = re.compile(r"(?<![\w.])\d{1,6}[a-z]? (?:[nsew]{1,2}\.? )?\Z")
_ENDS: Final = frozenset('.!?:;\n"(')
_VAGUE: Final = listed("is was may can will would could has had")
_STOPS: Final = listed("""
    a an the of at in on to for from by with and or is was are were be been has have had he she it
    we you they i my your his her our their this that not no as but if so than then der die das
    und mit bei von im am le la les de du des et el los las y en con
    """)


@dataclass(slots=True)
class _Word:
    start: int
    text: str
    flags: int
    everyday: bool
    owns: bool  # `arne's`
    capital: bool = False
    form: str = ""  # how a legal form is written

    @property
    def family(self) -> bool:
        """Whether it may be a family name, a word or an eponym as well as not."""
        return bool(self.flags & LAST) or self.unknown

    @property
    def unknown(self) -> bool:
        """Whether it is on no list, and no form of a word that is."""
        return not self.flags and not self.everyday and len(self.text) > _LETTERS_MIN


class SmallLetters:
    """Writes capitals by the lists."""

    def __init__(self) -> None:
        """Read the lists.

        Raises:
            ConfigError: `faker` is not installed.
        """
        self._lexicon: Lexicon = read_lexicon()
        self._running = running_words()
        self._streets = street_suffixes()
        self._seen: dict[str, tuple[int, bool, bool]] = {}

    def restored(self, text: str) -> str:
        """Return `text`, as long as it is, with capitals in paragraphs that have none."""
        made: list[str] = []
        done = 0
        for start, end in _paragraphs(text):
            paragraph = text[start:end]
            if paragraph and not _has_capitals(paragraph) and not paragraph.isupper():
                made += (text[done:start], self._paragraph(paragraph))
                done = end
        return "".join([*made, text[done:]]) if made else text

    def _paragraph(self, text: str) -> str:
        found = [self._word(match) for match in _WORD.finditer(text)]
        self._names(text, found)
        self._said(text, found)
        self._initials(text, found)
        self._places(found)
        self._towns(text, found)
        self._streets_of(text, found)
        self._firms(text, found)
        self._partners(text, found)
        letters = list(text)
        for word in found:
            if word.capital:
                _write(letters, word.start, word.form or _capitalized(word.text))
        for match in _DOTTED.finditer(text):
            if match[0] in _UPPER_DOTTED:
                _write(letters, match.start(), match[0].upper())
        for match in _KNOWN.finditer(text):
            _write(letters, match.start(), _KNOWN_WRITTEN[match[0]])
        return "".join(letters)

    def _word(self, match: re.Match[str]) -> _Word:
        text = match[0]
        known = self._seen.get(text)
        if known is None:
            if len(self._seen) >= _SEEN_MAX:
                self._seen.clear()
            written = _POSSESSIVE.sub("", text)
            flags = self._lexicon.flags.get(plain(written), 0)
            known = flags, self._everyday(written, flags), written != text
            if len(text) <= _SEEN_LETTERS_MAX:
                self._seen[text] = known
        return _Word(match.start(), text, *known)

    def _everyday(self, written: str, flags: int) -> bool:
        """Return whether a word is an ordinary one, in whatever form."""
        if flags & (COMMON | MEDICAL):
            return True
        word = plain(written)
        if flags & PLAIN:
            return False
        if word in words.PERSON_VERBS or word in _WORD_PLACES:
            return True
        if word in self._running and not flags & (FIRST | KNOWN_PLACE):
            return True
        if len(word) > len("acidic") and word.endswith(words.MEDICAL_ENDINGS):
            return True
        known = self._lexicon.flags
        for ending in _ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) > 2:
                stem = word[: -len(ending)]
                stems = (stem, stem + "e", stem + "y", stem[:-1] if stem[-1] == stem[-2] else stem)
                if any(known.get(one, 0) & (COMMON | MEDICAL) for one in stems):
                    return True
        return False

    def _names(self, text: str, found: Sequence[_Word]) -> None:
        """Mark words of names: by their list, and those beside a word that its list makes sure."""
        for word in found:
            known = word.flags & (NAME | PLACE) and not word.everyday
            enough = _LETTERS_MIN if word.flags & PLAIN else _LONE_LETTERS_MIN
            word.capital = bool(known) and len(word.text) >= enough
        for at, before, word in _neighbours(text, found):
            called = plain(before.text)
            title = called in words.TITLES or called in words.ROLES or called in _ADDRESSED
            given = before.capital and bool(before.flags & FIRST)
            if word.capital or len(word.text) < 2 or word.text in words.PARTICLES:
                continue
            if title or given:
                family = word.flags & NAME and (_apart(word) or _ends_name(text, found, at))
                word.capital = word.unknown or bool(family)
        for _, before, word in reversed(list(_neighbours(text, found))):
            family = bool(word.flags & LAST and not word.flags & COMMON)  # an eponym as well
            short = before.flags & FIRST and not before.everyday and len(before.text) > 2
            if short and (word.unknown or family):  # `luc michiels`
                before.capital = word.capital = True
            if family and before.flags & AMBIGUOUS and before.flags & FIRST:
                before.capital = word.capital = True

    def _said(self, text: str, found: Sequence[_Word]) -> None:
        """Mark unknown words by what is said of them, and given names that are words, too."""
        for at, word in enumerate(found):
            before = found[at - 1] if at else None
            after = found[at + 1] if at + 1 < len(found) else None
            gap = text[word.start + len(word.text) : after.start] if after else ""
            opens = before is None or _ends(text[before.start + len(before.text) : word.start])
            acts = after is not None and gap == " " and after.text in words.PERSON_VERBS
            acts = acts and after is not None and (opens or after.text not in _VAGUE)
            if word.flags & AMBIGUOUS and word.flags & FIRST:
                word.capital |= opens and acts and after is not None and after.text not in _VAGUE
            elif word.flags & NAME and not word.flags & COMMON:  # an eponym, another language
                word.capital |= word.owns or (acts and after is not None and opens)
            if not word.unknown:
                continue
            if acts or word.owns or (opens and gap.startswith(",")):
                word.capital = True
            elif opens and after is not None and gap in _NAME_GAPS and after.unknown:
                word.capital = after.capital = True
            elif before is not None and before.start + len(before.text) + 1 == word.start:
                there = before.text in _PLACE_BEFORE
                ended = after is None or gap != " " or after.text in _PLACE_AFTER
                worked = before.text in _FIRM_BEFORE and at > 1 and found[at - 2].text in _WORKS
                word.capital |= worked or (there and ended)

    def _initials(self, text: str, found: Sequence[_Word]) -> None:
        """Mark initials beside names, unknown words behind them, and `family, given`."""
        for at, word in enumerate(found[1:], 1):
            before = found[at - 1]
            gap = text[before.start + len(before.text) : word.start]
            initial = len(before.text) == 1
            if initial and (gap == ". " or (gap == " " and before.text not in "aieoyu")):
                named = word.capital or word.unknown or bool(word.flags & LAST)
                word.capital |= named and not word.everyday
                before.capital |= word.capital
            elif len(word.text) == 1 and before.capital and before.flags & FIRST and gap == " ":
                word.capital = word.text not in "ai"
            elif gap == ", " and word.capital and word.flags & FIRST:
                before.capital |= before.unknown or bool(before.flags & LAST and _apart(before))

    def _places(self, found: Sequence[_Word]) -> None:
        """Mark places of several words."""
        for at, word in enumerate(found):
            if not word.flags & PLACE_PART:
                continue
            for parts in self._lexicon.places.get(plain(word.text), ()):
                here = found[at : at + len(parts)]
                if tuple(plain(one.text) for one in here) == parts and not all(
                    one.everyday for one in here
                ):
                    for one in here:
                        one.capital = True
                    break

    def _towns(self, text: str, found: Sequence[_Word]) -> None:
        """Mark towns by their endings, and what `new`, `south` or `lake` begins."""
        for at, word in enumerate(found):
            there = at > 0 and found[at - 1].text in _PLACE_BEFORE
            if word.unknown and len(word.text) >= _TOWN_LETTERS_MIN:
                ends = word.text.endswith(_TOWN_ENDS)
                word.capital |= ends or (there and word.text.endswith(_TOWN_ENDS_NEAR))
            if at and found[at - 1].text in _COMPASS and _gap(text, found, at) == " ":
                named = word.flags & NAME and not word.flags & COMMON
                if word.unknown or word.capital or named:
                    word.capital = found[at - 1].capital = True

    def _streets_of(self, text: str, found: Sequence[_Word]) -> None:
        """Mark streets: a name between a number and a word that streets end with."""
        for at in range(1, len(found)):
            before, word = found[at - 1], found[at]
            if word.text in self._streets and before.family and _gap(text, found, at) == " ":
                head = text[max(0, before.start - _NUMBER_REACH) : before.start]
                if _NUMBER_BEFORE.search(head):
                    before.capital = word.capital = True

    def _firms(self, text: str, found: Sequence[_Word]) -> None:
        """Mark legal forms and head nouns with what stands before them."""
        for at, word in enumerate(found):
            before = list(_before(text, found, at, most=_FIRM_WORDS_MAX))
            if before:
                _mark_before(text, word, before)
            if word.text in _FRAMED_HEADS and not word.capital:
                beside = list(_beside(text, found, at))
                if beside and _framed(text, beside, word):
                    _mark(word, *beside)

    def _partners(self, text: str, found: Sequence[_Word]) -> None:
        """Mark `jones-mills`, `smith and sons`, `moore, turner and williams`."""
        for at in range(1, len(found)):
            before, word = found[at - 1], found[at]
            gap = _gap(text, found, at)
            if gap == "-" and before.family and word.family:
                if (before.flags & LAST and not before.flags & COMMON) or (
                    word.flags & LAST and not word.flags & COMMON
                ):
                    _mark(before, word)
            elif at > 1 and before.text == "and" and gap == " ":
                first = found[at - 2]
                if _gap(text, found, at - 1) != " " or not first.family:
                    continue
                if word.text in ("sons", "daughters", "partners", "associates"):
                    _mark(first, word)
                elif at > 2 and _gap(text, found, at - 2) == ", ":
                    three = (found[at - 3], first, word)
                    sure = [one for one in three if one.flags & LAST and not one.flags & COMMON]
                    if all(one.family for one in three) and len(sure) > 1:
                        _mark(*three)


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _BREAK.finditer(text):
        yield from _pieces(text, start, match.start())
        start = match.end()
    yield from _pieces(text, start, len(text))


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what is between `start` and `end`, in pieces that a word's bookkeeping has room for."""
    while end - start > _PIECE_CHARACTERS:
        cut = text.rfind(" ", start + _PIECE_CHARACTERS // 2, start + _PIECE_CHARACTERS) + 1
        cut = cut or start + _PIECE_CHARACTERS
        yield start, cut
        start = cut
    yield start, end


def _has_capitals(text: str) -> bool:
    """Return whether a word begins with a capital and goes on in small letters."""
    if _CAPITALS.search(text):
        return True
    return not text.isascii() and any(
        text[start + 1 : end].islower() for start, end in capitals(text)
    )


def _mark(*found: _Word) -> None:
    for word in found:
        word.capital = True


def _mark_form(form: _Word, *name: _Word) -> None:
    _mark(form, *name)
    form.form = _FORM_WRITTEN.get(form.text, "")


def _apart(word: _Word) -> bool:
    """Return whether a listed name is no word that often stands behind one."""
    return not word.flags & COMMON or bool(word.flags & AMBIGUOUS)


def _opens_line(text: str, at: int) -> bool:
    return not at or text[at - 1] in "\n>"


def _ends_line(text: str, at: int) -> bool:
    return at == len(text) or text[at] in "\n<" or text.startswith(" - ", at)


def _mark_before(text: str, word: _Word, before: Sequence[_Word]) -> None:
    """Mark a legal form or a head noun with the words `before` it, the nearest first."""
    nearest = before[0]
    if word.text in _FORMS_OF_NAMES and nearest.capital and not nearest.flags & FIRST:
        _mark_form(word, *(one for one in before if not one.everyday))
    elif nearest.text in _FORMS_BEFORE and not word.everyday:
        _mark_form(nearest, word)
    elif word.text in _FORMS and not _LIMITED.match(text, word.start):
        if any(one.family or not one.everyday for one in before):
            _mark_form(word, *before)
    elif word.text == "group" and nearest.family and not nearest.flags & MEDICAL:
        _mark(word, nearest)
    elif word.text in _HEADS:
        lone = _opens_line(text, before[-1].start) and _ends_line(text, word.start + len(word.text))
        lone = lone and not all(map(_is_ward, before))
        if lone or any(one.capital or one.unknown for one in before):
            _mark(word, *before)


def _framed(text: str, before: Sequence[_Word], head: _Word) -> bool:
    """Return whether a head noun with the words before it is all there is in its place."""
    told = any(not one.everyday for one in before)
    if not told and (len(before) < 2 or any(map(_is_ward, before))):
        return False
    opens = text[max(0, before[-1].start - _OPENING_MAX) : before[-1].start]
    return (not opens.strip(" ") or opens.endswith(_OPENINGS)) and (
        _CLOSING.match(text, head.start + len(head.text)) is not None
    )


def _is_ward(word: _Word) -> bool:
    """Return whether a word says what kind of ward or treatment, as in `outpatient pain clinic`."""
    return bool(word.flags & MEDICAL) or word.text in _WARDS


def _beside(text: str, found: Sequence[_Word], at: int) -> Iterator[_Word]:
    """Yield the words right before number `at`, nearest first, that may be of one name with it."""
    end = found[at].start
    for word in reversed(found[max(0, at - _FRAMED_WORDS_MAX) : at]):
        gap = text[word.start + len(word.text) : end]
        if gap not in {" ", " & "} or word.text in _STOPS or word.text in _ANNOUNCING:
            return
        yield word
        end = word.start


def _ends(gap: str) -> bool:
    """Return whether a sentence or a line ends in what stands between two words."""
    return not _ENDS.isdisjoint(gap)


def _neighbours(text: str, found: Sequence[_Word]) -> Iterator[tuple[int, _Word, _Word]]:
    for at in range(1, len(found)):
        if _gap(text, found, at) in _NAME_GAPS:
            yield at, found[at - 1], found[at]


def _gap(text: str, found: Sequence[_Word], at: int) -> str:
    """Return what stands before the word number `at`, up to the one before it."""
    before = found[at - 1]
    return text[before.start + len(before.text) : found[at].start]


def _ends_name(text: str, found: Sequence[_Word], at: int) -> bool:
    """Return whether a name may end with the word number `at`: a mark or a verb follows."""
    if at + 1 == len(found):
        return True
    gap = _gap(text, found, at + 1)
    return gap != " " or found[at + 1].text in _NAME_AFTER


def _before(text: str, found: Sequence[_Word], at: int, *, most: int) -> Iterator[_Word]:
    """Yield the words before number `at`, nearest first, up to one that ends a name."""
    end = found[at].start
    for word in reversed(found[max(0, at - most) : at]):
        gap = text[word.start + len(word.text) : end]
        if gap not in {" ", ", ", " & "} or word.text in _STOPS:
            return
        yield word
        end = word.start


def _capitalized(word: str) -> str:
    """Return `word` with a capital first, where that is one letter too."""
    first = word[0].upper()
    return first + word[1:] if len(first) == 1 else word


def _write(letters: list[str], at: int, word: str) -> None:
    letters[at : at + len(word)] = word
