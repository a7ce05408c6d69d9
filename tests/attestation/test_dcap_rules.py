"""Each rule for Intel's quotes: what passes, what does not, and with which code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from attestation.dcap import mock_authentic, mock_intel
from sealtune.attestation.dcap_claims import DcapClaims
from sealtune.attestation.dcap_quote import SgxReport, TdReport
from sealtune.attestation.dcap_rules import dcap_rules, inherent_rules
from sealtune.attestation.reference import DcapTerms
from sealtune.attestation.result import RuleResult
from sealtune.errors import Code
from sealtune.testing.mock_intel import SGX_QUOTE, MockQuote, tcb_level

TERMS = DcapTerms(
    tcb_statuses=frozenset({"UpToDate"}),
    denied_advisories=frozenset(),
    minimum_evaluation=20,
    platform_ids=None,
    platform_flags=frozenset({"dynamic-platform", "cached-keys", "smt"}),
    td_attributes=frozenset(),
    minimum_tee_tcb_svn=(),
    endorsements_max_age_days=30,
    isv_prod_id=None,
    minimum_isv_svn=0,
)


@cache
def claims(*, is_td: bool = True, status: str = "UpToDate") -> DcapClaims:
    quote = MockQuote() if is_td else SGX_QUOTE
    level = tcb_level(quote.pck, is_td=is_td, status=status, advisories=("INTEL-SA-00001",))
    info = mock_intel().tcb_info(quote.pck, is_td=is_td, tcbLevels=[level])
    detail = mock_authentic(quote, tcb_info=info).detail
    assert isinstance(detail, DcapClaims)
    return detail


def failed(detail: DcapClaims, **terms: Any) -> dict[str, Code | None]:
    results = dcap_rules(detail, replace(TERMS, **terms))
    assert all(result.reason for result in results)
    return {result.rule: result.code for result in results if not result.passed}


def body_with(**changes: Any) -> DcapClaims:
    detail = claims()
    assert isinstance(detail.quote.body, TdReport)
    return replace(detail, quote=replace(detail.quote, body=replace(detail.quote.body, **changes)))


def enclave_with(**changes: Any) -> DcapClaims:
    detail = claims(is_td=False)
    assert isinstance(detail.quote.body, SgxReport)
    return replace(detail, quote=replace(detail.quote, body=replace(detail.quote.body, **changes)))


def pck_with(**changes: Any) -> DcapClaims:
    return replace(claims(), pck=replace(claims().pck, **changes))


def test_an_honest_platform_passes_and_each_rule_is_named_once() -> None:
    for is_td in (True, False):
        detail = claims(is_td=is_td)
        assert failed(detail) == {}
        names = [result.rule for result in dcap_rules(detail, TERMS)]
        assert len(set(names)) == len(names)


def test_the_order_of_the_rules() -> None:
    names = [result.rule for result in dcap_rules(claims(), TERMS)]
    assert names == [
        "dcap-debug",
        "td-known",
        "td-sept-ve",
        "td-migration",
        "td-seam-signer",
        "tcb-status",
        "tcb-advisories",
        "tcb-evaluation",
        "endorsements-age",
        "platform-flags",
        "identity",
        "td-attributes",
        "tee-tcb-svn",
    ]
    assert [result.rule for result in dcap_rules(claims(is_td=False), TERMS)][-2:] == [
        "isv-prod-id",
        "isv-svn",
    ]


@pytest.mark.parametrize("status", ["SWHardeningNeeded", "OutOfDate", "ConfigurationNeeded"])
def test_a_status_that_is_not_listed(status: str) -> None:
    detail = claims(status=status)
    assert failed(detail) == {"tcb-status": Code.APPRAISAL_TCB_STATUS}
    assert failed(detail, tcb_statuses=frozenset({"UpToDate", status})) == {}
    assert failed(claims(), tcb_statuses=frozenset()) == {"tcb-status": Code.APPRAISAL_TCB_STATUS}


def test_a_denied_advisory() -> None:
    denied = frozenset({"INTEL-SA-00001", "INTEL-SA-00002"})
    assert failed(claims(), denied_advisories=denied) == {"tcb-advisories": Code.APPRAISAL_ADVISORY}
    others = frozenset({"INTEL-SA-00002", "INTEL-SA-0000"})
    assert failed(claims(), denied_advisories=others) == {}


def test_an_evaluation_below_the_minimum() -> None:
    expected = {"tcb-evaluation": Code.APPRAISAL_EVALUATION}
    assert failed(claims(), minimum_evaluation=21) == expected
    assert failed(replace(claims(), evaluation=19)) == expected
    assert failed(replace(claims(), qe_evaluation=19)) == expected


def test_endorsements_that_are_too_old() -> None:
    limit = timedelta(days=30)
    assert failed(replace(claims(), endorsements_age=limit)) == {}
    older = replace(claims(), endorsements_age=limit + timedelta(seconds=1))
    assert failed(older) == {"endorsements-age": Code.APPRAISAL_ENDORSEMENT_AGE}


@pytest.mark.parametrize(
    ("flag", "field"),
    [
        ("dynamic-platform", "dynamic_platform"),
        ("cached-keys", "cached_keys"),
        ("smt", "smt_enabled"),
    ],
)
def test_a_platform_flag_that_is_not_accepted(flag: str, field: str) -> None:
    others = TERMS.platform_flags - {flag}
    assert failed(claims(), platform_flags=others) == {"platform-flags": Code.APPRAISAL_PLATFORM}
    for value in (False, None):
        assert failed(pck_with(**{field: value}), platform_flags=others) == {}


def test_a_platform_that_is_not_enrolled() -> None:
    expected = {"identity": Code.APPRAISAL_PLATFORM}
    ppid = claims().pck.ppid.hex()
    assert failed(claims(), platform_ids=frozenset({ppid, "00" * 16})) == {}
    assert failed(claims(), platform_ids=frozenset({"00" * 16})) == expected
    assert failed(claims(), platform_ids=frozenset()) == expected


def attributes(value: int) -> bytes:
    return value.to_bytes(8, "little")


SEPT = 1 << 28


@pytest.mark.parametrize(("name", "bit"), [("pks", 30), ("kl", 31), ("perfmon", 63)])
def test_an_attribute_that_is_not_accepted(name: str, bit: int) -> None:
    detail = body_with(td_attributes=attributes(SEPT | 1 << bit))
    assert failed(detail) == {"td-attributes": Code.APPRAISAL_POLICY}
    assert failed(detail, td_attributes=frozenset({name})) == {}
    others = frozenset({"pks", "kl", "perfmon"}) - {name}
    assert failed(detail, td_attributes=others) == {"td-attributes": Code.APPRAISAL_POLICY}


@pytest.mark.parametrize(
    ("changes", "rule", "code"),
    [
        ({"td_attributes": attributes(SEPT | 1)}, "dcap-debug", Code.APPRAISAL_DEBUG),
        ({"td_attributes": attributes(SEPT | 1 << 29)}, "td-known", Code.APPRAISAL_POLICY),
        ({"td_attributes": attributes(0)}, "td-sept-ve", Code.APPRAISAL_POLICY),
        ({"mr_service_td": b"\1" * 48}, "td-migration", Code.APPRAISAL_POLICY),
        ({"mr_signer_seam": b"\1" * 48}, "td-seam-signer", Code.APPRAISAL_POLICY),
    ],
    ids=["debug", "unknown-bit", "sept-ve", "service-td", "seam-signer"],
)
def test_what_no_terms_accept(changes: dict[str, Any], rule: str, code: Code) -> None:
    detail = body_with(**changes)
    assert failed(detail) == {rule: code}
    assert {result.rule for result in inherent_rules(detail.quote.body) if not result.passed} == {
        rule
    }


def test_a_service_td_of_zeros_is_none() -> None:
    assert failed(body_with(mr_service_td=bytes(48))) == {}


@pytest.mark.parametrize(
    ("floor", "passes"),
    [
        ((), True),
        ((5, 1, 5), True),
        ((4, 1, 5), True),
        ((5, 1, 6), False),
        ((6, 0, 0), False),
        ((0, 2), False),
        ((0,) * 15 + (1,), False),
    ],
)
def test_tee_tcb_svn_is_compared_by_component(floor: tuple[int, ...], passes: bool) -> None:
    expected = {} if passes else {"tee-tcb-svn": Code.APPRAISAL_TCB}
    assert failed(claims(), minimum_tee_tcb_svn=floor) == expected


def test_a_debug_enclave() -> None:
    detail = enclave_with(attributes=b"\2" + bytes(15))
    assert failed(detail) == {"dcap-debug": Code.APPRAISAL_DEBUG}


def test_the_product_of_an_enclave() -> None:
    detail = enclave_with(isv_prod_id=7)
    assert failed(detail) == {}
    assert failed(detail, isv_prod_id=7) == {}
    assert failed(detail, isv_prod_id=8) == {"isv-prod-id": Code.APPRAISAL_POLICY}
    assert failed(enclave_with(isv_prod_id=0), isv_prod_id=0) == {}


def test_the_security_version_of_an_enclave() -> None:
    detail = enclave_with(isv_svn=3)
    assert failed(detail, minimum_isv_svn=3) == {}
    assert failed(detail, minimum_isv_svn=4) == {"isv-svn": Code.APPRAISAL_TCB}


def test_a_result_reads_well() -> None:
    (status,) = (result for result in dcap_rules(claims(), TERMS) if result.rule == "tcb-status")
    assert status == RuleResult(
        rule="tcb-status",
        passed=True,
        reason="Intel says UpToDate, accepted are UpToDate",
        code=None,
    )
