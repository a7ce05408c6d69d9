"""What the names of fields say of their roles, for proposals; the first rule that fits decides.

English names, as databases have them (`pat_id`, `PatId`). No name is taken to say that a field is
harmless.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from sealtune.deid.config import Role
from sealtune.deid.entities import EntityType


class NameRule(NamedTuple):
    """Fields whose name `pattern` finds, in small letters with `_` between words, have `role`."""

    role: Role
    entity: EntityType | None
    pattern: re.Pattern[str]
    reason: str = "its name says so"


def rule_of_name(name: str) -> NameRule | None:
    """Return the first rule that fits the field called `name`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return next((rule for rule in _RULES if rule.pattern.search(spaced)), None)


def _words(listed: str) -> re.Pattern[str]:
    """Return what finds one of the words anywhere in a name."""
    return re.compile(rf"(?:^|[^a-z])(?:{'|'.join(listed.split())})s?(?:[^a-z]|$)")


def _last(listed: str, behind: str) -> re.Pattern[str]:
    """Return what finds one of the words at the end, or with one of the words `behind` there."""
    ends = "|".join(behind.split())
    words = "|".join(listed.split())
    return re.compile(rf"(?:^|[^a-z])(?:{words})s?(?:[^a-z]*(?:{ends}))?[^a-z]*$")


_NUMBER: Final = "id no nr num number key code"
_IDENTIFIER: Final = "its name is an identifier's"
_PLACE: Final = "its name says a place that is smaller than a state"
_POINT: Final = "its name says coordinates, and these lead to a door"
_D: Final = Role.DIRECT

_RULES: Final = (
    NameRule(
        Role.SUBJECT, None, _words("patient[_ ]?id subject[_ ]?id person[_ ]?id patient[_ ]?key")
    ),
    NameRule(
        _D, EntityType.MEDICAL_RECORD, _words("mrn medical[_ ]?record[_ ]?(?:no|number)? empi")
    ),
    NameRule(
        _D,
        EntityType.MEDICAL_RECORD,
        re.compile(r"(?:^|[^a-z])(?:pat|pt|record|chart|case)[^a-z]*(?:id|no|nr|num|number)$"),
        _IDENTIFIER,
    ),
    NameRule(_D, EntityType.SSN, _words("ssn social[_ ]?security[_ ]?(?:no|number)?")),
    NameRule(_D, EntityType.EMAIL, _words("e-?mail mail[_ ]?address")),
    NameRule(_D, EntityType.FAX, _words("fax")),
    NameRule(_D, EntityType.PHONE, _words("phone telephone mobile cell")),
    NameRule(_D, EntityType.IP_ADDRESS, _words("ip ip[_ ]?address")),
    NameRule(_D, EntityType.ADDRESS, _words("address street")),
    NameRule(_D, EntityType.USERNAME, _words("user[_ ]?name login user[_ ]?id")),
    NameRule(_D, EntityType.URL, _words("url website homepage")),
    NameRule(_D, EntityType.IBAN, _words("iban")),
    NameRule(_D, EntityType.ACCOUNT, _last("account acct customer", _NUMBER)),
    NameRule(
        _D, EntityType.HEALTH_PLAN, _last("member policy insurance beneficiary subscriber", _NUMBER)
    ),
    NameRule(_D, EntityType.PASSPORT, _words("passport")),
    NameRule(_D, EntityType.LICENSE, _last("licen[cs]e certificate npi dea", _NUMBER)),
    NameRule(_D, EntityType.TAX_ID, _last("tax vat", "id no nr num number")),
    NameRule(_D, EntityType.NATIONAL_ID, _last("national nhs", "id no nr num number")),
    NameRule(_D, EntityType.VEHICLE, _last("vin plate", _NUMBER)),
    NameRule(_D, EntityType.DEVICE, _last("device serial imei udi mac", "id no nr num number")),
    NameRule(
        _D,
        EntityType.OTHER_ID,
        re.compile(
            r"(?:^|[^a-z])(?:ids?|pid|patid|uuid|guid|identifier)[^a-z]*$"
            r"|[^a-z](?:no|nr|num|number|key)[^a-z]*$"
            r"|(?:^|[^a-z])id[^a-z]+(?:no|nr|num|number|code)$"
        ),
        _IDENTIFIER,
    ),
    NameRule(
        _D,
        EntityType.OTHER_ID,
        re.compile(
            r"(?:^|[^a-z])(?:lat|lon|lng|latitude|longitude|geo[a-z]*|gps|coord|coordinate)s?"
            r"(?:[^a-z]|$)|(?:^|[^a-z])long$"
        ),
        _POINT,
    ),
    NameRule(
        _D,
        EntityType.ORGANIZATION,
        _last(
            "employer company hospital facility clinic practice organi[sz]ation institution "
            "school university workplace insurer payer",
            "name",
        ),
    ),
    NameRule(
        _D,
        EntityType.LOCATION,
        _words(
            "city town county village municipality locality parish suburb district birth[_ ]?place "
            "place[_ ]?of[_ ]?birth hometown residence"
        ),
        _PLACE,
    ),
    NameRule(
        _D,
        EntityType.PERSON,
        _words("name first[_ ]?name last[_ ]?name surname forename physician provider doctor"),
    ),
    NameRule(
        Role.QUASI,
        None,
        _words(
            "age sex gender zip zip[_ ]?code postcode postal[_ ]?code plz state "
            "country race ethnicity religion marital[_ ]?status occupation nationality language "
            "dob birth[_ ]?date date[_ ]?of[_ ]?birth birth[_ ]?year admitted discharged"
        ),
    ),
    NameRule(
        Role.SENSITIVE,
        None,
        _words(
            "diagnosis diagnoses disease illness condition icd label outcome result income salary "
            "cost treatment medication drug procedure"
        ),
    ),
    NameRule(Role.TEXT, None, _words("text note comment description history report summary")),
)
