"""An operator wants a receipt for work that was not done so; each attempt is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation.binding import release_report_data
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.core.digest import digest_bytes
from sealtune.crypto.dsse import Envelope, sign_envelope
from sealtune.errors import Code, SealtuneError
from sealtune.protocol.session import WorkerSecrets
from sealtune.receipt.outputs import verify_result_bundle, verify_result_folder
from sealtune.receipt.receipt import RECEIPT_PAYLOAD_TYPE, TrainingReceipt
from sealtune.receipt.verify import verify_receipt, verify_receipt_against_contract
from sealtune.testing.agreement import MEASUREMENT
from sealtune.testing.finished_run import FinishedRun, make_finished_run
from sealtune.testing.mock_amd import MockAmd

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def mock() -> MockAmd:
    return MockAmd.generate(now=NOW)


@pytest.fixture(scope="module")
def run(mock: MockAmd) -> FinishedRun:
    return make_finished_run(mock, now=NOW)


def refused(run: FinishedRun, receipt: TrainingReceipt) -> Code:
    with pytest.raises(SealtuneError) as caught:
        verify_receipt_against_contract(
            receipt,
            contract=run.contract.signed,
            anchors=run.mock.anchors(),
            now=NOW,
            endorsements=NO_ENDORSEMENTS,
        )
    return caught.value.code


def signed(statement: bytes, worker: WorkerSecrets) -> Envelope:
    return sign_envelope(statement, payload_type=RECEIPT_PAYLOAD_TYPE, keys=[worker.signing])


def own_keys(run: FinishedRun, worker: WorkerSecrets) -> bytes:
    """The run's statement with the attacker's keys in the place of the worker's."""

    def replace_keys(document: dict[str, Any]) -> None:
        document["predicate"]["worker"] = {
            "signing_key": worker.signing.public.text,
            "recipient_key": worker.recipient.public.text,
        }

    return run.altered(replace_keys)


def test_better_numbers(run: FinishedRun) -> None:
    """The operator writes a better accuracy into a genuine receipt."""
    receipt = run.receipt()
    payload = receipt.envelope.payload.replace(b"0.625", b"0.999")
    assert payload != receipt.envelope.payload
    envelope = Envelope(RECEIPT_PAYLOAD_TYPE, payload, receipt.envelope.signatures)
    assert refused(run, replace(receipt, envelope=envelope)) is Code.SIGNATURE_INVALID


def test_receipt_signed_by_the_operator(run: FinishedRun) -> None:
    """The operator makes keys of its own, writes them into the statement and signs it. The
    signature is good; the evidence was made for the worker's keys."""
    attacker = WorkerSecrets.generate()
    envelope = signed(own_keys(run, attacker), attacker)
    assert refused(run, replace(run.receipt(), envelope=envelope)) is Code.RECEIPT_BINDING


def test_receipt_of_a_guest_with_the_operators_code(run: FinishedRun) -> None:
    """The operator starts an enclave with code of its own on genuine hardware; everything binds,
    but it is not the enclave that the parties accepted."""
    receipt = run.receipt(measurement=bytes(48))
    verify_receipt(receipt, anchors=run.mock.anchors(), now=NOW, endorsements=NO_ENDORSEMENTS)
    assert refused(run, receipt) is Code.APPRAISAL_MEASUREMENT


def test_receipt_of_a_debug_guest(run: FinishedRun) -> None:
    """The right code in a guest into whose memory the operator can look."""
    assert refused(run, run.receipt(policy=0x30000 | 1 << 19)) is Code.APPRAISAL_DEBUG


def test_evidence_of_another_run_swapped_in(run: FinishedRun) -> None:
    """Two runs of one contract: the operator pairs the statement of the one with the evidence of
    the other."""
    other = run.again(metrics={"accuracy_after": 0.9})
    for mixed in (
        replace(run.receipt(), evidence=other.receipt().evidence),
        replace(other.receipt(), evidence=run.receipt().evidence),
    ):
        assert refused(run, mixed) is Code.RECEIPT_BINDING


def test_evidence_that_a_broker_saw(run: FinishedRun) -> None:
    """The operator recorded the evidence with which the worker asked a broker for keys, and uses
    it for a receipt: the same enclave, the same keys, the same contract, another label."""
    broker = run.record.releases[0].signing
    asked = release_report_data(
        challenge=bytes(32), broker=broker, worker=run.worker.public, contract=run.contract.digest
    )
    receipt = replace(run.receipt(), evidence=run.attest(asked))
    assert refused(run, receipt) is Code.RECEIPT_BINDING


def test_receipt_of_another_contract(run: FinishedRun, mock: MockAmd) -> None:
    """The operator shows the receipt of a run under another contract of the same parties."""
    other = make_finished_run(mock, now=NOW, name="other-notes")
    verify_receipt(other.receipt(), anchors=mock.anchors(), now=NOW, endorsements=NO_ENDORSEMENTS)
    assert refused(run, other.receipt()) is Code.RECEIPT_CONTRACT


def test_guest_launched_for_another_contract(run: FinishedRun) -> None:
    """A worker that was launched for a lax contract is talked into stating a strict one."""
    assert refused(run, run.receipt(host_data=bytes(32))) is Code.APPRAISAL_HOST_DATA


def test_receipt_of_another_statement_type(run: FinishedRun) -> None:
    """A worker's signature on a key request is presented as one on a receipt, and the reverse."""
    elsewhere = sign_envelope(
        run.statement(),
        payload_type="application/vnd.sealtune.key-request.v1+json",
        keys=[run.worker.signing],
    )
    assert refused(run, replace(run.receipt(), envelope=elsewhere)) is Code.ENVELOPE_TYPE
    renamed = Envelope(RECEIPT_PAYLOAD_TYPE, elsewhere.payload, elsewhere.signatures)
    assert refused(run, replace(run.receipt(), envelope=renamed)) is Code.SIGNATURE_INVALID


def test_simulation_passed_off_as_hardware(run: FinishedRun) -> None:
    """A simulated run states that it was not simulated, for readers who look at nothing else."""

    def deny(document: dict[str, Any]) -> None:
        document["predicate"]["insecure_simulated"] = False

    assert refused(run, run.receipt(run.altered(deny))) is Code.RECEIPT_BINDING


def test_own_simulator(run: FinishedRun) -> None:
    """The operator makes a mock hierarchy of its own; its root is not the one that the contract
    names, and no verifier has it."""
    forged = make_finished_run(MockAmd.generate(now=NOW), now=NOW)
    evidence = forged.mock.evidence(
        report_data=bytes(64),
        host_data=digest_bytes(run.contract.digest),
        measurement=bytes.fromhex(MEASUREMENT),
    )
    assert refused(run, replace(run.receipt(), evidence=evidence)) is Code.EVIDENCE_ROOT


@pytest.mark.parametrize("field", ["recipe", "recipients", "inputs"])
def test_attested_worker_that_did_something_else(run: FinishedRun, field: str) -> None:
    """Somehow an accepted worker was made to run another recipe, seal to another recipient or read
    other data, and says so truthfully: the contract says no."""

    def change(document: dict[str, Any]) -> None:
        predicate = document["predicate"]
        if field == "recipe":
            predicate["recipe"]["epochs"] = 99
        elif field == "recipients":
            predicate["result"]["recipients"] = ["datacentre"]
        else:
            predicate["inputs"][0]["digest"] = "sha256:" + "0" * 64

    assert refused(run, run.receipt(run.altered(change))) is Code.RECEIPT_CONTRACT


def test_result_of_an_earlier_run_put_back(run: FinishedRun, tmp_path: Path) -> None:
    """The operator delivers the sealed result of an earlier run beside the receipt of this one."""
    path = tmp_path / "result.sealed"
    this = run.sealed(tmp_path / "this.sealed")
    run.again().sealed(path)
    receipt = verify_receipt(
        this.receipt(), anchors=run.mock.anchors(), now=NOW, endorsements=NO_ENDORSEMENTS
    )
    with pytest.raises(SealtuneError) as caught:
        verify_result_bundle(receipt, path)
    assert caught.value.code is Code.RECEIPT_OUTPUT


def test_adapter_changed_after_opening(run: FinishedRun, tmp_path: Path) -> None:
    """Somebody flips a bit of the opened adapter, and signs the folder with a key of his own that
    the public tool then accepts; the receipt binds another key."""
    folder = run.opened(tmp_path / "adapter")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(b"\x01" + weights.read_bytes()[1:])
    receipt = verify_receipt(
        run.receipt(), anchors=run.mock.anchors(), now=NOW, endorsements=NO_ENDORSEMENTS
    )
    with pytest.raises(SealtuneError) as caught:
        verify_result_folder(receipt, folder)
    assert caught.value.code is Code.RECEIPT_OUTPUT
