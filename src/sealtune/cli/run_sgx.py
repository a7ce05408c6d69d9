"""What `sealtune run --tee sgx` makes of its options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import sealtune
from sealtune.cli.run_vm import VmOptions

if TYPE_CHECKING:
    from sealtune import SgxLaunch


def sgx_launch(folder: Path, *, options: VmOptions) -> SgxLaunch:
    """Return the enclave of the image in `folder`, every file of it verified.

    Raises:
        FormatError, StorageError, VerificationError: the image is damaged or not whole.
    """
    if options.given:
        raise click.UsageError("what describes a VM is not for --tee sgx")
    image = sealtune.read_sgx_image(folder)
    enclave = image.manifest.enclave
    return sealtune.SgxLaunch(
        folder=image.folder, enclave_bytes=enclave.bytes, threads=enclave.threads
    )
