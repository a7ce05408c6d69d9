"""The specification of de-identification lists what the code has: fields, types, roles, actions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from sealtune.deid.agreed import DeidTerms
from sealtune.deid.config import PROFILES, Action, Configuration, Role
from sealtune.deid.entities import EntityType
from sealtune.deid.report import Predicate

_SPEC = (Path(__file__).parents[2] / "docs/spec/deidentification.md").read_text()
_CODE = re.compile(r"`([\w.-]+)(?:\[\])?`")


def _section(number: str) -> str:
    _, _, rest = _SPEC.partition(f"\n### {number} ")
    assert rest, number
    return rest.partition("\n## ")[0].partition("\n### ")[0]


def _first_cells(number: str) -> set[str]:
    """Return what the tables of a section name in their first column."""
    rows = [line.split("|")[1] for line in _section(number).splitlines() if line.startswith("| ")]
    return {name.partition(".")[0] for row in rows for name in _CODE.findall(row)}


@pytest.mark.parametrize(
    ("number", "names"),
    [
        ("1.1", Configuration.model_fields),
        ("1.3", list(Role)),
        ("4.1", list(Action)),
        ("7.2", Predicate.model_fields),
    ],
)
def test_a_table_lists_all_and_nothing_else(number: str, names: Iterable[str]) -> None:
    assert _first_cells(number) == set(names)


def test_every_type_is_listed() -> None:
    listed = _SPEC.partition("\n## 2. ")[2].partition("`HIPAA_LETTERS`")[0]
    assert set(_CODE.findall(listed)) - {"sealtune.deid.entities.EntityType"} == set(EntityType)


def test_profiles_and_terms_are_those_of_the_code() -> None:
    assert set(_CODE.findall(_section("1.2"))) == set(PROFILES)
    assert DeidTerms.model_fields.keys() <= set(_CODE.findall(_section("8.1")))
