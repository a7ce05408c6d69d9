"""Anchors only go up and come from the run's worker; a receipt ends the run it belongs to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from sealtune.broker.audit import audit_store, read_log
from sealtune.broker.desk import Desk
from sealtune.broker.release import RequestRefused
from sealtune.broker.runs import close_run, remember_anchor
from sealtune.contract.contract import verify_contract
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, SealtuneError
from sealtune.protocol.reports import (
    anchor_request,
    open_anchor_answer,
    open_receipt_answer,
    receipt_report,
)
from sealtune.protocol.session import Anchor, ReleasedKeys, SessionTerms, WorkerSecrets
from sealtune.receipt.receipt import TrainingReceipt
from sealtune.receipt.statement import ReleaseRecord
from sealtune.testing.clock import VirtualClock
from sealtune.testing.finished_run import FinishedRun, make_finished_run
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import Scene, new_run_id, register_all, release

BROKER = "hospital-broker"


@pytest.fixture
def terms(scene: Scene) -> SessionTerms:
    return scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())


def at(step: int, content: bytes = b"checkpoint") -> Anchor:
    return Anchor(step=step, digest=sha256_digest(content + bytes([step % 256])))


def tell(desk: Desk, terms: SessionTerms, anchor: Anchor, *, key: SigningKey | None = None):
    request = anchor_request(
        anchor,
        contract=terms.contract,
        run_id=terms.run_id,
        signing=key or terms.worker.signing,
    )
    answer = remember_anchor(desk, request)
    return open_anchor_answer(answer, request=request, broker=desk.key)


def refused(action: Callable[[], object]) -> Code:
    with pytest.raises(SealtuneError) as caught:
        action()
    return caught.value.code


def test_the_newest_anchor_comes_back_with_the_keys(desk: Desk, scene: Scene, terms: SessionTerms):
    release(desk, scene, terms)
    assert tell(desk, terms, at(10)) == at(10)
    assert tell(desk, terms, at(20)) == at(20)
    assert release(desk, scene, terms).anchor == at(20)
    resumed = dataclasses.replace(terms, worker=WorkerSecrets.generate())
    assert release(desk, scene, resumed).anchor == at(20)


def test_an_older_or_another_anchor_of_a_step_is_refused(
    desk: Desk, scene: Scene, terms: SessionTerms
):
    release(desk, scene, terms)
    tell(desk, terms, at(20))
    assert refused(lambda: tell(desk, terms, at(10))) is Code.ANCHOR_ROLLBACK
    assert refused(lambda: tell(desk, terms, at(20, b"other"))) is Code.ANCHOR_ROLLBACK
    assert release(desk, scene, terms).anchor == at(20)


def test_the_same_anchor_again_is_fine_and_logged_once(
    desk: Desk, scene: Scene, terms: SessionTerms
):
    release(desk, scene, terms)
    for _ in range(3):
        assert tell(desk, terms, at(5)) == at(5)
    entries = desk.store.inspect(lambda connection: read_log(connection, log=desk.key))
    assert [entry.kind for entry in entries].count("anchor") == 1


def test_only_the_worker_of_the_latest_release_may_anchor(
    desk: Desk, scene: Scene, terms: SessionTerms
):
    assert refused(lambda: tell(desk, terms, at(1))) is Code.NOT_AUTHORIZED
    release(desk, scene, terms)
    stranger = SigningKey.generate()
    assert refused(lambda: tell(desk, terms, at(1), key=stranger)) is Code.NOT_AUTHORIZED
    resumed = dataclasses.replace(terms, worker=WorkerSecrets.generate())
    release(desk, scene, resumed)
    assert refused(lambda: tell(desk, terms, at(1))) is Code.NOT_AUTHORIZED
    assert tell(desk, resumed, at(1)) == at(1)


def finished(
    scene: Scene, mock: MockAmd, clock: VirtualClock, terms: SessionTerms, keys: ReleasedKeys
) -> FinishedRun:
    """The scene's run as its worker would state it; the other broker's release is made up."""
    now = clock.now()
    run = make_finished_run(mock, now=now)
    record = dataclasses.replace(
        run.record,
        run_id=terms.run_id,
        worker=terms.worker.public,
        releases=[
            ReleaseRecord(
                broker=name,
                signing=broker.signing,
                log_size=keys.log_head.size,
                log_head=keys.log_head.hash,
                time=now,
            )
            for name, broker in scene.contract.contract.brokers.items()
        ],
    )
    return dataclasses.replace(
        run,
        agreement=scene.agreement,
        contract=verify_contract(scene.envelope, now=now),
        worker=terms.worker,
        record=record,
    )


@pytest.fixture
def run(
    desk: Desk, scene: Scene, mock: MockAmd, clock: VirtualClock, terms: SessionTerms
) -> FinishedRun:
    """A run to which the broker has released its keys."""
    return finished(scene, mock, clock, terms, release(desk, scene, terms))


def report(desk: Desk, terms: SessionTerms, receipt: TrainingReceipt) -> Digest:
    body = receipt_report(receipt.to_dict(), contract=terms.contract, run_id=terms.run_id)
    answer = close_run(desk, body)
    head = open_receipt_answer(answer, request=body, receipt=receipt.digest, broker=desk.key)
    return head.hash


def test_a_receipt_ends_its_run_for_good(
    desk: Desk, scene: Scene, terms: SessionTerms, run: FinishedRun
):
    tell(desk, terms, at(3))
    receipt = run.receipt()
    head = report(desk, terms, receipt)
    with pytest.raises(RequestRefused) as caught:
        release(desk, scene, terms)
    assert caught.value.code is Code.DENIED_RUN_CLOSED
    assert refused(lambda: tell(desk, terms, at(4))) is Code.DENIED_RUN_CLOSED
    assert head.startswith("sha256:")
    state = desk.store.write(lambda transaction: transaction.run(terms.contract, terms.run_id))
    assert state is not None
    assert state.receipt == receipt.digest
    desk.store.inspect(lambda connection: audit_store(connection, log=desk.key))


def test_the_same_receipt_again_is_fine_and_another_is_not(
    desk: Desk, terms: SessionTerms, run: FinishedRun
):
    receipt = run.receipt()
    assert report(desk, terms, receipt) == report(desk, terms, receipt)
    # Same statement, fresh evidence: genuine, but not the one that was reported.
    assert refused(lambda: report(desk, terms, run.receipt())) is Code.DENIED_RUN_CLOSED


def test_a_receipt_by_a_worker_that_was_taken_over_from_is_refused(
    desk: Desk, scene: Scene, terms: SessionTerms, run: FinishedRun
):
    release(desk, scene, dataclasses.replace(terms, worker=WorkerSecrets.generate()))
    assert refused(lambda: report(desk, terms, run.receipt())) is Code.RECEIPT_CONTRACT


def test_a_receipt_for_another_run_id_is_refused(desk: Desk, terms: SessionTerms, run: FinishedRun):
    other = dataclasses.replace(terms, run_id=new_run_id())
    assert refused(lambda: report(desk, other, run.receipt())) is Code.RECEIPT_CONTRACT


def test_a_receipt_of_a_run_that_never_began_here_is_refused(
    desk: Desk, terms: SessionTerms, run: FinishedRun
):
    stranger = run.again()
    other = dataclasses.replace(terms, run_id=stranger.record.run_id)
    assert refused(lambda: report(desk, other, stranger.receipt())) is Code.RECEIPT_CONTRACT


@pytest.mark.parametrize("change", [{"measurement": bytes(48)}, {"vmpl": 2}])
def test_a_receipt_by_an_enclave_that_is_not_accepted_is_refused(
    desk: Desk, terms: SessionTerms, run: FinishedRun, change: dict[str, Any]
):
    code = refused(lambda: report(desk, terms, run.receipt(**change)))
    assert code in (Code.APPRAISAL_MEASUREMENT, Code.APPRAISAL_VMPL)


def test_a_receipt_that_pins_another_log_is_refused(
    desk: Desk, terms: SessionTerms, run: FinishedRun
):
    releases = [
        dataclasses.replace(item, log_head=sha256_digest(b"fork")) for item in run.record.releases
    ]
    record = dataclasses.replace(run.record, releases=releases)
    forked = dataclasses.replace(run, record=record)
    assert refused(lambda: report(desk, terms, forked.receipt())) is Code.LOG_FORKED
    longer = [dataclasses.replace(item, log_size=99) for item in run.record.releases]
    record = dataclasses.replace(run.record, releases=longer)
    cut = dataclasses.replace(run, record=record)
    assert refused(lambda: report(desk, terms, cut.receipt())) is Code.LOG_FORKED


def test_without_the_switch_a_simulated_receipt_ends_nothing(
    desk: Desk, open_desk: Callable[..., Desk], terms: SessionTerms, run: FinishedRun
):
    secure = open_desk(accepts_insecure=False)
    assert refused(lambda: report(secure, terms, run.receipt())) is Code.EVIDENCE_ROOT


def test_what_is_no_receipt_is_refused(desk: Desk, terms: SessionTerms):
    body = receipt_report({"format": "x"}, contract=terms.contract, run_id=terms.run_id)
    assert refused(lambda: close_run(desk, body)) is Code.RECEIPT_MALFORMED
    assert refused(lambda: close_run(desk, b"{}")) is Code.MESSAGE_MALFORMED


def test_an_unknown_contract_reads_as_unknown(
    open_desk: Callable[..., Desk], terms: SessionTerms, run: FinishedRun, scene: Scene
):
    register_all(open_desk(broker="modelworks-broker"), scene, "modelworks-broker")
    other = scene.agree(name="never-registered")
    body = receipt_report(
        run.receipt().to_dict(), contract=other.contract.digest, run_id=terms.run_id
    )
    assert refused(lambda: close_run(open_desk(), body)) is Code.CONTRACT_UNKNOWN
