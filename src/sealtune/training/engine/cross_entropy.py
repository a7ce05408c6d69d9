"""Cross-entropy over a vocabulary whose logits never exist as a whole, gradient in the same pass.

The gradient of the loss at a hidden state is the probabilities' mean of the output embeddings minus
the target's. That mean is attention over the vocabulary, with the hidden state as query and the
embeddings as keys and values; so it is computed as FlashAttention is (Dao et al. 2022): piece by
piece of the vocabulary, with a running maximum and sum. One pass over the output embeddings gives
loss and gradient, whether they lie in memory or are decrypted on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

ROWS = 1_024  # hidden states at a time
_RUN = 64  # values whose sum is rounded once
WIDTH = 8_192  # words at a time: a tile of logits stays in the processor's cache

Piece = tuple[int, torch.Tensor]


def pieces_of(weight: torch.Tensor) -> Iterable[Piece]:
    """Yield (first word, rows of `weight`) over the whole vocabulary."""
    for start in range(0, weight.shape[0], WIDTH):
        yield start, weight[start : start + WIDTH]


def cross_entropy(
    hidden: torch.Tensor,
    targets: torch.Tensor,
    pieces: Iterable[Piece],
    *,
    soft_cap: float = 0.0,
    scale: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the losses (states,) in 32 bits and `scale` times the gradient of their sum.

    `pieces` are consecutive rows of the output embeddings with the index of the first, each tensor
    read before the next is asked for. `soft_cap` is Gemma's bound on logits.
    """
    running = _Running(hidden, targets, soft_cap=soft_cap)
    for first, piece in pieces:
        for start in range(0, hidden.shape[0], ROWS):
            running.add(slice(start, start + ROWS), first, piece)
    return running.losses(), running.gradient(scale)


def losses_only(
    hidden: torch.Tensor, targets: torch.Tensor, pieces: Iterable[Piece], *, soft_cap: float = 0.0
) -> torch.Tensor:
    """Return the losses (states,) in 32 bits: for evaluation, at half of the work."""
    running = _Running(hidden, targets, soft_cap=soft_cap, derive=False)
    for first, piece in pieces:
        for start in range(0, hidden.shape[0], ROWS):
            running.add(slice(start, start + ROWS), first, piece)
    return running.losses()


def trained_cross_entropy(
    hidden: torch.Tensor,
    targets: torch.Tensor,
    pieces: Callable[[], Iterable[Piece]],
    weight_gradient: torch.Tensor,
    *,
    soft_cap: float = 0.0,
    scale: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `cross_entropy` does, and add the output embeddings' own gradient.

    That one needs probabilities, and so the sum over the whole vocabulary beforehand: two passes.
    """
    running = _Running(hidden, targets, soft_cap=soft_cap, derive=False)
    for first, piece in pieces():
        for start in range(0, hidden.shape[0], ROWS):
            running.add(slice(start, start + ROWS), first, piece)
    total = running.log_sum()
    gradient = torch.zeros_like(hidden, dtype=torch.float32)
    for first, piece in pieces():
        for start in range(0, hidden.shape[0], ROWS):
            rows = slice(start, start + ROWS)
            logits, slope = _logits(hidden[rows], piece, soft_cap)
            change = logits.float().sub_(total[rows]).exp_()
            _subtract(change, targets[rows] - first)
            if slope is not None:
                change.mul_(slope)
            change = change.mul_(scale).to(hidden.dtype)
            gradient[rows] += torch.mm(change, piece)
            weight_gradient[first : first + piece.shape[0]] += torch.mm(change.t(), hidden[rows])
    return running.losses(), gradient.to(hidden.dtype)


def _row_sums(weights: torch.Tensor) -> torch.Tensor:
    """Return the sum of each row in 32 bits (rows, 1).

    Torch would copy all of a bfloat16 matrix to 32 bits first, which takes 50 times as long as the
    sum. Short runs, each summed in 32 bits and rounded, are off by 1e-4 of the sum together.
    """
    rows, width = weights.shape
    if weights.dtype == torch.float32 or width % _RUN:
        return weights.sum(1, keepdim=True, dtype=torch.float32)
    return weights.view(rows, -1, _RUN).sum(-1).sum(1, keepdim=True, dtype=torch.float32)


def _subtract(change: torch.Tensor, local: torch.Tensor) -> None:
    """Subtract 1 in each row of `change` at its target `local`, if that is among its words."""
    words = change.shape[1]
    if waits(change):
        change -= torch.arange(words, device=change.device).eq(local.unsqueeze(1)).float()
        return
    inside = ((local >= 0) & (local < words)).nonzero().squeeze(1)
    change[inside, local[inside]] -= 1.0


def waits(tensor: torch.Tensor) -> bool:
    """Return whether the host would wait to learn how many rows a condition holds for.

    On an accelerator all rows are computed instead, and those that it does not hold for dropped.
    """
    return bool(tensor.device.type != "cpu")


def _logits(
    hidden: torch.Tensor, piece: torch.Tensor, soft_cap: float
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the logits and, with `soft_cap`, their derivative by what they were before it."""
    logits = torch.mm(hidden, piece.t())
    if not soft_cap:
        return logits, None
    tanh = torch.tanh(logits.div_(soft_cap))
    slope = 1 - tanh.square()
    return tanh.mul_(soft_cap), slope


class _Running:
    """Maximum, sum of exponentials, their mean of embeddings and the target's logit, so far."""

    def __init__(
        self, hidden: torch.Tensor, targets: torch.Tensor, *, soft_cap: float, derive: bool = True
    ) -> None:
        self._hidden, self._targets = hidden, targets
        self._soft_cap, self._derive = soft_cap, derive
        count = hidden.shape[0]
        self._maximum = hidden.new_full((count, 1), float("-inf"), dtype=torch.float32)
        self._sum = hidden.new_zeros((count, 1), dtype=torch.float32)
        self._target_logit = hidden.new_zeros(count, dtype=torch.float32)
        # Losses alone need neither.
        shape = hidden.shape if derive else (0, hidden.shape[1])
        self._mean = hidden.new_zeros(shape, dtype=torch.float32)
        # The target's embedding; with a cap, times the cap's derivative at the target's logit.
        self._embedding = hidden.new_zeros(shape, dtype=torch.float32 if soft_cap else None)

    def add(self, rows: slice, first: int, piece: torch.Tensor) -> None:
        """Take in the words of `piece` for the states in `rows`."""
        hidden = self._hidden[rows]
        logits, slope = _logits(hidden, piece, self._soft_cap)
        self._take_targets(rows, first, piece, logits, slope)
        maximum = torch.maximum(self._maximum[rows], logits.amax(1, keepdim=True).float())
        weights = logits.sub_(maximum.to(logits.dtype)).exp_()
        shrink = torch.exp(self._maximum[rows] - maximum)
        self._sum[rows] = self._sum[rows] * shrink + _row_sums(weights)
        if self._derive:
            if slope is not None:
                weights.mul_(slope)
            self._mean[rows].mul_(shrink).add_(torch.mm(weights, piece))
        self._maximum[rows] = maximum

    def log_sum(self) -> torch.Tensor:
        """Return the logarithm of the sum of all words' exponentials (states, 1)."""
        return self._maximum + self._sum.log()

    def losses(self) -> torch.Tensor:
        """Return the loss of each state."""
        return self.log_sum().squeeze(1) - self._target_logit

    def gradient(self, scale: float) -> torch.Tensor:
        """Return `scale` times the gradient of the sum of losses."""
        gradient = self._mean.div_(self._sum).sub_(self._embedding).mul_(scale)
        return gradient.to(self._hidden.dtype)

    def _take_targets(
        self,
        rows: slice,
        first: int,
        piece: torch.Tensor,
        logits: torch.Tensor,
        slope: torch.Tensor | None,
    ) -> None:
        local = self._targets[rows] - first
        if waits(logits):
            self._take_all_targets(rows, local, piece, logits, slope)
            return
        inside = ((local >= 0) & (local < piece.shape[0])).nonzero().squeeze(1)
        if not inside.numel():
            return
        columns = local[inside]
        where = inside + rows.start
        self._target_logit[where] = logits[inside, columns].float()
        if self._derive:
            embedding = piece[columns]
            if slope is not None:
                embedding = embedding.float() * slope[inside, columns].float().unsqueeze(1)
            self._embedding[where] = embedding

    def _take_all_targets(
        self,
        rows: slice,
        local: torch.Tensor,
        piece: torch.Tensor,
        logits: torch.Tensor,
        slope: torch.Tensor | None,
    ) -> None:
        inside = (local >= 0) & (local < piece.shape[0])
        columns = local.clamp(0, piece.shape[0] - 1)
        picked = logits.gather(1, columns.unsqueeze(1)).squeeze(1).float()
        kept = self._target_logit[rows]
        kept.copy_(torch.where(inside, picked, kept))
        if self._derive:
            embedding = piece.index_select(0, columns)
            if slope is not None:
                embedding = embedding.float() * slope.gather(1, columns.unsqueeze(1)).float()
            taken = self._embedding[rows]
            taken.copy_(torch.where(inside.unsqueeze(1), embedding, taken))
