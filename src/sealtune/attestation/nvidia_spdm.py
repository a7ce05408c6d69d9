"""NVIDIA's device report: SPDM 1.1 GET_MEASUREMENTS, request and response (spec/attestation §16).

Sources: DMTF DSP0274 1.1.1 §10.11 for the messages, NVIDIA's attestation-sdk for the types of
opaque data. Reads and bounds; verifies no signature and knows no certificate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sealtune.core.limits import KIB
from sealtune.errors import Code, FormatError, VerificationError

SPDM_BYTES_MAX = 16 * KIB  # 4x the largest report of a GPU
REQUEST_BYTES: Final = 37
NONCE_BYTES: Final = 32
SIGNATURE_BYTES: Final = 96
DIGEST_BYTES: Final = 48
_VERSION_1_1 = 0x11
_GET_MEASUREMENTS, _MEASUREMENTS = 0xE0, 0x60
_SIGNATURE_REQUESTED = 0x01
_ALL_MEASUREMENTS = 0xFF
_SLOT = 0x0F
_DMTF = 1
_OPAQUE_FIELDS_MAX = 64  # 3x the most in any report
_HEADER = b"NVDAOD"  # newer firmware: a header, and a value type in each field
_HEADER_BYTES = 12

# Types of opaque data that rules and people read; NVIDIA attestation-sdk, gpu_opaque_data_parser.
DRIVER, VBIOS, NVDEC0 = 3, 6, 11
CHIP_SKU, PROJECT, PROJECT_SKU, FWID = 15, 17, 18, 20
PROTECTED_PCIE, SWITCH_PDIS = 21, 22
OPAQUE_NAMES: Mapping[int, str] = MappingProxyType(
    {
        DRIVER: "driver",
        4: "gpu_info",
        VBIOS: "vbios",
        NVDEC0: "nvdec0_status",
        12: "measurement_counts",
        13: "cpr_info",
        14: "board_id",
        CHIP_SKU: "chip_sku",
        16: "chip_sku_mod",
        PROJECT: "project",
        PROJECT_SKU: "project_sku",
        19: "project_sku_mod",
        FWID: "fwid",
        PROTECTED_PCIE: "protected_pcie_status",
        SWITCH_PDIS: "switch_pdis",
        23: "floorswept_ports",
        24: "position_id",
        25: "lock_switch_status",
        26: "switch_gpu_pdis",
        32: "gpu_link_connection",
        33: "system_enable_status",
        34: "opaque_data_version",
        35: "chip_info",
        36: "feature_flag",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpdmReport:
    """A parsed report; nothing about it is verified.

    `blocks` are the measurements by index, from 1; `opaque` the vendor's fields by type.
    `signed` is everything before the signature, as it came.
    """

    signed: bytes
    signature_r: int
    signature_s: int
    request_nonce: bytes
    response_nonce: bytes
    slot: int
    blocks: Mapping[int, bytes]
    opaque: Mapping[int, bytes]

    def text(self, field: int) -> str | None:
        """Return the opaque text `field` without its padding, None where it is absent.

        Raises:
            FormatError: other characters than printable ASCII.
        """
        data = self.opaque.get(field)
        if data is None:
            return None
        text = data.rstrip(b"\0")
        if not all(0x20 < octet < 0x7F for octet in text):
            raise _malformed(f"opaque field {field} is no text")
        return text.decode("ascii")


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.EVIDENCE_MALFORMED, f"SPDM report: {reason}")


def parse_spdm_report(data: bytes) -> SpdmReport:
    """Return the report that `data`, request and response together, holds.

    Raises:
        FormatError: too large, cut, of another version of SPDM, with bytes after its end, or a
            block or field out of order or twice.
        VerificationError: the response is no answer to the request.
    """
    if len(data) > SPDM_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"SPDM report: larger than {SPDM_BYTES_MAX} bytes")
    request, response = data[:REQUEST_BYTES], data[REQUEST_BYTES:]
    slot = _request_slot(request)
    if len(response) < 8:
        raise _malformed("cut in the header of the response")
    _require_message(response, code=_MEASUREMENTS)
    if response[3] & _SLOT != slot:
        # Bits of both messages, so this names what the signature would only call wrong.
        raise _spliced("answers for another certificate slot than was asked")
    count, size = response[4], int.from_bytes(response[5:8], "little")
    record, rest = _take(response[8:], size, what="measurements")
    nonce, rest = _take(rest, NONCE_BYTES, what="nonce")
    length, rest = _take(rest, 2, what="length of the opaque data")
    opaque, signature = _take(rest, int.from_bytes(length, "little"), what="opaque data")
    # spec/attestation §16.1: exactly the signature, or evidence had two spellings.
    if len(signature) != SIGNATURE_BYTES:
        raise _malformed(f"{len(signature)} bytes where a signature of {SIGNATURE_BYTES} belongs")
    return SpdmReport(
        signed=data[:-SIGNATURE_BYTES],
        signature_r=int.from_bytes(signature[:DIGEST_BYTES], "big"),
        signature_s=int.from_bytes(signature[DIGEST_BYTES:], "big"),
        request_nonce=request[4:36],
        response_nonce=nonce,
        slot=slot,
        blocks=MappingProxyType(_blocks(record, count)),
        opaque=MappingProxyType(_opaque(opaque)),
    )


def _request_slot(request: bytes) -> int:
    if len(request) != REQUEST_BYTES:
        raise _malformed("cut in the request")
    _require_message(request, code=_GET_MEASUREMENTS)
    # A response to another question (one measurement, no signature) would have another meaning.
    if request[2] & _SIGNATURE_REQUESTED == 0 or request[3] != _ALL_MEASUREMENTS:
        raise _spliced("the request asks for something else than all measurements, signed")
    return request[36] & _SLOT


def _require_message(message: bytes, *, code: int) -> None:
    if message[0] != _VERSION_1_1:
        raise FormatError(
            Code.EVIDENCE_VERSION, f"SPDM report: version {message[0]:#04x}, 0x11 is known"
        )
    if message[1] != code:
        raise _malformed(f"message {message[1]:#04x} where {code:#04x} belongs")


def _spliced(reason: str) -> VerificationError:
    return VerificationError(Code.DEVICE_SPLICED, f"SPDM report: {reason}")


def _take(data: bytes, size: int, *, what: str) -> tuple[bytes, bytes]:
    if len(data) < size:
        raise _malformed(f"cut in the {what}")
    return data[:size], data[size:]


def _blocks(record: bytes, count: int) -> dict[int, bytes]:
    blocks: dict[int, bytes] = {}
    last = 0
    for _ in range(count):
        header, record = _take(record, 7, what="header of a measurement")
        index, specification = header[0], header[1]
        size = int.from_bytes(header[5:7], "little")
        # Ascending: a second block of an index could hide the first from whoever compares.
        if index <= last:
            raise _malformed(f"measurement {index} after {last}")
        if specification != _DMTF or int.from_bytes(header[2:4], "little") != size + 3:
            raise _malformed(f"measurement {index} is not in DMTF's form")
        blocks[index], record = _take(record, size, what="a measurement")
        last = index
    if record or not blocks:
        raise _malformed(f"its {count} measurements do not fill their record")
    return blocks


def _opaque(data: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    for number, value in _fields(data):
        if number in fields:
            raise _malformed(f"opaque field {number} twice")
        if len(fields) == _OPAQUE_FIELDS_MAX:
            raise _malformed(f"more than {_OPAQUE_FIELDS_MAX} opaque fields")
        fields[number] = value
    return fields


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    head = 4
    if data.startswith(_HEADER):
        header, data = _take(data, _HEADER_BYTES, what="header of the opaque data")
        if header[6:8] != b"\0\0":
            raise _malformed("opaque data of a profile that is not known")
        head = 6
    while data:
        header, data = _take(data, head, what="header of an opaque field")
        size = int.from_bytes(header[-2:], "little")
        value, data = _take(data, size, what="an opaque field")
        yield int.from_bytes(header[:2], "little"), value


def vbios_version(data: bytes, *, is_switch: bool) -> str:
    """Return the version of the VBIOS or switch BIOS in NVIDIA's notation, `96.00.5E.00.01`.

    Raises:
        FormatError: neither form that is known.
    """
    # spec/attestation §16.2: a GPU has the version as a number and a revision, both little-endian;
    # a switch has the notation itself.
    if is_switch:
        text = data.rstrip(b"\0")
        if not text or not all(octet in b"0123456789ABCDEFabcdef." for octet in text):
            raise _malformed("a BIOS version in another form")
        return text.decode("ascii").upper()
    if len(data) != 8 or any(data[5:]):
        raise _malformed("a VBIOS version in another form")
    return ".".join(f"{octet:02X}" for octet in (*reversed(data[:4]), data[4]))
