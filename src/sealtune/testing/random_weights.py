"""A model of any shape with random weights, as a WeightSource that holds none of them.

Each tensor's bytes are made when they are asked for: what trains is as large as its configuration
says, and the source itself takes next to no memory. For measuring, and for tests of memory limits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
import transformers

from sealtune.core.limits import MIB
from sealtune.training.architectures import find_architecture
from sealtune.training.recipe import Task
from sealtune.training.sources import TensorInfo

_SPREAD: Final = 0.02  # the usual initialization
_TYPES: Final = {"BF16": torch.bfloat16, "F32": torch.float32}
_END: Final = "<end>"
_UNKNOWN: Final = "<unknown>"


class RandomWeights:
    """The model that `config` (a config.json's values) describes; `dtype` is how it is stored.

    The tokenizer knows the words `w2` and so on, one for each id.
    """

    def __init__(self, config: Mapping[str, Any], *, task: Task, dtype: str = "BF16") -> None:
        self.config = dict(config)
        self.files = _tokenizer_files(int(config["vocab_size"]))
        self.tensors = {
            name: TensorInfo(dtype=dtype, shape=shape) for name, shape in _shapes(config, task)
        }
        draw = torch.Generator().manual_seed(0)
        values = torch.empty(MIB // 2).normal_(0, _SPREAD, generator=draw)
        self._pattern = values.to(_TYPES[dtype]).view(torch.uint8).numpy()

    def read_into(self, name: str, destination: memoryview) -> None:
        """Write the tensor's bytes: all tensors repeat one pattern; vectors are zero."""
        target = np.frombuffer(destination, dtype=np.uint8)
        if len(self.tensors[name].shape) < 2:
            target[:] = 0
            return
        step = len(self._pattern)
        for start in range(0, len(target), step):
            part = target[start : start + step]
            part[:] = self._pattern[: len(part)]

    def read_pieces(self, name: str, buffer: memoryview, *, multiple: int) -> Iterator[memoryview]:
        """Yield the same bytes in pieces."""
        info = self.tensors[name]
        left = int(np.prod(info.shape, dtype=np.int64)) * (2 if info.dtype == "BF16" else 4)
        room = len(buffer) - len(buffer) % multiple
        while left:
            piece = buffer[: min(room, left)]
            self.read_into(name, piece)
            yield piece
            left -= len(piece)


def random_texts(lengths: Sequence[int], *, vocabulary: int, seed: int = 0) -> list[str]:
    """Return a text of the tokenizer's words for each of `lengths`, which count its end token."""
    draw = np.random.default_rng(seed)
    return [
        " ".join(f"w{number}" for number in draw.integers(2, vocabulary, length - 1))
        for length in lengths
    ]


def _shapes(config: Mapping[str, Any], task: Task) -> list[tuple[str, tuple[int, ...]]]:
    _, class_name = find_architecture(config, task=task)
    model_class = getattr(transformers, class_name)
    with torch.device("meta"):
        module = model_class(model_class.config_class.from_dict(dict(config)))
    tied = set(getattr(module, "all_tied_weights_keys", {}))
    inside = f"{module.base_model_prefix}."
    # A classifier's head is not stored: as with the models that are published.
    return [
        (name, tuple(value.shape))
        for name, value in module.state_dict().items()
        if name not in tied and (name.startswith(inside) or task is Task.CAUSAL_LM)
    ]


def _tokenizer_files(size: int) -> dict[str, bytes]:
    words = {_END: 0, _UNKNOWN: 1, **{f"w{number}": number for number in range(2, size)}}
    document: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": _UNKNOWN},
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": _END,
        "pad_token": _END,
        "unk_token": _UNKNOWN,
    }
    return {
        "tokenizer.json": json.dumps(document).encode(),
        "tokenizer_config.json": json.dumps(settings).encode(),
    }
