"""`python -m sealtune.testing.bench.gemm JOB`: how many FLOP/s this machine's large GEMMs reach.

bfloat16, as a linear layer's forward pass has it (`x @ w.T`), at two sizes; the faster counts. What
the engine reaches is compared with this, in the same run.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import torch

from sealtune.testing.bench.job import Job, read_job

_SIZES = (2_048, 4_096)
_ROUNDS = 7


def main(job: Job) -> dict[str, Any]:
    """Return the rate, and that of each size."""
    if job.recipe["threads"]:
        torch.set_num_threads(job.recipe["threads"])
    rates = {size: _rate(size) for size in _SIZES}
    return {
        "flops_per_second": max(rates.values()),
        "by_size": {str(size): rate for size, rate in rates.items()},
        "threads": torch.get_num_threads(),
    }


def _rate(size: int) -> float:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(size, size, generator=generator).to(torch.bfloat16)
    weight = torch.randn(size, size, generator=generator).to(torch.bfloat16)
    inputs @ weight.t()
    seconds = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        inputs @ weight.t()
        seconds.append(time.perf_counter() - start)
    return float(2 * size**3 / statistics.median(seconds))


if __name__ == "__main__":
    this = read_job(sys.argv[1])
    this.finish(main(this))
