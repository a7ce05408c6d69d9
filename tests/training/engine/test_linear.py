"""Projections against the same written with torch's own operations and differentiated by it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from tiny_learners import assert_near
from torch.nn import functional

from sealtune.training.engine.dropout import Dropout, dropped
from sealtune.training.engine.linear import Adapters, Projection, Up
from sealtune.training.engine.prologue import Activation, LayerNorm, Prologue, RmsNorm, Vector

TOKENS, INPUTS, OUTPUTS, RANK, EPS = 37, 24, 40, 4, 1e-5
RATE = 0.25
PROLOGUES = ["none", "rms", "rms-offset", "layer", "layer-no-bias", "gelu", "gelu_new", "relu"]
GATED = ["silu-gated", "gelu_pytorch_tanh-gated"]
# Rows of the output that have an adapter: all of one, two that meet, and one that leaves a gap.
ADAPTERS = {
    "no-adapter": [],
    "one": [slice(0, OUTPUTS)],
    "two": [slice(0, 16), slice(16, OUTPUTS)],
    "gap": [slice(0, 16), slice(30, OUTPUTS)],
}


@dataclass
class Given:
    """One projection's numbers, its gradients and the same as leaves of a plain graph."""

    prologue: str
    rows: list[slice]
    scale: float = 2.0
    dtype: torch.dtype = torch.float32
    gradients: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        wide = 2 * INPUTS if self.prologue.endswith("-gated") else INPUTS
        shapes = {
            "x": (TOKENS, wide),
            "residual": (TOKENS, OUTPUTS),
            "weight": (OUTPUTS, INPUTS),
            "bias": (OUTPUTS,),
            "norm": (INPUTS,),
            "norm_bias": (INPUTS,),
            "down": (RANK * len(self.rows), INPUTS),
            "dy": (TOKENS, OUTPUTS),
            **{f"up{i}": (r.stop - r.start, RANK) for i, r in enumerate(self.rows)},
        }
        self.values = {
            name: torch.randn(shape, generator=generator).to(self.dtype)
            for name, shape in shapes.items()
        }
        self.gradients = {
            name: torch.zeros(shape) for name, shape in shapes.items() if name not in ("x", "dy")
        }

    def vector(self, name: str, *, trained: bool) -> Vector:
        return Vector(lambda: self.values[name], self.gradients[name] if trained else None)

    def projection(
        self, *, bias: bool, trained: bool = False, dropout: Dropout | None = None, rate: float = 0
    ) -> Projection:
        ups = tuple(
            Up(
                rows=rows,
                ranks=slice(i * RANK, (i + 1) * RANK),
                value=self.values[f"up{i}"] * self.scale,
                gradient=self.gradients[f"up{i}"],
                scale=self.scale,
            )
            for i, rows in enumerate(self.rows)
        )
        adapters = Adapters(
            down=self.values["down"], down_gradient=self.gradients["down"], ups=ups, dropout=rate
        )
        return Projection(
            weight=lambda: self.values["weight"],
            bias=self.vector("bias", trained=trained) if bias else None,
            prologue=self.prologue_of(trained=trained),
            adapters=adapters if ups else None,
            weight_gradient=self.gradients["weight"] if trained else None,
            dropout=dropout or Dropout(),
        )

    def prologue_of(self, *, trained: bool) -> Prologue | None:
        norm = self.vector("norm", trained=trained)
        if self.prologue == "none":
            return None
        if self.prologue.startswith("rms"):
            return RmsNorm(weight=norm, eps=EPS, offset=1.0 if "offset" in self.prologue else 0.0)
        if self.prologue.startswith("layer"):
            with_bias = self.prologue == "layer"
            bias = self.vector("norm_bias", trained=trained) if with_bias else None
            return LayerNorm(weight=norm, bias=bias, eps=EPS)
        kind = self.prologue.removesuffix("-gated")
        return Activation(kind=kind, gated=kind != self.prologue)

    def plain(
        self,
        *,
        bias: bool,
        residual: bool,
        mask: torch.Tensor | None = None,
        out_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The output and every gradient by torch, in 64 bits."""
        v = {name: t.double().requires_grad_(name != "dy") for name, t in self.values.items()}
        inputs = self.plain_inputs(v)
        out = inputs @ v["weight"].t()
        if bias:
            out = out + v["bias"]
        thin = dropped(inputs, mask, RATE) @ v["down"].t()
        for i, rows in enumerate(self.rows):
            product = thin[:, i * RANK : (i + 1) * RANK] @ v[f"up{i}"].t()
            out = out + functional.pad(self.scale * product, (rows.start, OUTPUTS - rows.stop))
        if out_mask is not None:
            out = dropped(out, out_mask, RATE)
        if residual:
            out = out + v["residual"]
        out.backward(v["dy"])
        return out, {name: t.grad for name, t in v.items() if t.grad is not None}

    def plain_inputs(self, v: dict[str, torch.Tensor]) -> torch.Tensor:
        x = v["x"]
        functions: dict[str, Callable[[], torch.Tensor]] = {
            "none": lambda: x,
            "rms": lambda: functional.rms_norm(x, (INPUTS,), v["norm"], EPS),
            "rms-offset": lambda: functional.rms_norm(x, (INPUTS,), v["norm"] + 1, EPS),
            "layer": lambda: functional.layer_norm(x, (INPUTS,), v["norm"], v["norm_bias"], EPS),
            "layer-no-bias": lambda: functional.layer_norm(x, (INPUTS,), v["norm"], None, EPS),
            "gelu": lambda: functional.gelu(x),
            "gelu_new": lambda: functional.gelu(x, approximate="tanh"),
            "relu": lambda: functional.relu(x),
            "silu-gated": lambda: functional.silu(x[:, :INPUTS]) * x[:, INPUTS:],
            "gelu_pytorch_tanh-gated": lambda: (
                functional.gelu(x[:, :INPUTS], approximate="tanh") * x[:, INPUTS:]
            ),
        }
        return functions[self.prologue]()


def leaves(given: Given) -> tuple[torch.Tensor, torch.Tensor]:
    x, residual = (given.values[name].clone().requires_grad_() for name in ("x", "residual"))
    return x, residual


@pytest.mark.parametrize("prologue", [*PROLOGUES, *GATED])
@pytest.mark.parametrize("adapters", ADAPTERS)
def test_frozen_weights_with_adapters(prologue: str, adapters: str) -> None:
    for bias, residual in itertools.product((False, True), repeat=2):
        given = Given(prologue, ADAPTERS[adapters])
        x, added = leaves(given)
        out = given.projection(bias=bias)(x, added if residual else None)
        out.backward(given.values["dy"])
        expected, gradients = given.plain(bias=bias, residual=residual)
        assert_near(out, expected)
        assert_near(x.grad, gradients["x"])
        if residual:
            assert_near(added.grad, gradients["residual"])
        for name, value in given.gradients.items():
            if name.startswith(("down", "up")) and value.numel():
                assert_near(value, gradients[name])
            elif name != "residual":
                assert not value.any()


@pytest.mark.parametrize("prologue", [*PROLOGUES, *GATED])
def test_trained_weights_biases_and_norms(prologue: str) -> None:
    given = Given(prologue, [])
    x, added = leaves(given)
    projection = given.projection(bias=True, trained=True)
    for _ in range(2):  # gradients add up
        projection(x, added).backward(given.values["dy"])
    _, gradients = given.plain(bias=True, residual=True)
    trained = {name for name in given.gradients if name in gradients} - {"residual", "down"}
    assert {"weight", "bias"} <= trained
    assert ("norm" in trained) is prologue.startswith(("rms", "layer"))
    for name in trained:
        assert_near(given.gradients[name], 2 * gradients[name])
    assert_near(x.grad, 2 * gradients["x"])


@pytest.mark.parametrize("scale", [1.0, 0.125, 8.0])
def test_an_adapters_factor(scale: float) -> None:
    given = Given("rms", ADAPTERS["two"], scale=scale)
    x, added = leaves(given)
    out = given.projection(bias=False)(x, added)
    out.backward(given.values["dy"])
    expected, gradients = given.plain(bias=False, residual=True)
    assert_near(out, expected)
    for name in ("down", "up0", "up1"):
        assert_near(given.gradients[name], gradients[name])


@pytest.mark.parametrize("prologue", ["none", "rms", "silu-gated"])
def test_adapters_dropout(prologue: str) -> None:
    given, dropout = Given(prologue, ADAPTERS["two"]), Dropout()
    dropout.begin(1, 2, 3)
    mask = dropout.mask(torch.empty(TOKENS, INPUTS), RATE)
    x, added = leaves(given)
    dropout.begin(1, 2, 3)
    out = given.projection(bias=True, dropout=dropout, rate=RATE)(x, added)
    out.backward(given.values["dy"])
    expected, gradients = given.plain(bias=True, residual=True, mask=mask)
    assert_near(out, expected)
    assert_near(x.grad, gradients["x"])
    for name in ("down", "up0", "up1"):
        assert_near(given.gradients[name], gradients[name])


@pytest.mark.parametrize("bias", [False, True])
def test_dropout_of_the_output_spares_the_residual(bias: bool) -> None:
    given, dropout = Given("rms", ADAPTERS["one"]), Dropout()
    dropout.begin(7)
    mask = dropout.mask(torch.empty(TOKENS, OUTPUTS), RATE)
    x, added = leaves(given)
    dropout.begin(7)
    out = given.projection(bias=bias, dropout=dropout)(x, added, output_dropout=RATE)
    out.backward(given.values["dy"])
    expected, gradients = given.plain(bias=bias, residual=True, out_mask=mask)
    assert_near(out, expected)
    assert_near(x.grad, gradients["x"])
    assert torch.equal(added.grad, given.values["dy"])
    assert_near(given.gradients["up0"], gradients["up0"])


def test_an_input_that_needs_no_gradient_gets_none() -> None:
    given = Given("rms", ADAPTERS["one"])
    x, added = leaves(given)
    x.requires_grad_(False)
    given.projection(bias=False)(x, added).backward(given.values["dy"])
    _, gradients = given.plain(bias=False, residual=True)
    assert x.grad is None
    assert_near(given.gradients["down"], gradients["down"])


@pytest.mark.parametrize("prologue", [*PROLOGUES, *GATED])
def test_in_16_bits(prologue: str) -> None:
    given = Given(prologue, ADAPTERS["two"], dtype=torch.bfloat16)
    x, added = leaves(given)
    out = given.projection(bias=True, trained=True)(x, added)
    out.backward(given.values["dy"])
    assert (out.dtype, x.grad.dtype) == (torch.bfloat16, torch.bfloat16)
    expected, gradients = given.plain(bias=True, residual=True)
    assert_near(out, expected, within=0.02)
    assert_near(x.grad, gradients["x"], within=0.02)
    for name in ("down", "up0", "up1", "weight", "bias"):
        assert given.gradients[name].dtype is torch.float32
        assert_near(given.gradients[name], gradients[name], within=0.02)


@pytest.mark.parametrize("device", [None, torch.device("cpu")], ids=["host", "device"])
def test_masks_are_a_function_of_the_numbers_alone(device: torch.device | None) -> None:
    like, one, other = torch.empty(100, 41), Dropout(device), Dropout(device)
    one.begin(1, 2, 3, 4)
    first, second = (one.mask(like, RATE) for _ in range(2))
    other.mask(like, RATE)
    other.begin(1, 2, 3, 4)
    assert torch.equal(other.mask(like, RATE), first)
    assert not torch.equal(first, second)
    for numbers in ((2, 1, 3, 4), (1, 2, 3, 5), (1, 2, 4, 4), (0, 2, 3, 4), (1, 2, 3)):
        other.begin(*numbers)
        same = (other.mask(like, RATE) == first).float().mean()
        assert abs(same - (RATE**2 + (1 - RATE) ** 2)) < 0.03


@pytest.mark.parametrize("device", [None, torch.device("cpu")], ids=["host", "device"])
@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_dropout_keeps_the_mean(rate: float, device: torch.device | None) -> None:
    dropout, ones = Dropout(device), torch.ones(300, 301)
    dropout.begin(1)
    mask = dropout.mask(ones, rate)
    assert mask.float().mean() == pytest.approx(1 - rate, abs=0.01)
    assert dropped(ones, mask, rate).mean() == pytest.approx(1, abs=0.03)


def test_nothing_is_dropped_at_rate_0_or_in_evaluation() -> None:
    dropout, x = Dropout(), torch.randn(3, 4)
    assert dropout.mask(x, 0.0) is None
    assert dropped(x, None, 0.5) is x
    dropout.enabled = False
    assert dropout.mask(x, 0.5) is None
