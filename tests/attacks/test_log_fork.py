"""A broker's keeper rewrites its decision log: the heads that others hold contradict it.

An owner who released keys against the contract, or whose machine was broken into, would like the
log to say otherwise. Every worker got the log's signed head with its keys, and its receipt pins it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealtune.broker.audit import audit_store
from sealtune.broker.desk import Desk
from sealtune.broker.store import log_entries
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, StorageError, VerificationError
from sealtune.protocol.session import ReleasedKeys, WorkerSecrets
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import Scene, make_scene, new_run_id, register_all, release
from sealtune.translog.chain import append_entry, empty_head, verify_chain

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BROKER = "hospital-broker"


@pytest.fixture(scope="module")
def mock() -> MockAmd:
    return MockAmd.generate(now=NOW)


@pytest.fixture
def scene(tmp_path: Path, mock: MockAmd) -> Scene:
    return make_scene(tmp_path, mock=mock, now=NOW)


@pytest.fixture
def desk(scene: Scene) -> Iterator[Desk]:
    desk = scene.open_desk(BROKER, VirtualClock(NOW))
    register_all(desk, scene, BROKER)
    yield desk
    desk.store.close()


@pytest.fixture
def released(desk: Desk, scene: Scene) -> ReleasedKeys:
    """What a worker holds: its keys, and the head of the log at that moment."""
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    return release(desk, scene, terms)


def entries_of(desk: Desk) -> list[bytes]:
    return desk.store.inspect(lambda connection: list(log_entries(connection)))


def rewritten(entries: list[bytes], *, key: SigningKey) -> list[bytes]:
    """The log with its last entry replaced by a harmless one, chained anew."""
    verified = verify_chain(entries, log=key.public, heads=[])
    head = empty_head(key.public)
    result = []
    for entry in verified.entries[:-1]:
        data, head = append_entry(head, kind=entry.kind, body=entry.body, now=entry.time)
        result.append(data)
    body = {"contract": "sha256:" + "0" * 64, "insecure": False}
    data, head = append_entry(head, kind="contract", body=body, now=NOW)
    return [*result, data]


def test_the_log_that_the_worker_saw_is_the_log(desk: Desk, released: ReleasedKeys):
    log = verify_chain(entries_of(desk), log=desk.key, heads=[released.log_head])
    assert log.entries[-1].body["granted"] is True


def test_a_release_is_rewritten(desk: Desk, released: ReleasedKeys):
    """The keeper has the signing key, so the forged log is perfectly signed. It is another log."""
    forged = rewritten(entries_of(desk), key=desk.identity.signing)
    verify_chain(forged, log=desk.key, heads=[])
    with pytest.raises(VerificationError) as caught:
        verify_chain(forged, log=desk.key, heads=[released.log_head])
    assert caught.value.code is Code.LOG_FORKED


def test_a_release_is_cut_off(desk: Desk, released: ReleasedKeys):
    """The log ends before the release, as if it had not happened yet."""
    with pytest.raises(VerificationError) as caught:
        verify_chain(entries_of(desk)[:-1], log=desk.key, heads=[released.log_head])
    assert caught.value.code is Code.LOG_CUT


def test_the_first_entries_are_dropped(desk: Desk, released: ReleasedKeys):
    """A log 'from this year on' is not the log."""
    with pytest.raises(VerificationError) as caught:
        verify_chain(entries_of(desk)[1:], log=desk.key, heads=[released.log_head])
    assert caught.value.code is Code.LOG_BROKEN


def test_the_log_of_another_broker_is_shown(desk: Desk, scene: Scene, released: ReleasedKeys):
    """An innocent broker's log in the place of this one's."""
    other = scene.open_desk("modelworks-broker", VirtualClock(NOW))
    try:
        register_all(other, scene, "modelworks-broker")
        entries = entries_of(other)
    finally:
        other.store.close()
    with pytest.raises(VerificationError) as caught:
        verify_chain(entries, log=desk.key, heads=[released.log_head])
    assert caught.value.code is Code.LOG_BROKEN


def test_somebody_without_the_key_edits_the_store(desk: Desk, released: ReleasedKeys):
    """A thief on the broker's machine deletes the trace of a release; the broker does not start."""

    def remove(connection):
        connection.execute("DELETE FROM log WHERE number = (SELECT max(number) FROM log)")
        connection.execute("DELETE FROM run")

    desk.store._database.write(remove)
    with pytest.raises(StorageError) as caught:
        desk.store.inspect(lambda connection: audit_store(connection, log=desk.key))
    assert caught.value.code is Code.STORE_DAMAGED
