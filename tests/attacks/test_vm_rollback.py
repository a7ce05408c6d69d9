"""The operator of a measured VM puts the output disk of an earlier moment back."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from chain.measured import MeasuredVm
from chain.world import World, kill_worker
from sealtune.errors import Code, SealtuneError
from sealtune.tee.events import WorkerEvent
from sealtune.tee.output_disk import OutputDisk
from sealtune.tee.qemu.run import OUTPUT_DISK_NAME

pytestmark = pytest.mark.slow
RECIPE = {"epochs": 4, "batch_size": 16, "max_length": 16, "checkpoint_every_steps": 1}
LAST_STEP = 8


def checkpoints(disk: Path, folder: Path) -> list[Path]:
    """Take the training checkpoints from the disk, the oldest first."""
    folder.mkdir()
    with OutputDisk(disk, writable=False) as opened:
        for name in opened.files():
            opened.extract(name, folder / name)
    return sorted(folder.glob("checkpoint-*"))


def refused(world: World, vm: MeasuredVm, contract: Path, output: Path) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        vm.run(world, contract, output, vm=vm.launch())
    return refusal.value.code


def test_an_older_output_disk_put_back(
    world: World, measured_vm: MeasuredVm, tmp_path: Path
) -> None:
    """The operator copies the disk while the VM trains, and kills QEMU some checkpoints later.

    So it could have the worker train a stretch again and again. The brokers remember the newest
    checkpoint: a disk without it is refused, and one that has the old one under its name as well.
    With the newest disk the run goes on, and no step that a checkpoint holds is trained again.
    """
    contract = world.agree("vm-rollback", enclaves=[measured_vm.enclave], recipe=RECIPE, max_runs=1)
    output, old = tmp_path / "run", tmp_path / "old.disk"
    disk = output / OUTPUT_DISK_NAME
    held: list[Path] = []

    def hoard(event: WorkerEvent) -> None:
        if event.event != "progress":
            return
        if not held:
            shutil.copyfile(disk, old)
            with contextlib.suppress(SealtuneError):  # copied while it was written
                held.extend(checkpoints(old, tmp_path / f"copied-{event.step}"))
        if event.step == LAST_STEP:
            kill_worker(str(output))

    with pytest.raises(SealtuneError) as killed:
        measured_vm.run(world, contract, output, vm=measured_vm.launch(), on_event=hoard)
    assert killed.value.code is Code.GUEST_FAILED
    newest = shutil.copyfile(disk, tmp_path / "newest.disk")
    names = [path.name for path in checkpoints(newest, tmp_path / "newest")]
    assert held[0].name < names[0]

    shutil.copyfile(old, disk)
    assert refused(world, measured_vm, contract, output) is Code.CHECKPOINT_MISSING

    with OutputDisk(disk, writable=True) as opened:
        for name in names:
            disguised = shutil.copyfile(held[0], tmp_path / name)
            opened.write_file(name, disguised)
    assert refused(world, measured_vm, contract, output) is Code.CHECKPOINT_ROLLBACK

    shutil.copyfile(newest, disk)
    steps: list[int] = []
    outcome = measured_vm.run(
        world,
        contract,
        output,
        vm=measured_vm.launch(),
        on_event=lambda event: steps.append(event.step) if event.event == "progress" else None,
    )
    assert outcome.reported
    assert min(steps) >= int(names[-1][-15:-7])
