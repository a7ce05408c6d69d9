"""The notes: the same everywhere, varied, learnable, and not trivially so."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from pathlib import Path

import pytest

from sealtune.testing.notes import LABELS, make_canary, make_notes, write_notes

COUNT = 3_000


def _digest(notes: list[dict[str, str]]) -> str:
    return hashlib.sha256(json.dumps(notes, sort_keys=True).encode()).hexdigest()


def test_a_seed_gives_the_same_notes_on_every_machine() -> None:
    assert _digest(make_notes(200, seed=7)) == (
        "b0277aecfc6e77843195994d4cbf210bc829f52b6912e14544fb0f5ea16f3b1c"
    )
    assert make_notes(50, seed=1) == make_notes(200, seed=1)[:50]
    assert make_notes(50, seed=1) != make_notes(50, seed=2)


def test_the_classes_are_balanced_and_hardly_any_note_occurs_twice() -> None:
    notes = make_notes(COUNT, seed=7)
    counts = Counter(note["label"] for note in notes)
    assert set(counts) == set(LABELS)
    assert min(counts.values()) > 0.9 * COUNT / len(LABELS)
    assert len({note["text"] for note in notes}) > 0.99 * COUNT


def test_notes_look_deidentified() -> None:
    text = " ".join(note["text"] for note in make_notes(COUNT, seed=7))
    for placeholder in ("[NAME]", "[DATE]", "[LOCATION]", "[AGE]", "[ID]", "[PHONE]"):
        assert placeholder in text
    assert "{" not in text


def test_words_tell_the_class_mostly_and_not_always() -> None:
    notes = make_notes(COUNT, seed=7)
    accuracy = _naive_bayes_accuracy(notes[:2_400], notes[2_400:])
    assert 0.80 < accuracy < 0.97


def test_canaries_are_planted_once_each_and_nowhere_else() -> None:
    canaries = [make_canary() for _ in range(5)]
    plain, planted = make_notes(100, seed=3), make_notes(100, seed=3, canaries=canaries)
    texts = [note["text"] for note in planted]
    assert [sum(canary in text for text in texts) for canary in canaries] == [1] * 5
    assert sum(before != after for before, after in zip(plain, planted, strict=True)) == 5
    assert len(set(canaries)) == 5
    with pytest.raises(ValueError, match="canaries"):
        make_notes(1, seed=3, canaries=canaries)


def test_the_file_is_json_lines(tmp_path: Path) -> None:
    notes = make_notes(20, seed=3)
    write_notes(tmp_path / "notes.jsonl", notes)
    lines = (tmp_path / "notes.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == notes


def _naive_bayes_accuracy(train: list[dict[str, str]], test: list[dict[str, str]]) -> float:
    words: dict[str, Counter[str]] = {label: Counter() for label in LABELS}
    for note in train:
        words[note["label"]].update(note["text"].lower().split())
    vocabulary = len(set().union(*words.values()))

    def score(label: str, text: str) -> float:
        total = sum(words[label].values()) + vocabulary
        return sum(math.log((words[label][word] + 1) / total) for word in text.lower().split())

    right = sum(
        max(LABELS, key=lambda label, text=note["text"]: score(label, text)) == note["label"]
        for note in test
    )
    return right / len(test)
