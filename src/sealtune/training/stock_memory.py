"""Predicts the memory of a run that `transformers` computes: from widths, without its code.

What a stock module keeps differs from family to family; the figures per token are of those that
keep most, so for others the prediction is above what is needed.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from sealtune.training.engine.choices import Choices
from sealtune.training.memory import TOKENIZER_COPIES, Prediction, TrainedValues, peak_of
from sealtune.training.model import LoadedModel
from sealtune.training.recipe import Precision, Recipe, Task
from sealtune.training.shapes import attention_dropout
from sealtune.training.sources import WeightSource
from sealtune.training.trained import Trained
from sealtune.training.workload import BatchShape, Workload

_FLOAT = 4
# Bytes kept for each token and layer, per width of the layer and of its feed-forward part, measured
# (`benchmarks/memory.py`): in bf16 inputs of products are kept twice, as they came and as cast.
_PER_WIDTH = {Precision.FP32: 64, Precision.BF16: 64}
_PER_INNER = {Precision.FP32: 14, Precision.BF16: 12}
# For each pair of tokens and head, where torch has no kernel of its own: with dropout.
_PER_PAIR = {Precision.FP32: 10, Precision.BF16: 6}
_LOGIT_COPIES = 3


def predict_stock(
    model: LoadedModel,
    trained: Trained,
    *,
    weights: WeightSource,
    workload: Workload,
    choices: Choices,
    recipe: Recipe,
) -> Prediction:
    """Return the peak of a run of the stock module."""
    steps = workload.batches(choices.tokens)
    evaluated = workload.evaluated(choices.tokens)
    count = _trained_count(model, trained, recipe)
    # Autocast keeps what it cast of weights that are trained, until the pass is over.
    casts = 2 if choices.precision is Precision.BF16 else 0
    everything = sum(_sizes(model).values())
    return peak_of(
        {
            "tokenizer": TOKENIZER_COPIES * len(weights.files.get("tokenizer.json", b"")),
            "examples": workload.nbytes,
            "frozen weights": _frozen(model, trained, choices),
        },
        trained=TrainedValues(
            count=count, copies=casts, exported=everything if trained.lora is None else count
        ),
        computed=max(_kept(model, batch, choices, recipe) for step in steps for batch in step),
        evaluated=max((_passing(model, batch, recipe) for batch in evaluated), default=0),
        conversion=max(_sizes(model).values()) * _FLOAT,
        recipe=recipe,
    )


def _kept(model: LoadedModel, batch: BatchShape, choices: Choices, recipe: Recipe) -> int:
    config = model.config
    width, inner = _widths(config)
    tokens = max(batch.lengths) * len(batch.lengths)
    layers = config.num_hidden_layers
    each = width * _PER_WIDTH[choices.precision] + inner * _PER_INNER[choices.precision]
    kept = tokens * each + _pairs(config, batch) * _PER_PAIR[choices.precision]
    if choices.recompute:
        return tokens * layers * width * _FLOAT + kept + _passing(model, batch, recipe)
    return layers * kept + _passing(model, batch, recipe)


def _pairs(config: Any, batch: BatchShape) -> int:
    if config._attn_implementation == "sdpa" and not attention_dropout(config):
        return 0
    return config.num_attention_heads * len(batch.lengths) * max(batch.lengths) ** 2


def _passing(model: LoadedModel, batch: BatchShape, recipe: Recipe) -> int:
    width, inner = _widths(model.config)
    tokens = max(batch.lengths) * len(batch.lengths)
    logits = 0
    if recipe.task is Task.CAUSAL_LM:
        logits = batch.supervised * model.config.vocab_size * _FLOAT * _LOGIT_COPIES
    return max(logits, 3 * tokens * (width + inner) * _FLOAT)


def _widths(config: Any) -> tuple[int, int]:
    inner = getattr(config, "intermediate_size", None) or getattr(config, "hidden_dim", None)
    return config.hidden_size, inner or 4 * config.hidden_size


def _sizes(model: LoadedModel) -> dict[str, int]:
    return {name: value.numel() for name, value in model.module.named_parameters()}


def _trained_count(model: LoadedModel, trained: Trained, recipe: Recipe) -> int:
    sizes = _sizes(model)
    adapters = 0
    for name in trained.targets:
        rows, columns = model.module.get_parameter(f"{name}.weight").shape
        adapters += recipe.lora_rank * (rows + columns)
    return adapters + sum(sizes[name] for name in trained.names)


def _frozen(model: LoadedModel, trained: Trained, choices: Choices) -> int:
    half = choices.precision is Precision.BF16 and trained.lora is not None
    matrices = {
        f"{name}.weight" for name, part in model.module.named_modules() if isinstance(part, nn.Linear)
    }
    tied = getattr(model.module, "all_tied_weights_keys", {})
    matrices -= {*tied, *tied.values()}
    frozen = {name: size for name, size in _sizes(model).items() if name not in trained.names}
    return sum(
        size * (2 if half and name in matrices else _FLOAT) for name, size in frozen.items()
    )
