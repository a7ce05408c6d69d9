"""A model reduced to the numbers that its memory depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from sealtune.training.engine.build import Anatomy, layouts_of, slots_of
from sealtune.training.engine.families import reach_of, setting
from sealtune.training.engine.layout import stored_dtype
from sealtune.training.engine.lean import anatomy_of
from sealtune.training.engine.segments import Reach, Segments
from sealtune.training.model import LoadedModel
from sealtune.training.sources import WeightSource
from sealtune.training.trained import Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockShape:
    """Values per token of one block, and bytes of its frozen weights.

    `qkv`, `attended`, `up` and `inner` are the widths of what its projections give and take; `thin`
    the ranks of all its adapters; `heads_normed` values are kept before heads are normalized;
    `added` are widths kept for normalizations behind a part or a sum; `norms` rows have statistics.
    `adapted` is the width of all inputs that LoRA's dropout has a mask for; `matrix` the number of
    values of the largest matrix that is trained itself.
    """

    frozen_bytes: int
    width: int
    qkv: int
    attended: int
    up: int
    inner: int
    heads: int
    thin: int
    heads_normed: int
    added: int
    norms: int
    adapted: int
    matrix: int
    reach: Reach

    @property
    def gated(self) -> bool:
        """Whether the feed-forward part has a gate."""
        return self.up != self.inner


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """An embedding: frozen ones may be streamed."""

    words: int
    width: int
    trained: bool

    @property
    def numel(self) -> int:
        """The number of values."""
        return self.words * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """`tables` are the embeddings, tied ones once; `others` the values of frozen tensors beside
    them and the blocks; `trained` the number of trained values, of which `scaled` are multiplied
    before use. `conversion` is the largest tensor that is stored in another type than it has in
    memory, in stored bytes. `exported` are the values of the result.
    """

    blocks: tuple[BlockShape, ...]
    tables: tuple[TableShape, ...]
    others: int
    trained: int
    scaled: int
    conversion: int
    exported: int
    vocabulary: int
    labels: int
    predicts_words: bool
    lora_dropout: float
    out_dropout: float
    down_dropout: float
    attention_dropout: float
    tokenizer_bytes: int

    @property
    def width(self) -> int:
        """The width of what goes from block to block."""
        return self.blocks[0].width


def shape_of(
    model: LoadedModel, trained: Trained, *, weights: WeightSource, dtype: torch.dtype
) -> ModelShape:
    """Return the numbers of `model`, which has lean blocks, when it computes in `dtype`."""
    anatomy = anatomy_of(model, trained, dtype=dtype)
    slots = slots_of(anatomy)
    inside = {slot.name for slot in slots}
    outside = [name for name in trained.names if name not in inside]
    tables = _tables(model, trained)
    get = model.module.get_parameter
    in_blocks = tuple(f"{name}." for name in anatomy.names)
    others = [
        name
        for name in model.placement
        if not name.startswith(in_blocks) and name not in trained.names and name not in tables
    ]
    count = sum(slot.numel for slot in slots) + sum(get(name).numel() for name in outside)
    config = model.config
    return ModelShape(
        blocks=tuple(
            _block(model, anatomy, index, layout.nbytes)
            for index, layout in enumerate(layouts_of(anatomy))
        ),
        tables=tuple(tables.values()),
        others=sum(math.prod(weights.tensors[model.placement[name]].shape) for name in others),
        trained=count,
        scaled=sum(slot.numel for slot in slots if slot.scale != 1.0),
        conversion=_conversion(model, trained, weights, dtype),
        exported=count if trained.lora is not None else _values(model),
        vocabulary=max((table.words for table in tables.values()), default=0),
        labels=getattr(config, "num_labels", 0),
        predicts_words=model.module.get_output_embeddings() is not None,
        lora_dropout=0.0 if trained.lora is None else trained.lora.dropout,
        out_dropout=setting(config, anatomy.family.out_dropout),
        down_dropout=setting(config, anatomy.family.down_dropout),
        attention_dropout=attention_dropout(config),
        tokenizer_bytes=len(weights.files.get("tokenizer.json", b"")),
    )


def visible_pairs(length: int, reach: Reach) -> int:
    """Return how many scores attention computes for a segment of `length` tokens."""
    segments = Segments(bounds=(0, length), positions=torch.empty(0))
    tiles = segments.tiles(length, reach)
    return sum((tile.last - tile.first) * (tile.end - tile.start) for tile in tiles)


def attention_dropout(config: Any) -> float:
    """Return the rate at which `config` drops attention's probabilities in training."""
    names = ("attention_dropout", "attention_probs_dropout_prob")
    return next((float(rate) for name in names if (rate := getattr(config, name, 0.0))), 0.0)


def _block(model: LoadedModel, anatomy: Anatomy, index: int, frozen_bytes: int) -> BlockShape:
    name, family = anatomy.names[index], anatomy.family
    parts = dict(anatomy.tensors(name))
    sizes = {group: anatomy.shape(parts[f"{group}.weight"]) for group, _ in anatomy.groups()}
    adapters = {group: _adapters(anatomy, name, modules) for group, modules in anatomy.groups()}
    behind = (family.after_attention, family.after_forward, family.middle, family.last)
    matrices = [anatomy.shape(names) for names in parts.values() if names[0] in anatomy.trained]
    width = sizes["up"][1]
    return BlockShape(
        frozen_bytes=frozen_bytes,
        width=width,
        qkv=sizes["qkv"][0],
        attended=sizes["out"][1],
        up=sizes["up"][0],
        inner=sizes["down"][1],
        heads=model.config.num_attention_heads,
        thin=sum(adapters.values()) * (anatomy.lora.rank if anatomy.lora else 0),
        heads_normed=sizes["qkv"][0] if family.query_norm else 0,
        added=width * sum(bool(place) for place in behind),
        norms=len(anatomy.norms()),
        adapted=sum(sizes[group][1] for group, count in adapters.items() if count),
        matrix=max((math.prod(shape) for shape in matrices), default=0),
        reach=reach_of(model.config, family, index),
    )


def _adapters(anatomy: Anatomy, block: str, modules: tuple[str, ...]) -> int:
    if anatomy.lora is None:
        return 0
    return sum(f"{block}.{module}" in anatomy.lora.targets for module in modules)


def _tables(model: LoadedModel, trained: Trained) -> dict[str, TableShape]:
    names = {id(value): name for name, value in model.module.named_parameters()}
    ends = (model.module.get_input_embeddings(), model.module.get_output_embeddings())
    weighed = [end.weight for end in ends if getattr(end, "weight", None) is not None]
    tied = getattr(model.module, "all_tied_weights_keys", {})
    found = {}
    for value in weighed:
        name = tied.get(names[id(value)], names[id(value)])
        found[name] = TableShape(
            words=value.shape[0],
            width=value.shape[1],
            trained=name in trained.names,
        )
    return found


def _conversion(
    model: LoadedModel, trained: Trained, weights: WeightSource, dtype: torch.dtype
) -> int:
    sizes = [0]
    for name, stored in model.placement.items():
        info = weights.tensors[stored]
        kind = stored_dtype(stored, info)
        if kind != (torch.float32 if name in trained.names else dtype):
            sizes.append(math.prod(info.shape) * kind.itemsize)
    return max(sizes)


def _values(model: LoadedModel) -> int:
    tied = set(getattr(model.module, "all_tied_weights_keys", {}))
    return sum(p.numel() for name, p in model.module.named_parameters() if name not in tied)
