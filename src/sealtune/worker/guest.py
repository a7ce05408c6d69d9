"""`python -m sealtune.worker.guest`: the worker as the one program of a measured VM (spec/vm §5).

Starts as root with one thread: finds channel and disks, then gives up everything but them, and only
then reads a byte that comes over the channel or from an input. Prints nothing anywhere.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.attestation.evidence import EvidenceKind
from sealtune.core.clock import SystemClock
from sealtune.core.files import PRIVATE_MODE, write_atomic
from sealtune.errors import Code, ConfigError, SealtuneError
from sealtune.tee.guest import channel as guest_channel
from sealtune.tee.guest import confine as guest_confine
from sealtune.tee.guest import disks as guest_disks
from sealtune.tee.guest.attest import GuestAttester, confidential_attester, vm_attester
from sealtune.tee.guest.channel import GuestChannel, open_port
from sealtune.tee.guest.confine import Cage, confine, landlock_wanted
from sealtune.tee.guest.disks import JOB_SERIAL, GuestJob, find_disks, read_job, the_disk
from sealtune.tee.output_disk import OutputDisk
from sealtune.worker.exits import Exits, close_standard_streams
from sealtune.worker.outbox import KeptOnDisk
from sealtune.worker.process import keep_memory_private, let_threads_take_turns

WORKER_USER: Final = 1000
_GRACE_SECONDS: Final = 5.0
# Python, its packages and the libraries under them: parts of the image, which nobody can write.
_IMAGE: Final = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")
# How many cores and how much memory there are; torch asks.
_MACHINE: Final = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/dev/urandom")
_TOPOLOGY: Final = "/sys/devices/system"
_NOWHERE: Final = Path("/dev/null")


def attester_for(tee: str, folder: Path) -> GuestAttester:
    """Return the Attester for the job's `tee`; none of them is simulated."""
    if tee == "vm":
        return vm_attester(folder)
    return confidential_attester(EvidenceKind(tee), folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where this VM shows what it has; the defaults are the image's."""

    ports: Path = guest_channel.PORTS
    blocks: Path = guest_disks.BLOCKS
    devices: Path = guest_disks.DEVICES
    command_line: Path = guest_confine.COMMAND_LINE
    folder: Path = Path("/run/sealtune")
    user: int = WORKER_USER
    attester: Callable[[str, Path], GuestAttester] = attester_for


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    told: GuestJob
    contract: Path
    inputs: Mapping[str, Path]
    sockets: Mapping[str, Path]
    output: Path
    attester: GuestAttester
    outbox: KeptOnDisk
    cage: Cage


def main() -> int:
    """Do the VM's one job and return its exit status."""
    os.close(close_standard_streams())
    keep_memory_private()
    let_threads_take_turns()
    try:
        return run_guest(Machine())
    except BaseException:  # noqa: BLE001 - the process edge: there is nobody to tell
        return 1


def run_guest(machine: Machine) -> int:
    """Do the job that the machine's disks hold; its events and its status leave by the channel.

    Raises:
        ConfigError: there is no channel.
    """

    def abandon(error: SealtuneError) -> None:
        # From the thread that reads: the one that works would hear of nothing, and may be waiting
        # for a host that reads no more.
        _exit_soon(error.exit_status)
        channel.exit(exits.failed(error))
        os._exit(error.exit_status)

    port = open_port(ports=machine.ports, devices=machine.devices)
    channel = GuestChannel(port, on_failure=abandon)
    exits = Exits(channel.event, insecure=False)
    try:
        prepared = _prepare(machine, channel)
        confine(prepared.cage)
        channel.start()
        _work(prepared, exits)
        status = 0
    except BaseException as error:  # noqa: BLE001 - the process edge: nothing may print itself
        status = exits.failed(error)
    channel.exit(status)
    return status


def _work(prepared: _Prepared, exits: Exits) -> None:
    # Here and not above: what the job imports starts threads, which would be outside the cage.
    from sealtune.worker.job import Job, run_job

    told = prepared.told
    job = Job(
        contract=prepared.contract,
        inputs=prepared.inputs,
        brokers={name: f"unix:{path}" for name, path in prepared.sockets.items()},
        output=prepared.output,
        run_id=told.run_id,
        lengths={name: extent.bytes for name, extent in told.inputs.items()},
    )
    run_job(
        job,
        attester=prepared.attester.attester,
        clock=SystemClock(),
        exits=exits,
        outbox=prepared.outbox,
    )


def _prepare(machine: Machine, channel: GuestChannel) -> _Prepared:
    """Open, as root, what the job needs, and give the rest to the worker's user."""
    disks = find_disks(blocks=machine.blocks, devices=machine.devices)
    if JOB_SERIAL not in disks:
        remedy = "start the VM with `sealtune run`"
        raise ConfigError(Code.CONFIG_INVALID, "this VM has no job disk", remedy=remedy)
    told = read_job(disks[JOB_SERIAL])
    output, scratch, private = _folders(machine.folder)
    inputs = {name: the_disk(disks, extent).path for name, extent in told.inputs.items()}
    disk = OutputDisk(the_disk(disks, told.output).path, writable=True)
    for name in disk.files():
        disk.extract(name, output / name)
    contract = private / "contract.json"
    write_atomic(contract, told.contract, mode=PRIVATE_MODE)
    attester = machine.attester(told.tee, private)
    sockets = _listen(told, channel, private)
    own = [output, *output.iterdir(), scratch, private, contract, *sockets.values()]
    for path in (*own, *inputs.values(), *attester.files):
        os.chown(path, machine.user, machine.user)
    _set_environment(scratch)
    cage = Cage(
        user=machine.user,
        readable=[*_code(), private, *inputs.values()],
        writable=[output, scratch, _NOWHERE, *attester.files],
        landlock=landlock_wanted(machine.command_line),
    )
    return _Prepared(
        told=told,
        contract=contract,
        inputs=inputs,
        sockets=sockets,
        output=output,
        attester=attester,
        outbox=KeptOnDisk(disk),
        cage=cage,
    )


def _folders(folder: Path) -> tuple[Path, Path, Path]:
    made = tuple(folder / name for name in ("out", "tmp", "private"))
    for path in made:
        path.mkdir(mode=0o700, parents=True)
    return made[0], made[1], made[2]


def _listen(job: GuestJob, channel: GuestChannel, folder: Path) -> dict[str, Path]:
    sockets = {name: folder / f"{name}.sock" for name in job.brokers}
    for name, path in sockets.items():
        channel.listen(name, path)
    return sockets


def _code() -> list[Path]:
    python = (sys.prefix, sys.base_prefix, *sys.path)
    return [Path(name) for name in (*_IMAGE, *python, *_MACHINE, _TOPOLOGY) if name]


def _set_environment(scratch: Path) -> None:
    os.environ |= {
        # No user has an entry in this image's /etc, and libraries ask for one's name.
        "USER": "worker",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
    }


def _exit_soon(status: int) -> None:
    # A host that no longer reads must not keep the worker alive.
    timer = threading.Timer(_GRACE_SECONDS, os._exit, (status,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
