"""A store of before there were reports, and what it keeps when it is opened by this version."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from sealtune.broker.audit import audit_store
from sealtune.broker.desk import Desk
from sealtune.broker.store import STORE_VERSION
from sealtune.errors import Code, StorageError
from sealtune.protocol.session import WorkerSecrets
from sealtune.testing.scene import Scene, new_run_id, register_all, release

BROKER = "hospital-broker"
OpenDesk = Callable[..., Desk]


def alter(scene: Scene, script: str) -> None:
    connection = sqlite3.connect(scene.broker_folder(BROKER) / "store.sqlite3")
    connection.executescript(script)
    connection.close()


def version(scene: Scene) -> int:
    connection = sqlite3.connect(scene.broker_folder(BROKER) / "store.sqlite3")
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


def test_a_store_of_before_keeps_its_keys_and_takes_reports(open_desk: OpenDesk, scene: Scene):
    desk = open_desk()
    register_all(desk, scene, BROKER)
    desk.store.close()
    alter(scene, "DROP TABLE report; PRAGMA user_version = 1;")
    desk = open_desk()
    assert version(scene) == STORE_VERSION
    desk.store.inspect(lambda connection: audit_store(connection, log=desk.key))
    notes = scene.inputs["notes"].digest
    held = desk.store.write(lambda transaction: transaction.held((notes,)))
    assert held[notes].report is None
    terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
    assert release(desk, scene, terms).run == "new"


def test_it_is_upgraded_once(open_desk: OpenDesk, scene: Scene):
    open_desk().store.close()
    alter(scene, "DROP TABLE report; PRAGMA user_version = 1;")
    for _ in range(2):
        open_desk().store.close()
    assert version(scene) == STORE_VERSION


@pytest.mark.parametrize("other", [0, STORE_VERSION + 1])
def test_a_store_of_another_version_is_refused(open_desk: OpenDesk, scene: Scene, other: int):
    open_desk().store.close()
    alter(scene, f"PRAGMA user_version = {other};")
    with pytest.raises(StorageError) as caught:
        open_desk()
    assert caught.value.code is Code.STORE_DAMAGED
    assert version(scene) == other
