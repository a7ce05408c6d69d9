"""One job in an SGX enclave: a folder with links to what it may open, and gramine-sgx in it.

The enclave finds its files by relative names, so each run gets a folder of its own; sealed outputs
go straight into the run's folder. Nothing here has run under SGX yet.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sealtune.attestation.evidence import EvidenceKind
from sealtune.contract.schema import Contract
from sealtune.core.canonical import canonical_json
from sealtune.core.files import read_bounded, storage_errors
from sealtune.core.limits import ENVELOPE_BYTES_MAX, GIB
from sealtune.errors import Code, ConfigError
from sealtune.tee.events import WorkerEvent
from sealtune.tee.forwarder import Forwarder
from sealtune.tee.sgx.host import SgxHost, require_sgx
from sealtune.tee.sgx.size import enclave_size, job_peak, needed_bytes
from sealtune.tee.supervise import WorkerProcess, supervise

LOG_NAME: Final = "gramine.log"
_APPLICATION: Final = "sealtune"
_SIGNED: Final = (f"{_APPLICATION}.manifest.sgx", f"{_APPLICATION}.sig")
_ROOT, _JOB = "root", "job"
_JOB_FORMAT: Final = "sealtune-enclave-job/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxLaunch:
    """The image, checked by the caller: its folder, and the enclave that its manifest describes."""

    folder: Path
    enclave_bytes: int
    threads: int
    host: SgxHost = field(default_factory=SgxHost)


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxJob:
    """One job: the contract, where things are, and the folder of the run."""

    contract: Contract
    contract_file: Path
    run_id: str
    inputs: Mapping[str, Path]
    brokers: Mapping[str, str]
    output: Path


def run_in_enclave(
    job: SgxJob,
    *,
    launch: SgxLaunch,
    timeout_seconds: float | None,
    on_event: Callable[[WorkerEvent], None],
) -> tuple[WorkerEvent, dict[str, float]]:
    """Run the job, or resume it; return the worker's last event and its seconds in each phase.

    Raises:
        ConfigError: the host lacks something, the image is not signed, or the job does not fit.
        WorkerError: the worker stopped; its code says why.
        SealtuneError: it ended without saying why.
    """
    starter = require_sgx(launch.host)
    _check_terms(job.contract)
    check_fit(job, launch)
    _check_signed(launch.folder)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sealtune-sgx-")))
        ports = {
            name: stack.enter_context(Forwarder(None, address)).port
            for name, address in job.brokers.items()
        }
        lay_out(folder, job, image=launch.folder, ports=ports)
        process = WorkerProcess(
            command=[starter, _APPLICATION],
            folder=folder,
            # The enclave's is fixed in its manifest; the starter itself is a script.
            environment={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            log=job.output / LOG_NAME,
        )
        return supervise(process, timeout_seconds=timeout_seconds, on_event=on_event)


def check_fit(job: SgxJob, launch: SgxLaunch) -> None:
    """See that the job fits into the image's enclave: training would end in the middle otherwise.

    Raises:
        ConfigError: it needs more memory or more threads; the remedy has the figures.
        StorageError: an input is missing.
    """
    threads = job.contract.recipe.threads or len(os.sched_getaffinity(0))
    if threads > launch.threads:
        message = f"the job computes with {threads} threads, the enclave has {launch.threads}"
        remedy = "agree on fewer `threads` in the recipe, or build an image with more (--threads)"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)
    peak = job_peak(job.contract, job.inputs)
    needed = needed_bytes(peak, threads=launch.threads)
    if needed > launch.enclave_bytes:
        wanted = enclave_size(peak, threads=launch.threads) // GIB
        message = f"the job may need {_shown(needed)}, the enclave has"
        message += f" {_shown(launch.enclave_bytes)}"
        remedy = f"build an image with --enclave-size {wanted}G, or agree on a smaller batch_size"
        remedy += " or max_length"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)


def lay_out(folder: Path, job: SgxJob, *, image: Path, ports: Mapping[str, int]) -> None:
    """Make `folder` what the enclave sees: the image's files, and `job` (spec/worker §6).

    Raises:
        StorageError: a file is missing, or the disk refuses.
    """
    with storage_errors(folder):
        # Links: Gramine opens what they lead to, by the names that its manifest has.
        (folder / _ROOT).symlink_to(image.resolve() / _ROOT)
        for name in _SIGNED:
            shutil.copyfile(image / name, folder / name)
        place = folder / _JOB
        place.mkdir()
        names = sorted(job.inputs)
        for number, name in enumerate(names):
            (place / f"in{number}").symlink_to(job.inputs[name].resolve())
        (place / "out").symlink_to(job.output.resolve())
        contract = read_bounded(job.contract_file, limit=ENVELOPE_BYTES_MAX, what="contract")
        (place / "contract").write_bytes(contract)
        told = {
            "format": _JOB_FORMAT,
            "run_id": job.run_id,
            "inputs": names,
            "brokers": dict(ports),
        }
        (place / "job").write_bytes(canonical_json(told))


def _check_terms(contract: Contract) -> None:
    enclaves = [entry for entry in contract.accepted_enclaves if entry.kind is EvidenceKind.SGX]
    if enclaves and all(entry.contract_at_launch for entry in enclaves):
        # CONFIGID would hold the digest. Every quote binds the contract by its report data anyway.
        message = "the contract wants its digest fixed at launch, which Gramine has no setting for"
        remedy = "agree on contract_at_launch = false in the contract's entry for sgx"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)


def _check_signed(image: Path) -> None:
    for name in _SIGNED:
        if not (image / name).is_file():
            remedy = f"sealtune image sign {image} --key KEY.pem"
            message = f"{image}: not signed: {name} is missing"
            raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)


def _shown(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
