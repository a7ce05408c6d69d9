"""At each start the store must be what its log says; every way of editing it is noticed."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable

import pytest

from sealtune.broker.audit import audit_store, read_log
from sealtune.broker.config import load_config
from sealtune.broker.desk import Desk
from sealtune.broker.runs import remember_anchor
from sealtune.broker.server import open_desk as open_audited
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, StorageError, VerificationError
from sealtune.protocol.reports import anchor_request
from sealtune.protocol.session import Anchor, WorkerSecrets
from sealtune.testing.scene import Scene, new_run_id, release
from sealtune.translog.chain import LogHead, entry_hash, sign_head, verify_head

BROKER = "hospital-broker"


@pytest.fixture
def used(desk: Desk, scene: Scene) -> Desk:
    """A broker with two runs, one resumed and anchored."""
    for _ in range(2):
        terms = scene.terms(BROKER, run_id=new_run_id(), worker=WorkerSecrets.generate())
        release(desk, scene, terms)
    again = scene.terms(BROKER, run_id=terms.run_id, worker=WorkerSecrets.generate())
    release(desk, scene, again)
    anchor = Anchor(step=7, digest=sha256_digest(b"checkpoint"))
    remember_anchor(
        desk,
        anchor_request(
            anchor, contract=again.contract, run_id=again.run_id, signing=again.worker.signing
        ),
    )
    return desk


def audit(desk: Desk) -> LogHead:
    return desk.store.inspect(lambda connection: audit_store(connection, log=desk.key))


EDITS = {
    "a run is forgotten": "DELETE FROM run WHERE resumes = 0",
    "a run is made up": (
        "INSERT INTO run SELECT contract, '00000000000000000000000000000000', sealed_share, 0,"
        " worker_recipient, worker_signing, NULL, NULL, NULL, NULL FROM run LIMIT 1"
    ),
    "a resume is forgotten": "UPDATE run SET resumes = 0",
    "another worker": "UPDATE run SET worker_signing = zeroblob(32)",
    "another worker's recipient key": "UPDATE run SET worker_recipient = zeroblob(1216)",
    "an older anchor": "UPDATE run SET anchor_step = 6 WHERE anchor_step = 7",
    "no anchor": "UPDATE run SET anchor_step = NULL, anchor_digest = NULL",
    "another anchor": "UPDATE run SET anchor_digest = 'sha256:00' WHERE anchor_step = 7",
    "a run is closed": "UPDATE run SET receipt_digest = 'sha256:00'",
    "another owner": "UPDATE bundle SET owner = 'ed25519:x'",
    "another kind": "UPDATE bundle SET kind = 'model'",
    "a key is taken away": "DELETE FROM bundle",
    "a contract is taken away": "DELETE FROM contract",
    "the last entry is cut": "DELETE FROM log WHERE number = (SELECT max(number) FROM log)",
    "all entries are cut": "DELETE FROM log",
    "an entry is taken out": "DELETE FROM log WHERE number = 2",
    "an entry is repeated": (
        "UPDATE log SET entry = (SELECT entry FROM log WHERE number = 5) WHERE number = 4"
    ),
    "the head is gone": "DELETE FROM head",
    "an entry is no JSON": "UPDATE log SET entry = x'00' WHERE number = 1",
}


@pytest.mark.parametrize("what", sorted(EDITS))
def test_an_edited_store_does_not_pass(used: Desk, what: str):
    assert audit(used).size == 6
    changed = used.store._database.write(
        lambda connection: connection.execute(EDITS[what]).rowcount
    )
    assert changed
    with pytest.raises(StorageError) as caught:
        audit(used)
    assert caught.value.code is Code.STORE_DAMAGED
    assert caught.value.remedy


def rechain(used: Desk, change: Callable[[dict], None], *, key: SigningKey) -> None:
    """Edit the last entry and sign the head anew, as somebody with `key` could."""

    def job(connection: sqlite3.Connection) -> None:
        number, data = connection.execute(
            "SELECT number, entry FROM log ORDER BY number DESC LIMIT 1"
        ).fetchone()
        fields = json.loads(data)
        change(fields)
        data = canonical_json(fields)
        head = LogHead(size=number + 1, hash=entry_hash(data))
        envelope = sign_head(head, key=key).to_json()
        connection.execute("UPDATE log SET entry = ? WHERE number = ?", (data, number))
        connection.execute("UPDATE head SET envelope = ?", (envelope,))

    used.store._database.write(job)


def test_the_newest_entry_and_its_table_edited_alike_contradict_the_signed_head(used: Desk):
    # No later entry names the newest one's hash; only the head does.
    def put_back(connection: sqlite3.Connection) -> None:
        data = connection.execute("SELECT entry FROM log WHERE number = 5").fetchone()[0]
        edited = data.replace(b'"step":7', b'"step":6')
        assert edited != data
        connection.execute("UPDATE log SET entry = ? WHERE number = 5", (edited,))
        connection.execute("UPDATE run SET anchor_step = 6 WHERE anchor_step = 7")

    used.store._database.write(put_back)
    with pytest.raises(StorageError) as caught:
        audit(used)
    assert caught.value.code is Code.STORE_DAMAGED


def test_a_head_signed_by_another_key_does_not_pass(used: Desk):
    rechain(used, lambda fields: None, key=SigningKey.generate())
    with pytest.raises(StorageError):
        audit(used)


def test_even_a_log_with_a_good_head_must_agree_with_the_tables(used: Desk):
    rechain(used, lambda fields: fields["body"].update(step=6), key=used.identity.signing)
    with pytest.raises(StorageError) as caught:
        audit(used)
    assert "log says" in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.update(kind="surprise"),
        lambda fields: fields.update(body={}),
        lambda fields: fields["body"].update(contract=[]),
    ],
)
def test_entries_of_another_form_are_damage_not_a_crash(used: Desk, change):
    rechain(used, change, key=used.identity.signing)
    with pytest.raises(StorageError) as caught:
        audit(used)
    assert caught.value.code is Code.STORE_DAMAGED


def test_a_broker_with_an_edited_store_does_not_start(used: Desk, scene: Scene):
    used.store.close()
    folder = scene.broker_folder(BROKER)
    with contextlib.closing(sqlite3.connect(folder / "store.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM run")
    with pytest.raises(StorageError) as caught:
        open_audited(load_config(folder), insecure_accept_simulated=True, passphrase=None)
    assert caught.value.code is Code.STORE_DAMAGED


def test_an_older_state_put_back_contradicts_a_head_that_somebody_holds(used: Desk, scene: Scene):
    # The store alone cannot know: it is whole, only old. A head from a release or receipt does.
    number = 5
    entries = used.store.inspect(
        lambda connection: connection.execute("SELECT entry FROM log").fetchall()
    )
    newest = sign_head(
        LogHead(size=number + 1, hash=entry_hash(entries[number][0])), key=used.identity.signing
    )
    held = verify_head(newest, log=used.key)

    def put_back(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM log WHERE number = ?", (number,))
        older = LogHead(size=number, hash=entry_hash(entries[number - 1][0]))
        envelope = sign_head(older, key=used.identity.signing).to_json()
        connection.execute("UPDATE head SET envelope = ?", (envelope,))
        connection.execute("UPDATE run SET anchor_step = NULL, anchor_digest = NULL")

    used.store._database.write(put_back)
    assert audit(used).size == number
    with pytest.raises(StorageError) as caught:
        used.store.inspect(lambda connection: audit_store(connection, log=used.key, heads=(held,)))
    assert "commits to" in caught.value.message


def test_people_read_a_verified_log(used: Desk):
    entries = used.store.inspect(lambda connection: read_log(connection, log=used.key))
    assert [entry.kind for entry in entries] == [
        "key",
        "contract",
        "release",
        "release",
        "release",
        "anchor",
    ]
    used.store._database.write(
        lambda connection: connection.execute("DELETE FROM log WHERE number = 5").rowcount
    )
    with pytest.raises(VerificationError):
        used.store.inspect(lambda connection: read_log(connection, log=used.key))


def test_an_empty_store_is_whole(open_desk: Callable[..., Desk]):
    assert audit(open_desk()).size == 0
