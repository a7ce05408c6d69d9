"""Random weights of a true shape as a Hugging Face folder, and a source that reads such folders.

Written once, tensor by tensor and in pieces, so that a model larger than memory can be made; the
same seed gives the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from sealtune.core.limits import GIB
from sealtune.testing.bench.shapes import Shape, tensor_shapes
from sealtune.testing.bench.tokenizer import tokenizer_files
from sealtune.training.sources import TensorInfo

_SPREAD: Final = 0.02  # the initialization of these models
_SHARD_BYTES: Final = 4 * GIB
_PIECE: Final = 2**22  # values drawn at once: 16 MiB
_BF16_BYTES: Final = 2
_WIDTHS: Final = {"BF16": 2, "F16": 2, "F32": 4, "I64": 8}
_ONE: Final = 0x3F80  # 1.0 in bfloat16
Sizes = dict[str, tuple[int, ...]]
Progress = Callable[[int, int], None]


def make_model(shape: Shape, folder: Path, *, seed: int, progress: Progress) -> Path:
    """Return `folder` with the model of `shape`, written now unless it is there already.

    `progress` hears of bytes written and bytes in all.
    """
    if (folder / "config.json").is_file():
        return folder
    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    shards = list(_shards(tensor_shapes(shape)))
    written = _Written(sum(_bytes(size) for shard in shards for size in shard.values()), progress)
    places: dict[str, str] = {}
    for number, sizes in enumerate(shards, start=1):
        name = _shard_name(number, len(shards))
        places |= dict.fromkeys(sizes, name)
        with (unfinished / name).open("wb") as file:
            _write_shard(file, sizes, seed=seed, written=written)
    if len(shards) > 1:
        index = {"metadata": {"total_size": written.total}, "weight_map": places}
        (unfinished / "model.safetensors.index.json").write_text(json.dumps(index))
    for name, data in tokenizer_files(shape).items():
        (unfinished / name).write_bytes(data)
    (unfinished / "config.json").write_text(json.dumps(dict(shape.config), indent=1))
    unfinished.rename(folder)
    return folder


class FolderWeights:
    """A WeightSource over a Hugging Face folder: each tensor is read from its file when asked for.

    In plaintext, for comparison with the sealed source.
    """

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        names = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
        present = [folder / name for name in names if (folder / name).is_file()]
        self.files = {path.name: path.read_bytes() for path in present}
        self.tensors: dict[str, TensorInfo] = {}
        self._places: dict[str, tuple[int, int]] = {}
        for path in sorted(folder.glob("*.safetensors")):
            self._add(path)

    def read_into(self, name: str, destination: memoryview) -> None:
        """Read the bytes of tensor `name` into `destination`."""
        descriptor, start = self._places[name]
        _read_exactly(descriptor, destination.cast("B"), start)

    def read_pieces(self, name: str, buffer: memoryview, *, multiple: int) -> Iterator[memoryview]:
        """Read tensor `name` piece by piece into `buffer`."""
        descriptor, start = self._places[name]
        info = self.tensors[name]
        length = _bytes(info.shape) * _WIDTHS[info.dtype] // _BF16_BYTES
        step = len(buffer) - len(buffer) % multiple
        for done in range(0, length, step):
            piece = buffer.cast("B")[: min(step, length - done)]
            _read_exactly(descriptor, piece, start + done)
            yield piece

    def _add(self, path: Path) -> None:
        # Open as long as the process lives, which ends with its run.
        descriptor = os.open(path, os.O_RDONLY)
        length = int.from_bytes(os.pread(descriptor, 8, 0), "little")
        header = json.loads(os.pread(descriptor, length, 8))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            self.tensors[name] = TensorInfo(dtype=entry["dtype"], shape=tuple(entry["shape"]))
            self._places[name] = (descriptor, 8 + length + entry["data_offsets"][0])


class _Written:
    """Counts what is written and tells."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.total = total
        self.done = 0
        self._progress = progress

    def add(self, count: int) -> None:
        self.done += count
        self._progress(self.done, self.total)


def _shards(sizes: Mapping[str, tuple[int, ...]]) -> Iterator[Sizes]:
    shard: Sizes = {}
    filled = 0
    for name, size in sizes.items():
        if shard and filled + _bytes(size) > _SHARD_BYTES:
            yield shard
            shard, filled = {}, 0
        shard[name] = size
        filled += _bytes(size)
    yield shard


def _shard_name(number: int, count: int) -> str:
    return "model.safetensors" if count == 1 else f"model-{number:05d}-of-{count:05d}.safetensors"


def _write_shard(file: BinaryIO, sizes: Sizes, *, seed: int, written: _Written) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, size in sizes.items():
        end = start + _bytes(size)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [start, end]}
        start = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(len(encoded).to_bytes(8, "little") + encoded)
    for name, size in sizes.items():
        for piece in _values(name, size, seed=seed):
            file.write(piece.data)
            written.add(piece.nbytes)


def _values(name: str, size: tuple[int, ...], *, seed: int) -> Iterator[npt.NDArray[np.uint16]]:
    """Yield a tensor's values in bfloat16: norms are 1, biases 0, the rest is drawn."""
    count = _bytes(size) // _BF16_BYTES
    if len(size) == 1:
        yield np.full(count, _ONE if "norm" in name else 0, dtype=np.uint16)
        return
    # By name, so that a shape's other tensors, or their order, change nothing.
    draw = np.random.default_rng([seed, *name.encode()])
    for start in range(0, count, _PIECE):
        values = draw.standard_normal(min(_PIECE, count - start), dtype=np.float32)
        values *= np.float32(_SPREAD)
        yield _to_bf16(values)


def _to_bf16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    # To the nearest, ties to even: the upper half of the bits, after adding half of the lower.
    bits = values.view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype(np.uint16)


def _read_exactly(descriptor: int, target: memoryview, offset: int) -> None:
    done = 0
    while done < len(target):
        count = os.preadv(descriptor, [target[done:]], offset + done)
        if not count:
            raise EOFError("the file ends before the tensor does")
        done += count


def _bytes(size: tuple[int, ...]) -> int:
    return _BF16_BYTES * int(np.prod(size, dtype=np.int64))
