"""The environment of a worker: each setting once, with its reason, for every place where it runs.

The C library and OpenMP read theirs when a process starts, so whoever starts a worker sets them:
the launcher, the guest's first process, the enclave's manifest. In the latter two they are
measured. Whoever calls the training engine as a library keeps an environment of its own.

The guest's first process can import nothing of ours: it has a copy, which a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Place(StrEnum):
    """Where a worker runs: as a process of this machine, in a VM, in an SGX enclave."""

    PROCESS = "process"
    GUEST = "guest"
    ENCLAVE = "enclave"


_EVERYWHERE: Final = frozenset(Place)
_LINUX: Final = frozenset({Place.PROCESS, Place.GUEST})


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable, where it is set and why."""

    name: str
    value: str
    places: frozenset[Place]
    reason: str


# glibc's names; those of MALLOC_ variables have no word for huge pages.
_ALLOCATOR: Final = ":".join(
    (
        # Freed tensors are used again and not given back for the next step to fetch, which costs a
        # page fault for each 4 KiB. Measured on a LoRA step of 8 blocks, 1,024 to 2,048 tokens:
        # 2,800 to 5,200 faults with the C library's own settings, 580 to 1,300 with these two and
        # no huge pages, 2 to 6 with them. What is larger than any tensor of a step (weights while
        # they are read, training checkpoints) gets pages of its own, or it would leave holes: a
        # streamed run of 1.4 GiB took 1.65 GiB without that, in the same time.
        "glibc.malloc.mmap_threshold=67108864",
        # What lies free at the end of the heap beyond this is given back. Without a bound, a peak
        # in one phase would count against a memory limit in all later ones.
        "glibc.malloc.trim_threshold=134217728",
        # Huge pages, where the system has them on request: fewer faults, fewer misses of the TLB.
        "glibc.malloc.hugetlb=1",
    )
)

SETTINGS: Final = (
    Setting("LANG", "C.UTF-8", _EVERYWHERE, "text is read the same everywhere"),
    Setting("TZ", "UTC", frozenset({Place.PROCESS}), "no zone of the host's"),
    Setting("GLIBC_TUNABLES", _ALLOCATOR, _LINUX, "memory of a step serves the next"),
    # Spinning without end takes three times the time on a busy host; some tens of microseconds, as
    # long as the pause between two operators, save 6 % of a step of a small encoder (five pairs).
    Setting("OMP_WAIT_POLICY", "PASSIVE", _LINUX, "threads that wait leave the processor"),
    Setting("GOMP_SPINCOUNT", "1000", _LINUX, "but look for their next work a moment before"),
    Setting(
        "MALLOC_ARENA_MAX",
        "1",
        frozenset({Place.ENCLAVE}),
        "each arena reserves addresses, and those of an enclave are as many as its bytes",
    ),
)

# Read by libraries when they are loaded: each worker sets them for itself before that.
LIBRARY_SETTINGS: Final = {
    # Nothing may be fetched at run time.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # The tokenizer's own threads would outnumber the cores.
    "TOKENIZERS_PARALLELISM": "false",
}


def environment(place: Place) -> dict[str, str]:
    """Return what a worker at `place` is started with, beside its folders and paths."""
    return {item.name: item.value for item in SETTINGS if place in item.places}
