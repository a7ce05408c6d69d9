"""The values of a model's tensors: trained ones in flat buffers, frozen ones as they are stored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from sealtune.training.engine.choices import Choices
from sealtune.training.engine.flat import FlatParameters
from sealtune.training.engine.layout import read_tensor
from sealtune.training.engine.prologue import Vector
from sealtune.training.engine.tables import ResidentTable, StreamedTable, Table
from sealtune.training.model import LoadedModel
from sealtune.training.sources import WeightSource
from sealtune.training.trained import Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What outside of the store has a model's values, by the names of its skeleton."""

    model: LoadedModel
    weights: WeightSource
    flat: FlatParameters
    choices: Choices

    def initialize(self, trained: Trained) -> None:
        """Give everything trained its first value."""
        for name in trained.targets:
            # PEFT's own initialization; the other factor stays zero. Drawn on the host: the same
            # numbers wherever they go.
            value = self.flat.value(f"{name}.lora_A")
            value.copy_(nn.init.kaiming_uniform_(torch.empty(value.shape), a=5**0.5))
        for name in trained.names:
            self.flat.value(name).copy_(self._stored(name))
        self.flat.refresh()

    def tensor(self, name: str) -> torch.Tensor:
        """Return tensor `name` in 32 bits: itself if it is trained, otherwise a new one, on the
        host.
        """
        return self.flat.value(name) if name in self.flat.slots else self._stored(name)

    def table(self, name: str) -> Table:
        """Return the embedding `name`."""
        if name in self.flat.slots:
            return ResidentTable(self.flat.computed(name), self.flat.gradient(name))
        stored = self.model.placement[name]
        dtype = self.choices.dtype
        if self.choices.tables_streamed:
            return StreamedTable(stored, weights=self.weights, dtype=dtype)
        return ResidentTable(self._frozen(name, dtype))

    def vector(self, name: str) -> Vector:
        """Return the weight `name` of a normalization."""
        if name in self.flat.slots:
            value, gradient = self.flat.computed(name), self.flat.gradient(name)
            return Vector(lambda: value, gradient)
        frozen = self._frozen(name, self.choices.dtype)
        return Vector(lambda: frozen)

    def _frozen(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        return self._read(name, dtype).to(self.flat.values.device)

    def _stored(self, name: str) -> torch.Tensor:
        if name in self.model.placement:
            return self._read(name, torch.float32)
        value: torch.Tensor = self.model.module.get_parameter(name).detach()  # a new module's
        return value

    def _read(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        value = torch.empty(self.model.module.state_dict()[name].shape, dtype=dtype)
        read_tensor(self.model.placement[name], value, weights=self.weights)
        return value
