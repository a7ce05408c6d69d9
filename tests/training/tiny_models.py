"""Small random models and a small tokenizer as Hugging Face folders, and what reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from sealtune.training.sources import TensorInfo

LABELS = ("calm", "storm", "fog")
CORPUS = [
    "the wind is calm and the sea is flat",
    "a storm came over the hills with rain and wind",
    "fog lay on the harbour and no ship could leave",
    "short",
    "the lighthouse keeper wrote down the wind, the waves and the hour of every passing ship",
]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<mask>", "<|user|>", "<|assistant|>", "<|end|>"]
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_COMMON = {"vocab_size": 320, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_DECODER = {
    **_COMMON,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
_ENCODER = {
    **_COMMON,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 130,
}
_VISION = {
    "image_size": 16,
    "patch_size": 4,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 2}
VISION_SHAPES = {
    "vit": _VISION,
    "deit": _VISION,
    "dinov2": {**_VISION, "mlp_ratio": 2},
    "swin": {
        "image_size": 16,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [2, 2],
        "window_size": 4,
    },
    "convnext": _STAGES,
    "convnextv2": _STAGES,
}
SHAPES = {
    **VISION_SHAPES,
    "bert": _ENCODER,
    "roberta": _ENCODER,
    "xlm-roberta": _ENCODER,
    "camembert": _ENCODER,
    "deberta-v2": {**_ENCODER, "pooler_hidden_size": 32},
    "albert": {**_ENCODER, "embedding_size": 16},
    "electra": {**_ENCODER, "embedding_size": 32},
    "mpnet": {**_ENCODER, "pad_token_id": 1},
    "modernbert": {**_ENCODER, "cls_token_id": 1, "sep_token_id": 2},
    "distilbert": {
        **_COMMON,
        "dim": 32,
        "hidden_dim": 48,
        "n_layers": 2,
        "n_heads": 4,
        "max_position_embeddings": 130,
    },
}


PROCESSOR_FILES = {
    "preprocessor_config.json": json.dumps(
        {"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}}
    ).encode()
}


def make_tokenizer_files() -> dict[str, bytes]:
    """A byte-level BPE tokenizer that puts <s> and </s> around a text, and its configuration."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=310,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    # As all-MiniLM-L6-v2 has it: settings in tokenizer.json that the recipe must override.
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=64)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": {"__type": "AddedToken", "content": "</s>", "special": True},
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "chat_template": CHAT_TEMPLATE,
    }
    return {
        "tokenizer.json": tokenizer.to_str().encode(),
        "tokenizer_config.json": json.dumps(config).encode(),
    }


def make_model(folder: Path, *, model_type: str, auto_class: str, **changes: object) -> Path:
    """Write a random model of `model_type` to `folder` with `transformers` itself."""
    values = {**SHAPES.get(model_type, _DECODER), **changes}
    config = transformers.AutoConfig.for_model(model_type, **values)
    state = torch.random.get_rng_state()
    torch.manual_seed(7)
    model = getattr(transformers, auto_class).from_config(config)
    # Larger than the usual initialization, so that outputs differ enough to compare.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(0, 0.2)
    torch.random.set_rng_state(state)
    model.save_pretrained(folder)
    files = PROCESSOR_FILES if model_type in VISION_SHAPES else make_tokenizer_files()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


class FolderWeights:
    """A WeightSource over a model folder, each part of which a test may change."""

    def __init__(self, folder: Path) -> None:
        raw = (folder / "model.safetensors").read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        header.pop("__metadata__", None)
        self.config = json.loads((folder / "config.json").read_text())
        self.files = {
            path.name: path.read_bytes()
            for path in folder.iterdir()
            if path.name not in ("config.json", "model.safetensors")
        }
        self.tensors = {
            name: TensorInfo(dtype=entry["dtype"], shape=tuple(entry["shape"]))
            for name, entry in header.items()
        }
        self.data = {}
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            self.data[name] = raw[8 + length + start : 8 + length + end]

    def read_into(self, name: str, destination: memoryview) -> None:
        assert len(destination) == len(self.data[name])
        destination[:] = self.data[name]

    def read_pieces(self, name: str, buffer: memoryview, *, multiple: int) -> Iterator[memoryview]:
        data, step = self.data[name], len(buffer) - len(buffer) % multiple
        for start in range(0, len(data), step):
            piece = buffer[: len(data[start : start + step])]
            piece[:] = data[start : start + step]
            yield piece

    def rename(self, old: str, new: str) -> None:
        self.tensors[new] = self.tensors.pop(old)
        self.data[new] = self.data.pop(old)

    def put(self, name: str, value: torch.Tensor) -> None:
        kinds = {torch.float32: "F32", torch.bfloat16: "BF16"}
        self.tensors[name] = TensorInfo(dtype=kinds[value.dtype], shape=tuple(value.shape))
        self.data[name] = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

    def get(self, name: str) -> torch.Tensor:
        value = torch.frombuffer(bytearray(self.data[name]), dtype=torch.float32)
        return value.reshape(self.tensors[name].shape)


class Recorder:
    """Telemetry and CheckpointSink in memory; dies after a step if told to."""

    def __init__(self, *, die_after: int = 0) -> None:
        self.losses: list[float] = []
        self.evaluations: list[tuple[int, dict[str, float]]] = []
        self.steps: list[tuple[int, int]] = []
        self.saved: dict[int, bytes] = {}
        self.plan: Mapping[str, Any] = {}
        self.die_after = die_after

    def progress(self, step: int, total: int, tokens: int) -> None:
        self.steps.append((step, total))

    def loss(self, step: int, value: float) -> None:
        if self.die_after and step > self.die_after:
            raise KeyboardInterrupt
        self.losses.append(value)

    def evaluation(self, step: int, metrics: dict[str, float]) -> None:
        self.evaluations.append((step, dict(metrics)))

    def planned(self, plan: Mapping[str, Any]) -> None:
        self.plan = plan

    def save(self, step: int, blob: bytes) -> None:
        self.saved[step] = blob

    def drain(self) -> None:
        pass

    def load(self) -> tuple[int, bytes] | None:
        return max(self.saved.items()) if self.saved else None


def labelled_records(count: int) -> list[dict[str, object]]:
    """Records whose label can be read off the text, of mixed lengths."""
    return [
        {
            "text": f"{LABELS[i % 3]} " * (1 + i % 5) + CORPUS[i % len(CORPUS)],
            "label": LABELS[i % 3] if i % 2 else i % 3,
        }
        for i in range(count)
    ]


def tagged_records(count: int) -> list[dict[str, object]]:
    """Words of mixed number, each with a label that can be read off it."""
    return [
        {
            "tokens": (words := [f"{LABELS[(i + k) % 3]}s" for k in range(1 + i % 5)]),
            "tags": [LABELS.index(word[:-1]) for word in words],
        }
        for i in range(count)
    ]


def image_records(count: int) -> list[dict[str, object]]:
    """Small images whose label is the brightest colour."""
    records: list[dict[str, object]] = []
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 120, (20, 18, 3), dtype=np.uint8)
        pixels[:, :, i % 3] += 120
        file = BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        image = base64.b64encode(file.getvalue()).decode()
        records.append({"image": image, "label": LABELS[i % 3]})
    return records


def text_records(count: int) -> list[dict[str, object]]:
    """Plain texts of mixed lengths."""
    return [{"text": f"{i} {CORPUS[i % len(CORPUS)]}"} for i in range(count)]


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write a result's files as a recipient would."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
