"""What this host must have to start an enclave, found out before one is started.

`sealtune doctor --for sgx` looks at more; here is what would otherwise fail without a reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.errors import Code, ConfigError
from sealtune.tee.doctor.sgx import (
    AESM_FIX,
    AESM_SOCKETS,
    DEVICE,
    DEVICE_FIX,
    GRAMINE_MINIMUM,
    NO_DEVICE_FIX,
)
from sealtune.tee.doctor.tools import find_version
from sealtune.tee.machine import tee_unavailable

STARTER: Final = "gramine-sgx"
_SECONDS: Final = 10.0
_REMEDY: Final = "install Gramine 1.9 or newer from its project's package repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxHost:
    """Where the host shows its SGX: the enclaves' device, and the sockets of who makes quotes."""

    device: Path = Path(DEVICE)
    aesm: tuple[Path, ...] = tuple(map(Path, AESM_SOCKETS))


def require_sgx(host: SgxHost) -> str:
    """Return where `gramine-sgx` is, once the host has what an enclave needs.

    Raises:
        ConfigError: something is missing or too old; the remedy says how to mend it.
    """
    starter = shutil.which(STARTER)
    if starter is None:
        raise ConfigError(Code.TOOL_MISSING, f"{STARTER} is not installed", remedy=_REMEDY)
    _check_version(starter)
    if not host.device.exists():
        raise tee_unavailable(f"{host.device} is missing: no SGX here", remedy=NO_DEVICE_FIX)
    if not os.access(host.device, os.R_OK | os.W_OK):
        raise tee_unavailable(f"no permission on {host.device}", remedy=DEVICE_FIX)
    if not any(path.exists() for path in host.aesm):
        raise tee_unavailable("no aesmd socket: no quotes can be made here", remedy=AESM_FIX)
    return starter


def _check_version(starter: str) -> None:
    try:
        done = subprocess.run(
            [starter, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    version = find_version(done.stdout.decode("utf-8", "replace"))
    # One that tells none is tried: what counts is MRENCLAVE.
    if done.returncode == 0 and version is not None and version.numbers < GRAMINE_MINIMUM:
        message = f"Gramine {version.text} is older than what images are made for"
        raise ConfigError(Code.TOOL_TOO_OLD, message, remedy=_REMEDY)
