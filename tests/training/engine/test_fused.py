"""Attention by a kernel for segments of any length: what it is given, and what is made of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tiny_learners import assert_near

from sealtune.training.engine.attention import Attention, Pair
from sealtune.training.engine.fused import Fused, fused_for, window_of
from sealtune.training.engine.segments import Reach, Segments

LENGTHS = (9, 9, 4, 1, 13)


def kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_q: torch.Tensor,
    cu_seq_k: torch.Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """What `varlen_attn`'s documentation says of it, score by score."""
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert torch.equal(cu_seq_q, cu_seq_k)
    assert max_q == max_k == int(cu_seq_q.diff().max())
    groups = query.shape[1] // key.shape[1]
    assert enable_gqa or groups == 1
    left, right = window_size
    parts = []
    for start, end in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
        q, k, v = (x[start:end].transpose(0, 1) for x in (query, key, value))
        k, v = k.repeat_interleave(groups, 0), v.repeat_interleave(groups, 0)
        ahead = torch.arange(end - start) - torch.arange(end - start).unsqueeze(1)
        hidden = torch.zeros_like(ahead, dtype=torch.bool)
        if left >= 0:
            hidden |= ahead < -left
        if right >= 0:
            hidden |= ahead > right
        scores = (q @ k.transpose(1, 2) * scale).masked_fill(hidden, -math.inf)
        parts.append((scores.softmax(-1) @ v).transpose(0, 1))
    return torch.cat(parts)


def segments(*, aboard: bool) -> Segments:
    bounds = (0, *torch.tensor(LENGTHS).cumsum(0).tolist())
    positions = torch.cat([torch.arange(n) for n in LENGTHS])
    return Segments(
        bounds=bounds, positions=positions, borders=torch.tensor(bounds) if aboard else None
    )


def rotation(width: int) -> Pair:
    angles = torch.randn(sum(LENGTHS), width // 2, generator=torch.Generator().manual_seed(1))
    return angles.cos(), angles.sin()


def shape(**changes: Any) -> Attention:
    values = {"heads": 4, "kv_heads": 2, "width": 8, "scale": 0.4, "reach": Reach(causal=True)}
    return Attention(**{**values, **changes})


@pytest.mark.parametrize("rotated", [0, 4, 8])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize(
    "reach",
    [
        Reach(causal=True),
        Reach(causal=True, window=1),
        Reach(causal=True, window=4),
        Reach(causal=False),
        Reach(causal=False, window=3),
    ],
)
def test_outputs_and_gradients_are_those_of_tiles(
    reach: Reach, kv_heads: int, rotated: int
) -> None:
    a = shape(reach=reach, kv_heads=kv_heads)
    tables = rotation(rotated) if rotated else None
    given = torch.randn(sum(LENGTHS), (4 + 2 * kv_heads) * 8)
    incoming = torch.randn(sum(LENGTHS), 4 * 8)
    found = []
    for compute in (
        lambda qkv: a(qkv, segments(aboard=False), tables),
        lambda qkv: Fused(kernel)(a, qkv, segments(aboard=True), tables),
    ):
        leaf = given.clone().requires_grad_()
        out = compute(leaf)
        out.backward(incoming)
        found.append((out.detach(), leaf.grad))
    assert_near(found[1][0], found[0][0])
    assert_near(found[1][1], found[0][1])


def test_windows_are_counted_as_the_kernel_does() -> None:
    assert window_of(Reach(causal=True)) == (-1, 0)
    assert window_of(Reach(causal=True, window=4)) == (3, 0)
    assert window_of(Reach(causal=False)) == (-1, -1)
    assert window_of(Reach(causal=False, window=4)) == (4, 4)


def test_what_the_kernel_does_not_compute_is_left_to_tiles() -> None:
    qkv, fused = torch.zeros(sum(LENGTHS), 8 * 8, dtype=torch.bfloat16), Fused(kernel)
    there = segments(aboard=True)
    assert fused.serves(shape(), qkv, there)
    assert not fused.serves(shape(), qkv, segments(aboard=False))
    assert not fused.serves(shape(), qkv.float(), there)
    assert not fused.serves(shape(soft_cap=30.0), qkv, there)
    assert not fused.serves(shape(width=12), qkv, there)
    assert not fused.serves(shape(width=512), qkv, there)
    dropping = shape(dropout_rate=0.1)
    assert not fused.serves(dropping, qkv, there)
    dropping.dropout.enabled = False
    assert fused.serves(dropping, qkv, there)


def test_the_processor_has_no_such_kernel() -> None:
    assert fused_for(torch.device("cpu")) is None


def test_a_layer_takes_its_kernel_where_that_serves() -> None:
    qkv = torch.randn(sum(LENGTHS), 8 * 8).bfloat16()
    there, here = segments(aboard=True), segments(aboard=False)
    taken: list[torch.Tensor] = []

    def noted(*args: Any, **rest: Any) -> torch.Tensor:
        taken.append(args[0])
        return kernel(*args, **rest)

    a = shape(kernel=Fused(noted))
    assert a(qkv, there, None).shape == (sum(LENGTHS), 32)
    assert len(taken) == 1
    a(qkv, here, None)
    assert len(taken) == 1
