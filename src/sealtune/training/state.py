"""Where a run stands, and its training checkpoint: everything a resumed run needs to end alike.

A checkpoint is one safetensors blob (never pickle): the flat buffers of trained values and of the
optimizer's moments, the best values so far, the random state, and numbers as canonical JSON in the
metadata. It is neither encrypted nor authenticated here; its sink does that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import safetensors
import safetensors.torch
import torch

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import MIB, OWNED_JSON_MARKS_MAX
from sealtune.errors import Code, SealtuneError, TrainingError
from sealtune.training.engine.choices import Choices, choices_from_dict
from sealtune.training.engine.flat import FlatParameters
from sealtune.training.engine.layout import bytes_of
from sealtune.training.optimizer import MOMENTS, Optimizer
from sealtune.training.recipe import Recipe

_VERSION = "sealtune-training-state/2"
_METADATA = "sealtune"


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """How far the run is. `evaluation_*` hold the first and last evaluation's metrics."""

    step: int = 0
    tokens: int = 0
    loss_sum: float = 0.0
    evaluation_before: dict[str, float] = field(default_factory=dict)
    evaluation_after: dict[str, float] = field(default_factory=dict)
    best_loss: float | None = None
    evaluations_without_gain: int = 0
    stopped: bool = False
    best: torch.Tensor | None = None

    def advance(self, *, loss: float, tokens: int) -> None:
        """Count one more optimizer step."""
        self.step += 1
        self.tokens += tokens
        self.loss_sum += loss

    def judge(
        self, metrics: dict[str, float], parameters: FlatParameters, *, patience: int
    ) -> None:
        """Take in an evaluation; with `patience`, keep the best weights and decide on stopping."""
        if not patience:
            self.evaluation_after = metrics
            return
        if metrics["loss"] < (math.inf if self.best_loss is None else self.best_loss):
            self.best_loss = metrics["loss"]
            self.evaluation_after = metrics
            self.evaluations_without_gain = 0
            self.best = parameters.values.clone()
            return
        self.evaluations_without_gain += 1
        self.stopped = self.evaluations_without_gain >= patience

    def restore_best(self, parameters: FlatParameters) -> None:
        """Put the best weights back, where early stopping kept any."""
        if self.best is not None:
            parameters.values.copy_(self.best)
            parameters.refresh()


def run_fingerprint(recipe: Recipe, *, records: int, evaluation_records: int) -> str:
    """Return a digest of what a checkpoint must have in common with the run that resumes it."""
    facts = {
        "recipe": recipe.to_dict(),
        "records": records,
        "evaluation_records": evaluation_records,
    }
    return sha256_digest(canonical_json(facts))


def pack_state(
    state: TrainingState,
    *,
    parameters: FlatParameters,
    optimizer: Optimizer,
    choices: Choices,
    fingerprint: str,
) -> bytes:
    """Return the training checkpoint of this moment."""
    tensors = {
        "values": [parameters.values],
        "random": [torch.get_rng_state()],
        **optimizer.moments(),
    }
    if state.best is not None:
        tensors["best"] = [state.best]
    numbers = {f.name: getattr(state, f.name) for f in fields(state) if f.name != "best"}
    metadata = {
        "version": _VERSION,
        "fingerprint": fingerprint,
        "choices": choices.to_dict(),
        "state": numbers,
    }
    return _safetensors(tensors, metadata={_METADATA: canonical_json(metadata).decode()})


def _safetensors(
    tensors: Mapping[str, Sequence[torch.Tensor]], *, metadata: Mapping[str, str]
) -> bytes:
    """Return a safetensors file of vectors, each given as its parts.

    The library's own writer copies every tensor once more.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, parts in tensors.items():
        count = sum(part.numel() for part in parts)
        start, end = end, end + count * parts[0].element_size()
        header[name] = {
            "dtype": _DTYPES[parts[0].dtype],
            "shape": [count],
            "data_offsets": [start, end],
        }
    text = canonical_json(header)
    text += b" " * (-len(text) % 8)
    data = [bytes_of(part.cpu()) for parts in tensors.values() for part in parts]
    return b"".join([len(text).to_bytes(8, "little"), text, *data])


_DTYPES = {torch.float32: "F32", torch.uint8: "U8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedState:
    """A training checkpoint that was read; `restore` puts it into a model that was built for it."""

    state: TrainingState
    choices: Choices
    tensors: Mapping[str, torch.Tensor]

    def restore(self, *, parameters: FlatParameters, optimizer: Optimizer) -> TrainingState:
        """Put values, moments and random state back and return how far the run was.

        Raises:
            TrainingError: `CHECKPOINT_FOREIGN`: of another model.
        """
        like = parameters.values
        like.copy_(_take(self.tensors, "values", like=like))
        parameters.refresh()
        if MOMENTS[0] in self.tensors:
            moments = {name: _take(self.tensors, name, like=like) for name in MOMENTS}
            optimizer.restore(moments, step=self.state.step)
        if self.state.best_loss is not None:
            self.state.best = _take(self.tensors, "best", like=like)
        torch.set_rng_state(_take(self.tensors, "random", like=torch.get_rng_state()))
        return self.state


def unpack_state(blob: bytes, *, fingerprint: str) -> SavedState:
    """Return the training checkpoint in `blob`.

    Raises:
        TrainingError: `CHECKPOINT_FOREIGN`: not a checkpoint of a run with this recipe and data.
    """
    tensors, metadata = _read(blob)
    if metadata.get("version") != _VERSION or metadata.get("fingerprint") != fingerprint:
        raise _foreign("of another recipe, other data or another version")
    try:
        choices = choices_from_dict(metadata["choices"])
        state = TrainingState(**metadata["state"])
    except (KeyError, TypeError, ValueError):
        raise _foreign("not readable") from None
    return SavedState(state=state, choices=choices, tensors=tensors)


def _read(blob: bytes) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        tensors = safetensors.torch.load(blob)
        header = parse_json(
            _header(blob), limit=64 * MIB, marks=OWNED_JSON_MARKS_MAX, what="training checkpoint"
        )
        text = header["__metadata__"][_METADATA]
        metadata = parse_json(text.encode(), limit=MIB, what="training checkpoint")
        if isinstance(metadata, dict):
            return tensors, metadata
    except (safetensors.SafetensorError, SealtuneError, KeyError, TypeError, AttributeError):
        pass
    raise _foreign("not readable")


def _header(blob: bytes) -> bytes:
    # safetensors' loader of bytes does not return the metadata; they lead the file's JSON header.
    length = int.from_bytes(blob[:8], "little")
    return blob[8 : 8 + length]


def _take(tensors: Mapping[str, torch.Tensor], name: str, *, like: torch.Tensor) -> torch.Tensor:
    value = tensors.get(name)
    if value is None or value.shape != like.shape or value.dtype != like.dtype:
        raise _foreign("of another model")
    return value


def _foreign(why: str) -> TrainingError:
    return TrainingError(Code.CHECKPOINT_FOREIGN, f"the training checkpoint is {why}")
