"""Ages over 89 are one class in a column of quasi-identifiers, with terms for it and without."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from sealtune.deid.config import PROFILES, Action, Configuration, FieldRule, Role, TableTerms
from sealtune.deid.entities import EntityType
from sealtune.deid.key import DeidKey
from sealtune.deid.run import deidentify
from sealtune.deid.tables.ages import top_coded
from sealtune.deid.tables.coarse import coarse_fields
from sealtune.deid.tables.plan import plan_table

KEY = DeidKey(bytes(range(32)))
HIPAA = PROFILES["hipaa-safe-harbor"]


def age_fields(configuration: Configuration) -> set[str]:
    """Return which quasi-identifiers are ages."""
    found = coarse_fields(configuration).items()
    return {name for name, coarse in found if coarse.entity is EntityType.AGE}


def asked(k: int = 1, name: str = "age", **rule: Any) -> Configuration:
    """Return the profile with one quasi-identifier."""
    fields = {name: FieldRule(role=Role.QUASI, **rule)}
    return HIPAA.model_copy(update={"fields": fields, "table": TableTerms(k=k)})


@pytest.mark.parametrize(
    ("value", "made"),
    [
        *((89, 89), (90, "90+"), (104, "90+"), (89.9, 89.9), (91.5, "90+"), ("89", "89")),
        *((" 93 ", "90+"), ("90+", "90+"), (None, None), (True, True), ("unknown", "unknown")),
        *((float("inf"), "90+"), ("1e9", "1e9"), ("", "")),
        *(
            ("91 years", "90+"),
            ("95+", "90+"),
            ("85-95", "90+"),
            ("y90", "90+"),
            ("88 years", "88 years"),
        ),
    ],
)
def test_ages_over_89_are_one_class(value: Any, made: Any) -> None:
    assert top_coded(value) == made


@pytest.mark.parametrize("name", ["age", "Age", "patient_age", "ageAtDiagnosis", "Alter", "AGE"])
def test_a_column_of_ages_is_known_by_its_name(name: str) -> None:
    assert age_fields(asked(name=name)) == {name}


def test_or_by_its_type_and_no_other_column_is_one() -> None:
    assert age_fields(asked(name="years", entity=EntityType.AGE)) == {"years"}
    for name in ("stage", "dosage", "wage", "language", "average"):
        assert not age_fields(asked(name=name)), name
    kept = asked().model_copy(update={"actions": {EntityType.AGE: Action.KEEP}})
    assert not age_fields(kept)


@pytest.mark.parametrize("k", [2, 3, 5, 12])
def test_no_range_ends_at_an_age_over_89(k: int) -> None:
    rows = [{"age": age} for age in (21, 22, 34, 35, 50, 51, 88, 89, 90, 93, 97, 101)]
    plan = plan_table(rows, asked(k))
    made = [plan.apply(at, dict(row)) for at, row in enumerate(rows)]
    labels = {str(row["age"]) for row in made if row is not None}
    assert not any(number in label for label in labels for number in ("93", "97", "101"))
    assert any(label.endswith("90+") for label in labels)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_run_leaves_no_age_over_89(tmp_path: Path, suffix: str, k: int) -> None:
    ages = [30, 30, 61, 61, 91, 104]
    rows = [{"text": "Doing well.", "age": age} for age in ages]
    source, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    if suffix == ".jsonl":
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == ".csv":
        with source.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["text", "age"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), source)
    deidentify(source, output, configuration=asked(k), key=KEY)
    if suffix == ".parquet":
        from pyarrow import parquet

        made = [str(row["age"]) for row in parquet.read_table(output).to_pylist()]
    elif suffix == ".csv":
        with output.open(newline="") as file:
            made = [row["age"] for row in csv.DictReader(file)]
    else:
        made = [str(json.loads(line)["age"]) for line in output.read_text().splitlines()]
    assert made == ["30", "30", "61", "61", "90+", "90+"]
