"""Which of our types the labels of models and of Presidio mean; other labels are left out."""

from __future__ import annotations

from typing import Final

from sealtune.deid.entities import EntityType

_NAMES: Final = {
    EntityType.PERSON: "PERSON PER PATIENT DOCTOR STAFF HCW NAME FIRSTNAME LASTNAME",
    EntityType.ORGANIZATION: "ORG ORGANIZATION ORGANISATION HOSPITAL PATORG COMPANY VENDOR",
    EntityType.LOCATION: "GPE LOC LOCATION FAC CITY STATE COUNTRY COUNTY REGION FACILITY",
    EntityType.ADDRESS: "ADDRESS STREET STREET_ADDRESS",
    EntityType.POSTAL_CODE: "ZIP ZIPCODE POSTAL_CODE UK_POSTCODE DE_PLZ",
    EntityType.DATE: "DATE DATE_TIME DOB BIRTH_DATE",
    EntityType.AGE: "AGE",
    EntityType.PHONE: "PHONE PHONE_NUMBER TELEPHONE",
    EntityType.FAX: "FAX FAX_NUMBER",
    EntityType.EMAIL: "EMAIL EMAIL_ADDRESS",
    EntityType.SSN: "SSN US_SSN",
    EntityType.MEDICAL_RECORD: "MEDICAL_RECORD MRN MEDICALRECORD MEDICAL_RECORD_NUMBER",
    EntityType.HEALTH_PLAN: "US_MBI HEALTH_PLAN HEALTHPLAN DE_HEALTH_INSURANCE",
    EntityType.ACCOUNT: "US_BANK_NUMBER ABA_ROUTING_NUMBER ACCOUNT BANK_ACCOUNT",
    EntityType.IBAN: "IBAN_CODE IBAN",
    EntityType.PAYMENT_CARD: "CREDIT_CARD CREDIT_CARD_NUMBER",
    EntityType.LICENSE: "US_DRIVER_LICENSE MEDICAL_LICENSE US_NPI LICENSE DE_DRIVER_LICENSE",
    EntityType.URL: "URL DOMAIN_NAME",
    EntityType.IP_ADDRESS: "IP_ADDRESS IP",
    EntityType.DEVICE: "MAC_ADDRESS DEVICE IMEI",
    EntityType.USERNAME: "USERNAME USER_NAME",
    EntityType.SECRET: "PASSWORD API_KEY SECRET",
    EntityType.OTHER_ID: "ID IDNUM CRYPTO BITCOIN ID_NUMBER",
}
_TYPES: Final = {name: entity for entity, names in _NAMES.items() for name in names.split()}
_PARTS: Final = (
    ("PASSPORT", EntityType.PASSPORT),
    ("DRIVER", EntityType.LICENSE),
    ("LICENSE", EntityType.LICENSE),
    ("LICENCE", EntityType.LICENSE),
    ("VEHICLE", EntityType.VEHICLE),
    ("PLATE", EntityType.VEHICLE),
    ("VIN", EntityType.VEHICLE),
    ("VAT", EntityType.TAX_ID),
    ("TAX", EntityType.TAX_ID),
    ("TFN", EntityType.TAX_ID),
    ("ABN", EntityType.TAX_ID),
    ("ITIN", EntityType.TAX_ID),
    ("MEDICARE", EntityType.HEALTH_PLAN),
    ("NHS", EntityType.HEALTH_PLAN),
)


def entity_of(label: str) -> EntityType | None:
    """Return our type for `label` (`B-PER`, `GPE`, `ES_NIF`), None if it identifies nobody."""
    name = label.upper().replace(" ", "_").replace("-", "_")
    name = name[2:] if name[:2] in ("B_", "I_", "L_", "U_", "E_", "S_") else name
    if name in _TYPES:
        return _TYPES[name]
    for part, entity in _PARTS:
        if part in name:
            return entity
    # What is left of Presidio's are identity numbers of countries, by their ISO code.
    return EntityType.NATIONAL_ID if len(name) > 4 and name[2:3] == "_" else None
