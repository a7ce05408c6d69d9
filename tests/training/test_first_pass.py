"""Which records are set apart to evaluate on."""

from __future__ import annotations

import numpy as np
import pytest

from sealtune.training.first_pass import evaluation_mask


def test_a_fraction_is_set_apart_by_the_seed() -> None:
    mask = evaluation_mask(100, fraction=0.2, seed=1)
    assert mask.sum() == 20
    assert np.array_equal(mask, evaluation_mask(100, fraction=0.2, seed=1))
    assert not np.array_equal(mask, evaluation_mask(100, fraction=0.2, seed=2))


@pytest.mark.parametrize(
    ("count", "fraction", "apart"),
    [(3, 0.0, 0), (3, 0.01, 1), (2, 0.9, 1), (1, 0.5, 0), (0, 0.5, 0)],
)
def test_something_stays_on_each_side(count: int, fraction: float, apart: int) -> None:
    mask = evaluation_mask(count, fraction=fraction, seed=1)
    assert (len(mask), int(mask.sum())) == (count, apart)
