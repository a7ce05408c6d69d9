"""Evidence of real Azure VMs, in the production verifier, at the times it was valid."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.azure_claims import vtpm_fields
from sealtune.attestation.azure_hcl import (
    HardwareType,
    open_runtime_claims,
    parse_hcl_report,
)
from sealtune.attestation.azure_tdreport import require_same_domain
from sealtune.attestation.azure_vtpm import authenticate_vtpm
from sealtune.attestation.dcap_claims import td_fields
from sealtune.attestation.dcap_quote import TdReport, parse_quote
from sealtune.attestation.endorsements import (
    NO_ENDORSEMENTS,
    Endorsement,
    Endorsements,
    EndorsementType,
)
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.snp_report import parse_snp_report
from sealtune.attestation.steps import Outcome, Steps
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.attestation.verifiers.azure import verify_azure_snp, verify_azure_tdx
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.errors import AppraisalError, Code, SealtuneError

SNP = ("evidence-v0", "evidence-v1", "evidence-v2", "evidence-genoa")
TDX = ("evidence-v0", "evidence-v1")
COLLATERAL = ("tdx-00806f05-2025-07.json", 1753175614), ("tdx-00806f05-2025-10.json", 1761920231)
ABOUT_ENTRY = {"id", "tee"}


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


@pytest.fixture(scope="module")
def entries(folder: Path) -> dict[str, dict[str, Any]]:
    listing = json.loads((folder / "expected.json").read_text())
    return {entry["id"]: entry for entry in listing}


def octets(value: Any) -> bytes:
    """Bytes as version 0 (a list) and version 1 (hexadecimal or base64url) write them."""
    if isinstance(value, list):
        return bytes(value)
    try:
        return bytes.fromhex(value)
    except ValueError:
        return base64.urlsafe_b64decode(value.replace("+", "-").replace("/", "_") + "==")


def parts_of(value: dict[str, Any]) -> dict[str, bytes]:
    quote = value.get("tpm_quote", value.get("quote"))
    return {
        "tpm_quote": octets(quote["message"]),
        "tpm_signature": octets(quote["signature"]),
        "pcrs": b"".join(map(octets, quote["pcrs"])),
    }


def snp_evidence(folder: Path, entry: dict[str, Any]) -> Evidence:
    value = json.loads((folder / entry["id"]).read_text())
    vcek = value["vcek"]
    leaf = certificates_from_pem(vcek.encode())[0] if vcek.startswith("---") else octets(vcek)
    chain = f"ask_ark_{entry['vcek_chain'].lower()}.pem"
    return Evidence(
        kind=EvidenceKind.AZURE_SNP,
        report=octets(value.get("hcl_report", value.get("report"))),
        certificates=(
            leaf,
            *certificates_from_pem((folder / "roots" / "amd" / chain).read_bytes()),
        ),
        parts=parts_of(value),
    )


def tdx_evidence(folder: Path, name: str) -> Evidence:
    value = json.loads((folder / "azure-vtpm" / "coco-tdx" / f"{name}.json").read_text())
    return Evidence(
        kind=EvidenceKind.AZURE_TDX,
        report=octets(value["hcl_report"]),
        certificates=(),
        parts={**parts_of(value), "td_quote": octets(value["td_quote"])},
    )


def verified_snp(evidence: Evidence, entry: dict[str, Any]) -> AuthenticEvidence:
    return verify_azure_snp(
        evidence,
        anchors=vendor_anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=datetime.fromisoformat(entry["vcek_validity"][0]),
        steps=Steps(),
    )


def refusal_of(call: Callable[[], object]) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        call()
    return refusal.value.code


@pytest.fixture(params=SNP)
def entry(request: pytest.FixtureRequest, entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return entries[f"azure-vtpm/coco-snp/{request.param}.json"]


# -- SEV-SNP ---------------------------------------------------------------------------------------


def test_real_evidence_verifies_and_every_stated_field_is_equal(
    folder: Path, entry: dict[str, Any]
) -> None:
    result = verified_snp(snp_evidence(folder, entry), entry)
    assert not result.insecure
    stated = {name: value for name, value in entry.items() if name not in ABOUT_ENTRY}
    assert {name: result.claims.fields.get(name) for name in stated} == stated
    assert result.freshness.hex() == entry["tpm_quote"]["extra"]
    assert list(result.claims.registers.values()) == entry["pcrs_sha256"]
    assert result.claims.measurement == entry["snp"]["measurement"]
    assert json.dumps(dict(result.claims.fields))


def test_evidence_in_both_versions_of_the_form_is_the_same_machine(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    first, second = (
        entries[f"azure-vtpm/coco-snp/evidence-{version}.json"] for version in ("v0", "v1")
    )
    one = verified_snp(snp_evidence(folder, first), first).claims
    other = verified_snp(snp_evidence(folder, second), second).claims
    assert one.identity == other.identity
    assert one.registers == other.registers


HARDWARE = 32


@pytest.mark.parametrize(
    ("offset", "code"),
    [
        (0, Code.EVIDENCE_MALFORMED),
        (4, Code.EVIDENCE_VERSION),
        (8, Code.EVIDENCE_MALFORMED),
        (12, Code.EVIDENCE_MALFORMED),
        (20, Code.EVIDENCE_MALFORMED),
        (HARDWARE + 0x050, Code.EVIDENCE_SIGNATURE),
        (HARDWARE + 0x090, Code.EVIDENCE_SIGNATURE),
        (HARDWARE + 0x2A0, Code.EVIDENCE_SIGNATURE),
        (1216, Code.EVIDENCE_MALFORMED),
        (1224, Code.EVIDENCE_KIND),
        (1228, Code.EVIDENCE_MALFORMED),
        (1232, Code.EVIDENCE_MALFORMED),
        (1236, Code.EVIDENCE_VTPM_BINDING),
        (1300, Code.EVIDENCE_VTPM_BINDING),
        (2599, Code.EVIDENCE_MALFORMED),
    ],
)
def test_a_changed_byte_of_the_hcl_report_is_refused(
    folder: Path, entry: dict[str, Any], offset: int, code: Code
) -> None:
    evidence = snp_evidence(folder, entry)
    report = bytearray(evidence.report)
    report[offset] ^= 6 if offset in (4, 1224) else 1
    changed = dataclasses.replace(evidence, report=bytes(report))
    assert refusal_of(lambda: verified_snp(changed, entry)) is code


def test_the_length_of_the_data_is_not_the_length_of_the_claims(
    folder: Path, entry: dict[str, Any]
) -> None:
    evidence = snp_evidence(folder, entry)
    data_size = evidence.report[1216:1220]
    report = evidence.report[:1232] + data_size + evidence.report[1236:]
    changed = dataclasses.replace(evidence, report=report)
    assert refusal_of(lambda: verified_snp(changed, entry)) is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize(
    ("part", "offset", "code"),
    [
        ("tpm_quote", 0, Code.EVIDENCE_MALFORMED),
        ("tpm_quote", 44, Code.EVIDENCE_SIGNATURE),
        ("tpm_quote", -1, Code.EVIDENCE_SIGNATURE),
        ("tpm_signature", 0, Code.EVIDENCE_SIGNATURE),
        ("pcrs", 0, Code.EVIDENCE_PCR_DIGEST),
        ("pcrs", -1, Code.EVIDENCE_PCR_DIGEST),
    ],
)
def test_a_changed_byte_of_the_vtpms_parts_is_refused(
    folder: Path, entry: dict[str, Any], part: str, offset: int, code: Code
) -> None:
    evidence = snp_evidence(folder, entry)
    data = bytearray(evidence.parts[part])
    data[offset] ^= 1
    changed = dataclasses.replace(evidence, parts={**evidence.parts, part: bytes(data)})
    assert refusal_of(lambda: verified_snp(changed, entry)) is code


@pytest.mark.parametrize("count", [23, 25])
def test_a_list_of_23_or_25_registers_is_refused(
    folder: Path, entry: dict[str, Any], count: int
) -> None:
    evidence = snp_evidence(folder, entry)
    values = (evidence.parts["pcrs"] + bytes(32))[: 32 * count]
    changed = dataclasses.replace(evidence, parts={**evidence.parts, "pcrs": values})
    assert refusal_of(lambda: verified_snp(changed, entry)) is Code.EVIDENCE_PCR_DIGEST


def test_the_quote_of_another_vm_is_refused(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    mine = entries["azure-vtpm/coco-snp/evidence-v1.json"]
    other = entries["azure-vtpm/coco-snp/evidence-v2.json"]
    crossed = dataclasses.replace(
        snp_evidence(folder, mine), parts=snp_evidence(folder, other).parts
    )
    assert refusal_of(lambda: verified_snp(crossed, mine)) is Code.EVIDENCE_SIGNATURE


def test_a_vcek_of_another_chip_is_refused(folder: Path) -> None:
    kinvolk = folder / "azure-vtpm" / "kinvolk"
    evidence = Evidence(
        kind=EvidenceKind.AZURE_SNP,
        report=(kinvolk / "hcl-report-snp.bin").read_bytes(),
        certificates=certificates_from_pem((kinvolk / "certs.pem").read_bytes()),
        parts={"tpm_quote": b"", "tpm_signature": b"", "pcrs": b""},
    )

    def verify() -> AuthenticEvidence:
        return verify_azure_snp(
            evidence,
            anchors=vendor_anchors(),
            endorsements=NO_ENDORSEMENTS,
            now=datetime(2024, 1, 1, tzinfo=UTC),
            steps=Steps(),
        )

    assert refusal_of(verify) is Code.EVIDENCE_SIGNATURE


def test_the_claims_of_2023_name_their_key(folder: Path) -> None:
    kinvolk = folder / "azure-vtpm" / "kinvolk"
    hcl = parse_hcl_report(
        (kinvolk / "hcl-report-snp.bin").read_bytes(), hardware_type=HardwareType.SNP
    )
    runtime = open_runtime_claims(hcl, report_data=parse_snp_report(hcl.hardware).report_data)
    (key,) = json.loads(hcl.runtime)["keys"]
    assert key["key_ops"] == ["encrypt"]
    assert octets(key["n"]) in runtime.ak_spki
    assert runtime.user_data == ""
    assert runtime.setting("secure-boot") is True


# -- TDX -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "time"), COLLATERAL)
@pytest.mark.parametrize("version", TDX)
def test_a_trust_domain_without_sept_ve_disable_is_refused_after_every_link_held(
    folder: Path, version: str, name: str, time: int
) -> None:
    collateral = (folder / "intel-collateral" / "composed" / name).read_bytes()
    steps = Steps()
    with pytest.raises(AppraisalError) as refusal:
        verify_azure_tdx(
            tdx_evidence(folder, version),
            anchors=vendor_anchors(),
            endorsements=Endorsements(
                items=(Endorsement(type=EndorsementType.DCAP, data=collateral),)
            ),
            now=datetime.fromtimestamp(time, UTC),
            steps=steps,
        )
    assert refusal.value.code is Code.APPRAISAL_POLICY
    passed = {step.name for step in steps.done if step.outcome is Outcome.PASSED}
    assert {
        "TDREPORT",
        "runtime claims",
        "vTPM quote",
        "registers",
        "chain",
        "signature",
        "tcb level",
    } <= passed


def test_every_stated_field_of_a_vm_on_tdx_is_equal(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    entry = entries["azure-vtpm/coco-tdx/evidence-v1.json"]
    evidence = tdx_evidence(folder, "evidence-v1")
    hcl = parse_hcl_report(evidence.report, hardware_type=HardwareType.TDX)
    quoted = parse_quote(evidence.part("td_quote")).body
    assert isinstance(quoted, TdReport)
    require_same_domain(hcl.hardware, quoted)
    vtpm = authenticate_vtpm(evidence, hcl, report_data=quoted.report_data, steps=Steps())
    found = {**vtpm_fields(vtpm), "td_quote_report_data": quoted.report_data.hex()}
    stated = {name: value for name, value in entry.items() if name not in ABOUT_ENTRY | {"binding"}}
    assert {name: found.get(name) for name in stated} == stated
    quote_entry = entries["azure-vtpm/coco-tdx/evidence-v1.td-quote.bin"]["fields"]
    assert {name: td_fields(quoted).get(name) for name in quote_entry} == quote_entry


def test_the_report_of_another_trust_domain_is_refused(folder: Path) -> None:
    other = (folder / "azure-vtpm" / "kinvolk" / "hcl-report-tdx.bin").read_bytes()
    evidence = dataclasses.replace(tdx_evidence(folder, "evidence-v1"), report=other)

    def verify() -> AuthenticEvidence:
        return verify_azure_tdx(
            evidence,
            anchors=vendor_anchors(),
            endorsements=NO_ENDORSEMENTS,
            now=datetime.fromtimestamp(COLLATERAL[0][1], UTC),
            steps=Steps(),
        )

    assert refusal_of(verify) is Code.EVIDENCE_VTPM_BINDING


def test_a_tdreport_binds_its_claims(folder: Path) -> None:
    data = (folder / "azure-vtpm" / "kinvolk" / "hcl-report-tdx.bin").read_bytes()
    hcl = parse_hcl_report(data, hardware_type=HardwareType.TDX)
    runtime = open_runtime_claims(hcl, report_data=hcl.hardware[128:192])
    assert runtime.setting("secure-boot") is False
