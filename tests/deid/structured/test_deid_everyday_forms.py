"""Identifiers in the forms of everyday notes, and measurements that look like them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from sealtune.deid.clean import Cleaner
from sealtune.deid.config import PROFILES
from sealtune.deid.detect import Pipeline
from sealtune.deid.key import DeidKey, create_deid_key
from sealtune.deid.transforms import Transformer

HIPAA = PROFILES["hipaa-safe-harbor"]
PIPELINE = Pipeline.of(HIPAA)
KEY = DeidKey(bytes(range(32)))


@pytest.mark.parametrize(
    "text",
    [
        *("HR 72 RR 14 T 36.8", "BP 98/60 HR 110 RR 24 T 38.9", "pulse 88 RR 18", "BUN 12 Cr 0.9"),
        *("Na 138 CR 1 BUN 12", "ECG: HR 72 SR, PR 160", "At 20 US abdomen showed gallstones"),
        *("temp 98F with chills", "98 F is normal", "SpO2 94 on room air", "sats in the mid 90s"),
        *("ratio 0.1234, 0.4561 was found", "head circumference HC: 32.5", "SN 12 was normal"),
        *("stage 93.2", "average: 93", "mL of 92.5", "born at 39 weeks"),
    ],
)
def test_measurements_stay(text: str) -> None:
    assert PIPELINE.find(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lives at 4471 CR 214, Lubbock", "4471 CR 214"),
        ("GPS 42.3736, -71.1097", "42.3736, -71.1097"),
        ("42.3736° N, 71.1097° W", "42.3736° N, 71.1097° W"),
        ("40°26'46\"N", "40°26'46\"N"),
        ("longitude: -71.1097", "-71.1097"),
        ("geohash drt2zp9", "drt2zp9"),
        ("Plus code 87JC9VFR+2X", "87JC9VFR+2X"),
        *(("age: 93.5", "93.5"), ("age years: 93", "93"), ("age at dx: 95", "95")),
        *(("97F with hip fracture", "97"), ("92M presents with pain", "92")),
        *(("aged ninety two", "ninety two"), ("in her nineties", "nineties")),
        *(("She lived to 104", "104"), ("aged one hundred and one", "one hundred and one")),
        *(("Mrs Hill, b. 1931", "1931"), ("born in 1933", "1933"), ("geb. 1929", "1929")),
        *(("Historia clínica: 448812", "448812"), ("Dossier n° 448812", "448812")),
        *(("Aktenzeichen 448812", "448812"), ("Nº HC: 448812", "448812"), ("SN 75093", "75093")),
        *(("pass: tulip-99-Giraffe", "tulip-99-Giraffe"), ("pw hunter2", "hunter2")),
        *(("Mon 3/11/24", "Mon"), ("2024-03-11 is a Monday", "Monday")),
        ("on 5 April 2024 (Friday).", "Friday"),
        *(
            ("SSN ends 4417", "4417"),
            ("SSN last 4: 4417", "4417"),
            ("seen 5.III.2024", "5.III.2024"),
        ),
        ("kmoser(a)example.org", "kmoser(a)example.org"),
    ],
)
def test_everyday_forms_are_found(text: str, value: str) -> None:
    found = PIPELINE.find(text)
    assert value in {text[item.start : item.end] for item in found}, found


def test_a_day_of_the_week_moves_with_its_date(tmp_path: Path) -> None:
    # Story: a weekday that stays says by how many days, up to whole weeks, the date was moved.
    gdpr = PROFILES["gdpr-pseudonymous"]
    work = Transformer(gdpr, create_deid_key(tmp_path / "deid.key"))
    for subject in map(str, range(20)):
        for text in ("Seen Monday 2024-03-11.", "Seen 2024-03-11 (Monday)."):
            made = work.apply(text, PIPELINE.find(text), subject=subject).text
            moved = date.fromisoformat(next(w.strip(".()") for w in made.split() if "-" in w))
            assert f"{moved:%A}" in made


@pytest.mark.parametrize(
    "record",
    [
        {"name": [{"family": "Sixkiller", "given": ["Folake"]}]},
        {"contact": [{"name": {"text": "Folake Sixkiller"}}]},
        {"subject": {"display": "Sixkiller"}},
        {"first": "Folake", "last": "Sixkiller"},
        {"lat": 42.3736, "lon": -71.1097},
        {"ageAtDiagnosis": 95, "age_years": 97, "age": 93.5},
    ],
)
def test_fields_of_records_say_what_they_hold(record: dict[str, object]) -> None:
    cleaner = Cleaner(HIPAA, PIPELINE, Transformer(HIPAA, KEY))
    made = str(cleaner.record(record).after)
    for value in ("Sixkiller", "Folake", "42.3736", "71.1097", "95", "97", "93.5"):
        assert value not in made


def test_a_code_with_a_display_stays() -> None:
    cleaner = Cleaner(HIPAA, PIPELINE, Transformer(HIPAA, KEY))
    record = {"code": {"display": "Essential hypertension"}}
    assert cleaner.record(record).after == record
