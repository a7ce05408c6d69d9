"""How the frozen weights of a block lie in one buffer, and how they get there.

A part is what one projection needs: matrices that share an input lie below each other, so that
their product is one. Buffers are filled straight from the WeightSource; only a stored type that
differs from the compute type goes through a tensor of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from sealtune.errors import Code, FormatError
from sealtune.training.sources import TensorInfo, WeightSource

_ALIGNMENT = 64  # bytes: a cache line, and what vector instructions like
# As safetensors spells them; packed and 8-bit floats have no place in a model to be trained.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Stored tensors that lie below each other as one: `name` in the block, `shape` together."""

    name: str
    stored: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLayout:
    """The parts of one block, one after the other."""

    parts: tuple[Part, ...]
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        """The size of the buffer that holds the block."""
        return sum(self._stride(part) for part in self.parts)

    def views(self, buffer: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the parts by name as views of `buffer` (bytes, `nbytes` of them at least)."""
        found, start = {}, 0
        for part in self.parts:
            size = math.prod(part.shape) * self.dtype.itemsize
            found[part.name] = buffer[start : start + size].view(self.dtype).view(part.shape)
            start += self._stride(part)
        return found

    def _stride(self, part: Part) -> int:
        size: int = math.prod(part.shape) * self.dtype.itemsize
        return -(-size // _ALIGNMENT) * _ALIGNMENT


def fill(
    views: Mapping[str, torch.Tensor], parts: Iterable[Part], *, weights: WeightSource
) -> None:
    """Read each of `parts` into its view.

    Raises:
        VerificationError: a byte of it was changed.
    """
    for part in parts:
        start = 0
        for name in part.stored:
            info = weights.tensors[name]
            rows = info.shape[0]
            read_tensor(name, views[part.name][start : start + rows], weights=weights)
            start += rows


def read_tensor(name: str, into: torch.Tensor, *, weights: WeightSource) -> None:
    """Read the tensor `name` into `into`, which is contiguous and has its shape, and cast it.

    Raises:
        FormatError: `MODEL_MALFORMED`: its type is none that can be trained.
    """
    info = weights.tensors[name]
    dtype = stored_dtype(name, info)
    if dtype == into.dtype and into.device.type == "cpu":
        weights.read_into(name, bytes_of(into))
        return
    value = torch.empty(info.shape, dtype=dtype)
    weights.read_into(name, bytes_of(value))
    into.copy_(value.view(into.shape))


def stored_dtype(name: str, info: TensorInfo) -> torch.dtype:
    """Return the torch type of a stored tensor.

    Raises:
        FormatError: `MODEL_MALFORMED`.
    """
    dtype = DTYPES.get(info.dtype)
    if dtype is None:
        raise FormatError(
            Code.MODEL_MALFORMED,
            f"{name} has type {info.dtype}",
            remedy=f"store the weights as one of {', '.join(DTYPES)}",
        )
    return dtype


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return the memory of a contiguous CPU `tensor` as bytes that can be written to."""
    return memoryview(tensor.view(-1).view(torch.uint8).numpy())
