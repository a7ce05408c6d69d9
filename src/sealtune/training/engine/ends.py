"""Builds what stands before and behind the blocks: the kind's entrance and the task's head."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from torch import nn

from sealtune.training.engine.build import eps_of
from sealtune.training.engine.decoder import DecoderEnds
from sealtune.training.engine.dropout import Dropout
from sealtune.training.engine.encoder import EncoderEnds
from sealtune.training.engine.families import Family, Kind, named, setting
from sealtune.training.engine.heads import ClassifierHead, LanguageHead
from sealtune.training.engine.outside import Entrance, Exit
from sealtune.training.engine.pooling import (
    Wanted,
    counted,
    every_token,
    first_patches,
    first_tokens,
    last_tokens,
    normalized,
    supervised_tokens,
    token_means,
)
from sealtune.training.engine.prologue import LayerNorm, RmsNorm
from sealtune.training.engine.rotary import Rotary
from sealtune.training.engine.run import Ends
from sealtune.training.engine.tables import Table
from sealtune.training.engine.values import Values
from sealtune.training.engine.vision import Normalize, VisionEnds
from sealtune.training.recipe import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsBuilder:
    """Makes the ends of one model for `task`; the parts outside of its blocks have their values."""

    family: Family
    task: Task
    values: Values
    rotary: Rotary
    dropout: Dropout
    normalize: Normalize | None

    def build(self) -> Ends:
        """Return the ends."""
        if self.family.kind is Kind.DECODER:
            return self._decoder()
        return self._encoder() if self.family.kind is Kind.ENCODER else self._vision()

    def _decoder(self) -> Ends:
        embedding = self.values.table(self._inside(f"{self.family.embedding}.weight"))
        stock = self._base.get_submodule(self.family.embedding)
        head = self._language(embedding) if self.task is Task.CAUSAL_LM else self._classifier()
        return DecoderEnds(
            embedding=embedding,
            embedding_scale=getattr(stock, "scalar_embed_scale", 1.0),
            rotary=self.rotary,
            wanted=counted(self.wanted()),
            head_of=head,
            width=self.values.model.config.hidden_size,
        )

    def _encoder(self) -> Ends:
        words = self.values.table(self._inside(f"{self.family.embedding}.weight"))
        embeddings = self._base.get_submodule(self.family.embeddings)
        projection = getattr(self._base, self.family.projection or "none", None)
        modules = [embeddings] if projection is None else [embeddings, projection]
        wanted = self.wanted()
        return EncoderEnds(
            words=words,
            embeddings=embeddings,
            projection=projection,
            entrance=self._entrance(modules, trained=words.gradient is not None),
            rotary=self.rotary,
            wanted=counted(wanted),
            queries=1 if wanted is first_tokens else 0,
            head_of=self._classifier(),
            width=self.values.model.config.hidden_size,
        )

    def _vision(self) -> Ends:
        embeddings = self._base.get_submodule(self.family.embeddings)
        if self.normalize is None:
            raise ValueError("a vision model needs to know how pixels are normalized")
        length = embeddings.position_embeddings.shape[1]
        return VisionEnds(
            embeddings=embeddings,
            length=length,
            wanted=first_patches(length),
            normalize=self.normalize,
            entrance=self._entrance([embeddings], trained=False),
            head_of=self._classifier(),
            width=self.values.model.config.hidden_size,
        )

    def _entrance(self, modules: list[Any], *, trained: bool) -> Entrance:
        return Entrance(
            modules,
            trained=trained,
            dropout=self.dropout,
            choices=self.values.choices,
        )

    def _language(self, embedding: Table) -> LanguageHead:
        family, config = self.family, self.values.model.config
        weight = self.values.vector(self._inside(f"{family.final_norm}.weight"))
        eps = eps_of(self._base.get_submodule(family.final_norm))
        norm: RmsNorm | LayerNorm = RmsNorm(weight=weight, eps=eps, offset=family.norm_offset)
        tied = getattr(self.values.model.module, "all_tied_weights_keys", {})
        return LanguageHead(
            norm=norm,
            output=embedding if "lm_head.weight" in tied else self.values.table("lm_head.weight"),
            soft_cap=setting(config, family.logit_cap),
        )

    def _classifier(self) -> ClassifierHead:
        stock, name = Exit(self.values.model.module), self.family.final_norm
        norm = self._base.get_submodule(name) if name else nn.Identity()
        reduction = token_means(norm) if self._takes_means else normalized(norm)
        return ClassifierHead(reduce=reduction, classify=stock)

    def wanted(self) -> Wanted:
        """Return which rows of a text the head looks at."""
        if self.task is not Task.TEXT_CLASSIFICATION:
            return supervised_tokens
        if self.family.kind is Kind.DECODER:
            return last_tokens(self.values.model.config.pad_token_id)
        return every_token if self._takes_means else first_tokens

    @property
    def _takes_means(self) -> bool:
        pooling = named(self.values.model.config, self.family.pooling)
        return self.task is Task.TEXT_CLASSIFICATION and pooling == "mean"

    @property
    def _base(self) -> Any:
        return self.values.model.module.get_submodule(self.values.model.base)

    def _inside(self, name: str) -> str:
        return f"{self.values.model.base}.{name}"


def outside_names(module: Any, *, base: str, family: Family) -> list[str]:
    """Return the parameters of a classifier that are neither in its blocks nor its word table."""
    inside: Collection[str] = (f"{base}.{family.blocks}.",)
    if family.embedding:
        inside = (*inside, f"{base}.{family.embedding}.")
    return [name for name, _ in module.named_parameters() if not name.startswith(tuple(inside))]
