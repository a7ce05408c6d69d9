"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) around linear layers of a stock module.

Initialization, scaling and names are PEFT's, so that what is trained here loads there unchanged.
The lean blocks have their own (`engine.linear`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sealtune.training.engine.build import LoraTerms


class LoraLinear(nn.Module):  # type: ignore[misc]  # torch is unseen by mypy here
    """A frozen linear layer plus the trained product of two thin matrices."""

    def __init__(self, base: nn.Linear, *, terms: LoraTerms) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scaling = terms.scaling
        self.dropout = terms.dropout
        self.lora_A = nn.Parameter(torch.empty(terms.rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, terms.rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `base(x) + scaling * B A dropout(x)`."""
        thin = functional.dropout(inputs, self.dropout, self.training) if self.dropout else inputs
        delta = functional.linear(functional.linear(thin, self.lora_A), self.lora_B)
        return torch.add(self.base(inputs), delta, alpha=self.scaling)


def add_adapters(module: Any, targets: Iterable[str], *, terms: LoraTerms) -> None:
    """Put an adapter on each of `targets`, full names of linear layers of `module`."""
    for name in targets:
        owner, _, leaf = name.rpartition(".")
        adapter = LoraLinear(module.get_submodule(name), terms=terms)
        setattr(module.get_submodule(owner), leaf, adapter)
