"""The simulated TEE: crypto-valid, fresh, and insecure wherever it shows."""

from __future__ import annotations

import shutil
import stat
from datetime import datetime
from pathlib import Path

import pytest

from sealtune.attestation.anchors import amd_anchors
from sealtune.attestation.appraisal import anchors_for, appraise
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.errors import Code, ConfigError, StorageError, VerificationError
from sealtune.tee.attester import Attester
from sealtune.tee.measure import measure_enclave_code
from sealtune.tee.simulated import InsecureSimulatedAttester
from sealtune.testing.mock_amd import MockAmd

REPORT_DATA = bytes(range(64))
HOST_DATA = bytes(range(32))


@pytest.fixture
def attester(mock_amd: MockAmd, mock_amd_folder: Path) -> InsecureSimulatedAttester:
    return InsecureSimulatedAttester(mock_amd_folder)


def test_its_evidence_passes_the_production_verifier_under_an_insecure_entry(
    attester: InsecureSimulatedAttester, mock_amd: MockAmd, now: datetime
) -> None:
    as_protocol: Attester = attester
    assert as_protocol.insecure
    enclave = mock_amd.insecure_enclave(measurements=frozenset({measure_enclave_code()}))
    verified = verify_evidence(
        attester.attest(REPORT_DATA, host_data=HOST_DATA),
        report_data=REPORT_DATA,
        anchors=anchors_for([enclave]),
        now=now,
        endorsements=NO_ENDORSEMENTS,
        steps=Steps(),
    )
    assert verified.claims.fields["version"] == 5
    result = appraise(verified, accepted=[enclave], host_data=HOST_DATA)
    assert result.insecure


def test_production_anchors_refuse_it(attester: InsecureSimulatedAttester, now: datetime) -> None:
    evidence = attester.attest(REPORT_DATA, host_data=HOST_DATA)
    with pytest.raises(VerificationError) as refusal:
        verify_evidence(
            evidence,
            report_data=REPORT_DATA,
            anchors=amd_anchors(),
            now=now,
            endorsements=NO_ENDORSEMENTS,
            steps=Steps(),
        )
    assert refusal.value.code is Code.EVIDENCE_ROOT


def test_every_report_is_another(attester: InsecureSimulatedAttester) -> None:
    reports = {attester.attest(REPORT_DATA, host_data=HOST_DATA).report for _ in range(3)}
    assert len(reports) == 3


def test_lengths_are_the_callers_mistake(attester: InsecureSimulatedAttester) -> None:
    for report_data, host_data in ((bytes(63), bytes(32)), (bytes(64), bytes(31))):
        with pytest.raises(ValueError, match="64"):
            attester.attest(report_data, host_data=host_data)


def test_the_folder_says_insecure_and_keeps_its_keys(
    mock_amd: MockAmd, mock_amd_folder: Path
) -> None:
    assert (mock_amd_folder / "README").read_text().startswith("INSECURE")
    keys = sorted(mock_amd_folder.glob("*.key.der"))
    assert [key.name for key in keys] == ["ark.key.der", "ask.key.der", "vcek.key.der"]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert b"INSECURE" in (mock_amd_folder / "ark.der").read_bytes()


def test_a_folder_without_a_mock_chip_is_refused(
    mock_amd: MockAmd, mock_amd_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(StorageError) as missing:
        InsecureSimulatedAttester(tmp_path / "nowhere")
    assert missing.value.code is Code.FILE_MISSING
    damaged = shutil.copytree(mock_amd_folder, tmp_path / "damaged")
    chip = (mock_amd_folder / "chip.json").read_bytes()
    for content in (b"{}", b"no json", chip.replace(b'"tcb":"', b'"tcb":"0'), b'{"chip_id":1}'):
        (damaged / "chip.json").write_bytes(content)
        with pytest.raises(ConfigError) as refusal:
            InsecureSimulatedAttester(damaged)
        assert refusal.value.code is Code.TEE_UNAVAILABLE
    (damaged / "chip.json").write_bytes(chip)
    (damaged / "vcek.key.der").write_bytes(b"no key")
    with pytest.raises(ConfigError):
        InsecureSimulatedAttester(damaged)
