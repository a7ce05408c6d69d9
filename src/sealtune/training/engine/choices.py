"""How a run is computed: what the planner chose, and a resumed run takes over.

None of it changes what is computed beyond rounding; all of it changes bits. So it is part of a
training checkpoint, and a run that goes on elsewhere goes on with it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import torch

from sealtune.training.recipe import Precision


class Device(StrEnum):
    """Where a model is computed."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """`precision` is never `auto` here. `tokens` go through a block at once, at most.

    `lean`: by blocks of our own, or by the stock module. `recompute`: keep each block's input only.
    `keep_probabilities`: of attention. `streamed`: frozen blocks are decrypted when needed,
    `tables_streamed`: embeddings too; `spilled` of the blocks' activations go to scratch, counted
    from the first. `ring` buffers hold blocks. `int8`: frozen blocks are in memory in 8 bits, and
    opened in the order of streamed ones. `device` is torch's name of where weights, activations and
    the optimizer are.
    """

    precision: Precision
    tokens: int
    lean: bool = True
    recompute: bool = False
    keep_probabilities: bool = True
    streamed: bool = False
    tables_streamed: bool = False
    spilled: int = 0
    ring: int = 2
    int8: bool = False
    device: str = Device.CPU

    @property
    def dtype(self) -> torch.dtype:
        """The type of activations, frozen weights and compute copies."""
        return torch.bfloat16 if self.precision is Precision.BF16 else torch.float32

    @property
    def one_checkpoint(self) -> bool:
        """Whether a training checkpoint is made only once the one before it is kept.

        Where weights are streamed a step takes longer than sealing does, and memory is short.
        """
        return self.streamed

    def to_dict(self) -> dict[str, Any]:
        """Return the choices as JSON values."""
        return {**asdict(self), "precision": self.precision.value, "device": str(self.device)}


def choices_from_dict(values: dict[str, Any]) -> Choices:
    """Return the Choices that `to_dict` wrote.

    Raises:
        TypeError, ValueError: `values` are none, or out of all bounds.
    """
    precision, device = Precision(values["precision"]), Device(values.get("device", Device.CPU))
    choices = Choices(**{**values, "precision": precision, "device": device})
    for name in _SWITCHES:
        if type(getattr(choices, name)) is not bool:
            raise TypeError(f"{name} is neither true nor false")
    for name, (lowest, highest) in _NUMBERS.items():
        value = getattr(choices, name)
        if type(value) is not int or not lowest <= value <= highest:
            raise ValueError(f"{name} is not from {lowest} to {highest}")
    return choices


_SWITCHES = ("lean", "recompute", "keep_probabilities", "streamed", "tables_streamed", "int8")
# Far beyond what a planner chooses; a checkpoint is not to have a run allocate without end.
_NUMBERS = {"tokens": (1, 2**24), "spilled": (0, 10_000), "ring": (1, 64)}
