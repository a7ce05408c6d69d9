"""Cross-entropy piece by piece of the vocabulary against torch's over whole logits, in 64 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from far_device import FAR, FarDevice
from tiny_learners import assert_near
from torch.nn import functional

from sealtune.training.engine.cross_entropy import (
    ROWS,
    WIDTH,
    Piece,
    cross_entropy,
    losses_only,
    pieces_of,
    trained_cross_entropy,
)

SCALE = 0.125
Losses = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def numbers(states: int, words: int, *, spread: float = 1.0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(states, 16, generator=generator) * spread
    weight = torch.randn(words, 16, generator=generator)
    return hidden, weight, torch.randint(words, (states,), generator=generator)


def plain(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, soft_cap: float
) -> Losses:
    """Losses, and the gradients of `SCALE` times their sum at hidden states and embeddings."""
    h, w = (t.double().requires_grad_() for t in (hidden, weight))
    logits = h @ w.t()
    if soft_cap:
        logits = soft_cap * torch.tanh(logits / soft_cap)
    losses = functional.cross_entropy(logits, targets, reduction="none")
    (losses.sum() * SCALE).backward()
    return losses.detach(), h.grad, w.grad


def in_pieces(weight: torch.Tensor, size: int) -> Callable[[], Iterator[Piece]]:
    """Pieces in one buffer, as a table on disk gives them: each is overwritten by the next."""

    def pieces() -> Iterator[Piece]:
        buffer = torch.empty_like(weight[:size])
        for first in range(0, len(weight), size):
            rows = weight[first : first + size]
            buffer[: len(rows)] = rows
            yield first, buffer[: len(rows)]
        buffer.fill_(float("nan"))

    return pieces


@pytest.mark.parametrize("soft_cap", [0.0, 3.0])
@pytest.mark.parametrize(
    ("states", "words"),
    [(1, 2), (7, 50), (ROWS, 300), (ROWS + 1, 300), (5, WIDTH), (5, WIDTH + 1), (3, 2 * WIDTH + 7)],
)
def test_losses_and_gradients(states: int, words: int, soft_cap: float) -> None:
    hidden, weight, targets = numbers(states, words)
    expected, dh, dw = plain(hidden, weight, targets, soft_cap)
    losses, gradient = cross_entropy(
        hidden, targets, pieces_of(weight), soft_cap=soft_cap, scale=SCALE
    )
    assert_near(losses, expected)
    assert_near(gradient, dh)
    assert_near(losses_only(hidden, targets, pieces_of(weight), soft_cap=soft_cap), expected)
    into = torch.ones_like(weight)
    losses, gradient = trained_cross_entropy(
        hidden, targets, lambda: pieces_of(weight), into, soft_cap=soft_cap, scale=SCALE
    )
    assert_near(losses, expected)
    assert_near(gradient, dh)
    assert_near(into - 1, dw)  # it adds up


@pytest.mark.parametrize("size", [1, 7, 49, 50, 51])
def test_pieces_of_any_size_each_used_before_the_next(size: int) -> None:
    hidden, weight, targets = numbers(9, 50)
    expected, dh, dw = plain(hidden, weight, targets, 0.0)
    pieces = in_pieces(weight, size)
    losses, gradient = cross_entropy(hidden, targets, pieces(), scale=SCALE)
    assert_near(losses, expected)
    assert_near(gradient, dh)
    assert_near(losses_only(hidden, targets, pieces()), expected)
    into = torch.zeros_like(weight)
    trained_cross_entropy(hidden, targets, pieces, into, scale=SCALE)
    assert_near(into, dw)


@pytest.mark.parametrize("place", [0, WIDTH - 1, WIDTH, 2 * WIDTH - 1, 2 * WIDTH, 2 * WIDTH + 6])
def test_targets_at_the_ends_of_pieces(place: int) -> None:
    hidden, weight, targets = numbers(3, 2 * WIDTH + 7)
    targets[1] = place
    expected, dh, _ = plain(hidden, weight, targets, 0.0)
    losses, gradient = cross_entropy(hidden, targets, pieces_of(weight), scale=SCALE)
    assert_near(losses, expected)
    assert_near(gradient, dh)


@pytest.mark.parametrize("order", ["rising", "falling"])
@pytest.mark.parametrize("spread", [1e2, 1e4])
def test_extreme_logits(order: str, spread: float) -> None:
    """Their exponentials overflow 32 bits, with the largest in the last piece or in the first."""
    hidden, weight, targets = numbers(6, 60, spread=spread)
    weight = weight * torch.linspace(0.1, 3.0, 60).unsqueeze(1)
    if order == "falling":
        weight = weight.flip(0)
    expected, dh, dw = plain(hidden, weight, targets, 0.0)
    assert expected.max() > 100
    into = torch.zeros_like(weight)
    for losses, gradient in (
        cross_entropy(hidden, targets, in_pieces(weight, 20)(), scale=SCALE),
        trained_cross_entropy(hidden, targets, in_pieces(weight, 20), into, scale=SCALE),
    ):
        assert_near(losses, expected)
        assert_near(gradient, dh)
    assert_near(into, dw)


def test_a_certain_prediction_loses_nothing_and_moves_nothing() -> None:
    hidden, weight = torch.tensor([[200.0]]), torch.tensor([[1.0], [0.0], [-1.0]])
    losses, gradient = cross_entropy(hidden, torch.tensor([0]), pieces_of(weight))
    assert losses.tolist() == [0.0]
    assert gradient.tolist() == [[0.0]]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_so(value: float) -> None:
    hidden, weight, targets = numbers(4, 30)
    hidden[2, 0] = value
    losses, _ = cross_entropy(hidden, targets, in_pieces(weight, 10)())
    assert losses.isfinite().tolist() == [True, True, False, True]


def test_in_16_bits() -> None:
    hidden, weight, targets = (t.bfloat16() for t in numbers(200, 500))
    targets = targets.long().clamp_(0, 499)
    expected, dh, dw = plain(hidden, weight, targets, 0.0)
    into = torch.zeros(500, 16)
    for losses, gradient in (
        cross_entropy(hidden, targets, pieces_of(weight), scale=SCALE),
        trained_cross_entropy(hidden, targets, lambda: pieces_of(weight), into, scale=SCALE),
    ):
        assert (losses.dtype, gradient.dtype) == (torch.float32, torch.bfloat16)
        assert_near(losses, expected, within=0.01)
        assert_near(gradient, dh, within=0.02)
    assert_near(into, dw, within=0.02)


def test_equal_to_torchs_own_chunked_one() -> None:
    hidden, weight, targets = numbers(300, 700)
    h = hidden.clone().requires_grad_()
    theirs = functional.linear_cross_entropy(h, weight, targets, reduction="sum")
    (theirs * SCALE).backward()
    losses, gradient = cross_entropy(hidden, targets, pieces_of(weight), scale=SCALE)
    assert_near(losses.sum(), theirs.detach())
    assert_near(gradient, h.grad)


@pytest.mark.parametrize("soft_cap", [0.0, 2.0])
def test_the_same_where_nothing_may_be_asked_of_the_device(soft_cap: float) -> None:
    hidden, weight, targets = numbers(40, WIDTH + 800)
    targets[:4] = torch.tensor([0, WIDTH - 1, WIDTH, WIDTH + 799])  # the ends of pieces
    options = {"soft_cap": soft_cap, "scale": 0.3}
    expected = cross_entropy(hidden, targets, pieces_of(weight), **options)
    grown = torch.zeros_like(weight)
    trained = trained_cross_entropy(hidden, targets, lambda: pieces_of(weight), grown, **options)
    alone = losses_only(hidden, targets, pieces_of(weight), soft_cap=soft_cap)
    with FarDevice() as device:
        h, w, t, g = (x.to(FAR) for x in (hidden, weight, targets, torch.zeros_like(weight)))
        device.crossings.clear()
        found = cross_entropy(h, t, pieces_of(w), **options)
        also = trained_cross_entropy(h, t, lambda: pieces_of(w), g, **options)
        lone = losses_only(h, t, pieces_of(w), soft_cap=soft_cap)
        assert device.crossings == []
        for theirs, ours in zip(
            (*expected, *trained, alone, grown), (*found, *also, lone, g), strict=True
        ):
            assert torch.equal(theirs, ours.cpu())
