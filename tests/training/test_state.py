"""A training checkpoint gives back what was put in, and refuses what is another run's."""

from __future__ import annotations

import json
from typing import Any

import pytest
import safetensors.torch
import torch

from sealtune.errors import Code, TrainingError
from sealtune.training.engine.choices import Choices
from sealtune.training.engine.flat import FlatParameters, Slot
from sealtune.training.optimizer import Optimizer
from sealtune.training.recipe import Precision, Recipe
from sealtune.training.state import TrainingState, pack_state, run_fingerprint, unpack_state

RECIPE = Recipe(task="causal-lm", method="lora")
CHOICES = Choices(precision=Precision.BF16, tokens=77, recompute=True, spilled=3, ring=4)
STATE = {"step": 2, "tokens": 9, "loss_sum": 1.5, "evaluation_before": {"loss": 2.0}}


def parameters(*, count: int = 3, dtype: torch.dtype = torch.bfloat16) -> FlatParameters:
    slots = [Slot(name="a", shape=(count, 2), scale=0.5), Slot(name="b", shape=(count,))]
    return FlatParameters(slots, dtype=dtype, device=torch.device("cpu"))


def trained() -> tuple[FlatParameters, Optimizer]:
    torch.manual_seed(8)
    flat = parameters()
    flat.values.normal_()
    optimizer = Optimizer(flat, recipe=RECIPE)
    for _ in range(2):
        flat.gradients.normal_()
        optimizer.step(rate=0.1)
    return flat, optimizer


def blob(**changes: Any) -> bytes:
    flat, optimizer = trained()
    state = TrainingState(**{**STATE, **changes})
    return pack_state(
        state, parameters=flat, optimizer=optimizer, choices=CHOICES, fingerprint="sha256:1"
    )


def altered(change: Any) -> bytes:
    """The checkpoint with its metadata passed through `change`."""
    data = blob()
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["sealtune"])
    text = json.dumps(change(metadata))
    return safetensors.torch.save(safetensors.torch.load(data), metadata={"sealtune": text})


def refused(data: bytes, *, count: int = 3) -> None:
    flat = parameters(count=count)
    with pytest.raises(TrainingError) as caught:
        saved = unpack_state(data, fingerprint="sha256:1")
        saved.restore(parameters=flat, optimizer=Optimizer(flat, recipe=RECIPE))
    assert caught.value.code is Code.CHECKPOINT_FOREIGN


def test_everything_comes_back() -> None:
    best = torch.randn(9)
    data = blob(best=best, best_loss=1.25, evaluations_without_gain=1, stopped=True)
    before = torch.get_rng_state()
    drawn = torch.randn(3)
    saved = unpack_state(data, fingerprint="sha256:1")
    assert saved.choices == CHOICES
    flat = parameters()
    optimizer = Optimizer(flat, recipe=RECIPE)
    torch.manual_seed(1)
    state = saved.restore(parameters=flat, optimizer=optimizer)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.randn(3), drawn)
    assert (state.step, state.tokens, state.loss_sum) == (2, 9, 1.5)
    assert (state.best_loss, state.evaluations_without_gain, state.stopped) == (1.25, 1, True)
    assert state.evaluation_before == {"loss": 2.0}
    assert torch.equal(state.best, best)
    like, optimizer_like = trained()
    assert torch.equal(flat.values, like.values)
    assert torch.equal(flat.compute, like.compute)
    for name, parts in optimizer_like.moments().items():
        assert torch.equal(torch.cat(optimizer.moments()[name]), torch.cat(parts))


def test_the_next_steps_are_the_same() -> None:
    saved = unpack_state(blob(), fingerprint="sha256:1")
    flat = parameters()
    optimizer = Optimizer(flat, recipe=RECIPE)
    saved.restore(parameters=flat, optimizer=optimizer)
    like, optimizer_like = trained()
    for _ in range(3):
        gradient = torch.randn(9)
        for each, by in ((flat, optimizer), (like, optimizer_like)):
            each.gradients.copy_(gradient)
            by.step(rate=0.05)
        assert torch.equal(flat.values, like.values)
        assert torch.equal(flat.compute, like.compute)


def test_the_optimizer_is_torchs() -> None:
    """In one buffer what torch's AdamW and clipping do tensor by tensor."""
    recipe = Recipe(task="causal-lm", method="full", weight_decay=0.2, max_grad_norm=0.5)
    flat = parameters(dtype=torch.float32)
    flat.values.normal_()
    tensors = [torch.nn.Parameter(flat.value(name).clone()) for name in ("a", "b")]
    groups = [
        {"params": [tensor], "weight_decay": decay}
        for tensor, decay in zip(tensors, (0.2, 0.0), strict=True)
    ]
    plain = torch.optim.AdamW(groups, lr=0.0)
    optimizer = Optimizer(flat, recipe=recipe)
    for scale in (0.01, 1.0, 30.0):  # below the limit, and above
        for name, tensor in zip(("a", "b"), tensors, strict=True):
            tensor.grad = torch.randn(tensor.shape) * scale
            flat.gradient(name).copy_(tensor.grad)
        torch.nn.utils.clip_grad_norm_(tensors, 0.5)
        for group in plain.param_groups:
            group["lr"] = 0.1
        plain.step()
        optimizer.step(rate=0.1)
        assert not flat.gradients.any()
        for name, tensor in zip(("a", "b"), tensors, strict=True):
            torch.testing.assert_close(flat.value(name), tensor.detach())
    assert torch.equal(flat.computed("a"), flat.value("a") * 0.5)


@pytest.mark.parametrize("name", ["version", "fingerprint", "choices", "state"])
def test_metadata_that_is_not_there(name: str) -> None:
    refused(altered(lambda values: {k: v for k, v in values.items() if k != name}))


NO_CHOICES = [
    ("tokens", "x"),
    ("tokens", 0),
    ("tokens", 2**60),
    ("tokens", True),
    ("ring", 0),
    ("ring", 2**60),
    ("spilled", -3),
    ("spilled", 1.0),
    ("lean", "no"),
    ("recompute", 0),
    ("keep_probabilities", None),
    ("streamed", 1),
    ("tables_streamed", []),
]


@pytest.mark.parametrize(
    "change",
    [
        {"version": "sealtune-training-state/1"},
        {"fingerprint": "sha256:2"},
        {"choices": {"precision": "fp32"}},
        {"choices": {**CHOICES.to_dict(), "precision": "fp8"}},
        {"choices": {**CHOICES.to_dict(), "more": 1}},
        *({"choices": {**CHOICES.to_dict(), name: value}} for name, value in NO_CHOICES),
        {"choices": []},
        {"state": {"steps": 2}},
        {"state": None},
    ],
    ids=str,
)
def test_metadata_of_something_else(change: dict[str, Any]) -> None:
    refused(altered(lambda values: values | change))


@pytest.mark.parametrize("value", [[], 1, "text", None])
def test_metadata_that_is_no_object(value: Any) -> None:
    refused(altered(lambda _: value))


def test_another_model() -> None:
    refused(blob(), count=4)


@pytest.mark.parametrize("name", ["values", "random", "exp_avg_sq", "best"])
@pytest.mark.parametrize("change", ["absent", "longer", "another-type"])
def test_a_tensor_that_does_not_fit(name: str, change: str) -> None:
    data = blob(best=torch.ones(9), best_loss=1.0)
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    tensors = safetensors.torch.load(data)
    value = tensors.pop(name)
    if change == "longer":
        tensors[name] = torch.cat([value, value])
    elif change == "another-type":
        tensors[name] = value.to(torch.float64)
    refused(safetensors.torch.save(tensors, metadata=metadata))


def test_a_fingerprint_is_of_recipe_and_records() -> None:
    facts = {"records": 5, "evaluation_records": 2}
    first = run_fingerprint(RECIPE, **facts)
    other = Recipe(task="causal-lm", method="lora", learning_rate=1e-3)
    assert first == run_fingerprint(Recipe(task="causal-lm", method="lora"), **facts)
    assert first != run_fingerprint(other, **facts)
    for name in facts:
        assert first != run_fingerprint(RECIPE, **{**facts, name: 6})
