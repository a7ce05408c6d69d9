"""The plan that a training would make, without the training."""

from __future__ import annotations

import math

from sealtune.training.corpus import build_corpus
from sealtune.training.model import load_skeleton
from sealtune.training.plan import Plan, examples_room, plan_run
from sealtune.training.readers import Readers, load_readers
from sealtune.training.recipe import Recipe
from sealtune.training.records import RecordSource
from sealtune.training.sources import WeightSource
from sealtune.training.trained import find_trained
from sealtune.training.workload import Workload, workload_of, workload_of_recipe


def preview(
    recipe: Recipe,
    *,
    weights: WeightSource,
    records: RecordSource | None,
    memory_limit: int,
    has_scratch: bool,
) -> Plan:
    """Return the plan of a training on `records`, or, without any, on records as long and as many
    in a step as the recipe lets them be. No tensor is read.

    Raises:
        FormatError, TrainingError: as `train`, as far as it gets before it reads the weights.
    """
    model = load_skeleton(weights, recipe=recipe)
    readers = load_readers(weights, recipe=recipe)
    if records is None:
        workload = _largest(recipe, readers)
    else:
        corpus = build_corpus(
            records,
            recipe=recipe,
            tokenizer=readers.tokenizer,
            images=readers.images,
            image_tokens=readers.image_tokens,
            resident_bytes=examples_room(recipe, memory_limit),
        )
        workload = workload_of(corpus)
    return plan_run(
        model,
        find_trained(model, recipe=recipe),
        weights=weights,
        recipe=recipe,
        workload=workload,
        has_scratch=has_scratch,
        memory_limit=memory_limit,
    )


def _largest(recipe: Recipe, readers: Readers) -> Workload:
    if readers.images is None:
        return workload_of_recipe(recipe, length=recipe.max_length)
    image_bytes = math.prod(readers.images.shape)
    return workload_of_recipe(recipe, length=readers.image_tokens, image_bytes=image_bytes)
