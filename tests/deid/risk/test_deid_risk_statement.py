"""The statement says what was measured and what was not, and earns each word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sealtune.deid.config import Configuration, FieldRule, Role, TableTerms
from sealtune.deid.risk import RiskMeter, RiskStatement, risk_statement
from sealtune.deid.tables import TableResult, plan_table

ROWS: list[dict[str, Any]] = [{"age": 20 + n, "illness": ("flu", "gout")[n % 2]} for n in range(20)]
TABLE = Configuration(
    profile="test",
    fields={
        "text": FieldRule(role=Role.DIRECT),
        "age": FieldRule(role=Role.QUASI),
        "illness": FieldRule(role=Role.SENSITIVE),
    },
    table=TableTerms(k=4, l=2),
)
PROSE = TABLE.model_copy(update={"fields": {**TABLE.fields, "text": FieldRule(role=Role.TEXT)}})


SAFE = TABLE.model_copy(update={"fields": {**TABLE.fields, "text": FieldRule(role=Role.SAFE)}})


def stated(
    configuration: Configuration,
    *,
    result: TableResult | None = None,
    modes: tuple[str, ...] = (),
    unnamed: bool = False,
) -> RiskStatement:
    """Return the statement on the table, generalized."""
    plan = plan_table(ROWS, configuration)
    meter = RiskMeter(configuration, bytes(32))
    for index, row in enumerate(ROWS):
        made = plan.apply(index, row)
        if made is not None:
            meter.add(row, made, [])
    return risk_statement(
        meter.result(),
        configuration=configuration,
        table=result or plan.result,
        modes=modes,
        unnamed=unnamed,
    )


def test_a_table_that_passed_is_called_anonymized_and_by_which_test() -> None:
    made = stated(TABLE)
    assert (made.word, made.test) == ("anonymized", "k = 5, l = 2")
    assert "anonymized in the sense of k = 5, l = 2" in made.text


@pytest.mark.parametrize(
    ("configuration", "changed"),
    [
        (PROSE, {}),
        (SAFE, {}),
        (TABLE, {"k": 3}),
        (TABLE, {"l": 1}),
        (TABLE, {"k": None}),
        (TABLE.model_copy(update={"table": TableTerms(k=1)}), {}),
        (TABLE.model_copy(update={"table": TableTerms(k=4, t=0.5)}), {"t": 0.6}),
    ],
)
def test_nothing_else_is(configuration: Configuration, changed: dict[str, Any]) -> None:
    result = replace(plan_table(ROWS, configuration).result, **changed)
    made = stated(configuration, result=result)
    assert (made.word, made.test) == ("de-identified", "")
    assert "anonymized" not in made.text


def test_a_field_that_nobody_named_may_be_text() -> None:
    fields = {name: rule for name, rule in TABLE.fields.items() if name != "text"}
    assert stated(TABLE.model_copy(update={"fields": fields})).word == "de-identified"


def test_records_with_a_field_that_nobody_named_hold_text() -> None:
    assert stated(TABLE, unnamed=True).word == "de-identified"


def test_each_sentence_has_its_figures() -> None:
    made = stated(TABLE)
    assert all(sentence.figures for sentence in made.sentences)
    assert made.sentences[0].figures["records"] == 20
    assert "alone to their person in 100.0% of the records and are in 0.0%" in made.text


def test_what_was_not_looked_for_depends_on_what_ran() -> None:
    without, with_model = stated(TABLE), stated(TABLE, modes=("rules", "spacy:local"))
    extra = set(without.not_looked_for) - set(with_model.not_looked_for)
    assert any("no model for names" in item for item in extra)
    assert any("images" in item for item in with_model.not_looked_for)
