"""`seal`, `inspect`, `open` and `rewrap`, and what they say of wrong input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.said import Said, Sealtune


def _seal(sealtune_: Sealtune, folder: Path, data: Path, *more: object) -> Said:
    output = folder / "out.sealed"
    to = ("--owner", folder / "owner.key", "--to", folder / "broker.pub")
    return sealtune_("seal", "data", data, "-o", output, *to, *more, "--json")


def test_round_trip(sealed: Path, sealtune_: Sealtune) -> None:
    folder = sealed.parent
    shown = sealtune_("inspect", sealed, "--verify", "--json").json
    assert (shown["kind"], shown["body_verified"]) == ("dataset", True)
    assert len(shown["recipients"]) == 2
    opened = sealtune_("open", sealed, "-o", folder / "o", "--key", folder / "broker.key", "--json")
    assert opened.json["records"] == 2
    records = (folder / "o" / "records.jsonl").read_text().splitlines()
    assert json.loads(records[1]) == {"text": "b", "label": "y"}


def test_rewrap_adds_a_recipient_and_keeps_the_digest(sealed: Path, sealtune_: Sealtune) -> None:
    folder = sealed.parent
    copy = folder / "copy.sealed"
    refused = sealtune_(
        "open", sealed, "-o", folder / "o", "--key", folder / "clinic.key", "--json"
    )
    assert (refused.status, refused.error["code"]) == (3, "bundle-no-slot")
    assert str(sealed) in refused.error["message"]
    to = ("--owner", folder / "owner.key", "--to", folder / "clinic.pub")
    said = sealtune_("rewrap", sealed, "-o", copy, *to, "--json").json
    assert said["recipients"] == ["owner", "clinic"]
    assert said["digest"] == sealtune_("inspect", copy, "--json").json["digest"]
    assert sealtune_("open", copy, "-o", folder / "o", "--key", folder / "clinic.key").status == 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"text": "a', "record-malformed"),
        ('["a"]', "record-malformed"),
        ('{"label": "x"}', "record-field"),
        ('{"text": "a"}', "record-field"),
        ('{"text": "a", "label": "z"}', "label-out-of-range"),
        ('{"text": "\\ud800", "label": "x"}', "record-malformed"),
    ],
)
def test_a_bad_line_is_named(keys: Path, sealtune_: Sealtune, line: str, code: str) -> None:
    data = keys / "notes.jsonl"
    data.write_text(f'{{"text": "a", "label": "x"}}\n\n{line}\n')
    said = _seal(sealtune_, keys, data, "--task", "text-classification", "--labels", "x,y")
    assert (said.status, said.error["code"]) == (4, code)
    assert "notes.jsonl:3" in said.error["message"]
    assert "a" * 3 not in said.error["message"]
    assert not (keys / "out.sealed").exists()
    assert not list(keys.glob(".*"))


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("empty.jsonl", "", 4, "records-empty"),
        ("blank.jsonl", "\n\n", 4, "records-empty"),
        ("notes.xml", "<a/>", 4, "records-format"),
        ("bad.csv", "text,label\na\n", 4, "record-malformed"),
    ],
)
def test_bad_data_files(
    keys: Path, sealtune_: Sealtune, name: str, content: str, status: int, code: str
) -> None:
    (keys / name).write_text(content)
    said = _seal(sealtune_, keys, keys / name)
    assert (said.status, said.error["code"]) == (status, code)
    assert name in said.error["message"]
    assert not (keys / "out.sealed").exists()


def test_missing_and_misplaced_files(keys: Path, sealtune_: Sealtune) -> None:
    missing = _seal(sealtune_, keys, keys / "nothing.jsonl")
    assert (missing.status, missing.error["code"]) == (9, "file-missing")
    (keys / "folder.jsonl").mkdir()
    folder = _seal(sealtune_, keys, keys / "folder.jsonl")
    assert (folder.status, folder.error["code"]) == (4, "records-empty")
    for path, said in ((keys / "nothing.jsonl", missing), (keys / "folder.jsonl", folder)):
        assert str(path) in said.error["message"]


def test_a_folder_of_images_is_sealed_by_split(keys: Path, sealtune_: Sealtune) -> None:
    png = b"\x89PNG\r\n\x1a\n, and no more is looked at"
    for name in ("train/cat/1.png", "train/dog/1.png", "test/cat/2.png"):
        path = keys / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)
    task = ("--task", "image-classification", "--labels", "cat,cow,dog")
    unnamed = _seal(sealtune_, keys, keys / "pets", *task)
    assert (unnamed.status, unnamed.error["code"]) == (3, "config-invalid")
    assert "test, train" in unnamed.error["message"]
    said = _seal(sealtune_, keys, keys / "pets", *task, "--split", "train").json
    assert (said["records"], said["labels"]) == (2, ["cat", "cow", "dog"])
    assert said["notes"] == ["1 of 3 labels are on no record: cow"]


@pytest.mark.parametrize(
    ("task", "record", "names"),
    [
        (
            "token-classification",
            '{"w":["a"],"t":["x"]}',
            ("--tokens-field", "w", "--tags-field", "t"),
        ),
        ("causal-lm", '{"q":"a","a":"x"}', ("--prompt-field", "q", "--completion-field", "a")),
        ("image-classification", '{"i":"/9j/","label":"x"}', ("--image-field", "i")),
    ],
)
def test_fields_of_each_task_have_other_names(
    keys: Path, sealtune_: Sealtune, task: str, record: str, names: tuple[str, ...]
) -> None:
    data = keys / "data.jsonl"
    data.write_text(record + "\n")
    refused = _seal(sealtune_, keys, data, "--task", task)
    assert (refused.status, refused.error["code"]) == (4, "record-field")
    assert _seal(sealtune_, keys, data, "--task", task, *names).json["records"] == 1


def test_an_existing_output_is_kept(sealed: Path, sealtune_: Sealtune) -> None:
    folder = sealed.parent
    (folder / "out.sealed").write_text("precious")
    said = _seal(sealtune_, folder, folder / "notes.jsonl")
    assert said.error["code"] == "file-exists"
    assert (folder / "out.sealed").read_text() == "precious"


def test_labels_with_an_empty_name(sealed: Path, sealtune_: Sealtune) -> None:
    folder = sealed.parent
    said = _seal(sealtune_, folder, folder / "notes.jsonl", "--labels", "x,,y")
    assert said.error["family"] == "config"


@pytest.mark.parametrize("command", ["inspect", "open", "rewrap"])
def test_what_is_no_bundle(sealed: Path, sealtune_: Sealtune, command: str) -> None:
    folder = sealed.parent
    more: dict[str, tuple[Any, ...]] = {
        "inspect": (),
        "open": ("-o", folder / "o", "--key", folder / "owner.key"),
        "rewrap": (
            "-o",
            folder / "o",
            "--owner",
            folder / "owner.key",
            "--to",
            folder / "clinic.pub",
        ),
    }
    said = sealtune_(command, folder / "notes.jsonl", *more[command], "--json")
    assert (said.status, said.error["code"]) == (4, "bundle-malformed")
    assert "notes.jsonl" in said.error["message"]
    assert not (folder / "o").exists()


@pytest.mark.parametrize("place", [8, 40, -30])
def test_a_flipped_byte_is_refused(sealed: Path, sealtune_: Sealtune, place: int) -> None:
    folder = sealed.parent
    data = bytearray(sealed.read_bytes())
    data[place] ^= 1
    sealed.write_bytes(data)
    inspected = sealtune_("inspect", sealed, "--verify", "--json")
    opened = sealtune_("open", sealed, "-o", folder / "o", "--key", folder / "owner.key", "--json")
    for said in (inspected, opened):
        assert said.status in (4, 5)
        assert "notes.sealed" in said.error["message"]
    assert not (folder / "o").exists()


def test_a_pickled_model_is_refused_with_the_command_that_converts_it(
    keys: Path, sealtune_: Sealtune
) -> None:
    model = keys / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "pytorch_model.bin").write_bytes(b"\x80")
    to = ("--owner", keys / "owner.key", "--to", keys / "broker.pub")
    said = sealtune_("seal", "model", model, "-o", keys / "out.sealed", *to, "--json")
    assert (said.status, said.error["code"]) == (4, "model-pickle")
    assert "python" in said.error["message"] + said.error["remedy"]


def test_a_public_file_in_the_place_of_a_key(keys: Path, sealtune_: Sealtune) -> None:
    (keys / "notes.jsonl").write_text('{"text": "a"}\n')
    to = ("--owner", keys / "owner.key", "--to", keys / "broker.key")
    said = sealtune_("seal", "data", keys / "notes.jsonl", "-o", keys / "o", *to, "--json")
    assert said.error["code"] == "public-key-malformed"
