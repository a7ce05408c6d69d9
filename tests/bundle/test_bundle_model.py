"""Model folders and safetensors files: what is sealed, what is refused and with which remedy."""

from __future__ import annotations

import json
import shlex
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealtune.bundle.dtypes import DTYPES
from sealtune.bundle.model import read_weights, survey_model
from sealtune.bundle.safetensors import (
    Tensor,
    finite_pieces,
    read_safetensors,
    safetensors_header,
)
from sealtune.errors import Code, FormatError, SealtuneError, StorageError

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def safetensors(path: Path, header: Any, data: bytes = bytes(8)) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def model(folder: Path, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    safetensors(folder / "model.safetensors", {"a": F32})
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def malformed(path: Path) -> str:
    with pytest.raises(FormatError) as caught:
        read_safetensors(path)
    assert caught.value.code in (Code.MODEL_MALFORMED, Code.JSON_MALFORMED)
    assert str(path) in caught.value.message
    return caught.value.message


def test_tensors_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "b": {"dtype": "U8", "shape": [2, 1], "data_offsets": [8, 10]},
        "empty": {"dtype": "F16", "shape": [0, 7], "data_offsets": [8, 8]},
        "a": F32,
        "scalar": {"dtype": "BOOL", "shape": [], "data_offsets": [10, 11]},
    }
    path = safetensors(tmp_path / "m.safetensors", header, bytes(range(11)))
    tensors = read_safetensors(path)
    assert [tensor.name for tensor in tensors] == ["a", "empty", "b", "scalar"]
    assert [bytes(tensor.data) for tensor in tensors] == [
        bytes(range(8)),
        b"",
        b"\x08\x09",
        b"\x0a",
    ]


def test_the_header_that_we_write_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors_header({"a": F32}) + bytes(8))
    (tensor,) = read_safetensors(path)
    assert (tensor.name, tensor.dtype, tensor.shape) == ("a", "F32", (2,))
    assert len(safetensors_header({"a": F32})) % 8 == 0


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (b"not json", bytes(8)),
        ([], bytes(8)),
        ({"a": []}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
        ({"a": F32 | {"more": 1}}, bytes(8)),
        ({"a": F32 | {"dtype": "F31"}}, bytes(8)),
        ({"a": F32 | {"dtype": ["F32"]}}, bytes(8)),
        ({"a": F32 | {"shape": [2.0]}}, bytes(8)),
        ({"a": F32 | {"shape": [-2]}}, bytes(8)),
        ({"a": F32 | {"shape": 2}}, bytes(8)),
        ({"a": F32 | {"shape": [1] * 16 + [2]}}, bytes(8)),
        ({"a": F32 | {"shape": [3]}}, bytes(8)),
        ({"a": F32 | {"data_offsets": [0]}}, bytes(8)),
        ({"a": F32 | {"data_offsets": [8, 0]}}, bytes(8)),
        ({"a": F32 | {"data_offsets": [0, "8"]}}, bytes(8)),
        ({"a": F32}, bytes(7)),
        ({"a": F32}, bytes(9)),
        ({"a": F32 | {"data_offsets": [1, 9]}}, bytes(9)),
        ({"a": F32, "b": F32}, bytes(8)),
        ({"a": F32, "b": F32}, bytes(16)),
        ({"a": F32, "b": F32 | {"data_offsets": [4, 12]}}, bytes(12)),
        ({"a": F32, "b": F32 | {"data_offsets": [9, 17]}}, bytes(17)),
        (b'{"a": 1, "a": 2}', bytes(8)),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(header: Any, data: bytes, tmp_path: Path) -> None:
    malformed(safetensors(tmp_path / "m.safetensors", header, data))


@pytest.mark.parametrize(
    "data", [b"", bytes(7), struct.pack("<Q", 2**63), struct.pack("<Q", 3) + b"{}"]
)
def test_a_file_too_short_for_its_header_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    malformed(path)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.binary(max_size=60)
    | st.binary(max_size=40).map(lambda b: struct.pack("<Q", 12) + b'{"a":{"dtype' + b)
)
def test_any_bytes_raise_only_our_errors(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any.safetensors"
    path.write_bytes(data)
    try:
        read_safetensors(path)
    except SealtuneError:
        pass


def tensor_of(dtype: str, data: bytes) -> Tensor:
    return Tensor(name="w", dtype=dtype, shape=(1,), start=0, data=memoryview(data))


@pytest.mark.parametrize(
    ("dtype", "patterns"),
    [
        ("F64", [struct.pack("<d", value) for value in (np.nan, np.inf, -np.inf)]),
        ("F32", [struct.pack("<f", value) for value in (np.nan, np.inf, -np.inf)]),
        ("C64", [struct.pack("<2f", 0, np.nan)]),
        ("F16", [struct.pack("<e", value) for value in (np.nan, np.inf, -np.inf)]),
        ("BF16", [b"\x80\x7f", b"\x80\xff", b"\xc0\x7f"]),
        ("F8_E5M2", [b"\x7c", b"\xfc", b"\x7f"]),
        ("F8_E4M3", [b"\x7f", b"\xff"]),
        ("F8_E8M0", [b"\xff"]),
    ],
)
def test_a_number_that_is_not_finite_is_refused(dtype: str, patterns: list[bytes]) -> None:
    step = 2**19
    for pattern in patterns:
        for at in (0, step - len(pattern), step, step + 64):
            data = bytearray(step + 128)
            data[at : at + len(pattern)] = pattern
            with pytest.raises(FormatError) as caught:
                list(finite_pieces(tensor_of(dtype, bytes(data)), path=Path("m.safetensors")))
            assert caught.value.code is Code.TENSOR_NOT_FINITE
            assert "'w'" in caught.value.message


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("F64", struct.pack("<d", np.finfo("f8").max)),
        ("F32", struct.pack("<f", -np.finfo("f4").max)),
        ("F16", struct.pack("<e", 65504)),
        ("BF16", b"\x7f\xff"),
        ("F8_E5M2", b"\x7b"),
        ("F8_E4M3", b"\x7e"),
        ("F8_E8M0", b"\xfe"),
        ("I32", b"\xff" * 4),
        ("U8", b"\xff"),
    ],
)
def test_the_largest_finite_number_is_taken(dtype: str, data: bytes) -> None:
    assert b"".join(finite_pieces(tensor_of(dtype, data), path=Path("m"))) == data


def test_element_sizes_divide_the_step() -> None:
    assert all(2**19 % dtype.size == 0 for dtype in DTYPES.values())


def test_a_folder_is_surveyed(tmp_path: Path) -> None:
    folder = model(
        tmp_path / "m",
        tokenizer__json="{}",
        modeling_custom__py="import os",
        pytorch_model__bin="",
        notes__txt="",
        __hidden="",
    )
    (folder / "1_Pooling").mkdir()
    survey = survey_model(folder)
    assert [path.name for path in survey.weights] == ["model.safetensors"]
    assert [path.name for path in survey.files] == ["config.json", "tokenizer.json"]
    assert survey.notes == (
        "not sealed: folder 1_Pooling",
        "not sealed: modeling_custom.py (code never runs in the enclave)",
        "not sealed: notes.txt",
        "not sealed: pytorch_model.bin (a pickle)",
    )


def refusal(folder: Path) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read_weights(survey_model(folder))
    return caught.value


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(StorageError) as caught:
            survey_model(tmp_path / name)
        assert caught.value.code is Code.FILE_MISSING


def test_a_folder_without_weights(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    assert refusal(folder).code is Code.MODEL_NO_WEIGHTS
    safetensors(folder / "model.safetensors", {}, b"")
    assert refusal(folder).code is Code.MODEL_NO_WEIGHTS


@pytest.mark.parametrize("config", [None, "no json", "[]", '{"a":' * 100_000])
def test_a_folder_without_a_proper_configuration(config: str | None, tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(config)
    error = refusal(folder)
    assert error.code is Code.MODEL_MALFORMED
    assert "config.json" in error.message


@pytest.mark.parametrize("name", ["pytorch_model.bin", "m.pt", "m.pth", "m.ckpt", "m.pkl"])
def test_pickles_are_refused_with_a_command(name: str, tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / name)
    error = refusal(folder)
    assert error.code is Code.MODEL_PICKLE
    assert name in error.message
    assert "python -c " in error.remedy


def test_the_conversion_command_converts(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs sealtune[train]")
    folder = model(tmp_path / "my model")
    (folder / "model.safetensors").unlink()
    shared = torch.arange(4.0)
    torch.save({"a": shared, "tied": shared}, folder / "pytorch_model-1.bin")
    torch.save({"b": torch.ones(2, 2).T}, folder / "pytorch_model-2.bin")
    command = refusal(folder).remedy.partition("on this machine: ")[2]
    subprocess.run([sys.executable, *shlex.split(command)[1:]], check=True, timeout=60)
    tensors = read_weights(survey_model(folder))
    assert {tensor.name for _, tensor in tensors} == {"a", "b", "tied"}


def sharded(folder: Path, **index: Any) -> Path:
    model(folder)
    (folder / "model.safetensors").unlink()
    safetensors(folder / "m-1.safetensors", {"a": F32})
    safetensors(folder / "m-2.safetensors", {"b": F32})
    mapping = {"a": "m-1.safetensors", "b": "m-2.safetensors"}
    value = {"weight_map": mapping} | index
    (folder / "model.safetensors.index.json").write_text(json.dumps(value))
    return folder


def test_shards_with_an_index(tmp_path: Path) -> None:
    survey = survey_model(sharded(tmp_path / "m"))
    assert [tensor.name for _, tensor in read_weights(survey)] == ["a", "b"]
    assert survey.notes == ()


def test_one_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    mapping = {"c": "m-1.safetensors", "b": "m-2.safetensors"}
    folder = sharded(tmp_path / "m", weight_map=mapping)
    both = {"b": F32, "c": F32 | {"data_offsets": [8, 16]}}
    safetensors(folder / "m-1.safetensors", both, bytes(16))
    assert refusal(folder).code is Code.MODEL_MALFORMED


def test_a_shard_that_the_index_does_not_name_is_noted(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "m", weight_map={"a": "m-1.safetensors"})
    assert survey_model(folder).notes == ("not sealed: m-2.safetensors",)


def test_one_file_of_another_name_needs_no_index(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert len(read_weights(survey_model(folder))) == 1


@pytest.mark.parametrize(
    "index",
    [
        {"weight_map": {}},
        {"weight_map": []},
        {"weight_map": ["m-1.safetensors"]},
        {"weight_map": {"a": 1}},
        {"weight_map": {"a": "m-1.safetensors", "b": "m-1.safetensors"}},
        {"weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors"}},
        {"weight_map": {"a": "../x.safetensors"}},
        {"weight_map": {"a": "config.json"}},
    ],
)
def test_an_index_that_does_not_fit_is_refused(index: Any, tmp_path: Path) -> None:
    assert refusal(sharded(tmp_path / "m", **index)).code is Code.MODEL_MALFORMED


def test_shards_that_are_incomplete_are_refused(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "m")
    (folder / "m-2.safetensors").unlink()
    error = refusal(folder)
    assert error.code is Code.MODEL_NO_WEIGHTS
    assert "m-2.safetensors" in error.message
    folder = sharded(tmp_path / "n")
    (folder / "model.safetensors.index.json").unlink()
    assert refusal(folder).code is Code.MODEL_MALFORMED
    folder = sharded(tmp_path / "o")
    safetensors(folder / "m-2.safetensors", {"a": F32})
    assert refusal(folder).code is Code.MODEL_MALFORMED


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "model.safetensors.index.json"]
)
def test_a_link_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    folder = sharded(tmp_path / "m") if "index" in name else model(tmp_path / "m")
    outside = tmp_path / "outside"
    outside.write_bytes((folder / name).read_bytes() if (folder / name).exists() else b"{}")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    error = refusal(folder)
    assert error.code is Code.MODEL_MALFORMED
    assert "cp -rL" in error.remedy
    inside = folder / "inside"
    outside.rename(inside)
    (folder / name).unlink()
    (folder / name).symlink_to("inside")
    read_weights(survey_model(folder))
