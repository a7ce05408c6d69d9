"""The operator boots the agreed image a little changed, in a real machine with a real TPM.

What is measured boots and is refused by every broker, for the one reason that a register is another
one; what is verified when it is read stops the guest before the worker's first word.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.measured import MeasuredVm
from chain.world import World
from sealtune.errors import Code, SealtuneError
from sealtune.image.measure import without_acpi
from sealtune.tee.events import WorkerEvent

pytestmark = pytest.mark.slow
# In the header for DOS, before the offset of the PE header: nothing reads it, the digest covers it.
DOS_PADDING = 0x20
# In the root's superblock: the first block that anything reads.
SUPERBLOCK_TIME = 8


@pytest.fixture(scope="module")
def contract(world: World, measured_vm: MeasuredVm) -> Path:
    return world.agree("booted", enclaves=[measured_vm.enclave])


def flipped(source: Path, target: Path, offset: int) -> Path:
    """Copy `source` with one changed byte."""
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    return target


def refused(
    world: World, vm: MeasuredVm, contract: Path, output: Path, **changes: Any
) -> tuple[Code, list[str]]:
    """Run it and return what refused it, and the phases that it came through."""
    phases: list[str] = []

    def note(event: WorkerEvent) -> None:
        if event.event == "phase":
            phases.append(event.phase)

    with pytest.raises(SealtuneError) as refusal:
        vm.run(world, contract, output, vm=vm.launch(**changes), on_event=note)
    assert not (output / "receipt.json").exists()
    return refusal.value.code, phases


REFUSED_AT_RELEASE = (Code.APPRAISAL_REGISTER, ["contract", "inputs", "attest"])
NEVER_SPOKE = (Code.GUEST_FAILED, [])


def test_another_command_line_gets_no_key(
    world: World, measured_vm: MeasuredVm, contract: Path, tmp_path: Path
) -> None:
    """The operator asks for a shell in the worker's place. None starts; and no key comes either."""
    cmdline = f"{measured_vm.image.manifest.cmdline} init=/bin/sh"
    found = refused(world, measured_vm, contract, tmp_path / "run", cmdline=cmdline)
    assert found == REFUSED_AT_RELEASE


def test_a_guest_that_takes_no_acpi_comes_up(
    world: World, measured_vm: MeasuredVm, contract: Path, tmp_path: Path
) -> None:
    """So a SEV-SNP guest may be launched: all but the TPM, which ACPI names, works without it."""
    cmdline = without_acpi(measured_vm.image.manifest.cmdline)
    found = refused(world, measured_vm, contract, tmp_path / "run", cmdline=cmdline)
    assert found == (Code.TEE_UNAVAILABLE, [])


def test_another_kernel_gets_no_key(
    world: World, measured_vm: MeasuredVm, contract: Path, tmp_path: Path
) -> None:
    """One bit of the kernel's file is another, in a place that changes nothing it does."""
    agreed = measured_vm.image.path(measured_vm.image.manifest.kernel)
    kernel = flipped(agreed, tmp_path / "vmlinuz", DOS_PADDING)
    found = refused(world, measured_vm, contract, tmp_path / "run", kernel=kernel)
    assert found == REFUSED_AT_RELEASE


def test_another_initrd_gets_no_key(
    world: World, measured_vm: MeasuredVm, contract: Path, tmp_path: Path
) -> None:
    """One byte follows the initrd's archive, where the kernel would also unpack a second one."""
    agreed = measured_vm.image.path(measured_vm.image.manifest.initrd)
    initrd = tmp_path / "initrd"
    initrd.write_bytes(agreed.read_bytes() + b"\0")
    found = refused(world, measured_vm, contract, tmp_path / "run", initrd=initrd)
    assert found == REFUSED_AT_RELEASE


def test_an_initrd_with_a_flipped_bit_starts_no_worker(
    world: World, measured_vm: MeasuredVm, contract: Path, tmp_path: Path
) -> None:
    """It no longer unpacks, and there is nothing else that the kernel could start."""
    agreed = measured_vm.image.path(measured_vm.image.manifest.initrd)
    initrd = flipped(agreed, tmp_path / "initrd", agreed.stat().st_size // 2)
    found = refused(world, measured_vm, contract, tmp_path / "run", initrd=initrd)
    assert found == NEVER_SPOKE


def test_a_root_with_a_flipped_bit_starts_no_worker(
    world: World, measured_vm: MeasuredVm, contract: Path, tmp_path: Path
) -> None:
    """dm-verity reads the block, compares, and stops the kernel: Python never runs."""
    agreed = measured_vm.image.path(measured_vm.image.manifest.root)
    root = flipped(agreed, tmp_path / "root", SUPERBLOCK_TIME)
    cmdline = f"{measured_vm.image.manifest.cmdline} console=ttyS0"
    launch = measured_vm.launch(root=root, cmdline=cmdline)
    launch = replace(launch, image=replace(launch.image, debug=True))
    events: list[WorkerEvent] = []
    with pytest.raises(SealtuneError) as stopped:
        measured_vm.run(world, contract, tmp_path / "run", vm=launch, on_event=events.append)
    assert (stopped.value.code, events) == (Code.GUEST_FAILED, [])
    # The kernel's own words, on a console that only this test gives it.
    assert "dm-verity device corrupted" in stopped.value.message
