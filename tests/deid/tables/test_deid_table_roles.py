"""Roles are proposed from names, shapes and findings, with reasons that quote no value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sealtune.deid.config import Role, parse_configuration
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.tables import propose_roles, roles_toml
from sealtune.deid.tables.roles import Find
from sealtune.errors import ConfigError

NOTE = "Seen for a cough that began two weeks ago; no fever; lungs clear on examination."


def records(count: int = 60) -> list[dict[str, Any]]:
    """Return records with fields of all kinds."""
    return [
        {
            "patient_id": f"P-{number:04d}",
            "lastName": "Abernathy" if number % 2 else "Whitcomb",
            "age": 20 + number % 50,
            "zip": f"{2100 + number % 7:05d}",
            "diagnosis": ("flu", "gout")[number % 2],
            "remarks": NOTE,
            "code": f"K{number * 7919:07d}",
            "visited": f"2021-{1 + number % 12:02d}-03",
            "smoker": number % 3 == 0,
            "weight": 50 + number * 0.3,
            "empty": None,
            "extra": {"a": 1},
            "contact": f"someone{number}@example.org",
        }
        for number in range(count)
    ]


def mails(text: str) -> list[Finding]:
    """Find nothing but a mail address that is the whole text."""
    return [Finding(0, len(text), EntityType.EMAIL, 0.9, "test")] if "@" in text else []


def test_each_field_gets_the_role_that_its_name_or_values_say() -> None:
    roles = {name: one.rule.role for name, one in propose_roles(records(), find=mails).items()}
    assert roles == {
        "patient_id": Role.SUBJECT,
        "lastName": Role.DIRECT,
        "age": Role.QUASI,
        "zip": Role.QUASI,
        "diagnosis": Role.SENSITIVE,
        "remarks": Role.TEXT,
        "code": Role.DIRECT,
        "visited": Role.QUASI,
        "smoker": Role.QUASI,
        "weight": Role.QUASI,
        "empty": Role.TEXT,
        "extra": Role.TEXT,
        "contact": Role.DIRECT,
    }


def test_nothing_is_proposed_to_pass_unchanged() -> None:
    assert all(one.rule.role is not Role.SAFE for one in propose_roles(records()).values())


def test_what_detectors_find_names_the_type() -> None:
    contact = propose_roles(records(), find=mails)["contact"]
    assert contact.rule.entity is EntityType.EMAIL
    assert contact.reasons == ("detectors find email in 60 of 60 values",)


def test_a_second_subject_is_an_identifier() -> None:
    rows = [{"patient_id": 1, "subject_id": 2}] * 3
    roles = [one.rule.role for one in propose_roles(rows).values()]
    assert roles == [Role.SUBJECT, Role.DIRECT]


def places(text: str) -> list[Finding]:
    """Find a place in any text, and a date in any number."""
    entity = EntityType.DATE if text.isdecimal() else EntityType.LOCATION
    return [Finding(0, len(text), entity, 0.9, "test")]


@pytest.mark.parametrize("find", [None, places])
@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("pat_id", EntityType.MEDICAL_RECORD),
        ("PatId", EntityType.MEDICAL_RECORD),
        ("record_no", EntityType.MEDICAL_RECORD),
        ("MRN", EntityType.MEDICAL_RECORD),
        ("id", EntityType.OTHER_ID),
        ("encounter_id", EntityType.OTHER_ID),
        ("doctor_id", EntityType.OTHER_ID),
        ("order-number", EntityType.OTHER_ID),
        ("account_no", EntityType.ACCOUNT),
        ("member_id", EntityType.HEALTH_PLAN),
        ("device_serial", EntityType.DEVICE),
        ("phone_number", EntityType.PHONE),
        ("lat", EntityType.OTHER_ID),
        ("home_lon", EntityType.OTHER_ID),
        ("longitude", EntityType.OTHER_ID),
        ("geohash", EntityType.OTHER_ID),
        ("city", EntityType.LOCATION),
        ("birth_town", EntityType.LOCATION),
        ("county_name", EntityType.LOCATION),
        ("employer", EntityType.ORGANIZATION),
        ("hospitalName", EntityType.ORGANIZATION),
        ("facility", EntityType.ORGANIZATION),
    ],
)
def test_a_name_of_an_identifier_counts_for_more_than_few_values(
    name: str, entity: EntityType, find: Find | None
) -> None:
    rows = [{name: number % 3 if find else "Alder"} for number in range(60)]
    made = propose_roles(rows, find=find)[name]
    assert (made.rule.role, made.rule.entity) == (Role.DIRECT, entity)
    assert "its name" in made.reasons[0]


@pytest.mark.parametrize(
    "name", ["death_date", "zip", "state", "country", "age", "paid", "hospital_expire_flag"]
)
def test_what_is_no_name_of_an_identifier_stays_a_quasi_identifier(name: str) -> None:
    value = "2021-03-04" if "date" in name else 3
    assert propose_roles([{name: value}] * 60)[name].rule.role is Role.QUASI


def test_places_are_quasi_identifiers_only_where_the_profile_keeps_them() -> None:
    rows = [{"city": "Alder", "origin": "Alder", "state": "Alder"}] * 60
    gone = propose_roles(rows, find=places)
    assert {name: one.rule.entity for name, one in gone.items()} == {
        "city": EntityType.LOCATION,
        "origin": EntityType.LOCATION,
        "state": None,
    }
    kept = propose_roles(rows, find=places, kept={EntityType.LOCATION})
    assert {one.rule.role for one in kept.values()} == {Role.QUASI}


def test_the_proposal_is_a_configuration_and_quotes_no_value() -> None:
    rows = [one | {'odd "name"\n': "x"} for one in records()]
    text = roles_toml(propose_roles(rows, find=mails), profile="hipaa-safe-harbor")
    made = parse_configuration(text.encode(), Path("c.toml"))
    assert made.fields["zip"].role is Role.QUASI
    assert 'odd "name"\n' in made.fields
    assert not any(value in text for value in ("Abernathy", "example.org", "P-0001", "cough"))


def test_no_records_give_no_roles() -> None:
    assert propose_roles([]) == {}


def test_a_file_without_a_profile_is_told_which_line_is_missing() -> None:
    with pytest.raises(ConfigError, match="profile: the line is missing") as caught:
        parse_configuration(b'[fields.a]\nrole = "text"\n', Path("c.toml"))
    assert 'profile = "hipaa-safe-harbor"' in caught.value.remedy
