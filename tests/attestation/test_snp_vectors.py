"""The production verifier against evidence from real processors, at the times it was valid."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation.anchors import Product, amd_anchors
from sealtune.attestation.appraisal import AcceptedEnclave, appraise
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.reference import SnpTerms
from sealtune.attestation.snp_report import Generation, SnpReport, Tcb, decode_tcb, parse_snp_report
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import SnpClaims, VerifiedEvidence
from sealtune.attestation.verify import verify_evidence
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.errors import AppraisalError, Code, VerificationError
from sealtune.testing.mock_amd import changed_enclave

VECTORS = (
    "ms-milan",
    "ms-turin",
    "gsg-milan",
    "coco-milan",
    "coco-milan-vlek",
    "ars-genoa-v5",
    "dstack-milan",
)
CSP_ID = "CN=cc-us-east-2.amazonaws.com"
NO_FLOOR = {"bl": 0, "tee": 0, "snp": 0, "ucode": 0}


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


@pytest.fixture(scope="module")
def entries(folder: Path) -> dict[str, dict[str, Any]]:
    listing = json.loads((folder / "expected.json").read_text())
    return {entry["id"]: entry for entry in listing}


def certificates(path: Path) -> tuple[bytes, ...]:
    data = path.read_bytes()
    return certificates_from_pem(data) if path.suffix == ".pem" else (data,)


def evidence_of(folder: Path, entry: dict[str, Any], **paths: str) -> Evidence:
    files = {**entry, **paths}
    return Evidence(
        kind=EvidenceKind.SEV_SNP,
        report=(folder / files["report"]).read_bytes(),
        certificates=(
            certificates(folder / files["vek"])[0],
            *certificates(folder / files["chain"])[:2],
        ),
    )


def time_of(entry: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(entry["verify_time"], UTC)


def verified_of(folder: Path, entry: dict[str, Any], **paths: str) -> VerifiedEvidence:
    evidence = evidence_of(folder, entry, **paths)
    report_data = bytes.fromhex(entry["report_fields"]["report_data"])
    return verify_evidence(
        evidence,
        report_data=report_data,
        anchors=amd_anchors(),
        now=time_of(entry),
        endorsements=NO_ENDORSEMENTS,
        steps=Steps(),
    )


def snp(verified: VerifiedEvidence) -> SnpClaims:
    assert isinstance(verified.detail, SnpClaims)
    return verified.detail


def enclave_for(verified: VerifiedEvidence, **changes: Any) -> AcceptedEnclave:
    terms = SnpTerms(
        minimum_tcb={
            **{generation: NO_FLOOR for generation in Generation if generation != "turin"},
            Generation.TURIN: {"fmc": 0, **NO_FLOOR},
        },
        vmpl=frozenset({0}),
        chip_ids=None,
        csp_ids=frozenset({CSP_ID}),
        required_policy=frozenset(),
        required_platform=frozenset(),
        minimum_mitigations=0,
        require_crl=False,
    )
    enclave = AcceptedEnclave(
        name="vector",
        kind=EvidenceKind.SEV_SNP,
        measurements=frozenset({verified.measurement}),
        registers={},
        contract_at_launch=True,
        snp=terms,
        dcap=None,
        tpm=None,
        devices=(),
        insecure_accept_simulated=False,
        simulated_root=None,
    )
    return changed_enclave(enclave, **changes)


@pytest.mark.parametrize("name", VECTORS)
def test_real_evidence_verifies_and_is_appraised_as_expected(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[f"snp/{name}"]
    verified = verified_of(folder, entry)
    assert not verified.insecure
    enclave = enclave_for(verified)
    outcome = entry["policy_result"]
    if outcome == "accept":
        result = appraise(verified, accepted=[enclave], host_data=verified.host_data)
        assert all(rule.passed for rule in result.rules)
        assert result.insecure is False
        return
    expected = Code.APPRAISAL_DEBUG if "DEBUG" in outcome else Code.APPRAISAL_VMPL
    with pytest.raises(AppraisalError) as refusal:
        appraise(verified, accepted=[enclave], host_data=verified.host_data)
    assert refusal.value.code is expected


def test_a_vmpl_1_guest_of_a_provider_is_accepted_where_both_are(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    verified = verified_of(folder, entries["snp/coco-milan-vlek"])
    assert snp(verified).csp_id == CSP_ID
    enclave = enclave_for(verified, vmpl=frozenset({1}))
    assert (
        appraise(verified, accepted=[enclave], host_data=bytes(32)).claims.identity["csp_id"]
        == CSP_ID
    )


def _tcb(tcb: Tcb) -> dict[str, Any]:
    fmc = {} if tcb.fmc is None else {"fmc": tcb.fmc}
    rest = {"bl": tcb.bl, "tee": tcb.tee, "snp": tcb.snp, "ucode": tcb.ucode}
    return {**fmc, **rest, "rsvd": tcb.reserved.hex()}


def _policy_bits(policy: int) -> dict[str, Any]:
    names = {
        "smt": 16,
        "rsv1": 17,
        "migrate_ma": 18,
        "debug": 19,
        "single_socket": 20,
        "cxl": 21,
        "aes256xts": 22,
        "rapl_dis": 23,
        "cthide": 24,
        "pageswap_dis": 25,
    }
    bits = {name: policy >> bit & 1 for name, bit in names.items()}
    return {"abi": f"{policy >> 8 & 255}.{policy & 255}", **bits}


def _platform_bits(info: int) -> dict[str, int]:
    names = {"smt": 0, "tsme": 1, "ecc": 2, "rapl_dis": 3, "cthide": 4, "alias_ok": 5, "tio": 7}
    return {name: info >> bit & 1 for name, bit in names.items()}


def fields_of(report: SnpReport, product: Product, generation: str) -> dict[str, Any]:
    flags = report.author_key_enabled | report.mask_chip_key << 1 | (report.signer == "VLEK") << 2
    tcbs = {
        name: _tcb(decode_tcb(getattr(report, name), product=product))
        for name in ("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb")
    }
    octets = (
        "family_id",
        "image_id",
        "report_data",
        "measurement",
        "host_data",
        "id_key_digest",
        "author_key_digest",
        "report_id",
        "report_id_ma",
        "chip_id",
    )
    return {
        "version": report.version,
        "guest_svn": report.guest_svn,
        "policy": f"{report.policy:#x}",
        "vmpl": report.vmpl,
        "sigalgo": report.signature_algorithm,
        "platform_info": f"{report.platform_info:#x}",
        "flags": f"{flags:#x}",
        "author_key_en": int(report.author_key_enabled),
        "mask_chip_key": int(report.mask_chip_key),
        "signing_key": str(report.signer),
        **{name: getattr(report, name).hex() for name in octets},
        "cpuid": bytes(report.cpuid).hex(),
        "gen": generation,
        **tcbs,
        "current_ver": ".".join(map(str, report.current_version)),
        "committed_ver": ".".join(map(str, report.committed_version)),
        "launch_mit": report.launch_mitigations,
        "current_mit": report.current_mitigations,
        "rsv_0x208_nonzero": any(report.signed[0x208:]),
        "rsv_sig_nonzero": False,
        "policy_bits": _policy_bits(report.policy),
        "plat_bits": _platform_bits(report.platform_info),
    }


@pytest.mark.parametrize("name", VECTORS)
def test_every_parsed_field_is_as_expected(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[f"snp/{name}"]
    verified = verified_of(folder, entry)
    names = {
        Generation.MILAN: "Milan",
        Generation.GENOA: "Genoa",
        Generation.SIENA_BERGAMO: "Siena/Bergamo",
        Generation.TURIN: "Turin",
    }
    report = snp(verified).report
    # The list was made from the report alone; a version 2 report leaves this open there.
    generation = names[snp(verified).generation] if report.has_cpuid else "Milan/Genoa?"
    assert verified.root.product == entry["generation"]
    assert fields_of(report, verified.root.product, generation) == entry["report_fields"]


@pytest.mark.parametrize("name", VECTORS)
def test_a_second_before_or_after_the_certificates_validity_is_refused(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[f"snp/{name}"]
    verified_of(folder, {**entry, "verify_time": entry["vek_not_before"]})
    verified_of(folder, {**entry, "verify_time": entry["vek_not_after"]})
    for moment in (entry["vek_not_before"] - 1, entry["vek_not_after"] + 1):
        with pytest.raises(VerificationError) as refusal:
            verified_of(folder, {**entry, "verify_time": moment})
        assert refusal.value.code is Code.EVIDENCE_CERTIFICATE_TIME


@pytest.mark.parametrize("name", ["NEG_vcek-invalid-legacy.der", "NEG_vcek-invalid-new.der"])
def test_a_forged_vcek_is_refused(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    with pytest.raises(VerificationError) as refusal:
        verified_of(folder, entries["snp/coco-milan"], vek=f"snp/coco-milan/{name}")
    assert refusal.value.code is Code.CERTIFICATE_SIGNATURE


@pytest.mark.parametrize(
    ("vek", "chain"),
    [
        ("snp/ms-milan/vcek.pem", "roots/amd/ask_ark_genoa.pem"),
        ("snp/ms-milan/vcek.pem", "roots/amd/ask_ark_turin_vcek.pem"),
        ("snp/ms-milan/vcek.pem", "roots/amd/ask_ark_milan_vlek.pem"),
        ("snp/coco-milan-vlek/vlek.der", "roots/amd/ask_ark_milan_vlek.pem"),
        ("snp/ms-turin/vcek.pem", "roots/amd/ask_ark_turin_vcek.pem"),
    ],
)
def test_a_chain_of_another_product_or_role_is_refused(
    folder: Path, entries: dict[str, dict[str, Any]], vek: str, chain: str
) -> None:
    with pytest.raises(VerificationError) as refusal:
        verified_of(folder, entries["snp/ms-milan"], vek=vek, chain=chain)
    assert refusal.value.code in (Code.EVIDENCE_CHAIN, Code.EVIDENCE_SIGNATURE)


def test_a_vlek_under_the_ask_is_refused(folder: Path, entries: dict[str, dict[str, Any]]) -> None:
    entry = entries["snp/coco-milan-vlek"]
    with pytest.raises(VerificationError) as refusal:
        verified_of(folder, entry, chain="roots/amd/ask_ark_milan.pem")
    assert refusal.value.code is Code.EVIDENCE_CHAIN


def test_a_report_with_the_vcek_of_another_chip_is_refused(folder: Path) -> None:
    azure = folder / "azure-vtpm" / "kinvolk"
    report = (azure / "hcl-report-snp.bin").read_bytes()[32 : 32 + 1184]
    evidence = Evidence(
        kind=EvidenceKind.SEV_SNP,
        report=report,
        certificates=certificates(azure / "certs.pem"),
    )
    with pytest.raises(VerificationError) as refusal:
        verify_evidence(
            evidence,
            report_data=parse_snp_report(report).report_data,
            anchors=amd_anchors(),
            now=datetime(2024, 1, 1, tzinfo=UTC),
            endorsements=NO_ENDORSEMENTS,
            steps=Steps(),
        )
    assert refusal.value.code is Code.EVIDENCE_SIGNATURE


def test_reports_below_the_published_floor_are_refused(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    floor = {Generation.MILAN: {"bl": 4, "tee": 0, "snp": 24, "ucode": 219}}
    verdicts = {}
    for name in ("ms-milan", "coco-milan", "dstack-milan"):
        verified = verified_of(folder, entries[f"snp/{name}"])
        enclave = enclave_for(verified, minimum_tcb=floor)
        try:
            appraise(verified, accepted=[enclave], host_data=verified.host_data)
            verdicts[name] = None
        except AppraisalError as refusal:
            verdicts[name] = refusal.code
    assert verdicts == {
        "ms-milan": None,
        "coco-milan": Code.APPRAISAL_TCB,
        "dstack-milan": Code.APPRAISAL_TCB,
    }


def test_a_bit_that_we_do_not_know_in_platform_info_is_accepted_and_recorded(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    # The Turin report has IOMMU_WRITE_SAFE, which verifiers of its day did not know.
    verified = verified_of(folder, entries["snp/ms-turin"])
    enclave = enclave_for(verified, required_platform=frozenset({"iommu-write-safe"}))
    result = appraise(verified, accepted=[enclave], host_data=verified.host_data)
    assert result.claims.fields["platform_info"] == "0x65"


@pytest.mark.parametrize("name", ["evidence-v0", "evidence-v1", "evidence-v2", "evidence-genoa"])
def test_the_report_inside_azure_evidence_verifies_with_the_expected_fields(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[f"azure-vtpm/coco-snp/{name}.json"]
    value = json.loads((folder / "azure-vtpm" / "coco-snp" / f"{name}.json").read_text())
    hcl, vcek = value.get("hcl_report", value.get("report")), value["vcek"]
    hcl = bytes(hcl) if isinstance(hcl, list) else base64.urlsafe_b64decode(hcl + "==")
    is_pem = vcek.startswith("-----")
    product = entry["vcek_chain"]
    chain = certificates(folder / "roots" / "amd" / f"ask_ark_{product.lower()}.pem")
    expected = entry["snp"]
    verified = verify_evidence(
        Evidence(
            kind=EvidenceKind.SEV_SNP,
            report=hcl[32 : 32 + 1184],
            certificates=(
                certificates_from_pem(vcek.encode())[0] if is_pem else b64(vcek),
                *chain,
            ),
        ),
        report_data=bytes.fromhex(expected["report_data"]),
        anchors=amd_anchors(),
        now=datetime.fromisoformat(entry["vcek_validity"][0]),
        endorsements=NO_ENDORSEMENTS,
        steps=Steps(),
    )
    assert snp(verified).generation == product.lower()
    assert verified.measurement == expected["measurement"]
    assert verified.claims.identity["chip_id"] == expected["chip_id"]
    assert snp(verified).report.version == expected["version"]
    assert _tcb(snp(verified).reported_tcb) == expected["reported_tcb"]


def b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "==")
