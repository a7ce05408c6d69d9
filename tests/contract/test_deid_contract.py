"""Terms of de-identification in a contract (spec/contract §3.3.1): form, words, digest."""

from __future__ import annotations

from typing import Any

import pytest

from sealtune.contract.contract import (
    canonical_contract,
    contract_from_document,
    parse_contract,
)
from sealtune.contract.diff import diff_contracts
from sealtune.contract.schema import Contract
from sealtune.contract.show import contract_lines
from sealtune.errors import Code, FormatError
from sealtune.testing.agreement import Agreement

TERMS: dict[str, Any] = {
    "profiles": ["hipaa-safe-harbor"],
    "max_residual_per_10000": 5.0,
    "min_k": 3,
    "detectors": ["rules"],
}


def with_terms(agreement: Agreement, terms: object, *, kind: str = "dataset") -> Contract:
    document = agreement.document()
    for entry in document["inputs"]:
        if entry["kind"] == kind:
            entry["deidentification"] = terms
    return contract_from_document(document, what="contract")


def test_terms_are_part_of_what_is_signed_and_shown(agreement: Agreement) -> None:
    contract = with_terms(agreement, TERMS)
    assert parse_contract(canonical_contract(contract)) == contract
    shown = "\n".join(contract_lines(contract))
    for words in ("hipaa-safe-harbor", "5 residual", "k from 3 up", "detectors: rules"):
        assert words in shown


def test_a_contract_without_terms_has_the_digest_that_it_had(agreement: Agreement) -> None:
    assert b"deidentification" not in canonical_contract(agreement.contract())


def test_a_null_in_what_is_signed_is_another_spelling(agreement: Agreement) -> None:
    data = canonical_contract(agreement.contract())
    spelled = data.replace(b'"digest":', b'"deidentification":null,"digest":', 1)
    assert spelled != data
    with pytest.raises(FormatError) as caught:
        parse_contract(spelled)
    assert caught.value.code is Code.CONTRACT_MALFORMED


def test_a_model_has_no_report(agreement: Agreement) -> None:
    with pytest.raises(FormatError) as caught:
        with_terms(agreement, TERMS, kind="model")
    assert caught.value.code is Code.CONTRACT_FIELD


CHANGES = [
    ({"profiles": ["hipaa-safe-harbor", "gdpr-pseudonymous"]}, True, "by gdpr-pseudonymous"),
    ({"profiles": ["gdpr-pseudonymous"]}, True, "by gdpr-pseudonymous"),
    ({"max_residual_per_10000": 6.0}, True, "goes from 5.0 to 6.0"),
    ({"max_residual_per_10000": 4.5}, False, "goes from 5.0 to 4.5"),
    ({"min_k": 2}, True, "the lowest k of input"),
    ({"min_k": 4}, False, "the lowest k of input"),
    ({"detectors": []}, True, "read by the detectors"),
    ({"detectors": ["rules", "names"]}, False, "read by the detectors"),
]


@pytest.mark.parametrize(("change", "permits_more", "words"), CHANGES)
def test_a_weaker_threshold_permits_more(
    agreement: Agreement, change: dict[str, Any], permits_more: bool, words: str
) -> None:
    old, new = with_terms(agreement, TERMS), with_terms(agreement, TERMS | change)
    for found in diff_contracts(old, new):
        assert found.permits_more is permits_more
        assert words in found.words
    assert diff_contracts(old, new)


def test_asking_permits_less_and_asking_no_longer_permits_more(agreement: Agreement) -> None:
    without, asking = agreement.contract(), with_terms(agreement, TERMS)
    assert [found.permits_more for found in diff_contracts(without, asking)] == [False]
    assert [found.permits_more for found in diff_contracts(asking, without)] == [True]
