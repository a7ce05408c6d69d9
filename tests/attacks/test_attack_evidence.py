"""Attacks with evidence alone: each a story, refused by the rule that it is about."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation.anchors import Product, amd_anchors
from sealtune.attestation.appraisal import AcceptedEnclave, anchors_for, appraise
from sealtune.attestation.binding import (
    WorkerKeys,
    receipt_report_data,
    release_report_data,
)
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, evidence_from_dict
from sealtune.attestation.result import AttestationResult
from sealtune.attestation.snp_report import Generation, Signer
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.core.digest import digest_bytes, sha256_digest
from sealtune.crypto.encoding import b64encode
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, SealtuneError
from sealtune.tee.simulated import InsecureSimulatedAttester
from sealtune.testing.mock_amd import MockAmd, MockVek, changed_enclave, encode_tcb

CONTRACT = sha256_digest(b"the contract that all parties signed")
HOST_DATA = digest_bytes(CONTRACT)
MEASUREMENT = bytes(range(48))
BROKER = SigningKey.generate().public
WORKER = WorkerKeys(recipient=RecipientKey.generate().public, signing=SigningKey.generate().public)
EXPECTED: dict[str, Any] = {
    "challenge": bytes(range(32)),
    "broker": BROKER,
    "worker": WORKER,
    "contract": CONTRACT,
}


@pytest.fixture(scope="module")
def enclave(mock_amd: MockAmd) -> AcceptedEnclave:
    floor = {name: getattr(MockVek().tcb, name) for name in ("bl", "tee", "snp", "ucode")}
    return mock_amd.insecure_enclave(
        measurements=frozenset({MEASUREMENT.hex()}),
        minimum_tcb={Generation.GENOA: floor},
        required_platform=frozenset({"alias-check-complete"}),
    )


def honest(mock: MockAmd, **changes: Any) -> Evidence:
    fields = {
        "report_data": release_report_data(**EXPECTED),
        "host_data": HOST_DATA,
        "measurement": MEASUREMENT,
        **changes,
    }
    return mock.evidence(**fields)


def judge(evidence: Evidence, enclave: AcceptedEnclave, now: datetime) -> AttestationResult:
    """Do what a broker does with evidence, before it decides."""
    verified = verify_evidence(
        evidence,
        report_data=release_report_data(**EXPECTED),
        anchors=anchors_for([enclave]),
        now=now,
        endorsements=NO_ENDORSEMENTS,
        steps=Steps(),
    )
    return appraise(verified, accepted=[enclave], host_data=HOST_DATA)


def refusal_of(evidence: Evidence, enclave: AcceptedEnclave, now: datetime) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        judge(evidence, enclave, now)
    return refusal.value.code


def test_the_honest_enclave_is_accepted(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    assert judge(honest(mock_amd), enclave, now).insecure


@pytest.mark.parametrize(
    "change",
    [
        {"challenge": bytes(32)},
        {"broker": SigningKey.generate().public},
        {"worker": WorkerKeys(recipient=RecipientKey.generate().public, signing=WORKER.signing)},
        {"worker": WorkerKeys(recipient=WORKER.recipient, signing=SigningKey.generate().public)},
        {"contract": sha256_digest(b"another contract")},
    ],
    ids=["replay", "relay-to-another-broker", "own-hpke-key", "own-signing-key", "other-contract"],
)
def test_genuine_evidence_that_answers_something_else(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime, change: dict[str, Any]
) -> None:
    """The operator has evidence of the right enclave, made for another moment, peer or key."""
    evidence = honest(mock_amd, report_data=release_report_data(**{**EXPECTED, **change}))
    assert refusal_of(evidence, enclave, now) is Code.FRESHNESS


def test_the_evidence_of_a_receipt_asks_for_no_keys(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """The operator takes a public receipt's evidence and presents it for a release."""
    bound = receipt_report_data(
        statement=sha256_digest(b"statement"), worker=WORKER, contract=CONTRACT
    )
    evidence = honest(mock_amd, report_data=bound)
    assert refusal_of(evidence, enclave, now) is Code.FRESHNESS


def test_a_debug_guest(mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime) -> None:
    """The operator starts the agreed image with DEBUG: same measurement, open memory."""
    code = refusal_of(honest(mock_amd, policy=0x30000 | 1 << 19), enclave, now)
    assert code is Code.APPRAISAL_DEBUG


def test_a_guest_that_may_be_migrated(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """The operator attaches a migration agent of his own, who gets the guest's memory."""
    code = refusal_of(honest(mock_amd, policy=0x30000 | 1 << 18), enclave, now)
    assert code is Code.APPRAISAL_POLICY


def test_a_changed_image(mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime) -> None:
    """The operator adds one line to the worker that writes the records to a disk."""
    code = refusal_of(honest(mock_amd, measurement=bytes(48)), enclave, now)
    assert code is Code.APPRAISAL_MEASUREMENT


def test_a_launch_for_another_contract(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """The operator launches the agreed image with a contract that only he signed."""
    code = refusal_of(honest(mock_amd, host_data=bytes(32)), enclave, now)
    assert code is Code.APPRAISAL_HOST_DATA


def test_a_report_from_less_privileged_code(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """Code at VMPL 3 of the same guest asks for a report; or the host does, as VMPL 2^32-1."""
    for vmpl in (3, 0xFFFFFFFF):
        code = refusal_of(honest(mock_amd, vmpl=vmpl), enclave, now)
        assert code is Code.APPRAISAL_VMPL


def test_firmware_rolled_back_to_a_known_hole(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """The operator boots a bootloader with a hole under the newest microcode."""
    tcb = dataclasses.replace(MockVek().tcb, bl=3, ucode=255)
    evidence = honest(mock_amd, vek=MockVek(tcb=tcb))
    assert refusal_of(evidence, enclave, now) is Code.APPRAISAL_TCB


def test_a_guest_started_before_the_fix(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """The firmware was updated under a running guest that had been broken into before."""
    launch = encode_tcb(dataclasses.replace(MockVek().tcb, snp=1))
    assert refusal_of(honest(mock_amd, launch_tcb=launch), enclave, now) is Code.APPRAISAL_TCB


def test_memory_modules_that_lie(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """BadRAM: a DIMM claims twice its size, so that two addresses share a cell."""
    evidence = honest(mock_amd, platform_info=0x05)
    assert refusal_of(evidence, enclave, now) is Code.APPRAISAL_PLATFORM


def test_the_vcek_of_another_chip(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """A key extracted from one chip signs a report that names another."""
    evidence = honest(mock_amd, chip_id=bytes(range(64)))
    assert refusal_of(evidence, enclave, now) is Code.EVIDENCE_CHIP_BINDING


def test_a_tcb_that_the_vcek_was_not_made_for(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """The key of old, broken firmware signs a report that claims the newest."""
    old = MockVek(tcb=dataclasses.replace(MockVek().tcb, snp=1))
    evidence = honest(mock_amd, vek=old, reported_tcb=encode_tcb(MockVek().tcb))
    assert refusal_of(evidence, enclave, now) is Code.EVIDENCE_TCB_BINDING


def test_a_providers_key_in_place_of_the_chips(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """A provider's employee signs with the VLEK, for a contract that names no provider."""
    evidence = honest(mock_amd, vek=MockVek(signer=Signer.VLEK))
    assert refusal_of(evidence, enclave, now) is Code.APPRAISAL_PLATFORM


def test_a_vlek_that_passes_for_a_vcek(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """The same, with SIGNING_KEY set to VCEK and the ASK put in the ASVK's place."""
    evidence = honest(mock_amd, vek=MockVek(signer=Signer.VLEK), signing_key=0)
    vlek, _, ark = evidence.certificates
    ask = mock_amd.intermediate(Product.GENOA, signer=Signer.VCEK)
    evidence = dataclasses.replace(evidence, certificates=(vlek, ask, ark))
    assert refusal_of(evidence, enclave, now) is Code.EVIDENCE_CHAIN


def test_a_hierarchy_of_the_attackers_own(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """Anybody can make a mock hierarchy; the contract accepts the simulation of one."""
    evidence = honest(MockAmd.generate(now=now))
    assert refusal_of(evidence, enclave, now) is Code.EVIDENCE_ROOT


def test_a_simulation_against_a_production_contract(
    mock_amd: MockAmd, mock_amd_folder: Path, enclave: AcceptedEnclave, now: datetime
) -> None:
    """The operator has no TEE and runs the worker in the simulated one."""
    production = changed_enclave(enclave, insecure_accept_simulated=False, simulated_root=None)
    attester = InsecureSimulatedAttester(mock_amd_folder)
    evidence = attester.attest(release_report_data(**EXPECTED), host_data=HOST_DATA)
    assert refusal_of(evidence, production, now) is Code.EVIDENCE_ROOT
    # Even a verifier that was given the mock root by mistake does not make it acceptable.
    verified = verify_evidence(
        evidence,
        report_data=release_report_data(**EXPECTED),
        anchors=mock_amd.anchors(),
        now=now,
        endorsements=NO_ENDORSEMENTS,
        steps=Steps(),
    )
    with pytest.raises(SealtuneError) as refusal:
        appraise(verified, accepted=[production], host_data=HOST_DATA)
    assert refusal.value.code is Code.APPRAISAL_INSECURE


def test_a_real_intermediate_grafted_onto_a_mock(
    mock_amd: MockAmd, shared_dir: Path, now: datetime
) -> None:
    """AMD's own ASK and ARK behind a leaf that a mock issued in their name."""
    from sealtune.crypto.x509 import certificates_from_pem

    pem = (shared_dir / "vectors" / "roots" / "amd" / "ask_ark_genoa.pem").read_bytes()
    evidence = mock_amd.evidence()
    grafted = (evidence.certificates[0], *certificates_from_pem(pem))
    with pytest.raises(SealtuneError) as refusal:
        verify_evidence(
            dataclasses.replace(evidence, certificates=grafted),
            report_data=bytes(64),
            anchors=amd_anchors(),
            now=now,
            endorsements=NO_ENDORSEMENTS,
            steps=Steps(),
        )
    assert refusal.value.code is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "sev-snp", "report": "A" * 10_000_000, "certificates": []},
        {"kind": "sev-snp", "report": "", "certificates": [b64encode(bytes(10_000))]},
        {"kind": "sev-snp", "report": "", "certificates": ["AA"] * 100_000},
    ],
    ids=["ten-megabytes", "certificate", "a-hundred-thousand"],
)
def test_oversized_evidence(value: dict[str, Any]) -> None:
    """The operator tries to keep the broker busy parsing."""
    with pytest.raises(SealtuneError) as refusal:
        evidence_from_dict(value)
    assert refusal.value.code in (Code.LIMIT_EXCEEDED, Code.EVIDENCE_MALFORMED)


def test_evidence_with_something_smuggled_behind_the_signature(
    mock_amd: MockAmd, enclave: AcceptedEnclave, now: datetime
) -> None:
    """The same report in a second spelling, to pass a list of those already used."""
    evidence = honest(mock_amd)
    report = evidence.report[:-1] + b"\x01"
    assert refusal_of(dataclasses.replace(evidence, report=report), enclave, now) is (
        Code.EVIDENCE_MALFORMED
    )
