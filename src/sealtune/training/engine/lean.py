"""A model of a known family, computed by lean blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from sealtune.training.engine.blocks import Block
from sealtune.training.engine.build import (
    Anatomy,
    BlockBuilder,
    layouts_of,
    mixed_parts,
    slots_of,
)
from sealtune.training.engine.choices import Choices, Device
from sealtune.training.engine.crossing import aboard
from sealtune.training.engine.devices import open_device
from sealtune.training.engine.dropout import Dropout
from sealtune.training.engine.ends import EndsBuilder, outside_names
from sealtune.training.engine.families import FAMILIES, activation_of, attention_of, named, setting
from sealtune.training.engine.flat import FlatParameters, Slot
from sealtune.training.engine.fused import fused_for
from sealtune.training.engine.outside import (
    count_dropout,
    move_buffers,
    place_adapters,
    place_parameters,
)
from sealtune.training.engine.prologue import ACTIVATIONS
from sealtune.training.engine.quantized import QuantizedStore
from sealtune.training.engine.rotary import rotary_of
from sealtune.training.engine.run import Outcome, Runner
from sealtune.training.engine.spill import Spill
from sealtune.training.engine.store import ResidentStore, Store, StreamedStore
from sealtune.training.engine.values import Values
from sealtune.training.engine.vision import Normalize
from sealtune.training.model import LoadedModel
from sealtune.training.packing import PackedBatch
from sealtune.training.recipe import Recipe, Task
from sealtune.training.sources import Scratch, WeightSource
from sealtune.training.trained import Trained

# Rotations whose frequencies depend on how long a batch is belong to the stock module.
_FIXED_ROTATIONS = frozenset({"default", "linear", "llama3", "yarn"})
_TINY = 1e-9


def why_not_lean(model: LoadedModel, trained: Trained) -> str:
    """Return why `model` has no lean blocks, in words, or an empty string if it has."""
    config = model.config
    if config.model_type not in FAMILIES:
        return f"{config.model_type} has no lean blocks"
    family = FAMILIES[config.model_type]
    if activation_of(config, family) not in ACTIVATIONS:
        return f"activation {activation_of(config, family)}"
    kinds = {rope["rope_type"] for rope in _ropes(getattr(config, "rope_parameters", None) or {})}
    if not kinds <= _FIXED_ROTATIONS:
        return f"rotary positions {', '.join(sorted(kinds - _FIXED_ROTATIONS))}"
    undone = [name for name in family.without if named(config, name)]
    # Keys that the code for masks and layers of all families reads.
    undone += [] if named(config, "is_causal") in (None, True) else ["is_causal"]
    undone += ["per_layer_config"] if named(config, "is_heterogeneous") else []
    if undone:
        return f"{', '.join(undone)} in the configuration"
    if mixed_parts(anatomy_of(model, trained, dtype=torch.float32)):
        return "some matrices that share an input are frozen, some not"
    return ""


def _ropes(parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "rope_type" in parameters:
        yield parameters
        return
    yield from (value for value in parameters.values() if isinstance(value, Mapping))


def anatomy_of(model: LoadedModel, trained: Trained, *, dtype: torch.dtype) -> Anatomy:
    """Return which parts of `model` its blocks are."""
    family = FAMILIES[model.config.model_type]
    prefix = f"{model.base}.{family.blocks}"
    count = len(model.module.get_submodule(prefix))
    return Anatomy(
        module=model.module,
        family=family,
        names=tuple(f"{prefix}.{index}" for index in range(count)),
        placement=model.placement,
        trained=trained.names,
        lora=trained.lora,
        dtype=dtype,
    )


class LeanLearner:
    """A model of a known family as a Learner."""

    def __init__(
        self,
        model: LoadedModel,
        trained: Trained,
        *,
        weights: WeightSource,
        recipe: Recipe,
        choices: Choices,
        scratch: Scratch | None,
        normalize: Normalize | None = None,
    ) -> None:
        """Read the weights, those that stay in memory. `normalize` is for images.

        Raises:
            FormatError: `MODEL_MALFORMED`.
        """
        self._model, self._trained, self._weights = model, trained, weights
        self._choices, self._device = choices, open_device(choices.device)
        self._accelerated = choices.device != Device.CPU
        self._dropout = Dropout(self._device if self._accelerated else None)
        move_buffers(model.module, self._device)
        self._anatomy = anatomy_of(model, trained, dtype=choices.dtype)
        self._rotary = rotary_of(
            model.module.get_submodule(model.base), self._anatomy.family, dtype=choices.dtype
        )
        self.parameters = self._make_parameters()
        self._values = Values(model=model, weights=weights, flat=self.parameters, choices=choices)
        self._values.initialize(trained)
        self._store = self._make_store()
        self._spill = None
        if choices.spilled and scratch is not None:
            self._spill = Spill(scratch, blocks=range(choices.spilled))
        blocks = self._make_blocks()
        # Last: from here on adapters stand between some modules and their names.
        self._settle_outside(recipe)
        ends = EndsBuilder(
            family=self._anatomy.family,
            task=recipe.task,
            values=self._values,
            rotary=self._rotary,
            dropout=self._dropout,
            normalize=normalize,
        )
        self._wanted = ends.wanted
        self._runner = Runner(
            blocks=blocks,
            ends=ends.build(),
            store=self._store,
            dropout=self._dropout,
            seed=recipe.seed,
            recompute=choices.recompute,
            streamed=choices.streamed,
            room=torch.empty(0, dtype=choices.dtype),
            only_adapters=self._only_adapters(),
            spill=self._spill,
        )

    def gradients(
        self, batches: Sequence[PackedBatch], *, scale: float, step: int
    ) -> Sequence[Outcome]:
        """As the protocol says."""
        found = self._runner.gradients(self._there(batches), scale=scale, step=step)
        return [replace(outcome, gradient=None) for outcome in found]

    def losses(self, batches: Sequence[PackedBatch]) -> Sequence[Outcome]:
        """As the protocol says."""
        return self._runner.losses(self._there(batches))

    def _there(self, batches: Sequence[PackedBatch]) -> Sequence[PackedBatch]:
        if not self._accelerated:
            return batches
        return aboard(batches, wanted=self._wanted(), device=self._device)

    def narrowing(self, batches: Sequence[PackedBatch]) -> float:
        """As the protocol says."""
        if not isinstance(self._store, QuantizedStore):
            return 0.0
        narrow = math.fsum(float(outcome.loss) for outcome in self.losses(batches))
        with self._store.exact():
            wide = math.fsum(float(outcome.loss) for outcome in self.losses(batches))
        return abs(narrow - wide) / max(abs(wide), _TINY)

    def adapters(self) -> Mapping[str, tuple[torch.Tensor, torch.Tensor]]:
        """As the protocol says."""
        value = self.parameters.value
        return {
            name: (value(f"{name}.lora_A").cpu(), value(f"{name}.lora_B").cpu())
            for name in self._trained.targets
        }

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """As the protocol says."""
        tied = set(getattr(self._model.module, "all_tied_weights_keys", {}))
        names = [name for name in self._model.module.state_dict() if name not in tied]
        return {name: self._values.tensor(name).cpu() for name in names}

    def close(self) -> None:
        """As the protocol says."""
        if self._spill is not None:
            self._spill.close()

    def _only_adapters(self) -> bool:
        blocks = tuple(f"{name}." for name in self._anatomy.names)
        return not any(name.startswith(blocks) for name in self._anatomy.trained)

    def _make_parameters(self) -> FlatParameters:
        slots = slots_of(self._anatomy)
        known = {slot.name for slot in slots}
        module = self._model.module
        for name in self._trained.names:
            if name not in known:
                slots.append(Slot(name=name, shape=tuple(module.get_parameter(name).shape)))
        for target in self._targets_outside():
            outputs, inputs = module.get_parameter(f"{target}.weight").shape
            rank = self._trained.lora.rank if self._trained.lora else 0
            slots.append(Slot(name=f"{target}.lora_A", shape=(rank, inputs)))
            slots.append(Slot(name=f"{target}.lora_B", shape=(outputs, rank)))
        return FlatParameters(slots, dtype=self._choices.dtype, device=self._device)

    def _targets_outside(self) -> list[str]:
        blocks = tuple(f"{name}." for name in self._anatomy.names)
        return [name for name in self._trained.targets if not name.startswith(blocks)]

    def _settle_outside(self, recipe: Recipe) -> None:
        """Give a classifier's parts outside of the blocks their values and adapters."""
        if recipe.task is Task.CAUSAL_LM:
            return
        module, flat = self._model.module.requires_grad_(False), self.parameters
        names = outside_names(module, base=self._model.base, family=self._anatomy.family)
        place_parameters(
            module,
            names,
            value_of=lambda name: self._values.tensor(name).to(self._device),
            flat=flat,
        )
        count_dropout(module, self._dropout)
        targets = self._targets_outside()
        if self._trained.lora is not None and targets:
            place_adapters(module, targets, terms=self._trained.lora, flat=flat)

    def _make_store(self) -> Store:
        layouts = layouts_of(self._anatomy)
        if self._choices.int8:
            return QuantizedStore(layouts, weights=self._weights)
        if self._choices.streamed:
            return StreamedStore(layouts, weights=self._weights, buffers=self._choices.ring)
        return ResidentStore(layouts, weights=self._weights, device=self._device)

    def _make_blocks(self) -> list[Block]:
        family, config = self._anatomy.family, self._model.config
        kernel = fused_for(self._device)
        builder = BlockBuilder(
            anatomy=self._anatomy,
            flat=self.parameters,
            store=self._store,
            activation=activation_of(config, family),
            attention=lambda layer: attention_of(
                config,
                family,
                layer,
                dropout=self._dropout,
                keep_probabilities=self._choices.keep_probabilities,
                kernel=kernel,
            ),
            rotation=lambda layer: self._rotary.layers[layer],
            dropout=self._dropout,
            out_dropout=setting(config, family.out_dropout),
            down_dropout=setting(config, family.down_dropout),
        )
        return [builder.build(number) for number in range(len(self._anatomy.names))]
