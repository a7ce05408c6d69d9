"""Loss and evaluation. Only predictions that enter the loss are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from sealtune.training.arithmetic import forward_precision
from sealtune.training.batches import Batch, collate
from sealtune.training.encode import IGNORED, Example
from sealtune.training.recipe import Recipe, Task


def batch_loss(module: Any, batch: Batch, *, recipe: Recipe) -> tuple[torch.Tensor, int]:
    """Return the sum of the batch's losses (natural log, 32 bits) and how many hits it had.

    A hit is a prediction whose largest logit is the target's; counted for classification only.
    """
    with forward_precision(recipe.precision):
        if recipe.task is Task.CAUSAL_LM:
            logits, targets = _language_logits(module, batch)
        else:
            logits = module(input_ids=batch.ids, attention_mask=batch.mask).logits
            targets = batch.targets
    loss = functional.cross_entropy(logits.float(), targets, reduction="sum")
    if recipe.task is Task.CAUSAL_LM:
        return loss, 0
    return loss, int((logits.detach().argmax(dim=-1) == targets).sum())


def _language_logits(module: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    # Padding is on the right and attention looks to the left, so no mask is needed: real tokens
    # never see it, and what padding sees is not in the loss. That keeps attention's fast path.
    hidden = module.base_model(input_ids=batch.ids, use_cache=False).last_hidden_state
    targets = batch.targets[:, 1:].reshape(-1)
    wanted = (targets != IGNORED).nonzero().squeeze(1)
    states = hidden[:, :-1].reshape(-1, hidden.shape[-1]).index_select(0, wanted)
    return module.get_output_embeddings()(states), targets.index_select(0, wanted)


def evaluate(
    module: Any, examples: Sequence[Example], *, recipe: Recipe, padding: int
) -> dict[str, float]:
    """Return the mean `loss` and, for classification, `accuracy` over `examples`.

    Leaves the module in training mode. Empty without examples.
    """
    if not examples:
        return {}
    module.eval()
    ordered = sorted(examples, key=lambda example: len(example.ids), reverse=True)
    total, hits, count = 0.0, 0, 0
    for start in range(0, len(ordered), recipe.batch_size):
        batch = collate(ordered[start : start + recipe.batch_size], padding=padding)
        with torch.no_grad():
            loss, right = batch_loss(module, batch, recipe=recipe)
        total += float(loss)
        hits += right
        count += batch.supervised
    module.train()
    metrics = {"loss": total / count}
    if recipe.task is Task.TEXT_CLASSIFICATION:
        metrics["accuracy"] = hits / count
    return metrics
