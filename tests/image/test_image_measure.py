"""`image measure`: from an image's files to entries that a contract lists."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from sevsnpmeasure import guest
from sevsnpmeasure.sev_mode import SevMode

from attestation.ovmf import SECTIONS, Ovmf
from image.folders import COMMAND_LINE, INITRD, KERNEL, write_image
from sealtune.attestation.event_log import Bank
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.snp_launch.firmware import parse_firmware
from sealtune.attestation.snp_launch.vmsa import CPU_TYPES
from sealtune.core.digest import sha256_digest, sha256_file
from sealtune.errors import Code, SealtuneError
from sealtune.image import pcr_firmware
from sealtune.image.manifest import read_image
from sealtune.image.measure import SnpMachines, sgx_entry, snp_entries
from sealtune.image.measure_files import SnpFirmware, VmFirmware, boot_files, measure_image
from sealtune.image.measure_sgx import SIGSTRUCT_BYTES, SgxMeasurement, parse_sigstruct
from sealtune.image.pcr import BootFiles, LoadOptions, boot_digests, pcr4, pcr9
from sealtune.image.pcr_firmware import FirmwareProfile
from sealtune.image.rtmr import rtmr1, rtmr2

TYPES, COUNTS = ("EPYC-Milan", "EPYC-Genoa"), (1, 4)
FILES = BootFiles(kernel=KERNEL, initrd=INITRD, command_line=COMMAND_LINE)
PROFILE = FirmwareProfile(
    name="mine", load_options=LoadOptions.INITRD_FIRST, pcr0=b"\1" * 32, pcr7=b"\2" * 32
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_image(tmp_path / "image")
    (tmp_path / "ovmf").write_bytes(Ovmf().image())
    (tmp_path / "firmware").write_bytes(b"some firmware")
    return tmp_path


def snp(folder: Path, **changes: Any) -> SnpFirmware:
    fields = {"ovmf": folder / "ovmf", "vcpu_types": TYPES, "vcpus": COUNTS, "features": 1}
    return SnpFirmware(**{**fields, **changes})


def refused(act: Callable[[], object]) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        act()
    return refusal.value.code


# -- SEV-SNP ---------------------------------------------------------------------------------------


def test_snp_digests_are_those_of_sev_snp_measure(folder: Path) -> None:
    values = measure_image(folder / "image", snp=snp(folder), vm=None, sigstruct=None)
    expected = {}
    for vcpu_type in TYPES:
        for count in COUNTS:
            digest: bytes = guest.calc_launch_digest(
                SevMode.SEV_SNP,
                count,
                CPU_TYPES[vcpu_type],
                str(folder / "ovmf"),
                str(folder / "image" / "vmlinuz"),
                str(folder / "image" / "initrd"),
                COMMAND_LINE,
                1,
            )
            expected[f"sev-snp-{vcpu_type}-{count}"] = (digest.hex(),)
    assert values.image == sha256_file(folder / "image" / "image.json")
    every = values.entries["sev-snp"]
    assert set(every.measurements) == {value for (value,) in expected.values()}
    assert every.kind is EvidenceKind.SEV_SNP
    found = {name: entry.measurements for name, entry in values.entries.items()}
    usual = {name: value for name, value in found.items() if "no-acpi" not in name}
    assert usual == {"sev-snp": every.measurements, **expected}


def test_types_that_measure_alike_are_listed_once() -> None:
    machines = SnpMachines(
        firmware=parse_firmware(Ovmf().image()),
        vcpu_types=("EPYC-Milan", "EPYC-Milan-v2"),
        vcpus=(1,),
        features=1,
    )
    entries = snp_entries(FILES, machines)
    assert len(entries["sev-snp"].measurements) == 1
    assert len(entries) == 2 * 3


def test_without_acpi_a_guest_measures_to_another_value() -> None:
    machines = SnpMachines(
        firmware=parse_firmware(Ovmf().image()),
        vcpu_types=("EPYC-Milan",),
        vcpus=(1, 4),
        features=1,
    )
    entries = snp_entries(FILES, machines)
    (bare,) = entries["sev-snp-no-acpi"].measurements
    assert entries["sev-snp-no-acpi-EPYC-Milan"].measurements == (bare,)
    assert bare not in entries["sev-snp"].measurements
    line = replace(FILES, command_line=f"{FILES.command_line} acpi=off")
    assert snp_entries(line, machines)["sev-snp-EPYC-Milan-1"].measurements == (bare,)
    # Who signs sees which is which.
    assert "host" in entries["sev-snp"].note
    assert "no ACPI" in entries["sev-snp-no-acpi"].note


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"vcpu_types": ()}, id="no-type"),
        pytest.param({"vcpus": ()}, id="no-count"),
        pytest.param({"vcpus": tuple(range(1, 66))}, id="more-than-a-contract-lists"),
        pytest.param({"vcpu_types": ("Nehalem",)}, id="unknown-type"),
    ],
)
def test_machines_that_cannot_be_listed_are_a_mistake(changes: dict[str, Any]) -> None:
    fields = {"vcpu_types": ("EPYC",), "vcpus": (1,), "features": 1}
    with pytest.raises(ValueError, match=r"launches|types"):
        SnpMachines(firmware=parse_firmware(Ovmf().image()), **{**fields, **changes})


def test_firmware_that_would_not_measure_the_kernel_is_refused(folder: Path) -> None:
    sections = [section for section in SECTIONS if section[2] != 0x10]
    (folder / "ovmf").write_bytes(Ovmf().but(sections=sections))
    code = refused(
        lambda: measure_image(folder / "image", snp=snp(folder), vm=None, sigstruct=None)
    )
    assert code is Code.FIRMWARE_MALFORMED


# -- TPM and TDX -----------------------------------------------------------------------------------


def test_registers_of_known_firmware(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {sha256_digest(b"some firmware"): PROFILE}
    monkeypatch.setattr(pcr_firmware, "KNOWN_FIRMWARE", known)
    firmware = VmFirmware(ovmf=folder / "firmware", recorded=None)
    values = measure_image(folder / "image", snp=None, vm=firmware, sigstruct=None)
    assert set(values.entries) == {"tpm-vm", "tdx"}
    digests = {
        bank: boot_digests(FILES, load_options=PROFILE.load_options, bank=bank)
        for bank in (Bank.SHA256, Bank.SHA384)
    }
    tpm, tdx = values.entries["tpm-vm"], values.entries["tdx"]
    assert (tpm.kind, tpm.measurements) == (EvidenceKind.TPM_VM, ())
    assert tpm.registers == {
        "pcr0": (PROFILE.pcr0.hex(),),
        "pcr2": ("3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969",),
        "pcr4": (pcr4(digests[Bank.SHA256]).hex(),),
        "pcr7": (PROFILE.pcr7.hex(),),
        "pcr9": (pcr9(digests[Bank.SHA256]).hex(),),
    }
    assert (tdx.kind, tdx.measurements) == (EvidenceKind.TDX, ())
    assert tdx.registers == {
        "rtmr1": (rtmr1(digests[Bank.SHA384]).hex(),),
        "rtmr2": (rtmr2(digests[Bank.SHA384]).hex(),),
    }
    assert "not verified on hardware" in tdx.note


def event_log(files: BootFiles) -> bytes:
    mine = boot_digests(files, load_options=LoadOptions.INITRD_LAST, bank=Bank.SHA256)
    said = [
        hashlib.sha256(data).digest()
        for data in (b"Calling EFI Application from Boot Option", bytes(4))
    ]
    events = [(0, b"\3" * 32), (7, b"\4" * 32), (4, mine.kernel), *((4, item) for item in said)]
    events += [(9, mine.load_options), (9, mine.initrd)]
    spec = b"Spec ID Event03\0" + bytes(8) + struct.pack("<IHH", 1, 0x0B, 32) + b"\0"
    log = struct.pack("<II20sI", 0, 3, bytes(20), len(spec)) + spec
    for register, digest in events:
        log += struct.pack("<IIIH", register, 1, 1, 0x0B) + digest + struct.pack("<I", 0)
    return log


def test_unknown_firmware_needs_a_recorded_boot_of_this_image(folder: Path) -> None:
    def measure(recorded: Path | None) -> Any:
        vm = VmFirmware(ovmf=folder / "firmware", recorded=recorded)
        return measure_image(folder / "image", snp=None, vm=vm, sigstruct=None)

    assert refused(lambda: measure(None)) is Code.CONFIG_INVALID
    (folder / "log").write_bytes(event_log(FILES))
    tpm = measure(folder / "log").entries["tpm-vm"]
    assert tpm.registers["pcr0"] == (hashlib.sha256(bytes(32) + b"\3" * 32).hexdigest(),)
    assert sha256_digest(b"some firmware") in tpm.note
    other = BootFiles(kernel=KERNEL, initrd=b"another", command_line=COMMAND_LINE)
    (folder / "log").write_bytes(event_log(other))
    assert refused(lambda: measure(folder / "log")) is Code.EVENT_LOG_MISMATCH


# -- SGX -------------------------------------------------------------------------------------------

SGX_KEY = rsa.generate_private_key(public_exponent=3, key_size=3072)


def sigstruct(*, attributes: int = 0x5, changes: dict[int, int] | None = None) -> bytes:
    """Return a SIGSTRUCT as Gramine's signer writes it; `changes` are made before signing."""
    numbers = SGX_KEY.public_key().public_numbers()
    data = bytearray(SIGSTRUCT_BYTES)
    data[0:16] = bytes.fromhex("06000000e10000000000010000000000")
    data[24:40] = bytes.fromhex("01010000600000006000000001000000")
    data[128:512] = numbers.n.to_bytes(384, "little")
    data[512:516] = numbers.e.to_bytes(4, "little")
    data[928:936] = attributes.to_bytes(8, "little")
    data[960:992] = b"\xe5" * 32
    data[1024:1028] = struct.pack("<HH", 7, 9)
    for place, value in (changes or {}).items():
        data[place] = value
    signed = bytes(data[:128] + data[900:1028])
    signature = SGX_KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    data[516:900] = signature[::-1]
    return bytes(data)


def test_mrenclave_is_read_from_what_gramines_signer_wrote(folder: Path) -> None:
    (folder / "worker.sig").write_bytes(sigstruct())
    values = measure_image(folder / "image", snp=None, vm=None, sigstruct=folder / "worker.sig")
    modulus = SGX_KEY.public_key().public_numbers().n.to_bytes(384, "little")
    expected = SgxMeasurement(
        mrenclave=b"\xe5" * 32, mrsigner=hashlib.sha256(modulus).digest(), product=7, version=9
    )
    assert values.entries == sgx_entry(expected)
    entry = values.entries["sgx"]
    assert entry.measurements == ("e5" * 32,)
    assert entry.registers == {"mrsigner": (expected.mrsigner.hex(),)}
    assert "isv_prod_id 7, isv_svn 9" in entry.note


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(sigstruct()[:-1], Code.IMAGE_MALFORMED, id="short"),
        pytest.param(sigstruct() + b"\0", Code.IMAGE_MALFORMED, id="long"),
        pytest.param(sigstruct(changes={0: 7}), Code.IMAGE_MALFORMED, id="header"),
        pytest.param(sigstruct(changes={24: 7}), Code.IMAGE_MALFORMED, id="second-header"),
        pytest.param(sigstruct(changes={513: 1}), Code.IMAGE_MALFORMED, id="another-exponent"),
        pytest.param(sigstruct(attributes=0x7), Code.IMAGE_MALFORMED, id="debug"),
        pytest.param(
            sigstruct()[:960] + b"\0" + sigstruct()[961:], Code.SIGNATURE_INVALID, id="mrenclave"
        ),
        pytest.param(
            sigstruct()[:900] + b"\1" + sigstruct()[901:], Code.SIGNATURE_INVALID, id="body"
        ),
        pytest.param(
            sigstruct()[:40] + b"\1" + sigstruct()[41:], Code.SIGNATURE_INVALID, id="swdefined"
        ),
    ],
)
def test_other_sigstructs_are_refused(data: bytes, code: Code) -> None:
    assert refused(lambda: parse_sigstruct(data)) is code


# -- the folder ------------------------------------------------------------------------------------


def test_nothing_asked_is_refused(folder: Path) -> None:
    code = refused(lambda: measure_image(folder / "image", snp=None, vm=None, sigstruct=None))
    assert code is Code.CONFIG_INVALID


@pytest.mark.parametrize("name", ["vmlinuz", "initrd"])
def test_a_changed_file_is_refused_whenever_it_changes(folder: Path, name: str) -> None:
    image = read_image(folder / "image")
    path = folder / "image" / name
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert refused(lambda: boot_files(image)) is Code.IMAGE_MISMATCH
    code = refused(
        lambda: measure_image(folder / "image", snp=snp(folder), vm=None, sigstruct=None)
    )
    assert code is Code.IMAGE_MISMATCH
