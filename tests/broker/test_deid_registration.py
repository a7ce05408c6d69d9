"""Reports on their way: sealed with the records, registered with the key, kept by the broker."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from deid.deid_reports import make_report
from sealtune.broker.audit import audit_store
from sealtune.broker.desk import Desk
from sealtune.broker.registration import register_key
from sealtune.bundle.reader import registration
from sealtune.bundle.records import iter_records, record_line
from sealtune.bundle.seal import seal_data
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import Digest
from sealtune.crypto.identity import Identity
from sealtune.deid.binding import bind_report_file
from sealtune.deid.report import sign_report
from sealtune.errors import Code, SealtuneError
from sealtune.testing.scene import Scene

OpenDesk = Callable[..., Desk]


def refused(action: Callable[[], object]) -> Code:
    with pytest.raises(SealtuneError) as caught:
        action()
    return caught.value.code


class Owner:
    """A hospital with records, the report on them, and both in a bundle for a broker."""

    def __init__(self, folder: Path, identity: Identity, desk: Desk) -> None:
        self.identity = identity
        self.desk = desk
        self.records = folder / "notes.jsonl"
        self.records.write_text('{"text": "one"}\n{"text": "two"}\n')
        self.report = folder / "report.json"
        self.sealed = folder / "notes.sealed"
        self.write_report(self.lines_digest())

    def lines_digest(self) -> Digest:
        state = hashlib.sha256()
        for place, record in iter_records(self.records):
            state.update(record_line(place, record))
        return Digest(f"sha256:{state.hexdigest()}")

    def write_report(self, records: Digest, **facts) -> None:
        report = make_report(records=records, **facts)
        self.report.write_bytes(sign_report(report, owner=self.identity.signing))

    def seal(self) -> Digest:
        binding = bind_report_file(self.report, owner=self.identity.public.signing)
        return seal_data(
            self.records,
            self.sealed,
            owner=self.identity,
            recipients=[self.desk.identity.public],
            task=None,
            deidentification=binding,
        ).digest


@pytest.fixture
def desk(open_desk: OpenDesk) -> Desk:
    return open_desk()


@pytest.fixture
def owner(desk: Desk, scene: Scene, tmp_path: Path) -> Owner:
    return Owner(tmp_path, scene.agreement.identities["hospital"], desk)


def held(desk: Desk, digest: Digest):
    return desk.store.write(lambda transaction: transaction.held((digest,)))[digest]


def test_a_report_is_kept_with_the_key_and_outlives_a_restart(owner: Owner, desk: Desk):
    digest = owner.seal()
    register_key(desk, registration(owner.sealed, report=owner.report.read_bytes()))
    report = held(desk, digest).report
    assert report is not None
    assert report.owner == owner.identity.public.signing
    desk.store.inspect(lambda connection: audit_store(connection, log=desk.key))


def test_records_that_the_report_is_not_about_are_not_sealed(owner: Owner):
    owner.records.write_text('{"text": "one"}\n{"text": "Two"}\n')
    assert refused(owner.seal) is Code.DEID_OTHER_RECORDS
    assert not owner.sealed.exists()
    assert [path.name for path in owner.sealed.parent.glob("*sealed*")] == []


def test_a_report_of_somebody_else_is_not_sealed_with(owner: Owner):
    report = make_report(records=owner.lines_digest())
    owner.report.write_bytes(sign_report(report, owner=Identity.generate("mallory").signing))
    assert refused(owner.seal) is Code.SIGNATURE_MISSING


def test_a_bundle_that_names_a_report_is_not_registered_without_it(owner: Owner, desk: Desk):
    owner.seal()
    body = registration(owner.sealed)
    assert refused(lambda: register_key(desk, body)) is Code.DEID_REPORT_MISSING


def test_another_datasets_report_is_refused(owner: Owner, desk: Desk):
    owner.seal()
    owner.write_report(owner.lines_digest(), residual=0)  # signed, and better
    body = registration(owner.sealed, report=owner.report.read_bytes())
    assert refused(lambda: register_key(desk, body)) is Code.DEID_OTHER_REPORT


def test_a_bundle_without_a_report_cannot_be_given_one_later(
    owner: Owner, desk: Desk, tmp_path: Path
):
    plain = tmp_path / "plain.sealed"
    recipients = [desk.identity.public]
    seal_data(owner.records, plain, owner=owner.identity, recipients=recipients, task=None)
    body = registration(plain, report=owner.report.read_bytes())
    assert refused(lambda: register_key(desk, body)) is Code.DEID_OTHER_REPORT


def test_a_report_whose_signature_was_exchanged_is_refused(owner: Owner, desk: Desk):
    owner.seal()
    report = json.loads(owner.report.read_bytes())
    stranger = json.loads(sign_report(make_report(), owner=Identity.generate("m").signing))
    report["signatures"] = stranger["signatures"]
    body = registration(owner.sealed, report=canonical_json(report))
    assert refused(lambda: register_key(desk, body)) is Code.SIGNATURE_MISSING


def test_a_report_taken_out_of_the_store_or_put_into_it_is_noticed(owner: Owner, desk: Desk):
    owner.seal()
    register_key(desk, registration(owner.sealed, report=owner.report.read_bytes()))

    def without(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM report")

    desk.store._database.write(without)
    code = refused(
        lambda: desk.store.inspect(lambda connection: audit_store(connection, log=desk.key))
    )
    assert code is Code.STORE_DAMAGED
