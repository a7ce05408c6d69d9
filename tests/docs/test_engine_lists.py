"""The models that the documents list are those that the engine has, each in its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
from sealtune.training.architectures import ARCHITECTURES
from sealtune.training.engine.families import FAMILIES

_DOCS = Path(__file__).parents[2] / "docs"


def _listed(page: str, begin: str, end: str) -> list[str]:
    _, _, rest = (_DOCS / page).read_text().partition(begin)
    return re.findall(r"`([a-z0-9_-]+)`", rest[: rest.index(end)])


def test_models_that_can_be_streamed() -> None:
    found = _listed("howto/train-a-large-model.md", "in their config.json:", "The plan says why")
    assert found == sorted(FAMILIES)


def test_models_without_lean_blocks() -> None:
    found = _listed("limitations.md", "has no lean blocks for (", ")")
    assert found == sorted(ARCHITECTURES.keys() - FAMILIES.keys())
