"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = ("sealtune", "torch", "transformers", "peft", "accelerate", "tokenizers")
# What matrix products and AES depend on.
_FLAG_STARTS: Final = ("amx", "avx512", "avx_vnni", "avx2", "fma", "aes", "vaes", "vpclmulqdq")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory and versions as JSON values."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        **_processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": pages * page,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _processor() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    pairs = (line.partition(":") for line in lines)
    # The last processor's; all of a machine are alike.
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    flags = [flag for flag in facts.get("flags", "").split() if flag.startswith(_FLAG_STARTS)]
    return {"processor": facts.get("model name", platform.machine()), "flags": sorted(flags)}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
