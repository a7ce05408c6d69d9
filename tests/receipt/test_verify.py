"""Verifying receipts by themselves and against their contract (spec/receipt §5.1, §5.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sealtune.attestation.anchors import amd_anchors
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.core.digest import digest_bytes, sha256_digest
from sealtune.crypto.dsse import Envelope, sign_envelope
from sealtune.crypto.signing import SigningKey
from sealtune.errors import AppraisalError, Code, SealtuneError, VerificationError
from sealtune.protocol.session import WorkerSecrets
from sealtune.receipt.receipt import (
    RECEIPT_PAYLOAD_TYPE,
    TrainingReceipt,
    make_receipt,
    parse_receipt,
)
from sealtune.receipt.verify import (
    AgreedReceipt,
    VerifiedReceipt,
    verify_receipt,
    verify_receipt_against_contract,
)
from sealtune.testing.finished_run import FinishedRun, make_finished_run
from sealtune.testing.mock_amd import MockAmd

Document = dict[str, Any]


def verify(run: FinishedRun, receipt: TrainingReceipt, now: datetime) -> VerifiedReceipt:
    return verify_receipt(
        receipt, anchors=run.mock.anchors(), now=now, endorsements=NO_ENDORSEMENTS
    )


def agree(run: FinishedRun, receipt: TrainingReceipt, now: datetime) -> AgreedReceipt:
    return verify_receipt_against_contract(
        receipt,
        contract=run.contract.signed,
        anchors=run.mock.anchors(),
        now=now,
        endorsements=NO_ENDORSEMENTS,
    )


def refused(run: FinishedRun, receipt: TrainingReceipt, now: datetime) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        verify(run, receipt, now)
    return caught.value


def not_agreed(run: FinishedRun, receipt: TrainingReceipt, now: datetime) -> SealtuneError:
    verify(run, receipt, now)  # it is authentic; only the contract says no
    with pytest.raises(SealtuneError) as caught:
        agree(run, receipt, now)
    return caught.value


def test_honest_receipt_verifies_and_says_insecure(run: FinishedRun, now: datetime) -> None:
    receipt = parse_receipt(run.receipt().to_json())
    agreed = agree(run, receipt, now)
    assert agreed.insecure
    assert agreed.result.insecure
    assert agreed.receipt == verify(run, receipt, now)
    assert agreed.receipt.digest == receipt.digest
    statement = agreed.receipt.statement
    assert statement.predicate.insecure_simulated
    assert statement.predicate.run_id == run.record.run_id
    assert statement.bundle == run.output.bundle
    assert statement.files["model.sig"] == sha256_digest(run.output.files["model.sig"])


def test_vendors_roots_alone_refuse_a_simulation(run: FinishedRun, now: datetime) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_receipt(run.receipt(), anchors=amd_anchors(), now=now, endorsements=NO_ENDORSEMENTS)
    assert caught.value.code is Code.EVIDENCE_ROOT


def test_metrics_that_the_contract_keeps_in_are_not_stated(run: FinishedRun, now: datetime) -> None:
    predicate = agree(run, run.receipt(), now).receipt.statement.predicate
    assert predicate.metrics == {"accuracy_before": 0.25, "accuracy_after": 0.625}
    assert predicate.counts == {"records": 100}


def test_contract_that_lets_nothing_out(mock: MockAmd, now: datetime) -> None:
    run = make_finished_run(mock, now=now, receipt={"metrics": [], "counts": []})
    predicate = agree(run, run.receipt(), now).receipt.statement.predicate
    assert predicate.metrics == {}
    assert predicate.counts == {}


def test_another_payload_type(run: FinishedRun, now: datetime) -> None:
    envelope = sign_envelope(run.statement(), payload_type="text/plain", keys=[run.worker.signing])
    error = refused(run, replace(run.receipt(), envelope=envelope), now)
    assert error.code is Code.ENVELOPE_TYPE


def test_another_document_is_called_so_before_it_is_read(run: FinishedRun, now: datetime) -> None:
    envelope = sign_envelope(b"a letter", payload_type="text/plain", keys=[run.worker.signing])
    error = refused(run, replace(run.receipt(), envelope=envelope), now)
    assert error.code is Code.ENVELOPE_TYPE


def test_signature_by_another_key(run: FinishedRun, now: datetime) -> None:
    keys = [SigningKey.generate()]
    envelope = sign_envelope(run.statement(), payload_type=RECEIPT_PAYLOAD_TYPE, keys=keys)
    assert refused(run, replace(run.receipt(), envelope=envelope), now).code is (
        Code.SIGNATURE_MISSING
    )


def test_second_signature_beside_the_workers(run: FinishedRun, now: datetime) -> None:
    keys = [run.worker.signing, SigningKey.generate()]
    envelope = sign_envelope(run.statement(), payload_type=RECEIPT_PAYLOAD_TYPE, keys=keys)
    assert refused(run, replace(run.receipt(), envelope=envelope), now).code is (
        Code.SIGNATURE_INVALID
    )


def test_changed_statement(run: FinishedRun, now: datetime) -> None:
    receipt = run.receipt()
    payload = receipt.envelope.payload.replace(b"0.625", b"0.925")
    envelope = Envelope(RECEIPT_PAYLOAD_TYPE, payload, receipt.envelope.signatures)
    assert refused(run, replace(receipt, envelope=envelope), now).code is Code.SIGNATURE_INVALID


@pytest.mark.parametrize("host_data", [bytes(32), digest_bytes(sha256_digest(b"another contract"))])
def test_a_guest_that_was_launched_for_another_contract(
    run: FinishedRun, now: datetime, host_data: bytes
) -> None:
    with pytest.raises(AppraisalError) as refusal:
        agree(run, run.receipt(host_data=host_data), now)
    assert refusal.value.code is Code.APPRAISAL_HOST_DATA


def test_evidence_that_binds_something_else(run: FinishedRun, now: datetime) -> None:
    error = refused(run, run.receipt(report_data=bytes(64)), now)
    assert isinstance(error, VerificationError)
    assert error.code is Code.RECEIPT_BINDING


def test_every_part_of_the_binding_counts(run: FinishedRun, now: datetime) -> None:
    other = run.again()
    for receipt in (
        # another statement of the same worker
        replace(run.receipt(), evidence=run.receipt(run.altered(_rename_software)).evidence),
        # the same statement but for the worker
        replace(run.receipt(), evidence=other.receipt().evidence),
    ):
        assert refused(run, receipt, now).code is Code.RECEIPT_BINDING


def _rename_software(document: Document) -> None:
    document["predicate"]["software"]["python"] = "3.12.0"


def test_simulation_that_denies_it(run: FinishedRun, now: datetime) -> None:
    def deny(document: Document) -> None:
        document["predicate"]["insecure_simulated"] = False

    assert refused(run, run.receipt(run.altered(deny)), now).code is Code.RECEIPT_BINDING


def test_certificates_are_judged_at_the_given_time(run: FinishedRun, now: datetime) -> None:
    years = timedelta(days=365)
    verify(run, run.receipt(), now + years)
    assert refused(run, run.receipt(), now + 30 * years).code is Code.EVIDENCE_CERTIFICATE_TIME


def put(*place: str | int, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        target: Any = document["predicate"]
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = value

    return change


OTHER = sha256_digest(b"other")
STRANGER = SigningKey.generate().public.text
DIFFERENCES = {
    "another name of the contract": put("contract", "name", value="other"),
    "another input": put("inputs", 0, "digest", value=OTHER),
    "another input's owner": put("inputs", 0, "owner", value="clinic"),
    "another input's kind": put("inputs", 0, "kind", value="model"),
    "another input's name": put("inputs", 0, "name", value="more"),
    "an input less": lambda document: document["predicate"]["inputs"].pop(),
    "inputs in another order": lambda document: document["predicate"]["inputs"].reverse(),
    "another recipe": put("recipe", "epochs", value=30),
    "another seed": put("recipe", "seed", value=1),
    "another model in the recipe": put("recipe", "model", value="notes"),
    "a metric kept in": put("metrics", "train_loss", value=0.5),
    "a count kept in": put("counts", "tokens", value=3),
    "a result of another kind": put("result", "kind", value="model"),
    "a result too large": put("result", "bytes", value=2**28 + 1),
    "another recipient": put("result", "recipients", value=["datacentre"]),
    "a recipient more": put("result", "recipients", value=["clinic", "datacentre"]),
    "another broker": put("releases", 0, "broker", value="other"),
    "a broker with another key": put("releases", 0, "signing_key", value=STRANGER),
    "a broker less": lambda document: document["predicate"]["releases"].pop(),
    "a broker twice": lambda document: document["predicate"]["releases"].append(
        document["predicate"]["releases"][0]
    ),
    "a start before the contract": put("started", value="2026-10-31T23:59:59Z"),
    "a start and end after the contract": lambda document: document["predicate"].update(
        started="2027-01-30T00:00:00Z", finished="2027-01-30T00:00:01Z"
    ),
    "a release before the contract": put("releases", 1, "time", value="2026-10-31T23:59:59Z"),
    "a release after the contract": put("releases", 1, "time", value="2027-01-30T00:00:00Z"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_run_that_is_not_the_contracts(run: FinishedRun, now: datetime, name: str) -> None:
    error = not_agreed(run, run.receipt(run.altered(DIFFERENCES[name])), now)
    assert isinstance(error, VerificationError)
    assert error.code is Code.RECEIPT_CONTRACT


def test_end_after_the_contract_is_no_offence(run: FinishedRun, now: datetime) -> None:
    late = run.altered(put("finished", value="2027-02-01T00:00:00Z"))
    agree(run, run.receipt(late), now)


def test_receipt_of_another_contract(run: FinishedRun, mock: MockAmd, now: datetime) -> None:
    other = make_finished_run(mock, now=now, max_runs=9)
    assert not_agreed(run, other.receipt(), now).code is Code.RECEIPT_CONTRACT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"measurement": bytes(48)}, Code.APPRAISAL_MEASUREMENT),
        ({"policy": 0x30000 | 1 << 19}, Code.APPRAISAL_DEBUG),
        ({"vmpl": 1}, Code.APPRAISAL_VMPL),
    ],
)
def test_enclave_that_the_contract_does_not_accept(
    run: FinishedRun, now: datetime, changes: Document, code: Code
) -> None:
    error = not_agreed(run, run.receipt(**changes), now)
    assert isinstance(error, AppraisalError)
    assert error.code is code


def test_simulation_under_a_contract_that_accepts_none(
    run: FinishedRun, mock: MockAmd, now: datetime
) -> None:
    """The verifier was given the mock root, but the contract never was insecure."""
    contract = run.contract.contract
    enclave = contract.enclaves[0].model_copy(
        update={"insecure_accept_simulated": False, "simulated_root": None}
    )
    secure = contract.model_copy(update={"enclaves": (enclave,)})
    signed = replace(run.contract.signed, contract=secure)
    with pytest.raises(AppraisalError) as caught:
        verify_receipt_against_contract(
            run.receipt(),
            contract=signed,
            anchors=mock.anchors(),
            now=now,
            endorsements=NO_ENDORSEMENTS,
        )
    assert caught.value.code is Code.APPRAISAL_INSECURE


def test_worker_signs_only_its_own_statement(run: FinishedRun) -> None:
    with pytest.raises(ValueError, match="another worker key"):
        make_receipt(run.statement(), key=WorkerSecrets.generate().signing, attest=run.attest)
