"""Opens the device of a run."""

from __future__ import annotations

import os

import torch

# Fixed room for cuBLAS, without which it may add up in another order each time (its manual,
# "results reproducibility"); torch refuses deterministic runs unless the variable is set.
_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def open_device(name: str) -> torch.device:
    """Return the device that choices call `name`, set up to give the same bits each time."""
    device = torch.device(name)
    if device.type == "cuda":
        os.environ.setdefault(*_WORKSPACE)
    return device
