"""The Attester of a measured VM, made so that it works for the unprivileged user too.

What only root may open is opened, made or copied here, before the worker is confined.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealtune.attestation.evidence import EvidenceKind
from sealtune.core.files import PRIVATE_MODE, write_atomic
from sealtune.core.limits import EVENT_LOG_BYTES_MAX
from sealtune.tee import configfs_tsm, tpm_device
from sealtune.tee.attester import Attester
from sealtune.tee.configfs_tsm import ConfigfsTsmAttester, TsmFiles
from sealtune.tee.machine import read_optional, read_whole, reason, tee_unavailable
from sealtune.tee.tpm_device import TpmAttester, exchange

_LOG_NAME = "event-log"
_ENTRY_NAME = "sealtune"
# What a request reads and writes; TDX has no privilege levels and no certificates.
_READ = ("provider", "generation", "privlevel_floor", "outblob", "auxblob")
_WRITTEN = ("privlevel", "inblob")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestAttester:
    """An Attester, and the files that it opens later: they have to be the worker's."""

    attester: Attester
    files: Sequence[Path]


class OneEntry(TsmFiles):
    """A single request's directory of configfs-tsm, which root made and every request uses.

    The kernel gives what a user makes there to root. In this VM nobody else asks for evidence, and
    a request that another one changed is found all the same.
    """

    def __init__(self, entry: Path) -> None:
        self._entry = entry

    def make(self, directory: Path) -> None:
        """Do nothing: the entry stands for it."""

    def remove(self, directory: Path) -> None:
        """Do nothing: the entry serves the next request."""

    def read(self, path: Path, *, limit: int) -> bytes:
        """Return the value of the entry's attribute of that name."""
        return read_whole(self._entry / path.name, limit=limit)

    def write(self, path: Path, data: bytes) -> None:
        """Set the entry's attribute of that name."""
        super().write(self._entry / path.name, data)


def vm_attester(
    folder: Path, *, device: Path = tpm_device.DEVICE, event_log: Path = tpm_device.EVENT_LOG
) -> GuestAttester:
    """Return the Attester of a VM with a TPM; `folder` takes a copy of the event log.

    Raises:
        ConfigError: there is no TPM.
    """
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        remedy = "start the VM with `sealtune run --tee vm`"
        raise tee_unavailable(f"{device}: {reason(error)}", remedy=remedy) from error
    log = _copied(event_log, folder)
    attester = TpmAttester(
        device, event_log=log, transmit=lambda command: exchange(descriptor, command)
    )
    return GuestAttester(attester=attester, files=[log])


def confidential_attester(
    kind: EvidenceKind,
    folder: Path,
    *,
    root: Path = configfs_tsm.ROOT,
    ccel: Path = configfs_tsm.CCEL,
) -> GuestAttester:
    """Return the Attester of a SEV-SNP or TDX VM; `folder` takes a copy of the event log.

    Raises:
        ConfigError: the kernel offers no evidence.
    """
    entry = root / _ENTRY_NAME
    try:
        entry.mkdir(mode=0o700, exist_ok=True)
        files = [path for name in (*_READ, *_WRITTEN) if (path := entry / name).exists()]
    except OSError as error:
        remedy = f"start the VM with `sealtune run --tee {kind}` on a host that has it"
        raise tee_unavailable(f"{root}: {reason(error)}", remedy=remedy) from error
    log = _copied(ccel, folder)
    attester = ConfigfsTsmAttester(kind, root, ccel=log, files=OneEntry(entry))
    return GuestAttester(attester=attester, files=[log, *files])


def _copied(log: Path, folder: Path) -> Path:
    path = folder / _LOG_NAME
    write_atomic(path, read_optional(log, limit=EVENT_LOG_BYTES_MAX), mode=PRIVATE_MODE)
    return path
