"""The SNP verifier under a mock hierarchy: one thing wrong at a time, refused by its own rule."""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.attestation.anchors import Product, RootUse, TrustAnchors, amd_anchors
from sealtune.attestation.endorsements import (
    NO_ENDORSEMENTS,
    Endorsement,
    Endorsements,
    EndorsementType,
)
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.snp_endorsement import (
    AMD_OID,
    OID_CSP_ID,
    OID_HWID,
    OID_PRODUCT_NAME,
    OID_STRUCT_VERSION,
    verify_endorsement,
)
from sealtune.attestation.snp_report import SIGNED_BYTES, Generation, Signer, Tcb
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import SnpClaims, VerifiedEvidence
from sealtune.attestation.verify import verify_evidence
from sealtune.crypto import der
from sealtune.crypto.der import Tag
from sealtune.errors import Code, FormatError, FreshnessError, SealtuneError, VerificationError
from sealtune.testing.mock_amd import TURIN_VEK, MockAmd, MockVek, encode_tcb

REPORT_DATA = bytes(range(64))
MILAN = MockVek(product=Product.MILAN, product_name="Milan-B0")
VLEK = MockVek(signer=Signer.VLEK)


@pytest.fixture(scope="module")
def evidence(mock_amd: MockAmd) -> Evidence:
    return mock_amd.evidence(report_data=REPORT_DATA)


def verified(mock: MockAmd, evidence: Evidence, now: datetime) -> VerifiedEvidence:
    anchors = mock.anchors()
    return verify_evidence(
        evidence,
        report_data=REPORT_DATA,
        anchors=anchors,
        now=now,
        endorsements=NO_ENDORSEMENTS,
        steps=Steps(),
    )


def snp(verified: VerifiedEvidence) -> SnpClaims:
    assert isinstance(verified.detail, SnpClaims)
    return verified.detail


def refusal_of(mock: MockAmd, evidence: Evidence, now: datetime, **arguments: Any) -> Code:
    given_ = {"report_data": REPORT_DATA, "anchors": mock.anchors(), "now": now, **arguments}
    with pytest.raises(SealtuneError) as refusal:
        verify_evidence(evidence, endorsements=NO_ENDORSEMENTS, steps=Steps(), **given_)
    return refusal.value.code


def accepted(mock: MockAmd, vek: MockVek, now: datetime, **changes: Any) -> VerifiedEvidence:
    evidence = mock.evidence(vek=vek, report_data=REPORT_DATA, **changes)
    anchors = mock.anchors(vek.product)
    return verify_evidence(
        evidence,
        report_data=REPORT_DATA,
        anchors=anchors,
        endorsements=NO_ENDORSEMENTS,
        now=now,
        steps=Steps(),
    )


def refused(mock: MockAmd, vek: MockVek, now: datetime, **changes: Any) -> Code:
    evidence = mock.evidence(vek=vek, report_data=REPORT_DATA, **changes)
    return refusal_of(mock, evidence, now, anchors=mock.anchors(vek.product))


# -- what is accepted ------------------------------------------------------------------------------


def test_a_simulated_guest_verifies_and_is_insecure(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    result = verified(mock_amd, evidence, now)
    assert result.insecure
    assert result.root.digest == mock_amd.root
    assert snp(result).generation is Generation.GENOA
    assert snp(result).signer is Signer.VCEK
    assert result.measurement == "00" * 48
    assert result.claims.identity["chip_id"] == MockVek().hwid.hex()
    assert snp(result).reported_tcb == MockVek().tcb


@pytest.mark.parametrize(
    ("vek", "generation"),
    [
        (MILAN, Generation.MILAN),
        (dataclasses.replace(MILAN, product_name="Milan"), Generation.MILAN),
        (MockVek(), Generation.GENOA),
        (TURIN_VEK, Generation.TURIN),
        (VLEK, Generation.GENOA),
    ],
    ids=["milan-b0", "milan", "genoa", "turin", "vlek"],
)
def test_every_product_and_signer_verifies(
    mock_amd: MockAmd, now: datetime, vek: MockVek, generation: Generation
) -> None:
    result = accepted(mock_amd, vek, now)
    assert snp(result).generation is generation
    assert snp(result).reported_tcb == vek.tcb
    assert snp(result).csp_id == (vek.csp_id if vek.signer is Signer.VLEK else "")


@pytest.mark.parametrize("version", [2, 3, 5])
@pytest.mark.parametrize("vek", [MILAN, MockVek(), TURIN_VEK], ids=["milan", "genoa", "turin"])
def test_every_known_version_verifies(
    mock_amd: MockAmd, now: datetime, version: int, vek: MockVek
) -> None:
    changes = {"cpuid": (0, 0, 0)} if version == 2 else {}
    result = accepted(mock_amd, vek, now, version=version, **changes)
    assert snp(result).report.version == version


def test_siena_is_endorsed_by_genoas_root(mock_amd: MockAmd, now: datetime) -> None:
    result = accepted(mock_amd, MockVek(), now, cpuid=(0x19, 0xA0, 2))
    assert snp(result).generation is Generation.SIENA_BERGAMO


@pytest.mark.parametrize("vek", [MockVek(), TURIN_VEK], ids=["64-bytes", "8-bytes"])
def test_a_wrapped_hardware_id_is_read(mock_amd: MockAmd, now: datetime, vek: MockVek) -> None:
    wrapped = der.encode(Tag.OCTET_STRING, vek.hwid)
    accepted(mock_amd, dataclasses.replace(vek, changes=((OID_HWID, wrapped),)), now)


def test_reserved_tcb_bytes_that_both_sides_know_are_accepted(
    mock_amd: MockAmd, now: datetime
) -> None:
    tcb = dataclasses.replace(MockVek().tcb, reserved=bytes([1, 2, 3, 4]))
    assert snp(accepted(mock_amd, MockVek(tcb=tcb), now)).reported_tcb == tcb


def test_a_lower_reported_tcb_keeps_the_higher_ones_apart(mock_amd: MockAmd, now: datetime) -> None:
    higher = dataclasses.replace(MockVek().tcb, ucode=91)
    claims = snp(accepted(mock_amd, MockVek(), now, current_tcb=encode_tcb(higher)))
    assert (claims.current_tcb.ucode, claims.reported_tcb.ucode) == (91, 90)
    assert claims.committed_tcb == claims.launch_tcb == MockVek().tcb


# -- freshness -------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 31, 32, 63])
def test_all_64_bytes_of_report_data_count(
    mock_amd: MockAmd, evidence: Evidence, now: datetime, index: int
) -> None:
    other = bytearray(REPORT_DATA)
    other[index] ^= 1
    with pytest.raises(FreshnessError) as refusal:
        verify_evidence(
            evidence,
            report_data=bytes(other),
            anchors=mock_amd.anchors(),
            now=now,
            endorsements=NO_ENDORSEMENTS,
            steps=Steps(),
        )
    assert refusal.value.code is Code.FRESHNESS


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_report_data_of_another_length_is_the_callers_mistake(
    mock_amd: MockAmd, evidence: Evidence, now: datetime, size: int
) -> None:
    with pytest.raises(ValueError, match="64"):
        verify_evidence(
            evidence,
            report_data=bytes(size),
            anchors=mock_amd.anchors(),
            now=now,
            endorsements=NO_ENDORSEMENTS,
            steps=Steps(),
        )


def test_a_time_without_zone_is_the_callers_mistake(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    with pytest.raises(ValueError, match="zone"):
        verified(mock_amd, evidence, now.replace(tzinfo=None))


def test_evidence_of_a_kind_without_verifier_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    other = dataclasses.replace(evidence)
    object.__setattr__(other, "kind", "sev-es")
    assert refusal_of(mock_amd, other, now) is Code.EVIDENCE_KIND


# -- the signature ---------------------------------------------------------------------------------


def test_every_flipped_byte_of_the_signed_part_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    codes = set()
    for offset in range(SIGNED_BYTES):
        report = bytearray(evidence.report)
        report[offset] ^= 1 << offset % 8
        codes.add(refusal_of(mock_amd, dataclasses.replace(evidence, report=bytes(report)), now))
    # The others concern version, algorithm and SIGNING_KEY, which are read before the signature.
    assert codes == {
        Code.EVIDENCE_SIGNATURE,
        Code.EVIDENCE_VERSION,
        Code.EVIDENCE_MALFORMED,
    }


@pytest.mark.parametrize(
    ("offset", "content"),
    [
        (0x2A0, bytes(48)),
        (0x2E8, bytes(48)),
        (0x2A0, b"\xff" * 48),
        (0x2E8, b"\xff" * 48),
        (0x2A0, b"\x01" + bytes(47)),
    ],
    ids=["r-zero", "s-zero", "r-large", "s-large", "r-one"],
)
def test_scalars_out_of_range_are_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime, offset: int, content: bytes
) -> None:
    report = evidence.report[:offset] + content + evidence.report[offset + 48 :]
    code = refusal_of(mock_amd, dataclasses.replace(evidence, report=report), now)
    assert code is Code.EVIDENCE_SIGNATURE


def test_a_signature_of_another_key_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    # A key of the same hierarchy's shape whose certificate the evidence does not carry.
    from sealtune.crypto.ecdsa import P384Key
    from sealtune.tee.simulated import sign_insecure_report

    report = sign_insecure_report(evidence.report[:SIGNED_BYTES], key=P384Key.generate())
    code = refusal_of(mock_amd, dataclasses.replace(evidence, report=report), now)
    assert code is Code.EVIDENCE_SIGNATURE


# -- the chain -------------------------------------------------------------------------------------


def test_production_anchors_refuse_a_mock(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    assert refusal_of(mock_amd, evidence, now, anchors=amd_anchors()) is Code.EVIDENCE_ROOT


def test_no_anchors_accept_nothing(mock_amd: MockAmd, evidence: Evidence, now: datetime) -> None:
    anchors = TrustAnchors(roots={})
    assert refusal_of(mock_amd, evidence, now, anchors=anchors) is Code.EVIDENCE_ROOT


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_there_are_three_certificates(
    mock_amd: MockAmd, evidence: Evidence, now: datetime, count: int
) -> None:
    certificates = (evidence.certificates * 2)[:count]
    other = dataclasses.replace(evidence, certificates=certificates)
    # Fewer could be completed from endorsements (test_snp_chain.py), of which there are none here.
    code = Code.ENDORSEMENT_MISSING if count < 3 else Code.EVIDENCE_MALFORMED
    assert refusal_of(mock_amd, other, now) is code


def with_chain(evidence: Evidence, *certificates: bytes) -> Evidence:
    return dataclasses.replace(evidence, certificates=certificates)


def test_a_chain_in_another_order_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    vek, ask, ark = evidence.certificates
    assert refusal_of(mock_amd, with_chain(evidence, ask, vek, ark), now) is Code.EVIDENCE_CHAIN
    assert refusal_of(mock_amd, with_chain(evidence, vek, ark, ark), now) is Code.EVIDENCE_CHAIN
    assert refusal_of(mock_amd, with_chain(evidence, vek, ark, ask), now) is Code.EVIDENCE_ROOT


def test_a_root_that_did_not_sign_itself_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    vek, ask, ark = evidence.certificates
    broken = ark[:-1] + bytes([ark[-1] ^ 1])
    from sealtune.core.digest import sha256_digest

    anchors = amd_anchors().with_insecure_root(
        sha256_digest(broken), use=RootUse.AMD_ARK, product=Product.GENOA
    )
    code = refusal_of(mock_amd, with_chain(evidence, vek, ask, broken), now, anchors=anchors)
    assert code is Code.CERTIFICATE_SIGNATURE


@pytest.mark.parametrize("position", [0, 1])
def test_a_certificate_that_its_issuer_did_not_sign_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime, position: int
) -> None:
    certificates = list(evidence.certificates)
    certificates[position] = certificates[position][:-1] + bytes([certificates[position][-1] ^ 1])
    code = refusal_of(mock_amd, with_chain(evidence, *certificates), now)
    assert code is Code.CERTIFICATE_SIGNATURE


def test_a_vcek_under_the_asvk_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    vek, _, ark = evidence.certificates
    asvk = mock_amd.intermediate(Product.GENOA, signer=Signer.VLEK)
    assert refusal_of(mock_amd, with_chain(evidence, vek, asvk, ark), now) is Code.EVIDENCE_CHAIN


def test_a_vlek_under_the_ask_is_refused(mock_amd: MockAmd, now: datetime) -> None:
    evidence = mock_amd.evidence(vek=VLEK, report_data=REPORT_DATA)
    vek, _, ark = evidence.certificates
    ask = mock_amd.intermediate(Product.GENOA, signer=Signer.VCEK)
    assert refusal_of(mock_amd, with_chain(evidence, vek, ask, ark), now) is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize(
    ("vek", "signing_key"), [(MockVek(), 1), (VLEK, 0)], ids=["vcek-as-vlek", "vlek-as-vcek"]
)
def test_the_report_and_the_chain_agree_on_the_signer(
    mock_amd: MockAmd, now: datetime, vek: MockVek, signing_key: int
) -> None:
    # The report is signed by the key in the chain; only the roles differ.
    assert refused(mock_amd, vek, now, signing_key=signing_key) is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize("subject", ["SEV-VLEK", "SEV-Genoa", "VCEK"])
def test_a_leaf_of_another_name_is_refused(mock_amd: MockAmd, now: datetime, subject: str) -> None:
    assert refused(mock_amd, MockVek(subject=subject), now) is Code.EVIDENCE_CHAIN


def test_a_root_of_another_product_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    anchors = amd_anchors().with_insecure_root(
        mock_amd.root, use=RootUse.AMD_ARK, product=Product.TURIN
    )
    assert refusal_of(mock_amd, evidence, now, anchors=anchors) is Code.EVIDENCE_CHAIN


def test_a_processor_of_another_product_is_refused(mock_amd: MockAmd, now: datetime) -> None:
    assert refused(mock_amd, MockVek(), now, cpuid=(0x19, 0x01, 1)) is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize(("before", "after"), [(1, 2), (-2, -1)], ids=["not-yet-valid", "expired"])
def test_a_leaf_out_of_its_validity_is_refused(
    mock_amd: MockAmd, now: datetime, before: int, after: int
) -> None:
    day = timedelta(days=1)
    vek = MockVek(not_before=now + before * day, not_after=now + after * day)
    assert refused(mock_amd, vek, now) is Code.EVIDENCE_CERTIFICATE_TIME


@pytest.mark.parametrize("days", [-2.5, 20.5 * 365], ids=["root-too-young", "intermediate-expired"])
def test_authorities_out_of_their_validity_are_refused(
    mock_amd: MockAmd, now: datetime, days: float
) -> None:
    # The leaf is valid all the time, and so is the other authority.
    decades = timedelta(days=40 * 365)
    vek = MockVek(not_before=now - timedelta(days=10), not_after=now + decades)
    evidence = mock_amd.evidence(vek=vek, report_data=REPORT_DATA)
    code = refusal_of(mock_amd, evidence, now + timedelta(days=days))
    assert code is Code.EVIDENCE_CERTIFICATE_TIME


# -- what the certificate says ---------------------------------------------------------------------


@pytest.mark.parametrize("component", ["bl", "tee", "snp", "ucode"])
def test_every_component_of_the_reported_tcb_is_the_certificates(
    mock_amd: MockAmd, now: datetime, component: str
) -> None:
    tcb = MockVek().tcb
    other = dataclasses.replace(tcb, **{component: getattr(tcb, component) + 1})
    code = refused(mock_amd, MockVek(), now, reported_tcb=encode_tcb(other))
    assert code is Code.EVIDENCE_TCB_BINDING


@pytest.mark.parametrize("component", ["fmc", "bl", "tee", "snp", "ucode"])
def test_every_component_of_turins_reported_tcb_is_the_certificates(
    mock_amd: MockAmd, now: datetime, component: str
) -> None:
    tcb = TURIN_VEK.tcb
    other = dataclasses.replace(tcb, **{component: getattr(tcb, component) + 1})
    code = refused(mock_amd, TURIN_VEK, now, reported_tcb=encode_tcb(other))
    assert code is Code.EVIDENCE_TCB_BINDING


def test_turins_tcb_is_not_read_in_milans_layout(mock_amd: MockAmd, now: datetime) -> None:
    flat = Tcb(fmc=None, bl=2, tee=3, snp=4, ucode=81, reserved=bytes(4))
    code = refused(mock_amd, TURIN_VEK, now, reported_tcb=encode_tcb(flat))
    assert code is Code.EVIDENCE_TCB_BINDING


@pytest.mark.parametrize("index", range(4))
def test_reserved_tcb_bytes_are_bound_too(mock_amd: MockAmd, now: datetime, index: int) -> None:
    reserved = bytearray(4)
    reserved[index] = 1
    other = dataclasses.replace(MockVek().tcb, reserved=bytes(reserved))
    code = refused(mock_amd, MockVek(), now, reported_tcb=encode_tcb(other))
    assert code is Code.EVIDENCE_TCB_BINDING


def test_a_vlek_binds_the_tcb_too(mock_amd: MockAmd, now: datetime) -> None:
    other = dataclasses.replace(VLEK.tcb, snp=1)
    code = refused(mock_amd, VLEK, now, reported_tcb=encode_tcb(other))
    assert code is Code.EVIDENCE_TCB_BINDING


@pytest.mark.parametrize(
    ("vek", "chip_id"),
    [
        (MockVek(), bytes(64)),
        (MockVek(), MockVek().hwid[:63] + b"\0"),
        (TURIN_VEK, MockVek().hwid),  # the right 8 bytes, then others than zero
        (TURIN_VEK, bytes(8)),
    ],
    ids=["masked", "last-byte", "turin-tail", "turin-masked"],
)
def test_the_chip_is_the_certificates(
    mock_amd: MockAmd, now: datetime, vek: MockVek, chip_id: bytes
) -> None:
    assert refused(mock_amd, vek, now, chip_id=chip_id) is Code.EVIDENCE_CHIP_BINDING


@pytest.mark.parametrize("name", ["Milan-B0", "Turin", "", "Genoab", "genoa", "-Genoa"])
def test_the_product_name_is_the_roots(mock_amd: MockAmd, now: datetime, name: str) -> None:
    assert refused(mock_amd, MockVek(product_name=name), now) is Code.EVIDENCE_CHAIN


INTEGER = der.encode_integer
MALFORMED = [
    (OID_STRUCT_VERSION, None),
    (OID_STRUCT_VERSION, INTEGER(2)),
    (OID_PRODUCT_NAME, None),
    (OID_PRODUCT_NAME, b"Genoa"),
    (f"{AMD_OID}.3.1", None),
    (f"{AMD_OID}.3.2", None),
    (f"{AMD_OID}.3.3", None),
    (f"{AMD_OID}.3.4", None),
    (f"{AMD_OID}.3.8", None),
    (f"{AMD_OID}.3.8", INTEGER(256 + 90)),
    (f"{AMD_OID}.3.8", INTEGER(-1)),
    (f"{AMD_OID}.3.8", INTEGER(90) + b"\0"),
    (OID_HWID, None),
    (OID_HWID, b""),
    (OID_HWID, bytes(63)),
    (OID_HWID, bytes(65)),
    (OID_HWID, der.encode(Tag.OCTET_STRING, bytes(63))),
    (OID_HWID, der.encode(Tag.OCTET_STRING, MockVek().hwid) + b"\0"),
]


@pytest.mark.parametrize(("oid", "value"), MALFORMED)
def test_extensions_that_are_missing_or_malformed_are_refused(
    mock_amd: MockAmd, now: datetime, oid: str, value: bytes | None
) -> None:
    vek = MockVek(changes=((oid, value),))
    assert refused(mock_amd, vek, now) in (Code.CERTIFICATE_MALFORMED, Code.DER_MALFORMED)


@pytest.mark.parametrize("value", [None, b"", b"provider"])
def test_a_vlek_names_its_provider(mock_amd: MockAmd, now: datetime, value: bytes | None) -> None:
    vek = dataclasses.replace(VLEK, changes=((OID_CSP_ID, value),))
    assert refused(mock_amd, vek, now) in (Code.CERTIFICATE_MALFORMED, Code.DER_MALFORMED)


def test_turin_needs_its_fmc_and_eight_bytes_of_hardware_id(
    mock_amd: MockAmd, now: datetime
) -> None:
    for change in ((f"{AMD_OID}.3.9", None), (OID_HWID, MockVek().hwid)):
        vek = dataclasses.replace(TURIN_VEK, changes=(change,))
        assert refused(mock_amd, vek, now) in (Code.CERTIFICATE_MALFORMED, Code.DER_MALFORMED)


# -- properties ------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=150)
def test_changed_certificates_raise_nothing_but_our_errors(
    mock_amd: MockAmd, evidence: Evidence, now: datetime, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, 2))
    certificate = bytearray(evidence.certificates[position])
    index = data.draw(st.integers(0, len(certificate) - 1))
    certificate[index] ^= data.draw(st.integers(1, 255))
    certificates = list(evidence.certificates)
    certificates[position] = bytes(certificate)
    with pytest.raises(SealtuneError):
        verified(mock_amd, with_chain(evidence, *certificates), now)


@given(st.lists(st.binary(max_size=64), min_size=3, max_size=3), st.binary(max_size=1200))
def test_any_bytes_raise_nothing_but_our_errors(
    mock_amd: MockAmd, now: datetime, certificates: list[bytes], report: bytes
) -> None:
    with contextlib.suppress(SealtuneError):
        verify_endorsement(
            tuple(certificates), signer=Signer.VCEK, anchors=mock_amd.anchors(), now=now
        )
    evidence = Evidence(kind="sev-snp", report=report, certificates=tuple(certificates))  # type: ignore[arg-type]
    with pytest.raises(SealtuneError):
        verified(mock_amd, evidence, now)


def test_errors_are_of_the_family_that_says_who_must_act(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    with pytest.raises(VerificationError):
        verify_evidence(
            evidence,
            report_data=REPORT_DATA,
            anchors=amd_anchors(),
            now=now,
            endorsements=NO_ENDORSEMENTS,
            steps=Steps(),
        )
    with pytest.raises(FormatError):
        verified(mock_amd, dataclasses.replace(evidence, report=b""), now)


# -- bytes that nobody reads -----------------------------------------------------------------------


def test_a_part_that_snp_evidence_does_not_have_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    smuggling = dataclasses.replace(evidence, parts={"smuggled": bytes(1000)})
    assert refusal_of(mock_amd, smuggling, now) is Code.EVIDENCE_MALFORMED


def test_a_certificate_that_is_not_of_the_chain_is_refused(
    mock_amd: MockAmd, evidence: Evidence, now: datetime
) -> None:
    vcek, ask, ark = evidence.certificates
    known = Endorsements(
        items=tuple(
            Endorsement(type=EndorsementType.X509_CERTIFICATE, data=data) for data in (ask, ark)
        )
    )
    other = mock_amd.intermediate(Product.MILAN, signer=Signer.VCEK)
    smuggling = dataclasses.replace(evidence, certificates=(vcek, other))
    with pytest.raises(FormatError) as refusal:
        verify_evidence(
            smuggling,
            report_data=REPORT_DATA,
            anchors=mock_amd.anchors(),
            endorsements=known,
            now=now,
            steps=Steps(),
        )
    assert refusal.value.code is Code.EVIDENCE_MALFORMED
