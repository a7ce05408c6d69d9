"""Named-entity models from a local folder: spaCy, transformers, GLiNER; no network, no pickle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from sealtune.deid.config import NerEngine
from sealtune.deid.entities import Finding
from sealtune.deid.ner.labels import entity_of
from sealtune.errors import Code, ConfigError

CHUNK_CHARACTERS: Final = 1_000  # fewer tokens than the 512 that small encoders take
_PICKLES: Final = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
_SPACY_SCORE: Final = 0.7  # spaCy says no score of its own
_GLINER_LABELS: Final = ("person", "location", "organization", "address", "date", "phone number")
Span = tuple[int, int, str, float]


class NerDetector:
    """Finds what a model labels."""

    def __init__(self, name: str, label: Callable[[str], Iterable[Span]], minimum: float) -> None:
        """Take the function that returns (start, end, label, score) in a piece of text."""
        self.name = name
        self._label = label
        self._minimum = minimum

    def find(self, text: str) -> Iterator[Finding]:
        """Yield what the model labels with one of our types."""
        for start, end in _chunks(text):
            for first, last, label, score in self._label(text[start:end]):
                entity = entity_of(label)
                if entity is not None and score >= self._minimum and last > first:
                    yield Finding(start + first, start + last, entity, score, self.name, label)


def load_engine(engine: NerEngine) -> NerDetector:
    """Return the detector of the model that `engine` names.

    Raises:
        ConfigError: the package is missing, or the folder holds no model of that kind, or pickles.
    """
    path = Path(engine.path)
    if not path.is_dir():
        raise ConfigError(Code.CONFIG_INVALID, f"ner.path: {path}: no such folder")
    if engine.engine != "spacy":
        _refuse_pickles(path)
    # Libraries of models look for newer files unless told that there is no network.
    os.environ["HF_HUB_OFFLINE"] = "1"
    load = {"spacy": _load_spacy, "transformers": _load_transformers, "gliner": _load_gliner}
    try:
        label = load[engine.engine](path)
    except ModuleNotFoundError as error:
        message = f"ner: the package {error.name} is not installed"
        remedy = f"pip install 'sealtune[deid]' {engine.engine}"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy) from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        message = f"ner.path: {path}: no {engine.engine} model ({type(error).__name__})"
        raise ConfigError(Code.CONFIG_INVALID, message) from None
    return NerDetector(engine.engine, label, engine.minimum_score)


def _refuse_pickles(path: Path) -> None:
    for file in path.rglob("*"):
        if file.suffix in _PICKLES:
            message = f"{file}: a pickle, which could run code"
            raise ConfigError(Code.MODEL_PICKLE, message, remedy="convert it to safetensors")


def _load_spacy(path: Path) -> Callable[[str], Iterable[Span]]:
    import spacy

    model: Any = spacy.load(path)

    def label(text: str) -> list[Span]:
        return [(e.start_char, e.end_char, e.label_, _SPACY_SCORE) for e in model(text).ents]

    return label


def _load_transformers(path: Path) -> Callable[[str], Iterable[Span]]:
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    model = AutoModelForTokenClassification.from_pretrained(
        path, local_files_only=True, use_safetensors=True, trust_remote_code=False
    )
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    run: Any = pipeline(
        "token-classification",
        model=model,
        tokenizer=tokenizer,
        aggregation_strategy="simple",
        device="cpu",
    )

    def label(text: str) -> list[Span]:
        return [
            (int(e["start"]), int(e["end"]), str(e["entity_group"]), float(e["score"]))
            for e in run(text)
        ]

    return label


def _load_gliner(path: Path) -> Callable[[str], Iterable[Span]]:
    from gliner import GLiNER

    model: Any = GLiNER.from_pretrained(str(path), local_files_only=True)

    def label(text: str) -> list[Span]:
        found = model.predict_entities(text, list(_GLINER_LABELS), threshold=0.0)
        return [(e["start"], e["end"], e["label"], float(e["score"])) for e in found]

    return label


def _chunks(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of whole words that cover `text`, none longer than a model takes."""
    start = 0
    while start < len(text):
        end = min(start + CHUNK_CHARACTERS, len(text))
        if end < len(text):
            cut = max(text.rfind(mark, start + CHUNK_CHARACTERS // 2, end) for mark in (" ", "\n"))
            end = cut + 1 if cut > 0 else end
        yield start, end
        start = end
