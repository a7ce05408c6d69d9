"""What of a model lies outside its blocks and stays the stock module's own: what adds positions to
words or makes patches of images, poolers, classification heads.

These parts are small. They run in 32 bits by torch's own differentiation; their trained parameters
are views of the flat buffers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

from sealtune.training.arithmetic import forward_precision
from sealtune.training.engine.build import LoraTerms
from sealtune.training.engine.choices import Choices
from sealtune.training.engine.dropout import Dropout, dropped
from sealtune.training.engine.flat import FlatParameters
from sealtune.training.lora import add_adapters


def place_parameters(
    module: Any,
    names: Iterable[str],
    *,
    value_of: Callable[[str], torch.Tensor],
    flat: FlatParameters,
) -> None:
    """Give the parameters `names` of `module` their values; trained ones share `flat`'s memory."""
    for full in names:
        owner, _, name = full.rpartition(".")
        trained = full in flat.slots
        value = flat.value(full) if trained else value_of(full)
        parameter = nn.Parameter(value, requires_grad=trained)
        if trained:
            parameter.grad = flat.gradient(full)
        module.get_submodule(owner)._parameters[name] = parameter


def place_adapters(
    module: Any, targets: Sequence[str], *, terms: LoraTerms, flat: FlatParameters
) -> None:
    """Put adapters on the linear layers `targets` of `module`; they share `flat`'s memory."""
    add_adapters(module, targets, terms=terms)
    for target in targets:
        part = module.get_submodule(target)
        for name in list(part._parameters):
            parameter = nn.Parameter(flat.value(f"{target}.{name}"))
            parameter.grad = flat.gradient(f"{target}.{name}")
            part._parameters[name] = parameter


def move_buffers(module: Any, device: torch.device) -> None:
    """Bring what modules know beside parameters (positions, frequencies) to `device`."""
    for part in module.modules():
        for name, buffer in part._buffers.items():
            if buffer is not None and not buffer.is_meta:
                part._buffers[name] = buffer.to(device)


def count_dropout(module: Any, dropout: Dropout) -> None:
    """Let the dropout layers of `module` take their masks from `dropout`.

    What they drop is then a function of seed, step and micro-batch, as it is in blocks, and made
    four times as fast as torch makes it.
    """
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(part, name, _Drop(child.p, dropout))


class _Drop(nn.Module):  # type: ignore[misc]  # torch is unseen by mypy here
    def __init__(self, rate: float, dropout: Dropout) -> None:
        super().__init__()
        self._rate, self._dropout = rate, dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `x` with values dropped, in training."""
        return dropped(x, self._dropout.mask(x, self._rate), self._rate)


class Entrance:
    """Stock modules before the first block, and what they gave until its gradient comes back.

    `trained` says that what goes into them is.
    """

    def __init__(
        self, modules: Sequence[Any], *, trained: bool, dropout: Dropout, choices: Choices
    ) -> None:
        parameters = (p for module in modules for p in module.parameters())
        self.trained = trained or any(parameter.requires_grad for parameter in parameters)
        self._dropout, self._choices = dropout, choices
        self._given: list[torch.Tensor] = []

    def run(self, calls: Sequence[Callable[[], torch.Tensor]]) -> list[torch.Tensor]:
        """Return what each of `calls`, which uses the modules, gives."""
        derive = self.trained and self._dropout.enabled
        choices = self._choices
        context = forward_precision(choices.precision, device=str(choices.device))
        with torch.set_grad_enabled(derive), context:
            given = [call() for call in calls]
        self._given = given if derive else []
        return [tensor.detach().to(choices.dtype) for tensor in given]

    def backward(self, gradients: Sequence[torch.Tensor]) -> None:
        """Take in the gradients of what `run` returned last."""
        given, self._given = self._given, []
        for tensor, gradient in zip(given, gradients, strict=bool(given)):
            tensor.backward(gradient.to(tensor.dtype))


class Exit:
    """The stock model's own way from rows of its base model's output to logits.

    It is the model itself with something in place of its base that returns the rows, each as a
    sequence of one: pooler, dropout and layers are as the model has them.
    """

    def __init__(self, module: Any) -> None:
        name = module.base_model_prefix
        self._base = _Given(pooler=getattr(module.get_submodule(name), "pooler", None))
        # A copy, because the model is to keep its base.
        self._model = copy.copy(module)
        self._model._modules = {**module._modules, name: self._base}

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits (rows, classes) of `rows` (rows, width), differentiable."""
        self._base.hidden = rows.unsqueeze(1)
        # Decoders look for the last id that is no padding: there is only one.
        ids = torch.zeros(rows.shape[0], 1, dtype=torch.int64, device=rows.device)
        logits: torch.Tensor = self._model(**{self._model.main_input_name: ids}).logits
        return logits.view(rows.shape[0], logits.shape[-1])


class _Given(nn.Module):  # type: ignore[misc]  # torch is unseen by mypy here
    """Stands for a base model: whatever it is asked, it returns `hidden`, pooled where it pools."""

    def __init__(self, *, pooler: Any) -> None:
        super().__init__()
        self.pooler = pooler
        self.hidden = torch.empty(0)

    def forward(self, *_: Any, **__: Any) -> Any:
        """Return `hidden` as a base model does."""
        pooled = None if self.pooler is None else self.pooler(self.hidden)
        return BaseModelOutputWithPoolingAndCrossAttentions(
            last_hidden_state=self.hidden, pooler_output=pooled
        )
