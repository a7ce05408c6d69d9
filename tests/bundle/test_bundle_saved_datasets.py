"""What `datasets` saves to disk: Arrow streams, class labels by name, images with their bytes."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealtune.bundle.columns import Columns
from sealtune.bundle.records import iter_records
from sealtune.bundle.sources import find_dataset
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError

pyarrow = pytest.importorskip("pyarrow", reason="needs sealtune[parquet]")
from dataset_folders import JPEG, PNG, save_splits, save_to_disk, table  # noqa: E402
from pyarrow import parquet  # noqa: E402

CLASS = {"_type": "ClassLabel", "names": ["O", "PER"]}


def records(path: Path, split: str | None = None) -> list[dict[str, Any]]:
    return [record for _, record in find_dataset(path, split=split).read()]


def refusal(path: Path, split: str | None = None) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        records(path, split)
    assert str(path) in caught.value.message
    return caught.value


def test_parts_are_read_in_their_order(tmp_path: Path) -> None:
    parts = [table({"text": ["a", "b", "c"]}), table({"text": ["d"]})]
    folder = save_to_disk(tmp_path / "d", parts)
    assert [record["text"] for record in records(folder)] == ["a", "b", "c", "d"]
    dataset = find_dataset(folder, split="train")
    places = [place for place, _ in dataset.read()]
    assert str(places[2]).endswith("data-00000-of-00002.arrow: row 3")
    first = (folder / "data-00000-of-00002.arrow").stat().st_size
    assert places[2].position <= first < places[-1].position <= dataset.bytes


def test_splits(tmp_path: Path) -> None:
    splits = {"train": [table({"text": ["a"]})], "test": [table({"text": ["b"]})]}
    folder = save_splits(tmp_path / "d", splits)
    assert records(folder, "test") == [{"text": "b"}]
    assert isinstance(refusal(folder), ConfigError)
    assert isinstance(refusal(folder, "dev"), ConfigError)
    assert isinstance(refusal(folder / "test", "train"), ConfigError)
    assert records(folder / "test", "test") == [{"text": "b"}]


@pytest.mark.parametrize("kind", ["Sequence", "List"])
def test_class_labels_become_names(kind: str, tmp_path: Path) -> None:
    columns = {"label": [1, 0, None], "tags": [[0, 1], [], None], "other": [5, 6, 7]}
    features = {"label": CLASS, "tags": {"_type": kind, "feature": CLASS}, "other": {}}
    folder = save_to_disk(tmp_path / "d", [table(columns, features)])
    assert records(folder) == [
        {"label": "PER", "tags": ["O", "PER"], "other": 5},
        {"label": "O", "tags": [], "other": 6},
        {"label": None, "tags": None, "other": 7},
    ]


def test_class_labels_in_a_sequence_of_objects(tmp_path: Path) -> None:
    columns = {"items": [{"tag": [1, 0], "word": ["a", "b"]}]}
    features = {"items": {"_type": "Sequence", "feature": {"tag": CLASS, "word": {}}}}
    folder = save_to_disk(tmp_path / "d", [table(columns, features)])
    assert records(folder) == [{"items": {"tag": ["PER", "O"], "word": ["a", "b"]}}]


@pytest.mark.parametrize("value", [-1, 2])
def test_a_class_label_without_a_name_is_refused(value: int, tmp_path: Path) -> None:
    # -1 is how a set says "not labelled"; in Python it would be the last name.
    folder = save_to_disk(tmp_path / "d", [table({"label": [0, value]}, {"label": CLASS})])
    error = refusal(folder)
    assert error.code is Code.LABEL_OUT_OF_RANGE
    assert "row 2" in error.message


@pytest.mark.parametrize("names", [None, [], "OP", [1, 2], [""], {"a": 1}])
def test_unusable_names_leave_the_number(names: Any, tmp_path: Path) -> None:
    features = {"label": {"_type": "ClassLabel", "names": names}}
    folder = save_to_disk(tmp_path / "d", [table({"label": [1]}, features)])
    assert records(folder) == [{"label": 1}]


def test_images_travel_as_base64(tmp_path: Path) -> None:
    columns = {
        "image": [{"bytes": PNG, "path": "1.png"}, {"bytes": JPEG, "path": None}, None],
        "raw": [JPEG, PNG, None],
    }
    features = {"image": {"_type": "Image"}, "raw": {"_type": "Image"}}
    made = table(columns, features)
    folder = save_to_disk(tmp_path / "d", [made])
    parquet.write_table(made, tmp_path / "d.parquet")
    for path in (folder, tmp_path / "d.parquet"):
        found = records(path)
        assert [base64.b64decode(record["image"]) for record in found[:2]] == [PNG, JPEG]
        assert [base64.b64decode(record["raw"]) for record in found[:2]] == [JPEG, PNG]
        assert found[2] == {"image": None, "raw": None}


@pytest.mark.parametrize("image", [{"bytes": None, "path": "1.png"}, {"bytes": b"GIF89a"}])
def test_what_is_no_image_is_refused(image: dict[str, Any], tmp_path: Path) -> None:
    column = pyarrow.array(
        [image], type=pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    )
    error = refusal(save_to_disk(tmp_path / "d", [table({"image": column})]))
    assert error.code is Code.RECORD_IMAGE
    assert "row 1" in error.message


@pytest.mark.parametrize(
    "state",
    [
        "{",
        "[]",
        "{}",
        '{"_data_files": []}',
        '{"_data_files": ["data-00000-of-00001.arrow"]}',
        '{"_data_files": [{"filename": "../secret.arrow"}]}',
        '{"_data_files": [{"filename": "nothing.arrow"}]}',
        '{"_data_files": [{"filename": "sub/data.arrow"}]}',
        '{"_data_files": [{"filename": 1}]}',
        '{"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_indices_data_files": [1]}',
    ],
)
def test_a_damaged_description(state: str, tmp_path: Path) -> None:
    folder = save_to_disk(tmp_path / "d", [table({"text": ["secret"]})])
    (folder / "sub").mkdir()
    for copy in (tmp_path / "secret.arrow", folder / "sub" / "data.arrow"):
        copy.write_bytes((folder / "data-00000-of-00001.arrow").read_bytes())
    (folder / "state.json").write_text(state)
    assert refusal(folder).code is Code.RECORDS_FORMAT


@pytest.mark.parametrize("splits", [{}, {"splits": "train"}, {"splits": [1]}, {"splits": [".."]}])
def test_damaged_splits(splits: dict[str, Any], tmp_path: Path) -> None:
    folder = save_splits(tmp_path / "d", {"train": [table({"text": ["a"]})]})
    (folder / "dataset_dict.json").write_text(json.dumps(splits))
    assert refusal(folder).code is Code.RECORDS_FORMAT


def test_metadata_that_is_no_json_is_refused(tmp_path: Path) -> None:
    made = table({"text": ["a"]}).replace_schema_metadata({"huggingface": "{"})
    assert isinstance(refusal(save_to_disk(tmp_path / "d", [made])), FormatError)
    other = table({"text": ["a"]}).replace_schema_metadata({"huggingface": "[]"})
    assert records(save_to_disk(tmp_path / "e", [other])) == [{"text": "a"}]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_anywhere_gives_records_or_our_error(data: Any, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    path = folder / "data-00000-of-00001.arrow"
    if not folder.exists():
        columns = {
            "text": ["a" * 50, "b"],
            "tags": [[1, 0], []],
            "image": [{"bytes": PNG, "path": ""}] * 2,
        }
        save_to_disk(folder, [table(columns, {"tags": {"_type": "List", "feature": CLASS}})])
        (tmp_path / "whole").write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "whole").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        list(iter_records(path))
    except SealtuneError as error:
        assert str(path) in error.message


@pytest.mark.parametrize("feature", [["x"], "x", 7, {"tag": "x"}])
def test_a_sequence_of_no_objects_leaves_the_values(feature: Any, tmp_path: Path) -> None:
    columns = {"items": [{"tag": [1, 0]}]}
    features = {"items": {"_type": "Sequence", "feature": feature}}
    folder = save_to_disk(tmp_path / "d", [table(columns, features)])
    assert records(folder) == [{"items": {"tag": [1, 0]}}]


def test_types_that_nest_without_end_are_refused(tmp_path: Path) -> None:
    def nested(depth: int) -> Any:
        kind = pyarrow.int64()
        for _ in range(depth):
            kind = pyarrow.list_(kind)
        return pyarrow.table({"a": pyarrow.array([None], kind)})

    assert refusal(save_to_disk(tmp_path / "deep", [nested(40)])).code is Code.RECORDS_FORMAT
    with pytest.raises(FormatError):  # deeper than pyarrow writes: Python would stop at 1,000
        Columns(nested(3_000).schema, source="x")
    assert records(save_to_disk(tmp_path / "d", [nested(20)])) == [{"a": None}]


def test_offsets_behind_the_texts_are_refused(tmp_path: Path) -> None:
    folder = save_to_disk(tmp_path / "d", [table({"text": ["abc", "de"]})])
    path = folder / "data-00000-of-00001.arrow"
    offsets = struct.pack("<iii", 0, 3, 5)
    assert path.read_bytes().count(offsets) == 1
    # One byte more than there is: of memory that is not the file's.
    path.write_bytes(path.read_bytes().replace(offsets, struct.pack("<iii", 0, 3, 6)))
    assert isinstance(refusal(folder), FormatError)
