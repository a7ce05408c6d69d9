"""Folders of records: the hub's layout, and what may not be in any folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

import pytest

from sealtune.bundle import folders as module
from sealtune.bundle.folders import split_of_file
from sealtune.bundle.sources import find_dataset
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError, StorageError

LINE = '{"text":"%s"}\n'


def write_files(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def texts(path: Path, split: str | None = None) -> list[Any]:
    return [record["text"] for _, record in find_dataset(path, split=split).read()]


def refusal(path: Path, split: str | None = None) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        list(find_dataset(path, split=split).read())
    assert str(path) in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("data/train.clean.100-00001-of-00002.parquet", "train.clean.100"),
        ("data/dev-00000-of-00001.jsonl", "validation"),
        ("train.jsonl", "train"),
        ("notes_dev.csv", "validation"),
        ("notes-test-2.csv", "test"),
        ("TRAIN.JSONL", "train"),
        ("train/1.jsonl", "train"),
        ("en/valid/1.jsonl", "validation"),
        ("test/train.jsonl", "test"),
        ("records.jsonl", None),
        ("trainer.jsonl", None),
        ("latest.csv", None),
        ("records.train", None),
    ],
)
def test_the_split_of_a_file(name: str, split: str | None) -> None:
    assert split_of_file(PurePath(name)) == split


def test_files_of_a_split_are_read_in_their_order(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "data/train-00001-of-00002.jsonl": LINE % "c",
            "data/train-00000-of-00002.jsonl": LINE % "a" + LINE % "b",
            "data/test-00000-of-00001.jsonl": LINE % "x",
            "README.md": "about",
            "dataset_infos.json": "{}",
            ".gitattributes": "*",
        },
    )
    assert texts(tmp_path, "train") == ["a", "b", "c"]
    assert texts(tmp_path, "test") == ["x"]
    dataset = find_dataset(tmp_path, split="train")
    assert dataset.bytes == 3 * len(LINE % "a")
    assert [place.position for place, _ in dataset.read()][-1] == dataset.bytes
    assert dataset.notes == ("not sealed: README.md",)


def test_a_split_must_be_chosen_where_there_are_several(tmp_path: Path) -> None:
    write_files(tmp_path, {"train.jsonl": LINE % "a", "test.jsonl": LINE % "b"})
    for split in (None, "validation"):
        error = refusal(tmp_path, split)
        assert isinstance(error, ConfigError)
        assert "train" in error.message + error.remedy
        assert "test" in error.message + error.remedy


def test_a_folder_without_splits_is_one_and_called_train(tmp_path: Path) -> None:
    write_files(tmp_path, {"b.csv": "text\nb\n", "a.csv": "text\na\n"})
    assert texts(tmp_path) == texts(tmp_path, "train") == ["a", "b"]
    assert isinstance(refusal(tmp_path, "test"), ConfigError)


def test_files_without_a_split_beside_some_that_have_one_are_named(tmp_path: Path) -> None:
    write_files(tmp_path, {"train.jsonl": LINE % "a", "more.jsonl": LINE % "b"})
    assert texts(tmp_path) == ["a"]
    assert find_dataset(tmp_path, split=None).notes == ("not sealed: more.jsonl",)


def test_a_single_file_has_no_splits(tmp_path: Path) -> None:
    write_files(tmp_path, {"d.jsonl": LINE % "a"})
    assert texts(tmp_path / "d.jsonl") == ["a"]
    assert isinstance(refusal(tmp_path / "d.jsonl", "train"), ConfigError)


def test_several_formats_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"train.jsonl": LINE % "a", "train.csv": "text\na\n"})
    assert refusal(tmp_path).code is Code.RECORDS_FORMAT
    (tmp_path / "train.csv").unlink()
    write_files(tmp_path, {"train2.json": LINE % "b", "train3.ndjson": LINE % "c"})
    assert texts(tmp_path) == ["a", "b", "c"]


@pytest.mark.parametrize("files", [{}, {"README.md": "a"}, {".hidden.jsonl": LINE}])
def test_an_empty_folder(files: dict[str, bytes | str], tmp_path: Path) -> None:
    assert refusal(write_files(tmp_path, files)).code is Code.RECORDS_EMPTY


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write_files(tmp_path, {"1.jsonl": LINE % "a", "2.jsonl": LINE % "b" + "secret"})
    error = refusal(tmp_path)
    assert error.code is Code.RECORD_MALFORMED
    assert "2.jsonl:2: " in error.message


def test_no_link_leads_out(tmp_path: Path) -> None:
    outside = write_files(tmp_path / "outside", {"secret.jsonl": LINE % "secret"})
    inside = write_files(tmp_path / "in", {"a.jsonl": LINE % "a"})
    (inside / "b.jsonl").symlink_to("a.jsonl")
    assert texts(inside) == ["a", "a"]
    for link, target in (
        ("c.jsonl", outside / "secret.jsonl"),
        ("c.jsonl", Path("../outside/secret.jsonl")),
        ("c.txt", Path("../outside/secret.jsonl")),
        ("folder", outside),
        ("folder", inside),
        ("c.jsonl", outside / "nothing.jsonl"),
        ("c.jsonl", Path("nothing.jsonl")),
        ("c.jsonl", Path("c.jsonl")),
    ):
        (inside / link).symlink_to(target)
        error = refusal(inside)
        assert error.code in (Code.RECORDS_FORMAT, Code.IO_FAILED), (link, target)
        (inside / link).unlink()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jsonl": LINE % "a"})
    os.mkfifo(tmp_path / "b.jsonl")
    assert refusal(tmp_path).code is Code.RECORDS_FORMAT


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DATASET_FILES_MAX", 2)
    write_files(tmp_path, {f"{n}.jsonl": LINE % "a" for n in range(3)})
    error = refusal(tmp_path)
    assert isinstance(error, FormatError)
    assert error.code is Code.LIMIT_EXCEEDED


def test_a_missing_path(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path / "nothing"), FormatError)  # no known suffix
    assert isinstance(refusal(tmp_path / "nothing.jsonl"), StorageError)
