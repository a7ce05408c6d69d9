"""Dates and postal codes in quasi-identifying columns: years and areas, whatever is asked."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sealtune.deid.config import PROFILES, Action, Configuration, FieldRule, Role, TableTerms
from sealtune.deid.entities import EntityType
from sealtune.deid.key import DeidKey
from sealtune.deid.run import deidentify
from sealtune.deid.tables.coarse import coarse_fields
from sealtune.deid.tables.plan import plan_table

KEY = DeidKey(bytes(range(32)))
HIPAA = PROFILES["hipaa-safe-harbor"].model_copy(update={"reference_year": 2026})


def asked(name: str, k: int = 1, **rule: Any) -> Configuration:
    """Return the profile with one quasi-identifier."""
    fields = {name: FieldRule(role=Role.QUASI, **rule)}
    return HIPAA.model_copy(update={"fields": fields, "table": TableTerms(k=k)})


@pytest.mark.parametrize(
    ("name", "value", "made"),
    [
        ("seen", "2019-03-04", "2019"),
        ("seen", " 3/4/2019 ", "2019"),
        ("seen", "2019-03-04T10:15:00Z", "2019"),
        ("seen", date(2019, 3, 4), "2019"),
        ("seen", "March 2019", "2019"),
        ("born", "12 May 1931", "1936 or earlier"),
        *(("seen", same, same) for same in ("unknown", "", None, 2019, "2019", 20190304, "1-2")),
        *(("stage", same, same) for same in ("II", "3/4", "T2N0", "0-17", "20190304", True)),
        ("zip", "02139", "021**"),
        ("zip", "02139-1234", "021**"),
        ("zip", 2139, "021**"),  # a number lost its zero
        ("postalCode", "03601", "000**"),  # few people live there
        ("zip", "unknown", "unknown"),
        ("zip", "21 39 x 4", "[POSTAL-CODE]"),
    ],
)
def test_only_years_and_areas_stay(name: str, value: Any, made: Any) -> None:
    assert coarse_fields(asked(name))[name].of(value) == made


@pytest.mark.parametrize(("value", "made"), [("10115", "10***"), (10115, "10***"), (1010, "1***")])
def test_areas_of_other_countries_are_no_smaller_than_theirs(value: Any, made: str) -> None:
    german = asked("plz").model_copy(update={"locale": "de_DE"})
    assert coarse_fields(german)["plz"].of(value) == made


@pytest.mark.parametrize(
    ("value", "made"), [("20190304", "2019"), ("May", "[DATE]"), ("soon", "[DATE]"), (None, None)]
)
def test_a_column_that_is_called_one_of_dates_holds_nothing_else(value: Any, made: Any) -> None:
    assert coarse_fields(asked("when", entity=EntityType.DATE))["when"].of(value) == made


def test_another_profile_or_action_leaves_them_to_the_table() -> None:
    fields = {"seen": FieldRule(role=Role.QUASI)}
    kept = HIPAA.model_copy(update={"fields": fields, "actions": {EntityType.DATE: Action.KEEP}})
    assert not coarse_fields(kept)
    without = asked("seen").model_copy(update={"keep_years": False})
    assert coarse_fields(without)["seen"].of("2019-03-04") == "[DATE]"


@pytest.mark.parametrize("k", [2, 4])
def test_ranges_are_of_years_and_open_below(k: int) -> None:
    days = ("1901-01-01", "1929-05-06", "1936-12-31", "1940-02-02", "1951-03-03", "1951-04-04")
    rows = [{"born": day} for day in (*days, *days)]
    plan = plan_table(rows, asked("born", k))
    made = [plan.apply(at, dict(row)) for at, row in enumerate(rows)]
    labels = {str(row["born"]) for row in made if row is not None}
    assert not any("-0" in label or "19-" in label for label in labels)
    assert not any("1901" in label or "1929" in label for label in labels)
    assert any(label.endswith("or earlier") for label in labels)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_run_leaves_no_day_and_no_whole_code(tmp_path: Path, suffix: str, k: int) -> None:
    rows = [
        {"text": "Doing well.", "seen": date(2019, 3, at % 2 + 1), "zip": f"0213{at}", "weight": 70}
        for at in range(4)
    ]
    source, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    if suffix == ".jsonl":
        source.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), source)
    fields = {name: FieldRule(role=Role.QUASI) for name in ("seen", "zip", "weight")}
    configuration = HIPAA.model_copy(update={"fields": fields, "table": TableTerms(k=k)})
    done = deidentify(source, output, configuration=configuration, key=KEY)
    if suffix == ".parquet":
        made = parquet.read_table(output).to_pylist()
    else:
        made = [json.loads(line) for line in output.read_text().splitlines()]
    assert {(str(row["seen"]), row["zip"], int(row["weight"])) for row in made} == {
        ("2019", "021**", 70)
    }
    assert "dates in columns of which the year stays: 4" in done.notes
