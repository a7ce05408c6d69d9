"""Predicts the memory of a run that `transformers` computes: from widths, without its code.

What a stock module keeps differs from family to family; the figures per token are of those that
keep most, so for others the prediction is above what is needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from sealtune.training.activations import label_logits
from sealtune.training.architectures import PATCH
from sealtune.training.engine.choices import Choices
from sealtune.training.memory import TOKENIZER_COPIES, Prediction, TrainedValues, peak_of
from sealtune.training.model import LoadedModel
from sealtune.training.recipe import Precision, Recipe, Task
from sealtune.training.shapes import attention_dropout
from sealtune.training.sources import WeightSource
from sealtune.training.trained import Trained
from sealtune.training.workload import BatchShape, Workload

_FLOAT = 4
# Bytes kept for each token and layer, per width of the layer and of its feed-forward part, as
# measured: hardly less in bf16, where what is cast is kept beside what it came from.
_PER_WIDTH = 64
_PER_INNER = 14
# For each pair of tokens and head, where torch has no kernel of its own: with dropout.
_PER_PAIR = {Precision.FP32: 10, Precision.BF16: 6}
_LOGIT_COPIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Widths:
    """What of a configuration activations depend on; `pairs` says whether scores are kept."""

    layers: int
    width: int
    inner: int
    heads: int
    vocabulary: int
    labels: int
    pairs: bool


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
    widths = _widths_of(model.config, recipe)
    sizes = {name: value.numel() for name, value in model.module.named_parameters()}
    steps = workload.batches(choices.tokens)
    evaluated = workload.evaluated(choices.tokens)
    count = _trained_count(model, trained, sizes)
    return peak_of(
        {
            "tokenizer": TOKENIZER_COPIES * len(weights.files.get("tokenizer.json", b"")),
            "frozen weights": _frozen(model, trained, sizes, choices),
        },
        workload=workload,
        trained=TrainedValues(
            count=count,
            # Autocast keeps what it cast of weights that are trained, until the pass is over.
            copies=2 if choices.precision is Precision.BF16 else 0,
            exported=count if trained.lora is not None else sum(sizes.values()),
        ),
        computed=max(_kept(widths, batch, choices) for step in steps for batch in step),
        evaluated=max((_passing(widths, batch) for batch in evaluated), default=0),
        conversion=max(sizes.values()) * _FLOAT,
        recipe=recipe,
    )


def _widths_of(config: Any, recipe: Recipe) -> _Widths:
    if getattr(config, "depths", None):
        return _staged(config, recipe)
    names = ("intermediate_size", "hidden_dim", "ffn_dim")
    inner = next((size for name in names if (size := getattr(config, name, None))), 0)
    return _Widths(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        inner=inner or 4 * config.hidden_size,
        heads=config.num_attention_heads,
        vocabulary=config.vocab_size if recipe.task is Task.CAUSAL_LM else 0,
        labels=len(recipe.labels),
        pairs=config._attn_implementation != "sdpa" or attention_dropout(config) > 0,
    )


def _staged(config: Any, recipe: Recipe) -> _Widths:
    """Return the mean layer of a vision model whose stages have ever fewer tokens, and wider ones.

    An image counts as its patches of 16 x 16 pixels; each stage has a quarter of the last one's.
    """
    depths = config.depths
    sizes = getattr(config, "hidden_sizes", None)
    if not sizes:
        sizes = [config.embed_dim * 2**stage for stage in range(len(depths))]
    first = (PATCH / config.patch_size) ** 2
    values = sum(
        depth * size * first / 4**stage
        for stage, (depth, size) in enumerate(zip(depths, sizes, strict=True))
    )
    width = math.ceil(values / sum(depths))
    # Attention, if any, is within windows: its scores are few.
    return _Widths(
        layers=sum(depths),
        width=width,
        inner=4 * width,
        heads=0,
        vocabulary=0,
        labels=len(recipe.labels),
        pairs=False,
    )


def _kept(widths: _Widths, batch: BatchShape, choices: Choices) -> int:
    tokens = _padded(batch)
    each = widths.width * _PER_WIDTH + widths.inner * _PER_INNER
    pairs = widths.heads * tokens * max(batch.lengths) if widths.pairs else 0
    kept = tokens * each + pairs * _PER_PAIR[choices.precision]
    if choices.recompute:
        kept += tokens * widths.layers * widths.width * _FLOAT
    else:
        kept *= widths.layers
    return kept + _passing(widths, batch)


def _passing(widths: _Widths, batch: BatchShape) -> int:
    logits = batch.supervised * widths.vocabulary * _FLOAT * _LOGIT_COPIES
    labels = label_logits(batch.supervised, widths.labels)
    return labels + max(logits, 3 * _padded(batch) * (widths.width + widths.inner) * _FLOAT)


def _padded(batch: BatchShape) -> int:
    return max(batch.lengths) * len(batch.lengths)


def _trained_count(model: LoadedModel, trained: Trained, sizes: Mapping[str, int]) -> int:
    adapters = 0
    if trained.lora is not None:
        for name in trained.targets:
            rows, columns = model.module.get_parameter(f"{name}.weight").shape
            adapters += trained.lora.rank * (rows + columns)
    return adapters + sum(sizes[name] for name in trained.names)


def _frozen(
    model: LoadedModel, trained: Trained, sizes: Mapping[str, int], choices: Choices
) -> int:
    half = choices.precision is Precision.BF16 and trained.lora is not None
    named = model.module.named_modules()
    matrices = {f"{name}.weight" for name, part in named if isinstance(part, nn.Linear)}
    tied = getattr(model.module, "all_tied_weights_keys", {})
    matrices -= {*tied, *tied.values()}
    return sum(
        size * (2 if half and name in matrices else _FLOAT)
        for name, size in sizes.items()
        if name not in trained.names
    )
