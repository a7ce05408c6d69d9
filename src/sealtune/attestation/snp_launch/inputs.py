"""Launch inputs as a deployment publishes them, in place of the files (spec/attestation §5.8.4).

The JSON object that dstack embeds in its SNP attestations: what of the firmware is measured, the
digests of kernel and initrd, the command line, and the processors. Believing it is no part of
this: whatever it says, only the guest that it describes has the digest that comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sealtune.attestation.snp_launch.digest import (
    VCPUS_MAX,
    DirectBoot,
    Launch,
    command_line_digest,
)
from sealtune.attestation.snp_launch.firmware import (
    SECTIONS_MAX,
    Firmware,
    Section,
    malformed,
    section_kind,
)
from sealtune.attestation.snp_launch.pages import DIGEST_BYTES
from sealtune.attestation.snp_launch.vmsa import CPU_TYPES, Vmm
from sealtune.core.digest import Digest

_NEEDED: Final = frozenset(
    {
        "ovmf_hash",
        "ovmf_sections",
        "sev_hashes_table_gpa",
        "sev_es_reset_eip",
        "kernel_hash",
        "initrd_hash",
        "base_cmdline",
        "vcpus",
        "vcpu_type",
        "guest_features",
    }
)
# What some publisher thinks comes out is not an input.
_IGNORED: Final = frozenset({"expected_measurement"})
_SECTION: Final = {"gpa", "size", "section_type"}
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchInputs:
    """A launch and its number of processors."""

    launch: Launch
    vcpus: int


def launch_inputs_from_dict(value: object) -> LaunchInputs:
    """Return the launch that the JSON object `value` describes; its hypervisor is QEMU.

    Raises:
        FormatError: missing or unknown members, or a value that no launch has.
    """
    if not isinstance(value, dict) or value.keys() - _IGNORED != _NEEDED:
        raise malformed("launch inputs with missing or unknown members")
    cpu_type = value["vcpu_type"]
    if not isinstance(cpu_type, str) or cpu_type not in CPU_TYPES:
        raise malformed("launch inputs of a processor type that is not known")
    boot = DirectBoot(
        kernel=_sha256(value["kernel_hash"]),
        initrd=_sha256(value["initrd_hash"]),
        command_line=_command_line(value["base_cmdline"]),
    )
    launch = Launch(
        firmware=_firmware(value),
        boot=boot,
        signature=CPU_TYPES[cpu_type],
        features=_integer(value["guest_features"], limit=2**53),
        vmm=Vmm.QEMU,
    )
    vcpus = _integer(value["vcpus"], limit=VCPUS_MAX)
    if vcpus == 0:
        raise malformed("launch inputs without a processor")
    return LaunchInputs(launch=launch, vcpus=vcpus)


def _firmware(value: dict[str, Any]) -> Firmware:
    listing = value["ovmf_sections"]
    if not isinstance(listing, list) or len(listing) > SECTIONS_MAX:
        raise malformed(f"ovmf_sections are a list of at most {SECTIONS_MAX}")
    return Firmware(
        digest=_hex(value["ovmf_hash"], size=DIGEST_BYTES),
        sections=tuple(_section(item) for item in listing),
        hashes_table=_integer(value["sev_hashes_table_gpa"], limit=2**32),
        reset_eip=_integer(value["sev_es_reset_eip"], limit=2**32),
    )


def _section(value: object) -> Section:
    if not isinstance(value, dict) or value.keys() != _SECTION:
        raise malformed("a section has gpa, size and section_type")
    return Section(
        kind=section_kind(_integer(value["section_type"], limit=2**32)),
        address=_integer(value["gpa"], limit=2**32),
        size=_integer(value["size"], limit=2**32),
    )


def _integer(value: object, *, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise malformed("launch inputs with a number that is none or out of range")
    return value


def _hex(value: object, *, size: int) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * size or set(value) - _HEX:
        raise malformed(f"a digest is {2 * size} lower-case hexadecimal digits")
    return bytes.fromhex(value)


def _sha256(value: object) -> Digest:
    return Digest(f"sha256:{_hex(value, size=32).hex()}")


def _command_line(value: object) -> Digest:
    try:
        return command_line_digest(value if isinstance(value, str) else "\0")
    except ValueError:
        raise malformed("base_cmdline is no kernel's command line") from None
