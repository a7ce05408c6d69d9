"""`sealtune receipt verify`: as of a time, and with what the vendor signed in files beside it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.said import Sealtune
from sealtune.attestation.binding import tpm_challenge
from sealtune.attestation.evidence import Evidence
from sealtune.receipt.receipt import make_receipt
from sealtune.testing.finished_run import FinishedRun, make_finished_run
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.mock_tpm import MockQuote, MockTpm


@pytest.fixture(scope="module")
def run(mock_amd: MockAmd, now: datetime) -> FinishedRun:
    return make_finished_run(mock_amd, now=now)


@pytest.fixture
def receipt(run: FinishedRun, tmp_path: Path) -> Path:
    path = tmp_path / "receipt.json"
    path.write_bytes(run.receipt().to_json())
    return path


def test_a_receipt_is_verified_as_of_a_time(
    receipt: Path, run: FinishedRun, now: datetime, sealtune_: Sealtune
) -> None:
    trusted = ("--insecure-root", run.mock.root)
    then = sealtune_("receipt", "verify", receipt, *trusted, "--at", int(now.timestamp()))
    assert then.status == 0, then.err
    later = (now + timedelta(days=30 * 365)).isoformat()
    said = sealtune_("receipt", "verify", receipt, *trusted, "--at", later, "--json")
    assert said.status == 5
    assert "evidence-certificate-time" in said.out + said.err


def test_endorsements_may_be_given_beside_it(
    receipt: Path, run: FinishedRun, now: datetime, tmp_path: Path, sealtune_: Sealtune
) -> None:
    folder = tmp_path / "endorsements"
    folder.mkdir()
    (folder / "note.txt").write_text("left out")
    (folder / "ark.der").write_bytes(run.receipt().evidence.certificates[-1])
    given = ("--insecure-root", run.mock.root, "--at", int(now.timestamp()))
    said = sealtune_("receipt", "verify", receipt, *given, "--endorsements", folder)
    assert said.status == 0, said.err
    spoilt = tmp_path / "spoilt.der"
    spoilt.write_bytes(b"\x30\x03none")
    said = sealtune_("receipt", "verify", receipt, *given, "--endorsements", spoilt)
    assert said.status == 4
    assert "spoilt.der" in said.err


def test_a_time_without_zone_is_wrong_use(receipt: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("receipt", "verify", receipt, "--at", "2026-01-31T09:00:00")
    assert said.status == 2


def test_a_measured_vms_receipt_says_that_its_memory_was_open(
    run: FinishedRun, now: datetime, tmp_path: Path, sealtune_: Sealtune
) -> None:
    tpm = MockTpm.generate(now=now)

    def attest(report_data: bytes) -> Evidence:
        return tpm.evidence(MockQuote(extra_data=tpm_challenge(report_data)), certificates=())

    def in_a_vm(document: dict[str, Any]) -> None:
        document["predicate"]["insecure_simulated"] = False

    path = tmp_path / "vm.json"
    path.write_bytes(
        make_receipt(run.altered(in_a_vm), key=run.worker.signing, attest=attest).to_json()
    )
    said = sealtune_("receipt", "verify", path)
    assert said.status == 0, said.err
    assert "INSECURE" in said.out.splitlines()[0]
    assert "NOT protected" in said.out.splitlines()[0]
    shown = sealtune_("receipt", "verify", path, "--json").json
    assert shown["evidence"]["memory_protected"] is False
    assert shown["evidence"]["kind"] == "tpm-vm"
