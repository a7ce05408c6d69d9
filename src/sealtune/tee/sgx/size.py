"""How large an enclave a job needs: its peak, Gramine's part, a power of two (spec/image §10)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sealtune.contract.schema import Contract
from sealtune.core.files import storage_errors
from sealtune.core.limits import GIB, MIB
from sealtune.training.peak import FLOOR_BYTES, peak_bytes

# Gramine's library OS with its table of files; for each computing thread two stacks of 8 MiB, what
# the processor saves, and a share of those that only help.
_GRAMINE_BYTES: Final = 512 * MIB
_THREAD_BYTES: Final = 32 * MIB
_SMALLEST: Final = GIB


def job_peak(contract: Contract, inputs: Mapping[str, Path]) -> int:
    """Return an upper estimate of the job's memory, from its recipe and the sizes of `inputs`.

    Raises:
        StorageError: an input is missing.
    """
    sizes = {}
    for name, path in inputs.items():
        with storage_errors(path):
            sizes[name] = path.stat().st_size
    recipe = contract.recipe
    estimate = peak_bytes(
        recipe.training,
        model_bytes=sizes[recipe.model],
        records_bytes=sum(sizes[name] for name in recipe.datasets),
    )
    limit = recipe.training.memory_limit_bytes
    # The training's planner stays within the recipe's limit, or refuses. It counts what a process
    # takes outside of an enclave; what one takes inside, before it trains, comes on top.
    return min(estimate, FLOOR_BYTES + limit) if limit else estimate


def needed_bytes(peak: int, *, threads: int) -> int:
    """Return how many bytes an enclave must have for a job of `peak` bytes on `threads`."""
    return peak + _GRAMINE_BYTES + threads * _THREAD_BYTES


def enclave_size(peak: int, *, threads: int) -> int:
    """Return the size of the enclave for a job of `peak` bytes: SGX takes powers of two alone."""
    return max(_SMALLEST, 1 << (needed_bytes(peak, threads=threads) - 1).bit_length())
