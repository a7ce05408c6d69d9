"""`sealtune measure`: with and without a command, and `sealtune measure snp`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sevsnpmeasure import guest
from sevsnpmeasure.sev_mode import SevMode

from attestation.ovmf import OTHER, SECTIONS, Ovmf
from cli.said import Sealtune
from sealtune.attestation.snp_launch.firmware import parse_firmware
from sealtune.attestation.snp_launch.vmsa import CPU_TYPES

KERNEL, INITRD = b"a kernel", b"an initrd"
APPEND = "console=ttyS0"
MILAN = "EPYC-Milan"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "ovmf").write_bytes(Ovmf().image())
    (tmp_path / "kernel").write_bytes(KERNEL)
    (tmp_path / "initrd").write_bytes(INITRD)
    return tmp_path


def expected(
    files: Path, *, vcpus: int, kernel: str = "", initrd: str = "", append: str = ""
) -> str:
    digest: bytes = guest.calc_launch_digest(
        SevMode.SEV_SNP, vcpus, CPU_TYPES[MILAN], str(files / "ovmf"), kernel, initrd, append, 1
    )
    return digest.hex()


def test_without_a_command_it_measures_the_code(sealtune_: Sealtune) -> None:
    by_name = sealtune_("measure", "code", "--modules", "--json").json
    assert sealtune_("measure", "--modules", "--json").json == by_name
    assert sealtune_("measure", "--json").json.keys() == by_name.keys() - {"module_lines"}
    assert "snp" in sealtune_("measure", "--help").out
    assert sealtune_("measure", "enclave").status == 2


def test_one_measurement_for_each_number_of_processors(files: Path, sealtune_: Sealtune) -> None:
    said = sealtune_(
        *("measure", "snp", "--ovmf", files / "ovmf", "--vcpus", "1,4,1", "--vcpu-type", MILAN),
        "--json",
    )
    assert said.json["measurements"] == {
        "1": expected(files, vcpus=1),
        "4": expected(files, vcpus=4),
    }
    assert said.json["cpu_signature"] == "0x00a00f11"
    assert said.json["kernel"] is None


def test_kernel_initrd_and_command_line(files: Path, sealtune_: Sealtune) -> None:
    kernel, initrd = files / "kernel", files / "initrd"
    common = ("measure", "snp", "--ovmf", files / "ovmf", "--vcpus", 2, "--append", APPEND)
    by_file = sealtune_(
        *common, "--vcpu-type", MILAN, "--kernel", kernel, "--initrd", initrd, "--json"
    ).json
    wanted = expected(files, vcpus=2, kernel=str(kernel), initrd=str(initrd), append=APPEND)
    assert by_file["measurements"] == {"2": wanted}
    by_hash = sealtune_(
        *common,
        *("--vcpu-signature", "0xa00f11", "--json"),
        *("--kernel-hash", hashlib.sha256(KERNEL).hexdigest()),
        *("--initrd-hash", "sha256:" + hashlib.sha256(INITRD).hexdigest()),
    ).json
    assert by_hash == by_file
    text = sealtune_(*common, "--vcpu-type", MILAN, "--kernel", kernel, "--initrd", initrd).out
    assert wanted in text
    assert by_file["kernel"] in text


def test_without_an_initrd_and_a_command_line(files: Path, sealtune_: Sealtune) -> None:
    said = sealtune_(
        *("measure", "snp", "--ovmf", files / "ovmf", "--vcpus", 1, "--vcpu-type", MILAN),
        *("--kernel", files / "kernel", "--json"),
    )
    wanted = expected(files, vcpus=1, kernel=str(files / "kernel"))
    assert said.json["measurements"] == {"1": wanted}


@pytest.mark.parametrize("vmm", ["ec2", "gce"])
def test_other_hypervisors_take_no_processor_model(
    files: Path, sealtune_: Sealtune, vmm: str
) -> None:
    common = ("measure", "snp", "--ovmf", files / "ovmf", "--vcpus", 1, "--vmm", vmm)
    found = sealtune_(*common, "--json").json
    assert found["cpu_signature"] is None
    assert found["measurements"]["1"] != expected(files, vcpus=1)
    assert sealtune_(*common, "--vcpu-type", MILAN).status == 2


def test_described_inputs(files: Path, sealtune_: Sealtune) -> None:
    firmware = parse_firmware((files / "ovmf").read_bytes())
    inputs = {
        "ovmf_hash": firmware.digest.hex(),
        "ovmf_sections": [
            {"gpa": address, "size": size, "section_type": kind} for address, size, kind in SECTIONS
        ],
        "sev_hashes_table_gpa": firmware.hashes_table,
        "sev_es_reset_eip": firmware.reset_eip,
        "kernel_hash": hashlib.sha256(KERNEL).hexdigest(),
        "initrd_hash": hashlib.sha256(INITRD).hexdigest(),
        "base_cmdline": APPEND,
        "vcpus": 2,
        "vcpu_type": MILAN,
        "guest_features": 1,
    }
    path = files / "inputs.json"
    path.write_text(json.dumps(inputs))
    wanted = {
        str(vcpus): expected(
            files,
            vcpus=vcpus,
            kernel=str(files / "kernel"),
            initrd=str(files / "initrd"),
            append=APPEND,
        )
        for vcpus in (2, 3)
    }
    command = ("measure", "snp", "--launch-inputs", path)
    assert sealtune_(*command, "--json").json["measurements"] == {"2": wanted["2"]}
    said = sealtune_(*command, "--vcpus", "2,3", "--json")
    assert said.json["measurements"] == wanted
    assert sealtune_(*command, "--ovmf", files / "ovmf").status == 2
    assert sealtune_(*command, "--vcpu-type", MILAN).status == 2
    path.write_text(json.dumps({**inputs, "vcpus": 0}))
    refused = sealtune_(*command, "--json")
    assert (refused.status, refused.error["code"]) == (4, "firmware-malformed")
    assert str(path) in refused.error["message"]


def test_a_real_deployments_inputs(shared_dir: Path, sealtune_: Sealtune) -> None:
    path = shared_dir / "vectors" / "snp" / "dstack-milan" / "launch_inputs.json"
    found = sealtune_("measure", "snp", "--launch-inputs", path, "--json").json
    assert found["measurements"] == {"2": json.loads(path.read_bytes())["expected_measurement"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--vcpu-type", MILAN),
        ("--vcpus", "1"),
        ("--vcpus", "0", "--vcpu-type", MILAN),
        ("--vcpus", "4097", "--vcpu-type", MILAN),
        ("--vcpus", "1,", "--vcpu-type", MILAN),
        ("--vcpus", "\u0661", "--vcpu-type", MILAN),
        ("--vcpus", "9" * 5000, "--vcpu-type", MILAN),
        ("--vcpus", "1", "--vcpu-type", "EPYC-Naples"),
        ("--vcpus", "1", "--vcpu-type", MILAN, "--vcpu-signature", "1"),
        ("--vcpus", "1", "--vcpu-signature", "0x100000000"),
        ("--vcpus", "1", "--vcpu-signature", "-1"),
        ("--vcpus", "1", "--vcpu-signature", "one"),
        ("--vcpus", "1", "--vcpu-type", MILAN, "--guest-features", "0x10000000000000000"),
        ("--vcpus", "1", "--vcpu-type", MILAN, "--vmm", "xen"),
        ("--vcpus", "1", "--vcpu-type", MILAN, "--append", "x"),
        ("--vcpus", "1", "--vcpu-type", MILAN, "--initrd-hash", "00" * 32),
        ("--vcpus", "1", "--vcpu-type", MILAN, "--kernel-hash", "AB" * 32),
        (
            "--vcpus",
            "1",
            "--vcpu-type",
            MILAN,
            "--kernel-hash",
            "00" * 32,
            "--append",
            "a" * 70_000,
        ),
        ("--vcpus", "1", "--vcpu-type", MILAN, "--kernel-hash", "00" * 32, "--kernel", "kernel"),
    ],
    ids=str,
)
def test_a_command_line_that_means_nothing(
    files: Path, sealtune_: Sealtune, arguments: tuple[str, ...]
) -> None:
    said = sealtune_("measure", "snp", "--ovmf", files / "ovmf", *arguments, "--json")
    assert (said.status, said.error["family"]) == (2, "usage")


def test_files_that_cannot_be_measured(files: Path, sealtune_: Sealtune) -> None:
    def refused(*arguments: object) -> tuple[int, str]:
        said = sealtune_("measure", "snp", "--vcpus", 1, "--vcpu-type", MILAN, *arguments, "--json")
        return said.status, said.error["code"]

    assert refused("--ovmf", files / "none") == (9, "file-missing")
    assert refused("--ovmf", files / "ovmf", "--kernel", files / "none") == (9, "file-missing")
    assert refused("--ovmf", files / "kernel") == (4, "firmware-malformed")
    (files / "other").write_bytes(Ovmf().but(footer=OTHER))
    assert refused("--ovmf", files / "other") == (4, "firmware-malformed")
    sections = [section for section in SECTIONS if section[2] != 0x10]
    (files / "no-hashes").write_bytes(Ovmf().but(sections=sections))
    assert refused("--ovmf", files / "no-hashes", "--kernel", files / "kernel") == (
        4,
        "firmware-malformed",
    )
