"""The Attesters of a VM work with what root prepared, when the worker may make nothing any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sealtune.attestation.binding import tpm_challenge
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.errors import Code, ConfigError, SealtuneError
from sealtune.tee.configfs_tsm import ConfigfsTsmAttester
from sealtune.tee.guest import attest as module
from sealtune.tee.guest.attest import confidential_attester, vm_attester
from sealtune.tee.tpm_device import TpmAttester
from sealtune.testing.mock_amd import MockAmd
from tee.fakes_fuse import mounted
from tee.fakes_swtpm import SoftwareTpm
from tee.fakes_tsm import FakeTsm
from tee.test_attester_configfs import HOST_DATA, REPORT_DATA, TDX_HIDES, amd_tsm, echo


@pytest.fixture
def private(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir()
    return folder


@pytest.fixture
def tsm(mock_amd: MockAmd) -> FakeTsm:
    return amd_tsm(mock_amd)


@pytest.fixture
def root(tsm: FakeTsm, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tsm"
    folder.mkdir()
    with mounted(tsm, folder) as made:
        yield made


def test_every_request_goes_through_the_one_entry(
    tsm: FakeTsm, root: Path, private: Path, mock_amd: MockAmd, now: datetime
) -> None:
    made = confidential_attester(EvidenceKind.SEV_SNP, private, root=root, ccel=root / "none")
    assert type(made.attester) is ConfigfsTsmAttester
    for first in range(2):
        report_data = bytes([first]) + REPORT_DATA[1:]
        evidence = made.attester.attest(report_data, host_data=HOST_DATA)
        verify_evidence(
            evidence,
            report_data=report_data,
            anchors=mock_amd.anchors(),
            endorsements=NO_ENDORSEMENTS,
            now=now,
            steps=Steps(),
        )
    assert tsm.seen == ["sealtune"]
    assert set(tsm.entries) == {"sealtune"}
    names = {path.name for path in made.files if path.parent == root / "sealtune"}
    assert names == set(tsm.attributes())


def test_a_request_that_another_one_changed_is_found(
    tsm: FakeTsm, root: Path, private: Path
) -> None:
    made = confidential_attester(EvidenceKind.SEV_SNP, private, root=root, ccel=root / "none")

    def interfere(step: str, name: str) -> None:
        if step == "read outblob":
            tsm.entries[name].written += 1

    tsm.before = interfere
    with pytest.raises(SealtuneError) as error:
        made.attester.attest(REPORT_DATA, host_data=HOST_DATA)
    assert error.value.code is Code.ATTESTER_RACED


def test_a_trust_domains_log_is_copied(tmp_path: Path, private: Path) -> None:
    log = tmp_path / "CCEL"
    log.write_bytes(b"a log" + bytes(8))
    folder = tmp_path / "tsm"
    folder.mkdir()
    with mounted(FakeTsm(echo, provider="tdx_guest", hidden=TDX_HIDES), folder) as root:
        made = confidential_attester(EvidenceKind.TDX, private, root=root, ccel=log)
        log.unlink()
        evidence = made.attester.attest(REPORT_DATA, host_data=HOST_DATA)
    assert evidence.kind is EvidenceKind.TDX
    assert evidence.parts["event_log"].startswith(b"a log")
    assert private / "event-log" in made.files


def test_a_kernel_without_evidence_says_so(tmp_path: Path, private: Path) -> None:
    with pytest.raises(ConfigError) as error:
        confidential_attester(
            EvidenceKind.SEV_SNP, private, root=tmp_path / "none", ccel=tmp_path / "none"
        )
    assert error.value.code is Code.TEE_UNAVAILABLE


def test_a_vm_is_quoted_through_the_device_that_root_opened(
    swtpm: SoftwareTpm, tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, log = tmp_path / "tpmrm0", tmp_path / "log"
    device.write_bytes(b"")
    log.write_bytes(b"what the firmware did")
    opened = []

    def exchange(descriptor: int, command: bytes) -> bytes:
        opened.append(os.fstat(descriptor).st_ino)
        return swtpm.transmit(command)

    monkeypatch.setattr(module, "exchange", exchange)
    inode = device.stat().st_ino
    made = vm_attester(private, device=device, event_log=log)
    device.unlink()
    log.unlink()
    evidence = made.attester.attest(REPORT_DATA, host_data=HOST_DATA)
    assert type(made.attester) is TpmAttester
    assert set(opened) == {inode}
    assert evidence.kind is EvidenceKind.TPM_VM
    assert tpm_challenge(REPORT_DATA) in evidence.report
    assert evidence.parts["event_log"] == b"what the firmware did"
    assert list(made.files) == [private / "event-log"]


def test_a_vm_without_a_tpm_says_so(tmp_path: Path, private: Path) -> None:
    with pytest.raises(ConfigError) as error:
        vm_attester(private, device=tmp_path / "none", event_log=tmp_path / "none")
    assert error.value.code is Code.TEE_UNAVAILABLE
