"""Which TEE this machine offers, and the Attester for it.

Looks at files only and opens no device: a recorded tree of /dev and /sys answers like the machine
that it was recorded on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.errors import Code, ConfigError
from sealtune.tee.attester import Attester
from sealtune.tee.azure_vtpm import AzureVtpmAttester
from sealtune.tee.composite import CompositeAttester
from sealtune.tee.configfs_tsm import ConfigfsTsmAttester
from sealtune.tee.gramine import GramineAttester
from sealtune.tee.machine import read_optional, tee_unavailable
from sealtune.tee.nvidia_nvml import NvidiaGpuAttester
from sealtune.tee.sev_guest import SevGuestAttester
from sealtune.tee.tpm_device import TpmAttester
from sealtune.tee.tpm_tools import TpmTools

AUTO = "auto"
WITH_GPUS = "+nvidia-gpu"
MACHINE = Path("/")
_HOST_DATA_BYTES = 32
_TSM = "sys/kernel/config/tsm/report"
_SEV_GUEST, _TDX_GUEST, _TPM = "dev/sev-guest", "dev/tdx_guest", "dev/tpmrm0"
_CCEL = "sys/firmware/acpi/tables/data/CCEL"
_EVENT_LOG = "sys/kernel/security/tpm0/binary_bios_measurements"
_ASSET_TAG = "sys/class/dmi/id/chassis_asset_tag"
_AZURE_TAG = b"7783-7084-3265-9085-8269-3286-77"  # every Azure VM has it
_TEXT_BYTES_MAX = 4096


class TeeName(StrEnum):
    """The TEEs that sealtune attests in; `tpm-vm` is measured and does not protect memory."""

    SGX = "sgx"
    SEV_SNP = "sev-snp"
    TDX = "tdx"
    AZURE = "azure"
    TPM_VM = "tpm-vm"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeeInterface:
    """What one TEE is here: through which file, or what is missing and how to mend it.

    `present` says that the hardware or hypervisor offers it; `missing` is empty where it is usable.
    """

    tee: TeeName
    path: str
    present: bool
    missing: str
    remedy: str


def detect_attesters(root: Path = MACHINE) -> tuple[TeeInterface, ...]:
    """Return an entry for each TEE, those first that `auto` prefers."""
    return tuple(_PROBES[tee](root) for tee in TeeName)


def make_attester(tee: str, *, root: Path = MACHINE) -> Attester:
    """Return the Attester for `tee`: a `TeeName` or `auto`, and `+nvidia-gpu` for its GPUs too.

    `auto` takes the TEE that protects memory; `tpm-vm` only on a machine that has none, and
    nothing simulated ever. A TEE that is present and unusable is an error, not a reason to take a
    weaker one.

    Raises:
        ConfigError: no such TEE here; the message names what is missing, the remedy the fix.
    """
    machine = tee.removesuffix(WITH_GPUS)
    if machine not in (AUTO, *TeeName):
        known = ", ".join((AUTO, *TeeName))
        raise ConfigError(Code.CONFIG_INVALID, f"{tee[:40]!r}: no TEE; there are {known}")
    found = detect_attesters(root)
    if machine == AUTO:
        chosen = next((entry for entry in found if entry.present), None)
        if chosen is None:
            raise tee_unavailable(
                "this machine offers no TEE and no TPM",
                remedy="run `sealtune doctor`: it says what the machine could offer and how",
            )
    else:
        chosen = next(entry for entry in found if entry.tee == machine)
    if chosen.missing:
        raise tee_unavailable(f"{chosen.tee}: {chosen.missing}", remedy=chosen.remedy)
    attester = _MAKERS[chosen.tee](root, chosen.path)
    return CompositeAttester(attester, NvidiaGpuAttester()) if tee != machine else attester


def collect(tee: str, report_data: bytes, *, root: Path = MACHINE) -> Evidence:
    """Return this machine's evidence for the 64 bytes of `report_data`; `tee` as `make_attester`.

    Raises:
        ValueError: `report_data` is not 64 bytes.
        SealtuneError: the TEE is missing or refuses.
    """
    return make_attester(tee, root=root).attest(report_data, host_data=bytes(_HOST_DATA_BYTES))


def _probe_sgx(root: Path) -> TeeInterface:
    tee, path = TeeName.SGX, "dev/attestation/attestation_type"
    if not (root / path).exists():
        missing = "this process runs in no Gramine SGX enclave"
        return _absent(tee, path, missing, "start it with gramine-sgx")
    if read_optional(root / path, limit=_TEXT_BYTES_MAX).strip() != b"dcap":
        missing = "Gramine runs without DCAP attestation"
        remedy = 'set sgx.remote_attestation = "dcap" in the manifest and sign it again'
        return _unusable(tee, path, missing, remedy)
    return TeeInterface(tee=tee, path=f"/{path}", present=True, missing="", remedy="")


def _probe_snp(root: Path) -> TeeInterface:
    if not (root / _SEV_GUEST).exists():
        remedy = "start the VM as an SEV-SNP guest, and load the driver: modprobe sev-guest"
        return _absent(TeeName.SEV_SNP, _SEV_GUEST, "/dev/sev-guest is missing", remedy)
    return _accessible(TeeName.SEV_SNP, root, _TSM if (root / _TSM).is_dir() else _SEV_GUEST)


def _probe_tdx(root: Path) -> TeeInterface:
    if not (root / _TDX_GUEST).exists():
        remedy = "start the VM as a TDX guest, and load the driver: modprobe tdx-guest"
        return _absent(TeeName.TDX, _TDX_GUEST, "/dev/tdx_guest is missing", remedy)
    if not (root / _TSM).is_dir():
        remedy = "use Linux 6.7 or newer: modprobe tsm; mount -t configfs none /sys/kernel/config"
        return _unusable(TeeName.TDX, _TSM, "the kernel's configfs-tsm is missing", remedy)
    return _accessible(TeeName.TDX, root, _TSM)


def _probe_azure(root: Path) -> TeeInterface:
    tag = read_optional(root / _ASSET_TAG, limit=_TEXT_BYTES_MAX).strip()
    if tag != _AZURE_TAG:
        remedy = "rent a confidential VM at Azure"
        return _absent(TeeName.AZURE, _ASSET_TAG, "this machine is no Azure VM", remedy)
    if not (root / _TPM).exists():
        remedy = "use a VM whose security type is confidential"
        return _absent(TeeName.AZURE, _TPM, "/dev/tpmrm0 is missing", remedy)
    # Only an index in the TPM tells a confidential VM from another: `auto` rather fails there
    # than takes a weaker TEE for granted.
    return _accessible(TeeName.AZURE, root, _TPM)


def _probe_tpm(root: Path) -> TeeInterface:
    if not (root / _TPM).exists():
        remedy = "give the machine a TPM 2.0"
        return _absent(TeeName.TPM_VM, _TPM, "/dev/tpmrm0 is missing", remedy)
    return _accessible(TeeName.TPM_VM, root, _TPM)


def _absent(tee: TeeName, path: str, missing: str, remedy: str) -> TeeInterface:
    return TeeInterface(tee=tee, path=f"/{path}", present=False, missing=missing, remedy=remedy)


def _unusable(tee: TeeName, path: str, missing: str, remedy: str) -> TeeInterface:
    return TeeInterface(tee=tee, path=f"/{path}", present=True, missing=missing, remedy=remedy)


def _accessible(tee: TeeName, root: Path, path: str) -> TeeInterface:
    if not os.access(root / path, os.R_OK | os.W_OK):
        remedy = "run as root, or let the service's user read and write it"
        return _unusable(tee, path, f"no permission on /{path}", remedy)
    return TeeInterface(tee=tee, path=f"/{path}", present=True, missing="", remedy="")


def _snp_attester(root: Path, path: str) -> Attester:
    if path == f"/{_SEV_GUEST}":
        return SevGuestAttester(root / _SEV_GUEST)
    return ConfigfsTsmAttester(EvidenceKind.SEV_SNP, root / _TSM)


def _azure_attester(root: Path) -> Attester:
    tools = TpmTools(tcti=f"device:{root / _TPM}")
    return AzureVtpmAttester(tools=tools, event_log=root / _EVENT_LOG)


_PROBES: dict[TeeName, Callable[[Path], TeeInterface]] = {
    TeeName.SGX: _probe_sgx,
    TeeName.SEV_SNP: _probe_snp,
    TeeName.TDX: _probe_tdx,
    TeeName.AZURE: _probe_azure,
    TeeName.TPM_VM: _probe_tpm,
}
_MAKERS: dict[TeeName, Callable[[Path, str], Attester]] = {
    TeeName.SGX: lambda root, _path: GramineAttester(root / "dev/attestation"),
    TeeName.SEV_SNP: _snp_attester,
    TeeName.TDX: lambda root, _path: ConfigfsTsmAttester(
        EvidenceKind.TDX, root / _TSM, ccel=root / _CCEL
    ),
    TeeName.AZURE: lambda root, _path: _azure_attester(root),
    TeeName.TPM_VM: lambda root, _path: TpmAttester(root / _TPM, event_log=root / _EVENT_LOG),
}
