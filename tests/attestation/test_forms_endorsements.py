"""Endorsements in files as vendors and tools serve them (spec/attestation §17.4)."""

from __future__ import annotations

import base64
import dataclasses
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.dcap_endorsements import parse_dcap
from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.forms.endorsement_files import (
    is_endorsement,
    read_endorsements,
    read_evidence_endorsements,
)
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import authenticate_evidence
from sealtune.core.limits import ENDORSEMENT_BYTES_MAX
from sealtune.errors import Code, FormatError, SealtuneError
from sealtune.testing.mock_amd import MockAmd, MockVek
from sealtune.testing.mock_intel import SGX_QUOTE, MockIntel, MockQuote, pem
from sealtune.testing.mock_nvidia import MockDevice, MockNvidia, MockRim

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CERTIFICATE, CRL = EndorsementType.X509_CERTIFICATE, EndorsementType.X509_CRL


@cache
def intel() -> MockIntel:
    return MockIntel(now=NOW)


@cache
def nvidia() -> MockNvidia:
    return MockNvidia(now=NOW)


def read(*files: bytes, chain: tuple[bytes, ...] = ()) -> Endorsements:
    named = [(f"file{number}", data) for number, data in enumerate(files)]
    return read_endorsements(named, chain=chain)


def refusal(*files: bytes) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read(*files)
    return caught.value


def pem_crl(data: bytes) -> bytes:
    text = base64.encodebytes(data)
    return b"-----BEGIN X509 CRL-----\n" + text + b"-----END X509 CRL-----\n"


# -- certificates, lists, RIM, OCSP ----------------------------------------------------------------


def test_certificates_in_every_spelling(mock_amd: MockAmd) -> None:
    vcek, ask, ark = mock_amd.chain(MockVek())
    found = read(pem(ask, ark).encode(), vcek, ask.hex().encode(), base64.b64encode(ark))
    assert found.of(CERTIFICATE) == (ask, ark, vcek)  # each once
    assert not found.of(CRL)


def test_revocation_lists(mock_amd: MockAmd) -> None:
    data = mock_amd.revocation_list(7)
    assert read(data).of(CRL) == (data,)
    ark = mock_amd.chain(MockVek())[2]
    mixed = read(pem(ark).encode() + pem_crl(data))
    assert (mixed.of(CERTIFICATE), mixed.of(CRL)) == ((ark,), (data,))


def test_responses_and_reference_values() -> None:
    mock = nvidia()
    response = mock.ocsp(MockDevice(), 1)
    assert read(response).of(EndorsementType.OCSP) == (response,)
    rim = mock.rim(MockRim())
    assert read(rim).of(EndorsementType.NVIDIA_RIM) == (rim,)
    served = json.dumps({"id": "NV_GPU", "sha256": "", "rim": base64.b64encode(rim).decode()})
    assert read(served.encode()).of(EndorsementType.NVIDIA_RIM) == (rim,)


def test_files_of_a_brokers_folder(mock_amd: MockAmd) -> None:
    ark = mock_amd.chain(MockVek())[2]
    document = intel().endorsement(MockQuote())
    files = [
        json.dumps(
            {
                "format": "sealtune-endorsement/1",
                "checksum": "of no importance here",
                "item": {"data": base64.urlsafe_b64encode(data).decode().rstrip("=")},
            }
        ).encode()
        for data in (ark, document)
    ]
    found = read(*files)
    assert (found.of(CERTIFICATE), found.of(EndorsementType.DCAP)) == ((ark,), (document,))


@pytest.mark.parametrize("item", [None, 5, {}, {"data": 5}, {"data": "!"}, {"data": ""}])
def test_files_of_a_brokers_folder_that_are_damaged(item: object) -> None:
    data = json.dumps({"format": "sealtune-endorsement/1", "item": item}).encode()
    assert refusal(data).code is Code.ENDORSEMENT_MALFORMED
    assert not is_endorsement(data)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\0", b"text", b"{}", b"[]", b'{"rim": 5}', b'{"rim": "!"}'),
        *(b'{"tcb_info": 1, "qe_identity": 2}', b"\x30\x03\x02\x01\x05"),
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nA=AA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ],
)
def test_what_is_no_endorsement(data: bytes) -> None:
    assert refusal(data).code is Code.ENDORSEMENT_MALFORMED
    assert "file0" in refusal(data).message or data.startswith(b'{"tcb')
    assert not is_endorsement(data)


def test_json_that_is_none_names_the_file() -> None:
    assert refusal(b"{nothing").code is Code.JSON_MALFORMED
    assert not is_endorsement(b"{nothing")


def test_evidence_is_no_endorsement(mock_amd: MockAmd) -> None:
    # A quote has certificates in PEM inside, and is no file of certificates for that.
    for evidence in (intel().evidence(MockQuote()), mock_amd.evidence()):
        assert not is_endorsement(evidence.report)
        assert not is_endorsement(json.dumps(evidence.to_dict()).encode())


def test_size_is_looked_at_first(mock_amd: MockAmd) -> None:
    ark = pem(mock_amd.chain(MockVek())[2]).encode()
    large = ark + b"\n" * ENDORSEMENT_BYTES_MAX
    assert refusal(large).code is Code.LIMIT_EXCEEDED
    assert not is_endorsement(large)
    assert is_endorsement(ark)


# -- Intel's pieces --------------------------------------------------------------------------------


def pieces(quote: MockQuote) -> tuple[bytes, ...]:
    """What Intel's service answers with for the platform of `quote`, each in a file."""
    mock, is_td, ca = intel(), quote.is_td, quote.pck.ca.common_name
    return (
        mock.signed_body("tcbInfo", mock.tcb_info(quote.pck, is_td=is_td)),
        mock.signed_body("enclaveIdentity", mock.qe_identity(is_td=is_td)),
        pem(mock.tcb_signing, mock.root_certificate).encode(),
        mock.crl(ca),
        mock.crl("Intel SGX Root CA"),
    )


@pytest.mark.parametrize("quote", [MockQuote(), SGX_QUOTE], ids=["tdx", "sgx"])
def test_pieces_and_a_quote_make_a_set(quote: MockQuote) -> None:
    # The issuer of the platform's certificate is in no file, but in the quote.
    evidence = intel().evidence(quote)
    named = [(f"piece{number}", data) for number, data in enumerate(pieces(quote))]
    endorsements = read_evidence_endorsements(named, evidence=(evidence,))
    (document,) = endorsements.of(EndorsementType.DCAP)
    assert parse_dcap(document).fmspc == quote.pck.fmspc
    authentic = authenticate_evidence(
        evidence, anchors=intel().anchors(), endorsements=endorsements, now=NOW, steps=Steps()
    )
    assert authentic.claims.tcb["status"] == "UpToDate"


@pytest.mark.parametrize("missing", range(5))
def test_a_piece_that_is_missing_makes_none(missing: int) -> None:
    quote = MockQuote()
    kept = [data for number, data in enumerate(pieces(quote)) if number != missing]
    named = [(str(number), data) for number, data in enumerate(kept)]
    found = read_evidence_endorsements(named, evidence=(intel().evidence(quote),))
    # The root, the signing certificate's issuer, is in the quote; that certificate is not.
    assert not found.of(EndorsementType.DCAP)


def test_documents_of_one_time_are_joined() -> None:
    quote, mock = MockQuote(), intel()
    earlier = MockIntel(now=NOW - timedelta(days=60))
    old_identity = mock.signed_body("enclaveIdentity", earlier.qe_identity(is_td=True))
    old_info = mock.signed_body("tcbInfo", earlier.tcb_info(quote.pck, is_td=True))
    evidence = mock.evidence(quote)
    files = [(str(n), data) for n, data in enumerate((old_info, old_identity, *pieces(quote)))]
    found = read_evidence_endorsements(files, evidence=(evidence,))
    # The earlier ones do not go with today's revocation lists, and are left out.
    (document,) = found.of(EndorsementType.DCAP)
    one = parse_dcap(document)
    assert one.tcb_info.validity.issued == one.qe_identity.validity.issued
    authenticate_evidence(
        evidence, anchors=mock.anchors(), endorsements=found, now=NOW, steps=Steps()
    )


def test_identities_of_the_other_tee_are_not_joined() -> None:
    quote, mock = MockQuote(), intel()
    sgx = mock.signed_body("enclaveIdentity", mock.qe_identity(is_td=False))
    files = [data for number, data in enumerate(pieces(quote)) if number != 1]
    named = [(str(number), data) for number, data in enumerate((sgx, *files))]
    found = read_evidence_endorsements(named, evidence=(mock.evidence(quote),))
    assert not found.of(EndorsementType.DCAP)


def test_a_whole_set_is_taken_as_it_is() -> None:
    document = intel().endorsement(MockQuote())
    assert read(document).of(EndorsementType.DCAP) == (document,)


def test_a_piece_that_cannot_be_read_is_refused_where_nothing_else_helps() -> None:
    quote, mock = MockQuote(), intel()
    broken = mock.signed_body("tcbInfo", {"id": "TDX"})
    rest = pieces(quote)[1:]
    named = [(str(number), data) for number, data in enumerate((broken, *rest))]
    with pytest.raises(SealtuneError) as caught:
        read_evidence_endorsements(named, evidence=(mock.evidence(quote),))
    assert caught.value.code is Code.ENDORSEMENT_MALFORMED
    with_good = [*named, ("good", pieces(quote)[0])]
    found = read_evidence_endorsements(with_good, evidence=(mock.evidence(quote),))
    assert len(found.of(EndorsementType.DCAP)) == 1


def test_evidence_that_is_damaged_adds_nothing(mock_amd: MockAmd) -> None:
    cut = intel().evidence(MockQuote())
    cut = dataclasses.replace(cut, report=cut.report[:700])
    strange = Evidence(kind=EvidenceKind.SEV_SNP, report=b"", certificates=(b"\x30\x00",))
    ark = mock_amd.chain(MockVek())[2]
    found = read_evidence_endorsements([("ark", ark)], evidence=(cut, strange))
    assert found.of(CERTIFICATE) == (ark,)


def test_certificates_of_evidence_are_not_endorsements(mock_amd: MockAmd) -> None:
    assert read_evidence_endorsements((), evidence=(mock_amd.evidence(),)).items == ()


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=100)
    | st.sampled_from([b"{", b"<", b"\x30\x82", b"-----BEGIN CERTIFICATE-----\n"]).flatmap(
        lambda start: st.binary(max_size=200).map(lambda rest: start + rest)
    )
)
def test_any_file_is_an_endorsement_or_a_refusal(data: bytes) -> None:
    try:
        read(data)
    except SealtuneError:
        assert not is_endorsement(data)
    else:
        assert is_endorsement(data)


# -- real ------------------------------------------------------------------------------------------


def test_recorded_pieces_make_the_sets_that_a_person_made(shared_dir: Path) -> None:
    vectors = shared_dir / "vectors"
    folder = vectors / "intel-collateral"
    files = [
        (path.name, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "composed" and is_endorsement(path.read_bytes())
    ]
    quote = (vectors / "tdx" / "dstack" / "quote-report.quote.bin").read_bytes()
    evidence = Evidence(kind=EvidenceKind.TDX, report=quote, certificates=())
    found = read_evidence_endorsements(files, evidence=(evidence,))
    assert found.of(EndorsementType.DCAP)
    authentic = authenticate_evidence(
        evidence,
        anchors=vendor_anchors(),
        endorsements=found,
        now=datetime.fromtimestamp(1774995607, UTC),
        steps=Steps(),
    )
    assert authentic.claims.tcb["status"] == "UpToDate"


def test_recorded_roots_are_certificates(shared_dir: Path) -> None:
    for path in sorted((shared_dir / "vectors" / "roots").rglob("*.pem")):
        assert read(path.read_bytes()).of(CERTIFICATE), path.name
