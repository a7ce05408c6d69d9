"""A whole job in a measured VM: real image, real firmware, real TPM in software, real brokers.

Minutes under emulation, so `make test-all` alone. `SEALTUNE_IMAGE` names an image that is built
already; without it the image of this working tree is built, once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from chain.world import World
from image.built import built_image
from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.bundle.open import open_to_folder
from sealtune.contract.contract import verify_contract_signatures_ignoring_validity
from sealtune.core.clock import SystemClock
from sealtune.core.digest import digest_bytes, sha256_digest
from sealtune.crypto.dsse import parse_envelope
from sealtune.errors import Code, SealtuneError
from sealtune.image.manifest import Image, read_image
from sealtune.image.measure_files import VmFirmware, measure_image
from sealtune.receipt.receipt import parse_receipt
from sealtune.receipt.verify import verify_receipt_against_contract
from sealtune.tee.events import WorkerEvent
from sealtune.tee.launcher import Tee, VmLaunch
from sealtune.tee.qemu.arguments import Boot
from sealtune.tee.qemu.run import VmHost, VmImage, VmSize
from sealtune.tee.qemu.tpm import make_tpm
from sealtune.tee.tpm_device import TpmAttester
from tee.fakes_swtpm import require_tools, running

pytestmark = pytest.mark.slow
FIRMWARE = Path(os.environ.get("SEALTUNE_OVMF", "/usr/share/OVMF/OVMF_CODE_4M.fd"))
VARIABLES = FIRMWARE.with_name(FIRMWARE.name.replace("CODE", "VARS"))
SECONDS = 1500.0


@pytest.fixture(scope="module")
def image() -> Image:
    require_tools("qemu-system-x86_64", "swtpm", "swtpm_setup", "swtpm_localca")
    if not FIRMWARE.is_file():
        pytest.skip(f"no firmware: {FIRMWARE} is absent (set SEALTUNE_OVMF)")
    given = os.environ.get("SEALTUNE_IMAGE")
    return read_image(Path(given)) if given else built_image()


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tpm")


@pytest.fixture(scope="module")
def attestation_key(tpm: Path, image: Image) -> str:
    """Who operates the machine enrols its TPM: the digest of the key that signs its quotes."""
    with tempfile.TemporaryDirectory(prefix="tpm-") as short:
        state = Path(short, "made")
        shutil.copytree(make_tpm(tpm), state)
        with running(state, Path(short)) as software:
            attester = TpmAttester(
                Path("unused"), event_log=Path(short, "none"), transmit=software.transmit
            )
            evidence = attester.attest(bytes(64), host_data=bytes(32))
    return digest_bytes(sha256_digest(evidence.part("ak_public"))).hex()


@pytest.fixture(scope="module")
def registers(image: Image) -> dict[str, list[str]]:
    """What the image measures to, from its files alone."""
    vm = VmFirmware(ovmf=FIRMWARE, recorded=None)
    values = measure_image(image.folder, snp=None, vm=vm, sigstruct=None)
    return {name: list(found) for name, found in values.entries["tpm-vm"].registers.items()}


def launch(image: Image, tpm: Path, *, cmdline: str | None = None) -> VmLaunch:
    manifest = image.manifest
    boot = Boot(
        kernel=image.path(manifest.kernel),
        initrd=image.path(manifest.initrd),
        cmdline=cmdline or manifest.cmdline,
    )
    return VmLaunch(
        image=VmImage(boot=boot, root=image.path(manifest.root), debug=False),
        host=VmHost(tpm=tpm, firmware=FIRMWARE, variables=VARIABLES),
        size=VmSize(processors=1, memory_mib=3072, output_bytes=2**28),
        greeting_seconds=600.0,
    )


@pytest.fixture
def contract(world: World, registers: dict[str, list[str]], attestation_key: str) -> Path:
    enclave = {
        "name": "measured-vm",
        "kind": "tpm-vm",
        "registers": registers,
        "contract_at_launch": False,
        "ak_digests": [attestation_key],
    }
    recipe = {"epochs": 1, "batch_size": 16, "max_length": 16}
    return world.agree("vm", enclaves=[enclave], recipe=recipe)


def test_a_whole_job_in_a_measured_vm(
    world: World, contract: Path, image: Image, tpm: Path, tmp_path: Path
) -> None:
    events: list[WorkerEvent] = []
    output = tmp_path / "run"
    outcome = world.run(
        contract,
        output,
        on_event=events.append,
        tee=Tee.VM,
        tee_files=None,
        vm=launch(image, tpm),
        timeout_seconds=SECONDS,
    )
    assert outcome.reported
    assert not outcome.insecure
    assert [event.event for event in events][-1] == "finished"
    signed = verify_contract_signatures_ignoring_validity(parse_envelope(contract.read_bytes()))
    receipt = parse_receipt((output / "receipt.json").read_bytes())
    agreed = verify_receipt_against_contract(
        receipt,
        contract=signed,
        anchors=vendor_anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=SystemClock().now(),
    )
    assert not agreed.result.claims.memory_protected
    open_to_folder(
        output / "result.sealed", tmp_path / "adapter", recipient=world.identities["clinic"]
    )
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size > 0


def test_another_command_line_gets_no_key(
    world: World, contract: Path, image: Image, tpm: Path, tmp_path: Path
) -> None:
    """The operator boots the agreed image with a shell of his own beside it."""
    changed = launch(image, tpm, cmdline=f"{image.manifest.cmdline} init=/bin/sh")
    with pytest.raises(SealtuneError) as refusal:
        world.run(
            contract,
            tmp_path / "run",
            tee=Tee.VM,
            tee_files=None,
            vm=changed,
            timeout_seconds=SECONDS,
        )
    assert refusal.value.code in {Code.APPRAISAL_REGISTER, Code.GUEST_FAILED, Code.GUEST_SILENT}
