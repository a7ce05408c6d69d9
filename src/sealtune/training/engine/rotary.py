"""Rotary positions, as the stock module of the model computes their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sealtune.training.engine.attention import Pair
from sealtune.training.engine.families import Family, named

_ALL = "all"  # the rotation of models whose layers share one


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotary:
    """The rotation of each layer by name, an empty one for a layer without; `stock` knows them."""

    stock: Any
    layers: Sequence[str]
    dtype: torch.dtype

    def tables(self, positions: torch.Tensor) -> dict[str, Pair]:
        """Return cosine and sine (tokens, half of the width) of each rotation."""
        names = dict.fromkeys(name for name in self.layers if name)
        return {name: self._table(name, positions) for name in names}

    def _table(self, name: str, positions: torch.Tensor) -> Pair:
        like = torch.empty(0, dtype=self.dtype, device=positions.device)
        kind = () if name == _ALL else (name,)
        cosine, sine = self.stock(like, positions.unsqueeze(0), *kind)
        half = cosine.shape[-1] // 2
        return cosine[0, :, :half].contiguous(), sine[0, :, :half].contiguous()


def rotary_of(base: Any, family: Family, *, dtype: torch.dtype) -> Rotary:
    """Return the rotations of the stock model `base` of `family`, which may have none."""
    config = base.config
    stock = getattr(base, "rotary_emb", None)
    layers = [_ALL if stock is not None else ""] * config.num_hidden_layers
    if family.kinds_rotate:
        layers = list(named(config, family.layer_kinds))
    used = named(config, family.rotated)  # SmolLM 3; 1 is for a layer that is rotated
    if used:
        layers = [name if use else "" for name, use in zip(layers, used, strict=True)]
    return Rotary(stock=stock, layers=tuple(layers), dtype=dtype)
