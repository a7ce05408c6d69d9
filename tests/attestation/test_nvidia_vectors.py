"""The production verifier against reports and RIMs of real NVIDIA devices."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation.anchors import RootUse, vendor_anchors
from sealtune.attestation.endorsements import (
    NO_ENDORSEMENTS,
    Endorsement,
    Endorsements,
    EndorsementType,
)
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.nvidia_claims import fwid_field, require_distinct, spdm_fields
from sealtune.attestation.nvidia_eat import eat_tokens, refuse_tokens
from sealtune.attestation.nvidia_reference import rim_ids
from sealtune.attestation.nvidia_spdm import FWID, parse_spdm_report
from sealtune.attestation.rim import parse_rim, verify_rim
from sealtune.attestation.steps import Outcome, Steps
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.attestation.verifiers.nvidia import verify_nvidia
from sealtune.crypto.x509 import certificates_from_pem, parse_certificate
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

IDS = (
    "nvtrust-samples/hopperAttestationReport.txt",
    "sdk-sample/gpu/hopperAttestationReport.txt",
    "sdk-sample/gpu/blackwellAttestationReport.txt",
    "sdk-sample/gpu/hopperAttestationReportExpired.txt",
    "sdk-sample/gpu/hopperAttestationReportInvalidSignature.txt",
    "sdk-sample/switch/switchAttestationReport.txt",
    "sdk-sample/switch/switchAttestationReportInvalidSignature.txt",
    "sdk-serialized/hopper_evidence.json#0",
    "sdk-serialized/hopper_evidence_cert_hold.json#0",
    *(f"sdk-serialized/multi_gpu_hopper.json#{number}" for number in range(4)),
    *(f"sdk-serialized/multi_switch_ls10.json#{number}" for number in range(4)),
    "sdk-serialized/switch_evidence_ls10.json#0",
)
GENUINE = tuple(name for name in IDS if "InvalidSignature" not in name)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
# When the RIM of the sample report's VBIOS was valid.
RIM_TIME = datetime.fromtimestamp(1_700_000_000, UTC)
HOPPER = "sdk-sample/gpu/hopperAttestationReport.txt"
SWITCH = "sdk-sample/switch/switchAttestationReport.txt"
VBIOS_RIM = "nvtrust-samples/1010_0200_882_96005E0001_PROD.swidtag"
SWITCH_RIM = "sdk-unit/switchVBIOSRim_NV_SWITCH_BIOS_5612_0002_890_9610550001.xml"


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors" / "nvidia"


@pytest.fixture(scope="module")
def entries(shared_dir: Path) -> dict[str, dict[str, Any]]:
    listing = json.loads((shared_dir / "vectors" / "expected.json").read_text())
    return {entry["id"].removeprefix("nvidia/"): entry for entry in listing}


def evidence_of(folder: Path, entries: dict[str, dict[str, Any]], name: str) -> Evidence:
    entry = entries[name]
    path, _, number = name.partition("#")
    if number:
        item = json.loads((folder / path).read_text())[int(number)]
        report = base64.b64decode(item["evidence"])
        chain = base64.b64decode(item["certificate"])
    else:
        report = bytes.fromhex((folder / path).read_text())
        chain = (folder.parent / entry["cert_chain"]).read_bytes()
    return Evidence(
        kind=EvidenceKind(entry["tee"]), report=report, certificates=certificates_from_pem(chain)
    )


def rims(folder: Path, *names: str) -> Endorsements:
    return Endorsements(
        items=tuple(
            Endorsement(type=EndorsementType.NVIDIA_RIM, data=(folder / name).read_bytes())
            for name in names
        )
    )


def verified(
    evidence: Evidence, endorsements: Endorsements = NO_ENDORSEMENTS, now: datetime = NOW
) -> AuthenticEvidence:
    return verify_nvidia(
        evidence, anchors=vendor_anchors(), endorsements=endorsements, now=now, steps=Steps()
    )


def refused(
    evidence: Evidence, endorsements: Endorsements = NO_ENDORSEMENTS, now: datetime = NOW
) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        verified(evidence, endorsements, now)
    return refusal.value.code


# -- expected.json ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GENUINE)
def test_real_evidence_verifies_with_every_field_as_expected(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[name]
    authentic = verified(evidence_of(folder, entries, name))
    stated = entry.keys() - {"id", "tee", "cert_chain", "nonce_match", "duplicate_of_earlier"}
    assert {field: authentic.claims.fields[field] for field in stated} == {
        field: entry[field] for field in stated
    }
    assert authentic.kind == entry["tee"]
    assert authentic.freshness.hex() == entry["req_nonce"]
    assert not authentic.insecure
    assert authentic.root.use is RootUse.NVIDIA_DEVICE
    json.dumps(dict(authentic.claims.fields))


@pytest.mark.parametrize("name", sorted(set(IDS) - set(GENUINE)))
def test_real_evidence_with_a_wrong_signature_is_refused(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[name]
    evidence = evidence_of(folder, entries, name)
    assert entry["signature"] == "FAIL InvalidSignature"
    assert refused(evidence) is Code.EVIDENCE_SIGNATURE
    report = parse_spdm_report(evidence.report)
    leaf = parse_certificate(evidence.certificates[0])
    fields = {**spdm_fields(report), "fwid_match": fwid_field(report, leaf=leaf)}
    stated = entry.keys() & fields.keys()
    assert {"req_nonce", "driver", "vbios", "nblocks", "fwid_match"} <= stated
    assert {field: fields[field] for field in stated} == {field: entry[field] for field in stated}


def test_all_entries_of_nvidia_are_tested(entries: dict[str, dict[str, Any]]) -> None:
    listed = {name for name, entry in entries.items() if entry["tee"].startswith("nvidia")}
    assert listed == set(IDS)


@pytest.mark.parametrize(
    ("name", "hwmodel", "ueid", "version"),
    [
        (
            "nvtrust-samples/hopperAttestationReport.txt",
            "GH100 A01 GSP BROM",
            "478176379286082186618948445787393647364802107249",
            "96.00.9F.00.01",
        ),
        (
            SWITCH,
            "LS_10 A01 FSP BROM",
            "694931143880983876767046803400974855445978836716",
            "96.10.55.00.01",
        ),
    ],
    ids=["gpu", "switch"],
)
def test_a_device_is_named_as_nvidias_service_named_it(
    folder: Path,
    entries: dict[str, dict[str, Any]],
    name: str,
    hwmodel: str,
    ueid: str,
    version: str,
) -> None:
    fields = verified(evidence_of(folder, entries, name)).claims.fields
    assert (fields["hwmodel"], fields["ueid"]) == (hwmodel, ueid)
    assert fields["vbios_version"] == version


def test_a_switch_says_its_identifier_in_report_and_certificate(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    fields = verified(evidence_of(folder, entries, SWITCH)).claims.fields
    assert fields["switch_pdis"] == [fields["pdi"]]


def test_blackwells_certificate_binds_firmware_and_says_that_debug_is_off(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    evidence = evidence_of(folder, entries, "sdk-sample/gpu/blackwellAttestationReport.txt")
    authentic = verified(evidence)
    assert authentic.claims.fields["fwid"] == parse_spdm_report(evidence.report).opaque[FWID].hex()
    assert authentic.claims.fields["debug"] is False
    assert authentic.claims.generation == "blackwell"


def test_protected_pcie_is_read(folder: Path, entries: dict[str, dict[str, Any]]) -> None:
    on = verified(evidence_of(folder, entries, "sdk-serialized/hopper_evidence.json#0"))
    off = verified(evidence_of(folder, entries, "sdk-serialized/hopper_evidence_cert_hold.json#0"))
    silent = verified(evidence_of(folder, entries, HOPPER))
    found = [one.claims.fields["protected_pcie"] for one in (on, off, silent)]
    assert found == [True, False, None]


@pytest.mark.parametrize(
    ("file", "distinct"), [("multi_gpu_hopper.json", True), ("multi_switch_ls10.json", False)]
)
def test_one_device_does_not_stand_for_several(
    folder: Path, entries: dict[str, dict[str, Any]], file: str, distinct: bool
) -> None:
    names = [f"sdk-serialized/{file}#{number}" for number in range(4)]
    devices = [verified(evidence_of(folder, entries, name)) for name in names]
    assert any(entries[name]["duplicate_of_earlier"] for name in names[1:]) is not distinct
    if distinct:
        require_distinct(devices)
        return
    with pytest.raises(VerificationError) as refusal:
        require_distinct(devices)
    assert refusal.value.code is Code.DEVICE_DUPLICATE


# -- negatives made from real files ----------------------------------------------------------------


def _flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


CHANGES = {
    "request-nonce": (_flip(4), Code.EVIDENCE_SIGNATURE),
    "request-nonce-end": (_flip(35), Code.EVIDENCE_SIGNATURE),
    "request-version": (_flip(0), Code.EVIDENCE_VERSION),
    "request-code": (_flip(1), Code.EVIDENCE_MALFORMED),
    "request-asks-for-one": (_flip(3), Code.DEVICE_SPLICED),
    "request-without-signature": (_flip(2), Code.DEVICE_SPLICED),
    "request-slot": (_flip(36), Code.DEVICE_SPLICED),
    "response-version": (_flip(37), Code.EVIDENCE_VERSION),
    "response-slot": (_flip(40), Code.DEVICE_SPLICED),
    "measurement": (_flip(60), Code.EVIDENCE_SIGNATURE),
    "response-nonce": (_flip(-96 - 300), Code.EVIDENCE_SIGNATURE),
    "signature-r": (_flip(-96), Code.EVIDENCE_SIGNATURE),
    "signature-s": (_flip(-2), Code.EVIDENCE_SIGNATURE),
    "signature-zero": (lambda data: data[:-96] + bytes(96), Code.EVIDENCE_SIGNATURE),
    "trailing-byte": (lambda data: data + b"\0", Code.EVIDENCE_MALFORMED),
    "cut": (lambda data: data[:-1], Code.EVIDENCE_MALFORMED),
    "empty": (lambda data: b"", Code.EVIDENCE_MALFORMED),
    "oversize": (lambda data: data.ljust(16 * 1024 + 1, b"\0"), Code.LIMIT_EXCEEDED),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_changed_report_is_refused(
    folder: Path, entries: dict[str, dict[str, Any]], change: str
) -> None:
    evidence = evidence_of(folder, entries, HOPPER)
    alter, code = CHANGES[change]
    assert refused(dataclasses.replace(evidence, report=alter(evidence.report))) is code


def test_a_response_behind_another_request_is_refused(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    # Two genuine messages of one form: only the signature over both can tell.
    ours = evidence_of(folder, entries, "sdk-serialized/multi_gpu_hopper.json#1")
    other = evidence_of(folder, entries, "sdk-serialized/hopper_evidence_cert_hold.json#0")
    spliced = dataclasses.replace(ours, report=other.report[:37] + ours.report[37:])
    assert refused(spliced) is Code.EVIDENCE_SIGNATURE


def test_the_chain_of_another_device_is_refused(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    ours = evidence_of(folder, entries, "sdk-serialized/multi_gpu_hopper.json#1")
    other = evidence_of(folder, entries, "sdk-serialized/multi_gpu_hopper.json#2")
    swapped = dataclasses.replace(ours, certificates=other.certificates)
    assert refused(swapped) is Code.EVIDENCE_SIGNATURE
    mixed = (ours.certificates[0], *other.certificates[1:])
    # Their ROMs differ by the serial number in the subject.
    assert refused(dataclasses.replace(ours, certificates=mixed)) is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize("dropped", range(5))
def test_a_chain_that_lacks_one_certificate_is_refused(
    folder: Path, entries: dict[str, dict[str, Any]], dropped: int
) -> None:
    evidence = evidence_of(folder, entries, HOPPER)
    chain = evidence.certificates[:dropped] + evidence.certificates[dropped + 1 :]
    code = refused(dataclasses.replace(evidence, certificates=chain))
    assert code in (Code.EVIDENCE_CHAIN, Code.ENDORSEMENT_MISSING)


def test_a_root_that_the_device_leaves_out_is_taken_from_the_endorsements(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    evidence = evidence_of(folder, entries, HOPPER)
    rest = Endorsements(
        items=tuple(
            Endorsement(type=EndorsementType.X509_CERTIFICATE, data=data)
            for data in reversed(evidence.certificates[3:])
        )
    )
    short = dataclasses.replace(evidence, certificates=evidence.certificates[:3])
    assert refused(short) is Code.ENDORSEMENT_MISSING
    verified(short, rest)


def test_rim_root_and_device_root_are_not_exchanged(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    rim = parse_rim((folder / VBIOS_RIM).read_bytes())
    evidence = evidence_of(folder, entries, HOPPER)
    signer = dataclasses.replace(evidence, certificates=rim.document.certificates)
    assert refused(signer, now=RIM_TIME) is Code.EVIDENCE_ROOT


@pytest.mark.parametrize(
    ("name", "kind"),
    [(HOPPER, EvidenceKind.NVIDIA_SWITCH), (SWITCH, EvidenceKind.NVIDIA_GPU)],
    ids=["gpu-as-switch", "switch-as-gpu"],
)
def test_a_device_is_of_the_kind_that_its_certificates_say(
    folder: Path, entries: dict[str, dict[str, Any]], name: str, kind: EvidenceKind
) -> None:
    evidence = dataclasses.replace(evidence_of(folder, entries, name), kind=kind)
    assert refused(evidence) is Code.EVIDENCE_KIND


# -- reference measurements ------------------------------------------------------------------------


def test_a_gpu_matches_the_reference_values_of_its_vbios(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    authentic = verified(
        evidence_of(folder, entries, HOPPER), rims(folder, VBIOS_RIM), now=RIM_TIME
    )
    rim = authentic.claims.fields["vbios_rim"]
    assert len(rim["compared"]) == 12
    assert rim["version"] == "96.00.5E.00.01"
    assert authentic.claims.fields["driver_rim"] is None
    assert not authentic.claims.memory_protected


def test_a_switch_matches_all_31_of_its_reference_values(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    authentic = verified(evidence_of(folder, entries, SWITCH), rims(folder, SWITCH_RIM))
    assert authentic.claims.fields["vbios_rim"]["compared"] == list(range(31))
    assert authentic.claims.memory_protected


def test_what_is_not_compared_is_said(folder: Path, entries: dict[str, dict[str, Any]]) -> None:
    steps = Steps()
    verify_nvidia(
        evidence_of(folder, entries, HOPPER),
        anchors=vendor_anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=NOW,
        steps=steps,
    )
    skipped = {step.name for step in steps.done if step.outcome is Outcome.SKIPPED}
    assert skipped == {"firmware", "revocation", "driver RIM", "VBIOS RIM"}


def test_a_genuine_rim_that_differs_refuses(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    other = "sdk-rims/NV_GPU_VBIOS_1010_0200_882_96005E0001_measurement_mismatch.xml"
    evidence = evidence_of(folder, entries, HOPPER)
    then = datetime(2025, 1, 1, tzinfo=UTC)
    assert refused(evidence, rims(folder, other), then) is Code.RIM_MISMATCH
    # NVIDIA signed both for this version: the device has to match one of them wholly.
    verified(evidence, rims(folder, other, VBIOS_RIM), then)


@pytest.mark.parametrize(
    ("name", "rim", "now", "code"),
    [
        (HOPPER, VBIOS_RIM, NOW, Code.ENDORSEMENT_STALE),
        (
            "sdk-sample/gpu/hopperAttestationReportExpired.txt",
            "sdk-rims/NV_GPU_DRIVER_GH100_570.124.03_expired.xml",
            NOW,
            Code.ENDORSEMENT_STALE,
        ),
        (
            HOPPER,
            "sdk-rims/NV_GPU_DRIVER_GH100_535.86.09_measurement_mismatch.xml",
            NOW,
            Code.ENDORSEMENT_SIGNATURE,
        ),
    ],
    ids=["stale", "expired", "altered"],
)
def test_a_rim_that_is_given_and_wrong_refuses(
    folder: Path,
    entries: dict[str, dict[str, Any]],
    name: str,
    rim: str,
    now: datetime,
    code: Code,
) -> None:
    assert refused(evidence_of(folder, entries, name), rims(folder, rim), now) is code


@pytest.mark.parametrize(
    ("rim", "code"),
    [
        ("nvtrust-samples/1010_0200_882_960074001A_PROD.swidtag", Code.ENDORSEMENT_STALE),
        ("sdk-unit/incorrect_signature_driver_rim.xml", Code.ENDORSEMENT_SIGNATURE),
        ("sdk-unit/incorrect_cert_chain_driver_rim.xml", Code.EVIDENCE_ROOT),
    ],
    ids=["stale", "signature", "chain"],
)
def test_a_wrong_rim_of_another_version_does_not_matter(
    folder: Path, entries: dict[str, dict[str, Any]], rim: str, code: Code
) -> None:
    fields = verified(evidence_of(folder, entries, HOPPER), rims(folder, rim)).claims.fields
    assert (fields["driver_rim"], fields["vbios_rim"]) == (None, None)
    parsed = parse_rim((folder / rim).read_bytes())
    with pytest.raises(VerificationError) as refusal:
        verify_rim(parsed, anchors=vendor_anchors(), endorsements=NO_ENDORSEMENTS, now=NOW)
    assert refusal.value.code is code


@pytest.mark.parametrize(
    ("file", "product", "version", "count"),
    [
        (VBIOS_RIM, "GH100", "96.00.5E.00.01", 12),
        ("nvtrust-samples/g520_0200_885_9600740001_PROD.swidtag", "GH100", "96.00.74.00.01", 12),
        ("nvtrust-samples/Driver_RIM_test_no_gpu.swidtag", "GH100", "545.00", 21),
        ("sdk-unit/NV_GPU_DRIVER_GH100_550.144.03.xml", "GH100", "550.144.03", 21),
        (SWITCH_RIM, "LS10", "96.10.55.00.01", 31),
    ],
)
def test_genuine_rims_verify_at_their_time(
    folder: Path, file: str, product: str, version: str, count: int
) -> None:
    parsed = parse_rim((folder / file).read_bytes())
    begin = parse_certificate(parsed.document.certificates[0]).not_before
    rim = verify_rim(parsed, anchors=vendor_anchors(), endorsements=NO_ENDORSEMENTS, now=begin)
    assert (rim.content.product, rim.content.version) == (product, version)
    assert len(rim.content.measurements) == count


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        (
            HOPPER,
            ("NV_GPU_DRIVER_GH100_535.86.09", "NV_GPU_VBIOS_1010_0200_882_96005E0001"),
        ),
        (
            "sdk-sample/gpu/blackwellAttestationReport.txt",
            (
                "NV_GPU_DRIVER_GB100_575.32",
                "NV_GPU_CC_DRIVER_GB100_575.32",
                "NV_GPU_VBIOS_G525_0220_886_970088000F",
            ),
        ),
        (SWITCH, ("NV_SWITCH_BIOS_5612_0002_890_9610550001",)),
    ],
    ids=["hopper", "blackwell", "switch"],
)
def test_the_ids_by_which_rims_are_fetched(
    folder: Path, entries: dict[str, dict[str, Any]], name: str, ids: tuple[str, ...]
) -> None:
    detail: Any = verified(evidence_of(folder, entries, name)).detail
    assert rim_ids(detail.versions) == ids


# -- tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("dstack/gpu_attestation_h100.json", Code.EVIDENCE_UNSIGNED),
        ("sdk-sample/hopperClaimsv3_detached_eat.json", Code.EVIDENCE_KIND),
        ("sdk-sample/switch_detached_eat.json", Code.EVIDENCE_KIND),
    ],
)
def test_tokens_are_no_evidence(folder: Path, file: str, code: Code) -> None:
    tokens = eat_tokens(json.loads((folder / file).read_text()))
    assert len(tokens) == 2
    with pytest.raises((FormatError, VerificationError)) as refusal:
        refuse_tokens(tokens)
    assert refusal.value.code is code
