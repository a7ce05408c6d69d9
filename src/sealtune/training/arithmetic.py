"""Everything global that decides whether two runs give the same bytes, set for one run.

Process-wide settings of torch are restored afterwards. Nothing here makes runs on different CPUs
or with different numbers of threads equal: sums are then split differently.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
from huggingface_hub import constants as hub_constants
from torch.utils import deterministic

from sealtune.training.recipe import Precision


@contextlib.contextmanager
def fixed_arithmetic(*, seed: int, threads: int) -> Iterator[int]:
    """Fix seed, thread count and algorithms inside the block; yield the number of threads.

    `threads` 0 means every core that the process may use. Model libraries cannot reach the network
    inside the block either: nothing here asks them to, this makes sure.
    """
    count = threads or len(os.sched_getaffinity(0))
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        deterministic.fill_uninitialized_memory,
        torch.get_float32_matmul_precision(),
        hub_constants.HF_HUB_OFFLINE,
    )
    with torch.random.fork_rng(devices=[]):
        try:
            torch.set_num_threads(count)
            torch.use_deterministic_algorithms(True)
            # Every byte that is read is written first; filling costs 8 % of a step for nothing.
            deterministic.fill_uninitialized_memory = False
            torch.set_float32_matmul_precision("highest")
            hub_constants.HF_HUB_OFFLINE = True
            torch.manual_seed(seed)
            yield count
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1], warn_only=before[2])
            deterministic.fill_uninitialized_memory = before[3]
            torch.set_float32_matmul_precision(before[4])
            hub_constants.HF_HUB_OFFLINE = before[5]


def forward_precision(
    precision: Precision, *, device: str = "cpu"
) -> contextlib.AbstractContextManager[None]:
    """Return the context in which a forward pass on `device` has `precision` (see `Precision`)."""
    if precision is Precision.FP32:
        return contextlib.nullcontext()
    autocast: contextlib.AbstractContextManager[None] = torch.autocast(device, dtype=torch.bfloat16)
    return autocast
