"""Other names for places, organizations and street addresses, with what kind they are kept.

Words that say what something is (hospital, street, GmbH, north) stay; the words that name it give
way to names of invented towns or to last names, so that no surrogate is a real place by intent.
Countries and states of the United States stay among their own kind.
"""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.folding import fold
from sealtune.deid.transforms.calendar_words import plain
from sealtune.deid.transforms.choice import Chooser
from sealtune.deid.transforms.people import LAST, People, cased
from sealtune.deid.transforms.replaced import Seen

_WORD: Final = re.compile(r"[^\W\d_](?:[^\W\d_]|['\u2019](?=[^\W\d_])|[\u0300-\u036f])*|\d+")
_STATES: Final = """AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE
    NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY""".split()  # noqa: SIM905
_STATE_NAMES: Final = """Alabama,Alaska,Arizona,Arkansas,California,Colorado,Connecticut,Delaware,
    Florida,Georgia,Hawaii,Idaho,Illinois,Indiana,Iowa,Kansas,Kentucky,Louisiana,Maine,Maryland,
    Massachusetts,Michigan,Minnesota,Mississippi,Missouri,Montana,Nebraska,Nevada,New Hampshire,
    New Jersey,New Mexico,New York,North Carolina,North Dakota,Ohio,Oklahoma,Oregon,Pennsylvania,
    Rhode Island,South Carolina,South Dakota,Tennessee,Texas,Utah,Vermont,Virginia,Washington,
    West Virginia,Wisconsin,Wyoming"""
_COUNTRIES: Final = """Argentina,Australia,Austria,Belgium,Brazil,Bulgaria,Canada,Chile,China,
    Colombia,Croatia,Cuba,Denmark,Egypt,England,Estonia,Ethiopia,Finland,France,Germany,Ghana,Greece,
    Hungary,Iceland,India,Indonesia,Iran,Iraq,Ireland,Israel,Italy,Jamaica,Japan,Kenya,Latvia,
    Lithuania,Mexico,Morocco,Nepal,Netherlands,Nigeria,Norway,Pakistan,Peru,Philippines,Poland,
    Portugal,Romania,Russia,Scotland,Serbia,Slovakia,Slovenia,Spain,Sweden,Switzerland,Thailand,
    Tunisia,Turkey,Uganda,Ukraine,Venezuela,Vietnam,Wales"""
_ENDS: Final = ("ville", "ton", "field", "bury", "ford", "brook", "haven", "mont", "wood", "stead")
# What an organization, a street or a unit is: in English, German, French, Spanish, Italian, Dutch.
_KINDS: Final = frozenset(
    """hospital hospitals clinic clinics medical center centre health healthcare care general
    memorial university college school institute institution foundation bank church laboratory
    laboratories lab labs pharmacy nursing home rehabilitation rehab hospice surgery surgical
    dental associates partners group department dept division unit ward office services
    service system systems trust inc llc llp lp ltd limited corp corporation co company plc
    gmbh ag kg ohg se sa srl spa nv bv oy ab as the of and for at in on de la le les du des
    der die das und am im zu von e del della di y regional community children childrens women
    womens veterans national international federal state county city public private saint st
    north south east west northern southern eastern western klinik klinikum krankenhaus
    universitat praxis zentrum hopital clinique ecole universite universidad escuela ospedale
    universita ziekenhuis street road avenue ave rd blvd boulevard lane ln drive dr court ct
    place pl square sq way terrace ter circle cir highway hwy parkway pkwy trail trl alley
    suite ste apt apartment floor fl room rm box po p o post building bldg lot rural route rr
    nw ne sw n s w close crescent gardens grove hill row strasse str allee platz weg gasse
    ring ufer rue quai chemin impasse bis calle avenida av plaza paseo camino piso via viale
    piazza corso largo rua travessa praca straat laan plein gracht kade ulica ul near mount mt
    lake port new fort ft upper lower""".split()  # noqa: SIM905 - a table of words
)
_STREET_ENDS: Final = re.compile(
    r"(strasse|stra\u00dfe|str|gasse|weg|platz|allee|ring|straat|laan|plein|gracht|kade)$",
    re.IGNORECASE,
)


class Places:
    """Makes surrogates of places and organizations, for one key."""

    def __init__(self, people: People, chooser: Chooser) -> None:
        self._people = people
        self._chooser = chooser
        self._own_kind: dict[str, str] = {}
        for what, names in (
            ("state", _STATES),
            ("state-name", _split(_STATE_NAMES)),
            ("country", _split(_COUNTRIES)),
        ):
            order = chooser.order(f"place/{what}", names)
            pairs = zip(order, [*order[1:], order[0]], strict=True)
            self._own_kind |= {(one if what == "state" else plain(one)): to for one, to in pairs}

    def location(self, seen: Seen) -> str | None:
        """Return another place for each between commas."""
        text = seen.value if seen.value.isascii() else fold(seen.value).text
        return ",".join(self._place(part) for part in text.split(",")) if text.strip() else None

    def organization(self, seen: Seen) -> str | None:
        """Return the name of another organization of the same kind."""
        text = seen.value if seen.value.isascii() else fold(seen.value).text
        words = [match.group() for match in _WORD.finditer(text)]
        if words and all(plain(word) in _KINDS for word in words):
            # "General Hospital" says which one where there is only one.
            return f"{self._name(text)} {text}"
        made = self._replaced(text) if words else None
        # Of single letters and words of kind alone (AT&T, Ward B) nothing was replaced.
        return cased(self._name(text), like=text) if made == text else made

    def address(self, seen: Seen) -> str | None:
        """Return an address of the same form with other numbers and another street."""
        text = seen.value if seen.value.isascii() else fold(seen.value).text
        made = self._replaced(text)
        return made if made != text else None

    def _place(self, text: str) -> str:
        name = text.strip()
        if not name:
            return text
        own = self._own_kind.get(name) or self._own_kind.get(plain(name))
        if own is None:
            own = f"{self._name(name)}{self._chooser.pick('town', plain(name), _ENDS)}"
        made = own if name in self._own_kind else cased(own, like=name)
        return text.replace(name, made, 1)

    def _replaced(self, text: str) -> str:
        """Replace numbers, and words that are no kinds: a run of those gets one name."""
        made: list[str] = []
        done = 0
        in_name = False
        for match in _WORD.finditer(text):
            word = match.group()
            between = text[done : match.start()]
            done = match.end()
            if plain(word) in _KINDS or (len(word) == 1 and word.isalpha()):
                made += [between, word]
                in_name = False
            elif word.isdecimal():
                made += [between, self._digits(word)]
                in_name = False
            elif not (in_name and not between.strip(" -.'&")):
                made += [between, self._street(word)]
                in_name = True
        return "".join([*made, text[done:]])

    def _digits(self, digits: str) -> str:
        made = self._chooser.alike("number", digits)
        first = made[0] if made[0] != "0" or digits[0] == "0" else "1"
        return first + made[1:] if first + made[1:] != digits else f"2{made[1:]}"

    def _street(self, word: str) -> str:
        end = _STREET_ENDS.search(word)
        if end and end.start() > 2:
            return cased(self._name(word[: end.start()]), like=word) + end.group()
        return cased(self._name(word), like=word)

    def _name(self, text: str) -> str:
        return self._people.part(plain(text), LAST)


def _split(names: str) -> list[str]:
    return [" ".join(name.split()) for name in names.split(",")]
