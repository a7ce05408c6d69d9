"""What de-identified text is still good for: the accuracy of a classifier before and after.

A linear softmax classifier over weighted words, trained by full-batch gradient descent: small and
without chance, so that a difference comes from the text and not from the training.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from sealtune.testing.deid.generator import make_annotated_notes
from sealtune.testing.notes import make_notes

_WORD: Final = re.compile(r"[a-z]{2,30}")
_WORDS_MAX: Final = 4_000
_STEPS: Final = 300
_RATE: Final = 20.0
_DECAY: Final = 1e-5
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """Accuracies in percent on the same held-out documents."""

    documents: int
    held_out: int
    before: float
    after: float
    changed: int  # documents in which something was replaced

    @property
    def loss(self) -> float:
        """How many points the de-identified text loses."""
        return self.before - self.after


def compare(texts: Sequence[str], labels: Sequence[str], clean: Callable[[str], str]) -> Utility:
    """Return accuracies on `texts` and on what `clean` makes of them; every fifth is held out."""
    cleaned = [clean(text) for text in texts]
    return Utility(
        documents=len(texts),
        held_out=len(range(0, len(texts), 5)),
        before=_accuracy(texts, labels),
        after=_accuracy(cleaned, labels),
        changed=sum(one != other for one, other in zip(texts, cleaned, strict=True)),
    )


def demo_records(count: int, *, seed: int) -> tuple[list[str], list[str]]:
    """Return the demo's notes and specialties, each note under a header full of identifiers."""
    notes = make_notes(count, seed=seed)
    headers = make_annotated_notes(count, seed=seed)
    texts = [f"{header.text}\n{note['text']}" for header, note in zip(headers, notes, strict=True)]
    return texts, [note["label"] for note in notes]


def read_abstracts(path: Path) -> tuple[list[str], list[str]]:
    """Return the texts and conditions of the Medical-Abstracts-TC-Corpus."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["medical_abstract"] for row in rows], [row["condition_label"] for row in rows]


def _accuracy(texts: Sequence[str], labels: Sequence[str]) -> float:
    words = [Counter(_WORD.findall(text.lower())) for text in texts]
    held = np.arange(len(texts)) % 5 == 0
    seen: Counter[str] = Counter()
    for document, out in zip(words, held, strict=True):
        if not out:
            seen.update(document.keys())
    matrix = _weighted(words, seen, int((~held).sum()))
    names = sorted(set(labels))
    wanted = np.array([names.index(label) for label in labels])
    weights = _train(matrix[~held], wanted[~held], len(names))
    right = (matrix[held] @ weights).argmax(axis=1) == wanted[held]
    return float(100 * right.mean())


def _weighted(words: Sequence[Counter[str]], seen: Counter[str], documents: int) -> Matrix:
    # By frequency, then by name: a tie must not depend on the order of a hash.
    kept = sorted(seen, key=lambda word: (-seen[word], word))[:_WORDS_MAX]
    column = {word: number for number, word in enumerate(kept)}
    matrix = np.zeros((len(words), len(kept)), np.float32)
    for row, document in enumerate(words):
        for word, count in document.items():
            if word in column:
                rarity = np.log((1 + documents) / (1 + seen[word])) + 1
                matrix[row, column[word]] = (1 + np.log(count)) * rarity
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix /= np.maximum(norms, 1e-9)
    return matrix


def _train(matrix: Matrix, wanted: npt.NDArray[np.int64], classes: int) -> Matrix:
    weights = np.zeros((matrix.shape[1], classes), np.float32)
    target = np.eye(classes, dtype=np.float32)[wanted]
    for _ in range(_STEPS):
        scores = matrix @ weights
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        odds /= odds.sum(axis=1, keepdims=True)
        gradient = matrix.T @ (odds - target) / len(matrix)
        weights -= _RATE * (gradient + _DECAY * weights)
    return weights
