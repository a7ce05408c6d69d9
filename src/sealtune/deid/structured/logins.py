"""User names, passwords and codes as sentences have them, beside the plain `user: x`."""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.structured.rules import Rule, words

_USER_LABEL: Final = (
    r"(?<![A-Za-z])(?i:user[ _\-]?(?:name|id)|user|login(?: name| id)?|log-?in(?: name| id)?|logon"
    r"|screen[ _\-]?name|handle|(?:account|profile|portal|patient portal|mychart)(?: user)?"
    r" (?:name|login|user|id|account|username)|skype|instagram|twitter|telegram|discord|snapchat"
    r"|tiktok|whatsapp|facebook|portal|mychart)(?: (?i:id|name|account|handle|profile))?"
)
_USER: Final = r"[\"'`(<]?(?P<v>@?[A-Za-z0-9][\w.\-+]{1,40}(?<![.\-]))"
_NO_USER: Final = words(
    "the a an not is was and or for of to in on no yes none unknown n/a name id has had been may"
    " can will must should active inactive locked used using via with by new old required valid"
    " invalid account access portal message messages sent set admin's who that this it denied"
)


def _user(text: str) -> bool:
    return text.lower() not in _NO_USER


def _marked(text: str) -> bool:
    """Return whether a word is no word of English: digits, dots or underscores within letters."""
    letters = sum(letter.isalpha() for letter in text)
    return letters > 1 and (letters < len(text.replace("-", "").strip("."))) and _user(text)


def _coded(text: str) -> bool:
    return re.search(r"[\d._]", text) is not None and _user(text)


def _secret(text: str) -> bool:
    digits = sum(letter.isdigit() for letter in text)
    return digits > 0 or any(letter in "!@#$%^&*_+" for letter in text)


_USER_WORDS: Final = words(
    "username user userid login log logon screen screenname handle account profile portal patient"
    " mychart skype instagram twitter telegram discord snapchat tiktok whatsapp facebook"
)
_OPENING_LABEL: Final = (
    r"(?<![A-Za-z])(?i:pass(?:word|wd|phrase|code|key)|pwd|kennwort|passwort|contraseña|wachtwoord"
    r"|pin(?: ?code| ?number)?|otp|(?:door|gate|access|entry|alarm|security|unlock|safe|lock"
    r"|verification|recovery|backup|one-time)(?: ?pass)?[ \-]?(?:code|pin|key|answer|phrase)"
    r"|(?:api|access|auth|refresh|session|security)[ _\-]?(?:token|key|secret)|token|wi-?fi (?:key"
    r"|code|pass))"
)
RULES: Final = (
    Rule(
        kind="username-labelled",
        entity=EntityType.USERNAME,
        confidence=0.85,
        words=_USER_WORDS,
        leads=True,
        check=_user,
        pattern=re.compile(
            _USER_LABEL + r"[\"']?(?:\s{0,2}(?:[:=]|=>)\s{0,2}| (?i:is|was|of|as) )" + _USER
        ),
    ),
    Rule(
        kind="username-dashed",
        entity=EntityType.USERNAME,
        confidence=0.75,
        words=_USER_WORDS,
        leads=True,
        check=_coded,
        pattern=re.compile(_USER_LABEL + r" {1,2}[-\u2013] {1,2}" + _USER),
    ),
    Rule(
        kind="username-beside",
        entity=EntityType.USERNAME,
        confidence=0.7,
        words=_USER_WORDS,
        leads=True,
        check=_marked,
        pattern=re.compile(_USER_LABEL + r"[ ]{1,2}(?:[(#] ?)?" + _USER),
    ),
    Rule(
        kind="username-as",
        entity=EntityType.USERNAME,
        confidence=0.75,
        words=words("logged logs log signed signs sign registered posts posting goes known"),
        leads=True,
        check=_user,
        pattern=re.compile(
            r"(?i:(?:logged|logs?|signed|signs?)[ \-](?:in|on|into)(?: to [\w ]{2,20})? (?:as|with|under)"
            r"|(?:posts|posting|goes|known|registered) (?:online |on \w{2,20} )(?:as|by))"
            r"(?: (?i:user|username))? " + _USER
        ),
    ),
    Rule(
        kind="secret-labelled",
        entity=EntityType.SECRET,
        confidence=0.88,
        words=words(
            "password passwd passphrase passcode passkey pwd kennwort passwort contraseña wachtwoord"
            " pin otp door gate access entry alarm security unlock safe lock verification recovery"
            " backup one api auth refresh session token wifi wi"
        ),
        leads=True,
        pattern=re.compile(
            _OPENING_LABEL
            + r"[\"']?(?:\s{0,2}(?:[:=]|=>)\s{0,2}| (?i:is|was|to|set to|reset to) )[\"'`]?"
            r"(?P<v>[^\s\"'`<>,;]{3,200})(?<![.)])"
        ),
        check=lambda text: text.lower() not in _NO_USER and not text.lower().startswith("set"),
    ),
    Rule(
        kind="secret-beside",
        entity=EntityType.SECRET,
        confidence=0.8,
        words=words("password passwd passphrase passcode passkey pwd pin otp token"),
        leads=True,
        check=_secret,
        pattern=re.compile(
            r"(?<![A-Za-z])(?i:pass(?:word|wd|phrase|code|key)|pwd|pin(?: code| number)?|otp|token)"
            r"(?: (?i:of|to|changed to|reset to))?[ ]{1,2}[\"'`(]?(?P<v>[^\s\"'`<>,;()]{4,200})(?<![.)])"
        ),
    ),
)
