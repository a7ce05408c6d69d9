"""Named-entity models from a local folder: spaCy, transformers, GLiNER.

No network, no pickle, and no code that a folder brings along.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sealtune.deid.config import NerEngine
from sealtune.deid.entities import Finding
from sealtune.deid.ner.labels import entity_of
from sealtune.errors import Code, ConfigError

CHUNK_CHARACTERS: Final = 1_000  # as a rule fewer tokens than the 512 that small encoders take
_PICKLES: Final = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
_SPACY_SCORE: Final = 0.7  # spaCy says no score of its own
_GLINER_LABELS: Final = ("person", "location", "organization", "address", "date", "phone number")
_GLINER_PARTS: Final = ("labels_encoder", "labels_decoder")  # beside the encoder
_GLINER_REMEDY: Final = (
    "load the model with gliner where it is known, save it with "
    "save_pretrained(FOLDER, safe_serialization=True), and copy that folder here"
)
Span = tuple[int, int, str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What labels a piece of text, and whether a piece is short enough to be read to its end."""

    label: Callable[[str], Iterable[Span]]
    fits: Callable[[str], bool] = lambda _: True


class NerDetector:
    """Finds what a model labels."""

    def __init__(self, name: str, model: Model, minimum: float) -> None:
        """Take the model, and the least score that counts."""
        self.name = name
        self._model = model
        self._minimum = minimum

    def find(self, text: str) -> Iterator[Finding]:
        """Yield what the model labels with one of our types."""
        for start, end in _chunks(text, self._model.fits):
            for first, last, label, score in self._model.label(text[start:end]):
                entity = entity_of(label)
                if entity is not None and score >= self._minimum and last > first:
                    yield Finding(start + first, start + last, entity, score, self.name, label)


def load_engine(engine: NerEngine) -> NerDetector:
    """Return the detector of the model that `engine` names.

    Raises:
        ConfigError: the package is missing, or the folder holds no model of that kind, or pickles,
            or code.
    """
    path = Path(engine.path)
    if not path.is_dir():
        raise ConfigError(Code.CONFIG_INVALID, f"ner.path: {path}: no such folder")
    if engine.engine != "spacy":
        _refuse_pickles(path)
        _refuse_code(path)
    # Libraries of models look for newer files unless told that there is no network.
    os.environ["HF_HUB_OFFLINE"] = "1"
    load = {"spacy": _load_spacy, "transformers": _load_transformers, "gliner": _load_gliner}
    try:
        model = load[engine.engine](path, engine.minimum_score)
    except ModuleNotFoundError as error:
        message = f"ner: the package {error.name} is not installed"
        remedy = f"pip install 'sealtune[deid]' {engine.engine}"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy) from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        message = f"ner.path: {path}: no {engine.engine} model ({type(error).__name__})"
        remedy = _GLINER_REMEDY if engine.engine == "gliner" else ""
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy) from None
    return NerDetector(engine.engine, model, engine.minimum_score)


def _refuse_pickles(path: Path) -> None:
    for file in path.rglob("*"):
        if file.suffix in _PICKLES:
            message = f"{file}: a pickle, which could run code"
            raise ConfigError(Code.MODEL_PICKLE, message, remedy="convert it to safetensors")


def _refuse_code(path: Path) -> None:
    # GLiNER asks transformers to trust code that its encoder's configuration names.
    for file in path.rglob("*"):
        named = file.name.endswith("config.json") and _names_code(_read_json(file))
        if named or file.suffix == ".py":
            message = f"{file}: the model brings code of its own, which is never run"
            remedy = "take a model of a kind that the library knows, without files of code"
            raise ConfigError(Code.MODEL_UNSUPPORTED, message, remedy=remedy)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        message = f"{file}: no JSON ({type(error).__name__})"
        raise ConfigError(Code.CONFIG_INVALID, message) from None


def _names_code(value: Any) -> bool:
    if isinstance(value, dict):
        return "auto_map" in value or any(map(_names_code, value.values()))
    return isinstance(value, list) and any(map(_names_code, value))


def _load_spacy(path: Path, _: float) -> Model:
    import spacy

    model: Any = spacy.load(path)

    def label(text: str) -> list[Span]:
        return [(e.start_char, e.end_char, e.label_, _SPACY_SCORE) for e in model(text).ents]

    return Model(label=label)


def _load_transformers(path: Path, _: float) -> Model:
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    model = AutoModelForTokenClassification.from_pretrained(
        path, local_files_only=True, use_safetensors=True, trust_remote_code=False
    )
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    run: Any = pipeline(
        "token-classification",
        model=model,
        tokenizer=tokenizer,
        aggregation_strategy="max",  # whole words: half a name is a name left
        device="cpu",
    )
    # The pipeline reads no further than the tokenizer says, and says nothing about the rest.
    # Two positions of RoBERTa's are never used.
    positions = getattr(model.config, "max_position_embeddings", 514) - 2
    most = int(min(tokenizer.model_max_length, positions))

    def label(text: str) -> list[Span]:
        return [
            (int(e["start"]), int(e["end"]), str(e["entity_group"]), float(e["score"]))
            for e in run(text)
        ]

    def fits(text: str) -> bool:
        return len(tokenizer(text, verbose=False)["input_ids"]) <= most

    return Model(label=label, fits=fits)


def _load_gliner(path: Path, minimum: float) -> Model:
    from gliner import GLiNER

    _refuse_missing_parts(path)
    model: Any = GLiNER.from_pretrained(str(path), local_files_only=True)
    words = model.data_processor.words_splitter
    most = model.config.max_len  # words; it leaves the rest unread

    def label(text: str) -> list[Span]:
        found = model.predict_entities(text, list(_GLINER_LABELS), threshold=minimum)
        return [(e["start"], e["end"], e["label"], float(e["score"])) for e in found]

    return Model(label=label, fits=lambda text: sum(1 for _ in words(text)) <= most)


def _refuse_missing_parts(path: Path) -> None:
    # Else it looks for them by name: on the model hub, or in any folder that is called so.
    read = _read_json(path / "gliner_config.json")
    stored = read if isinstance(read, dict) else {}
    parts = ["encoder_config", *(f"{name}_config" for name in _GLINER_PARTS if stored.get(name))]
    missing = [part for part in parts if not isinstance(stored.get(part), dict)]
    if not (path / "tokenizer_config.json").is_file():
        missing.append("tokenizer")
    if missing:
        message = f"ner.path: {path}: no {', '.join(missing)}"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=_GLINER_REMEDY)


def _chunks(text: str, fits: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Yield spans of whole words that cover `text`, none longer than a model takes."""
    start, size = 0, CHUNK_CHARACTERS
    while start < len(text):
        end = _end(text, start, size)
        if size > 1 and not fits(text[start:end]):
            size //= 2
            continue
        yield start, end
        start, size = end, CHUNK_CHARACTERS


def _end(text: str, start: int, size: int) -> int:
    end = min(start + size, len(text))
    if end == len(text):
        return end
    cut = max(text.rfind(mark, start + size // 2, end) for mark in (" ", "\n"))
    return cut + 1 if cut > 0 else end
