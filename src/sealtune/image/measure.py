"""What evidence shows of a machine that boots an image (docs/spec/reference-values.md §2).

From the image's files alone. Pure: bytes in, entries out, by the names that contracts use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sealtune.attestation.event_log import Bank
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.snp_launch.digest import (
    DirectBoot,
    Launch,
    command_line_digest,
    launch_digest,
)
from sealtune.attestation.snp_launch.firmware import Firmware
from sealtune.attestation.snp_launch.vmsa import CPU_TYPES, Vmm
from sealtune.contract.reference_values import ReferenceEntry
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import CONTRACT_MEASUREMENTS_MAX
from sealtune.image.measure_sgx import SgxMeasurement
from sealtune.image.pcr import BootFiles, LoadOptions, boot_digests, pcr2, pcr4, pcr9
from sealtune.image.pcr_firmware import FirmwareProfile
from sealtune.image.rtmr import NOT_VERIFIED, rtmr1, rtmr2

SNP_ENTRY: Final = "sev-snp"
SNP_WITHOUT_ACPI_ENTRY: Final = "sev-snp-no-acpi"
TPM_ENTRY: Final = "tpm-vm"
TDX_ENTRY: Final = "tdx"
SGX_ENTRY: Final = "sgx"


_NO_ACPI: Final = "acpi=off"
_HOSTS_ACPI: Final = "takes ACPI tables, which are not measured, from the host"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpMachines:
    """The SEV-SNP machines that may boot an image: every type with every number of processors.

    Raises:
        ValueError: an unknown type, or no combination or more than one contract lists.
    """

    firmware: Firmware
    vcpu_types: tuple[str, ...]
    vcpus: tuple[int, ...]
    features: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.vcpu_types) * len(self.vcpus) <= CONTRACT_MEASUREMENTS_MAX:
            raise ValueError(f"1 to {CONTRACT_MEASUREMENTS_MAX} launches can be allowed")
        if unknown := set(self.vcpu_types) - CPU_TYPES.keys():
            raise ValueError(f"unknown processor types: {', '.join(sorted(unknown))}")


def without_acpi(command_line: str) -> str:
    """Return the command line of an image that takes no ACPI tables (reference-values spec §2).

    ACPI tables hold code, which a kernel runs: with SEV-SNP they are the host's and not measured.
    Without them a guest has one processor.
    """
    return f"{command_line} {_NO_ACPI}"


def snp_entries(files: BootFiles, machines: SnpMachines) -> Mapping[str, ReferenceEntry]:
    """Return `sev-snp-TYPE-COUNT` for each machine and `sev-snp` for any of them.

    And for each type `sev-snp-no-acpi-TYPE`, one processor and no ACPI, and `sev-snp-no-acpi`.

    Raises:
        FormatError: the firmware would not measure a kernel that is given directly.
    """
    usual = {
        f"{SNP_ENTRY}-{vcpu_type}-{count}": launch_digest(launch, vcpus=count).hex()
        for vcpu_type, launch in _launches(files, machines).items()
        for count in machines.vcpus
    }
    lean = replace(files, command_line=without_acpi(files.command_line))
    bare = {
        f"{SNP_WITHOUT_ACPI_ENTRY}-{vcpu_type}": launch_digest(launch, vcpus=1).hex()
        for vcpu_type, launch in _launches(lean, machines).items()
    }
    note = f"QEMU, guest features {machines.features:#x}"
    return {
        **_snp_group(SNP_ENTRY, usual, note=f"{note}; {_HOSTS_ACPI}"),
        **_snp_group(SNP_WITHOUT_ACPI_ENTRY, bare, note=f"{note}; one processor, no ACPI"),
    }


def _launches(files: BootFiles, machines: SnpMachines) -> Mapping[str, Launch]:
    boot = DirectBoot(
        kernel=sha256_digest(files.kernel),
        initrd=sha256_digest(files.initrd),
        command_line=command_line_digest(files.command_line),
    )
    return {
        vcpu_type: Launch(
            firmware=machines.firmware,
            boot=boot,
            signature=CPU_TYPES[vcpu_type],
            features=machines.features,
            vmm=Vmm.QEMU,
        )
        for vcpu_type in machines.vcpu_types
    }


def _snp_group(name: str, found: Mapping[str, str], *, note: str) -> Mapping[str, ReferenceEntry]:
    # Types with one CPUID signature measure alike; a contract lists a value once.
    every = tuple(dict.fromkeys(found.values()))
    entries = {name: _entry(EvidenceKind.SEV_SNP, measurements=every, note=note)}
    for single, value in found.items():
        entries[single] = _entry(EvidenceKind.SEV_SNP, measurements=(value,), note=note)
    return entries


def tpm_entry(files: BootFiles, profile: FirmwareProfile) -> Mapping[str, ReferenceEntry]:
    """Return `tpm-vm`: PCR 2, 4 and 9 of a direct boot, PCR 0 and 7 of the firmware.

    Raises:
        FormatError: the kernel is no PE image with an EFI stub.
    """
    digests = boot_digests(files, load_options=profile.load_options, bank=Bank.SHA256)
    values = {
        "pcr0": profile.pcr0,
        # A device's option ROM runs before the kernel does and could change what it becomes.
        "pcr2": pcr2(bank=digests.bank),
        "pcr4": pcr4(digests),
        "pcr7": profile.pcr7,
        "pcr9": pcr9(digests),
    }
    note = f"firmware {profile.name}; PCR 0 and 7 recorded, 2, 4 and 9 derived"
    return {TPM_ENTRY: _entry(EvidenceKind.TPM_VM, registers=values, note=note)}


def tdx_entry(files: BootFiles, load_options: LoadOptions) -> Mapping[str, ReferenceEntry]:
    """Return `tdx`: RTMR1 and RTMR2 as derived, which no boot on such a machine has confirmed.

    Raises:
        FormatError: the kernel is no PE image with an EFI stub.
    """
    digests = boot_digests(files, load_options=load_options, bank=Bank.SHA384)
    values = {"rtmr1": rtmr1(digests), "rtmr2": rtmr2(digests)}
    note = f"{NOT_VERIFIED}; MRTD and RTMR0 are not derived"
    return {TDX_ENTRY: _entry(EvidenceKind.TDX, registers=values, note=note)}


def sgx_entry(measured: SgxMeasurement) -> Mapping[str, ReferenceEntry]:
    """Return `sgx`: MRENCLAVE and MRSIGNER of a signed enclave."""
    entry = _entry(
        EvidenceKind.SGX,
        measurements=(measured.mrenclave.hex(),),
        registers={"mrsigner": measured.mrsigner},
        note=f"isv_prod_id {measured.product}, isv_svn {measured.version}; {NOT_VERIFIED}",
    )
    return {SGX_ENTRY: entry}


def _entry(
    kind: EvidenceKind,
    *,
    measurements: tuple[str, ...] = (),
    registers: Mapping[str, bytes] | None = None,
    note: str,
) -> ReferenceEntry:
    listed = {name: (value.hex(),) for name, value in (registers or {}).items()}
    return ReferenceEntry(kind=kind, measurements=measurements, registers=listed, note=note)
