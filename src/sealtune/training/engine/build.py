"""Builds lean blocks from a model's skeleton: what is frozen goes into layouts, what is trained
into the flat buffers, and each projection learns where its weights are.

The skeleton is the `transformers` module without weights; names, shapes and configuration are taken
from it, so that what is lean and what is stock agree on what the model is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sealtune.training.engine.attention import Attention
from sealtune.training.engine.blocks import Block, HeadNorms
from sealtune.training.engine.dropout import Dropout
from sealtune.training.engine.families import Family
from sealtune.training.engine.flat import FlatParameters, Slot
from sealtune.training.engine.layout import BlockLayout, Part
from sealtune.training.engine.linear import Adapters, Projection, Up
from sealtune.training.engine.prologue import Activation, LayerNorm, Prologue, RmsNorm, Vector
from sealtune.training.engine.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraTerms:
    """Rank, factor and dropout of the adapters, and the full names of the modules that have one."""

    targets: frozenset[str]
    rank: int
    scaling: float
    dropout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """What of a skeleton the blocks are: their full names in order, and where tensors are stored.

    `placement` maps the skeleton's tensor names to stored names; `trained` are the skeleton's
    tensors that are trained themselves; `lora` says which modules have adapters.
    """

    module: Any
    family: Family
    names: tuple[str, ...]
    placement: Mapping[str, str]
    trained: Collection[str]
    lora: LoraTerms | None
    dtype: torch.dtype

    def groups(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return each projection's name in a block and the modules that it joins."""
        family = self.family
        joined = {"qkv": family.qkv, "out": (family.out,), "up": family.up, "down": (family.down,)}
        return tuple(joined.items())

    def norms(self) -> tuple[str, ...]:
        """Return the names within a block of its normalizations."""
        f = self.family
        places = (
            f.before_attention,
            f.after_attention,
            f.middle,
            f.before_forward,
            f.after_forward,
            f.last,
            f.query_norm,
            f.key_norm,
        )
        return tuple(name for name in places if name)

    def tensors(self, block: str) -> Iterable[tuple[str, tuple[str, ...]]]:
        """Yield each part of the block called `block` and the skeleton's tensors that it joins."""
        known = self.module.get_submodule(block)
        for part, modules in self.groups():
            for kind in ("weight", "bias"):
                if getattr(known.get_submodule(modules[0]), kind, None) is not None:
                    yield f"{part}.{kind}", tuple(f"{block}.{name}.{kind}" for name in modules)
        for name in self.norms():
            try:
                norm = known.get_submodule(name)
            except AttributeError:
                continue  # ModernBERT's first block has no norm before attention
            for kind in ("weight", "bias"):
                if getattr(norm, kind, None) is not None:
                    yield f"{name}.{kind}", (f"{block}.{name}.{kind}",)

    def shape(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the shape of the tensors `names` below each other."""
        shapes = [tuple(self.module.get_parameter(name).shape) for name in names]
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])


def layouts_of(anatomy: Anatomy) -> list[BlockLayout]:
    """Return how the frozen weights of each block lie in its buffer.

    A part is frozen or trained as a whole.
    """
    return [
        BlockLayout(
            parts=tuple(
                Part(
                    name=part,
                    stored=tuple(anatomy.placement[name] for name in names),
                    shape=anatomy.shape(names),
                )
                for part, names in anatomy.tensors(block)
                if names[0] not in anatomy.trained
            ),
            dtype=anatomy.dtype,
        )
        for block in anatomy.names
    ]


def mixed_parts(anatomy: Anatomy) -> list[str]:
    """Return the parts of which some tensors are trained and some are not: no lean block can."""
    return [
        f"{block}.{part}"
        for block in anatomy.names
        for part, names in anatomy.tensors(block)
        if len({name in anatomy.trained for name in names}) > 1
    ]


def slots_of(anatomy: Anatomy) -> list[Slot]:
    """Return the trained tensors of the blocks; those that are used together are neighbours."""
    slots: list[Slot] = []
    for block in anatomy.names:
        if anatomy.lora is not None:
            for _, modules in anatomy.groups():
                slots += _adapter_slots(anatomy, anatomy.lora, block, modules)
        for _, names in anatomy.tensors(block):
            slots += [
                Slot(name=name, shape=tuple(anatomy.module.get_parameter(name).shape))
                for name in names
                if name in anatomy.trained
            ]
    return slots


def _adapter_slots(
    anatomy: Anatomy, lora: LoraTerms, block: str, modules: tuple[str, ...]
) -> list[Slot]:
    names = [f"{block}.{module}" for module in modules if f"{block}.{module}" in lora.targets]
    shapes = [anatomy.module.get_parameter(f"{name}.weight").shape for name in names]
    downs = [
        Slot(name=f"{name}.lora_A", shape=(lora.rank, shape[1]))
        for name, shape in zip(names, shapes, strict=True)
    ]
    ups = [
        Slot(name=f"{name}.lora_B", shape=(shape[0], lora.rank), scale=lora.scaling)
        for name, shape in zip(names, shapes, strict=True)
    ]
    return downs + ups


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockBuilder:
    """Makes the blocks of one model; `attention` gives the attention of each by its number."""

    anatomy: Anatomy
    flat: FlatParameters
    store: Store
    activation: str
    attention: Callable[[int], Attention]
    rotation: Callable[[int], str]
    dropout: Dropout
    out_dropout: float = 0.0
    down_dropout: float = 0.0

    def build(self, number: int) -> Block:
        """Return block `number`."""
        f, name = self.anatomy.family, self.anatomy.names[number]
        attention = self.attention(number)
        parts = dict(self.anatomy.tensors(name))

        def norm(place: str) -> Prologue | None:
            if not place or f"{place}.weight" not in parts:
                return None
            return self._norm(number, place, parts)

        activation = Activation(kind=self.activation, gated=f.gated)
        return Block(
            qkv=self._projection(number, "qkv", parts, norm(f.before_attention)),
            attention=attention,
            out=self._projection(number, "out", parts, None),
            up=self._projection(number, "up", parts, norm(f.before_forward)),
            down=self._projection(number, "down", parts, activation),
            rotation=self.rotation(number),
            head_norms=self._head_norms(number, parts, attention),
            attention_norm=norm(f.after_attention),
            forward_norm=norm(f.after_forward),
            middle_norm=norm(f.middle),
            last_norm=norm(f.last),
            out_dropout=self.out_dropout,
            down_dropout=self.down_dropout,
            final=number == len(self.anatomy.names) - 1,
        )

    def _head_norms(
        self, number: int, parts: Mapping[str, tuple[str, ...]], attention: Attention
    ) -> HeadNorms | None:
        family = self.anatomy.family
        if not family.query_norm:
            return None
        query = self._norm(number, family.query_norm, parts)
        key = self._norm(number, family.key_norm, parts)
        if not isinstance(query, RmsNorm) or not isinstance(key, RmsNorm):
            raise TypeError("heads are normalized by their root mean square")
        return HeadNorms(query=query, key=key, heads=attention.heads, kv_heads=attention.kv_heads)

    def _norm(self, number: int, place: str, parts: Mapping[str, tuple[str, ...]]) -> Prologue:
        weight = self._vector(number, f"{place}.weight", parts)
        eps = eps_of(self.anatomy.module.get_submodule(f"{self.anatomy.names[number]}.{place}"))
        if self.anatomy.family.norm == "rms":
            return RmsNorm(weight=weight, eps=eps, offset=self.anatomy.family.norm_offset)
        has_bias = f"{place}.bias" in parts
        bias = self._vector(number, f"{place}.bias", parts) if has_bias else None
        return LayerNorm(weight=weight, bias=bias, eps=eps)

    def _projection(
        self,
        number: int,
        group: str,
        parts: Mapping[str, tuple[str, ...]],
        prologue: Prologue | None,
    ) -> Projection:
        part = f"{group}.weight"
        names = parts[part]
        bias = self._vector(number, f"{group}.bias", parts) if f"{group}.bias" in parts else None
        gradient = None
        weight: Callable[[], torch.Tensor]
        if names[0] in self.anatomy.trained:
            matrix = self.flat.stacked(names, self.flat.compute)
            gradient = self.flat.stacked(names, self.flat.gradients)
            weight = _constant(matrix)
        else:
            weight = self._stored(number, part)
        return Projection(
            weight=weight,
            bias=bias,
            prologue=prologue,
            adapters=self._adapters(names),
            weight_gradient=gradient,
            dropout=self.dropout,
        )

    def _vector(self, number: int, part: str, parts: Mapping[str, tuple[str, ...]]) -> Vector:
        names = parts[part]
        if names[0] not in self.anatomy.trained:
            return Vector(self._stored(number, part))
        whole = self.flat.run(names, self.flat.compute)
        return Vector(_constant(whole), self.flat.run(names, self.flat.gradients))

    def _stored(self, number: int, part: str) -> Callable[[], torch.Tensor]:
        return lambda: self.store.part(number, part)

    def _adapters(self, weights: Sequence[str]) -> Adapters | None:
        lora = self.anatomy.lora
        modules = [name.removesuffix(".weight") for name in weights]
        if lora is None or not any(module in lora.targets for module in modules):
            return None
        flat = self.flat
        ups: list[Up] = []
        downs: list[str] = []
        row = 0
        for module in modules:
            rows = self.anatomy.module.get_parameter(f"{module}.weight").shape[0]
            if module in lora.targets:
                first = len(downs) * lora.rank
                downs.append(f"{module}.lora_A")
                ups.append(
                    Up(
                        rows=slice(row, row + rows),
                        ranks=slice(first, first + lora.rank),
                        value=flat.computed(f"{module}.lora_B"),
                        gradient=flat.gradient(f"{module}.lora_B"),
                        scale=lora.scaling,
                    )
                )
            row += rows
        return Adapters(
            down=flat.stacked(downs, flat.compute),
            down_gradient=flat.stacked(downs, flat.gradients),
            ups=tuple(ups),
            dropout=lora.dropout,
        )


def eps_of(norm: Any) -> float:
    """Return what a stock normalization adds to the variance, whichever name it has for it."""
    return float(norm.eps if hasattr(norm, "eps") else norm.variance_epsilon)


def _constant(value: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: value
