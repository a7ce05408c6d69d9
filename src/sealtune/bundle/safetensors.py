"""Reads the header of a safetensors file over mapped memory, and checks what its tensors hold.

Own reader, because sealing must not depend on the training stack and has to hand the stored bytes
on unconverted. Source: https://huggingface.co/docs/safetensors (format).
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from sealtune.bundle.dtypes import DTYPES
from sealtune.core.canonical import parse_json
from sealtune.core.files import storage_errors
from sealtune.core.limits import (
    MIB,
    OWNED_JSON_MARKS_MAX,
    SAFETENSORS_HEADER_BYTES_MAX,
    TENSOR_RANK_MAX,
)
from sealtune.errors import Code, FormatError

_LENGTH = struct.Struct("<Q")
_STEP_BYTES = MIB // 2  # a multiple of every element size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor of a file; `data` is a view of the mapped file, in no memory of its own."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    data: memoryview


def read_safetensors(path: Path) -> tuple[Tensor, ...]:
    """Return the tensors of the file at `path` in the order of their bytes.

    Raises:
        FormatError: the header breaks a rule of the format, or tensors overlap, leave a gap or end
            elsewhere than the file.
        StorageError: the file is missing or cannot be read.
    """
    view = _map(path)
    if len(view) < _LENGTH.size:
        raise _malformed(path, "too short to be safetensors")
    (length,) = _LENGTH.unpack(view[: _LENGTH.size])
    if length > min(SAFETENSORS_HEADER_BYTES_MAX, len(view) - _LENGTH.size):
        raise _malformed(path, "the header is longer than the file or than allowed")
    data = view[_LENGTH.size + length :]
    rows = parse_json(
        bytes(view[_LENGTH.size : _LENGTH.size + length]),
        limit=length,
        marks=OWNED_JSON_MARKS_MAX,
        what=f"{path}: header",
    )
    if not isinstance(rows, dict):
        raise _malformed(path, "the header is no object")
    rows.pop("__metadata__", None)
    tensors = [_tensor(path, name, row, data) for name, row in rows.items()]
    tensors.sort(key=lambda tensor: (tensor.start, len(tensor.data)))
    end = 0
    for tensor in tensors:
        # Overlapping tensors would be sealed twice; bytes in a gap would be lost without a word.
        if tensor.start != end:
            raise _malformed(path, f"tensor {tensor.name[:80]!r} overlaps another or leaves a gap")
        end += len(tensor.data)
    if end != len(data):
        raise _malformed(path, "cut, or longer than its tensors")
    return tuple(tensors)


def finite_pieces(tensor: Tensor, *, path: Path) -> Iterator[memoryview]:
    """Yield the tensor's bytes in pieces, each once it is known to hold no NaN and no infinity.

    Raises:
        FormatError: a piece holds one.
    """
    dtype = DTYPES[tensor.dtype]
    for start in range(0, len(tensor.data), _STEP_BYTES):
        piece = tensor.data[start : start + _STEP_BYTES]
        if not dtype.all_finite(piece):
            message = f"{path}: tensor {tensor.name[:80]!r} holds NaN or infinity"
            remedy = "the weights are damaged: take an earlier training checkpoint of the model"
            raise FormatError(Code.TENSOR_NOT_FINITE, message, remedy=remedy)
        yield piece


def safetensors_header(rows: dict[str, dict[str, Any]]) -> bytes:
    """Return length and header, padded to 8 bytes, of a file with the tensors `rows`."""
    text = json.dumps({"__metadata__": {"format": "pt"}, **rows}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return _LENGTH.pack(len(text)) + text


def _map(path: Path) -> memoryview:
    with storage_errors(path), path.open("rb") as file:
        if path.stat().st_size == 0:
            raise _malformed(path, "empty")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _tensor(path: Path, name: str, row: Any, data: memoryview) -> Tensor:
    if not isinstance(row, dict) or row.keys() != {"dtype", "shape", "data_offsets"}:
        raise _malformed(path, f"tensor {name[:80]!r} has not exactly dtype, shape, data_offsets")
    dtype, shape, offsets = row["dtype"], row["shape"], row["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _malformed(path, f"tensor {name[:80]!r} has an unknown dtype")
    if not _naturals(shape) or len(shape) > TENSOR_RANK_MAX:
        raise _malformed(path, f"tensor {name[:80]!r} has no proper shape")
    if not _naturals(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= len(data):
        raise _malformed(path, f"tensor {name[:80]!r} lies outside the file")
    start, end = offsets
    if prod(shape) * DTYPES[dtype].size != end - start:
        raise _malformed(path, f"tensor {name[:80]!r}: shape and dtype do not give its length")
    return Tensor(name=name, dtype=dtype, shape=tuple(shape), start=start, data=data[start:end])


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _malformed(path: Path, reason: str) -> FormatError:
    return FormatError(Code.MODEL_MALFORMED, f"{path}: {reason}")
