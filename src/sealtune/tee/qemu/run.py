"""One job in a virtual machine: its disks, the machine, and the finished files afterwards.

The output disk stays in the run's folder, so that the same call resumes whatever stopped it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sealtune.core.canonical import canonical_json
from sealtune.core.digest import Digest, digest_bytes, sha256_file
from sealtune.core.files import storage_errors, write_atomic
from sealtune.crypto.dsse import Envelope
from sealtune.errors import Code, SealtuneError, StorageError
from sealtune.tee.events import WorkerError, WorkerEvent
from sealtune.tee.output_disk import BLOCK, OutputDisk
from sealtune.tee.qemu.arguments import (
    TDX_CONFIG_ID_BYTES,
    Acceleration,
    Boot,
    HostDisk,
    SevSnp,
    Tdx,
    UnixQuotes,
    VsockQuotes,
)
from sealtune.tee.qemu.machine import Limits, OrdinaryVm, Plan, Platform, run_machine
from sealtune.tee.qemu.tools import (
    QEMU_MINIMUM,
    QEMU_MINIMUM_TDX,
    find_firmware,
    find_qemu,
    find_snp_firmware,
    find_tdx_firmware,
    memory_encryption,
    require_kvm,
)
from sealtune.tee.qemu.tpm import make_tpm

OUTPUT_DISK_NAME = "output.disk"
# The receipt comes last: without its result it would be worth nothing.
_FINISHED = ("result.sealed", "receipt.json")
_JOB_MAGIC = b"SEALJOB1"
_JOB_FORMAT = "sealtune-job/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class VmHost:
    """An ordinary VM on this host; `firmware` None: the installed one. `tpm` keeps the vTPM."""

    tpm: Path
    acceleration: Acceleration | None = None
    firmware: Path | None = None
    variables: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpHost:
    """A SEV-SNP host; `processor` is the measured type of virtual processor.

    `firmware` None: the installed one.
    """

    firmware: Path | None
    processor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxHost:
    """A TDX host and where its quotes come from; `firmware` None: the installed one."""

    firmware: Path | None
    quotes: UnixQuotes | VsockQuotes


Host = VmHost | SnpHost | TdxHost


@dataclass(frozen=True, slots=True, kw_only=True)
class VmImage:
    """The image's files, checked by the caller; `debug` says that it writes to a console."""

    boot: Boot
    root: Path
    debug: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSize:
    """What the machine gets. The number of processors is measured where there is SEV-SNP."""

    processors: int
    memory_mib: int
    output_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VmJob:
    """One job: the signed contract, where things are, and the folder of the run."""

    contract: Envelope
    contract_digest: Digest
    run_id: str
    inputs: Mapping[str, Path]
    brokers: Mapping[str, str]
    output: Path


def run_in_vm(
    job: VmJob,
    *,
    image: VmImage,
    host: Host,
    size: VmSize,
    limits: Limits,
    on_event: Callable[[WorkerEvent], None],
) -> tuple[WorkerEvent, dict[str, float]]:
    """Run the job, or resume it, and leave its finished files in the run's folder.

    Returns the worker's last event and how many seconds it spent in each phase.

    Raises:
        ConfigError: this host lacks what the machine needs, or has it too old.
        WorkerError: the worker stopped; its code says why.
        SealtuneError: the machine did not start, fell silent, broke a rule or stopped.
        StorageError: an input is not there, or this host's disk refuses.
    """
    minimum = QEMU_MINIMUM_TDX if isinstance(host, TdxHost) else QEMU_MINIMUM
    qemu = find_qemu(minimum=minimum)
    platform = _platform(host, job.contract_digest)
    disk = prepare_output_disk(job.output, size.output_bytes)
    progress = _Progress(on_event)
    with tempfile.TemporaryDirectory(prefix="sealtune-job-") as folder:
        job_disk = Path(folder, "job.disk")
        write_atomic(job_disk, job_disk_content(job, tee=_TEES[type(host)], output=disk))
        plan = Plan(
            qemu=qemu,
            platform=platform,
            boot=image.boot,
            disks=_disks(job, image, job_disk, disk),
            brokers=job.brokers,
            processors=size.processors,
            memory_mib=size.memory_mib,
            debug=image.debug,
        )
        try:
            status = run_machine(plan, limits=limits, on_event=progress.take)
        except BaseException:
            # What it finished before is taken too; its own error is the one to tell.
            with contextlib.suppress(SealtuneError):
                extract_finished(job.output)
            raise
    extract_finished(job.output)
    return progress.finish(status), progress.seconds


def prepare_output_disk(folder: Path, size: int) -> Path:
    """Return the output disk of the run in `folder`: new, or the one there, with at least `size`.

    Raises:
        FormatError: what is there is not an output disk; a machine would only find it out later.
        StorageError: this host's disk refuses.
    """
    path = folder / OUTPUT_DISK_NAME
    if not path.exists():
        OutputDisk.format(path, size)
        return path
    OutputDisk(path, writable=False).close()
    with storage_errors(path):
        if path.stat().st_size < size:
            # Its tables name no size: what is behind them is room.
            os.truncate(path, size)
    return path


def extract_finished(folder: Path) -> None:
    """Copy the result and the receipt from the output disk into `folder`, each whole or not.

    Training checkpoints stay on the disk, where the next machine looks for them.

    Raises:
        FormatError: not an output disk that a guest of ours left.
        StorageError: a disk refuses.
    """
    with OutputDisk(folder / OUTPUT_DISK_NAME, writable=False) as disk:
        files = disk.files()
        for name in _FINISHED:
            stored, target = files.get(name), folder / name
            if stored and not (target.is_file() and sha256_file(target) == stored.sha256):
                disk.extract(name, target)


def job_disk_content(job: VmJob, *, tee: str, output: Path) -> bytes:
    """Return the job disk: what the guest is to do and where things are (spec/vm §4.2).

    Raises:
        StorageError: an input is not there.
    """
    inputs = {}
    for number, (name, path) in enumerate(sorted(job.inputs.items())):
        if not path.is_file():
            raise StorageError(Code.FILE_MISSING, f"input {name}: {path}: no such file")
        inputs[name] = {"serial": f"in{number}", "bytes": path.stat().st_size}
    content = canonical_json(
        {
            "format": _JOB_FORMAT,
            "run_id": job.run_id,
            "tee": tee,
            "inputs": inputs,
            "brokers": sorted(job.brokers),
            "output": {"serial": "out", "bytes": output.stat().st_size},
            "contract": job.contract.to_dict(),
        }
    )
    data = _JOB_MAGIC + len(content).to_bytes(8, "little") + content
    return data + bytes(-len(data) % BLOCK)


_TEES: Mapping[type[Host], str] = {VmHost: "vm", SnpHost: "sev-snp", TdxHost: "tdx"}


def _disks(job: VmJob, image: VmImage, job_disk: Path, output: Path) -> list[HostDisk]:
    inputs = [path.resolve() for _, path in sorted(job.inputs.items())]
    return [
        HostDisk(serial="root", path=image.root.resolve()),
        HostDisk(serial="job", path=job_disk),
        HostDisk(serial="out", path=output.resolve(), writable=True),
        *(HostDisk(serial=f"in{number}", path=path) for number, path in enumerate(inputs)),
    ]


def _platform(host: Host, contract: Digest) -> Platform:
    match host:
        case VmHost():
            firmware, variables = find_firmware(host.firmware, host.variables)
            return OrdinaryVm(
                acceleration=host.acceleration,
                firmware=firmware,
                variables=variables,
                tpm_state=make_tpm(host.tpm),
            )
        case SnpHost():
            require_kvm("snp-host")
            return SevSnp(
                firmware=find_snp_firmware(host.firmware),
                processor=host.processor,
                encryption=memory_encryption(),
                host_data=digest_bytes(contract),
            )
        case TdxHost():
            require_kvm("tdx-host")
            return Tdx(
                firmware=find_tdx_firmware(host.firmware),
                config_id=digest_bytes(contract).ljust(TDX_CONFIG_ID_BYTES, b"\0"),
                quotes=host.quotes,
            )


class _Progress:
    """Passes events on, measures phases and remembers the last word."""

    def __init__(self, on_event: Callable[[WorkerEvent], None]) -> None:
        self._on_event = on_event
        self._phase, self._since = "", time.monotonic()
        self._last = WorkerEvent(event="")
        self.seconds: dict[str, float] = {}

    def take(self, event: WorkerEvent) -> None:
        if event.event == "phase":
            self._end_phase(event.phase)
        self._last = event
        self._on_event(event)

    def finish(self, status: int) -> WorkerEvent:
        self._end_phase("")
        if status == 0 and self._last.event == "finished":
            return self._last
        if self._last.event == "failed":
            raise WorkerError(self._last, status or 1)
        message = f"the worker ended with status {status} without saying why"
        remedy = "run the same command again: the run resumes from its last training checkpoint"
        raise SealtuneError(Code.WORKER_FAILED, message, remedy=remedy)

    def _end_phase(self, following: str) -> None:
        now = time.monotonic()
        if self._phase:
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = following, now
