"""A model as the `transformers` module that it is: for every architecture without lean blocks.

Batches are padded, adapters are modules around linear layers, and torch differentiates. It is the
reference, too, that the tests compare lean blocks with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from sealtune.training.arithmetic import forward_precision
from sealtune.training.encode import IGNORED
from sealtune.training.engine.choices import Choices
from sealtune.training.engine.flat import FlatParameters, Slot
from sealtune.training.engine.run import Outcome
from sealtune.training.lora import add_adapters
from sealtune.training.model import LoadedModel, fill_model
from sealtune.training.packing import PackedBatch, TargetKind, target_kind
from sealtune.training.recipe import Method, Precision, Recipe
from sealtune.training.sources import WeightSource
from sealtune.training.trained import Trained

Pixels = Any  # (images, channels, height, width) in 8 bits to the same normalized


class StockLearner:
    """The stock module as a Learner; its trained parameters are views of the flat buffers."""

    def __init__(
        self,
        model: LoadedModel,
        trained: Trained,
        *,
        weights: WeightSource,
        recipe: Recipe,
        choices: Choices,
        padding: int,
        normalize: Any = None,
    ) -> None:
        """Read the weights; `padding` fills what is shorter than its batch's longest.

        `normalize` turns 8-bit pixels into what a vision model takes.
        """
        lora = recipe.method is Method.LORA
        fill_model(model, weights=weights, half=lora and choices.precision is Precision.BF16)
        self._module, self._padding, self._normalize = model.module, padding, normalize
        self._kind, self._precision = target_kind(recipe.task), choices.precision
        self._targets = trained.targets
        self._module.requires_grad_(False)
        if trained.lora is not None:
            add_adapters(self._module, trained.targets, terms=trained.lora)
        for name in trained.names:
            self._module.get_parameter(name).requires_grad_(True)
        self.parameters = _flatten(self._module)
        if choices.recompute and self._module.supports_gradient_checkpointing:
            self._module.gradient_checkpointing_enable({"use_reentrant": False})

    def gradients(
        self,
        batches: Sequence[PackedBatch],
        *,
        scale: float,
        step: int,  # noqa: ARG002 - dropout's state is torch's own, which checkpoints keep
    ) -> Sequence[Outcome]:
        """As the protocol says."""
        self._module.train()
        outcomes = []
        for batch in batches:
            loss, hits = self._loss(batch)
            (loss * scale).backward()
            outcomes.append(Outcome(total=loss.detach(), correct=hits))
        return outcomes

    def losses(self, batches: Sequence[PackedBatch]) -> Sequence[Outcome]:
        """As the protocol says."""
        self._module.eval()
        with torch.no_grad():
            found = [self._loss(batch) for batch in batches]
        self._module.train()
        return [Outcome(total=loss, correct=hits) for loss, hits in found]

    def narrowing(self, batches: Sequence[PackedBatch]) -> float:
        """As the protocol says: nothing is in 8 bits here."""
        del batches
        return 0.0

    def adapters(self) -> Mapping[str, tuple[torch.Tensor, torch.Tensor]]:
        """As the protocol says."""
        parts = {name: self._module.get_submodule(name) for name in self._targets}
        return {name: (part.lora_A.detach(), part.lora_B.detach()) for name, part in parts.items()}

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """As the protocol says."""
        tied = set(getattr(self._module, "all_tied_weights_keys", {}))
        return {
            name: value.detach()
            for name, value in self._module.state_dict().items()
            if name not in tied
        }

    def close(self) -> None:
        """As the protocol says: there is nothing to let go of."""

    def _loss(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor | None]:
        with forward_precision(self._precision):
            logits, targets = self._logits(batch)
        loss = functional.cross_entropy(
            logits.float(), targets, ignore_index=IGNORED, reduction="sum"
        )
        if self._kind is TargetKind.NEXT_TOKEN:
            return loss, None
        return loss, (logits.detach().argmax(-1) == targets).sum()

    def _logits(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits (predictions, classes) and targets of every prediction."""
        if batch.pixels is not None:
            return self._module(pixel_values=self._normalize(batch.pixels)).logits, batch.targets
        ids, mask, places = pad(batch, padding=self._padding)
        if self._kind is TargetKind.EACH_RECORD:
            return self._module(input_ids=ids, attention_mask=mask).logits, batch.targets
        wanted = (batch.targets != IGNORED).nonzero().squeeze(1)
        rows, targets = places[wanted], batch.targets[wanted]
        if self._kind is TargetKind.EACH_TOKEN:
            logits = self._module(input_ids=ids, attention_mask=mask).logits
            return logits.flatten(0, 1)[rows], targets
        # Padding is on the right and attention looks to the left, so no mask is needed: real tokens
        # never see it, and what padding sees is not in the loss. That keeps attention's fast path.
        if _shapes_logits(self._module.config):
            logits = self._module(input_ids=ids, use_cache=False).logits
            return logits.flatten(0, 1)[rows], targets
        hidden = self._module.base_model(input_ids=ids, use_cache=False).last_hidden_state
        return self._module.get_output_embeddings()(hidden.flatten(0, 1)[rows]), targets


def _shapes_logits(config: Any) -> bool:
    """Return whether the model does something to logits behind its output matrix."""
    names = ("final_logit_softcapping", "logit_scale", "logits_scaling")
    return any(getattr(config, name, None) not in (None, 1.0) for name in names)


def pad(batch: PackedBatch, *, padding: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return ids and mask (segments, longest) and each token's place in their flattened form."""
    lengths = [end - start for start, end in zip(batch.bounds, batch.bounds[1:], strict=False)]
    longest = max(lengths)
    rows = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    places = rows * longest + batch.positions
    ids = torch.full((len(lengths) * longest,), padding, dtype=torch.int64)
    ids[places] = batch.ids
    mask = torch.zeros_like(ids)
    mask[places] = 1
    return ids.view(-1, longest), mask.view(-1, longest), places


def _flatten(module: Any) -> FlatParameters:
    """Return flat buffers that `module`'s trained parameters are views of from now on."""
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    slots = [Slot(name=name, shape=tuple(p.shape)) for name, p in named.items()]
    flat = FlatParameters(slots, dtype=torch.float32, device=torch.device("cpu"))
    for name, parameter in named.items():
        flat.value(name).copy_(parameter.detach())
        parameter.data = flat.value(name)
        parameter.grad = flat.gradient(name)
    return flat
