"""Records from files: every refusal names file and line and quotes nothing of the content."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealtune.bundle import records as module
from sealtune.bundle.dataset import Labels, RecordFields, Task, record_check
from sealtune.bundle.records import Place, iter_records, parse_shard, record_line
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError, StorageError


def write(tmp_path: Path, name: str, data: bytes | str) -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    return [
        (str(place).removeprefix(f"{path.parent}/"), record) for place, record in iter_records(path)
    ]


def refusal(path: Path) -> FormatError:
    with pytest.raises(FormatError) as caught:
        list(iter_records(path))
    return caught.value


def test_json_lines(tmp_path: Path) -> None:
    text = '\ufeff{"text":"a"}\r\n\n  \n{"text":"\u2028ä"}'
    assert rows(write(tmp_path, "d.jsonl", text)) == [
        ("d.jsonl:1", {"text": "a"}),
        ("d.jsonl:4", {"text": "\u2028ä"}),
    ]


@pytest.mark.parametrize("name", ["d.json", "d.ndjson", "D.JSONL"])
def test_other_suffixes_of_json_lines(name: str, tmp_path: Path) -> None:
    assert len(rows(write(tmp_path, name, '{"a":1}\n'))) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"secret, no json",
        b'{"text": "secret"',
        b'["secret"]',
        b'"secret"',
        b'{"text": "secret", "text": "secret"}',
        b'{"text": NaN}',
        b'{"id": 12345678901234567890}',
        b'{"text": "\xff secret"}',
        b'{"text": "secret\0"}',
        b'{"a":' * 40 + b"1" + b"}" * 40,
    ],
)
def test_a_malformed_json_line_is_named_and_not_quoted(line: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, "d.jsonl", b'{"text":"fine"}\n\n' + line + b"\n")
    error = refusal(path)
    assert error.code is Code.RECORD_MALFORMED
    assert f"{path}:3: " in error.message
    assert "secret" not in error.message + error.remedy
    assert "line 1" not in error.message


def test_csv(tmp_path: Path) -> None:
    text = '\ufefflabel,text\r\n1,"a, ""b""\nc"\r\n\r\n2,d\r\n'
    assert rows(write(tmp_path, "d.csv", text)) == [
        ("d.csv:2", {"label": "1", "text": 'a, "b"\nc'}),
        ("d.csv:5", {"label": "2", "text": "d"}),
    ]


def test_csv_fields_larger_than_the_modules_limit(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    long = "x" * 300_000
    assert rows(write(tmp_path, "d.csv", f"text\n{long}\n"))[0][1] == {"text": long}
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a,a\n1,2\n", 1),
        (b"a,\n1,2\n", 1),
        (b"a,b\n1,2\n3\n", 3),
        (b"a,b\n1,2\n3,secret,5\n", 3),
        (b'a,b\n1,2\n3,"secret\n\n', 3),
        (b'a,b\n1,"2"secret\n', 2),
        (b"a,b\n1,\xff\n", 2),
        (b"a,b\n1,\0\n", 2),
        (b"a,b\r1,2\r", 1),
        (b"a\n1\n" + "ä".encode("utf-16"), 3),
    ],
)
def test_a_malformed_csv_line_is_named_and_not_quoted(
    data: bytes, line: int, tmp_path: Path
) -> None:
    path = write(tmp_path, "d.csv", data)
    error = refusal(path)
    assert error.code is Code.RECORD_MALFORMED
    assert f"{path}:{line}: " in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize("name", ["d.jsonl", "d.csv"])
def test_a_line_beyond_the_limit_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECORD_BYTES_MAX", 100)
    error = refusal(write(tmp_path, name, b'{"a":1}\n' + b"x" * 101))
    assert error.code is Code.LIMIT_EXCEEDED
    assert ":2: " in error.message


def test_a_csv_record_of_endless_lines_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECORD_BYTES_MAX", 100)
    error = refusal(write(tmp_path, "d.csv", b'a\n"' + b"line\n" * 50))
    assert error.code is Code.RECORD_MALFORMED


def test_unknown_suffixes_and_missing_files(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "d.txt", "a")).code is Code.RECORDS_FORMAT
    with pytest.raises(StorageError) as caught:
        list(iter_records(tmp_path / "none.jsonl"))
    assert caught.value.code is Code.FILE_MISSING


PLACE = Place(Path("d.jsonl"), "line", 3, 0)


def test_a_record_becomes_one_line_and_comes_back() -> None:
    record = {"text": "ä\n\u2028", "label": 1, "more": {"a": [None, True, 0.5]}}
    line = record_line(PLACE, record)
    assert line.count(b"\n") == 1
    assert parse_shard(line * 2, name="shard") == [record, record]


def test_a_record_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError) as caught:
        record_line(PLACE, json.loads('{"text": "\\ud800"}'))
    assert caught.value.code is Code.RECORD_MALFORMED
    assert "d.jsonl:3" in caught.value.message
    monkeypatch.setattr(module, "RECORD_BYTES_MAX", 10)
    with pytest.raises(FormatError) as caught:
        record_line(PLACE, {"text": "0123456789"})
    assert caught.value.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("data", [b'{"a":1}', b'{"a":1}\n\n', b"[]\n", b"\xff\n"])
def test_a_shard_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        parse_shard(data, name="shard-00000")
    assert caught.value.code is Code.RECORD_MALFORMED
    assert "shard-00000" in caught.value.message


def test_a_shard_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHARD_BYTES_MAX", 10)
    with pytest.raises(FormatError) as caught:
        parse_shard(b'{"a":"12345"}\n', name="shard-00000")
    assert caught.value.code is Code.LIMIT_EXCEEDED


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.binary(max_size=80) | st.text('a,"\r\n{}[]:1\0\\', max_size=60).map(str.encode),
    suffix=st.sampled_from([".jsonl", ".csv"]),
)
def test_any_bytes_give_records_or_our_error(data: bytes, suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"any{suffix}", data)
    try:
        for place, record in iter_records(path):
            assert parse_shard(record_line(place, record), name="shard") == [record]
    except SealtuneError as error:
        assert str(path) in error.message


def check(task: Task | None, record: Any, *, labels: Labels | None = None) -> None:
    run = record_check(task, fields=RecordFields(), labels=labels or Labels(None))
    run(PLACE, record)


@pytest.mark.parametrize(
    ("task", "record"),
    [
        (None, {}),
        (Task.CAUSAL_LM, {"text": "a"}),
        (Task.CAUSAL_LM, {"messages": [{"role": "assistant", "content": "a"}]}),
        (Task.TEXT_CLASSIFICATION, {"text": "a", "label": 0}),
        (Task.TEXT_CLASSIFICATION, {"text": "a", "label": "x", "more": 1}),
        (Task.CAUSAL_LM, {"prompt": "a", "completion": "b"}),
        (Task.CAUSAL_LM, {"prompt": "a", "text": "b"}),
        (Task.TOKEN_CLASSIFICATION, {"tokens": ["a", ""], "tags": ["x", "y"]}),
        (Task.TOKEN_CLASSIFICATION, {"tokens": ["a"], "tags": [3]}),
        (Task.IMAGE_CLASSIFICATION, {"image": "/9j/", "label": 0}),
    ],
)
def test_a_record_with_its_tasks_fields_is_taken(task: Task | None, record: Any) -> None:
    check(task, record)


@pytest.mark.parametrize(
    ("task", "record"),
    [
        (Task.CAUSAL_LM, {}),
        (Task.CAUSAL_LM, {"text": ""}),
        (Task.CAUSAL_LM, {"text": 7}),
        (Task.CAUSAL_LM, {"text": "a", "messages": []}),
        (Task.CAUSAL_LM, {"messages": []}),
        (Task.CAUSAL_LM, {"messages": "a"}),
        (Task.CAUSAL_LM, {"messages": 5}),
        (Task.CAUSAL_LM, {"messages": ["a"]}),
        (Task.CAUSAL_LM, {"messages": [{"role": "assistant"}]}),
        (Task.CAUSAL_LM, {"messages": [{"role": 1, "content": "a"}]}),
        (Task.CAUSAL_LM, {"messages": [{"role": "user", "content": "a"}]}),
        (Task.TEXT_CLASSIFICATION, {"label": 0}),
        (Task.TEXT_CLASSIFICATION, {"text": " ", "label": 0}),
        (Task.TEXT_CLASSIFICATION, {"text": "a"}),
        (Task.TEXT_CLASSIFICATION, {"text": "a", "label": None}),
        (Task.TEXT_CLASSIFICATION, {"text": "a", "label": ""}),
        (Task.TEXT_CLASSIFICATION, {"text": "a", "label": True}),
        (Task.TEXT_CLASSIFICATION, {"text": "a", "label": 1.0}),
        (Task.TEXT_CLASSIFICATION, {"text": "a", "label": ["x"]}),
        (Task.CAUSAL_LM, {"prompt": "a"}),
        (Task.CAUSAL_LM, {"completion": "a"}),
        (Task.CAUSAL_LM, {"prompt": "a", "completion": ""}),
        (Task.CAUSAL_LM, {"prompt": 1, "completion": "a"}),
        (Task.CAUSAL_LM, {"prompt": "a", "completion": "b", "text": "c"}),
        (Task.TOKEN_CLASSIFICATION, {"tokens": ["a"]}),
        (Task.TOKEN_CLASSIFICATION, {"tags": ["x"]}),
        (Task.TOKEN_CLASSIFICATION, {"tokens": [], "tags": []}),
        (Task.TOKEN_CLASSIFICATION, {"tokens": "a", "tags": ["x"]}),
        (Task.TOKEN_CLASSIFICATION, {"tokens": ["a"], "tags": ["x", "y"]}),
        (Task.TOKEN_CLASSIFICATION, {"tokens": ["a"], "tags": "x"}),
        (Task.TOKEN_CLASSIFICATION, {"tokens": ["a", 1], "tags": ["x", "y"]}),
        (Task.TOKEN_CLASSIFICATION, {"tokens": ["a"], "tags": [None]}),
        (Task.IMAGE_CLASSIFICATION, {"label": 0}),
        (Task.IMAGE_CLASSIFICATION, {"image": {"path": "a.png"}, "label": 0}),
        (Task.IMAGE_CLASSIFICATION, {"image": "/9j/"}),
    ],
)
def test_a_record_without_its_tasks_fields_is_refused(task: Task, record: Any) -> None:
    with pytest.raises(FormatError) as caught:
        check(task, record)
    assert caught.value.code is Code.RECORD_FIELD
    assert caught.value.message.startswith("d.jsonl:3: ")


def labelled(names: list[str] | None, *labels: Any) -> list[str]:
    seen = Labels(names)
    for label in labels:
        seen.see(PLACE, label)
    return seen.names()


def test_labels_are_given_or_collected() -> None:
    assert labelled(["b", "a"], "a", "b") == ["b", "a"]
    assert labelled(["b", "a"], 0, 1) == ["b", "a"]
    assert labelled(None, "b", "a", "b") == ["a", "b"]
    assert labelled(None, 2, 0) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("names", "label"),
    [(["a", "b"], "c"), (["a", "b"], 2), (["a", "b"], -1), (None, -1), (None, 10_000)],
)
def test_a_label_out_of_range_is_refused_with_its_line(names: Any, label: Any) -> None:
    with pytest.raises(FormatError) as caught:
        labelled(names, label)
    assert caught.value.code is Code.LABEL_OUT_OF_RANGE
    assert caught.value.message.startswith("d.jsonl:3: ")


def test_labels_that_are_now_names_now_numbers_are_refused() -> None:
    for pair in (("a", 1), (1, "a")):
        with pytest.raises(FormatError) as caught:
            labelled(None, *pair)
        assert caught.value.code is Code.RECORD_FIELD


def test_more_labels_than_allowed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealtune.bundle.dataset.LABELS_MAX", 2)
    with pytest.raises(FormatError) as caught:
        labelled(None, "a", "b", "c")
    assert caught.value.code is Code.LABEL_OUT_OF_RANGE


def test_labels_on_no_record_are_known() -> None:
    for names, labels, unseen in (
        (["a", "b", "c"], ["b"], ["a", "c"]),
        (["a", "b", "c"], [2, 0], ["b"]),
        (None, [3, 1], ["0", "2"]),
        (None, ["b", "a"], []),
    ):
        seen = Labels(names)
        for label in labels:
            seen.see(PLACE, label)
        assert seen.unseen() == unseen


def test_an_image_of_another_format_is_refused_with_its_line() -> None:
    with pytest.raises(FormatError) as caught:
        check(Task.IMAGE_CLASSIFICATION, {"image": "R0lGODlh", "label": 0})
    assert caught.value.code is Code.RECORD_IMAGE
    assert caught.value.message.startswith("d.jsonl:3: ")


@pytest.mark.parametrize("names", [[], [""], ["a", "a"], ["a"] * 10_001])
def test_unusable_label_lists_are_refused(names: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Labels(names)
    assert caught.value.code is Code.CONFIG_INVALID
