"""What the host of a measured VM runs out of, or breaks, while a real one runs."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.measured import MeasuredVm
from chain.world import World
from sealtune.errors import Code, SealtuneError
from sealtune.tee.events import WorkerEvent
from sealtune.tee.output_disk import OutputDisk
from sealtune.tee.qemu.run import OUTPUT_DISK_NAME

pytestmark = pytest.mark.slow
RECIPE = {"epochs": 1, "batch_size": 16, "max_length": 16, "checkpoint_every_steps": 1}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which a test may fill."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(ballast: Path) -> None:
    """Take all room that is left."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_host_under_the_output_disk(
    world: World, measured_vm: MeasuredVm, small: Path
) -> None:
    """The output disk is sparse: the guest sees 256 MiB, and the host has no more room.

    The first checkpoint does not fit. The guest hears of it as an error of its disk and says so;
    what was on the disk is intact, and with more room the same command finishes the run.
    """
    contract = world.agree("vm-full", enclaves=[measured_vm.enclave], recipe=RECIPE, max_runs=1)
    output, ballast = small / "run", small / "ballast"
    events: list[WorkerEvent] = []

    def note(event: WorkerEvent) -> None:
        events.append(event)
        if event.phase == "train" and event.event == "phase":
            fill(ballast)

    with pytest.raises(SealtuneError) as stopped:
        measured_vm.run(world, contract, output, vm=measured_vm.launch(), on_event=note)
    assert stopped.value.code is Code.IO_FAILED
    assert (events[-1].event, events[-1].phase) == ("failed", "train")
    with OutputDisk(output / OUTPUT_DISK_NAME, writable=False) as disk:
        assert not disk.files()

    ballast.unlink()
    assert measured_vm.run(world, contract, output, vm=measured_vm.launch()).reported
