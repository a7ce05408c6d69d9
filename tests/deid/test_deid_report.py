"""Reports: what is signed, what a reader refuses, and what terms make of them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from deid.deid_reports import HIPAA, RECORDS, make_report
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.crypto.dsse import add_signature, parse_envelope, sign_envelope
from sealtune.crypto.identity import Identity
from sealtune.deid.agreed import PROFILE_NAMES, DeidTerms
from sealtune.deid.config import PROFILES, Action, Configuration, FieldRule, Role
from sealtune.deid.entities import EntityType
from sealtune.deid.report import (
    REPORT_BYTES_MAX,
    parse_report,
    sign_report,
    verify_report,
)
from sealtune.deid.terms import judge, weaker_than_profile
from sealtune.errors import Code, SealtuneError

OWNER, OTHER = Identity.generate("hospital"), Identity.generate("mallory")
TERMS = DeidTerms(profiles=("hipaa-safe-harbor",), max_residual_per_10000=5)


def refused(action: Callable[[], object]) -> Code:
    with pytest.raises(SealtuneError) as caught:
        action()
    return caught.value.code


def failed(report, terms: DeidTerms = TERMS, trained_on: tuple[str, ...] = ("text",)) -> list[str]:
    return [one.term for one in judge(report, terms, trained_on=trained_on) if not one.passed]


def test_a_signed_report_is_read_as_it_was_made():
    report = make_report(k=7)
    verified = verify_report(sign_report(report, owner=OWNER.signing), owner=OWNER.signing.public)
    assert verified.report == report
    assert (verified.report.k, verified.report.residual_per_10000) == (7, 2.5)
    assert verified.report.records_digest == RECORDS


def test_only_the_owner_and_nobody_else_signs():
    data = sign_report(make_report(), owner=OTHER.signing)
    public = OWNER.signing.public
    assert refused(lambda: verify_report(data, owner=public)) is Code.SIGNATURE_MISSING
    both = add_signature(parse_envelope(data), OWNER.signing).to_json()
    assert refused(lambda: verify_report(both, owner=public)) is Code.SIGNATURE_INVALID


def test_an_altered_report_is_refused():
    data = json.loads(sign_report(make_report(), owner=OWNER.signing))
    better = sign_report(make_report(residual=0), owner=OWNER.signing)
    data["payload"] = json.loads(better)["payload"]
    public = OWNER.signing.public
    altered = canonical_json(data)
    assert refused(lambda: verify_report(altered, owner=public)) is Code.SIGNATURE_INVALID


def test_another_signed_document_is_no_report():
    data = sign_envelope(make_report().payload, payload_type="x", keys=[OWNER.signing]).to_json()
    public = OWNER.signing.public
    assert refused(lambda: verify_report(data, owner=public)) is Code.ENVELOPE_TYPE
    large = b" " * (2 * REPORT_BYTES_MAX + 1)
    assert refused(lambda: verify_report(large, owner=public)) is Code.LIMIT_EXCEEDED


def _set(path: str, value: object) -> Callable[[dict], None]:
    *parts, last = path.split(".")

    def change(document: dict) -> None:
        for part in parts:
            document = document[part]
        document[last] = value

    return change


WRONG = {
    "another predicate": _set("predicateType", "https://sealtune.dev/TrainingReceipt/v1"),
    "unknown field": _set("predicate.more", 1),
    "another configuration": _set("predicate.configuration.keep_years", False),
    "another configuration's digest": _set("predicate.configuration_digest", "0" * 64),
    "not the profile's": _set("predicate.configuration.profile", "own"),
    "risk of other records": _set("predicate.risk.records", 99),
    "negative residual": _set("predicate.risk.residual_per_10000", -1),
    "k is text": _set("predicate.risk.quasi", {"k": "7"}),
    "anonymized without test": _set("predicate.statement.word", "anonymized"),
    "reversible denied": _set("predicate.reversible", True),
    "no mode": _set("predicate.modes", []),
    "no record": _set("predicate.records", 0),
    "no time": _set("predicate.time", "yesterday"),
    "no subject": _set("subject", []),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_fields_that_are_wrong_or_disagree_are_refused(change: Callable[[dict], None]):
    document = make_report().to_dict()
    change(document)
    payload = canonical_json(document)
    assert refused(lambda: parse_report(payload)) is Code.DEID_REPORT_MALFORMED


def test_a_configuration_with_a_field_left_out_is_refused():
    document = make_report().to_dict()
    del document["predicate"]["configuration"]["keep_years"]
    shown = canonical_json(document["predicate"]["configuration"])
    document["predicate"]["configuration_digest"] = sha256_digest(shown).removeprefix("sha256:")
    payload = canonical_json(document)
    assert refused(lambda: parse_report(payload)) is Code.DEID_REPORT_MALFORMED


def test_another_spelling_is_refused():
    payload = json.dumps(make_report().to_dict()).encode()
    assert refused(lambda: parse_report(payload)) is Code.DEID_REPORT_MALFORMED


def test_errors_quote_no_value():
    document = make_report().to_dict()
    document["predicate"]["records"] = "Jane Roe"
    with pytest.raises(SealtuneError) as caught:
        parse_report(canonical_json(document))
    assert "Jane" not in str(caught.value)


def test_terms_are_met_at_their_edge_and_not_beyond():
    assert failed(make_report(residual=5)) == []
    assert failed(make_report(residual=5.01)) == ["max_residual_per_10000"]
    terms = TERMS.model_copy(update={"min_k": 5})
    assert failed(make_report(k=5), terms) == []
    assert failed(make_report(k=4), terms) == ["min_k"]
    assert failed(make_report(), terms) == ["min_k"]


def test_terms_name_profiles_and_detectors():
    terms = TERMS.model_copy(update={"profiles": ("gdpr-pseudonymous",)})
    assert failed(make_report(), terms) == ["profile"]
    assert failed(make_report(), TERMS.model_copy(update={"detectors": ("names", "rules")})) == []
    assert failed(make_report(), TERMS.model_copy(update={"detectors": ("name",)})) == ["detectors"]


def _changed(**changes: object) -> Configuration:
    return HIPAA.model_copy(update=changes)


WEAKER = {
    "kept": _changed(actions={**HIPAA.actions, EntityType.PERSON: Action.KEEP}),
    "shifted": _changed(actions={**HIPAA.actions, EntityType.DATE: Action.SHIFT}),
    "reversible": _changed(reversible=True),
    "unsure ones left": _changed(minimum_confidence=0.9),
}


@pytest.mark.parametrize("configuration", WEAKER.values(), ids=WEAKER.keys())
def test_a_profiles_name_does_not_cover_less_than_the_profile(configuration: Configuration):
    assert failed(make_report(configuration=configuration)) == ["strength"]


def test_redaction_is_as_strong_as_any_action():
    configuration = _changed(actions={**HIPAA.actions, EntityType.PERSON: Action.REDACT})
    assert weaker_than_profile(configuration) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"profiles": ()},
        {"profiles": ("own",)},
        {"profiles": ("hipaa-safe-harbor", "hipaa-safe-harbor")},
        {"max_residual_per_10000": -1.0},
        {"min_k": 0},
        {"detectors": ("names", "names")},
        {"more": 1},
    ],
)
def test_terms_that_nobody_could_mean_are_refused(changes: dict[str, object]):
    values = {"profiles": ("hipaa-safe-harbor",), "max_residual_per_10000": 5.0} | changes
    with pytest.raises(ValidationError):
        DeidTerms.model_validate(values)


def test_a_contract_can_name_every_profile_and_no_other() -> None:
    assert set(PROFILE_NAMES) == set(PROFILES)


@pytest.mark.parametrize("role", [Role.SAFE, Role.SENSITIVE, Role.QUASI])
@pytest.mark.parametrize("name", ["text", "text.inner"])
def test_text_that_is_trained_on_must_have_been_looked_into(role: Role, name: str) -> None:
    """Figures on text that nobody looked into are good, and worth nothing."""
    configuration = HIPAA.model_copy(update={"fields": {name: FieldRule(role=role)}})
    report = make_report(configuration=configuration, residual=0)
    assert failed(report) == ["fields"]
    assert failed(report, trained_on=("other", "tex")) == []


@pytest.mark.parametrize("role", [Role.TEXT, Role.DIRECT])
def test_text_that_was_looked_into_or_replaced_passes(role: Role) -> None:
    configuration = HIPAA.model_copy(
        update={"fields": {"text": FieldRule(role=role), "label": FieldRule(role=Role.SAFE)}}
    )
    assert failed(make_report(configuration=configuration)) == []


@pytest.mark.parametrize(("subjects", "k"), [(2, 2), (9, 5), (None, 5)])
def test_k_is_of_subjects_where_those_are_fewer(subjects: int | None, k: int) -> None:
    """One person with five records is no group of five."""
    document = make_report(k=5).to_dict()
    document["predicate"]["table"] = None if subjects is None else {"k": subjects}
    assert parse_report(canonical_json(document)).k == k
