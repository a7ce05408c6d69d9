"""A random BERT encoder of a few thousand weights, for trials that must not take long.

    python -m sealtune.testing.tiny_encoder FOLDER

writes a Hugging Face model folder. It knows the words of the synthetic notes and nothing else; what
it learns in a short run is next to nothing. Made without torch.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sealtune.testing.notes import make_notes

_HIDDEN, _INNER, _LAYERS, _HEADS, _POSITIONS = 32, 64, 2, 4, 128
_SPECIAL = ("[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SPREAD = 0.2  # wide, so that different texts give different outputs


def make_tiny_encoder(folder: Path, *, seed: int) -> None:
    """Write the model to the new `folder`; the same seed gives the same weights."""
    folder.mkdir(parents=True)
    vocabulary = _vocabulary()
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": len(vocabulary),
        "hidden_size": _HIDDEN,
        "intermediate_size": _INNER,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "max_position_embeddings": _POSITIONS,
        "type_vocab_size": 2,
        "pad_token_id": 0,
    }
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
        "model_max_length": _POSITIONS,
    }
    documents = {
        "config.json": config,
        "tokenizer.json": _tokenizer(vocabulary),
        "tokenizer_config.json": settings,
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1))
    weights = _safetensors(_tensors(len(vocabulary), seed=seed))
    (folder / "model.safetensors").write_bytes(weights)


def _vocabulary() -> dict[str, int]:
    notes = make_notes(2_000, seed=0)
    words = sorted({word for n in notes for word in re.findall(r"\w+|[^\w\s]", n["text"].lower())})
    return {word: number for number, word in enumerate((*_SPECIAL, *words))}


def _tokenizer(vocabulary: dict[str, int]) -> dict[str, Any]:
    def special(token: str) -> dict[str, Any]:
        number = vocabulary[token]
        return {"id": token, "ids": [number], "tokens": [token]}

    def part(token: str) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": 0}}

    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": vocabulary[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in _SPECIAL
            if token != "[unused0]"  # noqa: S105 - a token of text
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [part("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, part("[SEP]")],
            "pair": [part("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, part("[SEP]")],
            "special_tokens": {token: special(token) for token in ("[CLS]", "[SEP]")},
        },
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


def _tensors(words: int, *, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    draw = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> npt.NDArray[np.float32]:
        return (draw.standard_normal((rows, columns)) * _SPREAD).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": matrix(words, _HIDDEN),
        "embeddings.position_embeddings.weight": matrix(_POSITIONS, _HIDDEN),
        "embeddings.token_type_embeddings.weight": matrix(2, _HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    linears = {"pooler.dense": (_HIDDEN, _HIDDEN)}
    for number in range(_LAYERS):
        layer = f"encoder.layer.{number}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            linears[f"{layer}.attention.{name}"] = (_HIDDEN, _HIDDEN)
        linears[f"{layer}.intermediate.dense"] = (_INNER, _HIDDEN)
        linears[f"{layer}.output.dense"] = (_HIDDEN, _INNER)
    for name, (rows, columns) in linears.items():
        tensors[f"{name}.weight"] = matrix(rows, columns)
        tensors[f"{name}.bias"] = np.zeros(rows, np.float32)
    for name in norms:
        tensors[f"{name}.weight"] = np.ones(_HIDDEN, np.float32)
        tensors[f"{name}.bias"] = np.zeros(_HIDDEN, np.float32)
    return tensors


def _safetensors(tensors: dict[str, npt.NDArray[np.float32]]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, tensor in tensors.items():
        end = start + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]}
        start = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    body = b"".join(tensor.tobytes() for tensor in tensors.values())
    return len(encoded).to_bytes(8, "little") + encoded + body


if __name__ == "__main__":
    make_tiny_encoder(Path(sys.argv[1]), seed=0)
