"""`--deidentification` of `seal data` and of `broker add-key`."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.said import Said, Sealtune
from deid.deid_reports import make_report
from sealtune.bundle.records import iter_records, record_line
from sealtune.core.digest import Digest
from sealtune.crypto.identity import load_identity, save_identity
from sealtune.deid.report import sign_report
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import BrokerProcess, make_scene

BROKER = "hospital-broker"


class Owner:
    """An owner with notes and the report on them, at a command line."""

    def __init__(self, folder: Path, call: Sealtune) -> None:
        self.folder = folder
        self.call = call
        self.notes = folder / "notes.jsonl"
        self.notes.write_text('{"text": "one"}\n{"text": "two"}\n')
        self.report = folder / "report.json"
        self.sealed = folder / "notes.sealed"
        state = hashlib.sha256()
        for place, record in iter_records(self.notes):
            state.update(record_line(place, record))
        report = make_report(records=Digest(f"sha256:{state.hexdigest()}"))
        self.digest = report.digest
        owner = load_identity(folder / "owner.key", passphrase=None)
        self.report.write_bytes(sign_report(report, owner=owner.signing))

    def seal(self, broker: Path) -> Said:
        key = ("--owner", self.folder / "owner.key", "--to", broker)
        given = ("--deidentification", self.report, "--json")
        return self.call("seal", "data", self.notes, "-o", self.sealed, *key, *given)


@pytest.fixture
def owner(keys: Path, sealtune_: Sealtune) -> Owner:
    return Owner(keys, sealtune_)


def test_sealing_names_the_report(owner: Owner) -> None:
    said = owner.seal(owner.folder / "broker.pub")
    assert said.status == 0, said.err
    assert said.json["deidentification"] == owner.digest


def test_records_that_were_changed_since_are_not_sealed(owner: Owner) -> None:
    owner.notes.write_text('{"text": "one"}\n{"text": "Two"}\n')
    said = owner.seal(owner.folder / "broker.pub")
    assert said.error["code"] == "deid-other-records"
    assert not owner.sealed.exists()


def test_a_report_of_somebody_else_is_not_sealed_with(owner: Owner) -> None:
    clinic = load_identity(owner.folder / "clinic.key", passphrase=None)
    owner.report.write_bytes(sign_report(make_report(), owner=clinic.signing))
    said = owner.seal(owner.folder / "broker.pub")
    assert said.error["code"] == "signature-missing"
    assert not owner.sealed.exists()


def test_a_running_broker_takes_the_key_with_its_report_only(
    tmp_path: Path, sealtune_: Sealtune
) -> None:
    now = datetime.now(UTC)
    scene = make_scene(tmp_path / "scene", mock=MockAmd.generate(now=now), now=now)
    identities = scene.agreement.identities
    folder = tmp_path / "desk"
    folder.mkdir()
    for name, identity in (("owner", "hospital"), ("broker", BROKER)):
        save_identity(folder / f"{name}.key", identities[identity], passphrase=None)
        (folder / f"{name}.pub").write_text(identities[identity].public.to_toml())
    owner = Owner(folder, sealtune_)
    assert owner.seal(folder / "broker.pub").status == 0
    with BrokerProcess(scene.broker_folder(BROKER)) as broker:
        asked = ("broker", "add-key", owner.sealed, "--at", broker.address)
        asked += ("--broker", folder / "broker.pub", "--json")
        assert sealtune_(*asked).error["code"] == "deid-report-missing"
        assert sealtune_(*asked, "--deidentification", owner.report).status == 0
        assert broker.stop() == 0
