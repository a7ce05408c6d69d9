"""De-identified notes teach a classifier as much as the notes themselves, within a point."""

from __future__ import annotations

from pathlib import Path

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
    texts, labels = demo_records(2_000, seed=11)
    result = compare(texts, labels, Cleaner(tmp_path))
    assert result.changed > 0.9 * result.documents
    assert result.before > 60  # of five classes: there is something to lose
    assert result.loss <= POINTS_MAX


@pytest.mark.slow
def test_real_abstracts_lose_no_more_than_a_point(tmp_path: Path, shared_dir: Path) -> None:
    texts, labels = read_abstracts(shared_dir / "data" / "medical-abstracts" / "abstracts.csv")
    result = compare(texts, labels, Cleaner(tmp_path))
    assert result.before > 50
    assert result.loss <= POINTS_MAX
