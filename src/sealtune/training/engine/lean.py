"""A model of a known family, computed by lean blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from sealtune.training.engine.blocks import normalize
from sealtune.training.engine.build import (
    Anatomy,
    BlockBuilder,
    LoraTerms,
    layouts_of,
    mixed_parts,
    slots_of,
)
from sealtune.training.engine.choices import Choices
from sealtune.training.engine.decoder import (
    DecoderEnds,
    decoder_attention,
    last_tokens,
    rotations_of,
)
from sealtune.training.engine.dropout import Dropout
from sealtune.training.engine.families import FAMILIES
from sealtune.training.engine.flat import FlatParameters, Slot
from sealtune.training.engine.heads import ClassifierHead, LanguageHead
from sealtune.training.engine.layout import read_tensor
from sealtune.training.engine.prologue import ACTIVATIONS, RmsNorm, Vector
from sealtune.training.engine.run import Outcome, Runner
from sealtune.training.engine.spill import Spill
from sealtune.training.engine.store import ResidentStore, Store, StreamedStore
from sealtune.training.engine.tables import ResidentTable, StreamedTable, Table
from sealtune.training.model import LoadedModel
from sealtune.training.packing import PackedBatch
from sealtune.training.recipe import Recipe, Task
from sealtune.training.sources import Scratch, WeightSource
from sealtune.training.trained import Trained

# Rotations whose frequencies depend on how long a batch is belong to the stock module.
_FIXED_ROTATIONS = frozenset({"default", "linear", "llama3", "yarn"})
_CPU = torch.device("cpu")


def why_not_lean(model: LoadedModel, trained: Trained) -> str:
    """Return why `model` has no lean blocks, in words, or an empty string if it has."""
    config = model.config
    if config.model_type not in FAMILIES:
        return f"{config.model_type} has no lean blocks"
    activation = getattr(config, "hidden_activation", None) or config.hidden_act
    if activation not in ACTIVATIONS:
        return f"activation {activation}"
    ropes = getattr(config, "rope_parameters", None) or {}
    kinds = {rope["rope_type"] for rope in _ropes(ropes)}
    if not kinds <= _FIXED_ROTATIONS:
        return f"rotary positions {', '.join(sorted(kinds - _FIXED_ROTATIONS))}"
    if getattr(config, "resid_pdrop", 0.0) or getattr(config, "embd_pdrop", 0.0):
        return "dropout between blocks"
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
    """A decoder of a known family as a Learner."""

    def __init__(
        self,
        model: LoadedModel,
        trained: Trained,
        *,
        weights: WeightSource,
        recipe: Recipe,
        choices: Choices,
        scratch: Scratch | None,
    ) -> None:
        """Read the weights, those that stay in memory.

        Raises:
            FormatError: `MODEL_MALFORMED`.
        """
        self._model, self._trained, self._weights = model, trained, weights
        self._choices = choices
        self._config = model.config
        self._anatomy = anatomy_of(model, trained, dtype=choices.dtype)
        self.parameters = self._make_parameters()
        self._outside = self._make_outside(recipe)
        self.parameters.refresh()
        self._dropout = Dropout()
        self._store = self._make_store()
        self._spill = None
        if choices.spilled and scratch is not None:
            self._spill = Spill(scratch, blocks=range(choices.spilled))
        self._runner = Runner(
            blocks=self._make_blocks(recipe),
            ends=self._make_ends(recipe),
            store=self._store,
            dropout=self._dropout,
            seed=recipe.seed,
            recompute=choices.recompute,
            streamed=choices.streamed,
            room=torch.empty(0, dtype=choices.dtype),
            spill=self._spill,
        )

    def gradients(
        self, batches: Sequence[PackedBatch], *, scale: float, step: int
    ) -> Sequence[Outcome]:
        """As the protocol says."""
        found = self._runner.gradients(batches, scale=scale, step=step)
        return [replace(outcome, gradient=None) for outcome in found]

    def losses(self, batches: Sequence[PackedBatch]) -> Sequence[Outcome]:
        """As the protocol says."""
        return self._runner.losses(batches)

    def adapters(self) -> Mapping[str, tuple[torch.Tensor, torch.Tensor]]:
        """As the protocol says."""
        value = self.parameters.value
        return {
            name: (value(f"{name}.lora_A"), value(f"{name}.lora_B"))
            for name in self._trained.targets
        }

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """As the protocol says."""
        tied = set(getattr(self._model.module, "all_tied_weights_keys", {}))
        names = [name for name in self._model.module.state_dict() if name not in tied]
        return {name: self._tensor(name) for name in names}

    def close(self) -> None:
        """As the protocol says."""
        if self._spill is not None:
            self._spill.close()

    def _tensor(self, name: str) -> torch.Tensor:
        if name in self.parameters.slots:
            return self.parameters.value(name)
        value = torch.empty(self._model.module.state_dict()[name].shape, dtype=torch.float32)
        read_tensor(self._model.placement[name], value, weights=self._weights)
        return value

    def _make_parameters(self) -> FlatParameters:
        inside = slots_of(self._anatomy)
        known = {slot.name for slot in inside}
        module = self._model.module
        others = [
            Slot(name=name, shape=tuple(module.get_parameter(name).shape))
            for name in self._trained.names
            if name not in known
        ]
        flat = FlatParameters([*inside, *others], dtype=self._choices.dtype, device=_CPU)
        for name in self._trained.targets:
            down = flat.value(f"{name}.lora_A")
            nn.init.kaiming_uniform_(down, a=5**0.5)  # PEFT's own initialization
        for name in self._trained.names:
            into = flat.value(name)
            if name in self._model.placement:
                read_tensor(self._model.placement[name], into, weights=self._weights)
            else:
                into.copy_(module.get_parameter(name).detach())
        return flat

    def _make_outside(self, recipe: Recipe) -> Any:
        """Return the classifier's module with its parameters in the flat buffer, or None."""
        if recipe.task is Task.CAUSAL_LM:
            return None
        head = self._model.module.get_submodule("score")
        for name, parameter in list(head.named_parameters()):
            full = f"score.{name}"
            value = nn.Parameter(self._tensor(full), requires_grad=full in self.parameters.slots)
            if value.requires_grad:
                value.grad = self.parameters.gradient(full)
            head._parameters[name] = value
            del parameter
        return head

    def _make_store(self) -> Store:
        layouts = layouts_of(self._anatomy)
        if self._choices.streamed:
            return StreamedStore(layouts, weights=self._weights, buffers=self._choices.ring)
        return ResidentStore(layouts, weights=self._weights, device=_CPU)

    def _make_blocks(self, recipe: Recipe) -> list[Any]:
        rotations = rotations_of(self._config)
        builder = BlockBuilder(
            anatomy=self._anatomy,
            flat=self.parameters,
            store=self._store,
            activation=getattr(self._config, "hidden_activation", None) or self._config.hidden_act,
            eps=self._config.rms_norm_eps,
            attention=lambda layer: decoder_attention(
                self._config,
                layer,
                dropout=self._dropout,
                keep_probabilities=self._choices.keep_probabilities,
            ),
            rotation=lambda layer: rotations[layer],
            dropout=self._dropout,
        )
        return [builder.build(number) for number in range(len(self._anatomy.names))]

    def _make_ends(self, recipe: Recipe) -> DecoderEnds:
        base, family = self._model.base, self._anatomy.family
        embedding_name = f"{base}.{family.embedding}.weight"
        embedding = self._make_table(embedding_name)
        norm = RmsNorm(
            weight=self._make_vector(f"{base}.{family.final_norm}.weight"),
            eps=self._config.rms_norm_eps,
            offset=family.norm_offset,
        )
        head: LanguageHead | ClassifierHead
        if recipe.task is Task.CAUSAL_LM:
            tied = getattr(self._model.module, "all_tied_weights_keys", {})
            output = embedding if "lm_head.weight" in tied else self._make_table("lm_head.weight")
            soft_cap = getattr(self._config, "final_logit_softcapping", None) or 0.0
            head = LanguageHead(norm=norm, output=output, soft_cap=soft_cap)
        else:
            pool = last_tokens(self._config.pad_token_id)
            head = ClassifierHead(
                pool=lambda h, batch: normalize(norm, pool(h, batch)),
                classify=self._outside,
                train=self._outside.train,
            )
        scale = getattr(
            self._model.module.get_submodule(f"{base}.{family.embedding}"), "scalar_embed_scale", 1.0
        )
        return DecoderEnds(
            embedding=embedding,
            embedding_scale=scale,
            rotary=self._model.module.get_submodule(f"{base}.rotary_emb"),
            rotations=tuple(dict.fromkeys(rotations_of(self._config))),
            head_of=head,
            dtype=self._choices.dtype,
            width=self._config.hidden_size,
        )

    def _make_table(self, name: str) -> Table:
        if name in self.parameters.slots:
            flat = self.parameters
            return ResidentTable(flat.computed(name), flat.gradient(name))
        stored = self._model.placement[name]
        if self._choices.tables_streamed:
            return StreamedTable(stored, weights=self._weights, dtype=self._choices.dtype)
        shape = self._model.module.get_parameter(name).shape
        value = torch.empty(shape, dtype=self._choices.dtype)
        read_tensor(stored, value, weights=self._weights)
        return ResidentTable(value)

    def _make_vector(self, name: str) -> Vector:
        if name in self.parameters.slots:
            value, gradient = self.parameters.computed(name), self.parameters.gradient(name)
            return Vector(lambda: value, gradient)
        shape = self._model.module.get_parameter(name).shape
        frozen = torch.empty(shape, dtype=self._choices.dtype)
        read_tensor(self._model.placement[name], frozen, weights=self._weights)
        return Vector(lambda: frozen)
