"""The state in which a guest's processors begin, as it is measured (spec/attestation §5.8.3).

Source: AMD64 Architecture Programmer's Manual, volume 2, tables B-2 and B-4; the values are those
that each hypervisor sets, which no document promises: real signed reports and the tests' second
implementation are what they are checked against.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

from sealtune.attestation.snp_launch.pages import PAGE_BYTES

FIRST_EIP = 0xFFFFFFF0
_DEFAULT_PAT = 0x0007040600070406
_SIGNATURE_ON_RESET = 0x600  # where the hypervisor does not set the processor's own
_REAL_MODE_LIMIT = 0xFFFF

# Offsets in the save area.
_SEGMENTS = {
    "es": 0x000,
    "cs": 0x010,
    "ss": 0x020,
    "ds": 0x030,
    "fs": 0x040,
    "gs": 0x050,
    "gdtr": 0x060,
    "ldtr": 0x070,
    "idtr": 0x080,
    "tr": 0x090,
}
_QUADS = {
    "efer": 0x0D0,
    "cr4": 0x148,
    "cr0": 0x158,
    "dr7": 0x160,
    "dr6": 0x168,
    "rflags": 0x170,
    "rip": 0x178,
    "g_pat": 0x268,
    "rdx": 0x310,
    "sev_features": 0x3B0,
    "xcr0": 0x3E8,
}
_MXCSR = 0x408
_X87_CONTROL = 0x410


class Vmm(StrEnum):
    """Whose hypervisor starts the guest; each sets some registers in its own way."""

    QEMU = "qemu"
    EC2 = "ec2"
    GCE = "gce"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reset:
    """Where hypervisors differ."""

    cs: int
    ss: int
    tr: int
    pat: int
    mxcsr: int
    x87_control: int


_RESET = {
    Vmm.QEMU: _Reset(cs=0x9B, ss=0x93, tr=0x8B, pat=_DEFAULT_PAT, mxcsr=0x1F80, x87_control=0x37F),
    Vmm.EC2: _Reset(cs=0x9B, ss=0x92, tr=0x83, pat=_DEFAULT_PAT, mxcsr=0, x87_control=0),
    Vmm.GCE: _Reset(cs=0x9B, ss=0x93, tr=0x8B, pat=0x00070106, mxcsr=0, x87_control=0),
}
_EC2_FIRST_CS = 0x9A  # not yet accessed


def vmsa_page(*, eip: int, signature: int, features: int, vmm: Vmm) -> bytes:
    """Return the save area of a processor that begins at `eip`, one page.

    `signature` is CPUID 1 EAX of the processor that the guest sees, `features` SEV_FEATURES.
    """
    reset = _RESET[vmm]
    page = bytearray(PAGE_BYTES)
    data = (0, 0x93, _REAL_MODE_LIMIT, 0)
    first_of_ec2 = vmm is Vmm.EC2 and eip == FIRST_EIP
    segments = {
        **dict.fromkeys(("es", "ds", "fs", "gs"), data),
        "cs": (
            0xF000,
            _EC2_FIRST_CS if first_of_ec2 else reset.cs,
            _REAL_MODE_LIMIT,
            eip & 0xFFFF0000,
        ),
        "ss": (0, reset.ss, _REAL_MODE_LIMIT, 0),
        **dict.fromkeys(("gdtr", "idtr"), (0, 0, _REAL_MODE_LIMIT, 0)),
        "ldtr": (0, 0x82, _REAL_MODE_LIMIT, 0),
        "tr": (0, reset.tr, _REAL_MODE_LIMIT, 0),
    }
    for name, offset in _SEGMENTS.items():
        struct.pack_into("<HHIQ", page, offset, *segments[name])
    registers = {
        "efer": 0x1000,  # SVME
        "cr4": 0x40,  # MCE
        "cr0": 0x10,
        "dr7": 0x400,
        "dr6": 0xFFFF0FF0,
        "rflags": 0x2,
        "rip": eip & 0xFFFF,
        "g_pat": reset.pat,
        "rdx": signature if vmm is Vmm.QEMU else _SIGNATURE_ON_RESET,
        "sev_features": features,
        "xcr0": 0x1,
    }
    for name, offset in _QUADS.items():
        struct.pack_into("<Q", page, offset, registers[name])
    struct.pack_into("<I", page, _MXCSR, reset.mxcsr)
    struct.pack_into("<H", page, _X87_CONTROL, reset.x87_control)
    return bytes(page)


def cpu_signature(*, family: int, model: int, stepping: int) -> int:
    """Return CPUID 1 EAX (AMD publication 25481)."""
    extended = max(family - 0xF, 0)
    return (
        extended << 20
        | (model >> 4) << 16
        | min(family, 0xF) << 8
        | (model & 0xF) << 4
        | stepping & 0xF
    )


_NAPLES = cpu_signature(family=0x17, model=0x01, stepping=2)
_ROME = cpu_signature(family=0x17, model=0x31, stepping=0)
_MILAN = cpu_signature(family=0x19, model=0x01, stepping=1)
_GENOA = cpu_signature(family=0x19, model=0x11, stepping=0)
_TURIN = cpu_signature(family=0x1A, model=0x00, stepping=0)

# The names of QEMU's processor models; their versions differ in features, not in the signature.
CPU_TYPES = {
    **dict.fromkeys(("EPYC", "EPYC-v1", "EPYC-v2", "EPYC-IBPB", "EPYC-v3", "EPYC-v4"), _NAPLES),
    **dict.fromkeys(("EPYC-Rome", "EPYC-Rome-v1", "EPYC-Rome-v2", "EPYC-Rome-v3"), _ROME),
    **dict.fromkeys(("EPYC-Milan", "EPYC-Milan-v1", "EPYC-Milan-v2"), _MILAN),
    **dict.fromkeys(("EPYC-Genoa", "EPYC-Genoa-v1"), _GENOA),
    "EPYC-Turin": _TURIN,
}
