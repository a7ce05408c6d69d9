"""All trained numbers in one buffer each: values, gradients, AdamW's moments, compute copies.

One buffer means one kernel for clipping, for the optimizer and for rounding to the compute type,
whatever the number of adapters, and a training checkpoint of a few tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One trained tensor. Its compute copy is `scale` times its value; vectors do not decay."""

    name: str
    shape: tuple[int, ...]
    scale: float = 1.0

    @property
    def numel(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


class FlatParameters:
    """The trained tensors of a run, as views of flat buffers.

    `values` and `gradients` are float32. `compute` has the forward pass's type and is refreshed
    from `values` after each change; where it would be the same numbers it is the same memory.
    """

    def __init__(self, slots: Iterable[Slot], *, dtype: torch.dtype, device: torch.device) -> None:
        ordered = sorted(slots, key=_place)
        self.slots = {slot.name: slot for slot in ordered}
        if len(self.slots) != len(ordered):
            raise ValueError("two trained tensors have one name")
        self._start: dict[str, int] = {}
        end = 0
        for slot in ordered:
            self._start[slot.name] = end
            end += slot.numel
        self.decayed = sum(slot.numel for slot in ordered if len(slot.shape) >= 2)
        self.values = torch.zeros(end, dtype=torch.float32, device=device)
        self.gradients = torch.zeros(end, dtype=torch.float32, device=device)
        self._scaled = [slot for slot in ordered if slot.scale != 1.0]
        shared = dtype == torch.float32 and not self._scaled
        self.compute = self.values if shared else torch.zeros(end, dtype=dtype, device=device)

    @property
    def count(self) -> int:
        """The number of trained values."""
        return int(self.values.numel())

    def value(self, name: str) -> torch.Tensor:
        """Return the float32 values of `name`."""
        return self._view(self.values, name)

    def gradient(self, name: str) -> torch.Tensor:
        """Return the float32 gradient of `name`, which adds up until `clear`."""
        return self._view(self.gradients, name)

    def computed(self, name: str) -> torch.Tensor:
        """Return the compute copy of `name`."""
        return self._view(self.compute, name)

    def stacked(self, names: Sequence[str], buffer: torch.Tensor) -> torch.Tensor:
        """Return neighbours of one width in `buffer` as one matrix, one below the other.

        Raises:
            ValueError: they are no neighbours.
        """
        return self.run(names, buffer).view(-1, self.slots[names[0]].shape[1])

    def run(self, names: Sequence[str], buffer: torch.Tensor) -> torch.Tensor:
        """Return neighbours in `buffer` as one vector.

        Raises:
            ValueError: they are no neighbours.
        """
        first = self._start[names[0]]
        end = first
        for name in names:
            if self._start[name] != end:
                raise ValueError(f"{name} does not follow its neighbour")
            end += self.slots[name].numel
        return buffer[first:end]

    def refresh(self) -> None:
        """Bring the compute copies up to date with the values."""
        if self.compute is self.values:
            return
        self.compute.copy_(self.values)
        for start, end, scale in self._scaled_runs():
            self.compute[start:end].copy_(self.values[start:end] * scale)

    def clear(self) -> None:
        """Set the gradients to zero."""
        self.gradients.zero_()

    def _scaled_runs(self) -> list[tuple[int, int, float]]:
        runs: list[tuple[int, int, float]] = []
        for slot in self._scaled:
            start = self._start[slot.name]
            if runs and runs[-1][1] == start and runs[-1][2] == slot.scale:
                runs[-1] = (runs[-1][0], start + slot.numel, slot.scale)
            else:
                runs.append((start, start + slot.numel, slot.scale))
        return runs

    def _view(self, buffer: torch.Tensor, name: str) -> torch.Tensor:
        slot, start = self.slots[name], self._start[name]
        return buffer[start : start + slot.numel].view(slot.shape)


def _place(slot: Slot) -> tuple[bool, bool]:
    # Decayed before undecayed, scaled before others: each group is one slice. Sorting is stable, so
    # neighbours stay neighbours.
    return (len(slot.shape) < 2, slot.scale == 1.0)
