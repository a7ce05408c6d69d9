"""Attention within the segments of a packed micro-batch, with grouped keys and values, no padding.

Scores are matrix products over tiles of queries: on processors this is several times as fast as
torch's own attention kernel, in both directions. Keys and values are never repeated: the heads that
share one are rows of the same product. A tile computes only the keys that its queries may see.

Softmax and its sums are in 32 bits inside torch's kernels; scores and probabilities have the
compute type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from sealtune.training.engine.cohorts import Cohort
from sealtune.training.engine.dropout import Dropout
from sealtune.training.engine.segments import Reach, Segments, Tile

Pair = tuple[torch.Tensor, torch.Tensor]


class Kernel(Protocol):
    """Another way to compute some attentions (`engine.fused`)."""

    def serves(self, a: Attention, qkv: torch.Tensor, segments: Segments) -> bool:
        """Return whether it computes this one."""
        ...

    def __call__(
        self, a: Attention, qkv: torch.Tensor, segments: Segments, rotation: Pair | None
    ) -> torch.Tensor:
        """Return (tokens, heads * width), every row of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """The shape of a layer's attention: `heads` queries of `width`, `groups` of them to a key."""

    heads: int
    kv_heads: int
    width: int
    scale: float
    reach: Reach
    soft_cap: float = 0.0
    dropout_rate: float = 0.0
    dropout: Dropout = field(default_factory=Dropout)
    keep_probabilities: bool = True
    kernel: Kernel | None = None

    @property
    def groups(self) -> int:
        """How many query heads share a key head."""
        return self.heads // self.kv_heads

    def __call__(
        self, qkv: torch.Tensor, segments: Segments, rotation: Pair | None, *, queries: int = 0
    ) -> torch.Tensor:
        """Return (tokens, heads * width) for `qkv` (tokens, (heads + 2 kv_heads) * width).

        `rotation` holds cosine and sine (tokens, width / 2 at most) of rotary positions. With
        `queries` only the first so many rows of each segment are computed; others have no meaning.
        """
        if self.kernel is not None and self.kernel.serves(self, qkv, segments):
            return self.kernel(self, qkv, segments, rotation)
        result: torch.Tensor = _Attend.apply(qkv, self, segments, rotation, queries)
        return result


class _Attend(torch.autograd.Function):  # type: ignore[misc]  # torch is unseen by mypy here
    @staticmethod
    def forward(
        ctx: Any,
        qkv: torch.Tensor,
        a: Attention,
        segments: Segments,
        rotation: Pair | None,
        queries: int,
    ) -> torch.Tensor:
        q, k, v = _lay_out(qkv, a, rotation)
        out = torch.empty_like(q)
        kept: list[torch.Tensor] = []
        masks: list[torch.Tensor] = []
        scale = a.dropout.scale(a.dropout_rate)
        for cohort in segments.cohorts:
            cq, ck, cv = cohort.take(q, a.groups), cohort.take(k, 1), cohort.take(v, 1)
            result = cohort.room(out, a.groups)
            for tile in segments.tiles(cohort.length, a.reach, queries=queries):
                rows, keys = _slices(tile, a.groups)
                p = _probabilities(cq[:, rows], ck[:, keys], a, segments, cohort, tile)
                mask = a.dropout.mask(p, a.dropout_rate)
                used = p if mask is None else p * mask
                result[:, rows].baddbmm_(used, cv[:, keys], beta=0, alpha=scale)
                if mask is not None:
                    masks.append(mask)
                if a.keep_probabilities:
                    kept.append(p)
            cohort.put(result, out, a.groups)
        ctx.a, ctx.segments, ctx.rotation, ctx.queries = a, segments, rotation, queries
        ctx.scale, ctx.masks = scale, len(masks)
        ctx.save_for_backward(q, k, v, *masks, *kept)
        return _to_rows(out, a)

    @staticmethod
    def backward(ctx: Any, dout: torch.Tensor) -> tuple[Any, ...]:
        a, segments, queries = ctx.a, ctx.segments, ctx.queries
        q, k, v, *saved = ctx.saved_tensors
        masks, probabilities = iter(saved[: ctx.masks]), iter(saved[ctx.masks :])
        dout = _from_rows(dout, a)
        dq = torch.zeros_like(q) if queries else torch.empty_like(q)
        dk, dv = torch.zeros_like(k), torch.zeros_like(v)
        for cohort in segments.cohorts:
            cq, ck, cv = cohort.take(q, a.groups), cohort.take(k, 1), cohort.take(v, 1)
            cd = cohort.take(dout, a.groups)
            if cohort.filling is not None:
                cd.view(q.shape[0], -1, a.groups * a.width)[:, cohort.filling] = 0
            rq, rk, rv = cohort.room(dq, a.groups), cohort.room(dk, 1), cohort.room(dv, 1)
            for tile in segments.tiles(cohort.length, a.reach, queries=queries):
                rows, keys = _slices(tile, a.groups)
                tq, tk, d = cq[:, rows], ck[:, keys], cd[:, rows]
                p, mask = next(probabilities, None), next(masks, None)
                if p is None:
                    p = _probabilities(tq, tk, a, segments, cohort, tile)
                # Dropout's scale is applied where products are: softmax is linear in it backward.
                used = p if mask is None else p * mask
                rv[:, keys].baddbmm_(used.transpose(1, 2), d, alpha=ctx.scale)
                dp = torch.bmm(d, cv[:, keys].transpose(1, 2))
                if mask is not None:
                    dp.mul_(mask)
                ds = torch._softmax_backward_data(dp, p, -1, p.dtype)
                if a.soft_cap:
                    ds = _capped_gradient(ds, tq, tk, a)
                rq[:, rows].baddbmm_(ds, tk, beta=0, alpha=ctx.scale)
                rk[:, keys].baddbmm_(ds.transpose(1, 2), tq, alpha=ctx.scale)
            cohort.put(rq, dq, a.groups)
            cohort.put(rk, dk, 1)
            cohort.put(rv, dv, 1)
        return _gather(dq, dk, dv, a, ctx.rotation), None, None, None, None


def _slices(tile: Tile, groups: int) -> tuple[slice, slice]:
    return slice(tile.first * groups, tile.last * groups), slice(tile.start, tile.end)


def _probabilities(
    q: torch.Tensor, k: torch.Tensor, a: Attention, segments: Segments, cohort: Cohort, tile: Tile
) -> torch.Tensor:
    mask = segments.mask(tile, a.reach, groups=a.groups, like=q)
    hidden = segments.hidden(cohort, tile, a.reach, heads=a.kv_heads, like=q)
    if mask is None:
        mask, hidden = hidden, None
    scores = torch.bmm(q, k.transpose(1, 2))
    if a.soft_cap:
        scores = torch.tanh(scores.div_(a.soft_cap)).mul_(a.soft_cap)
    if mask is not None:
        scores[..., scores.shape[-1] - mask.shape[-1] :] += mask
    if hidden is not None:
        scores += hidden
    return torch.softmax(scores, -1)


def _capped_gradient(
    ds: torch.Tensor, q: torch.Tensor, k: torch.Tensor, a: Attention
) -> torch.Tensor:
    tanh = torch.tanh(torch.bmm(q, k.transpose(1, 2)).div_(a.soft_cap))
    return ds.mul_(tanh.square_().neg_().add_(1))


def _lay_out(
    qkv: torch.Tensor, a: Attention, rotation: Pair | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return queries (kv_heads, tokens * groups, width), scaled, keys and values by head."""
    tokens, groups = qkv.shape[0], a.groups
    parts = qkv.view(tokens, a.heads + 2 * a.kv_heads, a.width)
    q = qkv.new_empty(a.kv_heads, tokens, groups, a.width)
    k = qkv.new_empty(a.kv_heads, tokens, a.width)
    v = qkv.new_empty(a.kv_heads, tokens, a.width)
    into = q.permute(1, 0, 2, 3)
    from_q = parts[:, : a.heads].view(tokens, a.kv_heads, groups, a.width)
    rotate(from_q, into, rotation, scale=a.scale)
    rotate(parts[:, a.heads : a.heads + a.kv_heads], k.transpose(0, 1), rotation)
    v.transpose(0, 1).copy_(parts[:, a.heads + a.kv_heads :])
    return q.view(a.kv_heads, tokens * groups, a.width), k, v


def _gather(
    dq: torch.Tensor, dk: torch.Tensor, dv: torch.Tensor, a: Attention, rotation: Pair | None
) -> torch.Tensor:
    """Return the gradient of `qkv`: the inverse of `_lay_out`."""
    tokens = dk.shape[1]
    result = dq.new_empty(tokens, (a.heads + 2 * a.kv_heads) * a.width)
    parts = result.view(tokens, a.heads + 2 * a.kv_heads, a.width)
    inverse = None if rotation is None else (rotation[0], -rotation[1])
    by_token = dq.view(a.kv_heads, tokens, a.groups, a.width).permute(1, 0, 2, 3)
    into = parts[:, : a.heads].view(tokens, a.kv_heads, a.groups, a.width)
    rotate(by_token, into, inverse, scale=a.scale)
    rotate(dk.transpose(0, 1), parts[:, a.heads : a.heads + a.kv_heads], inverse)
    parts[:, a.heads + a.kv_heads :].copy_(dv.transpose(0, 1))
    return result


def rotate(
    x: torch.Tensor, out: torch.Tensor, rotation: Pair | None, *, scale: float = 1.0
) -> None:
    """Write `x` (tokens, ..., width), rotated by position and scaled, to `out` of its shape.

    Rotary positions (Su et al. 2021) as Hugging Face pairs them: the first half with the second.
    Widths beyond the rotation's (partial rotary) are only scaled.
    """
    if rotation is None:
        torch.mul(x, scale, out=out)
        return
    half = rotation[0].shape[-1]
    shape = (x.shape[0],) + (1,) * (x.dim() - 2) + (half,)
    cosine, sine = (table.view(shape) for table in rotation)
    if scale != 1.0:
        cosine, sine = cosine * scale, sine * scale
    first, second = x[..., :half], x[..., half : 2 * half]
    into_first, into_second = out[..., :half], out[..., half : 2 * half]
    torch.mul(first, cosine, out=into_first)
    into_first.addcmul_(second, sine, value=-1)
    torch.mul(second, cosine, out=into_second)
    into_second.addcmul_(first, sine)
    if 2 * half < x.shape[-1]:
        torch.mul(x[..., 2 * half :], scale, out=out[..., 2 * half :])


def _to_rows(out: torch.Tensor, a: Attention) -> torch.Tensor:
    tokens = out.shape[1] // a.groups
    by_token = out.view(a.kv_heads, tokens, a.groups, a.width).permute(1, 0, 2, 3)
    return by_token.reshape(tokens, a.heads * a.width)


def _from_rows(dout: torch.Tensor, a: Attention) -> torch.Tensor:
    tokens = dout.shape[0]
    by_head = dout.view(tokens, a.kv_heads, a.groups, a.width).permute(1, 0, 2, 3)
    return by_head.reshape(a.kv_heads, tokens * a.groups, a.width)
