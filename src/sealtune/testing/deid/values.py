"""What the notes are filled with: values of each type of identifier, and how they are labelled.

A value is a sequence of pieces: text with a mark. The mark is the type of an identifier, `NEUTRAL`
for what may go or stay (a state, a title, a time of day), or None for what must stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.testing.deid import numbers, places
from sealtune.testing.deid.draw import DIGITS, LOWER, UPPER, Draw


class Mark(Enum):
    """What is no identifier and may be removed all the same."""

    NEUTRAL = "neutral"


NEUTRAL: Final = Mark.NEUTRAL
Piece = tuple[str, EntityType | Mark | None]
_HEX: Final = "0123456789abcdef"
_BASE62: Final = DIGITS + LOWER + UPPER + "oIOQ"


def address(draw: Draw) -> list[Piece]:
    """Return an address of the United States: street, unit, city, state, ZIP."""
    joint = draw.one((", ", ", ", ", ", "\n", " "))
    pieces: list[Piece] = [(street(draw), EntityType.ADDRESS), (joint, None)]
    pieces += [(draw.one(places.CITIES), EntityType.LOCATION), (draw.one((", ", ", ", " ")), None)]
    pieces += [
        (draw.one(places.STATES), NEUTRAL),
        (" ", None),
        (zip_code(draw), EntityType.POSTAL_CODE),
    ]
    return pieces


def street(draw: Draw) -> str:
    """Return a street of the United States with a house's number, at times a unit or a box."""
    if draw.chance(0.1):
        return draw.form("P.O. Box %###", "PO Box %##", "Post Office Box %###", "RR % Box %#")
    number = draw.form("%", "%#", "%##", "%###", "%####", "%##")
    point = draw.one(("", "", "", "N ", "SW ", "East ", "W. "))
    line = f"{number} {point}{draw.one(places.STREETS)} {draw.one(places.SUFFIXES)}"
    if draw.chance(0.3):
        line += draw.one((", ", " ")) + draw.one(places.UNITS).format(draw.form("%", "%#", "%##"))
    return line


def zip_code(draw: Draw) -> str:
    """Return a ZIP code, at times ZIP+4."""
    return draw.form("0####", "2####", "3####", "4####", "5####", "6####", "7####-####", "9####")


def foreign_address(draw: Draw) -> list[Piece]:
    """Return an address as ten other countries write it."""
    form, code, city = draw.one(places.FOREIGN)
    pieces: list[Piece] = [(form.format(draw.between(1, 180)), EntityType.ADDRESS), (", ", None)]
    town: list[Piece] = [(code, EntityType.POSTAL_CODE), (" ", None), (city, EntityType.LOCATION)]
    return pieces + (town if code[0].isdigit() else town[::-1])


_MONTHS: Final = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
}
_ENGLISH: Final = (
    "{m:02d}/{d:02d}/{y}",
    "{m}/{d}/{y}",
    "{m}/{d}/{s:02d}",
    "{y}-{m:02d}-{d:02d}",
    "{M} {d}, {y}",
    "{d} {M} {y}",
    "{d:02d}-{a}-{y}",
    "{d}{a}{y}",
    "{a} {d}, {y}",
    "{a}. {d}{o}, {y}",
    "{M} {d}{o}",
    "{a} {d}",
    "{m}/{d}",
    "{M} {y}",
    "{m:02d}-{d:02d}-{y}",
    "the {d}{o} of {M}",
    "{d}{o} {M}, {y}",
    "{m:02d}.{d:02d}.{y}",
    "{y}/{m:02d}/{d:02d}",
    "{m}-{d}-{s:02d}",
    "{d} {a} {s:02d}",
    "{m:02d}/{y}",
    "{M} the {d}{o}, {y}",
    "{y} {M} {d}",
    "{a}-{d:02d}-{y}",
)
_FOREIGN_DATES: Final = {
    "de": ("{d}. {M} {y}", "{d:02d}.{m:02d}.{y}", "{d}.{m}.{s:02d}", "{M} {y}", "{d}. {M}"),
    "fr": ("{d} {M} {y}", "{d:02d}/{m:02d}/{y}", "{M} {y}", "{d} {M}", "{d:02d}.{m:02d}.{y}"),
    "es": ("{d} de {M} de {y}", "{d:02d}/{m:02d}/{y}", "{M} de {y}", "{d} de {M}", "{d}-{m}-{y}"),
}


def date(draw: Draw, language: str = "en") -> str:
    """Return a date with more than its year, in one of the ways that `language` writes it."""
    forms = _ENGLISH if language == "en" else _FOREIGN_DATES[language]
    day, month, year = draw.between(1, 28), draw.between(1, 12), draw.between(1931, 2025)
    name = _MONTHS[language].split()[month - 1]
    ordinal = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day not in (11, 12, 13) else 0, "th")
    return draw.one(forms).format(
        d=day, m=month, y=year, s=year % 100, M=name, a=name[:3], o=ordinal
    )


def old_age(draw: Draw) -> list[Piece]:
    """Return an age over 89 as notes say it."""
    age = str(draw.between(90, 106))
    forms = ("{}-year-old", "{} year old", "{} y/o", "{}yo", "{} years old", "{} yrs old")
    before, _, after = draw.one(forms).partition("{}")
    return [(before, None), (age, EntityType.AGE), (after, NEUTRAL)]


def phone(draw: Draw) -> str:
    """Return a telephone number of the United States or of another country."""
    if draw.chance(0.2):
        return draw.form(
            "+49 %## %#######",
            "+33 1 ## ## ## ##",
            "+44 20 7### ####",
            "+34 6## ### ###",
            "0049-30-%#######",
            "+61 4## ### ###",
            "+91 98### #####",
            "+55 11 9####-####",
        )
    number = draw.form(
        "%%#-%##-####",
        "(%%#) %##-####",
        "%%#.%##.####",
        "+1 %%# %## ####",
        "1-%%#-%##-####",
        "%%# %## ####",
        "(%%#)%##-####",
        "+1-%%#-%##-####",
    )
    return number + (draw.form(" x%##", " ext. %###", " ext %##") if draw.chance(0.1) else "")


_HOSTS: Final = ("baymail", "northfork-clinic", "ozarknet", "pinewood", "hartlyhealth", "mx-post")
_DOMAINS: Final = ("com", "org", "net", "edu", "co.uk", "de", "health", "io", "fr", "gov")


def host(draw: Draw) -> str:
    """Return a name of a host."""
    return f"{draw.one(_HOSTS)}.{draw.one(_DOMAINS)}"


def email(draw: Draw) -> str:
    """Return an address for mail, of nobody."""
    name = draw.form("&&&&&", "&&&.&&&&&&", "&_&&&&&##", "&&&&&+&&&", "&&&&-&&&##", "&.&&&&&&&")
    return f"{name}@{host(draw)}"


def url(draw: Draw) -> str:
    """Return an address on the web that leads to one person."""
    path = draw.form("u/&&&&&##", "patients/######", "~&&&&&&", "p?id=#####", "profile/&&&&.&&&&")
    return draw.one(("https://", "http://", "https://www.", "www.")) + f"{host(draw)}/{path}"


def ip_address(draw: Draw) -> str:
    """Return an address of the internet, of version 4 or 6."""
    if draw.chance(0.25):
        return "2001:db8:" + ":".join(draw.text(_HEX, 4) for _ in range(6))
    return ".".join(str(draw.between(1, 254)) for _ in range(4))


def secret(draw: Draw) -> list[Piece]:
    """Return a credential with what stands before it."""
    make = draw.one((_password, _bearer, _vendor_key, _labelled_key))
    before, value = make(draw)
    return [(before, None), (value, EntityType.SECRET)]


def _password(draw: Draw) -> tuple[str, str]:
    label = draw.one(
        ("password: ", "pwd=", "Portal password is ", "passwd: ", "temporary password ")
    )
    return label, draw.form("&&&&&##!", "@&&&&&#$##", "&&&-&&&&-##", "#&@&&#&@&!")


def _bearer(draw: Draw) -> tuple[str, str]:
    parts = ("eyJ" + draw.text(_BASE62, 20), "eyJ" + draw.text(_BASE62, 40), draw.text(_BASE62, 43))
    return draw.one(("Authorization: Bearer ", "token ", "jwt=")), ".".join(parts)


def _vendor_key(draw: Draw) -> tuple[str, str]:
    starts = (
        ("AKIA", DIGITS[2:8] + UPPER, 16),
        ("ghp_", _BASE62, 36),
        ("xoxb-", DIGITS, 24),
        ("sk_live_", _BASE62, 24),
        ("AIza", _BASE62, 35),
        ("glpat-", _BASE62, 20),
    )
    start, alphabet, length = draw.one(starts)
    return draw.one(("key ", "uses ", "export KEY=", "")), start + draw.text(alphabet, length)


def _labelled_key(draw: Draw) -> tuple[str, str]:
    label = draw.one(("api_key=", "API key: ", "client_secret: ", "access token = ", "secret_key="))
    return label, draw.text(draw.one((_HEX, _BASE62)), draw.between(24, 40))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A type of number as forms give it: what stands before it, and the number."""

    entity: EntityType
    labels: tuple[str, ...]
    make: Callable[[Draw], str]


def _forms(*forms: str) -> Callable[[Draw], str]:
    return lambda draw: draw.form(*forms)


_E = EntityType
LABELLED: Final[Mapping[str, Labelled]] = {
    "mrn": Labelled(
        entity=_E.MEDICAL_RECORD,
        labels=(
            "MRN",
            "Medical Record Number",
            "Med Rec No",
            "MR#",
            "Hospital No.",
            "Chart #",
            "medical record no.",
            "Medcial Record Number",
            "Unit Number",
            "MRN#",
            "Chart no",
        ),
        make=_forms(
            "#######",
            "########",
            "%##-##-##",
            "@######",
            "@@-######",
            "%##-###-###",
            "00######",
            "@@@########",
            "####-####",
        ),
    ),
    "plan": Labelled(
        entity=_E.HEALTH_PLAN,
        labels=(
            "Member ID",
            "Health Plan ID",
            "Policy #",
            "Insurance ID",
            "Subscriber ID",
            "Medicaid No.",
            "Beneficiary number",
            "Group/Member no.",
            "Plan member number",
        ),
        make=_forms(
            "@@@#########",
            "W##########",
            "@#######-##",
            "#########@",
            "@@@-####-####",
            "%########",
            "XE@#######",
        ),
    ),
    "mbi": Labelled(
        entity=_E.HEALTH_PLAN, labels=("MBI", "Medicare ID", "Medicare number"), make=numbers.mbi
    ),
    "account": Labelled(
        entity=_E.ACCOUNT,
        labels=(
            "Account #",
            "Acct No.",
            "Account Number",
            "Patient account",
            "Billing acct",
            "acct",
            "Guarantor account no.",
            "Bank account",
        ),
        make=_forms("##########", "%####-#####", "@#########", "####-####-##", "########"),
    ),
    "card": Labelled(
        entity=_E.PAYMENT_CARD,
        make=numbers.payment_card,
        labels=("Card", "Visa", "Credit card number", "CC#", "paid by card"),
    ),
    "ssn": Labelled(
        entity=_E.SSN,
        make=numbers.ssn,
        labels=("SSN", "Social Security Number", "Soc. Sec. No.", "SS#", "social"),
    ),
    "license": Labelled(
        entity=_E.LICENSE,
        labels=(
            "Driver's License",
            "DL#",
            "Drivers lic. no.",
            "License No.",
            "Medical license",
            "RN license #",
            "Certificate no.",
            "driver license number",
        ),
        make=_forms(
            "@#######",
            "@###-####-####",
            "########",
            "@@######",
            "@##-##-####",
            "@@-#####",
            "#########",
        ),
    ),
    "npi": Labelled(entity=_E.LICENSE, labels=("NPI", "NPI#", "provider NPI"), make=numbers.npi),
    "dea": Labelled(entity=_E.LICENSE, labels=("DEA", "DEA #", "DEA no."), make=numbers.dea),
    "passport": Labelled(
        entity=_E.PASSPORT,
        labels=("Passport", "Passport No.", "passport number"),
        make=_forms("@########", "#########", "@@#######", "C0@######"),
    ),
    "vin": Labelled(entity=_E.VEHICLE, labels=("VIN", "Vehicle ID", "VIN#"), make=numbers.vin),
    "plate": Labelled(
        entity=_E.VEHICLE,
        labels=("License plate", "plate", "Plate no.", "tag number", "vehicle registration"),
        make=_forms(
            "@@@-####", "@@@ ###", "#@@@###", "@@# ###", "###-@@@", "B-@@ ####", "@@## @@@"
        ),
    ),
    "serial": Labelled(
        entity=_E.DEVICE,
        labels=(
            "S/N",
            "Serial No.",
            "device serial",
            "Pacemaker serial number",
            "SN",
            "Device ID",
            "pump serial #",
            "implant serial",
        ),
        make=_forms("@@@######@", "###-######", "@#########", "@@@#####", "########", "@@-####-@#"),
    ),
    "imei": Labelled(entity=_E.DEVICE, labels=("IMEI", "phone IMEI"), make=numbers.imei),
    "mac": Labelled(
        entity=_E.DEVICE,
        labels=("MAC", "MAC address", "device MAC"),
        make=lambda draw: draw.one((":", "-")).join(draw.text(_HEX, 2) for _ in range(6)),
    ),
    "udi": Labelled(
        entity=_E.DEVICE,
        labels=("UDI", "UDI-DI/PI"),
        make=numbers.udi,
    ),
    "phone": Labelled(
        entity=_E.PHONE,
        make=phone,
        labels=("Phone", "Tel.", "Cell", "Home phone", "tel", "Mobile", "Ph", "Pager"),
    ),
    "fax": Labelled(
        entity=_E.FAX, make=phone, labels=("Fax", "FAX #", "fax no.", "Facsimile", "telefax")
    ),
    "email": Labelled(entity=_E.EMAIL, make=email, labels=("E-mail", "email", "Mail", "Contact")),
    "url": Labelled(entity=_E.URL, make=url, labels=("Web", "Profile", "Portal link", "Website")),
    "ip": Labelled(
        entity=_E.IP_ADDRESS, make=ip_address, labels=("IP", "from address", "Client IP")
    ),
    "biometric": Labelled(
        entity=_E.BIOMETRIC,
        labels=(
            "Fingerprint ID",
            "Voiceprint ref",
            "Retina scan ID",
            "Iris template",
            "biometric template id",
            "fingerprint record",
        ),
        make=_forms("FP-######", "VP##-####", "BIO-@@####", "RS######", "@@@-#####"),
    ),
    "photo": Labelled(
        entity=_E.PHOTO,
        labels=("Photo", "Facial photograph", "photo on file", "Face image", "patient photo"),
        make=_forms("IMG_####.jpg", "face_######.png", "pt-photo-####.jpeg", "DSC#####.JPG"),
    ),
    "user": Labelled(
        entity=_E.USERNAME,
        labels=("Username", "user name", "login", "User ID", "portal login", "userid"),
        make=_forms("&&&&&&##", "&.&&&&&&", "&&&&_&&&", "&&&&&###", "&&&-&&&&&#"),
    ),
    "other": Labelled(
        entity=_E.OTHER_ID,
        labels=(
            "Case No.",
            "Accession #",
            "Specimen ID",
            "Study ID",
            "Encounter #",
            "Claim number",
            "Order number",
            "Visit ID",
            "Trial subject no.",
            "Rx #",
            "Docket number",
        ),
        make=_forms("@##-#####", "####-######", "##########", "@@########", "S##-####", "#######"),
    ),
}
SEPARATORS: Final = (": ", ": ", ": ", " ", " - ", ":", " = ", "  ", ":\t", " is ")


def national(draw: Draw) -> tuple[str, str]:
    """Return a label and a national number of one of seventeen kinds."""
    labels, make = draw.one(numbers.NATIONAL)
    return draw.one(labels), make(draw)
