"""How people are reached: e-mail, telephone, fax, web and network addresses, user names."""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.patterns import any_of
from sealtune.deid.structured.rules import PREFIXED, Rule, digits, words

_EXT: Final = (
    r"(?:[ ,;]{0,2}(?:(?i:x|ext|extn|extension|poste|durchwahl)\.?:? ?#?\d{1,6}|#\d{1,6}))?"
    r"(?![A-Za-z0-9])"
)
_TLDS: Final = (
    "com|org|net|edu|gov|mil|int|info|biz|name|io|ai|app|dev|me|tv|co|us|uk|ca|au|nz|ie|de|at|ch|fr"
    "|be|nl|lu|es|pt|it|dk|se|no|fi|is|pl|cz|sk|hu|ro|bg|gr|hr|si|rs|ee|lv|lt|ru|ua|by|tr|il|in|cn"
    "|jp|kr|sg|hk|tw|my|th|vn|ph|id|za|ng|ke|eg|ma|br|ar|cl|mx|pe|eu|health|care|clinic|hospital"
    "|online|site|tech|cloud|xyz|club|shop|blog|live|news|local|internal|example|test"
)
_DOMAIN_MAX: Final = 384  # characters before the last dot: five labels
_TLD: Final = any_of(_TLDS)
_PHONE_LABEL: Final = (
    r"(?<![A-Za-z])(?i:tele(?:phone|fon|phono|fono)|t[eé]l[eé]fono|t[eé]l[eé]phone|phone|phones|tel|t[eé]l|ph|cell"
    r"|cellular|mobile|mobil|handy|pager|beeper|voicemail|hotline|call(?:ed|ing)?|dial|contact"
    r"|reach(?:ed)?|whatsapp|text|sms)\b"
)
_AFTER_LABEL: Final = (
    r"\.?(?: {0,2}(?i:number|no|nr|num|me|us|him|her|them|back|at|on|is|home|work|office|cell|of|for"
    r"|emergency|line|mobile)\b\.?){0,4}[ \t]{0,3}(?:[:#=\-]|\((?!\d)){0,2}\s{0,3}"
)
_NUMBER: Final = r"(?P<v>[+(]{0,2}\d(?:[ .\-/()\n]{0,3}\d){5,15}" + _EXT + ")"


# 12.05.1998, 1998-06-28 and the like are dates, 10 000 000 a quantity.
_NO_TELEPHONE: Final = re.compile(
    r"\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}|(?:19|20)\d\d[-/. ]\d\d?[-/. ]\d\d?"
    r"|[1-9]\d{0,2}(?:[ .]\d{3}){2,4}"
)


def _not_date(text: str) -> bool:
    return _NO_TELEPHONE.fullmatch(text) is None


def _local(text: str) -> bool:
    count = sum(map(str.isdigit, text))
    least = 7 if text[0] in "0(" else 8 if re.fullmatch(r"\d\d(?: \d\d){3}", text) else 9
    return least <= count <= 14 and _not_date(text)


def _north_american(text: str) -> bool:
    return re.fullmatch(r"1?[2-9]\d{2}[2-9]\d{6}", re.sub(r"\D", "", text)) is not None


def _ip(text: str) -> bool:
    return all(int(part) < 256 for part in text.split("/")[0].split(":")[0].split("."))


def _ipv6(text: str) -> bool:
    groups = text.split("%")[0].split(":")
    return len(groups) == 8 or ("::" in text and len(groups) >= 3 and len(text) > 4)


_FAX: Final = r"(?<![A-Za-z])(?i:fax|facsimile|telefax|telecopy|fax-nr|t[eé]l[eé]copie)\b"
RULES: Final = (
    Rule(
        kind="email",
        entity=EntityType.EMAIL,
        confidence=0.99,
        marks=("@",),
        gate=re.compile("@"),
        reach=len("  ") + 64,
        pattern=re.compile(
            r"(?<![\w.+%-])[\w.+%'&!=~-]{1,64}+\s{0,2}@\s{0,2}"
            r"(?:[\w-]{1,63}\.\n?){1,6}[A-Za-z][\w-]{1,23}|(?<![\w.+%-])[\w.+%'-]{1,64}+@\[?[\w-]{1,63}(?:\.\d{1,3}){0,3}"
        ),
    ),
    Rule(
        kind="email-spelled",
        entity=EntityType.EMAIL,
        confidence=0.9,
        words=words("at dot"),
        gate=re.compile(r"(?:\bat ?[\])}]|\bat\b[^@\n]{1,80}\bdot\b)"),
        pattern=re.compile(
            r"(?<![\w.])[\w.+-]{1,64} ?(?i:\bat\b|[\[({] ?at ?[\])}]) ?"
            r"(?:[\w-]{1,63} ?(?i:\bdot\b|[\[({] ?dot ?[\])}]) ?){1,4}(?i:" + _TLD + r")\b"
            r"|(?<![\w.])[\w.+-]{1,64} ?[\[({] ?(?i:at) ?[\])}] ?(?:[\w-]{1,63}\.){1,4}[A-Za-z]{2,24}"
        ),
    ),
    Rule(
        kind="email-spelled",
        entity=EntityType.EMAIL,
        confidence=0.9,
        marks=("(a)", "[a]", "{a}"),
        pattern=re.compile(
            r"(?<![\w.])[\w.+-]{1,64}[\[({][aA][\])}](?:[\w-]{1,63}\.){1,4}[A-Za-z]{2,24}"
        ),
    ),
    Rule(
        kind="fax",
        entity=EntityType.FAX,
        leads=True,
        confidence=0.97,
        words=words("fax facsimile telefax telecopy télécopie"),
        check=digits(6, 19),
        pattern=re.compile(_FAX + _AFTER_LABEL + _NUMBER),
    ),
    Rule(
        kind="phone-labelled",
        entity=EntityType.PHONE,
        leads=True,
        confidence=0.93,
        words=words(
            "telephone telefon telephono telefono teléfono téléphone phone phones tel tél ph cell"
            " cellular mobile mobil handy pager beeper voicemail hotline call called calling dial"
            " contact reach reached whatsapp text sms"
        ),
        check=lambda text: digits(6, 19)(text) and _not_date(text),
        pattern=re.compile(_PHONE_LABEL + _AFTER_LABEL + _NUMBER),
    ),
    Rule(
        kind="extension",
        entity=EntityType.PHONE,
        leads=True,
        confidence=0.8,
        words=words("ext extension pager beeper"),
        pattern=re.compile(
            r"(?<![A-Za-z])(?i:ext|extension|pager|beeper)\.?[ :#]{1,3}(?P<v>\d{3,6})(?![\d.,]\d|\w)"
        ),
    ),
    Rule(
        kind="phone-international",
        entity=EntityType.PHONE,
        confidence=0.95,
        starts=(PREFIXED,),
        check=digits(7, 21),
        pattern=re.compile(r"\(?\+\(?\d{1,15}\)?(?:[ .\-/()\n]{1,3}\d{1,13}){0,6}" + _EXT),
    ),
    Rule(
        kind="phone-us",
        entity=EntityType.PHONE,
        confidence=0.9,
        starts=(PREFIXED, 1, 3),
        pattern=re.compile(
            r"(?:\+?1[ .\-]{0,2}|001[ .\-]{1,2})?(?:\(\d{3}\)\s{0,2}[.\-]?|\d{3}[ .\-/\n]{1,3})"
            r"\d{3}[ .\-\n]{1,3}\d{4}" + _EXT
        ),
    ),
    Rule(
        kind="phone-plain",
        entity=EntityType.PHONE,
        confidence=0.5,
        starts=(10, 11),
        check=_north_american,
        weak=0.35,
        pattern=re.compile(r"[01]?\d{10}" + _EXT),
    ),
    Rule(
        kind="phone-short",
        entity=EntityType.PHONE,
        confidence=0.6,
        starts=(3,),
        pattern=re.compile(r"[2-9]\d{2}[-.]\d{4}(?![-\d])" + _EXT),
    ),
    Rule(
        kind="phone-local",
        entity=EntityType.PHONE,
        confidence=0.55,
        starts=(PREFIXED, 2, 3, 4, 5),
        check=_local,
        pattern=re.compile(
            r"(?:\(\d{1,5}\)|\d{2,5})(?:[ .\-/\n]\d{2,6}){2,5}(?![-\d]|[./]\d)"
            + _EXT
            + r"|\(\d{2,5}\)[ .\-/]?\d{4,9}(?![-\d]|[./]\d)"
            + _EXT
        ),
    ),
    Rule(
        kind="phone-trunk",
        entity=EntityType.PHONE,
        confidence=0.6,
        starts=(3, 4, 5, 6),
        check=digits(8, 14),
        pattern=re.compile(
            r"0[1-9]\d{1,4}[ /\-]{1,3}\d{4,8}(?:[ \-]\d{1,5})?(?![-\d]|[./]\d)" + _EXT
        ),
    ),
    Rule(
        kind="phone-trunk-plain",
        entity=EntityType.PHONE,
        confidence=0.45,
        starts=(9, 10, 11, 12, 13, 14),
        pattern=re.compile(r"0\d{8,13}(?!\d)" + _EXT),
    ),
    Rule(
        kind="url",
        entity=EntityType.URL,
        confidence=0.98,
        marks=("://", "www.", "mailto:", "doi.org"),
        pattern=re.compile(
            r"(?i:\b[a-z][a-z0-9+]{1,11}://|\bwww\d?\.|\bmailto:)[^\s<>\"'`{}|\\^]{1,2000}(?<![.,;:!?)\]])"
        ),
    ),
    Rule(
        kind="domain",
        entity=EntityType.URL,
        confidence=0.75,
        marks=(".",),
        gate=re.compile(rf"\.(?i:{_TLD})(?![A-Za-z0-9])"),
        reach=_DOMAIN_MAX,
        unbroken=True,
        pattern=re.compile(
            r"(?<![\w@.\-/])(?=[\w-]{2,63}\.\w)[A-Za-z0-9](?:[\w-]{0,62}\.){1,5}(?i:" + _TLD + r")"
            r"(?![\w@-]|\.\w)(?::\d{2,5})?(?:/[^\s<>\"']{0,500}(?<![.,;:!?)\]]))?"
        ),
    ),
    Rule(
        kind="ipv4",
        entity=EntityType.IP_ADDRESS,
        confidence=0.95,
        starts=(1, 2, 3),
        check=_ip,
        pattern=re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?::\d{2,5})?(?![\d.]\d|\d)"),
    ),
    Rule(
        kind="ipv6",
        entity=EntityType.IP_ADDRESS,
        confidence=0.95,
        marks=("::", ":"),
        gate=re.compile(r":[0-9a-f]{0,4}:"),
        check=_ipv6,
        pattern=re.compile(
            r"(?<![\w:])(?=[0-9A-Fa-f:]{0,8}:)(?:[0-9A-Fa-f]{0,4}:){2,7}"
            r"[0-9A-Fa-f]{0,4}(?:%\w{1,16})?(?:/\d{1,3})?(?![\w:])"
        ),
    ),
    Rule(
        kind="mac",
        entity=EntityType.DEVICE,
        confidence=0.97,
        marks=(":", "-"),
        gate=re.compile(r"[:\-][0-9A-Fa-f]{2}[:\-][0-9A-Fa-f]{2}[:\-]"),
        reach=2,
        pattern=re.compile(
            r"[0-9A-Fa-f]{2}(?:(?=:)(?<![\w:-]..)(?::[0-9A-Fa-f]{2}){5}|(?=-)(?<![\w-]..)(?:-[0-9A-Fa-f]{2}){5})"
            r"(?![\w:-])"
        ),
    ),
    Rule(
        kind="mac",
        entity=EntityType.DEVICE,
        confidence=0.97,
        marks=(".",),
        gate=re.compile(r"\.[0-9A-Fa-f]{4}\."),
        reach=4,
        pattern=re.compile(r"(?<![\w:-])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![\w:-])"),
    ),
    Rule(
        kind="username",
        entity=EntityType.USERNAME,
        confidence=0.85,
        words=words("username user login userid handle account logon twitter instagram skype"),
        pattern=re.compile(
            r"(?<![A-Za-z])(?i:user ?name|user ?id|user|login(?: name| id)?|logon|handle|skype|instagram|twitter)"
            r"(?: is|s)?\s{0,2}\"?[:=]\s{0,2}[\"']?(?P<v>@?[A-Za-z0-9][\w.\-]{2,40}(?<![.]))"
        ),
    ),
    Rule(
        kind="handle",
        entity=EntityType.USERNAME,
        confidence=0.7,
        marks=("@",),
        gate=re.compile("@"),
        reach=0,
        pattern=re.compile(r"(?<![\w.@/+-])@[A-Za-z_]\w{2,30}(?![\w@]|\.\w)"),
    ),
    Rule(
        kind="phone-eight",
        entity=EntityType.PHONE,
        confidence=0.35,
        starts=(3, 4),
        pattern=re.compile(r"[2-9](?:\d{3} \d{4}|\d{2} \d{2} \d{3})(?![\d/%-]|[.,]\d)" + _EXT),
    ),
)
