"""Evidence as it travels: raw bytes and the certificates that endorse them (spec/attestation §2).

Bounded and strict about form; says nothing about truth. That is `verify`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sealtune.core.limits import (
    CERTIFICATE_BYTES_MAX,
    CHAIN_CERTIFICATES_MAX,
    DEVICES_MAX,
    EVIDENCE_BYTES_MAX,
    EVIDENCE_PART_NAME_MAX,
    EVIDENCE_PARTS_MAX,
)
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.errors import Code, FormatError

_PART_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_REQUIRED = frozenset({"kind", "report", "certificates"})
_OPTIONAL = frozenset({"parts", "devices"})


class EvidenceKind(StrEnum):
    """The formats of evidence that a verifier exists for (spec/attestation §2.3)."""

    SEV_SNP = "sev-snp"
    TDX = "tdx"
    SGX = "sgx"
    AZURE_SNP = "azure-snp"
    AZURE_TDX = "azure-tdx"
    TPM_VM = "tpm-vm"
    NITRO = "nitro"
    NVIDIA_GPU = "nvidia-gpu"
    NVIDIA_SWITCH = "nvidia-switch"


DEVICE_KINDS = frozenset({EvidenceKind.NVIDIA_GPU, EvidenceKind.NVIDIA_SWITCH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an Attester produced, unverified.

    `certificates` are DER, the key that signed the report first, the vendor's root last. `parts`
    are what else a kind of evidence consists of, by name. Evidence of a machine may carry that of
    its `devices`; those carry none.

    Raises:
        FormatError: more bytes, certificates, parts or devices than any honest evidence has.
    """

    kind: EvidenceKind
    report: bytes
    certificates: tuple[bytes, ...]
    parts: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    devices: tuple[Evidence, ...] = ()

    def __post_init__(self) -> None:
        # spec/attestation §2.2: bounds come before any parsing.
        if len(self.certificates) > CHAIN_CERTIFICATES_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, "evidence: too many certificates")
        if any(len(certificate) > CERTIFICATE_BYTES_MAX for certificate in self.certificates):
            raise FormatError(Code.LIMIT_EXCEEDED, "evidence: a certificate is too large")
        if len(self.parts) > EVIDENCE_PARTS_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, "evidence: too many parts")
        if not all(_PART_NAME.fullmatch(name) for name in self.parts):
            raise _malformed("a part with another name than lower-case letters, digits and _")
        _check_devices(self.kind, self.devices)
        if self.size > EVIDENCE_BYTES_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, "evidence: too many bytes")

    @property
    def size(self) -> int:
        """How many bytes it has in all, devices included."""
        own = len(self.report) + sum(map(len, (*self.certificates, *self.parts.values())))
        return own + sum(device.size for device in self.devices)

    def part(self, name: str) -> bytes:
        """Return the part `name`.

        Raises:
            FormatError: there is none.
        """
        if name not in self.parts:
            raise _malformed(f"{self.kind} evidence without {name}")
        return self.parts[name]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of spec/attestation §2.1."""
        written: dict[str, Any] = {
            "kind": str(self.kind),
            "report": b64encode(self.report),
            "certificates": [b64encode(certificate) for certificate in self.certificates],
        }
        if self.parts:
            written["parts"] = {name: b64encode(data) for name, data in self.parts.items()}
        if self.devices:
            written["devices"] = [device.to_dict() for device in self.devices]
        return written


def _check_devices(kind: EvidenceKind, devices: tuple[Evidence, ...]) -> None:
    if len(devices) > DEVICES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "evidence: too many devices")
    if devices and kind in DEVICE_KINDS:
        raise _malformed("a device does not carry devices")
    if any(device.kind not in DEVICE_KINDS for device in devices):
        raise _malformed("evidence among the devices that is of no device")


def evidence_from_dict(value: object) -> Evidence:
    """Return the Evidence that the JSON object `value` holds.

    Raises:
        FormatError: missing or unknown fields, an unknown kind, text that is not base64url, or
            more bytes than allowed.
    """
    if not isinstance(value, dict) or not _REQUIRED <= value.keys() <= _REQUIRED | _OPTIONAL:
        raise _malformed("an object of kind, report, certificates, parts and devices belongs here")
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in set(EvidenceKind):
        raise FormatError(Code.EVIDENCE_KIND, "evidence: of a kind that nobody here verifies")
    listing = _list(value["certificates"], limit=CHAIN_CERTIFICATES_MAX, what="certificates")
    return Evidence(
        kind=EvidenceKind(kind),
        report=_bytes(value["report"], limit=EVIDENCE_BYTES_MAX),
        certificates=tuple(_bytes(text, limit=CERTIFICATE_BYTES_MAX) for text in listing),
        parts=_parts(value),
        devices=_devices(value, EvidenceKind(kind)),
    )


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.EVIDENCE_MALFORMED, f"evidence: {reason}")


def _list(value: object, *, limit: int, what: str) -> list[object]:
    if not isinstance(value, list) or len(value) > limit:
        raise _malformed(f"{what} are a list of at most {limit}")
    return value


def _parts(value: dict[str, Any]) -> Mapping[str, bytes]:
    # An empty table would be a second spelling of none.
    parts = value.get("parts", {"": ""})
    if not isinstance(parts, dict) or not 1 <= len(parts) <= EVIDENCE_PARTS_MAX:
        raise _malformed(f"parts are an object of 1 to {EVIDENCE_PARTS_MAX}")
    if "parts" not in value:
        return MappingProxyType({})
    if any(len(name) > EVIDENCE_PART_NAME_MAX for name in parts):
        raise _malformed("a part's name is too long")
    return MappingProxyType(
        {name: _bytes(text, limit=EVIDENCE_BYTES_MAX) for name, text in parts.items()}
    )


def _devices(value: dict[str, Any], kind: EvidenceKind) -> tuple[Evidence, ...]:
    if "devices" not in value:
        return ()
    listing = _list(value["devices"], limit=DEVICES_MAX, what="devices")
    # Devices carry none, so this descends one level and no further.
    if not listing or kind in DEVICE_KINDS:
        raise _malformed("devices belong to a machine, and are at least one")
    return tuple(map(evidence_from_dict, listing))


def _bytes(text: object, *, limit: int) -> bytes:
    # Four characters carry three bytes: refuse before decoding.
    if isinstance(text, str) and len(text) > limit // 3 * 4 + 4:
        raise FormatError(Code.LIMIT_EXCEEDED, f"evidence: a part is larger than {limit} bytes")
    return b64decode(text, what="evidence", code=Code.EVIDENCE_MALFORMED)
