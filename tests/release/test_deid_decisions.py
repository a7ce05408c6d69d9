"""A key goes out only where a report meets the contract's terms (spec/protocol §9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deid.deid_reports import HIPAA, make_report
from release.test_decide import CONTRACT, NOTES, OWNER, STATE, STRANGER, ask
from sealtune.crypto.dsse import parse_envelope
from sealtune.crypto.identity import Identity
from sealtune.deid.agreed import DeidTerms
from sealtune.deid.config import FieldRule, Role
from sealtune.deid.report import VerifiedReport, sign_report
from sealtune.errors import Code
from sealtune.release.decide import HeldBundle
from sealtune.release.rules import text_fields

TEXT_FIELD = text_fields(CONTRACT.contract.recipe)[0]
TERMS = DeidTerms(profiles=("hipaa-safe-harbor",), max_residual_per_10000=5.0, min_k=3)


def asking(terms: DeidTerms | None):
    inputs = tuple(
        one.model_copy(update={"deidentification": terms}) if one.bundle == NOTES else one
        for one in CONTRACT.contract.inputs
    )
    return replace(CONTRACT, contract=CONTRACT.contract.model_copy(update={"inputs": inputs}))


def holding(report: VerifiedReport | None):
    return replace(STATE, held={NOTES: HeldBundle(owner=OWNER, kind="dataset", report=report)})


def verified(owner=OWNER, **facts):
    report = make_report(**facts)
    envelope = parse_envelope(sign_report(report, owner=Identity.generate("x").signing))
    return VerifiedReport(report=report, owner=owner, envelope=envelope)


def test_a_report_that_meets_the_terms_is_granted():
    assert ask(contract=asking(TERMS), state=holding(verified(k=3, residual=5))).granted


def test_nothing_is_asked_where_the_contract_asks_nothing():
    assert ask(contract=asking(None), state=holding(None)).granted


REFUSED = {
    "no report": (None, "there is no"),
    "another signer's": (verified(owner=STRANGER, k=3), "not signed by its owner"),
    "k too small": (verified(k=2), "min_k"),
    "text named safe": (
        verified(
            k=3,
            configuration=HIPAA.model_copy(
                update={"fields": {TEXT_FIELD: FieldRule(role=Role.SAFE)}}
            ),
        ),
        "fields",
    ),
    "too much left": (verified(k=3, residual=6), "max_residual_per_10000"),
}


@pytest.mark.parametrize(("report", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_missing_or_weaker_is_refused_with_the_threshold(report, reason):
    decision = ask(contract=asking(TERMS), state=holding(report))
    assert decision.failed is not None
    assert decision.failed.rule == "bundle.deidentified"
    assert decision.failed.code is Code.DENIED_DEIDENTIFICATION
    assert reason in decision.failed.reason
