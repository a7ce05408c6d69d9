"""Where a run stands, and its training checkpoint: everything a resumed run needs to end alike.

A checkpoint is one safetensors blob (never pickle): trained parameters, the optimizer's moments,
the best parameters so far, the random state, and numbers as canonical JSON in the metadata. It is
neither encrypted nor authenticated here; its sink does that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import MIB, OWNED_JSON_MARKS_MAX
from sealtune.errors import Code, SealtuneError, TrainingError
from sealtune.training.recipe import Recipe

_VERSION = "sealtune-training-state/1"
_METADATA = "sealtune"
_MOMENTS = ("exp_avg", "exp_avg_sq")


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
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    def advance(self, *, loss: float, tokens: int) -> None:
        """Count one more optimizer step."""
        self.step += 1
        self.tokens += tokens
        self.loss_sum += loss

    def judge(
        self, metrics: dict[str, float], parameters: Mapping[str, nn.Parameter], *, patience: int
    ) -> None:
        """Take in an evaluation; with `patience`, keep the best weights and decide on stopping."""
        if not patience:
            self.evaluation_after = metrics
            return
        if metrics["loss"] < (math.inf if self.best_loss is None else self.best_loss):
            self.best_loss = metrics["loss"]
            self.evaluation_after = metrics
            self.evaluations_without_gain = 0
            self.best = {name: p.detach().clone() for name, p in parameters.items()}
            return
        self.evaluations_without_gain += 1
        self.stopped = self.evaluations_without_gain >= patience

    def restore_best(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Put the best weights back, where early stopping kept any."""
        with torch.no_grad():
            for name, value in self.best.items():
                parameters[name].copy_(value)


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
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    fingerprint: str,
) -> bytes:
    """Return the training checkpoint of this moment."""
    tensors = {f"weight/{name}": p.detach().contiguous() for name, p in parameters.items()}
    for name, parameter in parameters.items():
        for moment in _MOMENTS:
            if parameter in optimizer.state:
                tensors[f"{moment}/{name}"] = optimizer.state[parameter][moment]
    tensors.update({f"best/{name}": value for name, value in state.best.items()})
    tensors["random"] = torch.get_rng_state()
    numbers = {f.name: getattr(state, f.name) for f in fields(state) if f.name != "best"}
    metadata = {"version": _VERSION, "fingerprint": fingerprint, "state": numbers}
    text = canonical_json(metadata).decode()
    blob: bytes = safetensors.torch.save(tensors, metadata={_METADATA: text})
    return blob


def unpack_state(
    blob: bytes,
    *,
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    fingerprint: str,
) -> TrainingState:
    """Put `parameters`, `optimizer` and the random state back and return the rest.

    Raises:
        TrainingError: `CHECKPOINT_FOREIGN`: not a checkpoint of a run with this recipe and data.
    """
    tensors, metadata = _read(blob)
    if metadata.get("version") != _VERSION or metadata.get("fingerprint") != fingerprint:
        raise _foreign("of another recipe, other data or another version")
    state = TrainingState(**metadata["state"])
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(_take(tensors, f"weight/{name}", like=parameter))
            if f"{_MOMENTS[0]}/{name}" in tensors:
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(state.step)),
                    **{m: _take(tensors, f"{m}/{name}", like=parameter) for m in _MOMENTS},
                }
    if state.best_loss is not None:
        state.best = {n: _take(tensors, f"best/{n}", like=p) for n, p in parameters.items()}
    torch.set_rng_state(_take(tensors, "random", like=torch.get_rng_state()))
    return state


def _read(blob: bytes) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        tensors = safetensors.torch.load(blob)
        header = parse_json(
            _header(blob), limit=64 * MIB, marks=OWNED_JSON_MARKS_MAX, what="training checkpoint"
        )
        text = header["__metadata__"][_METADATA]
        metadata: dict[str, Any] = parse_json(text.encode(), limit=MIB, what="training checkpoint")
        return tensors, metadata
    except (safetensors.SafetensorError, SealtuneError, KeyError, TypeError, AttributeError):
        raise _foreign("not readable") from None


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
