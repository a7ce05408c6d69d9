"""The HCL report of an Azure confidential VM: a hardware report and what it vouches for.

Microsoft's paravisor writes it to the vTPM's NV index 0x01400001 (spec/attestation §15.1). The
header is not signed; the hardware report binds the runtime claims, which name the vTPM's key.
Source: OpenHCL's guest attestation structures, request version 1. Verifies that binding only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sealtune.core.canonical import parse_json
from sealtune.crypto.encoding import b64decode
from sealtune.crypto.rsa import rsa_spki
from sealtune.errors import Code, FormatError, VerificationError

HCL_BYTES_MAX = 8 * 1024  # 3x the NV index
_HEADER_BYTES = 32
HARDWARE_BYTES = 1184  # an SNP report; shorter ones are followed by zeros
_DATA_OFFSET = _HEADER_BYTES + HARDWARE_BYTES
_DATA_BYTES = 20
RUNTIME_OFFSET = _DATA_OFFSET + _DATA_BYTES

# Each is 4 bytes, little-endian; the names are those that people are shown.
_NUMBERS = {
    "ver": 4,
    "size": 8,
    "reqtype": 12,
    "status": 16,
    "data_size": _DATA_OFFSET,
    "data_ver": _DATA_OFFSET + 4,
    "rtype": _DATA_OFFSET + 8,
    "hash": _DATA_OFFSET + 12,
    "varsize": _DATA_OFFSET + 16,
}
_SIGNATURE = b"HCLA"
_VERSIONS = frozenset({1, 2})
_AK_CERTIFICATE_REQUEST = 2
_DATA_VERSION = 1
_SHA256 = 1
_REPORT_DATA_BYTES = 64

_AK = "HCLAkPub"
_KEYS_MAX = 8
_EXPONENT_BYTES_MAX = 4
# A key for signing; before 2024 the paravisor wrote "encrypt" of the same key.
_KEY_OPERATIONS = (["sign"], ["encrypt"])
_USER_DATA_BYTES_MAX = 64


class HardwareType(IntEnum):
    """What the hardware report is; other isolation types have none that a vendor signs."""

    SNP = 2
    TDX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class HclReport:
    """The parts of an HCL report; `fields` are the numbers of its headers."""

    hardware_type: HardwareType
    hardware: bytes
    runtime: bytes
    fields: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeClaims:
    """What the hardware report vouches for: the vTPM's attestation key and the VM's settings.

    `ak_spki` is the key as SubjectPublicKeyInfo. A setting is None where this paravisor does not
    say. `user_data` is what the guest asked to be included, in hexadecimal as it stood there.
    """

    ak_spki: bytes
    vm_configuration: Mapping[str, Any]
    user_data: str

    def setting(self, name: str) -> bool | None:
        """Return a yes-or-no setting of the VM."""
        value = self.vm_configuration.get(name)
        return value if isinstance(value, bool) else None


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.EVIDENCE_MALFORMED, f"HCL report: {reason}")


def _number(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def parse_hcl_report(data: bytes, *, hardware_type: HardwareType) -> HclReport:
    """Return the parts of the report `data`, which must carry hardware evidence of that type.

    Raises:
        FormatError: too long or short, of another type, version or hash, lengths that contradict
            each other, or bytes outside of all parts that are not zero.
    """
    if len(data) > HCL_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"HCL report: more than {HCL_BYTES_MAX} bytes")
    if len(data) < RUNTIME_OFFSET or data[:4] != _SIGNATURE:
        raise _malformed("no HCLA header and claims")
    fields = {name: _number(data, offset) for name, offset in _NUMBERS.items()}
    _require_known(fields, hardware_type)
    end = RUNTIME_OFFSET + fields["varsize"]
    # The length of the claims is told three times. A reader that took another one would hash other
    # bytes.
    if (
        fields["data_size"] != _DATA_BYTES + fields["varsize"]
        or fields["size"] != end
        or end > len(data)
    ):
        raise _malformed("lengths that contradict each other or the report")
    # Nothing signs these bytes: another value would be a second spelling of the same evidence.
    if fields["status"] or any(data[20:_HEADER_BYTES]) or any(data[end:]):
        raise _malformed("reserved bytes or bytes after the claims are not zero")
    return HclReport(
        hardware_type=hardware_type,
        hardware=data[_HEADER_BYTES:_DATA_OFFSET],
        runtime=data[RUNTIME_OFFSET:end],
        fields=fields,
    )


def _require_known(fields: Mapping[str, int], hardware_type: HardwareType) -> None:
    if fields["ver"] not in _VERSIONS or fields["data_ver"] != _DATA_VERSION:
        raise FormatError(
            Code.EVIDENCE_VERSION,
            f"HCL report: version {fields['ver']} with data of version {fields['data_ver']}",
        )
    if fields["rtype"] != hardware_type:
        raise FormatError(
            Code.EVIDENCE_KIND,
            f"HCL report: hardware evidence of type {fields['rtype']}, not {hardware_type.name}",
        )
    if fields["reqtype"] != _AK_CERTIFICATE_REQUEST:
        raise _malformed(f"of a request of type {fields['reqtype']}")
    if fields["hash"] != _SHA256:
        raise _malformed(f"claims hashed with algorithm {fields['hash']}, not SHA-256")


def open_runtime_claims(hcl: HclReport, *, report_data: bytes) -> RuntimeClaims:
    """Return the runtime claims of `hcl`, which the hardware report's `report_data` must bind.

    What they say counts only if that hardware report is verified.

    Raises:
        VerificationError: it binds something else, or the claims name not exactly one attestation
            key.
        FormatError: the claims cannot be read.
    """
    # spec/attestation §15.2: exactly the claims, without the zeros after them; and the second half
    # is zero, or it could be the digest of something that is read elsewhere.
    bound = hashlib.sha256(hcl.runtime).digest().ljust(_REPORT_DATA_BYTES, b"\0")
    if not hmac.compare_digest(report_data, bound):
        raise VerificationError(
            Code.EVIDENCE_VTPM_BINDING,
            "HCL report: the hardware report does not bind these runtime claims",
        )
    value = parse_json(hcl.runtime, limit=HCL_BYTES_MAX, what="HCL report")
    if not isinstance(value, dict):
        raise _malformed("claims that are no object")
    configuration = value.get("vm-configuration", {})
    if not isinstance(configuration, dict):
        raise _malformed("a VM configuration that is no object")
    return RuntimeClaims(
        ak_spki=_attestation_key(value.get("keys")),
        vm_configuration=configuration,
        user_data=_user_data(value.get("user-data", "")),
    )


def _attestation_key(keys: object) -> bytes:
    if not isinstance(keys, list) or not 1 <= len(keys) <= _KEYS_MAX:
        raise _malformed(f"keys are a list of 1 to {_KEYS_MAX}")
    if not all(isinstance(key, dict) for key in keys):
        raise _malformed("a key that is no object")
    found = [key for key in keys if key.get("kid") == _AK]
    if len(found) != 1:
        raise VerificationError(
            Code.EVIDENCE_VTPM_BINDING, f"HCL report: {len(found)} keys named {_AK}"
        )
    (key,) = found
    if key.get("kty") != "RSA" or key.get("key_ops") not in _KEY_OPERATIONS:
        raise VerificationError(
            Code.EVIDENCE_VTPM_BINDING, f"HCL report: {_AK} is no RSA key for signing"
        )
    exponent = b64decode(key.get("e"), what="HCL report: e", code=Code.EVIDENCE_MALFORMED)
    modulus = b64decode(key.get("n"), what="HCL report: n", code=Code.EVIDENCE_MALFORMED)
    if len(exponent) > _EXPONENT_BYTES_MAX:
        raise _malformed("an RSA exponent of more than 4 bytes")
    return rsa_spki(
        modulus=int.from_bytes(modulus, "big"), exponent=int.from_bytes(exponent, "big")
    )


def _user_data(value: object) -> str:
    if not isinstance(value, str) or len(value) > 2 * _USER_DATA_BYTES_MAX:
        raise _malformed(f"user data is at most {_USER_DATA_BYTES_MAX} bytes in hexadecimal")
    try:
        bytes.fromhex(value)
    except ValueError:
        raise _malformed("user data that is not hexadecimal") from None
    return value
