"""What can be done to real quotes and Intel's real documents, and the code that refuses each."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from attestation.dcap import (
    SGX,
    TDX,
    Recorded,
    at,
    authentic,
    collateral,
    edited,
    evidence,
    mock_intel,
    recorded_bytes,
    refusal,
)
from sealtune.attestation.anchors import TrustAnchors, amd_anchors
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import Evidence
from sealtune.errors import Code
from sealtune.testing.mock_intel import MockPck, MockQuote

MALFORMED = Code.EVIDENCE_MALFORMED
SIGNATURE = Code.EVIDENCE_SIGNATURE
# Offset in a TD quote of version 4, and the code that refuses it with its lowest bit flipped.
TDX_FLIPS = [
    pytest.param(0, Code.EVIDENCE_VERSION, id="version-5"),
    pytest.param(2, MALFORMED, id="key-type"),
    pytest.param(4, MALFORMED, id="tee-type"),
    pytest.param(8, SIGNATURE, id="qe-svn"),
    pytest.param(10, SIGNATURE, id="pce-svn"),
    pytest.param(12, MALFORMED, id="qe-vendor"),
    pytest.param(28, SIGNATURE, id="user-data"),
    pytest.param(48, SIGNATURE, id="tee-tcb-svn"),
    pytest.param(64, SIGNATURE, id="mrseam"),
    pytest.param(112, SIGNATURE, id="mrsignerseam"),
    pytest.param(160, SIGNATURE, id="seam-attributes"),
    pytest.param(168, SIGNATURE, id="td-attributes"),
    pytest.param(176, SIGNATURE, id="xfam"),
    pytest.param(184, SIGNATURE, id="mrtd"),
    pytest.param(232, SIGNATURE, id="mrconfigid"),
    pytest.param(280, SIGNATURE, id="mrowner"),
    pytest.param(328, SIGNATURE, id="mrownerconfig"),
    pytest.param(376, SIGNATURE, id="rtmr0"),
    pytest.param(424, SIGNATURE, id="rtmr1"),
    pytest.param(472, SIGNATURE, id="rtmr2"),
    pytest.param(520, SIGNATURE, id="rtmr3"),
    pytest.param(568, SIGNATURE, id="reportdata"),
    pytest.param(631, SIGNATURE, id="reportdata-end"),
    # dcap-qvl 0.7.0 accepts the next one and the certification type further down.
    pytest.param(632, MALFORMED, id="signature-length"),
    pytest.param(636, SIGNATURE, id="signature-r"),
    pytest.param(668, SIGNATURE, id="signature-s"),
    pytest.param(700, SIGNATURE, id="attestation-key"),
    pytest.param(764, MALFORMED, id="certification-type"),
    pytest.param(766, MALFORMED, id="certification-length"),
    pytest.param(770, SIGNATURE, id="qe-report"),
    pytest.param(770 + 128, SIGNATURE, id="qe-mrsigner"),
    pytest.param(770 + 256, SIGNATURE, id="qe-isvprodid"),
    pytest.param(1090, SIGNATURE, id="qe-report-data"),
    pytest.param(1154, SIGNATURE, id="qe-signature"),
    pytest.param(1218, MALFORMED, id="auth-data-length"),
    pytest.param(1220, SIGNATURE, id="auth-data"),
    pytest.param(1252, MALFORMED, id="pck-type"),
    pytest.param(1254, MALFORMED, id="pck-length"),
]
SGX_FLIPS = [
    pytest.param(0, Code.EVIDENCE_VERSION, id="version-2"),
    pytest.param(4, MALFORMED, id="tee-type"),
    pytest.param(48, SIGNATURE, id="cpusvn"),
    pytest.param(64, SIGNATURE, id="miscselect"),
    pytest.param(68, MALFORMED, id="reserved"),
    pytest.param(96, SIGNATURE, id="attributes"),
    pytest.param(112, SIGNATURE, id="mrenclave"),
    pytest.param(176, SIGNATURE, id="mrsigner"),
    pytest.param(240, SIGNATURE, id="configid"),
    pytest.param(304, SIGNATURE, id="isvprodid"),
    pytest.param(306, SIGNATURE, id="isvsvn"),
    pytest.param(308, SIGNATURE, id="configsvn"),
    pytest.param(352, SIGNATURE, id="isvfamilyid"),
    pytest.param(368, SIGNATURE, id="reportdata"),
    pytest.param(432, MALFORMED, id="signature-length"),
    pytest.param(436, SIGNATURE, id="signature"),
    pytest.param(500, SIGNATURE, id="attestation-key"),
    pytest.param(564, SIGNATURE, id="qe-report"),
    pytest.param(948, SIGNATURE, id="qe-signature"),
]


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


def attempt(folder: Path, recorded: Recorded, quote: bytes) -> Code:
    name, documents, seconds = recorded
    return refusal(evidence(name[:3], quote), collateral(folder, documents), at(seconds))


def flipped(folder: Path, recorded: Recorded, offset: int) -> bytes:
    quote = bytearray(recorded_bytes(folder, recorded[0]))
    quote[offset] ^= 1
    return bytes(quote)


@pytest.mark.parametrize(("offset", "code"), TDX_FLIPS)
def test_a_flipped_bit_of_a_td_quote(folder: Path, offset: int, code: Code) -> None:
    assert attempt(folder, TDX, flipped(folder, TDX, offset)) is code


@pytest.mark.parametrize(("offset", "code"), SGX_FLIPS)
def test_a_flipped_bit_of_an_sgx_quote(folder: Path, offset: int, code: Code) -> None:
    assert attempt(folder, SGX, flipped(folder, SGX, offset)) is code


@pytest.mark.parametrize("version", [0, 1, 2, 6, 0xFFFF])
def test_an_unknown_version(folder: Path, version: int) -> None:
    quote = version.to_bytes(2, "little") + recorded_bytes(folder, TDX[0])[2:]
    assert attempt(folder, TDX, quote) is Code.EVIDENCE_VERSION


def test_every_byte_that_counts_is_read(folder: Path) -> None:
    """No byte of a quote may change unnoticed, but for how its PEM text is laid out."""
    name, documents, seconds = TDX
    quote = recorded_bytes(folder, name)
    endorsements = collateral(folder, documents)
    # Every byte up to the chain's text, and a sample of that.
    for offset in (*range(1258), *range(1258, 4936, 61)):
        changed = bytearray(quote)
        changed[offset] ^= 0x40
        refusal(evidence("tdx", bytes(changed)), endorsements, at(seconds))


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (b"\x01", MALFORMED),
        (bytes(3000) + b"\x01", MALFORMED),
        (bytes(16 * 1024), Code.LIMIT_EXCEEDED),
        (b"\xff" * 1024 * 64, Code.LIMIT_EXCEEDED),
    ],
    ids=["a-byte", "after-zeros", "zeros-beyond-16-kib", "garbage-beyond-16-kib"],
)
def test_bytes_after_a_quote(folder: Path, tail: bytes, code: Code) -> None:
    assert attempt(folder, TDX, recorded_bytes(folder, TDX[0]) + tail) is code


def test_zeros_after_a_quote_are_accepted(folder: Path) -> None:
    name, documents, seconds = TDX
    quote = recorded_bytes(folder, name) + bytes(2000)
    assert authentic(evidence("tdx", quote), collateral(folder, documents), at(seconds))


@pytest.mark.parametrize("size", [0, 1, 47, 48, 631, 632, 635, 636, 700, 1257, 1300, 4935])
def test_a_truncated_quote(folder: Path, size: int) -> None:
    code = attempt(folder, TDX, recorded_bytes(folder, TDX[0])[:size])
    assert code is MALFORMED


def test_a_quote_of_the_other_tee(folder: Path) -> None:
    for recorded, other in ((TDX, "sgx"), (SGX, "tdx")):
        given = evidence(other, recorded_bytes(folder, recorded[0]))
        endorsements = collateral(folder, recorded[1])
        assert refusal(given, endorsements, at(recorded[2])) is Code.EVIDENCE_KIND


# -- endorsements ----------------------------------------------------------------------------------


def given_with(folder: Path, recorded: Recorded, endorsements: Endorsements) -> Code:
    given = evidence(recorded[0][:3], recorded_bytes(folder, recorded[0]))
    return refusal(given, endorsements, at(recorded[2]))


@pytest.mark.parametrize(
    ("recorded", "documents"),
    [
        (TDX, "tdx/phala-v4/tdx_quote_outdated_collateral.json"),
        (TDX, "intel-collateral/composed/tdx-00806f05-2025-07.json"),
        (TDX, SGX[1]),
        (SGX, TDX[1]),
        (SGX, "intel-collateral/composed/sgx-00606a-2025-08.json"),
    ],
    ids=["tdx-other-fmspc", "tdx-another-fmspc", "tdx-with-sgx", "sgx-with-tdx", "sgx-other-fmspc"],
)
def test_endorsements_of_another_platform_or_tee(
    folder: Path, recorded: Recorded, documents: str
) -> None:
    code = given_with(folder, recorded, collateral(folder, documents))
    assert code is Code.ENDORSEMENT_MISMATCH


def test_an_sgx_quote_with_the_identity_of_the_td_quoting_enclave(folder: Path) -> None:
    sgx = (folder / SGX[1]).read_bytes()
    tdx = json.loads((folder / TDX[1]).read_bytes())
    mixed = edited(
        sgx,
        qe_identity=tdx["qe_identity"],
        qe_identity_signature=tdx["qe_identity_signature"],
    )
    assert given_with(folder, SGX, mixed) is Code.ENDORSEMENT_MISMATCH


def test_documents_that_were_never_current_together(folder: Path) -> None:
    quote = evidence("tdx", recorded_bytes(folder, "tdx/dstack/quote-report.quote.bin"))
    mixed = collateral(folder, "intel-collateral/composed/tdx-90c06f-2026-02.json")
    for seconds in (1772400000, 1773700445, 1774995607):
        assert refusal(quote, mixed, at(seconds)) is Code.ENDORSEMENT_MISMATCH


def test_a_current_set_is_found_beside_a_mixed_and_a_stale_one(folder: Path) -> None:
    quote = evidence("tdx", recorded_bytes(folder, "tdx/dstack/quote-report.quote.bin"))
    composed = "intel-collateral/composed/tdx-90c06f-2026-"
    sets = [
        collateral(folder, f"{composed}02.json"),
        collateral(folder, "tdx/phala-v4/tdx_quote_outdated_collateral.json"),
        collateral(folder, f"{composed}03.json"),
    ]
    for order in (sets, sets[::-1]):
        every = order[0].also(order[1]).also(order[2])
        assert authentic(quote, every, at(1774995607))
        assert authentic(quote, every, at(1772707803))


@pytest.mark.parametrize("member", ["tcb_info", "qe_identity"])
def test_a_changed_byte_of_a_signed_document(folder: Path, member: str) -> None:
    document = (folder / TDX[1]).read_bytes()
    text = json.loads(document)[member]
    changed = text.replace('"tcbEvaluationDataNumber":17', '"tcbEvaluationDataNumber":18')
    assert changed != text
    assert given_with(folder, TDX, edited(document, **{member: changed})) is (
        Code.ENDORSEMENT_SIGNATURE
    )
    # Nor may the same meaning be spelled differently: the signature is over the bytes.
    spaced = text.replace('"version":', '"version": ')
    assert given_with(folder, TDX, edited(document, **{member: spaced})) is (
        Code.ENDORSEMENT_SIGNATURE
    )


@pytest.mark.parametrize("member", ["tcb_info_signature", "qe_identity_signature"])
def test_a_changed_signature_of_a_document(folder: Path, member: str) -> None:
    document = (folder / TDX[1]).read_bytes()
    signature = json.loads(document)[member]
    changed = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    assert given_with(folder, TDX, edited(document, **{member: changed})) is (
        Code.ENDORSEMENT_SIGNATURE
    )


@pytest.mark.parametrize("member", ["pck_crl", "root_ca_crl"])
def test_a_changed_revocation_list(folder: Path, member: str) -> None:
    document = (folder / TDX[1]).read_bytes()
    data = json.loads(document)[member]
    changed = data[:-2] + f"{int(data[-2:], 16) ^ 1:02x}"
    assert given_with(folder, TDX, edited(document, **{member: changed})) is (
        Code.ENDORSEMENT_SIGNATURE
    )


def test_the_revocation_list_of_the_other_authority(folder: Path) -> None:
    document = (folder / TDX[1]).read_bytes()
    other = json.loads((folder / SGX[1]).read_bytes())
    assert given_with(folder, TDX, edited(document, pck_crl=other["pck_crl"])) is (
        Code.ENDORSEMENT_MISMATCH
    )


def test_the_signing_chain_of_a_platform_instead_of_tcb_signing(folder: Path) -> None:
    document = (folder / TDX[1]).read_bytes()
    crl_chain = json.loads(document)["pck_crl_issuer_chain"]
    assert given_with(folder, TDX, edited(document, tcb_info_issuer_chain=crl_chain)) is (
        Code.ENDORSEMENT_SIGNATURE
    )


def test_a_root_that_is_not_trusted(folder: Path) -> None:
    name, documents, seconds = TDX
    given = evidence("tdx", recorded_bytes(folder, name))
    endorsements = collateral(folder, documents)
    for anchors in (amd_anchors(), TrustAnchors(roots={})):
        code = refusal(given, endorsements, at(seconds), anchors=anchors)
        assert code is Code.EVIDENCE_ROOT


def test_documents_under_another_root_than_the_quote(folder: Path, now: datetime) -> None:
    mock = mock_intel()
    name, documents, _seconds = TDX
    real = json.loads((folder / documents).read_bytes())
    given = evidence("tdx", recorded_bytes(folder, name))
    quote = MockQuote(pck=MockPck(fmspc=bytes.fromhex("b0c06f000000")))
    forged = edited(mock.endorsement(quote), pck_crl=real["pck_crl"])
    assert refusal(given, forged, now, anchors=mock.anchors()) is Code.EVIDENCE_ROOT


def test_a_genuine_debug_quote_is_refused_for_debug_and_only_if_it_is_genuine(
    folder: Path,
) -> None:
    name = "tdx/coco/tdx_quote_4.dat"
    endorsements = collateral(folder, "intel-collateral/composed/tdx-50806f-2026-03.json")
    quote = recorded_bytes(folder, name)
    assert refusal(evidence("tdx", quote), endorsements, at(1774995904)) is Code.APPRAISAL_DEBUG
    changed = quote[:200] + bytes((quote[200] ^ 1,)) + quote[201:]
    assert refusal(evidence("tdx", changed), endorsements, at(1774995904)) is SIGNATURE


# -- the event log ---------------------------------------------------------------------------------

GCP = (
    "tdx/gtg-ccel/cos-113-tdx-quote.dat",
    "intel-collateral/composed/tdx-00806f05-2025-07.json",
    1753175614,
)


def with_log(folder: Path, log: bytes) -> Evidence:
    return evidence("tdx", recorded_bytes(folder, GCP[0]), event_log=log)


def test_a_real_log_explains_its_registers(folder: Path) -> None:
    log = (folder / "tdx/gtg-ccel/ccel_data.dat").read_bytes()
    result = authentic(with_log(folder, log), collateral(folder, GCP[1]), at(GCP[2]))
    assert result.claims.fields["explained_rtmrs"] == [0, 1, 2]


def test_the_log_of_another_machine(folder: Path) -> None:
    log = (folder / "tdx/ars-live/tdx_ccel_live.bin").read_bytes()
    code = refusal(with_log(folder, log), collateral(folder, GCP[1]), at(GCP[2]))
    assert code is Code.EVENT_LOG_MISMATCH


def test_dstacks_log_explains_its_registers(folder: Path) -> None:
    value = json.loads((folder / "tdx/dstack/quote-report.json").read_text())
    given = evidence(
        "tdx",
        bytes.fromhex(value["quote"]),
        event_log=value["event_log"].encode(),
    )
    endorsements = collateral(folder, "intel-collateral/composed/tdx-90c06f-2026-03.json")
    result = authentic(given, endorsements, at(1774995607))
    assert result.claims.fields["explained_rtmrs"] == [0, 1, 2, 3]
