"""An SNP report that somebody took apart into JSON, put together again (spec/attestation §17.3).

The form of `virtee/sev`, which Confidential Containers send. It cannot hold bits that it has no
name for; a report with such bits does not verify after this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealtune.attestation.forms.octets import malformed, octets
from sealtune.attestation.snp_report import REPORT_BYTES

_TURIN_FAMILY = 0x1A
# (field, offset, size) of numbers and of octets; spec/attestation §5.1.
_NUMBERS = (
    ("version", 0x000, 4),
    ("guest_svn", 0x004, 4),
    ("policy", 0x008, 8),
    ("vmpl", 0x030, 4),
    ("sig_algo", 0x034, 4),
    ("plat_info", 0x040, 8),
    ("key_info", 0x048, 4),
)
_OPTIONAL_NUMBERS = (
    ("cpuid_fam_id", 0x188, 1),
    ("cpuid_mod_id", 0x189, 1),
    ("cpuid_step", 0x18A, 1),
    ("launch_mit_vector", 0x1F8, 8),
    ("current_mit_vector", 0x200, 8),
)
_OCTETS = (
    ("family_id", 0x010, 16),
    ("image_id", 0x020, 16),
    ("report_data", 0x050, 64),
    ("measurement", 0x090, 48),
    ("host_data", 0x0C0, 32),
    ("id_key_digest", 0x0E0, 48),
    ("author_key_digest", 0x110, 48),
    ("report_id", 0x140, 32),
    ("report_id_ma", 0x160, 32),
    ("chip_id", 0x1A0, 64),
)
_TCBS = (
    ("current_tcb", 0x038),
    ("reported_tcb", 0x180),
    ("committed_tcb", 0x1E0),
    ("launch_tcb", 0x1F0),
)
_VERSIONS = (("current", 0x1E8), ("committed", 0x1EC))


def report_from_json(value: Mapping[str, Any]) -> bytes:
    """Return the 1184 bytes of the report whose fields `value` has.

    Raises:
        FormatError: a field is missing or out of range.
    """
    report = bytearray(REPORT_BYTES)
    for name, offset, size in _NUMBERS:
        report[offset : offset + size] = _number(value, name, size)
    for name, offset, size in _OPTIONAL_NUMBERS:
        if value.get(name) is not None:
            report[offset : offset + size] = _number(value, name, size)
    for name, offset, size in _OCTETS:
        report[offset : offset + size] = _octets(value, name, size)
    for name, offset in _TCBS:
        report[offset : offset + 8] = _tcb(
            _object(value, name), turin=value.get("cpuid_fam_id") == _TURIN_FAMILY
        )
    for name, offset in _VERSIONS:
        parts = _object(value, name)
        for index, part in enumerate(("build", "minor", "major")):
            report[offset + index : offset + index + 1] = _number(parts, part, 1)
    signature = _object(value, "signature")
    report[0x2A0:0x2E8] = _octets(signature, "r", 72)
    report[0x2E8:0x330] = _octets(signature, "s", 72)
    return bytes(report)


def _tcb(value: Mapping[str, Any], *, turin: bool) -> bytes:
    bootloader, tee, snp, microcode = (
        _number(value, name, 1) for name in ("bootloader", "tee", "snp", "microcode")
    )
    if turin:
        return _number(value, "fmc", 1) + bootloader + tee + snp + bytes(3) + microcode
    return bootloader + tee + bytes(4) + snp + microcode


def _number(value: Mapping[str, Any], name: str, size: int) -> bytes:
    number = value.get(name)
    if type(number) is not int or not 0 <= number < 1 << 8 * size:
        raise malformed(f"{name} of the SNP report is no number of {size} bytes")
    return number.to_bytes(size, "little")


def _octets(value: Mapping[str, Any], name: str, size: int) -> bytes:
    found = octets(value.get(name), what=name)
    if len(found) != size:
        raise malformed(f"{name} of the SNP report has {len(found)} bytes, not {size}")
    return found


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    if not isinstance(found, dict):
        raise malformed(f"{name} of the SNP report is no object")
    return found
