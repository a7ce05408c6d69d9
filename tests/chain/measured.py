"""A measured VM for tests of the whole chain: this working tree's image, a TPM, a contract.

Booted under emulation a job takes minutes, so only tests marked `slow` start one. `SEALTUNE_IMAGE`
names an image that is built already, `SEALTUNE_OVMF` other firmware.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain.world import World
from image.built import built_image
from sealtune.core.digest import sha256_digest
from sealtune.image.manifest import Image, read_image
from sealtune.image.measure_files import VmFirmware, measure_image
from sealtune.image.pcr_firmware import KNOWN_FIRMWARE
from sealtune.tee.launcher import RunOutcome, Tee, VmLaunch
from sealtune.tee.qemu.arguments import Boot
from sealtune.tee.qemu.run import VmHost, VmImage, VmSize
from sealtune.tee.qemu.tpm import attestation_key_digest, make_tpm
from tee.fakes_swtpm import require_tools

FIRMWARE = Path(os.environ.get("SEALTUNE_OVMF", "/usr/share/OVMF/OVMF_CODE_4M.fd"))
SECONDS = 1500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredVm:
    """An image, what it measures to, and the TPM that its operator enrolled."""

    image: Image
    tpm: Path
    registers: dict[str, list[str]]
    attestation_key: str

    @property
    def enclave(self) -> dict[str, Any]:
        """A contract's entry for exactly this image and this TPM."""
        return {
            "name": "measured-vm",
            "kind": "tpm-vm",
            "registers": self.registers,
            "contract_at_launch": False,
            "ak_digests": [self.attestation_key],
        }

    def launch(self, *, root: Path | None = None, **boot: Any) -> VmLaunch:
        """What boots the image; arguments replace what an operator could replace."""
        manifest = self.image.manifest
        agreed = Boot(
            kernel=self.image.path(manifest.kernel),
            initrd=self.image.path(manifest.initrd),
            cmdline=manifest.cmdline,
        )
        root = root or self.image.path(manifest.root)
        variables = FIRMWARE.with_name(FIRMWARE.name.replace("CODE", "VARS"))
        return VmLaunch(
            image=VmImage(boot=replace(agreed, **boot), root=root, debug=False),
            host=VmHost(tpm=self.tpm, firmware=FIRMWARE, variables=variables),
            size=VmSize(processors=1, memory_mib=3072, output_bytes=2**28),
            greeting_seconds=600.0,
        )

    def run(
        self, world: World, contract: Path, output: Path, *, vm: VmLaunch, **changes: Any
    ) -> RunOutcome:
        """Run `contract` in the machine that `vm` starts."""
        told = {"tee": Tee.VM, "tee_files": None, "timeout_seconds": SECONDS} | changes
        return world.run(contract, output, vm=vm, **told)


def make_measured_vm(tpm: Path, image: Image | None = None) -> MeasuredVm:
    """Return the VM of `image`, else of this working tree's; skip where a program is missing."""
    require_tools("qemu-system-x86_64", "swtpm", "swtpm_setup", "swtpm_localca")
    if not FIRMWARE.is_file():
        pytest.skip(f"{FIRMWARE} missing: run tests/tee/install-tools.sh, or set SEALTUNE_OVMF")
    if image is None:
        given = os.environ.get("SEALTUNE_IMAGE")
        image = read_image(Path(given)) if given else built_image()
    if sha256_digest(FIRMWARE.read_bytes()) not in KNOWN_FIRMWARE:
        pytest.skip(f"nothing is recorded for this version of {FIRMWARE}: set SEALTUNE_OVMF")
    vm = VmFirmware(ovmf=FIRMWARE, recorded=None)
    measured = measure_image(image.folder, snp=None, vm=vm, sigstruct=None).entries["tpm-vm"]
    return MeasuredVm(
        image=image,
        tpm=tpm,
        registers={name: list(found) for name, found in measured.registers.items()},
        attestation_key=attestation_key_digest(make_tpm(tpm)),
    )
