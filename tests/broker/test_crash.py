"""A broker that dies at any moment: nothing granted is lost, nothing is counted twice."""

from __future__ import annotations

import dataclasses
import random
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealtune.broker import release as release_module
from sealtune.broker import store as store_module
from sealtune.broker.audit import audit_store, read_log
from sealtune.broker.desk import Desk
from sealtune.broker.store import Transaction
from sealtune.core.digest import sha256_digest
from sealtune.errors import Code, ReleaseDenied, SealtuneError
from sealtune.protocol.answers import sign_answer
from sealtune.protocol.client import BrokerClient, Patience, fetch_keys
from sealtune.protocol.messages import Answer, KeyRelease
from sealtune.protocol.reports import anchor_request, open_anchor_answer
from sealtune.protocol.session import Anchor, SessionTerms, WorkerSecrets
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import BrokerProcess, Scene, make_scene, new_run_id, release

BROKER = "hospital-broker"
OpenDesk = Callable[..., Desk]


class Crash(BaseException):
    """The process is gone."""


def crash(*_: object, **__: object):
    raise Crash


@pytest.fixture
def terms(scene: Scene) -> SessionTerms:
    return scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())


def runs_of(desk: Desk) -> int:
    head = desk.store.inspect(lambda connection: audit_store(connection, log=desk.key))
    assert head.size >= 2
    count: int = desk.store.inspect(
        lambda connection: connection.execute("SELECT count(*) FROM run").fetchone()[0]
    )
    return count


BEFORE_COMMIT = {
    "verifying": (release_module, "verify_evidence"),
    "appraising": (release_module, "appraise"),
    "deciding": (release_module, "decide"),
    "counting": (Transaction, "count_new"),
    "logging": (store_module, "append_entry"),
    "signing the log's head": (store_module, "sign_head"),
    "reading the key": (Transaction, "content_key"),
}
AFTER_COMMIT = {
    "sealing the keys": (release_module, "wrapped_key_info"),
    "signing the answer": (release_module, "sign_answer"),
}


@pytest.mark.parametrize("step", sorted(BEFORE_COMMIT | AFTER_COMMIT))
def test_a_crash_at_any_step_counts_a_run_once_or_not_at_all(
    desk: Desk, open_desk: OpenDesk, scene: Scene, terms: SessionTerms, step: str
):
    place, name = (BEFORE_COMMIT | AFTER_COMMIT)[step]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, crash if name != "sign_answer" else _crash_at_release)
        with pytest.raises(Crash):
            release(desk, scene, terms)
    desk.store.close()
    again = open_desk()
    assert runs_of(again) == (1 if step in AFTER_COMMIT else 0)
    # The worker asks again, as it does when an answer is lost.
    released = release(again, scene, terms)
    assert released.run == ("repeated" if step in AFTER_COMMIT else "new")
    assert runs_of(again) == 1


def _crash_at_release(answer: Answer, **arguments: Any) -> bytes:
    if isinstance(answer, KeyRelease):
        raise Crash
    return sign_answer(answer, **arguments)


def test_the_disk_as_a_power_cut_would_leave_it_is_whole_at_every_step(
    desk: Desk, scene: Scene, clock: VirtualClock, terms: SessionTerms, tmp_path: Path
):
    """Copies of the folder within the transaction and right after the commit."""
    folder = scene.broker_folder(BROKER)
    copies: list[Path] = []

    def copying(function):
        def wrapped(*arguments, **named):
            result = function(*arguments, **named)
            copies.append(tmp_path / f"copy-{len(copies)}" / BROKER)
            shutil.copytree(folder, copies[-1])
            return result

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for name in ("count_new", "append", "content_key"):
            patch.setattr(Transaction, name, copying(getattr(Transaction, name)))
        patch.setattr(release_module, "_log_outcome", copying(release_module._log_outcome))
        release(desk, scene, terms)
    counts = []
    for copy in copies:
        at_copy = dataclasses.replace(scene, folder=copy.parent)
        old = at_copy.open_desk(BROKER, clock)
        counts.append(runs_of(old))
        old.store.close()
    assert counts == [0, 0, 0, 1]


def ask_until(
    stop: threading.Event, address: list[str], scene: Scene, granted: dict[str, bytes], lock
) -> None:
    """A worker that begins run after run and does not give up on a lost answer."""
    patience = Patience(timeout_s=10, attempts=1)
    while not stop.is_set():
        terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
        while True:
            try:
                client = BrokerClient(address[0], patience=patience)
                released = fetch_keys(client, terms=terms, attest=scene.attest)
            except ReleaseDenied as error:
                if error.code is Code.DENIED_RUNS:
                    return
                # A challenge that was lost with the process that gave it.
                assert error.code is Code.CHALLENGE_UNKNOWN
            except SealtuneError:
                if stop.is_set():
                    return
                time.sleep(0.05)
            else:
                with lock:
                    granted[terms.run_id] = released.run_share
                break


def test_kill_9_under_load_loses_no_grant_and_counts_no_run_twice(
    tmp_path: Path, mock: MockAmd, request: pytest.FixtureRequest
):
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    print(f"seed {seed}")
    scene = make_scene(tmp_path, mock=mock, now=datetime.now(UTC), max_runs=1000)
    folder = scene.broker_folder(BROKER)
    broker = BrokerProcess(folder)
    request.addfinalizer(lambda: broker.close())
    client = BrokerClient(broker.address)
    for registration in scene.registrations(BROKER):
        client.ask("/v1/keys", registration)
    client.ask("/v1/contracts", scene.envelope.to_json())
    address, granted, lock, stop = [broker.address], {}, threading.Lock(), threading.Event()
    arguments = (stop, address, scene, granted, lock)
    workers = [threading.Thread(target=ask_until, args=arguments) for _ in range(8)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(3):
            enough = len(granted) + 10
            deadline = time.monotonic() + 30
            while len(granted) < enough and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.1))
            broker.kill()
            broker = BrokerProcess(folder)  # which audits its store before it says that it is ready
            address[0] = broker.address
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert broker.stop() == 0
    desk = scene.open_desk(BROKER, VirtualClock(datetime.now(UTC)))
    try:
        entries = desk.store.inspect(lambda connection: read_log(connection, log=desk.key))
        releases = [entry.body for entry in entries if entry.kind == "release"]
        new = [body["run_id"] for body in releases if body["run"] == "new"]
        assert len(granted) >= 30
        assert len(new) == len(set(new)) == runs_of(desk)
        assert granted.keys() <= set(new)
        assert not any(body["run"] == "resumed" for body in releases)
        for run_id, share in granted.items():
            run = desk.store.write(
                lambda transaction, run_id=run_id: transaction.run(scene.contract.digest, run_id)
            )
            assert run is not None
            assert run.share == share
    finally:
        desk.store.close()


def test_an_anchor_that_was_confirmed_survives_kill_9(tmp_path: Path, mock: MockAmd):
    scene = make_scene(tmp_path, mock=mock, now=datetime.now(UTC))
    folder = scene.broker_folder(BROKER)
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    anchor = Anchor(step=12, digest=sha256_digest(b"checkpoint"))
    with BrokerProcess(folder) as broker:
        client = BrokerClient(broker.address)
        for registration in scene.registrations(BROKER):
            client.ask("/v1/keys", registration)
        client.ask("/v1/contracts", scene.envelope.to_json())
        fetch_keys(client, terms=terms, attest=scene.attest)
        request = anchor_request(
            anchor, contract=terms.contract, run_id=terms.run_id, signing=terms.worker.signing
        )
        answer = client.ask("/v1/anchor", request)
        assert open_anchor_answer(answer, request=request, broker=terms.broker) == anchor
        broker.kill()
    with BrokerProcess(folder) as broker:
        resumed = dataclasses.replace(terms, worker=WorkerSecrets.generate())
        released = fetch_keys(BrokerClient(broker.address), terms=resumed, attest=scene.attest)
        assert released.anchor == anchor
        assert released.run == "resumed"
