"""SNP reports that came without their whole chain, and endorsements that have the rest or not."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from itertools import permutations
from pathlib import Path

import pytest

from sealtune.attestation.anchors import Product, TrustAnchors, amd_anchors, vendor_anchors
from sealtune.attestation.endorsements import Endorsement, Endorsements, EndorsementType
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.snp_report import Signer, Tcb, parse_snp_report
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.attestation.verify import authenticate_evidence
from sealtune.crypto.rsa import RsaKey
from sealtune.crypto.x509 import certificates_from_pem, parse_certificate
from sealtune.errors import Code, SealtuneError
from sealtune.testing.mock_amd import TURIN_VEK, MockAmd, MockVek

VLEK = MockVek(signer=Signer.VLEK)
MILAN = MockVek(product=Product.MILAN, product_name="Milan-B0")
OTHER_CHIP = MockVek(hwid=bytes(range(64)))
OTHER_TCB = MockVek(tcb=Tcb(bl=10, tee=0, snp=27, ucode=91, fmc=None, reserved=bytes(4)))


def endorsements(*certificates: bytes) -> Endorsements:
    kind = EndorsementType.X509_CERTIFICATE
    return Endorsements(items=tuple(Endorsement(type=kind, data=data) for data in certificates))


def authentic(
    evidence: Evidence, anchors: TrustAnchors, now: datetime, *certificates: bytes
) -> AuthenticEvidence:
    return authenticate_evidence(
        evidence,
        anchors=anchors,
        endorsements=endorsements(*certificates),
        now=now,
        steps=Steps(),
    )


def refusal_of(
    evidence: Evidence, anchors: TrustAnchors, now: datetime, *certificates: bytes
) -> SealtuneError:
    with pytest.raises(SealtuneError) as refusal:
        authentic(evidence, anchors, now, *certificates)
    return refusal.value


def without_chain(evidence: Evidence, keep: int = 0) -> Evidence:
    return dataclasses.replace(evidence, certificates=evidence.certificates[:keep])


@pytest.mark.parametrize("keep", [0, 1, 2])
@pytest.mark.parametrize(
    "vek", [MockVek(), VLEK, MILAN, TURIN_VEK], ids=["vcek", "vlek", "milan", "turin"]
)
def test_what_is_missing_is_found_in_any_order(
    mock_amd: MockAmd, now: datetime, vek: MockVek, keep: int
) -> None:
    evidence = mock_amd.evidence(vek=vek)
    anchors = mock_amd.anchors(vek.product)
    whole = authentic(evidence, anchors, now)
    for chain in permutations(evidence.certificates[keep:]):
        found = authentic(without_chain(evidence, keep), anchors, now, *chain)
        assert found == whole


def test_a_version_2_report_is_completed_too(mock_amd: MockAmd, now: datetime) -> None:
    evidence = mock_amd.evidence(version=2)
    anchors = mock_amd.anchors()
    assert authentic(without_chain(evidence), anchors, now, *evidence.certificates)


def test_only_the_key_of_this_chip_and_tcb_is_taken(mock_amd: MockAmd, now: datetime) -> None:
    evidence = mock_amd.evidence()
    anchors = mock_amd.anchors()
    vek, *authorities = evidence.certificates
    others = [mock_amd.chain(other)[0] for other in (OTHER_CHIP, OTHER_TCB, VLEK, MILAN)]
    bare = without_chain(evidence)
    assert authentic(bare, anchors, now, *others, *authorities, vek)
    refusal = refusal_of(bare, anchors, now, *others, *authorities)
    assert refusal.code is Code.ENDORSEMENT_MISSING


def test_a_key_of_another_generation_is_not_taken(mock_amd: MockAmd, now: datetime) -> None:
    evidence = mock_amd.evidence(vek=TURIN_VEK)
    # The same first eight bytes of hardware id, in another layout of the TCB.
    anchors = mock_amd.anchors(Product.TURIN)
    others = [mock_amd.chain(vek)[0] for vek in (MockVek(), MILAN)]
    authorities = evidence.certificates[1:]
    refusal = refusal_of(without_chain(evidence), anchors, now, *others, *authorities)
    assert refusal.code is Code.ENDORSEMENT_MISSING


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("absent", [1, 2], ids=["intermediate", "root"])
def test_a_missing_authority_says_where_it_is(
    mock_amd: MockAmd, now: datetime, keep: int, absent: int
) -> None:
    evidence = mock_amd.evidence()
    rest = [data for index, data in enumerate(evidence.certificates) if index not in (absent,)]
    refusal = refusal_of(without_chain(evidence, keep), mock_amd.anchors(), now, *rest)
    assert refusal.code is Code.ENDORSEMENT_MISSING
    assert "https://kdsintf.amd.com/vcek/v1/Genoa/cert_chain" in refusal.remedy


def test_a_missing_key_says_where_it_is(mock_amd: MockAmd, now: datetime) -> None:
    def remedy(evidence: Evidence, product: Product = Product.GENOA) -> str:
        anchors = mock_amd.anchors(product)
        refusal = refusal_of(without_chain(evidence), anchors, now, *evidence.certificates[1:])
        assert refusal.code is Code.ENDORSEMENT_MISSING
        return refusal.remedy

    chip = MockVek().hwid.hex()
    assert (
        f"https://kdsintf.amd.com/vcek/v1/Genoa/{chip}?blSPL=10&teeSPL=00&snpSPL=27&ucodeSPL=90 "
        in remedy(mock_amd.evidence())
    )
    assert (
        f"https://kdsintf.amd.com/vcek/v1/Turin/{chip[:16]}"
        "?fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=81 "
        in remedy(mock_amd.evidence(vek=TURIN_VEK), Product.TURIN)
    )
    assert "extended report" in remedy(mock_amd.evidence(vek=VLEK))
    assert "masks" in remedy(mock_amd.evidence(chip_id=bytes(64)))
    assert "VCEK" in remedy(mock_amd.evidence(version=2))


def test_of_two_intermediates_of_one_name_the_one_that_signed_is_taken(
    mock_amd: MockAmd, now: datetime
) -> None:
    evidence = mock_amd.evidence()
    other = MockAmd(ark=mock_amd.ark_key, ask=RsaKey.generate(), vek=mock_amd.vek_key, now=now)
    stranger = other.intermediate(Product.GENOA, signer=Signer.VCEK)
    assert parse_certificate(stranger).subject_cn == "SEV-Genoa"
    _, intermediate, ark = evidence.certificates
    for chain in ((stranger, intermediate, ark), (ark, intermediate, stranger)):
        assert authentic(without_chain(evidence, 1), mock_amd.anchors(), now, *chain)
    refusal = refusal_of(without_chain(evidence, 1), mock_amd.anchors(), now, stranger, ark)
    assert refusal.code is Code.ENDORSEMENT_MISSING


def test_a_root_that_is_not_pinned_is_no_root(mock_amd: MockAmd, now: datetime) -> None:
    evidence = mock_amd.evidence()
    refusal = refusal_of(without_chain(evidence), vendor_anchors(), now, *evidence.certificates)
    assert refusal.code is Code.ENDORSEMENT_MISSING


def test_certificates_of_others_do_not_disturb(mock_amd: MockAmd, now: datetime) -> None:
    evidence = mock_amd.evidence()
    noise = (b"", b"0\0", bytes(9000), evidence.certificates[0][:-1])
    found = authentic(
        without_chain(evidence), mock_amd.anchors(), now, *noise, *evidence.certificates
    )
    assert found == authentic(evidence, mock_amd.anchors(), now)


def test_a_damaged_certificate_beside_the_report_is_refused(
    mock_amd: MockAmd, now: datetime
) -> None:
    evidence = mock_amd.evidence()
    damaged = dataclasses.replace(evidence, certificates=(b"0\0",))
    refusal = refusal_of(damaged, mock_amd.anchors(), now, *evidence.certificates)
    assert refusal.code in (Code.CERTIFICATE_MALFORMED, Code.DER_MALFORMED)


def test_a_whole_chain_beside_the_report_is_not_mended(mock_amd: MockAmd, now: datetime) -> None:
    evidence = mock_amd.evidence()
    mixed = dataclasses.replace(
        evidence, certificates=(mock_amd.chain(OTHER_TCB)[0], *evidence.certificates[1:])
    )
    refusal = refusal_of(mixed, mock_amd.anchors(), now, *evidence.certificates)
    assert refusal.code is Code.EVIDENCE_TCB_BINDING


@pytest.mark.parametrize(
    ("name", "key", "chain"),
    [
        ("ms-milan", "vcek.pem", "ask_ark_milan.pem"),
        ("ms-turin", "vcek.pem", "ask_ark_turin_vcek.pem"),
        ("coco-milan-vlek", "vlek.der", "ask_ark_milan_vlek.pem"),
        ("ars-genoa-v5", "vcek.der", "ask_ark_genoa.pem"),
    ],
)
def test_a_real_report_is_completed_from_all_real_certificates(
    shared_dir: Path, name: str, key: str, chain: str
) -> None:
    folder = shared_dir / "vectors"
    pool = [
        data
        for path in sorted((folder / "roots" / "amd").glob("ask_ark_*.pem"))
        for data in certificates_from_pem(path.read_bytes())
    ]
    read = {path: (folder / "snp" / path).read_bytes() for path in VEKS}
    pool += [
        certificates_from_pem(data)[0] if path.endswith(".pem") else data
        for path, data in read.items()
    ]
    report = (folder / "snp" / name / "report.bin").read_bytes()
    evidence = Evidence(kind=EvidenceKind.SEV_SNP, report=report, certificates=())
    own = read[f"{name}/{key}"]
    vek = parse_certificate(certificates_from_pem(own)[0] if key.endswith(".pem") else own)
    now = vek.not_before
    found = authentic(evidence, amd_anchors(), now, *pool)
    assert not found.insecure
    given = Evidence(
        kind=EvidenceKind.SEV_SNP,
        report=report,
        certificates=(
            vek.raw,
            *certificates_from_pem((folder / "roots" / "amd" / chain).read_bytes())[:2],
        ),
    )
    assert found == authentic(given, amd_anchors(), now)
    pool.remove(vek.raw)
    refusal = refusal_of(evidence, amd_anchors(), now, *pool)
    assert refusal.code is Code.ENDORSEMENT_MISSING
    if parse_snp_report(report).signer is Signer.VCEK:
        assert "https://kdsintf.amd.com/vcek/v1/" in refusal.remedy


VEKS = (
    "ms-milan/vcek.pem",
    "ms-turin/vcek.pem",
    "coco-milan-vlek/vlek.der",
    "ars-genoa-v5/vcek.der",
    "coco-milan/vcek.der",
    "gsg-milan/vcek.der",
    "dstack-milan/vcek.pem",
    "virtee-turin/vcek.der",
)
