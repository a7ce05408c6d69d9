"""The accelerator that a run may use: what there is of it, and for which runs it serves.

Whoever calls the engine says which device plaintext may go to. That an accelerator is there is no
reason to trust it: its evidence is, and that is appraised elsewhere.

None of it has run on a GPU yet. `tests/training/test_accelerated_runs.py` computes everything but
CUDA's own kernels on a device that only pretends to be one; `test_gpu.py` waits for a real one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sealtune.training.engine.choices import Device
from sealtune.training.recipe import Precision, Recipe, Streaming, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A device with `memory` bytes that are free; `bf16` says that it computes in bfloat16."""

    device: Device
    memory: int
    bf16: bool

    def precision(self, wanted: Precision) -> Precision:
        """Return `wanted`, and for `auto` the fastest that the device has."""
        if wanted is not Precision.AUTO:
            return wanted
        return Precision.BF16 if self.bf16 else Precision.FP32


def find_accelerator(device: Device) -> Accelerator | None:
    """Return the accelerator that `device` names, None for the processor or where it is absent."""
    if device is Device.CPU or not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info()
    return Accelerator(device=device, memory=free, bf16=torch.cuda.is_bf16_supported())


def why_not_accelerated(recipe: Recipe, *, why_stock: str) -> str:
    """Return why a run is computed by the processor all the same, or an empty string."""
    if why_stock:
        return why_stock
    if recipe.task is Task.IMAGE_CLASSIFICATION:
        return "images are normalized by the processor, and would be copied in each step"
    if recipe.streaming is Streaming.ALWAYS:
        return "streamed weights would be copied in each step"
    if recipe.frozen_int8:
        return "matrices in 8 bits are opened by the processor"
    return ""
