"""What is looked for: the types of identifiers, and one finding in a text.

A type is what decides the transform; `kind` names what was recognized in more detail. The letters
are those of the HIPAA Safe Harbor list, 45 CFR 164.514(b)(2)(i).
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple


class EntityType(StrEnum):
    """The types of identifiers."""

    __hash__ = str.__hash__  # Enum's own runs in Python, and findings go through many sets

    PERSON = "person"
    ORGANIZATION = "organization"
    LOCATION = "location"  # a city, county, country or named place
    ADDRESS = "address"  # a street address, a box, a unit
    POSTAL_CODE = "postal-code"
    DATE = "date"  # any element of a date but the year alone
    AGE = "age"  # over 89
    PHONE = "phone"
    FAX = "fax"
    EMAIL = "email"
    SSN = "ssn"  # of the United States
    MEDICAL_RECORD = "medical-record"
    HEALTH_PLAN = "health-plan"
    ACCOUNT = "account"  # of a bank or a customer; IBAN and card numbers have their own
    IBAN = "iban"
    PAYMENT_CARD = "payment-card"
    LICENSE = "license"  # certificates and licences: driver's, medical, professional
    PASSPORT = "passport"
    NATIONAL_ID = "national-id"
    TAX_ID = "tax-id"  # VAT numbers and tax identifiers
    VEHICLE = "vehicle"  # VIN and plates
    DEVICE = "device"  # serial numbers, UDI, IMEI, MAC addresses
    URL = "url"
    IP_ADDRESS = "ip-address"
    BIOMETRIC = "biometric"  # identifiers of templates and recordings that text can carry
    PHOTO = "photo"  # references to full-face images that text can carry
    USERNAME = "username"
    SECRET = "secret"  # noqa: S105 - passwords, tokens, API and private keys
    OTHER_ID = "other-id"  # any other unique number or code


# 45 CFR 164.514(b)(2)(i): which paragraph each type falls under. ORGANIZATION is on no list, but an
# employer or a small hospital can give a person away.
HIPAA_LETTERS: Final = {
    EntityType.PERSON: "A",
    EntityType.LOCATION: "B",
    EntityType.ADDRESS: "B",
    EntityType.POSTAL_CODE: "B",
    EntityType.DATE: "C",
    EntityType.AGE: "C",
    EntityType.PHONE: "D",
    EntityType.FAX: "E",
    EntityType.EMAIL: "F",
    EntityType.SSN: "G",
    EntityType.MEDICAL_RECORD: "H",
    EntityType.HEALTH_PLAN: "I",
    EntityType.ACCOUNT: "J",
    EntityType.IBAN: "J",
    EntityType.PAYMENT_CARD: "J",
    EntityType.LICENSE: "K",
    EntityType.PASSPORT: "K",
    EntityType.VEHICLE: "L",
    EntityType.DEVICE: "M",
    EntityType.URL: "N",
    EntityType.IP_ADDRESS: "O",
    EntityType.BIOMETRIC: "P",
    EntityType.PHOTO: "Q",
    EntityType.NATIONAL_ID: "R",
    EntityType.TAX_ID: "R",
    EntityType.USERNAME: "R",
    EntityType.SECRET: "R",
    EntityType.OTHER_ID: "R",
}


class Finding(NamedTuple):
    """An identifier at `text[start:end]`; `confidence` in 0 to 1, `detector` is who says so.

    `kind` is the detector's own word for what it is (`city`, `first-name`, `de-tax-id`). A tuple,
    as most are made only to lose against a better one, and a dataclass takes three times as long.
    """

    start: int
    end: int
    entity: EntityType
    confidence: float
    detector: str
    kind: str = ""

    def at(self, start: int, end: int) -> Finding:
        """Return the same finding at another place."""
        return Finding(start, end, self.entity, self.confidence, self.detector, self.kind)


# Takes all fields as one tuple, in a third of the time: dozens are made of a note.
new_finding: Final = partial(tuple.__new__, Finding)
