"""Intel's documents as one set: composed byte by byte, read strictly."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.dcap import (
    NOW,
    at,
    authentic,
    edited,
    evidence,
    mock_intel,
    recorded_bytes,
    refusal,
)
from sealtune.attestation.dcap_endorsements import compose_dcap, parse_dcap
from sealtune.attestation.dcap_pck import ROOT_NAME, PckCa
from sealtune.attestation.dcap_quote import Tee
from sealtune.attestation.dcap_tcb import parse_qe_identity, parse_tcb_info
from sealtune.crypto.ecdsa import P256Key
from sealtune.crypto.x509_builder import CertificateFields, build_certificate
from sealtune.errors import Code, SealtuneError
from sealtune.testing.mock_intel import (
    MockIntel,
    MockPck,
    MockQuote,
    dcap_endorsements,
    isv_level,
    pem,
    raw_signature,
    tcb_level,
)

QUOTE = MockQuote()
CA = PckCa.PLATFORM.common_name


def code_of(data: bytes) -> Code:
    with pytest.raises(SealtuneError) as refused:
        parse_dcap(data)
    return refused.value.code


@pytest.fixture(scope="module")
def document() -> bytes:
    return mock_intel().endorsement(QUOTE)


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


# -- composing -------------------------------------------------------------------------------------


def pieces(**changes: bytes) -> dict[str, bytes]:
    """What a PCS answers for the mock's platform."""
    mock = mock_intel()
    signing = pem(mock.tcb_signing, mock.root_certificate).encode()
    authority = mock.authority(CA, mock.ca_keys[PckCa.PLATFORM])
    return {
        "tcb_info": mock.signed_body("tcbInfo", mock.tcb_info(QUOTE.pck, is_td=True)),
        "tcb_info_issuer_chain": signing,
        "qe_identity": mock.signed_body("enclaveIdentity", mock.qe_identity(is_td=True)),
        "qe_identity_issuer_chain": signing,
        "pck_crl": mock.crl(CA),
        "pck_crl_issuer_chain": pem(authority, mock.root_certificate).encode(),
        "root_ca_crl": mock.crl(ROOT_NAME),
        **changes,
    }


def composing(**changes: bytes) -> Code:
    with pytest.raises(SealtuneError) as refused:
        compose_dcap(**pieces(**changes))
    return refused.value.code


@pytest.mark.parametrize(
    ("folder_name", "files", "quote", "seconds"),
    [
        (
            "ars-2026-03",
            (
                "tcb_info_90c06f000000.json",
                "tcb_signing_chain.pem",
                "td_qe_identity.json",
                "qe_identity_signing_chain.pem",
                "pck_crl_platform.der",
                "root_ca_crl.der",
            ),
            "tdx/dstack/quote-report.quote.bin",
            1774995607,
        ),
        (
            "automata",
            (
                "1025_tcb_info.json",
                "signing.der root.der",
                "1025_identity.json",
                "signing.der root.der",
                "1025_pck_crl.der",
                "intel_root_ca_crl.der",
            ),
            "tdx/gtg-ccel/cos-113-tdx-quote.dat",
            1761920231,
        ),
    ],
    ids=["ars-2026-03", "automata-2025-10"],
)
def test_a_set_is_composed_from_recorded_answers(
    folder: Path, folder_name: str, files: tuple[str, ...], quote: str, seconds: int
) -> None:
    collateral = folder / "intel-collateral" / folder_name

    def read(names: str) -> bytes:
        data = [(collateral / name).read_bytes() for name in names.split()]
        return pem(*data).encode() if len(data) > 1 else data[0]

    info, info_chain, identity, identity_chain, pck_crl, root_crl = map(read, files)
    automata = folder / "intel-collateral" / "automata"
    authority = [(automata / name).read_bytes() for name in ("platform.der", "root.der")]
    data = compose_dcap(
        tcb_info=info,
        tcb_info_issuer_chain=info_chain,
        qe_identity=identity,
        qe_identity_issuer_chain=identity_chain,
        pck_crl=pck_crl,
        pck_crl_issuer_chain=pem(*authority).encode(),
        root_ca_crl=root_crl,
    )
    # The signed text stands in the answer as it stands in the set.
    assert json.loads(data)["tcb_info"].encode() in info
    given_ = evidence("tdx", recorded_bytes(folder, quote))
    assert authentic(given_, dcap_endorsements(data), at(seconds))


def test_what_was_composed_says_what_it_is_for() -> None:
    found = parse_dcap(compose_dcap(**pieces()))
    assert (found.tee, found.fmspc, found.ca) == (Tee.TDX, QUOTE.pck.fmspc, PckCa.PLATFORM)
    assert found.since == NOW - timedelta(days=2)
    assert found.until == NOW + timedelta(days=28)
    assert str(found) == "TDX endorsement for FMSPC 00806F050000, platform CA"


def test_white_space_around_the_members_is_no_part_of_them() -> None:
    body = pieces()["tcb_info"]
    value = json.loads(body)
    start = body.index(b'{"id"')
    signed = body[start : body.rindex(b',"signature"')]
    spaced = (
        b' {\n "tcbInfo" : '
        + signed
        + b' ,\t"signature" : "%s" }\r\n' % (value["signature"].encode())
    )
    assert json.loads(compose_dcap(**pieces(tcb_info=spaced)))["tcb_info"].encode() == signed


BODY_SIGNATURE = "0" * 128


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"tcbInfo":{}}',
        b'{"tcbInfo":{},"signature":"00"}',
        f'{{"tcbInfo":{{}},"signature":"{BODY_SIGNATURE}"}}'.encode(),
        f'{{"signature":"{BODY_SIGNATURE}","tcbInfo":{{}}}}'.encode(),
        f'{{"tcbInfo":{{}},"more":1,"signature":"{BODY_SIGNATURE}"}}'.encode(),
        f'{{"tcbInfo":{{}},"signature":"{BODY_SIGNATURE}","more":1}}'.encode(),
        f'{{"enclaveIdentity":{{}},"signature":"{BODY_SIGNATURE}"}}'.encode(),
        f'{{"tcbInfo":{{"a":1,"a":2}},"signature":"{BODY_SIGNATURE}"}}'.encode(),
        b'{"tcbInfo":' + b"[" * 5000,
        b'{"tcbInfo":"\xff"}',
        b'{"tcbInfo":{}}' + b" " * 64 * 1024,
        b"<html>404 not found</html>",
    ],
    ids=[
        "empty",
        "a-list",
        "no-member",
        "no-signature",
        "short-signature",
        "no-tcb-info",
        "signature-first",
        "a-member-between",
        "a-member-after",
        "another-document",
        "a-name-twice",
        "deep",
        "not-utf-8",
        "too-large",
        "another-page",
    ],
)
def test_an_answer_that_is_none(body: bytes) -> None:
    assert composing(tcb_info=body) in (
        Code.ENDORSEMENT_MALFORMED,
        Code.JSON_MALFORMED,
        Code.LIMIT_EXCEEDED,
    )


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("tcb_info_issuer_chain", b"\xff", Code.ENDORSEMENT_MALFORMED),
        ("tcb_info_issuer_chain", b"", Code.ENDORSEMENT_MALFORMED),
        ("pck_crl", b"", Code.ENDORSEMENT_MALFORMED),
        ("pck_crl", b"404", Code.ENDORSEMENT_MALFORMED),
        ("root_ca_crl", b"\x30\x00", Code.ENDORSEMENT_MALFORMED),
    ],
    ids=["chain-no-ascii", "chain-empty", "crl-empty", "crl-text", "root-crl-empty"],
)
def test_a_part_that_cannot_be_read(name: str, value: bytes, code: Code) -> None:
    assert composing(**{name: value}) is code


def test_parts_that_do_not_belong_together_are_not_composed() -> None:
    mock = mock_intel()
    forged = pieces()["tcb_info"].replace(b'"tcbType":0', b'"tcbType":1')
    assert composing(tcb_info=forged) is Code.ENDORSEMENT_SIGNATURE
    enclave = mock.signed_body("enclaveIdentity", mock.qe_identity(is_td=False))
    assert composing(qe_identity=enclave) is Code.ENDORSEMENT_MISMATCH


def test_a_chain_whose_root_only_has_the_name() -> None:
    mock = mock_intel()
    fields = CertificateFields(
        serial=1,
        issuer=(("2.5.4.3", "Another Root"),),
        subject=(("2.5.4.3", "Another Root"),),
        not_before=NOW,
        not_after=NOW,
        spki=mock.root_key.spki,
        extensions={},
    )
    other = build_certificate(fields, key=mock.root_key)
    chain = pem(mock.tcb_signing, other).encode()
    assert composing(tcb_info_issuer_chain=chain) is Code.ENDORSEMENT_SIGNATURE


def test_a_signer_that_the_root_did_not_issue() -> None:
    mock = mock_intel()
    leaf = mock.pck_chain(MockPck())[0]
    for chain in ((leaf, mock.root_certificate), (mock.tcb_signing, leaf)):
        code = composing(qe_identity_issuer_chain=pem(*chain).encode())
        assert code is Code.ENDORSEMENT_SIGNATURE


def signed_by(key: P256Key, *chain: bytes) -> dict[str, bytes]:
    """TCB info that says what the real one does, with another signature and signer."""
    value = json.loads(pieces()["tcb_info"])["tcbInfo"]
    text = json.dumps(value, separators=(",", ":"))
    signature = raw_signature(key, text.encode()).hex()
    return {
        "tcb_info": f'{{"tcbInfo":{text},"signature":"{signature}"}}'.encode(),
        "tcb_info_issuer_chain": pem(*chain).encode(),
    }


def test_a_signer_with_the_right_name_that_another_root_issued() -> None:
    mock, forger = mock_intel(), MockIntel(now=NOW)
    assert compose_dcap(
        **pieces(**signed_by(mock.tcb_key, mock.tcb_signing, mock.root_certificate))
    )
    forged = signed_by(forger.tcb_key, forger.tcb_signing, mock.root_certificate)
    assert composing(**forged) is Code.ENDORSEMENT_SIGNATURE
    # A set that is consistently somebody else's is refused when it meets the quote's root.
    other = signed_by(forger.tcb_key, forger.tcb_signing, forger.root_certificate)
    data = compose_dcap(**pieces(**other))
    code = refusal(mock.evidence(QUOTE), dcap_endorsements(data), NOW, anchors=mock.anchors())
    assert code is Code.EVIDENCE_ROOT


def test_an_authority_for_platforms_does_not_judge_them() -> None:
    mock = mock_intel()
    key = mock.ca_keys[PckCa.PLATFORM]
    signed = signed_by(key, mock.authority(CA, key), mock.root_certificate)
    assert composing(**signed) is Code.ENDORSEMENT_SIGNATURE


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"more": "1"},
        {"tcb_info": None},
        {"tcb_info": 7},
        {"pck_crl": "zz"},
        {"tcb_info_signature": "00"},
        {"tcb_info": "[]"},
        {"tcb_info": "\ud800"},
        {"pck_crl_issuer_chain": "text"},
        {"pck_crl_issuer_chain": "\ud800"},
    ],
    ids=[
        "a-member-more",
        "a-member-less",
        "no-text",
        "no-hexadecimal",
        "short-signature",
        "a-list",
        "half-a-character",
        "no-pem",
        "half-a-character-in-pem",
    ],
)
def test_a_set_of_another_form(document: bytes, changes: dict[str, Any]) -> None:
    value = {**json.loads(document), **changes}
    data = json.dumps({name: member for name, member in value.items() if member is not None})
    assert code_of(data.encode()) is Code.ENDORSEMENT_MALFORMED


def test_the_chain_that_dcap_qvl_adds_is_passed_over(document: bytes) -> None:
    value = {**json.loads(document), "pck_certificate_chain": None}
    assert parse_dcap(json.dumps(value).encode()) == parse_dcap(document)


@pytest.mark.parametrize("count", [1, 3])
def test_an_issuer_chain_has_two_certificates(document: bytes, count: int) -> None:
    mock = mock_intel()
    chain = pem(*([mock.tcb_signing] + [mock.root_certificate] * 2)[:count])
    value = {**json.loads(document), "tcb_info_issuer_chain": chain}
    assert code_of(json.dumps(value).encode()) is Code.ENDORSEMENT_MALFORMED


def test_a_revocation_list_of_neither_authority(document: bytes) -> None:
    mock = mock_intel()
    chain = pem(mock.tcb_signing, mock.root_certificate)
    value = {**json.loads(document), "pck_crl_issuer_chain": chain}
    assert code_of(json.dumps(value).encode()) is Code.ENDORSEMENT_MALFORMED


def test_a_set_beyond_its_bound(document: bytes) -> None:
    assert code_of(document + b" " * 128 * 1024) is Code.LIMIT_EXCEEDED


def tcb_info(**changes: Any) -> bytes:
    value = {**mock_intel().tcb_info(QUOTE.pck, is_td=True), **changes}
    kept = {name: member for name, member in value.items() if member is not None}
    return json.dumps(kept).encode()


def one_level(**changes: Any) -> dict[str, Any]:
    level = tcb_level(QUOTE.pck, is_td=True)
    return {"tcbLevels": [{**level, **changes}]}


def components(name: str, value: Any) -> dict[str, Any]:
    tcb = {**tcb_level(QUOTE.pck, is_td=True)["tcb"], name: value}
    return one_level(tcb=tcb)


MODULE = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "QE"},
        {"id": None},
        {"version": 2},
        {"version": True},
        {"version": "3"},
        {"issueDate": "2026-01-01"},
        {"issueDate": "2026-02-30T00:00:00Z"},
        {"nextUpdate": 7},
        {"fmspc": "00"},
        {"fmspc": "zz" * 6},
        {"fmspc": "00 00 00 00 00 00"},
        {"pceId": None},
        {"tcbEvaluationDataNumber": -1},
        {"tcbEvaluationDataNumber": 1.5},
        {"tdxModule": None},
        {"tdxModule": {**MODULE, "mrsigner": "00"}},
        {"tdxModuleIdentities": {}},
        {"tdxModuleIdentities": [{**MODULE, "id": "TDX_01"}]},
        {"tcbLevels": None},
        {"tcbLevels": 7},
        {"tcbLevels": [7]},
        {"tcbLevels": [tcb_level(QUOTE.pck, is_td=True)] * 65},
        one_level(tcbStatus="Fine"),
        one_level(tcbStatus="TDRelaunchAdvised"),
        one_level(tcbDate=""),
        one_level(advisoryIDs="INTEL-SA-1"),
        one_level(advisoryIDs=[7]),
        one_level(advisoryIDs=["A"] * 257),
        components("sgxtcbcomponents", [{"svn": 1}] * 15),
        components("tdxtcbcomponents", None),
        components("sgxtcbcomponents", [{"svn": -1}] * 16),
        components("pcesvn", "11"),
    ],
)
def test_tcb_info_of_another_form(changes: dict[str, Any]) -> None:
    assert parse_tcb_info(tcb_info())
    with pytest.raises(SealtuneError) as refused:
        parse_tcb_info(tcb_info(**changes))
    assert refused.value.code is Code.ENDORSEMENT_MALFORMED


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "TDX"},
        {"version": 3},
        {"miscselect": "00"},
        {"attributesMask": "FF"},
        {"mrsigner": "00"},
        {"isvprodid": "1"},
        {"tcbLevels": [{"tcbStatus": "UpToDate"}]},
        {"tcbLevels": [isv_level(1, status="SWHardeningNeeded")]},
        {"tcbLevels": [isv_level(1, status="ConfigurationNeeded")]},
    ],
)
def test_a_qe_identity_of_another_form(changes: dict[str, Any]) -> None:
    with pytest.raises(SealtuneError) as refused:
        parse_qe_identity(json.dumps(mock_intel().qe_identity(is_td=True, **changes)).encode())
    assert refused.value.code is Code.ENDORSEMENT_MALFORMED


def test_members_that_intel_adds_are_passed_over() -> None:
    assert parse_tcb_info(tcb_info(news={"a": [1]})) == parse_tcb_info(tcb_info())


def test_tcb_info_of_tdx_1_0_names_no_module_by_version() -> None:
    assert len(parse_tcb_info(tcb_info(tdxModuleIdentities=None)).modules) == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_changed_set_raises_only_our_errors(
    document: bytes, changes: list[tuple[int, int]]
) -> None:
    changed = bytearray(document)
    for offset, value in changes:
        changed[offset] = value
    try:
        parse_dcap(bytes(changed))
    except SealtuneError:
        pass


# -- whose they are --------------------------------------------------------------------------------


def test_a_list_of_an_authority_that_only_has_the_same_name(document: bytes) -> None:
    mock, other = mock_intel(), MockIntel(now=NOW)
    # Another authority with this name under the same root: a renewed key, or a mistake.
    other.root_key = mock.root_key
    authority = other.authority(CA, other.ca_keys[PckCa.PLATFORM])
    changed = edited(
        document,
        pck_crl=other.crl(CA).hex(),
        pck_crl_issuer_chain=pem(authority, mock.root_certificate),
    )
    code = refusal(mock.evidence(QUOTE), changed, NOW, anchors=mock.anchors())
    assert code is Code.ENDORSEMENT_MISMATCH


def test_the_other_authoritys_platform_needs_its_own_set(document: bytes) -> None:
    mock = mock_intel()
    quote = replace(QUOTE, pck=MockPck(ca=PckCa.PROCESSOR))
    given_ = mock.evidence(quote)
    code = refusal(given_, dcap_endorsements(document), NOW, anchors=mock.anchors())
    assert code is Code.ENDORSEMENT_MISMATCH
    both = dcap_endorsements(document, mock.endorsement(quote))
    assert authentic(given_, both, NOW, anchors=mock.anchors())
