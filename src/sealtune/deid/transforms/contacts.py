"""Ways to reach somebody that reach nobody: numbers and addresses set aside for fiction.

Telephone numbers of the United States and Canada become 555-0100 to 555-0199, British ones those
that Ofcom keeps for drama; others get digits by chance behind their country code. Mail and web
addresses are below example.org (RFC 2606), IP addresses in documentation ranges (RFC 5737, 3849).
These ranges are small: with many values, two may get the same surrogate.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from sealtune.deid.folding import fold
from sealtune.deid.transforms.calendar_words import plain
from sealtune.deid.transforms.choice import Chooser
from sealtune.deid.transforms.people import People
from sealtune.deid.transforms.replaced import Seen

_DOMAINS: Final = ("example.org", "example.com", "example.net")
_RANGES: Final = ("192.0.2", "198.51.100", "203.0.113")
_EXTENSION: Final = re.compile(
    r"\s{0,3}(?:,|;)?\s{0,3}(?:ext\.?|extension|x|#)\s{0,3}\d{1,6}$", re.IGNORECASE
)
_WORDS: Final = re.compile(r"[^\W\d_]+|\d+")
_DIGITS: Final = re.compile(r"\d{1,6}")
_IP_TAIL: Final = re.compile(r"(?:/\d{1,3}|:\d{1,5})$")
_PATH: Final = "x" * 12  # letters of a path below example.org
_NORTH_AMERICA: Final = ("en_US", "en_CA", "fr_CA", "es_US")


class Contacts:
    """Makes surrogates of numbers and addresses, for one locale and one key."""

    def __init__(self, locale: str, people: People, chooser: Chooser) -> None:
        self._people = people
        self._chooser = chooser
        self._locale = locale

    def phone(self, seen: Seen) -> str | None:
        """Return a number of the same form that is nobody's, as far as such are set aside."""
        value = fold(seen.value).text
        tail = _EXTENSION.search(value)
        body = value[: tail.start()] if tail else value
        digits = "".join(letter for letter in body if letter.isdecimal())
        if len(digits) < 3:
            return None
        # However it is written, with its country code or not, the number's end decides.
        identity = digits[-7:] if len(digits) < 10 else digits[-10:]
        made = self._number(digits, body, identity)
        new = iter(made)
        text = "".join(next(new) if letter.isdecimal() else letter for letter in body)
        if not tail:
            return text
        return text + _DIGITS.sub(lambda one: self._chooser.alike("ext", one.group()), tail.group())

    def email(self, seen: Seen) -> str | None:
        """Return an address whose local part is a surrogate, word by word."""
        local, _, domain = fold(seen.value).text.rpartition("@")
        if not local or not domain:
            return self._token("email", seen.value) + "@" + _DOMAINS[0]
        return f"{self._handle(local)}@{self._chooser.pick('domain', plain(domain), _DOMAINS)}"

    def username(self, seen: Seen) -> str | None:
        """Return another user name; names of people in it become their surrogates."""
        return self._handle(fold(seen.value).text)

    def url(self, seen: Seen) -> str | None:
        """Return an address below example.org that says nothing of the page's."""
        value = seen.value.strip()
        scheme, mark, _ = value.partition("://")
        start = f"{scheme.casefold()}://" if mark and scheme.isalpha() else ""
        return f"{start}example.org/{self._token('url', value)}"

    def ip(self, seen: Seen) -> str | None:
        """Return an address of a documentation range."""
        value = fold(seen.value).text.strip("[] ")
        tail = _IP_TAIL.search(value) if value.count(":") < 2 or "/" in value else None
        body = value[: tail.start()] if tail else value
        try:
            address = ipaddress.ip_address(body.partition("%")[0])
        except ValueError:
            return None
        key = address.compressed
        if address.version == 4:
            net = self._chooser.pick("ip-net", key, _RANGES)
            made = f"{net}.{self._chooser.number('ip', key, 254) + 1}"
        else:
            low = self._chooser.number("ip", key, 2**64)
            made = str(ipaddress.IPv6Address((0x20010DB8 << 96) + low))
        return made + (tail.group() if tail else "")

    def _number(self, digits: str, body: str, identity: str) -> str:
        international = body.lstrip(" (").startswith(("+", "00"))
        national = digits.removeprefix("00") if international else digits
        code = digits[: len(digits) - len(national)]
        if self._is_north_american(national, international):
            return code + self._north_american(national, identity)
        if national.startswith("44" if international else "0"):
            made = self._british(national, identity)
            if made and (international or self._locale == "en_GB"):
                return code + made
        zeros = len(digits) - len(digits.lstrip("0"))
        kept = code + national[:2] if international else digits[:zeros]
        return kept + self._chooser.alike("phone", digits[len(kept) :], identity=identity)

    def _is_north_american(self, national: str, international: bool) -> bool:
        if len(national) == 11 and national[0] == "1":
            return True
        return len(national) in (7, 10) and not international and self._locale in _NORTH_AMERICA

    def _north_american(self, national: str, identity: str) -> str:
        line = f"55501{self._chooser.number('phone', identity, 100):02}"
        area = str(200 + self._chooser.number("area", identity[:-7] or identity, 800))
        return (national[: len(national) - 10] + area if len(national) > 7 else "") + line

    def _british(self, national: str, identity: str) -> str | None:
        """Return one of Ofcom's for drama: a mobile 07700 900xxx, or London's 020 7946 0xxx."""
        code = "44" if national.startswith("44") else "0"
        rest = national.removeprefix("44").removeprefix("0")
        start = "7700900" if rest.startswith("7") else "2079460"
        if len(rest) != 10 or len(code + rest) != len(national):
            return None
        return f"{code}{start}{self._chooser.number('phone', identity, 1000):03}"

    def _handle(self, text: str) -> str:
        return _WORDS.sub(lambda match: self._handle_word(match.group()), text)

    def _handle_word(self, word: str) -> str:
        known = self._people.knows(word) if len(word) > 2 else None
        if known is None:
            return self._chooser.alike("handle", word, identity=plain(word))
        name = plain(self._people.part(plain(word), known))
        return name.upper() if word.isupper() else name

    def _token(self, purpose: str, value: str) -> str:
        return self._chooser.alike(purpose, _PATH, identity=value)
