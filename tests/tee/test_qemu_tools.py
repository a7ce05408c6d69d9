"""What a host lacks or has too old, each named with its remedy; a TPM that is made once."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import uuid
from pathlib import Path

import pytest

from sealtune.errors import Code, ConfigError, SealtuneError
from sealtune.tee.qemu import tools, tpm
from sealtune.tee.qemu.arguments import MemoryEncryption
from sealtune.tee.qemu.tools import (
    QEMU_MINIMUM,
    find_firmware,
    find_program,
    find_qemu,
    firmware_version,
    kvm_usable,
    memory_encryption,
)
from sealtune.tee.qemu.tpm import make_tpm, tpm_command
from tee.fakes_qemu import make_fake_qemu
from tee.fakes_swtpm import require_tools

LZMA_SECTION = uuid.UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf").bytes_le


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def firmware(path: Path, text: str, *, packed: bool = True) -> Path:
    """Firmware as EDK2 lays it out: padding, and one section that holds the version."""
    content = os.urandom(1001) + text.encode("utf-16-le") + bytes(2) + os.urandom(1000)
    if packed:
        data = lzma.compress(content, format=lzma.FORMAT_ALONE)
        head = (len(data) + 24).to_bytes(3, "little") + b"\2"
        content = head + LZMA_SECTION + struct.pack("<HH", 24, 1) + data
    path.write_bytes(b"\xff" * 148 + content + b"\xff" * 64)
    return path


@pytest.fixture
def path_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_program_that_is_missing_is_named_with_its_package(path_of: Path) -> None:
    with pytest.raises(ConfigError, match="swtpm is not installed") as error:
        find_program("swtpm", package="swtpm")
    assert error.value.code is Code.TOOL_MISSING
    assert "package swtpm" in error.value.remedy


@pytest.mark.parametrize("version", ["10.0.2", "10.1.0", "11.1.3"])
def test_a_qemu_that_is_new_enough(path_of: Path, version: str) -> None:
    made = make_fake_qemu(path_of, version=version)
    assert find_qemu(minimum=QEMU_MINIMUM) == made


@pytest.mark.parametrize("version", ["7.2.22", "9.2.4"])
def test_a_qemu_that_is_too_old(path_of: Path, version: str) -> None:
    make_fake_qemu(path_of, version=version)
    with pytest.raises(ConfigError, match=version[:3]) as error:
        find_qemu(minimum=QEMU_MINIMUM)
    assert error.value.code is Code.TOOL_TOO_OLD
    assert "10.0" in error.value.remedy


@pytest.mark.parametrize("text", ["exit 1", "echo QEMU", "kill -9 $$"])
def test_a_qemu_that_tells_no_version(path_of: Path, text: str) -> None:
    program(path_of, "qemu-system-x86_64", text)
    with pytest.raises(ConfigError) as error:
        find_qemu(minimum=QEMU_MINIMUM)
    assert error.value.code is Code.TOOL_TOO_OLD


def test_no_qemu(path_of: Path) -> None:
    with pytest.raises(ConfigError) as error:
        find_qemu(minimum=QEMU_MINIMUM)
    assert error.value.code is Code.TOOL_MISSING


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2025.02-8+deb13u1", (2025, 2)),
        ("2026.08+ds-2", (2026, 8)),
        ("2022.11-6", (2022, 11)),
        ("edk2-20250221-8.fc42", (2025, 2)),
        ("no version", None),
        ("12025", None),
    ],
)
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
def test_firmware_says_its_version(
    tmp_path: Path, text: str, version: tuple[int, int] | None, packed: bool
) -> None:
    assert firmware_version(firmware(tmp_path / "f", text, packed=packed)) == version


@pytest.mark.parametrize("spoilt", [0, 20, 24, 40])
def test_firmware_that_is_damaged_says_nothing(tmp_path: Path, spoilt: int) -> None:
    path = firmware(tmp_path / "f", "2025.02-8")
    data = bytearray(path.read_bytes())
    data[148 + spoilt : 148 + spoilt + 40] = b"\xff" * 40
    path.write_bytes(data)
    assert firmware_version(path) is None
    path.write_bytes(LZMA_SECTION)
    assert firmware_version(path) is None


def test_the_given_firmware_is_taken(tmp_path: Path) -> None:
    code = firmware(tmp_path / "code", "2025.02-8")
    variables = tmp_path / "vars"
    variables.touch()
    assert find_firmware(code, variables) == (code, variables)


@pytest.mark.parametrize("text", ["2024.11-5", "none"])
def test_firmware_that_is_too_old_names_what_is_needed(tmp_path: Path, text: str) -> None:
    code = firmware(tmp_path / "code", text)
    with pytest.raises(ConfigError) as error:
        find_firmware(code, code)
    assert error.value.code is Code.TOOL_TOO_OLD
    assert "2025.02" in error.value.remedy


def test_no_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = firmware(tmp_path / "code", "2025.02-8")
    absent = tmp_path / "x"
    half = ((str(absent), str(code)), (str(code), str(absent)))
    monkeypatch.setattr(tools, "FIRMWARE_PLACES", half)
    for given in ((None, None), (code, None), (None, code), (code, absent), (absent, code)):
        with pytest.raises(ConfigError) as error:
            find_firmware(*given)
        assert error.value.code is Code.TOOL_MISSING
    monkeypatch.setattr(tools, "FIRMWARE_PLACES", (*half, (str(code), str(code))))
    assert find_firmware(None, None) == (code, code)
    # Half of what was given and half of what is installed do not belong together.
    for given in ((code, None), (None, code)):
        with pytest.raises(ConfigError):
            find_firmware(*given)


@pytest.mark.parametrize("content", [None, b"", b"no device"], ids=["absent", "empty", "file"])
def test_what_is_no_kvm(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "kvm"
    if content is not None:
        path.write_bytes(content)
    assert not kvm_usable(path)


@pytest.mark.parametrize(("version", "usable"), [(12, True), (11, False)])
def test_a_kvm_of_the_one_stable_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, usable: bool
) -> None:
    path = tmp_path / "kvm"
    path.touch()

    def ioctl(_: int, request: int, *__: int) -> int:
        return version if request == 0xAE00 else os.open(path, os.O_RDONLY)

    monkeypatch.setattr(tools.fcntl, "ioctl", ioctl)
    assert kvm_usable(path) is usable


def cpuid(path: Path, eax: int, ebx: int) -> Path:
    """A file that answers one leaf where the kernel's device does."""
    with path.open("wb") as file:
        file.seek(0x8000001F)
        file.write(struct.pack("<IIII", eax, ebx, 0, 0))
    return path


@pytest.mark.parametrize(
    ("ebx", "c_bit", "reduced_bits"),
    [(0x4173, 51, 5), (0x016F, 47, 5), (0x0073, 51, 1)],
)
def test_the_c_bit_comes_from_the_processor(
    tmp_path: Path, ebx: int, c_bit: int, reduced_bits: int
) -> None:
    path = cpuid(tmp_path / "cpuid", 0x1F, ebx)
    expected = MemoryEncryption(c_bit=c_bit, reduced_bits=reduced_bits)
    assert memory_encryption(path) == expected


@pytest.mark.parametrize(("eax", "ebx"), [(0, 0x173), (0x1F, 0)])
def test_a_processor_without_memory_encryption(tmp_path: Path, eax: int, ebx: int) -> None:
    with pytest.raises(ConfigError) as error:
        memory_encryption(cpuid(tmp_path / "cpuid", eax, ebx))
    assert error.value.code is Code.TEE_UNAVAILABLE


def test_a_processor_that_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be asked") as error:
        memory_encryption(tmp_path / "cpuid")
    assert "modprobe cpuid" in error.value.remedy
    (tmp_path / "cpuid").touch()
    with pytest.raises(ConfigError):
        memory_encryption(tmp_path / "cpuid")


def test_a_tpm_is_made_once(tmp_path: Path) -> None:
    require_tools("swtpm", "swtpm_setup", "swtpm_localca")
    folder = tmp_path / "with space" / "tpm"
    state = make_tpm(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    before = (state / "tpm2-00.permall").read_bytes()
    assert make_tpm(folder) == state
    assert (state / "tpm2-00.permall").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["state"]


@pytest.mark.parametrize("missing", ["swtpm", "swtpm_setup", "swtpm_localca"])
def test_no_swtpm(path_of: Path, missing: str) -> None:
    for name in {"swtpm", "swtpm_setup", "swtpm_localca"} - {missing}:
        program(path_of, name, "exit 0")
    with pytest.raises(ConfigError) as error:
        make_tpm(path_of / "tpm")
    assert error.value.code is Code.TOOL_MISSING
    assert "swtpm-tools" in error.value.remedy
    assert not (path_of / "tpm").exists()
    if missing == "swtpm":
        with pytest.raises(ConfigError):
            tpm_command(path_of, path_of / "s")


def test_a_setup_that_fails_leaves_no_tpm(path_of: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("swtpm", "swtpm_localca"):
        program(path_of, name, "exit 0")
    program(path_of, "swtpm_setup", "echo no certificate >&2; exit 1")
    with pytest.raises(SealtuneError, match="no certificate") as error:
        make_tpm(path_of / "tpm")
    assert error.value.code is Code.LAUNCH_FAILED
    assert list((path_of / "tpm").iterdir()) == []
    program(path_of, "swtpm_setup", "while :; do :; done")
    monkeypatch.setattr(tpm, "_SETUP_SECONDS", 0.2)
    with pytest.raises(SealtuneError, match="come to an end"):
        make_tpm(path_of / "tpm")
    assert list((path_of / "tpm").iterdir()) == []
