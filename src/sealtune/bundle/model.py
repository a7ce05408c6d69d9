"""Which files of a Hugging Face model folder are sealed, and the weights among them.

An allow-list: configuration and tokenizer as data, weights as safetensors. Code and pickles, which
run when they are read, are never sealed.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealtune.bundle.safetensors import Tensor, read_safetensors
from sealtune.core.files import read_bounded, storage_errors
from sealtune.core.limits import MODEL_FILE_BYTES_MAX
from sealtune.errors import Code, FormatError, StorageError

WEIGHTS_NAME = "model.safetensors"
_INDEX_NAME = f"{WEIGHTS_NAME}.index.json"
_CONFIG_NAME = "config.json"
_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
_FILES = (
    _CONFIG_NAME,
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "README.md",
    "LICENSE",
    "LICENSE.txt",
    "NOTICE",
)
_CONVERT = (
    "import sys, torch; from safetensors.torch import save_file; state = {}; "
    "[state.update(torch.load(p, map_location='cpu', weights_only=True)) for p in sys.argv[2:]]; "
    "save_file({k: v.clone().contiguous() for k, v in state.items()}, sys.argv[1], "
    "metadata={'format': 'pt'})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """What of a folder is sealed; `notes` say in words what is not."""

    weights: tuple[Path, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def survey_model(folder: Path) -> ModelFolder:
    """Return what of the model in `folder` is to be sealed.

    Raises:
        StorageError: there is no such folder.
        FormatError: no weights, weights as pickles only, an index that does not fit, no
            config.json, or a link that leads out of the folder.
    """
    if not folder.is_dir():
        raise StorageError(Code.FILE_MISSING, f"{folder}: no such folder")
    with storage_errors(folder):
        present = sorted(folder.iterdir())
    weights = _weights(folder, present)
    files = tuple(folder / name for name in _FILES if (folder / name).is_file())
    for path in (*weights, *files):
        _refuse_outside(folder, path)
    _check_config(folder)
    used = {*weights, *files, folder / _INDEX_NAME}
    others = [path for path in present if path not in used and not path.name.startswith(".")]
    notes = tuple(_note(path) for path in others)
    return ModelFolder(weights=weights, files=files, notes=notes)


def read_weights(model: ModelFolder) -> list[tuple[Path, Tensor]]:
    """Return each tensor of `model` with its file, in the order of files and bytes.

    Raises:
        FormatError: a file breaks a rule of safetensors, one tensor stands in two files, there is
            none, or the index names others.
    """
    tensors = [(path, tensor) for path in model.weights for tensor in read_safetensors(path)]
    if not tensors:
        message = f"{model.weights[0].parent}: the weights hold no tensor"
        raise FormatError(Code.MODEL_NO_WEIGHTS, message)
    located = {tensor.name: path.name for path, tensor in tensors}
    if len(located) != len(tensors):
        folder = model.weights[0].parent
        raise FormatError(Code.MODEL_MALFORMED, f"{folder}: one tensor stands in two files")
    index = model.weights[0].with_name(_INDEX_NAME)
    indexed = model.weights[0].name != WEIGHTS_NAME and index.is_file()
    if indexed and _weight_map(index) != located:
        message = f"{index}: does not say where the tensors are"
        raise FormatError(Code.MODEL_MALFORMED, message)
    return tensors


def _weights(folder: Path, present: list[Path]) -> tuple[Path, ...]:
    found = [path for path in present if path.suffix == ".safetensors" and path.is_file()]
    whole, index = folder / WEIGHTS_NAME, folder / _INDEX_NAME
    if whole in found:
        return (whole,)  # as transformers: one whole file goes before an index
    if index.is_file():
        _refuse_outside(folder, index)
        return _shards(folder, index)
    if len(found) == 1:
        return (found[0],)
    if found:
        message = f"{folder}: {len(found)} safetensors files and no {_INDEX_NAME}"
        raise FormatError(Code.MODEL_MALFORMED, message, remedy="copy the index, too")
    pickles = [path for path in present if path.suffix in _PICKLES]
    if pickles:
        raise _pickles_only(folder, pickles)
    message = f"{folder}: no weights ({WEIGHTS_NAME} or shards with {_INDEX_NAME})"
    raise FormatError(Code.MODEL_NO_WEIGHTS, message, remedy="give the folder of a whole model")


def _shards(folder: Path, index: Path) -> tuple[Path, ...]:
    names = sorted(set(_weight_map(index).values()))
    for name in names:
        # An index is foreign input: a shard is a file of this very folder.
        if name != Path(name).name:
            raise FormatError(Code.MODEL_MALFORMED, f"{index}: names no plain file {name[:80]!r}")
        if not (folder / name).is_file():
            message = f"{folder}: the shard {name} is missing"
            raise FormatError(Code.MODEL_NO_WEIGHTS, message, remedy="copy all shards")
    return tuple(folder / name for name in names)


def _weight_map(index: Path) -> dict[str, str]:
    value = _json_object(index).get("weight_map")
    if not isinstance(value, dict) or not value:
        raise FormatError(Code.MODEL_MALFORMED, f"{index}: no weight_map")
    if not all(isinstance(name, str) for name in value.values()):
        raise FormatError(Code.MODEL_MALFORMED, f"{index}: no proper weight_map")
    return value


def _check_config(folder: Path) -> None:
    path = folder / _CONFIG_NAME
    if not path.is_file():
        message = f"{folder}: no {_CONFIG_NAME}, so nobody could build the model"
        raise FormatError(Code.MODEL_MALFORMED, message, remedy="copy it from the model's source")
    _json_object(path)


def _json_object(path: Path) -> dict[str, Any]:
    # Not core.canonical: these files are other programs' and may hold any number.
    data = read_bounded(path, limit=MODEL_FILE_BYTES_MAX, what="model file")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise FormatError(Code.MODEL_MALFORMED, f"{path}: not JSON") from None
    if not isinstance(value, dict):
        raise FormatError(Code.MODEL_MALFORMED, f"{path}: not a JSON object")
    return value


def _refuse_outside(folder: Path, path: Path) -> None:
    if not path.resolve().is_relative_to(folder.resolve()):
        message = f"{path}: a link that leads out of the folder"
        remedy = f"copy the model with its links resolved: cp -rL {shlex.quote(str(folder))} COPY"
        raise FormatError(Code.MODEL_MALFORMED, message, remedy=remedy)


def _pickles_only(folder: Path, pickles: list[Path]) -> FormatError:
    parts = ["python", "-c", _CONVERT, str(folder / WEIGHTS_NAME), *map(str, pickles)]
    message = f"{folder}: the weights are pickles ({pickles[0].name}), which can run code"
    remedy = f"if you trust them, convert them on this machine: {shlex.join(parts)}"
    return FormatError(Code.MODEL_PICKLE, message, remedy=remedy)


def _note(path: Path) -> str:
    if path.is_dir():
        return f"not sealed: folder {path.name}"
    if path.suffix == ".py":
        return f"not sealed: {path.name} (code never runs in the enclave)"
    if path.suffix in _PICKLES:
        return f"not sealed: {path.name} (a pickle)"
    return f"not sealed: {path.name}"
