"""SNP launch digests against a real signed report, another implementation and hostile images."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sevsnpmeasure import guest, vcpu_types
from sevsnpmeasure.sev_mode import SevMode
from sevsnpmeasure.vmm_types import VMMType

from attestation.ovmf import (
    HASHES,
    METADATA,
    METADATA_FROM_END,
    OTHER,
    RESET,
    SECTIONS,
    Ovmf,
)
from sealtune.attestation.snp_launch.digest import (
    COMMAND_LINE_BYTES_MAX,
    NO_INITRD,
    DirectBoot,
    Launch,
    command_line_digest,
    launch_digest,
)
from sealtune.attestation.snp_launch.firmware import (
    FIRMWARE_BYTES_MAX,
    Firmware,
    Section,
    SectionKind,
    parse_firmware,
)
from sealtune.attestation.snp_launch.inputs import launch_inputs_from_dict
from sealtune.attestation.snp_launch.pages import EMPTY_DIGEST, PageType, extend
from sealtune.attestation.snp_launch.vmsa import CPU_TYPES, Vmm
from sealtune.attestation.snp_report import parse_snp_report
from sealtune.core.digest import sha256_digest
from sealtune.errors import Code, FormatError

OVMF = Ovmf()
KERNEL, INITRD, COMMAND_LINE = b"a kernel", b"an initrd", "console=ttyS0 loglevel=7"
BOOT = DirectBoot(
    kernel=sha256_digest(KERNEL),
    initrd=sha256_digest(INITRD),
    command_line=command_line_digest(COMMAND_LINE),
)
_VMMS = {Vmm.QEMU: VMMType.QEMU, Vmm.EC2: VMMType.ec2, Vmm.GCE: VMMType.gce}


def launch_of(**changes: Any) -> Launch:
    fields: dict[str, Any] = {
        "firmware": parse_firmware(OVMF.image()),
        "boot": BOOT,
        "signature": CPU_TYPES["EPYC-Milan"],
        "features": 1,
        "vmm": Vmm.QEMU,
    }
    return Launch(**{**fields, **changes})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("launch")
    (folder / "ovmf").write_bytes(OVMF.but(pages=3))
    (folder / "kernel").write_bytes(KERNEL)
    (folder / "initrd").write_bytes(INITRD)
    return folder


def by_the_other_implementation(files: Path, launch: Launch, *, vcpus: int) -> str:
    kernel = initrd = append = ""
    if launch.boot is not None:
        kernel, append = str(files / "kernel"), COMMAND_LINE
        initrd = str(files / "initrd") if launch.boot.initrd != NO_INITRD else ""
    digest: bytes = guest.calc_launch_digest(
        SevMode.SEV_SNP,
        vcpus,
        launch.signature,
        str(files / "ovmf"),
        kernel,
        initrd,
        append,
        launch.features,
        vmm_type=_VMMS[launch.vmm],
    )
    return digest.hex()


@pytest.mark.parametrize("cpu_type", sorted(CPU_TYPES))
def test_every_processor_type_agrees_with_sev_snp_measure(files: Path, cpu_type: str) -> None:
    assert CPU_TYPES.keys() == vcpu_types.CPU_SIGS.keys()
    launch = launch_of(
        firmware=parse_firmware((files / "ovmf").read_bytes()),
        signature=CPU_TYPES[cpu_type],
    )
    assert CPU_TYPES[cpu_type] == vcpu_types.CPU_SIGS[cpu_type]
    found = launch_digest(launch, vcpus=2).hex()
    assert found == by_the_other_implementation(files, launch, vcpus=2)


@pytest.mark.parametrize("vmm", Vmm)
@pytest.mark.parametrize("features", [0x0, 0x1, 0x21, 2**64 - 1])
def test_hypervisors_counts_features_and_kernels_agree(
    files: Path, vmm: Vmm, features: int
) -> None:
    firmware = parse_firmware((files / "ovmf").read_bytes())
    without_initrd = DirectBoot(
        kernel=BOOT.kernel, initrd=NO_INITRD, command_line=BOOT.command_line
    )
    seen = set()
    for vcpus, boot in product((1, 2, 3, 64), (None, BOOT, without_initrd)):
        launch = launch_of(firmware=firmware, boot=boot, features=features, vmm=vmm)
        found = launch_digest(launch, vcpus=vcpus).hex()
        assert found == by_the_other_implementation(files, launch, vcpus=vcpus)
        seen.add(found)
    assert len(seen) == 12


def test_the_measurement_in_a_real_signed_report_is_reproduced(shared_dir: Path) -> None:
    folder = shared_dir / "vectors" / "snp" / "dstack-milan"
    inputs = launch_inputs_from_dict(json.loads((folder / "launch_inputs.json").read_bytes()))
    report = parse_snp_report((folder / "report.bin").read_bytes())
    assert launch_digest(inputs.launch, vcpus=inputs.vcpus) == report.measurement


def test_the_digest_that_the_other_implementation_publishes_is_reproduced(shared_dir: Path) -> None:
    image = (shared_dir / "vectors" / "launch-digest" / "ovmf_AmdSev_suffix.bin").read_bytes()
    empty = sha256_digest(b"")
    boot = DirectBoot(kernel=empty, initrd=empty, command_line=BOOT.command_line)
    launch = launch_of(firmware=parse_firmware(image), boot=boot, signature=CPU_TYPES["EPYC-v4"])
    assert launch_digest(launch, vcpus=1).hex() == (
        "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e70636"
        "3b4b08fa"
    )


def test_a_firmware_that_measures_no_kernel_takes_none(shared_dir: Path) -> None:
    image = (shared_dir / "vectors" / "launch-digest" / "ovmf_OvmfX64_suffix.bin").read_bytes()
    firmware = parse_firmware(image)
    assert launch_digest(launch_of(firmware=firmware, boot=None), vcpus=1)
    with pytest.raises(FormatError) as refusal:
        launch_of(firmware=firmware)
    assert refusal.value.code is Code.FIRMWARE_MALFORMED


def test_a_kernel_is_refused_where_the_image_has_no_section_for_it() -> None:
    sections = [section for section in SECTIONS if section[2] != 0x10]
    firmware = parse_firmware(OVMF.but(sections=sections))
    assert not firmware.takes_kernel
    with pytest.raises(FormatError) as refusal:
        launch_of(firmware=firmware)
    assert refusal.value.code is Code.FIRMWARE_MALFORMED


def test_the_image_is_read_as_it_was_written() -> None:
    firmware = parse_firmware(OVMF.image())
    read = [(item.address, item.size, int(item.kind)) for item in firmware.sections]
    assert read == list(SECTIONS)
    assert (firmware.hashes_table, firmware.reset_eip) == (0x810C00, 0x80B004)


def _sections(*changes: tuple[int, int, int]) -> bytes:
    return OVMF.but(sections=(*SECTIONS, *changes))


LENGTH = sum(18 + len(content) for _, content in OVMF.entries) + 18


def _nested_entry() -> bytes:
    """An entry that says it has 4 bytes; read so, another ends there, and the table is whole."""
    other = OTHER[:-1] + "5"
    image = bytearray(OVMF.but(entries=(*OVMF.entries, (other, b"\x12\x00ab"))))
    head = image.index(UUID(other).bytes_le) - 2
    image[head : head + 2] = b"\x04\x00"
    return bytes(image)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "not-whole-pages": lambda: OVMF.image()[1:],
    "no-table": lambda: OVMF.but(footer=OTHER),
    "table-shorter-than-its-head": lambda: OVMF.but(footer_length=17),
    "table-longer-than-the-image": lambda: OVMF.but(footer_length=0xFFFF),
    "table-cuts-its-first-entry": lambda: OVMF.but(footer_length=LENGTH - 8),
    "table-with-bytes-left-over": lambda: OVMF.but(footer_length=18 + 4),
    "entry-shorter-than-its-head": lambda: OVMF.but(footer_length=18 * 3),
    "entry-longer-than-its-table": lambda: OVMF.but(footer_length=18 + 18),
    "entry-inside-the-head-of-another": lambda: _nested_entry(),
    "entry-twice": lambda: OVMF.but(entries=(*OVMF.entries, (RESET, bytes(4)))),
    "reset-without-number": lambda: OVMF.with_entry(RESET, b"\1\2\3"),
    "reset-missing": lambda: OVMF.without(RESET),
    "reset-zero": lambda: OVMF.with_entry(RESET, bytes(4)),
    "metadata-missing": lambda: OVMF.without(METADATA),
    "metadata-before-the-image": lambda: OVMF.with_entry(METADATA, b"\x01\x10\0\0"),
    "metadata-counted-from-the-end-again": lambda: OVMF.with_entry(
        METADATA, (4096 + METADATA_FROM_END).to_bytes(4, "little")
    ),
    "metadata-far-before-the-image": lambda: OVMF.with_entry(METADATA, b"\xff\xff\xff\xff"),
    "metadata-at-the-very-end": lambda: OVMF.with_entry(METADATA, b"\x0f\0\0\0"),
    "metadata-magic": lambda: OVMF.but(magic=b"ASEW"),
    "metadata-version": lambda: OVMF.but(version=2),
    "metadata-count-beyond-its-size": lambda: OVMF.but(count=len(SECTIONS) + 1),
    "metadata-size-without-its-last-section": lambda: OVMF.but(size=16 + 12 * (len(SECTIONS) - 1)),
    "metadata-of-65-sections": lambda: OVMF.but(sections=[(0, 0x1000, 1)] * 65, size=16 + 12 * 65),
    "metadata-count-2-to-32": lambda: OVMF.but(count=2**32 - 1, size=2**32 - 1),
    "metadata-size-beyond-the-image": lambda: OVMF.but(size=0x541),
    "section-kind": lambda: _sections((0x900000, 0x1000, 5)),
    "section-address": lambda: _sections((0x900001, 0x1000, 1)),
    "section-size": lambda: _sections((0x900000, 0x1001, 1)),
    "section-empty": lambda: _sections((0x900000, 0, 1)),
    "section-above-4-gib": lambda: _sections((0xFFFFF000, 0x2000, 1)),
    "sections-of-too-many-bytes": lambda: _sections((0x900000, 0xF0000000, 1)),
    "secrets-of-two-pages": lambda: _sections((0x900000, 0x2000, 2)),
    "cpuid-of-two-pages": lambda: _sections((0x900000, 0x2000, 3)),
    "kernel-hashes-twice": lambda: _sections((0x810000, 0x1000, 0x10)),
    "hashes-before-their-section": lambda: OVMF.with_entry(HASHES, b"\xff\xff\x80\0"),
    "hashes-over-their-sections-end": lambda: OVMF.with_entry(HASHES, b"\x51\x0f\x81\0"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_image_is_refused(name: str) -> None:
    with pytest.raises(FormatError) as refusal:
        parse_firmware(HOSTILE[name]())
    assert refusal.value.code is Code.FIRMWARE_MALFORMED


def test_a_hashes_table_may_end_with_its_section() -> None:
    firmware = parse_firmware(OVMF.with_entry(HASHES, b"\x50\x0f\x81\0"))
    assert len(launch_digest(launch_of(firmware=firmware), vcpus=1)) == 48


def test_an_image_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(FormatError) as refusal:
        parse_firmware(bytes(FIRMWARE_BYTES_MAX + 4096))
    assert refusal.value.code is Code.LIMIT_EXCEEDED


@given(place=st.integers(0, 0x560), value=st.integers(0, 255))
def test_any_byte_of_the_tables_changes_the_digest_or_is_refused(place: int, value: int) -> None:
    image = bytearray(OVMF.image())
    offset = len(image) - 1 - place
    changed = image[offset] != value
    image[offset] = value
    try:
        firmware = parse_firmware(bytes(image))
        same = launch_digest(launch_of(firmware=firmware, boot=None), vcpus=2) == launch_digest(
            launch_of(boot=None), vcpus=2
        )
    except FormatError as error:
        assert error.code is Code.FIRMWARE_MALFORMED
    else:
        assert same != changed


@given(noise=st.binary(min_size=64, max_size=64))
def test_noise_at_the_end_of_an_image_is_refused_in_one_way(noise: bytes) -> None:
    with pytest.raises(FormatError) as refusal:
        parse_firmware(OVMF.image()[:-64] + noise)
    assert refusal.value.code is Code.FIRMWARE_MALFORMED


def test_numbers_out_of_range_are_the_callers_mistake() -> None:
    for changes in ({"signature": 2**32}, {"signature": -1}, {"features": 2**64}):
        with pytest.raises(ValueError, match="bits"):
            launch_of(**changes)
    for vcpus in (0, 4097):
        with pytest.raises(ValueError, match="processors"):
            launch_digest(launch_of(), vcpus=vcpus)
    for text in ("a\0b", "a" * (COMMAND_LINE_BYTES_MAX + 1)):
        with pytest.raises(ValueError, match="command line"):
            command_line_digest(text)
    for kind, content in (
        (PageType.NORMAL, b""),
        (PageType.NORMAL, b"x"),
        (PageType.ZERO, bytes(4096)),
    ):
        with pytest.raises(ValueError, match="page"):
            extend(EMPTY_DIGEST, kind, 0, content=content)


def test_a_firmware_that_is_described_is_held_to_the_same_rules() -> None:
    known = parse_firmware(OVMF.image())
    section = Section(kind=SectionKind.MEMORY, address=0, size=4096)
    for changes in ({"digest": bytes(47)}, {"reset_eip": 2**32}, {"sections": (section,) * 65}):
        fields = {name: getattr(known, name) for name in Firmware.__slots__}
        with pytest.raises(FormatError) as refusal:
            Firmware(**{**fields, **changes})
        assert refusal.value.code is Code.FIRMWARE_MALFORMED


def inputs() -> dict[str, Any]:
    firmware = parse_firmware(OVMF.image())
    return {
        "ovmf_hash": firmware.digest.hex(),
        "ovmf_sections": [
            {"gpa": address, "size": size, "section_type": kind} for address, size, kind in SECTIONS
        ],
        "sev_hashes_table_gpa": firmware.hashes_table,
        "sev_es_reset_eip": firmware.reset_eip,
        "kernel_hash": BOOT.kernel.removeprefix("sha256:"),
        "initrd_hash": BOOT.initrd.removeprefix("sha256:"),
        "base_cmdline": COMMAND_LINE,
        "vcpus": 2,
        "vcpu_type": "EPYC-Milan",
        "guest_features": 1,
    }


def test_described_inputs_give_what_the_files_give() -> None:
    read = launch_inputs_from_dict({**inputs(), "expected_measurement": "not an input"})
    assert read.vcpus == 2
    assert read.launch == launch_of()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ovmf_hash", "AB" * 48),
        ("ovmf_hash", "ab" * 47),
        ("ovmf_hash", None),
        ("ovmf_sections", {}),
        ("ovmf_sections", [{"gpa": 0, "size": 4096, "section_type": 1}] * 65),
        ("ovmf_sections", [{"gpa": 0, "size": 4096}]),
        ("ovmf_sections", [7]),
        ("ovmf_sections", [{"gpa": "0", "size": 4096, "section_type": 1}]),
        ("sev_hashes_table_gpa", -1),
        ("sev_es_reset_eip", True),
        ("sev_es_reset_eip", 2**40),
        ("kernel_hash", "sha256:" + "0" * 57),
        ("initrd_hash", 0),
        ("base_cmdline", 7),
        ("base_cmdline", "a\0"),
        ("vcpus", 0),
        ("vcpus", 4097),
        ("vcpus", 1.0),
        ("vcpu_type", "EPYC-Naples"),
        ("vcpu_type", ["EPYC"]),
        ("guest_features", 2**70),
    ],
)
def test_described_inputs_of_another_form_are_refused(name: str, value: object) -> None:
    with pytest.raises(FormatError) as refusal:
        launch_inputs_from_dict({**inputs(), name: value})
    assert refusal.value.code is Code.FIRMWARE_MALFORMED


@pytest.mark.parametrize("value", [[], None, {}, {"vcpus": 1}, {**inputs(), "more": 1}])
def test_described_inputs_have_exactly_their_members(value: object) -> None:
    with pytest.raises(FormatError) as refusal:
        launch_inputs_from_dict(value)
    assert refusal.value.code is Code.FIRMWARE_MALFORMED
