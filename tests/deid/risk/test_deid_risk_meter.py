"""Each measure finds what is planted, is silent on clean records, and merges to one pass."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.deid.config import Action, Configuration, FieldRule, Role, TableTerms
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.risk import ResidualRisk, RiskMeter, Smallest
from sealtune.deid.risk.marks import Mark, Similar, _nearly
from sealtune.deid.transforms import Change

KEY = bytes(range(32))
CONFIGURATION = Configuration(
    profile="test",
    fields={
        "text": FieldRule(role=Role.TEXT),
        "age": FieldRule(role=Role.QUASI),
        "city": FieldRule(role=Role.QUASI),
        "illness": FieldRule(role=Role.SENSITIVE),
        "ward": FieldRule(role=Role.SAFE),
    },
    table=TableTerms(k=2),
)
CLEAN = (
    "Patient seen for chronic kidney disease. BP 120/80, HR 72, Temp 98.6, WBC 7.5.",
    "Chief Complaint: chest pain. Atrial Fibrillation on ECG, EF 55% in 2021, ICD J45.909.",
    "Started Metoprolol 25mg twice daily; platelets 250,000. Foley catheter placed.",
    "Crohn disease since 2019, stable. Parkinson disease excluded. Potassium 4.1 mmol/L.",
)


def change(output: str, replacement: str, original: str, entity: EntityType) -> Change:
    """Return that `replacement` in `output` stands for `original`."""
    start = output.index(replacement)
    end = start + len(replacement)
    return Change(start, end, 0, len(original), original, replacement, entity, Action.REDACT)


def measured(
    *outputs: str,
    changes: dict[int, list[Change]] | None = None,
    configuration: Configuration = CONFIGURATION,
) -> ResidualRisk:
    """Return the risk of records with these texts."""
    meter = RiskMeter(configuration, KEY)
    for number, output in enumerate(outputs):
        meter.add({"text": output}, {"text": output}, (changes or {}).get(number, []))
    return meter.result()


def test_clean_records_have_no_residual_findings() -> None:
    risk = measured(*CLEAN * 10)
    assert risk.second.sure == {}
    assert risk.second.possible == {}
    assert risk.residual_per_10000 == 0


@pytest.mark.parametrize(
    ("leak", "entity"),
    [
        ("call 555-123-4567 today", EntityType.PHONE),
        ("call (555) 123-4567 today", EntityType.PHONE),
        ("call +49 30 1234567 today", EntityType.PHONE),
        ("call 555 223 4567 today", EntityType.PHONE),
        ("pressure 120/80 72 555-123-4567", EntityType.PHONE),
        ("number 123-45-6789", EntityType.SSN),
        ("mail <j.doe@example.org>.", EntityType.EMAIL),
        ("at www.example.org/me", EntityType.URL),
        ("from 10.1.2.3", EntityType.IP_ADDRESS),
        ("mac 00:1a:2b:3c:4d:5e", EntityType.DEVICE),
        ("seen 03/12/2020", EntityType.DATE),
        ("seen 2020-03-12", EntityType.DATE),
        ("seen March 5th of that year", EntityType.DATE),
        ("seen 5 May", EntityType.DATE),
        ("a 93-year-old man", EntityType.AGE),
        ("aged 91 years", EntityType.AGE),
        ("card 4111 1111 1111 1111", EntityType.PAYMENT_CARD),
        ("to DE89370400440532013000", EntityType.IBAN),
        ("drove 1HGCM82633A004352", EntityType.VEHICLE),
        ("record AB-1234567", EntityType.OTHER_ID),
        ("record 12345678", EntityType.OTHER_ID),
        ("token ghp_abcdEFGH1234ijklMNOP5678", EntityType.SECRET),
        ("seen by Dr. Okonkwo then", EntityType.PERSON),
        ("wife of Mr. Wilson", EntityType.PERSON),
        ("spoke to Annelise Haraldson today", EntityType.PERSON),
    ],
)
def test_a_planted_identifier_is_found_once_with_its_record(leak: str, entity: EntityType) -> None:
    risk = measured(*CLEAN, leak)
    assert risk.second.sure == {entity.value: 1}
    assert risk.second.places == {entity.value: (5,)}
    assert risk.residual_per_10000 == 2000


@pytest.mark.parametrize(
    "text",
    [
        "iban DE89370400440532013001",
        "card 4111 1111 1111 1112",
        "a 45-year-old",
        "ratio 31/12/13",
        "120 110 2021",
    ],
)
def test_a_wrong_check_digit_or_a_younger_age_is_not_that_identifier(text: str) -> None:
    sure = measured(text).second.sure
    assert not {"iban", "payment-card", "age", "date", "phone"} & set(sure)


def test_what_was_just_written_is_not_found() -> None:
    output = "seen by Dr. Haraldson on 03/12/2020 and Dr. Okonkwo"
    written = [
        change(output, "Haraldson", "Smith", EntityType.PERSON),
        change(output, "03/12/2020", "04/01/2020", EntityType.DATE),
    ]
    assert measured(output, changes={0: written}).second.sure == {"person": 1}


def test_a_word_that_the_data_writes_small_is_no_name() -> None:
    assert measured("seen by Dr. Okonkwo", "an okonkwo is a thing").second.sure == {}


def test_types_that_the_owner_keeps_are_no_leak() -> None:
    kept = CONFIGURATION.model_copy(update={"actions": {EntityType.DATE: Action.KEEP}})
    assert measured("seen 2020-03-12", configuration=kept).second.sure == {}


def test_in_fields_named_safe_nothing_is_sure_but_leaks_are() -> None:
    meter = RiskMeter(CONFIGURATION, KEY)
    text = "[MRN] seen"
    written = [change(text, "[MRN]", "884-12345", EntityType.MEDICAL_RECORD)]
    after = {"text": text, "ward": "2020-03-12 88412345"}
    meter.add(after, after, written)
    risk = meter.result()
    assert risk.second.sure == {}
    assert risk.second.possible == {"date": 1, "other-id": 1}
    assert risk.leaks.same_record == {"medical-record": 1}


@pytest.mark.parametrize(
    ("rest", "count"),
    [
        ("Later John Okonkwo left", 1),
        ("Later OKONKWO, JOHN left", 1),
        ("Later Okonkwo left", 1),
        ("Later somebody left", 0),
    ],
)
def test_a_name_that_stays_in_its_record_is_found_in_any_order(rest: str, count: int) -> None:
    output = f"[PERSON] came. {rest}"
    written = [change(output, "[PERSON]", "John Okonkwo", EntityType.PERSON)]
    leaks = measured(output, changes={0: written}).leaks
    assert sum(leaks.same_record.values()) == count
    assert leaks.places == ((1,) if count else ())


@pytest.mark.parametrize("rest", ["1234567", "123-4567", "MRN1234567", "(123) 4567"])
def test_a_number_that_stays_is_found_however_it_is_grouped(rest: str) -> None:
    output = f"[ID] and {rest}"
    written = [change(output, "[ID]", "12-34-567", EntityType.MEDICAL_RECORD)]
    risk = measured(output, changes={0: written})
    assert risk.leaks.same_record == {"medical-record": 1}
    assert risk.residual_findings >= 1


@pytest.mark.parametrize(
    ("rest", "near"),
    [("Okonkvo", 1), ("Okonkow", 1), ("Okonkwoo", 1), ("Okonwo", 1), ("Okondvo", 0)],
)
def test_a_misspelled_name_is_nearly_the_same(rest: str, near: int) -> None:
    output = f"[PERSON] came, then {rest} left"
    written = [change(output, "[PERSON]", "Okonkwo", EntityType.PERSON)]
    leaks = measured(output, changes={0: written}).leaks
    assert sum(leaks.near.values()) == near
    assert leaks.same_record == {}


def test_digits_that_changed_places_are_nearly_the_same() -> None:
    output = "[ID] and 1234576"
    written = [change(output, "[ID]", "1234567", EntityType.MEDICAL_RECORD)]
    assert measured(output, changes={0: written}).leaks.near == {"medical-record": 1}


@pytest.mark.parametrize("first", [True, False])
def test_an_identifier_that_stays_in_another_record_is_found(first: bool) -> None:
    output = "[PERSON] with [ID] and [MAIL]"
    written = [
        change(output, "[PERSON]", "John Okonkwo", EntityType.PERSON),
        change(output, "[ID]", "1234567", EntityType.MEDICAL_RECORD),
        change(output, "[MAIL]", "jo@example.org", EntityType.EMAIL),
    ]
    left = "met John Okonkwo, 123-4567, JO@example.org"
    outputs = (output, left) if first else (left, output)
    risk = measured(*outputs, changes={0 if first else 1: written})
    assert risk.leaks.same_record == {}
    assert risk.leaks.elsewhere == {"codes": 1, "names": 1, "numbers": 1, "words": 1}
    assert risk.leaks.places == (2 if first else 1,)


def test_combinations_are_counted_before_and_after() -> None:
    meter = RiskMeter(CONFIGURATION, KEY)
    for age in range(8):
        before = {"age": age, "city": "A", "illness": "rare" if age == 0 else "flu"}
        meter.add(before, before | {"age": "0-3" if age < 4 else "4-7"}, [])
    risk = meter.result()
    assert risk.quasi is not None
    assert (risk.quasi.unique_before, risk.quasi.unique_after, risk.quasi.k) == (1, 0, 4)
    assert (risk.quasi.linkage_before, risk.quasi.linkage) == (1, 0.25)
    assert risk.quasi.sizes["2"] == 8
    (small,) = risk.small_classes
    assert (small.values, small.small, small.records, small.below) == (2, 1, 1, 5)


def test_who_has_the_text_matches_and_who_has_only_the_identifiers_does_not() -> None:
    draw = random.Random(3)
    meter = RiskMeter(CONFIGURATION, KEY, sample=100)
    for number in range(300):
        story = " ".join(f"word{draw.randrange(400):03d}".translate(_LETTERS) for _ in range(12))
        name = f"Name{number:03d}".translate(_LETTERS)
        after = f"[PERSON] {story}"
        meter.add(
            {"text": f"{name} {story}"},
            {"text": after},
            [change(after, "[PERSON]", name, EntityType.PERSON)],
        )
    linkage = meter.result().linkage
    assert linkage is not None
    assert (linkage.sample, linkage.chance) == (100, 0.01)
    assert linkage.whole_text > 0.95
    assert linkage.identifiers == pytest.approx(0.01)


def test_who_has_identifiers_matches_where_they_stayed() -> None:
    meter = RiskMeter(CONFIGURATION, KEY)
    for number in range(50):
        name = f"Name{number:03d}".translate(_LETTERS)
        after = f"[PERSON] seen; {name} left"
        meter.add(
            {"text": after}, {"text": after}, [change(after, "[PERSON]", name, EntityType.PERSON)]
        )
    linkage = meter.result().linkage
    assert linkage is not None
    assert linkage.identifiers == 1


_LETTERS = {ord(str(digit)): letter for digit, letter in enumerate("abcdefghij")}


def test_confidence_is_summed_per_type() -> None:
    meter = RiskMeter(CONFIGURATION, KEY)
    found = [Finding(0, 1, EntityType.PERSON, score, "x") for score in (0.35, 0.85, 1.0)]
    meter.add({"text": "a"}, {"text": "a"}, [], findings=found)
    person = meter.result().entities["person"]
    assert person.found == 3
    assert person.confidence_mean == pytest.approx(0.733333, abs=1e-3)
    assert person.confidence == (0, 0, 0, 1, 0, 0, 0, 0, 1, 1)


def _mixture(count: int, seed: int) -> list[tuple[dict[str, Any], dict[str, Any], list[Change]]]:
    draw = random.Random(seed)
    made = []
    for number in range(count):
        name = f"Okonk{draw.randrange(90):02d}".translate(_LETTERS)
        stays = f" and {name}" if number % 9 == 0 else f" 8800{draw.randrange(999):04d}"
        text = f"[PERSON] {draw.choice(CLEAN)}{stays} or Dr. {name}"
        fields = {"city": draw.choice("AB"), "illness": draw.choice("xyz"), "ward": number}
        before = {"text": text, "age": draw.randrange(9), **fields}
        written = [change(text, "[PERSON]", f"Joan {name}", EntityType.PERSON)]
        made.append((before, before | {"age": "0-8"}, written))
    return made


@pytest.mark.parametrize("limit", [None, 20])
def test_meters_of_parts_merge_to_the_meter_of_the_whole(
    limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit is not None:
        for name in ("leakage.ORIGINALS_MAX", "leakage.OUTPUTS_MAX", "second.WORDS_MAX"):
            monkeypatch.setattr(f"sealtune.deid.risk.{name}", limit)
        monkeypatch.setattr("sealtune.deid.risk.combinations.COMBINATIONS_MAX", 4)
    rows = _mixture(120, seed=5)
    whole = RiskMeter(CONFIGURATION, KEY, sample=40)
    merged = RiskMeter(CONFIGURATION, KEY, sample=40)
    for row in rows:
        whole.add(*row)
    for start in (0, 17, 70):
        part = RiskMeter(CONFIGURATION, KEY, sample=40)
        for row in rows[start : {0: 17, 17: 70, 70: 120}[start]]:
            part.add(*row)
        merged.merge(pickle.loads(pickle.dumps(part)))
    result = whole.result()
    assert merged.result() == result
    assert (result.leaks.compared < 1) == (limit is not None)
    assert result.leaks.same_record


def test_the_state_holds_no_text() -> None:
    meter = RiskMeter(CONFIGURATION, KEY)
    for row in _mixture(20, seed=1):
        meter.add(*row)
    state = pickle.dumps(meter)
    assert not any(word in state.lower() for word in (b"okonk", b"joan", b"chronic", b"8800"))
    assert KEY not in state
    assert "hidden" in repr(meter._linkage._hashed)


def test_the_figures_are_json_without_content_and_depend_on_no_order_of_hashing() -> None:
    first, second = RiskMeter(CONFIGURATION, KEY), RiskMeter(CONFIGURATION, bytes(32))
    for row in _mixture(60, seed=2):
        first.add(*row)
        second.add(*row)
    figures = first.result().to_dict()
    assert figures == second.result().to_dict()
    assert "okonk" not in repr(figures).lower()
    assert figures["residual_per_10000"] > 0


def test_an_empty_dataset_has_figures() -> None:
    risk = RiskMeter(CONFIGURATION, KEY).result()
    assert (risk.records, risk.residual_per_10000, risk.quasi, risk.linkage) == (0, 0, None, None)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RiskMeter(CONFIGURATION, b"short")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000,
        "1-" * 50_000,
        "A. " * 30_000,
        "\x00\x1f" * 9_000,
        "1.2.3.² ٣٤٥-٦٧-٨٩٠١ ²²/³³/²²²²",
    ],
)
def test_hostile_texts_are_read(text: str) -> None:
    assert measured(text).records == 1


def test_deep_nesting_is_read_to_a_limit() -> None:
    value: Any = "call 555-123-4567"
    for _ in range(5_000):
        value = [value]
    meter = RiskMeter(CONFIGURATION, KEY)
    meter.add({}, {"text": value, "other": {"call 555-123-4567": [5551234567, True, None]}}, [])
    assert meter.result().second.sure == {"phone": 1, "other-id": 1}


@pytest.mark.parametrize("size", [3, 10, 200])
def test_shards_of_one_process_share_what_the_sample_needs(size: int) -> None:
    draw = random.Random(7)
    drawn = [f"word{draw.randrange(60)} other{draw.randrange(60)}" for _ in range(120)]
    shards = [drawn[at : at + 20] for at in range(0, 120, 20)]
    alone, seen = RiskMeter(CONFIGURATION, KEY, sample=size), Smallest(size)
    shared = RiskMeter(CONFIGURATION, KEY, sample=size)
    kept = []
    for shard in shards:
        meter = RiskMeter(CONFIGURATION, KEY, sample=size, seen=seen)
        for text in shard:
            alone.add({"text": text}, {"text": text}, [])
            meter.add({"text": text}, {"text": text}, [])
        stored = pickle.loads(pickle.dumps(meter))
        kept.append(len(stored._linkage._heap))
        shared.merge(stored)
    assert shared.result() == alone.result()
    assert [item[:2] for item in sorted(shared._linkage._heap, key=lambda item: item[:2])] == [
        item[:2] for item in sorted(alone._linkage._heap, key=lambda item: item[:2])
    ]
    if size == 3:  # the words of later records are hardly ever hashed
        assert kept[-1] < kept[0]


@given(st.lists(st.text("ab", min_size=1, max_size=6), max_size=12), st.text("ab", max_size=6))
def test_the_nearest_mark_is_found_without_asking_each(known: list[str], word: str) -> None:
    marks = {
        Mark("words", text): EntityType(entity)
        for text, entity in zip(known, EntityType, strict=False)
    }
    near = [
        mark
        for length in (0, -1, 1)
        for mark, entity in marks.items()
        if len(mark.text) == len(word) + length and entity is not EntityType.DATE
        if _nearly(mark.text, word)
    ]
    assert Similar(marks).find(Mark("words", word)) == (marks[near[0]] if near else None)
