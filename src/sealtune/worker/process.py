"""How a worker's process is set up before it reads anything, wherever it runs."""

from __future__ import annotations

import os

from sealtune.core.process import forbid_core_dumps


def keep_memory_private() -> None:
    """Keep plaintext out of cores, and libraries from fetching anything."""
    # A core would be plaintext on the host's disk.
    forbid_core_dumps()
    # Nothing may be fetched at run time, and the tokenizer's own threads would outnumber the cores.
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
