"""Attention within segments against the dense product with a block-diagonal mask, in 64 bits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_learners import assert_near

from sealtune.training.engine import segments as segments_module
from sealtune.training.engine.attention import Attention
from sealtune.training.engine.blocks import HeadNorms
from sealtune.training.engine.dropout import Dropout
from sealtune.training.engine.prologue import RmsNorm, Vector
from sealtune.training.engine.segments import TILE, Reach, Segments

WIDTH = 8
REACHES = {
    "both-sides": Reach(causal=False),
    "causal": Reach(causal=True),
    "causal-window": Reach(causal=True, window=100),
    "causal-window-1": Reach(causal=True, window=1),
    "window-to-both-sides": Reach(causal=False, window=64),
}
Rotation = tuple[torch.Tensor, torch.Tensor]


def segments_of(lengths: Sequence[int]) -> Segments:
    bounds = (0, *accumulate(lengths))
    return Segments(bounds=bounds, positions=torch.cat([torch.arange(n) for n in lengths]))


def attention(reach: Reach, *, heads: int = 4, kv_heads: int = 2, **options: object) -> Attention:
    return Attention(
        heads=heads, kv_heads=kv_heads, width=WIDTH, scale=WIDTH**-0.5, reach=reach, **options
    )


def numbers(a: Attention, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    qkv = torch.randn(tokens, (a.heads + 2 * a.kv_heads) * WIDTH, generator=generator)
    return qkv.requires_grad_(), torch.randn(tokens, a.heads * WIDTH, generator=generator)


def rotation(segments: Segments, half: int) -> Rotation:
    angles = segments.positions.unsqueeze(1) * torch.linspace(0.1, 1.0, half)
    return angles.cos(), angles.sin()


def visible(segments: Segments, reach: Reach) -> torch.Tensor:
    numbers = torch.arange(segments.bounds[-1])
    owner = torch.bucketize(numbers, torch.tensor(segments.bounds[1:]), right=True)
    distance = numbers.unsqueeze(1) - numbers
    seen = owner.unsqueeze(1) == owner
    if reach.causal:
        seen &= distance >= 0
    if reach.window:
        seen &= (distance < reach.window) if reach.causal else distance.abs() <= reach.window
    return seen


def dense(
    a: Attention,
    qkv: torch.Tensor,
    segments: Segments,
    turn: Rotation | None,
    factor: torch.Tensor | None = None,
) -> torch.Tensor:
    """The same by one dense matrix per head; `factor` (heads, queries, keys) is dropout's."""
    parts = qkv.double().view(len(qkv), -1, WIDTH)
    keys_end = a.heads + a.kv_heads
    q, k, v = parts[:, : a.heads], parts[:, a.heads : keys_end], parts[:, keys_end:]
    if turn is not None:
        q, k = rotated(q, turn), rotated(k, turn)
    k, v = (t.repeat_interleave(a.heads // a.kv_heads, 1) for t in (k, v))
    scores = torch.einsum("qhd,khd->hqk", q, k) * a.scale
    if a.soft_cap:
        scores = a.soft_cap * torch.tanh(scores / a.soft_cap)
    p = scores.masked_fill(~visible(segments, a.reach), float("-inf")).softmax(-1)
    if factor is not None:
        p = p * factor
    return torch.einsum("hqk,khd->qhd", p, v).reshape(len(qkv), -1)


def rotated(x: torch.Tensor, turn: Rotation) -> torch.Tensor:
    half = turn[0].shape[1]
    cosine, sine = (torch.cat([t, t], 1).unsqueeze(1) for t in turn)
    inside, beyond = x[..., : 2 * half], x[..., 2 * half :]
    other = torch.cat([-inside[..., half:], inside[..., :half]], -1)
    return torch.cat([inside * cosine + other * sine, beyond], -1)


def compare(a: Attention, lengths: Sequence[int], *, half: int = WIDTH // 2) -> None:
    segments = segments_of(lengths)
    turn = rotation(segments, half) if half else None
    qkv, dout = numbers(a, sum(lengths))
    out = a(qkv, segments, turn)
    out.backward(dout)
    mine, qkv.grad = qkv.grad, None
    expected = dense(a, qkv, segments, turn)
    expected.backward(dout.double())
    assert_near(out, expected)
    assert_near(mine, qkv.grad)


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize("soft_cap", [0.0, 2.0])
@pytest.mark.parametrize("keep", [True, False])
def test_output_and_gradient(
    reach: str, heads: int, kv_heads: int, soft_cap: float, keep: bool
) -> None:
    a = attention(
        REACHES[reach],
        heads=heads,
        kv_heads=kv_heads,
        soft_cap=soft_cap,
        keep_probabilities=keep,
    )
    compare(a, [300, 120, 1, 7])


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("length", [TILE - 1, TILE, TILE + 1, 2 * TILE + 1])
def test_at_the_borders_of_tiles(reach: str, length: int) -> None:
    compare(attention(REACHES[reach]), [length, 3])


@pytest.mark.parametrize("window", [TILE - 1, TILE, TILE + 1])
@pytest.mark.parametrize("causal", [True, False])
def test_windows_about_the_size_of_a_tile(causal: bool, window: int) -> None:
    compare(attention(Reach(causal=causal, window=window)), [2 * TILE + 2])


@pytest.mark.parametrize("half", [0, 1, 3])
def test_no_positions_and_partial_ones(half: int) -> None:
    compare(attention(REACHES["causal"]), [40, 9], half=half)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 13), min_size=1, max_size=6),
    causal=st.booleans(),
    window=st.integers(0, 9),
    tile=st.integers(1, 8),
)
def test_ragged_segments(lengths: list[int], causal: bool, window: int, tile: int) -> None:
    with mock.patch.object(segments_module, "TILE", tile):
        compare(attention(Reach(causal=causal, window=window), soft_cap=3.0), lengths)


def test_keeping_probabilities_changes_no_bit() -> None:
    results = []
    for keep in (True, False):
        a = attention(REACHES["causal"], keep_probabilities=keep)
        segments = segments_of([300, 40])
        qkv, dout = numbers(a, 340)
        out = a(qkv, segments, rotation(segments, 4))
        out.backward(dout)
        results.append((out.detach(), qkv.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("reach", REACHES)
def test_nothing_crosses_a_segments_border(reach: str) -> None:
    a = attention(REACHES[reach])
    segments = segments_of([270, 30, 5])
    turn = rotation(segments, 4)
    qkv, dout = numbers(a, 305)
    out = a(qkv, segments, turn)
    changed = qkv.detach().clone()
    changed[270:300] += 1.0
    other = a(changed, segments, turn)
    outside = torch.ones(305, dtype=torch.bool)
    outside[270:300] = False
    assert torch.equal(out[outside], other[outside])
    assert not torch.equal(out[~outside], other[~outside])
    dout[outside] = 0.0
    out.backward(dout)
    assert not qkv.grad[outside].any()
    assert qkv.grad[~outside].any()


@pytest.mark.parametrize("keep", [True, False])
def test_dropout_of_probabilities(keep: bool) -> None:
    """The masks are drawn tile by tile; dense attention with the same ones gives the same."""
    rate, dropout = 0.25, Dropout()
    a = attention(REACHES["causal"], dropout_rate=rate, dropout=dropout, keep_probabilities=keep)
    segments = segments_of([300, 6])
    factor = drawn(a, segments, rate)
    qkv, dout = numbers(a, 306)
    dropout.begin(4)
    out = a(qkv, segments, None)
    out.backward(dout)
    mine, qkv.grad = qkv.grad, None
    expected = dense(a, qkv, segments, None, factor)
    expected.backward(dout.double())
    assert_near(out, expected)
    assert_near(mine, qkv.grad)
    # Evaluation drops nothing.
    dropout.enabled = False
    assert_near(a(qkv, segments, None), dense(a, qkv, segments, None))


def drawn(a: Attention, segments: Segments, rate: float) -> torch.Tensor:
    """Dropout's factors by (head, query, key), drawn as the attention will draw them."""
    a.dropout.begin(4)
    tokens = segments.bounds[-1]
    factor = torch.zeros(a.heads, tokens, tokens)
    for start, length in zip(segments.bounds, segments.lengths, strict=False):
        for tile in segments.tiles(length, a.reach):
            shape = (a.kv_heads, (tile.last - tile.first) * a.groups, tile.end - tile.start)
            mask = a.dropout.mask(torch.empty(shape), rate)
            assert 0.6 < mask.float().mean() < 0.9
            by_head = mask.view(a.kv_heads, -1, a.groups, shape[2]).permute(0, 2, 1, 3)
            rows = slice(start + tile.first, start + tile.last)
            keys = slice(start + tile.start, start + tile.end)
            factor[:, rows, keys] = by_head.reshape(a.heads, -1, shape[2]) / (1 - rate)
    return factor


@pytest.mark.parametrize("reach", REACHES)
def test_tiles_cover_each_query_once_and_all_that_it_sees(reach: str) -> None:
    segments = segments_of([700])
    tiles = segments.tiles(700, REACHES[reach])
    assert sorted(q for t in tiles for q in range(t.first, t.last)) == list(range(700))
    widths = [t.end - t.start for t in tiles]
    assert widths == sorted(widths, reverse=True)
    seen = visible(segments, REACHES[reach])
    for tile in tiles:
        keys = seen[tile.first : tile.last].any(0).nonzero().squeeze(1)
        assert (int(keys[0]), int(keys[-1]) + 1) == (tile.start, tile.end)


@pytest.mark.parametrize("window", [0, 5 * TILE])
def test_a_long_record_needs_two_masks_whatever_its_length(window: int) -> None:
    segments, reach = segments_of([5 * TILE - 5]), Reach(causal=True, window=window)
    masks = {}
    for tile in segments.tiles(5 * TILE - 5, reach):
        mask = segments.mask(tile, reach, groups=3, like=torch.empty(0))
        masks[mask.data_ptr()] = mask.numel()
    assert sorted(masks.values()) == [3 * (TILE - 5) ** 2, 3 * TILE**2]


def test_in_16_bits() -> None:
    a = attention(REACHES["causal"])
    segments = segments_of([300, 40])
    qkv, dout = numbers(a, 340)
    half = qkv.detach().bfloat16().requires_grad_()
    out = a(half, segments, tuple(t.bfloat16() for t in rotation(segments, 4)))
    out.backward(dout.bfloat16())
    expected = dense(a, qkv, segments, rotation(segments, 4))
    expected.backward(dout.double())
    assert_near(out, expected, within=0.02)
    assert_near(half.grad, qkv.grad, within=0.02)


def test_heads_are_normalized_each_by_itself() -> None:
    heads, kv_heads = 4, 2
    query, key = torch.randn(2, WIDTH).unbind()
    gradients = torch.zeros(2, WIDTH)
    norms = HeadNorms(
        query=RmsNorm(weight=Vector(lambda: query, gradients[0]), eps=1e-5),
        key=RmsNorm(weight=Vector(lambda: key, gradients[1]), eps=1e-5, offset=1.0),
        heads=heads,
        kv_heads=kv_heads,
    )
    qkv = torch.randn(9, (heads + 2 * kv_heads) * WIDTH, requires_grad=True)
    out = norms(qkv)
    dout = torch.randn_like(out)
    out.backward(dout)
    mine, qkv.grad = qkv.grad, None
    parts = qkv.view(9, -1, WIDTH)
    weights = [query.clone().requires_grad_(), key.clone().requires_grad_()]
    expected = torch.cat(
        [
            torch.nn.functional.rms_norm(parts[:, :4], (WIDTH,), weights[0], 1e-5),
            torch.nn.functional.rms_norm(parts[:, 4:6], (WIDTH,), weights[1] + 1, 1e-5),
            parts[:, 6:],
        ],
        1,
    ).view(9, -1)
    expected.backward(dout)
    assert_near(out, expected)
    assert_near(mine, qkv.grad)
    assert_near(gradients[0], weights[0].grad)
    assert_near(gradients[1], weights[1].grad)


def test_layers_of_different_kinds_share_segments() -> None:
    """What is remembered of a micro-batch's borders is remembered for one kind of layer."""
    segments = segments_of([300, 40])
    for reach in (*REACHES.values(), Reach(causal=True, window=64)):
        for heads, dtype in ((2, torch.float32), (4, torch.float32), (4, torch.bfloat16)):
            a = attention(reach, heads=heads)
            qkv, _ = numbers(a, 340)
            out = a(qkv.to(dtype), segments, None)
            assert out.dtype is dtype
            assert_near(out, dense(a, qkv, segments, None), within=0.02)
