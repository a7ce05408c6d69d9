"""De-identified notes teach a classifier as much as the notes themselves, within a point."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.detect import Pipeline
from sealtune.deid.key import create_deid_key
from sealtune.deid.transforms import Transformer
from sealtune.testing.deid.utility import compare, demo_records, read_abstracts

CONFIGURATION = PROFILES["hipaa-safe-harbor"]
POINTS_MAX = 1.0


class Cleaner:
    """Replaces what the rules find."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = Pipeline.of(CONFIGURATION)
        self.transformer = Transformer(CONFIGURATION, create_deid_key(folder / "deid.key"))

    def __call__(self, text: str) -> str:
        return self.transformer.apply(text, self.pipeline.find(text), subject=None).text


@pytest.mark.slow
def test_the_demos_task_loses_no_more_than_a_point(tmp_path: Path) -> None:
    """Of 400 documents that are held out four make a point, so that one set tells chance alone."""
    clean, losses = Cleaner(tmp_path), []
    for seed in range(11, 17):
        result = compare(*demo_records(2_000, seed=seed), clean)
        assert result.changed > 0.9 * result.documents
        assert result.before > 60  # of five classes: there is something to lose
        losses.append(result.loss)
    assert fmean(losses) <= POINTS_MAX, losses


@pytest.mark.slow
def test_real_abstracts_lose_no_more_than_a_point(tmp_path: Path, shared_dir: Path) -> None:
    texts, labels = read_abstracts(shared_dir / "data" / "medical-abstracts" / "abstracts.csv")
    result = compare(texts, labels, Cleaner(tmp_path))
    assert result.before > 50
    assert result.loss <= POINTS_MAX
