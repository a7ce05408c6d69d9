"""`deidentify` and `reidentify`: what they print, show and refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.said import Sealtune
from sealtune.cli.deidentify import review_lines
from sealtune.deid.review import Review, ReviewedField, ReviewedRecord, Segment
from sealtune.deid.review_page import review_page

_TEXT = "Seen by Dr. Anna Petersen. Mail anna@clinic.example. \u202eSSN 219-09-4001"
_HOSTILE = '<img src=x onerror="a()">\x1b[31m'


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Two records, one of them with identifiers."""
    path = tmp_path / "notes.jsonl"
    records = [{"text": _TEXT, "ward": _HOSTILE}, {"text": "Nothing here.", "ward": "B"}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def _arguments(notes: Path, *more: object, profile: str = "hipaa-safe-harbor") -> list[object]:
    key = notes.with_name("a.deid-key")
    return ["deidentify", notes, "--profile", profile, "--key", key, "--jobs", 1, *more]


def test_the_whole_way_and_back(notes: Path, sealtune_: Sealtune) -> None:
    output = notes.with_name("out.jsonl")
    arguments = _arguments(notes, "-o", output, profile="gdpr-pseudonymous")
    made = sealtune_(*arguments, "--json").json
    assert made["records"] == 2
    assert made["counts"] == {"email": 1, "person": 1, "ssn": 1}
    assert made["vault"] == f"{output}.vault"
    assert made["word"] == "de-identified"
    assert sealtune_(*arguments, "--json").error["code"] == "file-exists"
    back = notes.with_name("back.jsonl")
    key = notes.with_name("a.deid-key")
    vault = ("--vault", f"{output}.vault", "--key", key)
    restored = sealtune_("reidentify", output, "-o", back, *vault, "--json").json
    assert restored["replaced"] == 3
    assert json.loads(back.read_text().splitlines()[0])["text"] == _TEXT
    assert back.stat().st_mode & 0o777 == 0o600


def test_what_people_read(notes: Path, sealtune_: Sealtune) -> None:
    said = sealtune_(*_arguments(notes, "-o", notes.with_name("out.jsonl")))
    assert said.status == 0, said.err
    assert "1 changed" in said.out
    assert "1 email, 1 person, 1 ssn" in said.out
    assert "is new: keep it secret" in said.out
    assert "Petersen" not in said.out


def test_a_review_shows_marks_and_writes_nothing(notes: Path, sealtune_: Sealtune) -> None:
    said = sealtune_(*_arguments(notes, "--review"))
    assert said.status == 0, said.err
    assert "[-anna@clinic.example-]" in said.out
    assert "ssn: redact" in said.out
    assert "\x1b[31m" not in said.out.replace("\x1b[31m[-", "")
    assert "\u202e" not in said.out
    assert "originals" in said.out
    assert {path.name for path in notes.parent.iterdir()} == {"notes.jsonl", "a.deid-key"}


def test_json_of_a_review_holds_no_originals(notes: Path, sealtune_: Sealtune) -> None:
    said = sealtune_(*_arguments(notes, "--review", "--json"))
    assert said.json == {"reviewed": 2, "records": 2}


def test_a_review_page_is_private_and_inert(notes: Path, sealtune_: Sealtune) -> None:
    page = notes.with_name("review.html")
    said = sealtune_(*_arguments(notes, "--review-page", page))
    assert said.status == 0, said.err
    assert page.stat().st_mode & 0o777 == 0o600
    text = page.read_text()
    assert "This page holds originals" in text
    assert "default-src 'none'" in text
    assert "<img" not in text
    assert not re.search(r"<(script|link|iframe)|https?://|url\(", text)
    assert "<del>- anna@clinic.example</del><small>email</small>" in text


def test_a_page_of_any_text_is_text() -> None:
    hostile = "</td><script>\"'&\ud800"
    field = ReviewedField(hostile, (Segment(hostile, "x", "x"),), (Segment(hostile),))
    review = Review(
        source=hostile,
        profile=hostile,
        modes=(hostile,),
        total=1,
        records=(ReviewedRecord(hostile, (field,)),),
    )
    page = review_page(review)
    assert "<script" not in page
    page.encode()
    assert all("\ud800" not in line for line in review_lines(review))


def test_roles_are_proposed_as_a_file(notes: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("deidentify", notes, "--profile", "hipaa-safe-harbor", "--propose")
    assert said.status == 0, said.err
    profile = notes.with_name("deid.toml")
    profile.write_text(said.out)
    used = sealtune_(*_arguments(notes, "-o", notes.with_name("o.jsonl"), profile=str(profile)))
    assert used.status == 0, used.err


@pytest.mark.parametrize("missing", [[], ["--review", "--key"], ["-o", "out.jsonl"]])
def test_what_is_to_be_done_must_be_said(
    notes: Path, sealtune_: Sealtune, missing: list[str]
) -> None:
    given = ["deidentify", notes, "--profile", "hipaa-safe-harbor"]
    assert sealtune_(*given, *[item for item in missing if item != "--key"]).status == 2


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.jsonl", b"", "records-empty"),
        ("a.jsonl", b'{"text": "\xff"}\n', "record-malformed"),
        ("a.jsonl", b"\xff\xfe{\x00", "records-format"),
        ("a.csv", b"a,a\n1,2\n", "record-malformed"),
        ("a.docx", b"x", "records-format"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(
    tmp_path: Path, sealtune_: Sealtune, name: str, content: bytes, code: str
) -> None:
    given = tmp_path / name
    given.write_bytes(content)
    output = given.with_name("out" + given.suffix)
    said = sealtune_(*_arguments(given, "-o", output, "--json"))
    assert said.error["code"] == code
    assert said.error["remedy"]
    assert str(given) in said.error["message"]
    assert not output.exists()


def test_a_report_is_signed_by_its_owner(notes: Path, keys: Path, sealtune_: Sealtune) -> None:
    output = notes.with_name("out.jsonl")
    made = sealtune_(*_arguments(notes, "-o", output, "--owner", keys / "owner.key", "--json"))
    report = made.json["report"]
    to = ("--owner", keys / "owner.key", "--to", keys / "broker.pub")
    sealing = ("seal", "data", output, "-o", keys / "a.sealed", *to, "--json")
    sealed = sealtune_(*sealing, "--deidentification", report)
    assert sealed.status == 0, sealed.out
    assert sealed.json["deidentification"].startswith("sha256:")


@pytest.mark.parametrize(
    "more", [["--review"], ["-o", "out.jsonl"], ["-o", "out.jsonl", "--owner", "none.key"]]
)
def test_no_key_is_made_for_a_run_that_cannot_begin(
    notes: Path, sealtune_: Sealtune, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(notes.parent)
    if "--owner" not in more:
        notes.unlink()
    said = sealtune_(*_arguments(notes, *more, "--json"))
    assert said.error["code"] == "file-missing"
    assert not notes.with_name("a.deid-key").exists()
    if "--owner" in more:
        assert "sealtune key create none" in said.error["remedy"]


def test_a_vault_of_another_file_is_told(notes: Path, sealtune_: Sealtune) -> None:
    output, copy = notes.with_name("out.jsonl"), notes.with_name("copy.jsonl")
    sealtune_(*_arguments(notes, "-o", output, profile="gdpr-pseudonymous"))
    copy.write_text(output.read_text() + '{"text": "more"}\n')
    with_vault = ("--vault", f"{output}.vault", "--key", notes.with_name("a.deid-key"))
    text = "the vault was made with another file"
    for given, told in ((output, False), (copy, True)):
        said = sealtune_("reidentify", given, "-o", given.with_suffix(".back"), *with_vault)
        assert said.status == 0, said.err
        assert (text in said.out) is told
