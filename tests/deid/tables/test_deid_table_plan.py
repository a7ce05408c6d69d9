"""Tables reach k, l and t, as pycanon counts them, and lose less than by full domains."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.deid.config import Configuration, FieldRule, Role, TableTerms
from sealtune.deid.tables import TablePlan, plan_table
from sealtune.errors import Code, ConfigError

ILLNESSES = ("flu", "asthma", "diabetes", "gout", "anaemia", "migraine")


def patients(count: int, *, seed: int = 1) -> list[dict[str, Any]]:
    """Return records of a population whose columns go together, as real ones do."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        age = min(99, max(0, int(draw.gauss(52, 19))))
        rows.append(
            {
                "age": age,
                "zip": f"{draw.choice((2139, 2140, 2151, 2446, 1060, 1002)):05d}",
                "sex": draw.choice("FFFMMMX" if draw.random() < 0.05 else "FM"),
                "admitted": f"20{draw.randrange(10, 24)}-{draw.randrange(1, 13):02d}-"
                f"{draw.randrange(1, 29):02d}",
                "illness": draw.choice(ILLNESSES[2:] if age > 60 else ILLNESSES),
                "cost": draw.randrange(1, 40) * 100,
            }
        )
    return rows


def configuration(quasi: str, sensitive: str = "", **terms: Any) -> Configuration:
    """Return one with these roles and table terms."""
    fields = {name: FieldRule(role=Role.QUASI) for name in quasi.split()}
    fields |= {name: FieldRule(role=Role.SENSITIVE) for name in sensitive.split()}
    return Configuration(profile="test", fields=fields, table=TableTerms(**terms))


def applied(plan: TablePlan, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records that the plan leaves."""
    made = (plan.apply(index, row) for index, row in enumerate(rows))
    return [row for row in made if row is not None]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "terms",
    [{"k": 2}, {"k": 5}, {"k": 5, "l": 3}, {"k": 4, "t": 0.35}, {"k": 10, "l": 2, "t": 0.4}],
    ids=str,
)
def test_what_is_reached_is_what_pycanon_counts(seed: int, terms: dict[str, Any]) -> None:
    pandas = pytest.importorskip("pandas")
    anonymity = pytest.importorskip("pycanon.anonymity")
    rows = patients(600, seed=seed)
    quasi, sensitive = "age zip sex admitted", "illness cost"
    plan = plan_table(iter(rows), configuration(quasi, sensitive, **terms))
    frame = pandas.DataFrame(applied(plan, rows))
    names, hidden = quasi.split(), sensitive.split()
    result = plan.result
    assert anonymity.k_anonymity(frame, names) == result.k >= terms["k"]
    assert anonymity.l_diversity(frame, names, hidden) == result.l >= terms.get("l", 1)
    measured = anonymity.t_closeness(frame, names, hidden)
    assert measured == pytest.approx(result.t)
    assert measured <= terms.get("t", 1.0) + 1e-9
    assert len(frame) == len(rows) - result.suppressed
    assert result.suppressed <= 0.05 * len(rows)


def _full_domain_loss(rows: list[dict[str, Any]], k: int, spare: int) -> float:
    """Return the least loss of any full-domain generalization of age, ZIP and sex."""
    span = max(row["age"] for row in rows) - min(row["age"] for row in rows)
    codes = {row["zip"] for row in rows}
    ages = [(width, lambda age, width=width: age // width) for width in (1, 2, 5, 10, 20, 200)]
    zips = [(digits, lambda code, digits=digits: code[:digits]) for digits in (5, 4, 3, 0)]
    sexes = [(kept, lambda sex, kept=kept: sex if kept else "*") for kept in (True, False)]
    losses = []
    for (width, band), (digits, prefix), (kept, sexed) in itertools.product(ages, zips, sexes):
        classes: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in rows:
            key = (band(row["age"]), prefix(row["zip"]), sexed(row["sex"]))
            classes.setdefault(key, []).append(row)
        small = sum(len(found) for found in classes.values() if len(found) < k)
        if small > spare:
            continue
        loss = 3.0 * small
        for found in classes.values():
            if len(found) < k:
                continue
            under = len({code for code in codes if code[:digits] == found[0]["zip"][:digits]})
            loss += len(found) * min(1.0, (width - 1) / span)
            loss += len(found) * ((under - 1) / (len(codes) - 1) + (0 if kept else 1))
        losses.append(loss / (3 * len(rows)))
    return min(losses)


@pytest.mark.parametrize("k", [3, 5, 10])
def test_less_is_lost_than_by_the_best_full_domain_generalization(k: int) -> None:
    rows = patients(800)
    plan = plan_table(rows, configuration("age zip sex", k=k))
    assert plan.result.loss < 0.7 * _full_domain_loss(rows, k, spare=40)


VALUES = st.one_of(
    st.none(),
    st.integers(-3, 12),
    st.sampled_from(["a", "b", "", "2020-02-29", "2021-03-01", "02139"]),
    st.floats(allow_nan=True, allow_infinity=True, width=16),
    st.booleans(),
    st.lists(st.integers(0, 1), max_size=1),
)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries({"x": VALUES, "y": VALUES, "zip": VALUES, "s": st.integers(0, 3)}),
        min_size=1,
        max_size=40,
    ),
    k=st.integers(2, 4),
    l=st.integers(1, 3),
    share=st.sampled_from([0.0, 0.2]),
)
def test_every_class_has_k_records_and_l_values(
    rows: list[dict[str, Any]],
    k: int,
    l: int,  # noqa: E741
    share: float,
) -> None:
    asked = configuration("x y zip", "s", k=k, l=l, max_suppressed=share)
    try:
        plan = plan_table(rows, asked)
    except ConfigError as error:
        assert error.code is Code.TABLE_UNREACHABLE
        assert len(rows) < k or len({row["s"] for row in rows}) < l
        return
    classes: dict[str, list[int]] = {}
    for row in applied(plan, rows):
        classes.setdefault(repr((row["x"], row["y"], row["zip"])), []).append(row["s"])
    assert min(map(len, classes.values())) >= k
    assert min(len(set(values)) for values in classes.values()) >= l
    assert (
        len(rows) - sum(map(len, classes.values())) == plan.result.suppressed <= share * len(rows)
    )
    assert 0 <= plan.result.loss <= 1


def test_nothing_is_hidden_where_nothing_need_be() -> None:
    rows = [{"age": 30 + index % 2, "sex": "F"} for index in range(20)]
    plan = plan_table(rows, configuration("age sex", k=5))
    assert applied(plan, rows) == rows
    assert (plan.result.k, plan.result.loss, plan.result.sizes["10"]) == (10, 0.0, 20)


def test_a_table_of_which_nothing_is_asked_stays_and_is_measured() -> None:
    rows = [*patients(50), {"age": 150, "zip": "99999", "sex": "F"}]
    plan = plan_table(rows, configuration("age zip", "illness"))
    assert applied(plan, rows) == rows
    assert plan.result.k == 1
    assert plan.result.sizes["1"] >= 1


def test_labels_are_bands_months_prefixes_and_the_owners_words() -> None:
    fields = {
        "age": FieldRule(role=Role.QUASI),
        "zip": FieldRule(role=Role.QUASI),
        "on": FieldRule(role=Role.QUASI),
        "ward": FieldRule(role=Role.QUASI, hierarchy={"surgery": ("hand", "spine")}),
    }
    asked = Configuration(profile="test", fields=fields, table=TableTerms(k=2))
    rows = [
        {"age": 31, "zip": "02139", "on": "2021-03-01", "ward": "hand"},
        {"age": 35, "zip": "02138", "on": "2021-03-30", "ward": "spine"},
        {"age": 71, "zip": "94110", "on": "1999-01-30", "ward": "dialysis"},
        {"age": 71, "zip": "94110", "on": "1999-12-30", "ward": "dialysis"},
    ]
    made = applied(plan_table(rows, asked), rows)
    assert made[0] == {"age": "31-35", "zip": "0213*", "on": "2021-03", "ward": "surgery"}
    assert made[2] == {"age": "71", "zip": "94110", "on": "1999", "ward": "dialysis"}


def test_records_of_one_person_do_not_hide_each_other() -> None:
    fields = {"age": FieldRule(role=Role.QUASI), "patient": FieldRule(role=Role.SUBJECT)}
    asked = Configuration(profile="test", fields=fields, table=TableTerms(k=2))
    rows = [{"age": 30 + who, "patient": who} for who in range(4) for _ in range(5)]
    plan = plan_table(rows, asked)
    assert plan.result.k == 2
    assert len({row["age"] for row in applied(plan, rows)}) == 2
    with pytest.raises(ConfigError) as caught:
        plan_table(rows[:5], asked)
    assert caught.value.code is Code.TABLE_UNREACHABLE


@pytest.mark.parametrize(
    ("rows", "terms", "figures"),
    [
        ([{"age": 1, "s": "a"}] * 3, {"k": 4}, ("4", "3 records")),
        ([{"age": 1, "s": "a"}], {"k": 2}, ("2", "1 records")),
        ([{"age": 1, "s": "a"}] * 9, {"k": 2, "l": 2}, ("2", "1 values")),
        ([{"age": 1, "s": None}, {"age": 1, "s": "a"}], {"l": 2}, ("2", "1 values")),
        ([], {"k": 2}, ("2", "0 records")),
    ],
)
def test_what_cannot_be_reached_is_refused_with_figures(
    rows: list[dict[str, Any]], terms: dict[str, Any], figures: tuple[str, str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_table(rows, configuration("age", "s", **terms))
    assert caught.value.code is Code.TABLE_UNREACHABLE
    assert all(figure in str(caught.value) for figure in figures)


@pytest.mark.parametrize(
    ("quasi", "sensitive", "terms"),
    [("", "s", {"k": 2}), ("age", "", {"l": 2}), ("age", "", {"t": 0.5})],
)
def test_terms_without_columns_that_give_them_a_meaning_are_refused(
    quasi: str, sensitive: str, terms: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_table([{"age": 1, "s": 1}] * 9, configuration(quasi, sensitive, **terms))
    assert caught.value.code is Code.CONFIG_INVALID


def test_a_column_of_too_many_values_is_no_quasi_identifier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sealtune.deid.tables.columns.DISTINCT_MAX", 100)
    with pytest.raises(ConfigError) as caught:
        plan_table(({"age": number} for number in range(101)), configuration("age", k=2))
    assert caught.value.code is Code.LIMIT_EXCEEDED


def test_the_same_table_gives_the_same_plan() -> None:
    rows = patients(300)
    asked = configuration("age zip sex admitted", "illness", k=4, l=2)
    first, second = (applied(plan_table(rows, asked), rows) for _ in range(2))
    assert first == second


def test_a_row_that_was_not_planned_is_refused() -> None:
    plan = plan_table([{"age": 1}] * 3, configuration("age", k=2))
    with pytest.raises(ValueError, match="3 rows"):
        plan.apply(3, {"age": 1})
