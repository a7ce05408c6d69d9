"""Engines on models that the test makes: a rule of spaCy, a classifier of random weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sealtune.deid.config import NerEngine
from sealtune.deid.entities import EntityType
from sealtune.deid.ner.engine import load_engine
from sealtune.deid.ner.labels import entity_of
from sealtune.errors import Code, ConfigError


def test_a_spacy_model_from_a_folder(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    model = spacy.blank("en")
    ruler = model.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": "Zyx"}, {"label": "MONEY", "pattern": "5"}])
    model.to_disk(tmp_path / "model")
    detector = load_engine(NerEngine(engine="spacy", path=str(tmp_path / "model")))
    text = "word " * 300 + "Zyx 5"
    found = list(detector.find(text))
    assert [(text[f.start : f.end], f.entity) for f in found] == [("Zyx", EntityType.PERSON)]


def test_a_transformers_model_from_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ann", "is"])
    )
    config = transformers.BertConfig(
        vocab_size=6,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        id2label={0: "I-PER"},
        label2id={"I-PER": 0},
    )
    transformers.BertForTokenClassification(config).save_pretrained(tmp_path)
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    detector = load_engine(NerEngine(engine="transformers", path=str(tmp_path)))
    (found,) = detector.find("ann is")
    assert (found.start, found.end, found.entity) == (0, 6, EntityType.PERSON)


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(ConfigError) as caught:
        load_engine(NerEngine(engine="transformers", path=str(tmp_path)))
    assert caught.value.code is Code.MODEL_PICKLE


@pytest.mark.parametrize("engine", ["spacy", "transformers"])
def test_a_folder_without_a_model_is_refused(tmp_path: Path, engine: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_engine(NerEngine.model_validate({"engine": engine, "path": str(tmp_path)}))
    assert caught.value.code is Code.CONFIG_INVALID


@pytest.mark.skipif(importlib.util.find_spec("gliner") is not None, reason="gliner is installed")
def test_an_engine_that_is_not_installed_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_engine(NerEngine(engine="gliner", path=str(tmp_path)))
    assert caught.value.code is Code.DEPENDENCY_MISSING


@pytest.mark.parametrize(
    ("label", "entity"),
    [
        ("B-PER", EntityType.PERSON),
        ("phone number", EntityType.PHONE),
        ("ES_NIF", EntityType.NATIONAL_ID),
        ("DE_TAX_ID", EntityType.TAX_ID),
        ("MONEY", None),
        ("LAW", None),
    ],
)
def test_labels_become_types(label: str, entity: EntityType | None) -> None:
    assert entity_of(label) is entity
