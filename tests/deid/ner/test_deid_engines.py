"""Engines on models that the test makes: a rule of spaCy, a classifier of random weights."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from sealtune.deid.config import NerEngine
from sealtune.deid.entities import EntityType
from sealtune.deid.ner.engine import NerDetector, load_engine
from sealtune.deid.ner.labels import entity_of
from sealtune.errors import Code, ConfigError

_NO_GLINER = "gliner is not installed; it asks for an older transformers, see the how-to"


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


def _bert(folder: Path, **options: Any) -> Any:
    """Save a tokenizer of two words in `folder`, and return the configuration of a tiny BERT."""
    transformers = pytest.importorskip("transformers")
    folder.mkdir(exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ann", "is"]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        **options,
    )


def test_a_transformers_model_from_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = _bert(tmp_path, id2label={0: "I-PER"}, label2id={"I-PER": 0})
    transformers.BertForTokenClassification(config).save_pretrained(tmp_path)
    detector = load_engine(NerEngine(engine="transformers", path=str(tmp_path)))
    (found,) = detector.find("ann is")
    assert (found.start, found.end, found.entity) == (0, 6, EntityType.PERSON)
    # Far more tokens than its 512 positions, in fewer characters than a chunk may have.
    text = "ann" + "." * 700 + "ann is"
    assert max(found.end for found in detector.find(text)) == len(text)


@pytest.fixture(scope="module")
def gliner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gliner = pytest.importorskip("gliner", reason=_NO_GLINER)
    transformers = pytest.importorskip("transformers")
    encoder = tmp_path_factory.mktemp("encoder")
    transformers.BertModel(_bert(encoder)).save_pretrained(encoder)
    config = gliner.GLiNERConfig(
        model_name=str(encoder), hidden_size=8, max_width=3, num_rnn_layers=0, max_len=64
    )
    folder = tmp_path_factory.mktemp("gliner")
    gliner.GLiNER.from_config(config).save_pretrained(folder, safe_serialization=True)
    # As with a model that came from elsewhere: the encoder's name leads nowhere here.
    _change(folder, model_name="somebody/encoder")
    return folder


def _change(folder: Path, **values: Any) -> None:
    file = folder / "gliner_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def _gliner(folder: Path, minimum: float = 0.0) -> NerDetector:
    return load_engine(NerEngine(engine="gliner", path=str(folder), minimum_score=minimum))


def test_a_gliner_model_from_a_folder(gliner_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", _refuse_to_connect)
    found = list(_gliner(gliner_folder).find("ann is ann"))
    assert found
    assert all(type(item.confidence) is float and 0 <= item.confidence <= 1 for item in found)
    assert {item.detector for item in found} == {"gliner"}
    # Its weights are random: no label is certain.
    assert not list(_gliner(gliner_folder, minimum=1.0).find("ann is ann"))


def _refuse_to_connect(*_: object) -> None:
    raise AssertionError("a socket was opened")


def test_gliner_reads_more_words_than_its_model_takes(gliner_folder: Path) -> None:
    text = "ann is " * 70 + "ann"
    assert max(item.end for item in _gliner(gliner_folder).find(text)) == len(text)


def test_a_gliner_model_without_its_encoders_configuration_says_what_to_do(
    gliner_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(gliner_folder, tmp_path / "model")
    _change(folder, encoder_config=None)
    with pytest.raises(ConfigError) as caught:
        _gliner(folder)
    assert caught.value.code is Code.CONFIG_INVALID
    assert "safe_serialization" in caught.value.remedy


@pytest.mark.parametrize("engine", ["transformers", "gliner"])
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("gliner_config.json", '{"encoder_config": {"\\u0061uto_map": {"AutoModel": "own.Own"}}}'),
        ("config.json", '{"auto_map": {"AutoModel": "own.Own"}}'),
        ("own.py", ""),
    ],
)
def test_code_in_a_models_folder_is_refused(
    tmp_path: Path, engine: str, file: str, content: str
) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_engine(NerEngine.model_validate({"engine": engine, "path": str(tmp_path)}))
    assert caught.value.code is Code.MODEL_UNSUPPORTED


@pytest.mark.parametrize("engine", ["transformers", "gliner"])
def test_a_pickle_is_refused_unread(tmp_path: Path, engine: str) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(ConfigError) as caught:
        load_engine(NerEngine.model_validate({"engine": engine, "path": str(tmp_path)}))
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
