"""`sealtune deid-report`: verified before it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.said import Sealtune
from deid.deid_reports import make_report
from sealtune.crypto.identity import load_identity
from sealtune.deid.report import sign_report


@pytest.fixture
def report(keys: Path) -> Path:
    path = keys / "clean.jsonl.report.json"
    owner = load_identity(keys / "owner.key", passphrase=None)
    path.write_bytes(sign_report(make_report(k=7), owner=owner.signing))
    return path


def test_a_report_is_shown_with_its_risk_first(
    report: Path, keys: Path, sealtune_: Sealtune
) -> None:
    said = sealtune_("deid-report", report, "--owner", keys / "owner.pub")
    assert said.status == 0, said.err
    lines = said.out.splitlines()
    assert "signed by owner" in lines[0]
    assert lines[1].split(maxsplit=2) == ["what", "remains", "Said."]
    assert "2.5 per 10,000 records" in said.out
    assert make_report(k=7).digest in said.out


def test_json_and_a_page(report: Path, keys: Path, sealtune_: Sealtune) -> None:
    page = keys / "report.html"
    said = sealtune_("deid-report", report, "--owner", keys / "owner.pub", "--html", page, "--json")
    assert said.status == 0, said.err
    assert said.json["verified"] is True
    assert said.json["statement"] == make_report(k=7).to_dict()
    assert "What was not looked for" in page.read_text()


def test_another_signer_shows_and_writes_nothing(
    report: Path, keys: Path, sealtune_: Sealtune
) -> None:
    page = keys / "report.html"
    said = sealtune_("deid-report", report, "--owner", keys / "clinic.pub", "--html", page)
    assert said.status == 5
    assert "signature-missing" in said.err
    assert "Said." not in said.out
    assert not page.exists()
