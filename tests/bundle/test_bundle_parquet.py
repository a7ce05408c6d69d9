"""Parquet through pyarrow, which is optional."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealtune.bundle.records import iter_records
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError, StorageError

pyarrow = pytest.importorskip("pyarrow", reason="needs sealtune[parquet]")
from pyarrow import parquet  # noqa: E402


def write(path: Path, columns: dict[str, Any], schema: Any = None) -> Path:
    parquet.write_table(pyarrow.table(columns, schema=schema), path)
    return path


def refusal(path: Path) -> FormatError:
    with pytest.raises(FormatError) as caught:
        list(iter_records(path))
    return caught.value


def test_rows_become_records(tmp_path: Path) -> None:
    columns = {
        "text": ["a", None],
        "label": [1, 2],
        "score": [0.5, None],
        "flag": [True, False],
        "none": [None, None],
        "messages": [[{"role": "user", "content": "x"}], []],
        "class": pyarrow.array(["x", "y"]).dictionary_encode(),
    }
    found = list(iter_records(write(tmp_path / "d.parquet", columns)))
    assert [str(place) for place, _ in found] == [
        f"{tmp_path}/d.parquet: row 1",
        f"{tmp_path}/d.parquet: row 2",
    ]
    assert found[0][1]["messages"] == [{"role": "user", "content": "x"}]
    assert found[1][1] == {
        "text": None,
        "label": 2,
        "score": None,
        "flag": False,
        "none": None,
        "messages": [],
        "class": "y",
    }
    assert found[1][0].position == (tmp_path / "d.parquet").stat().st_size


@pytest.mark.parametrize(
    "column",
    [
        pyarrow.array([b"bytes"]),
        pyarrow.array([0], type=pyarrow.timestamp("s")),
        pyarrow.array([[b"bytes"]]),
        pyarrow.array([{"a": b"bytes"}]),
    ],
)
def test_a_column_that_json_cannot_spell_is_named(column: Any, tmp_path: Path) -> None:
    error = refusal(write(tmp_path / "d.parquet", {"text": ["a"], "odd": column}))
    assert error.code is Code.RECORDS_FORMAT
    assert "'odd'" in error.message


def test_fixed_size_lists_are_lists(tmp_path: Path) -> None:
    column = pyarrow.array([[1, 2]], type=pyarrow.list_(pyarrow.int8(), 2))
    ((_, record),) = iter_records(write(tmp_path / "d.parquet", {"a": column}))
    assert record == {"a": [1, 2]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, [1.0, float("nan")]])
def test_a_value_that_json_cannot_spell_is_named(value: Any, tmp_path: Path) -> None:
    fine = type(value)() if isinstance(value, list) else type(value)(0)
    error = refusal(write(tmp_path / "d.parquet", {"a": [fine, value]}))
    assert error.code is Code.RECORD_MALFORMED
    assert "row 2: " in error.message


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "d.parquet")
    assert refusal(tmp_path / "d.parquet").code is Code.RECORDS_FORMAT


def test_without_pyarrow_the_remedy_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "d.parquet", {"a": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError) as caught:
        list(iter_records(path))
    assert caught.value.code is Code.DEPENDENCY_MISSING
    assert caught.value.remedy.startswith("pip install ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        list(iter_records(tmp_path / "none.parquet"))
    assert caught.value.code is Code.FILE_MISSING


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_anywhere_gives_records_or_our_error(data: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "d.parquet", {"text": ["a" * 50, "b"], "label": [1, 2]})
    content = bytearray(path.read_bytes())
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
