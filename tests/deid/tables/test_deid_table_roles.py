"""Roles are proposed from names, shapes and findings, with reasons that quote no value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sealtune.deid.config import Role, parse_configuration
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.tables import propose_roles, roles_toml

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


def test_the_proposal_is_a_configuration_and_quotes_no_value() -> None:
    rows = [one | {'odd "name"\n': "x"} for one in records()]
    text = roles_toml(propose_roles(rows, find=mails))
    made = parse_configuration(f'profile = "hipaa-safe-harbor"\n{text}'.encode(), Path("c.toml"))
    assert made.fields["zip"].role is Role.QUASI
    assert 'odd "name"\n' in made.fields
    assert not any(value in text for value in ("Abernathy", "example.org", "P-0001", "cough"))


def test_no_records_give_no_roles() -> None:
    assert propose_roles([]) == {}
