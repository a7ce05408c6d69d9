"""Folders of images: the label is the folder, or stands in a table beside them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from sealtune.bundle import images as module
from sealtune.bundle.images import check_image_text, image_text
from sealtune.bundle.sources import find_dataset
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError

PNG = b"\x89PNG\r\n\x1a\nrest of a picture"
JPEG = b"\xff\xd8\xff\xe0rest of a picture"


def write_files(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def found(path: Path, split: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    return [
        (str(place.path.relative_to(path)), record)
        for place, record in find_dataset(path, split=split).read()
    ]


def refusal(path: Path, split: str | None = None) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        found(path, split)
    assert str(path) in caught.value.message
    return caught.value


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_folder_is_the_label(tmp_path: Path) -> None:
    files = {"dog/1.PNG": PNG, "cat/2.jpeg": JPEG, "cat/1.jpg": JPEG, "README.md": "about"}
    write_files(tmp_path, files)
    assert found(tmp_path) == [
        ("cat/1.jpg", {"image": text(JPEG), "label": "cat"}),
        ("cat/2.jpeg", {"image": text(JPEG), "label": "cat"}),
        ("dog/1.PNG", {"image": text(PNG), "label": "dog"}),
    ]
    dataset = find_dataset(tmp_path, split=None)
    assert [place.position for place, _ in dataset.read()][-1] == dataset.bytes
    assert dataset.bytes == len(PNG) + 2 * len(JPEG)
    assert dataset.notes == ("not sealed: README.md",)


def test_splits_lie_around_the_classes(tmp_path: Path) -> None:
    files = {"train/cat/1.jpg": JPEG, "val/dog/1.jpg": JPEG, "README.md": "about"}
    write_files(tmp_path, files)
    assert [record["label"] for _, record in found(tmp_path, "validation")] == ["dog"]
    assert isinstance(refusal(tmp_path), ConfigError)


def test_a_class_may_be_called_as_a_split_is(tmp_path: Path) -> None:
    write_files(tmp_path, {"test/1.jpg": JPEG, "control/1.jpg": JPEG})
    assert [record["label"] for _, record in found(tmp_path)] == ["control", "test"]


@pytest.mark.parametrize("split", ["", "train/"])
def test_a_table_beside_the_images(split: str, tmp_path: Path) -> None:
    table = 'file_name,label,age\nb.jpg,cat,3\n"sub/a.png",dog,4\nsub/../b.jpg,cow,5\n'
    files = {"metadata.csv": table, "b.jpg": JPEG, "sub/a.png": PNG}
    write_files(tmp_path, {split + name: content for name, content in files.items()})
    assert found(tmp_path, "train") == [
        (f"{split}metadata.csv", {"image": text(JPEG), "label": "cat", "age": "3"}),
        (f"{split}metadata.csv", {"image": text(PNG), "label": "dog", "age": "4"}),
        (f"{split}metadata.csv", {"image": text(JPEG), "label": "cow", "age": "5"}),
    ]


def test_a_table_of_json_lines_above_folders_called_as_splits_are(tmp_path: Path) -> None:
    line = '{"file_name":"train/1.jpg","label":7}\n'
    write_files(tmp_path, {"metadata.jsonl": line, "train/1.jpg": JPEG})
    assert [record for _, record in found(tmp_path)] == [{"image": text(JPEG), "label": 7}]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"label":1}', Code.RECORD_FIELD),
        ('{"file_name":1}', Code.RECORD_FIELD),
        ('{"file_name":""}', Code.RECORD_FIELD),
        ('{"file_name":"nothing.jpg"}', Code.RECORD_FIELD),
        ('{"file_name":"../secret.jpg"}', Code.RECORD_FIELD),
        ('{"file_name":"/etc/passwd"}', Code.RECORD_FIELD),
        ('{"file_name":"metadata.jsonl"}', Code.RECORD_FIELD),
        ('{"file_name":"a.jpg","image":"x"}', Code.RECORD_FIELD),
        ("secret", Code.RECORD_MALFORMED),
    ],
)
def test_a_bad_row_is_named(line: str, code: Code, tmp_path: Path) -> None:
    write_files(tmp_path, {"secret.jpg": JPEG})
    folder = tmp_path / "d"
    write_files(folder, {"a.jpg": JPEG, "metadata.jsonl": '{"file_name":"a.jpg"}\n' + line})
    error = refusal(folder)
    assert error.code is code
    assert "metadata.jsonl:2" in error.message


def test_an_image_that_the_table_does_not_name_is_not_left_out_in_silence(tmp_path: Path) -> None:
    files = {"a.jpg": JPEG, "b.jpg": JPEG, "metadata.jsonl": '{"file_name":"a.jpg"}\n'}
    error = refusal(write_files(tmp_path, files))
    assert error.code is Code.RECORDS_FORMAT
    assert "b.jpg" in error.message


@pytest.mark.parametrize(
    "files",
    [
        {"1.jpg": JPEG},
        {"cat/1.jpg": JPEG, "2.jpg": JPEG},
        {"train/cat/1.jpg": JPEG, "2.jpg": JPEG},
        {"a/b/1.jpg": JPEG},
        {"cat/1.jpg": JPEG, "cat/2.gif": b"GIF89a"},
        {"cat/1.webp": b"RIFF"},
        {"cat/1.jpg": JPEG, "train.jsonl": "{}"},
        {"cat/1.jpg": JPEG, "metadata.csv": "file_name\n", "metadata.jsonl": "{}"},
    ],
)
def test_other_layouts_are_refused(files: dict[str, bytes | str], tmp_path: Path) -> None:
    assert refusal(write_files(tmp_path, files)).code is Code.RECORDS_FORMAT


def test_what_is_no_image_by_its_first_bytes(tmp_path: Path) -> None:
    error = refusal(write_files(tmp_path, {"cat/1.jpg": JPEG, "cat/2.jpg": b"secret"}))
    assert error.code is Code.RECORD_IMAGE
    assert "cat/2.jpg" in error.message
    assert "secret" not in error.message


def test_an_image_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {"cat/1.jpg": JPEG + b"x" * 100})
    monkeypatch.setattr(module, "IMAGE_BYTES_MAX", 100)
    assert refusal(tmp_path).code is Code.LIMIT_EXCEEDED
    with pytest.raises(FormatError) as caught:
        image_text(JPEG + b"x" * 100, where="x")
    assert caught.value.code is Code.LIMIT_EXCEEDED


def test_no_image_is_read_through_a_link_that_leads_out(tmp_path: Path) -> None:
    write_files(tmp_path, {"secret.jpg": JPEG})
    folder = write_files(tmp_path / "d", {"cat/1.jpg": JPEG})
    (folder / "cat" / "2.jpg").symlink_to(tmp_path / "secret.jpg")
    assert refusal(folder).code is Code.RECORDS_FORMAT


@pytest.mark.parametrize("value", ["secret!", "c2VjcmV0", "\u00e4", "/9j", ""])
def test_a_field_that_is_no_image(value: str) -> None:
    check_image_text(text(PNG), where="x")
    with pytest.raises(FormatError) as caught:
        check_image_text(value, where="line 3")
    assert caught.value.code is Code.RECORD_IMAGE
    assert "line 3" in caught.value.message
    assert "secret" not in caught.value.message


def test_grey_of_16_bits_is_refused_before_it_is_sealed() -> None:
    def png(depth: int, colour: int) -> bytes:
        return PNG[:8] + b"\0\0\0\x0dIHDR" + bytes(8) + bytes([depth, colour, 0, 0, 0])

    with pytest.raises(FormatError) as caught:
        image_text(png(16, 0), where="scan.png")
    assert caught.value.code is Code.RECORD_IMAGE
    assert "scan.png" in caught.value.message
    assert "8 bits" in caught.value.remedy
    for depth, colour in ((8, 0), (16, 2), (1, 0)):
        assert image_text(png(depth, colour), where="x")
