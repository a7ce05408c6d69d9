"""Numbers of persons, contracts and things: by their labels, by their forms, by check digits.

A label decides where a form cannot: `MRN`, `Member ID`, `Serial no.`. What follows it is the
identifier, if it holds a digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.structured import checks
from sealtune.deid.structured.rules import DIGITS, Rule, RuleDetector, around, compiled

_E: Final = EntityType
_NO: Final = r"(?:\s{0,2}[-_]?(?:no|num|numbers?|nr|nummer|numéro|número|numero|nbr|#|n°|nº|id|ids|identifier|code|ref(?:erence)?)\b\.?|\s{0,2}[#№])"
_LINK: Final = r"\s{0,3}(?:(?:is|was|are|of|lautet|es|est)\b)?[\s:=.#\-\u2013\u2014>\"'`|(\[]{0,6}"
# Up to five groups; letters and digits, with what joins them.
_VALUE: Final = r"([A-Z0-9]{1,20}(?:(?:[-/._]|\s?[-]\s?| (?=\d))[A-Z0-9]{1,16}){0,5})(?![\w%])"

_LABELS: Final[dict[EntityType, tuple[str, bool]]] = {
    # label, and whether a word like `number` or a mark must follow it
    _E.MEDICAL_RECORD: (
        r"(?:m\.?r\.?n\.?|mr\s?#|medical[ -]?record|med\.?\s?rec(?:ord)?\.?|(?:patient|pt)[ -]?(?:record|chart)|patient[ -]?(?:id|identifier|no|number|#)|pat\.?\s?id|hospital[ -]?(?:id|no|number|#)|health[ -]?record|chart|unit[ -]?(?:no|number|#)|uhid|emr|ehr|epi|pid|pas|"
        r"cr\s?no|ip\s?no|op\s?no|umr|fallnummer|patienten(?:nummer|-?nr|-?id)|aktenzeichen|ipp|nip|historia clínica|nhc|cartella(?: clinica)?|dossier)",
        False,
    ),
    _E.HEALTH_PLAN: (
        r"(?:health[ -]?(?:plan|insurance)(?:[ -]?(?:beneficiary|member|policy))?|beneficiary|member(?:ship)?|subscriber|policy(?:[ -]?holder)?|insurance(?:[ -]?(?:policy|member|card))?|insured|medicare|medicaid|hicn?|mbi|plan|group|payer|payor|rx\s?(?:bin|pcn|grp|group)|coverage|"
        r"versicherten(?:nummer|-?nr)|versicherungs(?:nummer|-?nr)|mutuelle|tarjeta sanitaria)",
        True,
    ),
    _E.ACCOUNT: (
        r"(?:accounts?|acct|a/c|acc|bank(?:[ -]?account)?|checking|savings|billing|customer|client|invoice|routing|sort[ -]?code|bsb|aba|swift|bic|konto(?:nummer)?|kundennummer|blz|compte|cuenta|conto|guarantor|loan|mortgage|transaction|payment|statement)",
        True,
    ),
    _E.LICENSE: (
        r"(?:(?:driver'?s?|driving|medical|nursing|professional|pharmacy|state|pilot|business)?[ -]?licen[cs]e|licen[cs]ure|lic|d\.?l\.?|dea|npi|gmc|nmc|upin|certificate|certification|cert|registration|reg|permit|führerschein(?:nummer)?|approbation|permis|carné|patente)",
        True,
    ),
    _E.PASSPORT: (
        r"(?:passports?|reisepass|pass-?nr|passeport|pasaporte|passaporto|paspoort)",
        False,
    ),
    _E.DEVICE: (
        r"(?:serial|s/n|sn|device|lot|model|udi|imei|meid|imsi|iccid|gtin|implant|pacemaker|generator|lead|pump|prosthesis|stent|valve|defibrillator|icd serial|asset(?: tag)?|catalog(?:ue)?|part|seriennummer|série)",
        True,
    ),
    _E.VEHICLE: (
        r"(?:vin|vehicle(?:[ -]?(?:identification|registration|id))?|(?:licen[cs]e|number|registration)?[ -]?plates?|tag|kennzeichen|immatriculation|matrícula|targa|car reg(?:istration)?)",
        True,
    ),
    _E.TAX_ID: (
        r"(?:ein|tin|itin|fein|tax(?:payer)?[ -]?(?:id|identification|payer)?|vat|ust-?id(?:-?nr)?|steuer(?:nummer|-?nr|-?id)|siren|siret|tva|nif|cif|p(?:artita)?\.?\s?iva|btw|abn|gst(?:in)?|utr)",
        True,
    ),
    _E.NATIONAL_ID: (
        r"(?:national[ -]?(?:id|identity|insurance)(?:[ -]?(?:card|number))?|identity[ -]?card|id[ -]?card|personalausweis|ausweis|nhs|chi|nino|sin|ppsn?|pesel|bsn|cpr|cnp|dni|nie|nir|aadhaar|pan|cpf|rrn|nric|ahv|avs|personnummer|curp|rut|cédula|cedula|codice fiscale|sozialversicherungs(?:nummer|-?nr)|svnr|rodné číslo)",
        False,
    ),
    _E.BIOMETRIC: (
        r"(?:finger[ -]?print|voice[ -]?print|palm[ -]?print|retina(?:l)?(?:[ -]?scan)?|iris(?:[ -]?scan)?|face[ -]?(?:print|template|id)|facial[ -]?(?:recognition|template|scan)|biometric|dna[ -]?(?:profile|sample)|gait)(?:[ -]?(?:template|record|scan|file|hash|sample|profile))?",
        True,
    ),
    _E.OTHER_ID: (
        r"(?:case|claim|order|accession|acc|encounter|visit|admission|episode|specimen|sample|requisition|ref(?:erence)?|confirmation|tracking|ticket|file|docket|barcode|bar[ -]?code|employee|staff|student|badge|event|incident|study|subject|trial|enrol?lment|prior[ -]?auth(?:orization)?|authorization|referral|record|report|document|form|prescription|rx|donor|tissue|blood[ -]?(?:bag|unit)|"
        r"x-?ray|film|image|study instance|mother'?s|inmate|booking|military|service|personnel|unique|identification|identifier|uuid|guid|id|session|cookie|aktenzeichen|az|auftrags(?:nummer|-?nr)|expediente|dossier)",
        True,
    ),
}
_SSN_LABEL: Final = r"(?:s\.?s\.?n\.?|soc(?:ial)?\.?\s?sec(?:urity)?\.?|ss)"


def _holds_digit(value: str) -> bool:
    return any(letter.isdigit() for letter in value) and len(value) >= 3


def _labelled(entity: EntityType, label: str, *, marked: bool) -> Rule:
    # Unmarked labels (`MRN 123`) need nothing between; marked ones (`plan`) a number word or a sign.
    number = _NO if marked else rf"{_NO}?"
    sign = rf"(?:{number}{_LINK}|\s{{0,2}}[:#=]\s{{0,3}})" if marked else rf"{number}{_LINK}"
    pattern = compiled(rf"(?<![\w]){label}{sign}{_VALUE}")
    return Rule(pattern, entity, "labelled", 0.9, group=1, check=_holds_digit)


LABELLED_RULES: Final = tuple(
    _labelled(entity, label, marked=marked) for entity, (label, marked) in _LABELS.items()
)

_CARD: Final = re.compile(r"(?<![\w.-])(?:\d[ -]?\n?){12,18}\d(?![\w]|[.-]\d)")
_CARD_WORD: Final = compiled(
    r"\b(?:card|visa|master\s?card|amex|american express|discover|credit|debit|cc|pan|kreditkarte|carte|tarjeta)\b[^\n]{0,30}$"
)
_IBAN: Final = compiled(r"\b[A-Z]{2}\d{2}(?:[ -]?\n?[A-Z0-9]){11,30}\b")
_SSN: Final = re.compile(r"(?<![\w.-])\d{3}([- .])\d{2}\1\d{4}(?![\w]|[.-]\d)")
_SSN_WORD: Final = compiled(rf"\b{_SSN_LABEL}\b[^\n]{{0,24}}$")
_SSN_BARE: Final = re.compile(r"(?<![\w.-])\d{9}(?![\w]|[.-]\d)")
_SSN_SPACED: Final = compiled(
    rf"\b{_SSN_LABEL}(?:{_NO})?{_LINK}((?:\d[ .-]?){{8}}\d|[x*#]{{3,5}}[- ]?[x*#]{{0,2}}[- ]?\d{{4}})(?!\d)"
)
_SSN_LAST: Final = compiled(
    rf"\b{_SSN_LABEL}\b[^\n]{{0,12}}(?:last (?:4|four)[^\n\d]{{0,16}}|ending (?:in|with)\s)(\d{{4}})(?!\d)"
)
_VIN: Final = compiled(r"(?<![\w-])[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-Z0-9]{8}(?![\w-])")
_UUID: Final = compiled(
    r"(?<!\w)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?!\w)"
)
_MAC: Final = compiled(
    r"(?<![\w:-])[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}(?![\w:-])|(?<![\w.])[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}(?![\w.])"
)
_UDI: Final = compiled(r"\(01\)\s?\d{14}(?:\s?\(\d{2,3}\)\s?[A-Z0-9\-/]{1,20}){0,6}")
_IMEI: Final = re.compile(r"(?<![\w.-])\d{2}[- ]?\d{6}[- ]?\d{6}[- ]?\d(?![\w.-])")
_IMEI_WORD: Final = compiled(r"\b(?:imei|device|phone|handset|mobile)\b[^\n]{0,24}$")
_NPI: Final = re.compile(r"(?<![\w.-])[12]\d{9}(?![\w.-])")
_NPI_WORD: Final = compiled(r"\b(?:npi|provider)\b[^\n]{0,24}$")
_DEA: Final = compiled(r"(?<!\w)[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}(?!\w)")
_MBI: Final = compiled(
    r"(?<!\w)[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}(?!\w)"
)
_EIN: Final = re.compile(r"(?<![\w.-])\d{2}-\d{7}(?![\w.-])")
_ABA: Final = re.compile(r"(?<![\w.-])\d{9}(?![\w.-])")
_ABA_WORD: Final = compiled(r"\b(?:routing|aba|rtn|transit)\b[^\n]{0,24}$")
_LICENSE_WORD: Final = compiled(
    r"\b(?:driv(?:er|ing)|licen[cs]e|dl|d\.l\.|id card|state id)\b[^\n]{0,32}$"
)
_LICENSE: Final = compiled(
    r"(?<![\w-])(?:[A-Z]{1,3}[- ]?\d{5,14}|[A-Z]\d{3}(?:-\d{3,4}){2,3}(?:-\d)?|\d{7,12}|\d{2,3}(?:[- ]\d{3}){2,3}|[A-Z]{2}\d{2}[A-Z0-9]{4,10}|\d{3}[A-Z]{2}\d{4}|[A-Z0-9*]{12})(?![\w-])"
)
_PASSPORT: Final = compiled(
    r"(?<![\w-])(?:[A-Z]{1,2}\d{6,8}|\d{9}|[CFGHJKLMNPRTVWXYZ0-9]{9})(?![\w-])"
)
_PASSPORT_WORD: Final = compiled(
    r"\b(?:passports?|reisepass|passeport|pasaporte|passaporto|travel document)\b[^\n]{0,32}$"
)
_PLATE: Final = re.compile(
    r"(?<![\w-])(?:[A-Z]{1,3}[- ·]?\d{1,4}[- ]?[A-Z]{0,3}|\d{1,4}[- ]?[A-Z]{1,4}[- ]?\d{0,4}|[A-Z]{2}\d{2}\s?[A-Z]{3}|[A-ZÄÖÜ]{1,3}[- ][A-Z]{1,2}[- ]?\d{1,4}[EH]?)(?![\w-])"
)
_PLATE_WORD: Final = compiled(
    r"\b(?:plates?|licen[cs]e plate|registration|tag|kennzeichen|immatricul\w{0,8}|matrícula|targa|car|truck|vehicle|ambulance|sedan|honda|toyota|ford|bmw|motorcycle)\b[^\n]{0,32}$"
)
_PHOTO: Final = compiled(
    r"(?<![\w/])(?:[\w-]{0,40}(?:face|photo|portrait|headshot|selfie|mugshot|img|image|pic|dsc|dscn|pxl|passbild|foto)[\w-]{0,60})\.(?:jpe?g|png|heic|tiff?|bmp|gif|webp|dcm|raw|cr2|nef)\b"
    r"|(?<=photo )[\w-]{1,60}\.(?:jpe?g|png|heic|tiff?|dcm)\b|(?<=photograph )[\w-]{1,60}\.(?:jpe?g|png|heic|tiff?|dcm)\b"
)
_MIXED: Final = compiled(
    r"(?:\b(?:no|number|nr|id|ids|ref|code)\b\.?|#)\s{0,2}[:#=]?\s{0,2}([A-Z]{0,6}[-/]?\d[A-Z0-9]{2,20}(?:[-/.][A-Z0-9]{1,14}){0,4})(?![\w%])"
)
_LONG_NUMBER: Final = re.compile(r"(?<![\w.,/+-])\d{7,20}(?![\w%]|[.,/-]\d)")
_CODE: Final = re.compile(
    r"(?<![\w.,/+#-])(?=[A-Z0-9-]{6,24}(?![\w-]))[A-Z]{1,5}-?\d{2,10}(?:-?[A-Z0-9]{1,8}){0,3}(?![\w%-])"
)


def _card(value: str) -> bool:
    return 13 <= len(value) <= 19 and value[0] in "23456" and checks.luhn(value)


def _long(minimum: int) -> Callable[[str], bool]:
    return lambda value: sum(letter.isdigit() for letter in value) >= minimum


FORM_RULES: Final = (
    Rule(_IBAN, _E.IBAN, "iban", 0.99, check=checks.iban, weak=0.5),
    Rule(_CARD, _E.PAYMENT_CARD, "card", 0.97, check=_card),
    Rule(_CARD, _E.PAYMENT_CARD, "card", 0.75, context=_CARD_WORD, reach=44),
    Rule(_SSN, _E.SSN, "us-ssn", 0.95, check=checks.ssn, weak=0.6),
    Rule(_SSN_SPACED, _E.SSN, "us-ssn", 0.97, group=1),
    Rule(_SSN_LAST, _E.SSN, "us-ssn-last-four", 0.9, group=1),
    Rule(_SSN_BARE, _E.SSN, "us-ssn", 0.95, context=_SSN_WORD),
    Rule(_VIN, _E.VEHICLE, "vin", 0.95, check=checks.vin),
    Rule(_VIN, _E.VEHICLE, "vin", 0.9, context=_PLATE_WORD),
    Rule(_UUID, _E.OTHER_ID, "uuid", 0.95),
    Rule(_MAC, _E.DEVICE, "mac", 0.95),
    Rule(_UDI, _E.DEVICE, "udi", 0.97),
    Rule(_IMEI, _E.DEVICE, "imei", 0.9, check=checks.luhn, context=_IMEI_WORD, weak=0.5),
    Rule(_NPI, _E.LICENSE, "us-npi", 0.9, check=checks.npi, context=_NPI_WORD, weak=0.6),
    Rule(_DEA, _E.LICENSE, "us-dea", 0.95, check=checks.dea),
    Rule(_MBI, _E.HEALTH_PLAN, "us-mbi", 0.95),
    Rule(_EIN, _E.TAX_ID, "us-ein", 0.75),
    Rule(_ABA, _E.ACCOUNT, "us-aba", 0.9, check=checks.aba, context=_ABA_WORD, weak=0.4),
    Rule(_LICENSE, _E.LICENSE, "driver", 0.85, check=_long(3), context=_LICENSE_WORD, reach=44),
    Rule(_PASSPORT, _E.PASSPORT, "passport", 0.9, check=_long(4), context=_PASSPORT_WORD, reach=44),
    Rule(_PLATE, _E.VEHICLE, "plate", 0.8, check=_long(1), context=_PLATE_WORD, reach=44),
    Rule(_MIXED, _E.OTHER_ID, "number-sign", 0.6, group=1, check=_long(3)),
    Rule(_LONG_NUMBER, _E.OTHER_ID, "long-number", 0.45),
    Rule(_CODE, _E.OTHER_ID, "code", 0.4, check=_long(4)),
)


def identifier_detectors() -> tuple[RuleDetector, ...]:
    """Return the detectors of numbers and codes."""
    return (
        RuleDetector("rules", (*LABELLED_RULES, *FORM_RULES), DIGITS),
        RuleDetector(
            "rules",
            (Rule(_PHOTO, _E.PHOTO, "file", 0.9),),
            around(compiled(r"\.(?:jpe?g|png|heic|tiff?|bmp|gif|webp|dcm|raw|cr2|nef)\b")),
        ),
    )
