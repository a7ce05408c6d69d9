"""Chooses how a model is computed: by lean blocks where the plan says so, or as it is stock."""

from __future__ import annotations

from sealtune.training.engine.choices import Choices
from sealtune.training.engine.lean import LeanLearner
from sealtune.training.engine.vision import Normalize
from sealtune.training.learner import Learner
from sealtune.training.model import LoadedModel
from sealtune.training.recipe import Recipe
from sealtune.training.sources import Scratch, WeightSource
from sealtune.training.stock import StockLearner
from sealtune.training.trained import Trained


def build_learner(
    model: LoadedModel,
    trained: Trained,
    *,
    weights: WeightSource,
    recipe: Recipe,
    choices: Choices,
    padding: int,
    scratch: Scratch | None,
    normalize: Normalize | None = None,
) -> Learner:
    """Read the weights into what `choices` say and return it; `normalize` is for images."""
    if choices.lean:
        return LeanLearner(
            model,
            trained,
            weights=weights,
            recipe=recipe,
            choices=choices,
            scratch=scratch,
            normalize=normalize,
        )
    return StockLearner(
        model,
        trained,
        weights=weights,
        recipe=recipe,
        choices=choices,
        padding=padding,
        normalize=normalize,
    )
