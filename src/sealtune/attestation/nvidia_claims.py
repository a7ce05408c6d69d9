"""What an authentic NVIDIA device says: typed, in common words, as fields (spec/attestation §16.7).

Also `require_distinct`: one device must not stand for several.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sealtune.attestation.evidence import DEVICE_KINDS, EvidenceKind
from sealtune.attestation.nvidia_device import OID_COMPOSITE_DEVICE, DeviceIdentity
from sealtune.attestation.nvidia_reference import Match, References, Versions
from sealtune.attestation.nvidia_spdm import (
    CHIP_SKU,
    DRIVER,
    FWID,
    OPAQUE_NAMES,
    PROJECT,
    PROJECT_SKU,
    PROTECTED_PCIE,
    SWITCH_PDIS,
    VBIOS,
    SpdmReport,
    vbios_version,
)
from sealtune.attestation.nvidia_status import Revocation
from sealtune.attestation.verified import AuthenticEvidence, Claims
from sealtune.crypto.x509 import Certificate
from sealtune.errors import Code, FormatError, VerificationError

_PROTECTED_PCIE_ON = b"\xaa"
_PDI_BYTES = 8
_SHOWN_BYTES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaClaims:
    """An authentic report with what its chain and endorsements add.

    `protected_pcie` is None where the report has no such field.
    """

    report: SpdmReport
    identity: DeviceIdentity
    versions: Versions
    protected_pcie: bool | None
    revocation: Revocation
    references: References

    @property
    def referenced(self) -> bool:
        """Whether all that NVIDIA publishes reference values for matches them."""
        driver = self.versions.driver is None or self.references.driver is not None
        return driver and self.references.vbios is not None

    @property
    def unknown_status(self) -> tuple[str, ...]:
        """The names of all whose status is not known: authorities, signers of its RIMs."""
        statuses = (self.revocation, *(match.revocation for match in self.references.matches))
        return tuple(dict.fromkeys(name for status in statuses for name in status.unknown))


def read_versions(report: SpdmReport, identity: DeviceIdentity, *, kind: EvidenceKind) -> Versions:
    """Return what the report says that the device runs.

    Raises:
        FormatError: it does not say, or in another form.
    """
    is_switch = kind is EvidenceKind.NVIDIA_SWITCH
    driver = None if is_switch else report.text(DRIVER)
    vbios = report.opaque.get(VBIOS)
    if not vbios or (not is_switch and not driver):
        raise FormatError(
            Code.EVIDENCE_MALFORMED, "SPDM report: without the version of driver or VBIOS"
        )
    board = (report.text(PROJECT), report.text(PROJECT_SKU), report.text(CHIP_SKU))
    return Versions(
        architecture=identity.architecture,
        chip=identity.chip,
        driver=driver,
        vbios=vbios_version(vbios, is_switch=is_switch),
        board=(board[0], board[1], board[2]) if board[0] and board[1] and board[2] else None,
    )


def read_protected_pcie(report: SpdmReport) -> bool | None:
    """Return whether protected PCIe is on, None where the report does not say."""
    # The feature flag (36) is no substitute: single GPUs without protected PCIe have it too.
    status = report.opaque.get(PROTECTED_PCIE)
    return None if status is None else status == _PROTECTED_PCIE_ON


def common_claims(claims: NvidiaClaims, *, kind: EvidenceKind, leaf: Certificate) -> Claims:
    """Return what the device says in the words that all kinds share."""
    identity = claims.identity
    names = {"ueid": identity.ueid, "device_key": str(identity.device_key)}
    if identity.pdi:
        names["pdi"] = identity.pdi
    return Claims(
        vendor="NVIDIA",
        platform="NVIDIA GPU" if kind is EvidenceKind.NVIDIA_GPU else "NVIDIA NVSwitch",
        generation=str(identity.architecture),
        signer=leaf.subject_cn,
        tcb={"driver": claims.versions.driver, "vbios": claims.versions.vbios},
        debug=bool(identity.debug),
        # A report does not say in words whether the device keeps the operator out: firmware in a
        # mode that lets him in has other measurements. Without reference values nobody can tell.
        memory_protected=claims.referenced and not identity.debug,
        # A device has many measurements and no one launch measurement.
        measurement="",
        registers=MappingProxyType(
            {f"block{index}": value.hex() for index, value in claims.report.blocks.items()}
        ),
        host_data=None,
        identity=MappingProxyType(names),
        fields=MappingProxyType(_fields(claims, leaf)),
    )


def spdm_fields(report: SpdmReport) -> dict[str, Any]:
    """Return every decoded field of a report as JSON values."""
    vbios = report.opaque.get(VBIOS)
    pdis = report.opaque.get(SWITCH_PDIS)
    return {
        "req_nonce": report.request_nonce.hex(),
        "resp_nonce": report.response_nonce.hex(),
        "slot": report.slot,
        "driver": report.text(DRIVER),
        "vbios": None if vbios is None else vbios.hex(),
        "chip_sku": report.text(CHIP_SKU),
        "project": report.text(PROJECT),
        "project_sku": report.text(PROJECT_SKU),
        "nblocks": len(report.blocks),
        "protected_pcie": read_protected_pcie(report),
        "switch_pdis": None if pdis is None else _pdis(pdis),
        "measurements": {str(index): value.hex() for index, value in report.blocks.items()},
        "opaque": {
            OPAQUE_NAMES.get(number, str(number)): value.hex()
            for number, value in report.opaque.items()
        },
    }


def fwid_field(report: SpdmReport, *, leaf: Certificate) -> object:
    """Return how the report's FWID compares with the one beside the device's key in the leaf.

    True: equal. None: the leaf has none in that form (Blackwell's TcbInfo has another). Otherwise
    what there is to compare: the beginning of the leaf's extension, and the report's FWID.
    """
    extension = leaf.extensions.get(OID_COMPOSITE_DEVICE)
    if extension is None:
        return None
    fwid = report.opaque.get(FWID)
    if fwid is not None and extension.value.endswith(fwid):
        return True
    return [extension.value[:_SHOWN_BYTES].hex(), {} if fwid is None else {str(FWID): fwid.hex()}]


def _pdis(data: bytes) -> list[str]:
    return [data[at : at + _PDI_BYTES].hex() for at in range(0, len(data), _PDI_BYTES)]


def _fields(claims: NvidiaClaims, leaf: Certificate) -> dict[str, Any]:
    identity = claims.identity
    return {
        **spdm_fields(claims.report),
        "signature": "OK",
        "root": True,
        "fwid_match": fwid_field(claims.report, leaf=leaf),
        "arch": identity.architecture.upper(),
        "chip": identity.chip,
        "hwmodel": identity.hwmodel,
        "ueid": identity.ueid,
        "pdi": identity.pdi,
        "device_key": str(identity.device_key),
        "fwid": identity.fwid.hex(),
        "debug": identity.debug,
        "vbios_version": claims.versions.vbios,
        "ocsp": _status_fields(claims.revocation),
        "driver_rim": _match_fields(claims.references.driver),
        "vbios_rim": _match_fields(claims.references.vbios),
    }


def _match_fields(match: Match | None) -> Mapping[str, Any] | None:
    if match is None:
        return None
    return {
        "tag_id": match.tag_id,
        "version": match.version,
        "valid_until": match.valid_until.isoformat(),
        "ocsp": _status_fields(match.revocation),
        "compared": list(match.compared),
        "skipped": list(match.skipped),
    }


def _status_fields(revocation: Revocation) -> Mapping[str, Any]:
    return {"good": list(revocation.good), "unknown": list(revocation.unknown)}


def require_distinct(devices: Iterable[AuthenticEvidence]) -> None:
    """Verify that no two of `devices` are one device, under whatever certificate of it.

    Raises:
        VerificationError: two are.
        ValueError: evidence of something else than a device.
    """
    seen: set[str] = set()
    for device in devices:
        if device.kind not in DEVICE_KINDS:
            raise ValueError(f"{device.kind} is no device")
        # By the key in its ROM: the leaf, and so the ueid, changes with the firmware.
        key = device.claims.identity["device_key"]
        if key in seen:
            raise VerificationError(
                Code.DEVICE_DUPLICATE,
                f"device {device.claims.identity['ueid']} stands for several",
            )
        seen.add(key)
