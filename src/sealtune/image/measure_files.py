"""Measures an image folder and the firmware files beside it (docs/spec/reference-values.md §2).

Reads files; what is computed from them, `measure` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sealtune.attestation.event_log import Bank
from sealtune.attestation.snp_launch.firmware import FIRMWARE_BYTES_MAX, parse_firmware
from sealtune.contract.reference_values import ReferenceEntry, ReferenceValues
from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.files import read_bounded
from sealtune.core.limits import EVENT_LOG_BYTES_MAX
from sealtune.errors import Code, ConfigError, VerificationError
from sealtune.image.authenticode import KERNEL_BYTES_MAX
from sealtune.image.manifest import MANIFEST_NAME, Image, ImageFile, read_image
from sealtune.image.manifest_parts import image_tee, read_manifest
from sealtune.image.measure import SnpMachines, sgx_entry, snp_entries, tdx_entry, tpm_entry
from sealtune.image.measure_sgx import SIGSTRUCT_BYTES, parse_sigstruct
from sealtune.image.pcr import INITRD_BYTES_MAX, BootFiles, boot_digests
from sealtune.image.pcr_firmware import FirmwareProfile, known_firmware, recorded_firmware
from sealtune.image.sgx.manifest import SGX, read_sgx_image
from sealtune.image.sgx.sign import measure_signed


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpFirmware:
    """The OVMF file that SEV-SNP guests are launched with, and the machines that may be."""

    ovmf: Path
    vcpu_types: tuple[str, ...]
    vcpus: tuple[int, ...]
    features: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VmFirmware:
    """The OVMF file that machines with a TPM, and TDX guests, boot with.

    `recorded` is the event log of a boot of the image with it; None for firmware that is known.
    """

    ovmf: Path
    recorded: Path | None


def measure_image(
    folder: Path, *, snp: SnpFirmware | None, vm: VmFirmware | None, sigstruct: Path | None
) -> ReferenceValues:
    """Return what evidence shows of the image in `folder`, for each TEE whose file is given.

    Raises:
        ConfigError: no file is given, or nothing is known about the firmware of `vm`; or an image
            for SGX is not signed.
        FormatError: a file is not what it should be.
        StorageError: one is missing or cannot be read.
        VerificationError: one is not the file that `image.json` names, the event log is not of a
            boot of this image, or the SIGSTRUCT's signature does not hold.
    """
    if image_tee(read_manifest(folder)) == SGX:
        if snp is not None or vm is not None:
            raise ConfigError(Code.CONFIG_INVALID, f"{folder}: an image for SGX boots nowhere")
        signed = measure_signed(read_sgx_image(folder), sigstruct=sigstruct)
        return ReferenceValues(
            image=Digest(f"sha256:{signed.image}"), entries=sgx_entry(signed.sgx)
        )
    if snp is None and vm is None and sigstruct is None:
        message, remedy = "nothing to measure for", "give --ovmf, --firmware or --sigstruct"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)
    image = read_image(folder)
    files = boot_files(image)
    entries: dict[str, ReferenceEntry] = {}
    if snp is not None:
        entries |= _snp(files, snp)
    if vm is not None:
        profile = _profile(files, vm)
        entries |= tpm_entry(files, profile)
        entries |= tdx_entry(files, profile.load_options)
    if sigstruct is not None:
        data = read_bounded(sigstruct, limit=SIGSTRUCT_BYTES, what="SIGSTRUCT")
        entries |= sgx_entry(parse_sigstruct(data))
    return ReferenceValues(image=Digest(f"sha256:{image.digest}"), entries=entries)


def boot_files(image: Image) -> BootFiles:
    """Return kernel, initrd and command line of `image`.

    Raises:
        FormatError: one that could not be booted so.
        StorageError: one cannot be read.
        VerificationError: one was exchanged since the image was read.
    """
    return BootFiles(
        kernel=_content(image, image.manifest.kernel, limit=KERNEL_BYTES_MAX),
        initrd=_content(image, image.manifest.initrd, limit=INITRD_BYTES_MAX),
        command_line=image.manifest.cmdline,
    )


def _content(image: Image, file: ImageFile, *, limit: int) -> bytes:
    data = read_bounded(image.path(file), limit=limit, what="image file")
    # What is measured is what was compared with the manifest, not what lies there a moment later.
    if sha256_digest(data) != f"sha256:{file.sha256}":
        message = f"{image.path(file)}: not the file that {MANIFEST_NAME} names"
        raise VerificationError(Code.IMAGE_MISMATCH, message)
    return data


def _snp(files: BootFiles, snp: SnpFirmware) -> Mapping[str, ReferenceEntry]:
    ovmf = read_bounded(snp.ovmf, limit=FIRMWARE_BYTES_MAX, what="firmware")
    machines = SnpMachines(
        firmware=parse_firmware(ovmf),
        vcpu_types=snp.vcpu_types,
        vcpus=snp.vcpus,
        features=snp.features,
    )
    return snp_entries(files, machines)


def _profile(files: BootFiles, vm: VmFirmware) -> FirmwareProfile:
    digest = sha256_digest(read_bounded(vm.ovmf, limit=FIRMWARE_BYTES_MAX, what="firmware"))
    if vm.recorded is None:
        return known_firmware(digest)
    log = read_bounded(vm.recorded, limit=EVENT_LOG_BYTES_MAX, what="event log")
    return recorded_firmware(
        log,
        name=digest,
        digests=lambda family: boot_digests(files, load_options=family, bank=Bank.SHA256),
    )
