"""How much memory a run takes at most, from what an operator sees: the recipe and sealed sizes.

An estimate on the safe side, some times what is needed: how deep and wide a model is stays sealed.
It is no plan of a run; spec/image §10 has the reasons for each figure.
"""

from __future__ import annotations

import math
from typing import Final

from sealtune.training.recipe import Method, Recipe, Task

# Measured under Gramine: interpreter, torch, transformers and a LoRA training of a tiny model.
FLOOR_BYTES: Final = 2_300_000_000
_STORED_BYTES: Final = 2  # of a parameter in the bundle; a model in 32 bits has half as many
_COMPUTED_BYTES: Final = 4
# Layers times width, by the square root of the parameters: 0.5 to 1.5 for public models to 8e9.
_WIDTH: Final = 1.5
# Kept for the backward pass, for each token and each unit of width; attention adds the length.
_KEPT_BYTES: Final = 100
_KEPT_PER_LENGTH: Final = 1 / 6
_VOCABULARY: Final = 262_144  # the largest of public models
_LOGIT_COPIES: Final = 3
_LORA_LAYERS: Final = 18  # inputs and outputs of a layer's matrices, in widths
_TRAINED_COPIES: Final = 7  # the parameter, its gradient, AdamW's two states, a checkpoint of three
_RECORD_COPIES: Final = 12  # sealed, decrypted, parsed to objects, tokenized


def peak_bytes(recipe: Recipe, *, model_bytes: int, records_bytes: int) -> int:
    """Return an upper estimate of the memory of a run, from the sizes of its sealed inputs."""
    parameters = model_bytes / _STORED_BYTES
    width = _WIDTH * math.sqrt(parameters)
    trained = parameters
    if recipe.method is Method.LORA:
        trained = min(parameters, _LORA_LAYERS * recipe.lora_rank * width)
    weights = parameters * _COMPUTED_BYTES + model_bytes / 4  # and a tensor on its way
    training = trained * _COMPUTED_BYTES * _TRAINED_COPIES
    per_token = width * (_KEPT_BYTES + recipe.max_length * _KEPT_PER_LENGTH)
    if recipe.task is Task.CAUSAL_LM:
        logits = min(_VOCABULARY, parameters / 64)
        per_token += logits * _COMPUTED_BYTES * _LOGIT_COPIES
    activations = recipe.batch_size * recipe.max_length * per_token
    records = records_bytes * _RECORD_COPIES
    return math.ceil(FLOOR_BYTES + weights + training + activations + records)
