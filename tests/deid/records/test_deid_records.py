"""Cutting, reading and writing of records: what goes in comes out, whatever its form."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from sealtune.bundle.records import iter_records
from sealtune.core.limits import RECORD_BYTES_MAX
from sealtune.deid.records import (
    csv_table,
    decoding,
    json_lines,
    parquet,
    plain_text,
    source,
)
from sealtune.deid.records.leaves import as_before, leaves, rebuild
from sealtune.deid.records.shard import Shard
from sealtune.deid.records.source import check_output_name, open_source
from sealtune.deid.shard_work import shard_records
from sealtune.errors import Code, ConfigError, FormatError, StorageError


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 64 bytes, so that a small file has several."""
    monkeypatch.setattr(decoding, "_CHUNK", 16)
    for module in (csv_table, json_lines, parquet, plain_text):
        monkeypatch.setattr(module, "SHARD_BYTES", 64)
    monkeypatch.setattr(plain_text, "CONTEXT_BYTES", 16)


def _shards(path: Path, encoding: str = "utf-8") -> list[Shard]:
    with open_source(path, encoding=encoding) as opened:
        return list(opened.shards())


def _records(path: Path, encoding: str = "utf-8") -> list[dict[str, object]]:
    return [row for shard in _shards(path, encoding) for _, row in shard_records(shard)]


@pytest.mark.usefixtures("small_shards")
def test_lines_are_cut_whole_and_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": f"number {at} é\u2028", "at": at} for at in range(40)]
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    shards = _shards(path)
    assert len(shards) > 3
    assert b"".join(shard.data for shard in shards) == path.read_bytes()
    placed = [item for shard in shards for item in shard_records(shard)]
    assert [record for _, record in placed] == rows
    assert [place.number for place, _ in placed] == [1 + 2 * at for at in range(40)]


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_cut_between_rows(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    rows = [[str(at), f'two\nlines, "quoted"; {at}\t.'] for at in range(20)]
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([["id", "note"], *rows])
    path.write_bytes(b"\xef\xbb\xbf" + file.getvalue().encode())
    shards = _shards(path)
    assert len(shards) > 3
    placed = [item for shard in shards for item in shard_records(shard)]
    assert [list(record.values()) for _, record in placed] == rows
    assert [place.number for place, _ in placed] == [2 + 2 * at for at in range(20)]


def test_what_is_written_as_csv_is_what_sealing_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [{"a b": 'x,"\n', "c": ""}, {"a b": "", "c": None}]
    names = ("a b", "c")
    path.write_bytes(csv_table.write_header(names) + csv_table.write_rows(rows, header=names))
    assert [record for _, record in iter_records(path)] == [
        {"a b": 'x,"\n', "c": ""},
        {"a b": "", "c": ""},
    ]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a,a\n1,2\n", ":1"),
        (b"a,\n1,2\n", ":1"),
        (b"a,b\n1,2\n1\n", ":3"),
        (b'a,b\n1,2\n1,"x"y\n', ":3"),
        (b"a,b\n1,\xff\n", ":2"),
        (b"a,b\n1,\0\n", ":2"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, content: bytes, place: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        _records(path)
    assert caught.value.code is Code.RECORD_MALFORMED
    assert f"{path}{place}:" in caught.value.message


@pytest.mark.parametrize("line", [b'{"a": 1', b"[1]", b'{"a": "\xff"}', b'{"a": 1, "a": 2}'])
def test_a_bad_line_of_json_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": "b"}\n\n' + line + b"\n")
    with pytest.raises(FormatError) as caught:
        _records(path)
    assert caught.value.code is Code.RECORD_MALFORMED
    assert f"{path}:3" in caught.value.message


def test_an_endless_line_is_refused_before_all_of_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": "' + b"x" * (RECORD_BYTES_MAX + 2**20) + b'"}')
    with pytest.raises(FormatError) as caught, open_source(path) as opened:
        list(opened.shards())
    assert caught.value.code is Code.LIMIT_EXCEEDED
    assert caught.value.remedy
    assert opened.position <= RECORD_BYTES_MAX + 2**19


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_another_encoding_is_read_where_it_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"text": "Müller"}\n'.encode(encoding))
    assert _records(path, encoding) == [{"text": "Müller"}]
    with pytest.raises(FormatError) as caught:
        _records(path)
    assert "--encoding" in caught.value.remedy


def test_broken_characters_are_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"M\xfcller")
    with open_source(path, encoding="utf-8-replace") as opened:
        assert [shard.data.decode() for shard in opened.shards()] == ["M\ufffdller"]
        assert any("1 broken" in note for note in opened.notes)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_is_the_same_byte_for_byte(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.txt"
    text = f"{end}{end}one{end}two{end} \t{end}" + f"thrée words. {end}{end}" * 20 + "last"
    path.write_bytes(text.encode())
    again, numbers = "", []
    for shard in _shards(path):
        lead, paragraphs = plain_text.read_paragraphs(shard)
        again += lead
        for item in paragraphs:
            again += item.text[item.start : item.end] + item.gap
            numbers.append(item.place.number)
    assert again == text
    assert numbers == [3, *range(6, 46, 2), 46]


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("text", ["word " * 100, "ü" * 300, "A sentence. " * 40, "line\n" * 90])
def test_a_long_paragraph_is_worked_on_in_windows(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    shards = _shards(path)
    assert len(shards) > 4
    assert b"".join(shard.data for shard in shards) == text.encode()
    for shard, following in pairwise(shards):
        assert len(shard.data) <= 64
        assert following.data.startswith(shard.after[: len(following.data)])
        assert shard.data.endswith(following.before)
        shard.data.decode()


def test_numbers_null_and_nesting_stay_what_they_are() -> None:
    record = {"a": [1, 2.5, None, True, {"b": "x"}], "c": {"d": [["y"]]}, "e": []}
    found = list(leaves(record))
    assert [(leaf.name, leaf.value) for leaf in found] == [
        ("a", 1),
        ("a", 2.5),
        ("a.b", "x"),
        ("c.d", "y"),
    ]
    same = rebuild(record, iter([leaf.value for leaf in found]), lambda path: path[-1])
    assert same == record


def test_two_fields_that_get_one_name_are_kept_apart() -> None:
    made = rebuild({"a": 1, "b": 2, "c": 3}, iter([1, 2, 3]), lambda _path: "x")
    assert made == {"x": 1, "x_2": 2, "x_3": 3}


@pytest.mark.parametrize(
    ("text", "former", "expected"),
    [("12", 5, 12), ("012", 5, "012"), ("12", "5", "12"), ("x", 5, "x"), ("9" * 17, 5, "9" * 17)],
)
def test_a_number_stays_a_number_where_it_can(text: str, former: object, expected: object) -> None:
    assert as_before(text, former) == expected  # type: ignore[arg-type]


def test_an_unknown_suffix_and_a_wrong_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError) as refused:
        source.find_format(tmp_path / "a.docx")
    assert refused.value.code is Code.RECORDS_FORMAT
    with pytest.raises(ConfigError):
        check_output_name(tmp_path / "a.csv", source.find_format(tmp_path / "a.jsonl"))


def test_an_input_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    with pytest.raises(StorageError), open_source(path) as opened:
        list(opened.shards())
        path.write_text("ab")


@pytest.mark.usefixtures("small_shards")
def test_parquet_keeps_rows_and_types_and_drops_metadata(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    table = pyarrow.table(
        {
            "s": pyarrow.array([f"row {at}" for at in range(50)], pyarrow.large_string()),
            "n": pyarrow.array([*range(49), None], pyarrow.int32()),
            "l": pyarrow.array([[{"x": "y"}]] * 50),
            "d": pyarrow.array(["a", "b"] * 25).dictionary_encode(),
        }
    ).replace_schema_metadata({"pandas": "Dr. House"})
    pyarrow.parquet.write_table(table, path)
    with open_source(path) as opened:
        shards = list(opened.shards())
        assert any("metadata" in note for note in opened.notes)
    assert len(shards) > 1
    records = [row for shard in shards for _, row in shard_records(shard)]
    assert records == table.to_pylist()
    header = tuple(table.column_names)
    data, lost = parquet.write_table(records[:2], shard=shards[0], header=header)
    again = pyarrow.parquet.ParquetFile(io.BytesIO(data))
    assert not lost
    assert again.metadata.metadata is None
    assert again.schema_arrow.field("n").type == pyarrow.int32()
    assert b"House" not in data


def test_dates_and_times_of_parquet_become_text(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    moment = datetime(2019, 3, 4, 10, 15, 30, 5000, tzinfo=UTC)
    table = pyarrow.table(
        {
            "day": pyarrow.array([moment.date(), None], pyarrow.date32()),
            "at": pyarrow.array([moment, None], pyarrow.timestamp("ns", tz="UTC")),
            "seconds": pyarrow.array([moment, None], pyarrow.timestamp("s", tz="UTC")),
            "time": pyarrow.array([moment.time(), None], pyarrow.time64("us")),
            "days": pyarrow.array([[moment.date()], []], pyarrow.list_(pyarrow.date32())),
        }
    )
    pyarrow.parquet.write_table(table, path)
    (shard,) = _shards(path)
    first, second = (row for _, row in shard_records(shard))
    assert first["day"] == "2019-03-04"
    assert first["at"].startswith("2019-03-04 10:15:30.005")
    assert first["seconds"] == "2019-03-04 10:15:30.000Z"
    assert first["time"].startswith("10:15:30.005")
    assert first["days"] == ["2019-03-04"]
    assert not any(second.values())
    data, lost = parquet.write_table([first, second], shard=shard, header=table.column_names)
    assert not lost
    assert pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist() == [first, second]


def test_what_is_no_number_becomes_null_in_a_column_of_numbers(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"n": [1, 2, 3]}), path)
    rows = [{"n": "[SSN]"}, {"n": "7"}, {"n": 2**70}]
    data, lost = parquet.write_table(rows, shard=_shards(path)[0], header=("n",))
    assert lost == 2
    assert pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist() == [
        {"n": None},
        {"n": 7},
        {"n": None},
    ]


def test_damage_and_bytes_in_parquet_are_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"n": [b"x"]}), path)
    with pytest.raises(FormatError) as refused:
        _shards(path)
    assert refused.value.code is Code.RECORDS_FORMAT
    path.write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(FormatError) as damaged:
        _shards(path)
    assert damaged.value.code is Code.RECORDS_FORMAT
