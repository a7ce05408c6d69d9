"""E-mail addresses, telephone and fax numbers, web addresses, IP addresses, user names."""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.structured.rules import DIGITS, Rule, RuleDetector, around, compiled, with_words

_TLD: Final = (
    "com|org|net|edu|gov|mil|int|info|biz|io|co|me|name|pro|health|hospital|clinic|doctor|care|med"
    "|app|dev|online|site|shop|store|xyz|club|tech|cloud|ai|tv|us|uk|ca|au|nz|ie|de|at|ch|fr|be|nl"
    "|lu|es|pt|it|gr|se|no|dk|fi|is|pl|cz|sk|hu|ro|bg|hr|si|rs|ua|ru|by|tr|il|sa|ae|eg|ma|za|ng|ke"
    "|in|pk|bd|lk|cn|jp|kr|tw|hk|sg|my|th|vn|ph|id|br|ar|cl|mx|pe|uy|ve|ec|cu|pr|eu|asia|cat|test"
    "|example|local|nhs|ee|lv|lt|al|mk|ba|ge|am|az|kz|uz|ir|iq|jo|lb|qa|kw|cy|mt|li|mc|sm|va|gl|fo"
)
# A local part of up to 64 characters, as RFC 5321 has it.
_EMAIL: Final = compiled(
    r"(?<![\w.%+-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}[ \t]?\n?@\n?[ \t]?[\w-]{1,63}(?:\n?\.[\w-]{1,63}){1,8}"
)
_SPOKEN: Final = compiled(
    r"\b[\w.+-]{1,64}\s{0,3}(?:[\[({<]\s?at\s?[\])}>]|\s(?:at|@)\s)\s{0,3}"
    r"[\w-]{1,63}(?:\s{0,3}(?:[\[({<]\s?(?:dot|punkt|punto|point)\s?[\])}>]|\s(?:dot|punkt)\s|\.)\s{0,3}"
    rf"[\w-]{{1,63}}){{0,4}}\s{{0,3}}(?:[\[({{<]\s?(?:dot|punkt)\s?[\])}}>]|\s(?:dot|punkt)\s)\s{{0,3}}(?:{_TLD})\b"
)
_URL: Final = compiled(
    r"\b(?:https?|ftps?|sftp|ssh|git|s3|file|ldap|ws|wss|mailto|tel)s?://[^\s<>\"')\]}]{1,2000}"
    r"|\bwww\d?\.[^\s<>\"')\]}]{2,2000}|\b(?:mailto|tel):[^\s<>\"')\]}]{3,200}"
)
_DOMAIN: Final = compiled(
    rf"(?<![\w@.-])(?:[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?\.){{1,5}}(?:{_TLD})(?![\w-])"
    r"(?:/[^\s<>\"')\]}]{0,500})?"
)
_IPV4: Final = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?![\d]|\.\d)")
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])"
)
_PHONE_WORD: Final = (
    r"(?:phone|telephone|tel|tele|mobile|mob|cell(?:ular)?|call|callback|contact|reach(?:ed|able)?|pager|beeper|"
    r"bleep|ext(?:ension)?|hotline|whatsapp|sms|text|telefon|handy|mobil|rufnummer|téléphone|portable|"
    r"teléfono|telefono|cellulare|móvil|telemóvel|telefoon|gsm|ph|hp|fon|number|no|nr)"
)
_EXTENSION: Final = (
    r"(?:\s{0,2},?\s{0,2}(?:x|ext\.?|extension|#|poste|durchwahl)\s{0,2}:?\s{0,2}\d{1,7})?"
)
_GAP: Final = r"[ \t.\-/\u00b7]{0,2}\n?[ \t]{0,2}"
_NORTH_AMERICA: Final = compiled(
    rf"(?<![\w.])(?:\+?1{_GAP})?(?:\(\s?[2-9]\d{{2}}\s?\){_GAP}|[2-9]\d{{2}}[ \t.\-/]{{1,2}}\n?[ \t]?)"
    rf"[2-9]\d{{2}}[ \t.\-]{{1,2}}\n?[ \t]?\d{{4}}(?!\d){_EXTENSION}"
)
_INTERNATIONAL: Final = compiled(
    rf"(?<![\w.])(?:\+|00|011[ -]?)\(?[1-9]\d{{0,3}}\)?(?:{_GAP}\(?\d{{1,6}}\)?){{2,7}}(?!\d){_EXTENSION}"
)
# National forms: a bracketed or leading-zero area code, then groups.
_NATIONAL: Final = compiled(
    rf"(?<![\w.+/-])(?:\(\s?\d{{2,5}}\s?\)|0\d{{1,4}}[ \-/.])(?:{_GAP}\d{{2,8}}){{1,4}}(?![\d%]|[.,]\d){_EXTENSION}"
)
_COMPACT: Final = compiled(
    rf"(?<![\w.,-])(?:0\d{{9,10}}|1?[2-9]\d{{2}}[2-9]\d{{6}})(?![\d.,%-]\d?){_EXTENSION}"
)
_GROUPED: Final = compiled(
    rf"(?<![\w.,/-])\d{{2,4}}(?:[ .-]\d{{2,4}}){{2,4}}(?![\d%/]|[.,-]\d){_EXTENSION}"
)
_LOCAL: Final = compiled(rf"(?<![\w.,/-])[2-9]\d{{2}}[-. ]\d{{4}}(?![\d%/]|[.,-]\d){_EXTENSION}")
_LABELLED: Final = compiled(
    rf"\b{_PHONE_WORD}\b(?:\s?\([a-z]{{1,9}}\))?\.?\s{{0,2}}(?:no\.?|number|nr\.?|#)?\s{{0,2}}(?:is|at|on|:|=|-|\u2013)?\s{{0,3}}"
    rf"(\+?\(?\d[\d() \t./-]{{4,22}}\d{_EXTENSION})(?!\w)"
)
_PHONE_NEAR: Final = compiled(rf"\b{_PHONE_WORD}\b[^\n]{{0,24}}$")
_FAX: Final = compiled(
    rf"\b(?:tele)?(?:fax|facsimile|télécopie)\b\.?\s{{0,2}}(?:no\.?|number|nr\.?|#)?\s{{0,2}}(?:is|to|at|:|=|-)?\s{{0,3}}"
    rf"(\+?\(?\d[\d() \t./-]{{4,22}}\d{_EXTENSION})(?!\w)"
)
_PAGER: Final = compiled(
    r"\b(?:pager|beeper|bleep|pgr|ext(?:ension)?)\b\.?\s{0,2}(?:no\.?|#)?:?\s{0,2}(#?\d{3,7})\b"
)
_USER: Final = compiled(
    r"\b(?:user(?:[ _-]?(?:name|id))|username|login(?:[ _-]?(?:name|id))?|log-?in|screen name|handle|twitter|instagram"
    r"|skype|telegram|benutzername|nom d'utilisateur|usuario)\s{0,3}(?:is|was|:|=)\s{0,3}[\"'`]?(@?[\w.+-]{2,40})"
)
_HANDLE: Final = re.compile(r"(?<![\w.@/+-])@[A-Za-z_][A-Za-z0-9_]{2,29}(?![\w.@])")


def _long_enough(value: str) -> bool:
    return 7 <= sum(letter.isdigit() for letter in value) <= 20


def _ipv6(value: str) -> bool:
    return value.count(":") >= 2 and any(letter in "0123456789ABCDEF" for letter in value)


_E, _P = EntityType, EntityType.PHONE
AT_RULES: Final = (
    Rule(_EMAIL, _E.EMAIL, "email", 0.99),
    Rule(_HANDLE, _E.USERNAME, "handle", 0.6),
)
SPOKEN_RULES: Final = (Rule(_SPOKEN, _E.EMAIL, "spoken-email", 0.8),)
WEB_RULES: Final = (Rule(_URL, _E.URL, "url", 0.99), Rule(_DOMAIN, _E.URL, "domain", 0.85))
USER_RULES: Final = (Rule(_USER, _E.USERNAME, "labelled", 0.9, group=1),)
PHONE_RULES: Final = (
    Rule(_FAX, _E.FAX, "labelled", 0.97, group=1),
    Rule(_LABELLED, _P, "labelled", 0.9, group=1, check=_long_enough),
    Rule(_PAGER, _P, "pager", 0.8, group=1),
    Rule(_NORTH_AMERICA, _P, "north-america", 0.9),
    Rule(_INTERNATIONAL, _P, "international", 0.9, check=_long_enough),
    Rule(_NATIONAL, _P, "national", 0.7, check=_long_enough),
    Rule(_COMPACT, _P, "compact", 0.9, context=_PHONE_NEAR, weak=0.45),
    Rule(_GROUPED, _P, "grouped", 0.8, check=_long_enough, context=_PHONE_NEAR, weak=0.4),
    Rule(_LOCAL, _P, "local", 0.8, context=_PHONE_NEAR, weak=0.45),
    Rule(_IPV4, _E.IP_ADDRESS, "ipv4", 0.95),
)
COLON_RULES: Final = (Rule(_IPV6, _E.IP_ADDRESS, "ipv6", 0.9, check=_ipv6),)


def contact_detectors() -> tuple[RuleDetector, ...]:
    """Return the detectors of ways to reach a person."""
    return (
        RuleDetector("rules", AT_RULES, around(re.compile("@"))),
        RuleDetector("rules", SPOKEN_RULES, around(compiled(r"[\[({< ](?:dot|punkt)[\])}> ]"))),
        RuleDetector(
            "rules",
            WEB_RULES,
            around(compiled(rf"://|www\d?\.|mailto:|tel:|\w\.(?:{_TLD})(?![\w-])")),
        ),
        RuleDetector(
            "rules",
            USER_RULES,
            with_words(
                (
                    "user",
                    "login",
                    "log-in",
                    "handle",
                    "twitter",
                    "instagram",
                    "skype",
                    "telegram",
                    "benutzer",
                    "usuario",
                    "utilisateur",
                    "screen name",
                )
            ),
        ),
        RuleDetector("rules", PHONE_RULES, DIGITS),
        RuleDetector("rules", COLON_RULES, around(re.compile(r"::|[0-9A-Fa-f]:[0-9A-Fa-f]{1,4}:"))),
    )
