"""The verifiers of Intel's evidence under a mock hierarchy: one thing wrong at a time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.dcap import NOW, authentic, mock_authentic, mock_intel, mock_refusal, refusal
from sealtune.attestation import dcap_library
from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.dcap_claims import DcapClaims
from sealtune.attestation.dcap_pck import ROOT_NAME, TCB_SIGNING_NAME, PckCa, verify_pck_chain
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.crypto import der
from sealtune.crypto.der import Tag
from sealtune.errors import Code, SealtuneError
from sealtune.testing.mock_intel import (
    SGX_QUOTE,
    MockPck,
    MockQuote,
    MockSgx,
    MockTd,
    assemble_quote,
    dcap_endorsements,
    isv_level,
    mock_qe,
    moment,
    pck_extension,
    pem,
    raw_signature,
    signed_part,
    tcb_level,
)

TD15 = MockQuote(version=5, body=MockTd(mr_service_td=bytes(48)))
QUOTES = {
    "sgx-v3": SGX_QUOTE,
    "tdx-v4": MockQuote(),
    "tdx-v5-td10": MockQuote(version=5),
    "tdx-v5-td15": TD15,
    "processor-ca": MockQuote(pck=MockPck(ca=PckCa.PROCESSOR)),
    "single-package": replace(
        SGX_QUOTE,
        pck=MockPck(
            ca=PckCa.PROCESSOR,
            sgx_type=0,
            platform_instance_id=None,
            dynamic_platform=None,
            cached_keys=None,
            smt_enabled=None,
        ),
    ),
}
each_quote = pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES.keys())
both_tees = pytest.mark.parametrize("quote", [MockQuote(), SGX_QUOTE], ids=["tdx", "sgx"])


def info_of(quote: MockQuote, **changes: Any) -> dict[str, Any]:
    return mock_intel().tcb_info(quote.pck, is_td=quote.is_td, **changes)


def qe_of(quote: MockQuote, **changes: Any) -> dict[str, Any]:
    return mock_intel().qe_identity(is_td=quote.is_td, **changes)


def level_of(quote: MockQuote, **changes: Any) -> dict[str, Any]:
    return tcb_level(quote.pck, is_td=quote.is_td, **changes)


def detail_of(quote: MockQuote, **parts: Any) -> DcapClaims:
    detail = mock_authentic(quote, **parts).detail
    assert isinstance(detail, DcapClaims)
    return detail


# -- what is accepted ------------------------------------------------------------------------------


@each_quote
def test_every_form_of_quote_verifies_and_is_insecure(quote: MockQuote) -> None:
    result = mock_authentic(quote)
    assert result.insecure
    assert result.root.digest == mock_intel().root
    assert result.kind is (EvidenceKind.TDX if quote.is_td else EvidenceKind.SGX)
    assert result.claims.tcb["status"] == "UpToDate"
    assert result.claims.fields["pck_ca"] == quote.pck.ca
    assert result.claims.fields["sgx_type"] == quote.pck.sgx_type
    json.dumps(result.claims.fields)


def test_every_field_of_a_td_report_1_5_is_read() -> None:
    texts = {name: bytes((index,)) for index, name in enumerate(MockTd.__slots__, start=1)}
    body = MockTd(
        tee_tcb_svn=bytes((5, 1, 6)) + texts["tee_tcb_svn"] * 13,
        mr_seam=texts["mr_seam"] * 48,
        xfam=texts["xfam"] * 8,
        mr_td=texts["mr_td"] * 48,
        mr_config_id=texts["mr_config_id"] * 48,
        mr_owner=texts["mr_owner"] * 48,
        mr_owner_config=texts["mr_owner_config"] * 48,
        rt_mr=(b"a" * 48, b"b" * 48, b"c" * 48, b"d" * 48),
        report_data=texts["report_data"] * 64,
        tee_tcb_svn2=bytes((5, 1, 7)) + texts["tee_tcb_svn2"] * 13,
        mr_service_td=bytes(48),
    )
    fields = mock_authentic(MockQuote(version=5, body=body)).claims.fields["fields"]
    for name in ("mr_seam", "xfam", "mr_td", "mr_config_id", "mr_owner", "mr_owner_config"):
        assert fields[name] == getattr(body, name).hex()
    for name in ("tee_tcb_svn", "tee_tcb_svn2", "report_data", "mr_service_td", "td_attributes"):
        assert fields[name] == getattr(body, name).hex()
    assert [fields[f"rt_mr{index}"] for index in range(4)] == [mr.hex() for mr in body.rt_mr]


def test_every_field_of_an_enclave_is_read() -> None:
    body = MockSgx(
        cpu_svn=b"a" * 16,
        misc_select=1,
        isv_ext_prod_id=b"b" * 16,
        mr_enclave=b"c" * 32,
        mr_signer=b"d" * 32,
        config_id=b"e" * 64,
        isv_prod_id=0x1234,
        isv_svn=0x2345,
        config_svn=0x3456,
        isv_family_id=b"f" * 16,
        report_data=b"g" * 64,
    )
    claims = mock_authentic(replace(SGX_QUOTE, body=body)).claims
    for name in ("cpu_svn", "mr_enclave", "mr_signer", "config_id", "isv_family_id", "report_data"):
        assert claims.fields["fields"][name] == getattr(body, name).hex()
    for name in ("misc_select", "isv_prod_id", "isv_svn", "config_svn"):
        assert claims.fields["fields"][name] == getattr(body, name)
    assert claims.measurement == body.mr_enclave.hex()
    assert claims.registers == {"mrsigner": body.mr_signer.hex()}
    assert claims.host_data == body.config_id


def test_the_steps_are_noted_in_order() -> None:
    mock, steps = mock_intel(), Steps()
    quote = MockQuote()
    authentic(
        mock.evidence(quote), mock.endorsements(quote), NOW, anchors=mock.anchors(), steps=steps
    )
    assert [step.name for step in steps.done] == [
        "format",
        "chain",
        "signature",
        "endorsements",
        "tcb level",
        "attributes",
        "second opinion",
        "event log",
    ]


# -- the platform's certificate --------------------------------------------------------------------


def test_a_mock_root_is_trusted_only_where_it_is_named() -> None:
    mock = mock_intel()
    quote = MockQuote()
    code = refusal(mock.evidence(quote), mock.endorsements(quote), NOW, anchors=vendor_anchors())
    assert code is Code.EVIDENCE_ROOT


@both_tees
def test_a_revoked_platform(quote: MockQuote) -> None:
    listed = mock_intel().crl(quote.pck.ca.common_name, revoked=(1, quote.pck.serial, 3))
    assert mock_refusal(quote, pck_crl=listed) is Code.EVIDENCE_REVOKED
    others = mock_intel().crl(quote.pck.ca.common_name, revoked=(1, quote.pck.serial + 1))
    assert mock_authentic(quote, pck_crl=others)


def test_an_older_set_is_no_way_around_a_revocation() -> None:
    mock, quote = mock_intel(), MockQuote()
    listed = mock.crl(quote.pck.ca.common_name, revoked=(quote.pck.serial,))
    newer = mock.endorsement(quote, pck_crl=listed)
    info = {**mock.tcb_info(quote.pck, is_td=quote.is_td), "tcbEvaluationDataNumber": 1}
    older = mock.endorsement(quote, tcb_info=info)
    assert authentic(mock.evidence(quote), dcap_endorsements(older), NOW, anchors=mock.anchors())
    for documents in ((newer, older), (older, newer)):
        both = dcap_endorsements(*documents)
        code = refusal(mock.evidence(quote), both, NOW, anchors=mock.anchors())
        assert code is Code.EVIDENCE_REVOKED


@pytest.mark.parametrize("name", [PckCa.PLATFORM.common_name, TCB_SIGNING_NAME, ROOT_NAME])
def test_a_revoked_authority(name: str) -> None:
    mock = mock_intel()
    listed = mock.crl(ROOT_NAME, revoked=(mock.serial_of(name),))
    assert mock_refusal(MockQuote(), root_crl=listed) is Code.EVIDENCE_REVOKED


@pytest.mark.parametrize(
    ("pck", "code"),
    [
        (MockPck(not_before=NOW + timedelta(seconds=1)), Code.EVIDENCE_CERTIFICATE_TIME),
        (MockPck(not_after=NOW - timedelta(seconds=1)), Code.EVIDENCE_CERTIFICATE_TIME),
        (MockPck(subject=TCB_SIGNING_NAME), Code.EVIDENCE_CHAIN),
        (MockPck(issuer="Intel SGX Another CA"), Code.EVIDENCE_CHAIN),
        (MockPck(extension=b""), Code.CERTIFICATE_MALFORMED),
        (MockPck(extension=der.encode(Tag.SEQUENCE)), Code.CERTIFICATE_MALFORMED),
        (MockPck(extension=b"\x30\x01"), Code.DER_MALFORMED),
        (MockPck(ppid=bytes(15)), Code.CERTIFICATE_MALFORMED),
        (MockPck(fmspc=bytes(5)), Code.CERTIFICATE_MALFORMED),
        (MockPck(pce_svn=0x10000), Code.CERTIFICATE_MALFORMED),
        (MockPck(components=(1,) * 15), Code.CERTIFICATE_MALFORMED),
        (MockPck(sgx_type=3), Code.CERTIFICATE_MALFORMED),
        (MockPck(platform_instance_id=bytes(17)), Code.CERTIFICATE_MALFORMED),
    ],
    ids=[
        "not-yet-valid",
        "expired",
        "another-role",
        "another-authority",
        "no-extension",
        "empty-extension",
        "cut-extension",
        "short-ppid",
        "short-fmspc",
        "pce-svn-too-large",
        "a-component-less",
        "unknown-sgx-type",
        "long-instance-id",
    ],
)
def test_a_wrong_platform_certificate(pck: MockPck, code: Code) -> None:
    mock = mock_intel()
    wrong = mock.evidence(MockQuote(pck=pck))
    code_found = refusal(wrong, mock.endorsements(MockQuote()), NOW, anchors=mock.anchors())
    assert code_found is code


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_chain_has_three_certificates(count: int) -> None:
    mock = mock_intel()
    chain = (*mock.pck_chain(MockPck()), mock.root_certificate)[:count]
    with pytest.raises(SealtuneError) as caught:
        verify_pck_chain(chain, anchors=mock.anchors(), now=NOW)
    assert caught.value.code is Code.EVIDENCE_MALFORMED


def test_a_field_of_the_extension_twice() -> None:
    fields = der.read_element(pck_extension(MockPck()), tag=Tag.SEQUENCE).children()
    twice = der.encode(Tag.SEQUENCE, *(field.raw for field in (*fields, fields[0])))
    quote = MockQuote(pck=MockPck(extension=twice))
    mock = mock_intel()
    code = refusal(
        mock.evidence(quote), mock.endorsements(MockQuote()), NOW, anchors=mock.anchors()
    )
    assert code is Code.CERTIFICATE_MALFORMED


def spliced(quote: MockQuote, *, old: bytes, new: bytes) -> Evidence:
    """Evidence in which `new` stands for `old`, which has the same length."""
    data = mock_intel().quote(quote)
    assert data.count(old) == 1
    assert len(old) == len(new)
    return Evidence(kind=EvidenceKind.TDX, report=data.replace(old, new), certificates=())


def test_a_quoting_enclave_that_vouches_for_another_key() -> None:
    mock, quote = mock_intel(), MockQuote()
    other = mock.tcb_key.spki[-64:]
    given_ = spliced(quote, old=mock.attestation_key.spki[-64:], new=other)
    code = refusal(given_, mock.endorsements(quote), NOW, anchors=mock.anchors())
    assert code is Code.EVIDENCE_SIGNATURE


def test_an_attestation_key_that_the_enclave_vouches_for_but_is_none() -> None:
    mock, quote = mock_intel(), MockQuote()
    key, signed = bytes(64), signed_part(quote)
    binding = hashlib.sha256(key).digest().ljust(64, b"\0")
    qe = replace(mock_qe(is_td=True), report_data=binding).to_bytes()
    data = assemble_quote(
        signed,
        signature=raw_signature(mock.attestation_key, signed),
        key=key,
        qe=qe,
        qe_signature=raw_signature(mock.pck_key, qe),
        qe_auth_data=b"",
        chain=pem(*mock.pck_chain(quote.pck)).encode(),
        nested=True,
    )
    given_ = Evidence(kind=EvidenceKind.TDX, report=data, certificates=())
    code = refusal(given_, mock.endorsements(quote), NOW, anchors=mock.anchors())
    assert code is Code.EVIDENCE_SIGNATURE


# -- the quoting enclave ---------------------------------------------------------------------------


@both_tees
@pytest.mark.parametrize(
    "changes",
    [
        {"mr_signer": bytes(32)},
        {"isv_prod_id": 7},
        {"misc_select": 1},
        {"attributes": bytes.fromhex("1700000000000000e700000000000000")},
    ],
    ids=["mrsigner", "isvprodid", "miscselect", "debug-attribute"],
)
def test_another_quoting_enclave(quote: MockQuote, changes: dict[str, Any]) -> None:
    # CVE-2026-22696: a genuine platform runs anybody's enclaves.
    qe = replace(mock_qe(is_td=quote.is_td), **changes)
    assert mock_refusal(replace(quote, qe=qe)) is Code.EVIDENCE_QE


def test_bits_of_a_quoting_enclave_that_the_mask_leaves_out() -> None:
    qe = replace(mock_qe(is_td=True), attributes=bytes.fromhex("1500000000000000e7ff000000000000"))
    assert mock_authentic(MockQuote(qe=qe))


def test_an_old_quoting_enclave() -> None:
    qe = replace(mock_qe(is_td=True), isv_svn=3)
    old = qe_of(MockQuote(), tcbLevels=[isv_level(8), isv_level(3, status="OutOfDate")])
    claims = mock_authentic(MockQuote(qe=qe), qe_identity=old).claims
    assert claims.tcb["status"] == "OutOfDate"
    assert claims.tcb["platform"]["status"] == "UpToDate"
    assert mock_refusal(MockQuote(qe=qe)) is Code.EVIDENCE_TCB_LEVEL


# -- TCB levels ------------------------------------------------------------------------------------

STATUSES = (
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
)


@both_tees
@pytest.mark.parametrize("status", STATUSES)
def test_each_status_and_its_advisories_are_reported(quote: MockQuote, status: str) -> None:
    level = level_of(quote, status=status, advisories=("INTEL-SA-1", "INTEL-SA-2"))
    claims = mock_authentic(quote, tcb_info=info_of(quote, tcbLevels=[level])).claims
    assert claims.tcb["status"] == status
    assert claims.tcb["advisories"] == ["INTEL-SA-1", "INTEL-SA-2"]
    assert claims.fields["tcb_status"] == status


@both_tees
def test_a_revoked_tcb_is_refused_whatever_the_terms(quote: MockQuote) -> None:
    info = info_of(quote, tcbLevels=[level_of(quote, status="Revoked")])
    assert mock_refusal(quote, tcb_info=info) is Code.APPRAISAL_TCB_STATUS


@pytest.mark.parametrize(
    ("platform", "whole"),
    [
        ("UpToDate", "OutOfDate"),
        ("SWHardeningNeeded", "OutOfDate"),
        ("ConfigurationNeeded", "OutOfDateConfigurationNeeded"),
        ("ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"),
        ("OutOfDate", "OutOfDate"),
        ("OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"),
    ],
)
def test_an_outdated_module_makes_the_whole_outdated(platform: str, whole: str) -> None:
    quote = MockQuote()
    info = info_of(quote, tcbLevels=[level_of(quote, status=platform, advisories=("A",))])
    levels = [{**isv_level(5, status="OutOfDate"), "advisoryIDs": ["A", "B"]}]
    info["tdxModuleIdentities"][0]["tcbLevels"] = levels
    claims = mock_authentic(quote, tcb_info=info).claims
    assert claims.tcb["status"] == whole
    assert claims.tcb["advisories"] == ["A", "B"]
    assert claims.tcb["module"] == {"status": "OutOfDate", "date": "2026-03-01"}


NOT_OUTDATED = STATUSES[:4]
CONFIGURATION = frozenset({"ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"})


def launched_and_patched(
    launch: str, current: str, *, module: str = "UpToDate", qe: str = "UpToDate"
) -> tuple[MockQuote, dict[str, Any]]:
    """A trust domain of TDX 1.5 from before an update of its machine, and Intel's documents."""
    old, new = bytes((3, 1, 3)), bytes((5, 1, 5))
    body = MockTd(
        tee_tcb_svn=old.ljust(16, b"\0"),
        tee_tcb_svn2=new.ljust(16, b"\0"),
        mr_service_td=bytes(48),
    )
    quote = MockQuote(version=5, body=body)
    before = level_of(quote, status=launch)
    before["tcb"]["tdxtcbcomponents"][2] = {"svn": 3}
    info = info_of(quote, tcbLevels=[level_of(quote, status=current), before])
    identity = info["tdxModuleIdentities"][0]
    identity["tcbLevels"] = [isv_level(5, status=module), isv_level(3, status="OutOfDate")]
    return quote, {
        "tcb_info": info,
        "qe_identity": qe_of(quote, tcbLevels=[isv_level(8, status=qe)]),
    }


@pytest.mark.parametrize("launch", STATUSES)
@pytest.mark.parametrize("current", STATUSES)
def test_a_trust_domain_that_was_launched_before_an_update(launch: str, current: str) -> None:
    # dcap-qvl is asked the same each time, and has to agree.
    quote, parts = launched_and_patched(launch, current)
    claims = mock_authentic(quote, **parts).claims
    needs_configuration = "Configuration" in launch
    if current not in NOT_OUTDATED:
        expected = "OutOfDateConfigurationNeeded" if needs_configuration else "OutOfDate"
    elif needs_configuration or current in CONFIGURATION:
        expected = "TDRelaunchAdvisedConfigurationNeeded"
    else:
        expected = "TDRelaunchAdvised"
    assert claims.tcb["status"] == expected
    assert claims.tcb["current"] == current


@pytest.mark.parametrize("outdated", [{"module": "OutOfDate"}, {"qe": "OutOfDate"}])
def test_an_update_that_left_something_outdated(outdated: dict[str, str]) -> None:
    quote, parts = launched_and_patched("UpToDate", "UpToDate", **outdated)
    assert mock_authentic(quote, **parts).claims.tcb["status"] == "OutOfDate"


def test_a_current_tcb_that_no_level_covers_or_that_is_revoked() -> None:
    body = MockTd(tee_tcb_svn2=bytes((5, 1, 4)).ljust(16, b"\0"), mr_service_td=bytes(48))
    quote = MockQuote(version=5, body=body)
    assert mock_refusal(quote) is Code.EVIDENCE_TCB_LEVEL
    revoked = level_of(quote, status="Revoked")
    revoked["tcb"]["tdxtcbcomponents"][2] = {"svn": 4}
    info = info_of(quote, tcbLevels=[level_of(quote), revoked])
    assert mock_refusal(quote, tcb_info=info) is Code.APPRAISAL_TCB_STATUS


def test_a_trust_domain_that_is_up_to_date_on_an_outdated_current_tcb() -> None:
    body = MockTd(tee_tcb_svn2=bytes((5, 1, 4)).ljust(16, b"\0"), mr_service_td=bytes(48))
    quote = MockQuote(version=5, body=body)
    lower = level_of(quote, status="OutOfDate")
    lower["tcb"]["tdxtcbcomponents"][2] = {"svn": 4}
    claims = mock_authentic(
        quote, tcb_info=info_of(quote, tcbLevels=[level_of(quote), lower])
    ).claims
    assert (claims.tcb["status"], claims.tcb["current"]) == ("UpToDate", "OutOfDate")


@pytest.mark.parametrize("part", ["module", "qe"])
def test_a_revoked_part_revokes_the_whole(part: str) -> None:
    quote = MockQuote()
    info, identity = info_of(quote), qe_of(quote)
    target = info["tdxModuleIdentities"][0] if part == "module" else identity
    target["tcbLevels"] = [isv_level(5, status="Revoked")]
    code = mock_refusal(quote, tcb_info=info, qe_identity=identity)
    assert code is Code.APPRAISAL_TCB_STATUS


@both_tees
@pytest.mark.parametrize("index", range(16))
def test_a_component_below_every_level(quote: MockQuote, index: int) -> None:
    components = [5] * 16
    components[index] = 4
    # The others are far newer, which must not make up for it.
    components[(index + 1) % 16] = 255
    old = replace(quote, pck=replace(quote.pck, components=tuple(components)))
    assert mock_refusal(old, tcb_info=info_of(quote)) is Code.EVIDENCE_TCB_LEVEL
    lower = info_of(quote, tcbLevels=[level_of(quote), level_of(old, status="OutOfDate")])
    assert mock_authentic(old, tcb_info=lower).claims.tcb["status"] == "OutOfDate"


def test_a_pce_below_every_level() -> None:
    quote = MockQuote()
    old = replace(quote, pck=replace(quote.pck, pce_svn=10))
    assert mock_refusal(old, tcb_info=info_of(quote)) is Code.EVIDENCE_TCB_LEVEL


def with_svn(*svn: int) -> MockQuote:
    return MockQuote(body=MockTd(tee_tcb_svn=bytes(svn).ljust(16, b"\0")))


def test_tdx_components_of_a_1_0_module_are_all_compared() -> None:
    info = info_of(MockQuote())
    for level in info["tcbLevels"]:
        level["tcb"]["tdxtcbcomponents"][1]["svn"] = 0
    assert mock_authentic(with_svn(5, 0, 5), tcb_info=info)
    assert mock_refusal(with_svn(4, 0, 5), tcb_info=info) is Code.EVIDENCE_TCB_LEVEL
    assert mock_refusal(with_svn(5, 0, 4), tcb_info=info) is Code.EVIDENCE_TCB_LEVEL


def test_tdx_components_of_a_1_5_module_are_judged_by_its_own_identity() -> None:
    info = info_of(MockQuote())
    for level in info["tcbLevels"]:
        level["tcb"]["tdxtcbcomponents"][0]["svn"] = 9
    assert mock_authentic(with_svn(5, 1, 5), tcb_info=info)
    assert mock_refusal(with_svn(4, 1, 5), tcb_info=info) is Code.EVIDENCE_TCB_LEVEL
    assert mock_refusal(with_svn(5, 1, 4), tcb_info=info) is Code.EVIDENCE_TCB_LEVEL
    assert mock_refusal(with_svn(5, 2, 5), tcb_info=info) is Code.EVIDENCE_TCB_LEVEL


@pytest.mark.parametrize("svn", [(5, 1, 5), (5, 0, 5)], ids=["1.5", "1.0"])
@pytest.mark.parametrize(
    "changes",
    [{"mr_signer_seam": b"\1" * 48}, {"seam_attributes": b"\1" + bytes(7)}],
    ids=["signer", "attributes"],
)
def test_a_module_that_intel_did_not_sign(svn: tuple[int, ...], changes: dict[str, Any]) -> None:
    body = MockTd(tee_tcb_svn=bytes(svn).ljust(16, b"\0"), **changes)
    info = info_of(MockQuote())
    for level in info["tcbLevels"]:
        level["tcb"]["tdxtcbcomponents"][1]["svn"] = 0
    assert mock_refusal(MockQuote(body=body), tcb_info=info) is Code.EVIDENCE_TCB_LEVEL


# -- what no terms accept --------------------------------------------------------------------------

SEPT = 1 << 28


def td_with(attributes: int) -> MockQuote:
    return MockQuote(body=MockTd(td_attributes=attributes.to_bytes(8, "little")))


@pytest.mark.parametrize("bit", range(8))
def test_any_bit_of_the_debug_group_is_debug(bit: int) -> None:
    assert mock_refusal(td_with(SEPT | 1 << bit)) is Code.APPRAISAL_DEBUG


def test_a_debug_enclave() -> None:
    body = MockSgx(attributes=bytes.fromhex("0700000000000000e700000000000000"))
    assert mock_refusal(replace(SGX_QUOTE, body=body)) is Code.APPRAISAL_DEBUG


@pytest.mark.parametrize("bit", [8, 27, 29, 32, 62])
def test_an_attribute_that_is_not_known(bit: int) -> None:
    assert mock_refusal(td_with(SEPT | 1 << bit)) is Code.APPRAISAL_POLICY


@pytest.mark.parametrize("bit", [30, 31, 63])
def test_a_known_attribute_is_left_to_the_terms(bit: int) -> None:
    assert mock_authentic(td_with(SEPT | 1 << bit))


def test_a_trust_domain_without_sept_ve_disable() -> None:
    assert mock_refusal(td_with(0)) is Code.APPRAISAL_POLICY


def test_a_trust_domain_with_a_service_td() -> None:
    body = MockTd(mr_service_td=bytes(47) + b"\1")
    assert mock_refusal(MockQuote(version=5, body=body)) is Code.APPRAISAL_POLICY


# -- endorsements ----------------------------------------------------------------------------------


def crl(name: str, **dates: datetime) -> bytes:
    return mock_intel().crl(name, **dates)


SECOND = timedelta(seconds=1)
PLATFORM_CA = PckCa.PLATFORM.common_name


def dated(quote: MockQuote, part: str, *, since: datetime, until: datetime) -> dict[str, Any]:
    dates = {"issueDate": moment(since), "nextUpdate": moment(until)}
    if part == "tcb_info":
        return {part: info_of(quote, **dates)}
    if part == "qe_identity":
        return {part: qe_of(quote, **dates)}
    name = PLATFORM_CA if part == "pck_crl" else ROOT_NAME
    return {part: crl(name, since=since, until=until)}


@both_tees
@pytest.mark.parametrize("part", ["tcb_info", "qe_identity", "pck_crl", "root_crl"])
def test_each_document_has_its_window(quote: MockQuote, part: str) -> None:
    day = timedelta(days=1)
    inclusive = not part.endswith("crl")
    assert mock_authentic(quote, **dated(quote, part, since=NOW, until=NOW + day))
    later = dated(quote, part, since=NOW + SECOND, until=NOW + day)
    assert mock_refusal(quote, **later) is Code.ENDORSEMENT_STALE
    assert mock_authentic(quote, **dated(quote, part, since=NOW - day, until=NOW + SECOND))
    earlier = dated(quote, part, since=NOW - day, until=NOW - SECOND)
    assert mock_refusal(quote, **earlier) is Code.ENDORSEMENT_STALE
    exactly = dated(quote, part, since=NOW - day, until=NOW)
    if inclusive:
        assert mock_authentic(quote, **exactly)
    else:
        assert mock_refusal(quote, **exactly) is Code.ENDORSEMENT_STALE


def test_a_document_that_ended_before_another_began_is_mixed() -> None:
    quote = MockQuote()
    old = dated(quote, "tcb_info", since=NOW - timedelta(9), until=NOW - timedelta(8))
    assert mock_refusal(quote, **old) is Code.ENDORSEMENT_MISMATCH


def test_the_newest_evaluation_is_taken() -> None:
    mock, quote = mock_intel(), MockQuote()
    old = mock.endorsement(quote)
    level = level_of(quote, status="OutOfDate")
    newer = info_of(quote, tcbEvaluationDataNumber=21, tcbLevels=[level])
    new = mock.endorsement(quote, tcb_info=newer)
    for order in ((old, new), (new, old)):
        claims = authentic(
            mock.evidence(quote), dcap_endorsements(*order), NOW, anchors=mock.anchors()
        ).claims
        assert claims.tcb["evaluation"] == 21
        assert claims.tcb["status"] == "OutOfDate"


@each_quote
def test_without_endorsements_nothing_is_authentic(quote: MockQuote) -> None:
    mock = mock_intel()
    code = refusal(mock.evidence(quote), NO_ENDORSEMENTS, NOW, anchors=mock.anchors())
    assert code is Code.ENDORSEMENT_MISSING


def test_another_pce_is_another_platform() -> None:
    quote = MockQuote()
    info = info_of(quote, pceId="0001")
    assert mock_refusal(quote, tcb_info=info) is Code.ENDORSEMENT_MISMATCH


@pytest.mark.parametrize(
    "changes",
    [
        {"tcbLevels": []},
        {"tcbEvaluationDataNumber": 3},
    ],
    ids=["no-level", "an-old-evaluation"],
)
def test_tcb_info_that_says_less(changes: dict[str, Any]) -> None:
    quote = MockQuote()
    parts = {"tcb_info": info_of(quote, **changes)}
    if "tcbLevels" in changes:
        assert mock_refusal(quote, **parts) is Code.EVIDENCE_TCB_LEVEL
    else:
        assert detail_of(quote, **parts).evaluation == 3


# -- the second opinion ----------------------------------------------------------------------------


class OtherMind:
    """Stands for dcap-qvl: accepts everything, and says what it is told to say."""

    def __init__(self, status: str, advisories: list[str]) -> None:
        self._tcb = {"status": status, "advisory_ids": advisories}

    def __call__(self, _root: bytes) -> OtherMind:
        return self

    def verify_with_policy(self, *_arguments: object) -> OtherMind:
        return self

    def to_json(self) -> str:
        return json.dumps({"tcb": self._tcb})


@pytest.mark.parametrize(
    ("status", "advisories", "code"),
    [
        ("UpToDate", [], None),
        ("OutOfDate", [], Code.EVIDENCE_TCB_LEVEL),
        ("UpToDate", ["INTEL-SA-1"], Code.EVIDENCE_TCB_LEVEL),
    ],
    ids=["the-same", "another-status", "another-advisory"],
)
def test_two_verifiers_must_judge_alike(
    monkeypatch: pytest.MonkeyPatch, status: str, advisories: list[str], code: Code | None
) -> None:
    monkeypatch.setattr(dcap_library.dcap_qvl, "QuoteVerifier", OtherMind(status, advisories))
    if code is None:
        assert mock_authentic(MockQuote())
    else:
        assert mock_refusal(MockQuote()) is code


def test_a_refusal_by_the_library_alone_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(OtherMind):
        def verify_with_policy(self, *_arguments: object) -> OtherMind:
            raise ValueError("its text never decides")

    monkeypatch.setattr(dcap_library.dcap_qvl, "QuoteVerifier", Refusing("", []))
    assert mock_refusal(MockQuote()) is Code.EVIDENCE_SIGNATURE


@pytest.fixture
def agreeing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library accepts everything, so that our own checks stand alone."""
    monkeypatch.setattr(dcap_library.dcap_qvl, "QuoteVerifier", OtherMind("UpToDate", []))


def forged(**changes: bytes) -> Evidence:
    """A mock quote that its parts were put together for, with some of them replaced."""
    mock, quote = mock_intel(), MockQuote()
    signed = signed_part(quote)
    key = mock.attestation_key.spki[-64:]
    binding = hashlib.sha256(key + b"auth").digest().ljust(64, b"\0")
    qe = changes.pop("qe", replace(mock_qe(is_td=True), report_data=binding).to_bytes())
    fields = {
        "signature": raw_signature(mock.attestation_key, signed),
        "key": key,
        "qe": qe,
        "qe_signature": raw_signature(mock.pck_key, qe),
        "qe_auth_data": b"auth",
        "chain": pem(*mock.pck_chain(quote.pck)).encode(),
        **changes,
    }
    data = assemble_quote(signed, nested=True, **fields)
    return Evidence(kind=EvidenceKind.TDX, report=data, certificates=())


def alone(given_: Evidence) -> Code | None:
    mock = mock_intel()
    try:
        authentic(given_, mock.endorsements(MockQuote()), NOW, anchors=mock.anchors())
    except SealtuneError as refused:
        return refused.code
    return None


@pytest.mark.usefixtures("agreeing")
def test_our_own_checks_of_each_signature_need_no_second_opinion() -> None:
    mock = mock_intel()
    assert alone(forged()) is None
    other = mock.tcb_key
    signed = signed_part(MockQuote())
    bound = hashlib.sha256(mock.attestation_key.spki[-64:] + b"auth").digest()
    tail = replace(mock_qe(is_td=True), report_data=bound + bytes(31) + b"\1").to_bytes()
    attempts = {
        # Somebody's own key over a body of their choice, beside a genuine quoting enclave.
        "a-key-of-ones-own": forged(key=other.spki[-64:], signature=raw_signature(other, signed)),
        "another-body": forged(signature=raw_signature(mock.attestation_key, signed + b"\0")),
        "a-report-the-pck-did-not-sign": forged(
            qe_signature=raw_signature(other, mock_qe(is_td=True).to_bytes())
        ),
        "other-auth-data": forged(qe_auth_data=b"other"),
        "more-in-the-report-data": forged(qe=tail),
    }
    assert {name: alone(given_) for name, given_ in attempts.items()} == dict.fromkeys(
        attempts, Code.EVIDENCE_SIGNATURE
    )


@pytest.mark.usefixtures("agreeing")
@both_tees
def test_our_own_checks_of_everything_else_need_no_second_opinion(quote: MockQuote) -> None:
    mock = mock_intel()
    revoked = mock.crl(quote.pck.ca.common_name, revoked=(quote.pck.serial,))
    assert mock_refusal(quote, pck_crl=revoked) is Code.EVIDENCE_REVOKED
    qe = replace(mock_qe(is_td=quote.is_td), mr_signer=bytes(32))
    assert mock_refusal(replace(quote, qe=qe)) is Code.EVIDENCE_QE
    old = replace(quote, pck=replace(quote.pck, pce_svn=10))
    assert mock_refusal(old, tcb_info=info_of(quote)) is Code.EVIDENCE_TCB_LEVEL
    stale = dated(quote, "qe_identity", since=NOW - timedelta(9), until=NOW - SECOND)
    assert mock_refusal(quote, **stale) is Code.ENDORSEMENT_STALE


# -- form ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quote", "kind", "changes", "code"),
    [
        (MockQuote(), "tdx", {"certificates": (b"0",)}, Code.EVIDENCE_MALFORMED),
        (MockQuote(), "tdx", {"parts": {"td_quote": b""}}, Code.EVIDENCE_MALFORMED),
        (SGX_QUOTE, "sgx", {"parts": {"event_log": b"[]"}}, Code.EVIDENCE_MALFORMED),
        (MockQuote(), "sgx", {}, Code.EVIDENCE_KIND),
        (SGX_QUOTE, "tdx", {}, Code.EVIDENCE_KIND),
    ],
    ids=["certificates", "another-part", "log-of-an-enclave", "td-as-enclave", "enclave-as-td"],
)
def test_evidence_of_another_form(
    quote: MockQuote, kind: str, changes: dict[str, Any], code: Code
) -> None:
    mock = mock_intel()
    form: dict[str, Any] = {"certificates": (), **changes}
    given_ = Evidence(kind=EvidenceKind(kind), report=mock.quote(quote), **form)
    assert refusal(given_, mock.endorsements(quote), NOW, anchors=mock.anchors()) is code


@cache
def quote_bytes(name: str) -> bytes:
    return mock_intel().quote(QUOTES[name])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["sgx-v3", "tdx-v4", "tdx-v5-td15"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_a_changed_quote_raises_only_our_errors(name: str, changes: list[tuple[int, int]]) -> None:
    mock, quote = mock_intel(), QUOTES[name]
    changed = bytearray(quote_bytes(name))
    for offset, value in changes:
        changed[offset] = value
    kind = EvidenceKind.TDX if quote.is_td else EvidenceKind.SGX
    given_ = Evidence(kind=kind, report=bytes(changed), certificates=())
    try:
        result = authentic(given_, mock.endorsements(quote), NOW, anchors=mock.anchors())
    except SealtuneError:
        return
    # Nothing but white space in the chain's text may have changed.
    assert bytes(changed).split() == quote_bytes(name).split()
    assert result.freshness == bytes(64)
