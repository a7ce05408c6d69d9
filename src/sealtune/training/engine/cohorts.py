"""Neighbouring segments of nearly equal length, whose attention is computed together.

Many short segments cost more in calls than in arithmetic. A cohort is a few of them as one batch of
matrix products; shorter ones are filled up, and nothing that is filled in is ever seen. A long
segment is alone in its cohort: what is computed of it lies where it belongs from the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

TOGETHER = 256  # tokens: a longer segment has enough to compute for calls of its own
# In a cohort: as fast as more where memory is used again, and faster where it comes from the system
# each time; and scores stay few.
COHORT = 512
_FILLED = 0.1  # how much filling there may be for a token
# Far below any score, so that its probability is 0; not minus infinity, because filling itself may
# see nothing but filling, and its row is to have a softmax all the same.
_HIDDEN = -3e4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Segments from token `start` to `end`, `count` of them, filled up to `length`.

    `places` (count * length) has the token at each place, of `real` places and of `filling`. All
    three are None where nothing is filled.

    `take`, `room` and `put` are for tensors (heads, tokens * groups, width) and what they are here:
    (heads * count, length * groups, width).
    """

    start: int
    end: int
    count: int
    length: int
    places: torch.Tensor | None
    real: torch.Tensor | None
    filling: torch.Tensor | None

    def take(self, x: torch.Tensor, groups: int) -> torch.Tensor:
        """Return the cohort's part of `x`, a view of it where that is possible."""
        tokens = x.view(x.shape[0], -1, groups * x.shape[2])
        if self.places is None:
            part = tokens[:, self.start : self.end]
        else:
            part = tokens.index_select(1, self.places)
        result: torch.Tensor = part.reshape(-1, self.length * groups, x.shape[2])
        return result

    def room(self, x: torch.Tensor, groups: int) -> torch.Tensor:
        """Return room for the cohort's part of `x`, filled with what `x` has or with zeros."""
        if self._in_place(x, groups):
            return self.take(x, groups)
        return x.new_zeros(x.shape[0] * self.count, self.length * groups, x.shape[2])

    def put(self, part: torch.Tensor, x: torch.Tensor, groups: int) -> None:
        """Write `part`, which `room` gave, to its place in `x`, unless it is there already."""
        if self._in_place(x, groups):
            return
        tokens = part.view(x.shape[0], -1, groups * x.shape[2])
        if self.real is not None:
            tokens = tokens.index_select(1, self.real)
        x.view(x.shape[0], -1, groups * x.shape[2])[:, self.start : self.end] = tokens

    def hidden(self, like: torch.Tensor, *, heads: int) -> torch.Tensor | None:
        """Return what is added to scores, (heads * count, 1, length), so that filling is not seen.

        None where nothing is filled.
        """
        if self.filling is None:
            return None
        values = like.new_zeros(self.count * self.length)
        values[self.filling] = _HIDDEN
        return values.view(self.count, 1, self.length).repeat(heads, 1, 1)

    def _in_place(self, x: torch.Tensor, groups: int) -> bool:
        whole = (self.end - self.start) * groups == x.shape[1]
        return self.places is None and (self.count == 1 or whole)


def cohorts_of(bounds: Sequence[int], *, filled: bool = True) -> list[Cohort]:
    """Return the segments between `bounds` as cohorts, in their order; unless `filled`, those of
    one cohort have one length.
    """
    found: list[Cohort] = []
    first = 0
    while first < len(bounds) - 1:
        last = _last_of(bounds, first, _FILLED if filled else 0.0)
        found.append(_cohort(bounds[first : last + 1]))
        first = last
    return found


def _last_of(bounds: Sequence[int], first: int, filling: float) -> int:
    """Return where the cohort ends that begins with segment `first`."""
    length = bounds[first + 1] - bounds[first]
    last = first + 1
    if length > TOGETHER:
        return last
    while last < len(bounds) - 1 and 0 < bounds[last + 1] - bounds[last] <= length:
        tokens, places = bounds[last + 1] - bounds[first], (last + 1 - first) * length
        if places > COHORT or places > (1 + filling) * tokens:
            break
        last += 1
    return last


def _cohort(bounds: Sequence[int]) -> Cohort:
    starts = torch.tensor(bounds[:-1]).unsqueeze(1)
    lengths = torch.tensor(bounds).diff().unsqueeze(1)
    length = int(lengths.max())
    offsets = torch.arange(length).unsqueeze(0)
    real = (offsets < lengths).flatten()
    filled = not bool(real.all())
    # A token of its own segment, so that no record's numbers come near another's.
    places = starts + torch.minimum(offsets, lengths - 1)
    return Cohort(
        start=bounds[0],
        end=bounds[-1],
        count=len(bounds) - 1,
        length=length,
        places=places.flatten() if filled else None,
        real=real.nonzero().squeeze(1) if filled else None,
        filling=real.logical_not().nonzero().squeeze(1) if filled else None,
    )
